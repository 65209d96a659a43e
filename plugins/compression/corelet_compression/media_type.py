"""Which media types are worth coding."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

#: nginx's and h5bp's lists in short, with server-sent events: text of all kinds, fonts and images that are not packed
#: by themselves. A ``*`` stands for one side of the slash, or for what is before ``+``.
DEFAULT_MEDIA_TYPES: Final = (
    "text/*",
    "*/*+json",
    "*/*+xml",
    "*/*+text",
    "application/graphql-response",
    "application/javascript",
    "application/json",
    "application/json5",
    "application/jsonl",
    "application/ld+json",
    "application/rtf",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
    "font/eot",
    "font/otf",
    "font/ttf",
    "image/bmp",
    "image/vnd.microsoft.icon",
    "image/x-icon",
)

#: Content-Type fields that are remembered with what was found; an application has few.
_REMEMBERED: Final = 1024


def make_matcher(media_types: Iterable[str]) -> Callable[[str], bool]:
    """Make what tells whether a Content-Type field has one of the types.

    Args:
        media_types: like ``text/html``, ``text/*``, ``*/*+json`` or ``*/*``.

    Raises:
        ValueError: what is no media type.
    """
    wanted = frozenset(media_type.lower() for media_type in media_types)
    for media_type in wanted:
        if media_type.count("/") != 1 or ";" in media_type or " " in media_type:
            raise ValueError(f"{media_type!r} in media_types is no media type: expected one like text/html or text/*")
    known: dict[str, bool] = {}

    def match(field: str) -> bool:
        found = known.get(field)
        if found is None:
            found = not wanted.isdisjoint(_list_patterns(field))
            if len(known) < _REMEMBERED:
                known[field] = found
        return found

    return match


def _list_patterns(field: str) -> tuple[str, ...]:
    """List what a Content-Type field may be named by."""
    media_type = field.partition(";")[0].strip().lower()
    kind = media_type.partition("/")[0]
    suffix = media_type.rpartition("+")[2] if "+" in media_type else ""
    return media_type, f"{kind}/*", "*/*", *((f"*/*+{suffix}", f"{kind}/*+{suffix}") if suffix else ())
