"""Resources: what a path leads to, with a route for each method.

A resource of one's own derives from :class:`AbstractResource`, or from :class:`PrefixResource` if it only answers
for paths below a prefix, and goes to ``router.register_resource``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, Final

from .match_info import UrlMappingMatchInfo
from .method_route import METH_ANY, AbstractRoute, ExpectHandler, ResourceRoute, RouteHandler, describe
from .pattern import Pattern, decode_path, requote

if TYPE_CHECKING:
    from yarl import URL

    from corelet.abc import AbstractMatchInfo

_GET_BRINGS_HEAD: Final = " (a GET route brings HEAD unless it has allow_head=False)"
#: A route, and the applications on the way to it, outermost first.
Certain = tuple[AbstractRoute, tuple[Any, ...]]


class AbstractResource(Sized, Iterable[AbstractRoute], ABC):
    """What paths lead to. Iterating gives its routes.

    Args:
        name: the key in the router; None for no name.
    """

    #: Whether the router tries it before all resources that don't, whenever it was registered: for what decides by more
    #: than the path, such as the host.
    goes_first: bool = False

    @property
    def certain(self) -> Mapping[str, Mapping[str, Certain]]:
        """Who answers paths without variables, by path and method; none by default. Asked once, after :meth:`freeze`.

        For resources that have all methods of their paths, like applications: the router then finds them by one look
        into a dict. Paths are whole ones, decoded as ``match_path`` is for patterns, and the answer depends on nothing
        but path and method.
        """
        return {}

    def __init__(self, *, name: str | None = None) -> None:
        self._name = name
        self._frozen = False

    @property
    def name(self) -> str | None:
        """The key in the router; None for no name."""
        return self._name

    @property
    def frozen(self) -> bool:
        """Whether it takes no more routes."""
        return self._frozen

    @property
    @abstractmethod
    def canonical(self) -> str:
        """The path, the pattern without its expressions, or the prefix: ``/users/{id}``."""

    @abstractmethod
    def url_for(self, **kwargs: str) -> URL:
        """Make a URL that leads here, of values for the variables."""

    @abstractmethod
    def add_prefix(self, prefix: str) -> None:
        """Move below a prefix.

        A router that looks the resource up already is told by ``unindex_resource`` before, ``index_resource`` after.

        Args:
            prefix: a path without variables: ``/api``.

        Raises:
            ValueError: it doesn't start with a slash, ends with one or holds a brace.
        """

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Facts about the resource for people."""

    def freeze(self) -> None:
        """Take no more routes; the router calls it when it is frozen."""
        self._frozen = True

    @abstractmethod
    def raw_match(self, path: str) -> bool:
        """Whether the resource was made of this very text, so that ``router.add_resource(path)`` gives it again."""

    def find(self, request: Any) -> tuple[AbstractMatchInfo | None, Collection[str]] | None:
        """Match a request at once, as :meth:`resolve`; None to have that awaited, as for every request by default.

        For resources that need not wait: a coroutine less for each request.
        """
        return None

    @abstractmethod
    async def resolve(self, request: Any) -> tuple[AbstractMatchInfo | None, set[str]]:
        """Match a request.

        Args:
            request: has ``method`` and ``match_path``.

        Returns:
            The match info, or None to leave the request to the resources registered later; and the methods that
            this resource has for the path, none if it doesn't have the path. Those make the Allow field of a 405.
        """


class Resource(AbstractResource):
    """A path or a pattern with a route for each method. Made by ``router.add_resource``.

    Args:
        name: as of :class:`AbstractResource`.
    """

    def __init__(self, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._routes: dict[str, ResourceRoute] = {}

    @property
    @abstractmethod
    def pattern(self) -> Pattern:
        """What paths are matched against."""

    @property
    def methods(self) -> Mapping[str, ResourceRoute]:
        """The routes by their methods; ``*`` answers those that have none of their own."""
        return self._routes

    def add_route(
        self,
        method: str,
        handler: RouteHandler,
        *,
        expect_handler: ExpectHandler | None = None,
    ) -> ResourceRoute:
        """Add a route.

        Args:
            method: the method, or ``*`` for all that have no route yet.
            handler: a coroutine function, a callable object that returns an awaitable, or an AbstractView class.
            expect_handler: a coroutine function that answers ``Expect: 100-continue``; None for the kernel's.

        Returns:
            The new route.

        Raises:
            RuntimeError: the application has started, or the method has a route.
            TypeError: a handler can't be awaited.
            ValueError: the method is no token.
        """
        route = ResourceRoute(method, handler, self, expect_handler=expect_handler)
        self.register_route(route)
        return route

    def register_route(self, route: ResourceRoute) -> None:
        """Add a route that was made elsewhere; raises as :meth:`add_route`."""
        if self.frozen:
            raise RuntimeError(f"{route!r} comes too late: routes are added before the application starts")
        taken = self._routes.get(route.method) or self._routes.get(METH_ANY)
        if taken is not None:
            raise RuntimeError(
                f"{describe(route.handler)} would never be called: {describe(taken.handler)} "
                f"answers {route.method} {self.canonical or '/'} already{_GET_BRINGS_HEAD * (route.method == 'HEAD')}"
            )
        self._routes[route.method] = route

    async def resolve(self, request: Any) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """Match a request, as :meth:`AbstractResource.resolve`."""
        values = self.pattern.match(decode_path(request.match_path))
        if values is None:
            return None, set()
        route = self._routes.get(request.method) or self._routes.get(METH_ANY)
        return None if route is None else UrlMappingMatchInfo(values, route), set(self._routes)

    def raw_match(self, path: str) -> bool:
        """Whether the pattern was written as this very text."""
        return self.pattern.text == path

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[ResourceRoute]:
        return iter(self._routes.values())

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r} "
        return f"<{type(self).__name__} {name}{self.canonical}>"


class PlainResource(Resource):
    """A path without variables.

    Args:
        path: the path; empty for ``/``, or for a prefix that is added later.
        name: as of :class:`AbstractResource`.

    Raises:
        ValueError: the path has variables or doesn't start with a slash.
    """

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._pattern = Pattern(path)
        if not self._pattern.is_plain:
            raise ValueError(f"{path!r} has variables: it makes a DynamicResource")

    @property
    def pattern(self) -> Pattern:
        """What paths are matched against."""
        return self._pattern

    @property
    def canonical(self) -> str:
        """The path as it was written."""
        return self._pattern.text

    def url_for(self, **kwargs: str) -> URL:
        """Make the URL of the path; there are no variables.

        Raises:
            TypeError: a value was given.
        """
        if kwargs:
            raise TypeError(f"{self!r} has no variables: {', '.join(kwargs)}")
        return self._pattern.build({})

    def add_prefix(self, prefix: str) -> None:
        """Move below a prefix, as :meth:`AbstractResource.add_prefix`."""
        self._pattern = Pattern(check_prefix(prefix) + self._pattern.text)

    def get_info(self) -> dict[str, Any]:
        """Facts: ``path``."""
        return {"path": self._pattern.text}


class DynamicResource(Resource):
    """A pattern with variables: ``/users/{id}``, ``/files/{path:.+}``.

    Args:
        path: the pattern, as described in :mod:`corelet_routing.pattern`.
        name: as of :class:`AbstractResource`.

    Raises:
        ValueError: the pattern is malformed; the message names it and the place.
    """

    def __init__(self, path: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._pattern = Pattern(path)

    @property
    def pattern(self) -> Pattern:
        """What paths are matched against."""
        return self._pattern

    @property
    def canonical(self) -> str:
        """The pattern without its expressions: ``/files/{path}``."""
        return self._pattern.formatter

    def url_for(self, **parts: str) -> URL:
        """Make the URL whose match gives these values.

        Args:
            **parts: a value for each variable, not percent-encoded; others are not used.

        Returns:
            A relative URL with an absolute path.

        Raises:
            KeyError: a variable has no value.
            TypeError: a value is not a str.
        """
        return self._pattern.build(parts)

    def add_prefix(self, prefix: str) -> None:
        """Move below a prefix, as :meth:`AbstractResource.add_prefix`."""
        self._pattern = Pattern(check_prefix(prefix) + self._pattern.text)

    def get_info(self) -> dict[str, Any]:
        """Facts: ``formatter``, and ``pattern``, the expression that matches decoded paths."""
        return {"formatter": self._pattern.formatter, "pattern": self._pattern.expression}


class PrefixResource(AbstractResource):
    """The base of what answers for a prefix and all below it: mounted applications, static files.

    The router calls :meth:`resolve` only for paths that are the prefix, or below it.

    Args:
        prefix: a path without variables: ``/static``; ``/`` or empty for every path.
        name: as of :class:`AbstractResource`.

    Raises:
        ValueError: the prefix doesn't start with a slash, ends with one or holds a brace.
    """

    def __init__(self, prefix: str, *, name: str | None = None) -> None:
        super().__init__(name=name)
        self._prefix = "" if prefix in ("", "/") else check_prefix(prefix)

    @property
    def canonical(self) -> str:
        """The prefix."""
        return self._prefix

    @property
    def segments(self) -> Sequence[str]:
        """The decoded segments of the prefix."""
        return decode_path(requote(self._prefix)).split("/")[1:]

    def covers(self, path: str) -> bool:
        """Whether a path is the prefix or below it.

        Args:
            path: ``request.match_path``.
        """
        start = ["", *self.segments]
        return decode_path(path).split("/")[: len(start)] == start

    def add_prefix(self, prefix: str) -> None:
        """Move below a prefix, as :meth:`AbstractResource.add_prefix`."""
        self._prefix = check_prefix(prefix) + self._prefix

    def get_info(self) -> dict[str, Any]:
        """Facts: ``prefix``."""
        return {"prefix": self._prefix}

    def raw_match(self, path: str) -> bool:
        """Whether ``add_resource`` gives it again: never, its routes are its own affair."""
        return False

    def __repr__(self) -> str:
        name = "" if self.name is None else f"{self.name!r} "
        return f"<{type(self).__name__} {name}{self._prefix or '/'}>"


def check_prefix(prefix: str) -> str:
    """Return a prefix if it is one; else raise ValueError."""
    if len(prefix) < 2 or not prefix.startswith("/") or prefix.endswith("/"):
        raise ValueError(f"{prefix!r} is no prefix: it starts with a slash, ends with none, and is not empty")
    if "{" in prefix or "}" in prefix:
        raise ValueError(f"{prefix!r} is no prefix: it can't have variables")
    return prefix
