"""One route: a method, a path and a handler."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from yarl import URL

from corelet.abc import Handler

if TYPE_CHECKING:
    from .router import MethodRouter

#: A method or another token. Source: RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class MethodRoute:
    """A method, a path and the handler of both; made by the router.

    Args:
        router: whose route it is.
        method: as peers send it, in upper case for the known ones.
        path: starts with a slash; a segment ``{name}`` is a variable.
        handler: a coroutine function, or what else returns an awaitable.

    Raises:
        TypeError: the handler can't be called.
        ValueError: the method is none, or the path is malformed.
    """

    def __init__(self, router: MethodRouter, method: str, path: str, handler: Handler) -> None:
        if not callable(handler):
            raise TypeError(f"the handler of {method} {path} is {handler!r}, expected a coroutine function")
        if not _TOKEN.fullmatch(method):
            raise ValueError(f"{method!r} is no method, like GET")
        self.method: Final = method
        self.path: Final = path
        self.handler: Final = handler
        #: Of the path: a word, decoded, or None for a variable.
        self.words: Final = tuple(_read_segment(segment, path) for segment in _split(path))
        #: Names of the variables, in order.
        self.names: Final = tuple(segment[1:-1] for segment in _split(path) if segment.startswith("{"))
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"path {path!r} has two variables of one name")
        self._router = router

    @property
    def full_path(self) -> str:
        """The path below what the router was moved below."""
        return f"{self._router.prefix}{self.path}"

    def get_info(self) -> Mapping[str, Any]:
        """Facts for people, as ``corelet routes`` shows them."""
        return {"path": self.full_path}

    def url_for(self, **values: str) -> URL:
        """Make the URL of the route.

        Args:
            values: of the variables.

        Raises:
            ValueError: a value is missing, empty, or not the path's.
        """
        if set(values) != set(self.names) or not all(values.values()):
            raise ValueError(f"{self!r} needs a value for each of {list(self.names)} and nothing else, got {values}")
        segments = self.full_path.split("/")
        filled = [values[each[1:-1]] if each.startswith("{") else unquote(each) for each in segments]
        return URL.build(path="/".join(quote(each, safe="") for each in filled), encoded=True)

    def __repr__(self) -> str:
        return f"<MethodRoute {self.method} {self.full_path}>"


def _split(path: str) -> list[str]:
    if not path.startswith("/"):
        raise ValueError(f"path {path!r} starts with no slash")
    return path.split("/")[1:]


def _read_segment(segment: str, path: str) -> str | None:
    """Read a segment of a path: its word, decoded; None for a variable."""
    if "{" not in segment and "}" not in segment:
        return unquote(segment)
    if not (segment.startswith("{") and segment.endswith("}") and segment[1:-1].isidentifier()):
        raise ValueError(f"segment {segment!r} of path {path!r} is neither a word nor a variable like {{name}}")
    return None
