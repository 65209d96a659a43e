"""The resource that an application answers for: a prefix, and all below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from yarl import URL

from corelet import web
from corelet.abc import Handler

#: Characters of a path that need no percent-encoding. Source: RFC 3986 section 3.3, pchar, and the slash.
_PATH_CHARS = "/!$&'()*+,;=:@"


class AsgiResource(web.PrefixResource):
    """A prefix whose requests of all methods an ASGI application answers. Made by ``mount_asgi``.

    Args:
        prefix: a path without variables; ``/`` for every path.
        handler: answers requests.
        name: the key in the router; None for no name.

    Raises:
        ValueError: the prefix is none.
    """

    def __init__(self, prefix: str, handler: Handler, *, name: str | None = None) -> None:
        super().__init__(prefix, name=name)
        self._route = web.ResourceRoute("*", handler, self)

    def find(self, request: Any) -> tuple[web.UrlMappingMatchInfo, set[str]]:
        """Match a request: the router gives those that are below the prefix."""
        return web.UrlMappingMatchInfo({}, self._route), {"*"}

    async def resolve(self, request: Any) -> tuple[web.UrlMappingMatchInfo, set[str]]:
        """Match a request, as :meth:`find`."""
        return self.find(request)

    def url_for(self, *, path: str = "/") -> URL:  # type: ignore[override]  # the variable is a path
        """Make the address of a path of the application.

        Args:
            path: as the application knows it: ``/users/7``.
        """
        return URL.build(path=self.canonical + quote(path, safe=_PATH_CHARS), encoded=True)

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        yield self._route
