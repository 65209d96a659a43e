"""Origins: which a policy names, and whether one is among them. Source: RFC 6454; HTML standard, section 7.1.1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

#: Says whether the pages of an origin are allowed.
OriginTest = Callable[[str], bool]

#: The origin of documents that have none: files, sandboxed frames.
NULL_ORIGIN: Final = "null"
#: Scheme, host and port as browsers write them: in lower case, without the scheme's own port.
_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://(\*\.)?(?:[a-z0-9_.-]+|\[[0-9a-f:.]+\])(:\d+)?")
_OWN_PORTS: Final = {"http": ":80", "https": ":443"}
_LABELS: Final = r"(?:[a-z0-9_-]+\.)+"


def make_origin_test(origins: Iterable[str]) -> OriginTest:
    """Make what tells whether an origin is listed.

    Args:
        origins: like ``https://example.org`` or ``http://localhost:3000``; ``https://*.example.org`` is every domain
            below example.org, of any depth, and not example.org itself; ``null`` is what has no origin.

    Raises:
        ValueError: something that no browser would say.
    """
    exact = set()
    masks = []
    for origin in origins:
        check_origin(origin)
        scheme, star, rest = origin.partition("*.")
        if star:
            masks.append(re.compile(re.escape(scheme) + _LABELS + re.escape(rest)))
        else:
            exact.add(origin)
    if not masks:
        return exact.__contains__
    return lambda origin: origin in exact or any(mask.fullmatch(origin) for mask in masks)


def check_origin(origin: str) -> None:
    """Refuse an origin that would never match."""
    if origin == NULL_ORIGIN:
        return
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        raise ValueError(
            f"{origin!r} is no origin: expected scheme, host and perhaps a port in lower case, without a path, like "
            "'https://example.org', or 'https://*.example.org'"
        )
    if match[3] is not None and match[3] == _OWN_PORTS.get(match[1]):
        raise ValueError(f"{origin!r} would never match: browsers leave out {match[3]!r}, the port of {match[1]!r}")
