"""The router: a tree of paths for each method.

A path finds one route, whatever the order in which routes were added: a word in its place goes before a variable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from corelet.abc import AbstractRouter, Handler

from .match import MethodMatch, NoMatch
from .route import MethodRoute
from .tree import Tree


class MethodRouter(AbstractRouter):
    """Find handlers in tables, method first. Routes are added until the application starts."""

    def __init__(self) -> None:
        super().__init__()
        self._apps: tuple[Any, ...] = ()
        self._routes: list[MethodRoute] = []
        self._trees: dict[str, Tree] = {}
        self._prefix: tuple[str, ...] = ()
        #: What all paths stand below; "" unless the application is mounted.
        self.prefix = ""

    def post_init(self, app: Any) -> None:
        """Take the application."""
        self._apps = (app,)

    # Routes.

    def add_route(self, method: str, path: str, handler: Handler) -> MethodRoute:
        """Add a route.

        Args:
            method: as peers send it.
            path: starts with a slash; a segment ``{name}`` is a variable.
            handler: a coroutine function.

        Raises:
            RuntimeError: the application has started.
            TypeError: the handler can't be called.
            ValueError: method or path is malformed, or another route answers the same requests.
        """
        if self.frozen:
            raise RuntimeError(f"{method} {path} comes too late: routes are added before the application starts")
        route = MethodRoute(self, method, path, handler)
        self._trees.setdefault(method, Tree()).add(route)
        self._routes.append(route)
        return route

    def add_table(self, table: Mapping[str, Mapping[str, Handler]]) -> list[MethodRoute]:
        """Add the routes of a table, method -> path -> handler; raises as :meth:`add_route`."""
        return [
            self.add_route(method, path, handler)
            for method, handlers in table.items()
            for path, handler in handlers.items()
        ]

    def get(self, path: str, handler: Handler) -> MethodRoute:
        """Add a route for GET; it answers HEAD too, unless that has a route of its own."""
        return self.add_route("GET", path, handler)

    def head(self, path: str, handler: Handler) -> MethodRoute:
        """Add a route for HEAD."""
        return self.add_route("HEAD", path, handler)

    def post(self, path: str, handler: Handler) -> MethodRoute:
        """Add a route for POST."""
        return self.add_route("POST", path, handler)

    def put(self, path: str, handler: Handler) -> MethodRoute:
        """Add a route for PUT."""
        return self.add_route("PUT", path, handler)

    def patch(self, path: str, handler: Handler) -> MethodRoute:
        """Add a route for PATCH."""
        return self.add_route("PATCH", path, handler)

    def delete(self, path: str, handler: Handler) -> MethodRoute:
        """Add a route for DELETE."""
        return self.add_route("DELETE", path, handler)

    def options(self, path: str, handler: Handler) -> MethodRoute:
        """Add a route for OPTIONS."""
        return self.add_route("OPTIONS", path, handler)

    def routes(self) -> Iterable[MethodRoute]:
        """All routes, in the order in which they were added."""
        return tuple(self._routes)

    def add_prefix(self, prefix: str) -> None:
        """Move all routes, later ones too, below a prefix."""
        if self.frozen:
            raise RuntimeError(f"{self!r} can't be moved below {prefix!r}: its application has started")
        self.prefix = f"{prefix}{self.prefix}"
        self._prefix = tuple(unquote(segment) for segment in self.prefix.split("/")[1:])

    # Looking for one.

    def find(self, request: Any) -> MethodMatch:
        """Find the match for a request, at once."""
        segments = [unquote(segment) for segment in request.match_path.split("/")[1:]]
        depth = len(self._prefix)
        if tuple(segments[:depth]) != self._prefix:
            return NoMatch(request.method, (), self._apps)
        # HEAD is what GET is, without the body. Source: RFC 9110 section 9.3.2.
        for method in (request.method, "GET") if request.method == "HEAD" else (request.method,):
            tree = self._trees.get(method)
            found = None if tree is None else tree.find(segments, depth)
            if found is not None:
                return MethodMatch(found[0], found[1], self._apps)
        allowed = {method for method, tree in self._trees.items() if tree.find(segments, depth) is not None}
        return NoMatch(request.method, allowed | {"HEAD"} if "GET" in allowed else allowed, self._apps)

    async def resolve(self, request: Any) -> MethodMatch:
        """Find the match for a request."""
        return self.find(request)

    def __repr__(self) -> str:
        return f"<MethodRouter {len(self._routes)} routes>"
