"""Route definitions: routes before there is an application to have them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

from corelet import web
from corelet.abc import AbstractView

from .method_route import METH_ANY, AbstractRoute, RouteHandler

if TYPE_CHECKING:
    import os

    from .dispatcher import UrlDispatcher

_HandlerT = TypeVar("_HandlerT", bound=RouteHandler)


class AbstractRouteDef(ABC):
    """What adds routes to a router later."""

    @abstractmethod
    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Add the routes to a router; return them."""


@dataclass(frozen=True, repr=False)
class RouteDef(AbstractRouteDef):
    """The definition of one route.

    Args:
        method: the method, or ``*`` for all.
        path: a path or a pattern, as described in :mod:`corelet_routing.pattern`.
        handler: a coroutine function, a callable object that returns an awaitable, or an AbstractView class.
        kwargs: further arguments of ``router.add_get`` if the method is GET, else of ``router.add_route``.
    """

    method: str
    path: str
    handler: RouteHandler
    kwargs: dict[str, Any] = field(default_factory=dict)

    def register(self, router: UrlDispatcher) -> list[AbstractRoute]:
        """Add the route to a router; HEAD with GET unless ``allow_head`` is false."""
        if self.method == "GET":
            return [router.add_get(self.path, self.handler, **self.kwargs)]
        return [router.add_route(self.method, self.path, self.handler, **self.kwargs)]

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in sorted(self.kwargs.items()))
        return f"<RouteDef {self.method} {self.path} -> {getattr(self.handler, '__name__', self.handler)!r}{arguments}>"


def route(method: str, path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """Define a route, with the arguments of ``router.add_route``."""
    return RouteDef(method, path, handler, kwargs)


def head(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """Define a route for HEAD; as :func:`route`."""
    return route("HEAD", path, handler, **kwargs)


def options(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """Define a route for OPTIONS; as :func:`route`."""
    return route("OPTIONS", path, handler, **kwargs)


def get(
    path: str,
    handler: RouteHandler,
    *,
    name: str | None = None,
    allow_head: bool = True,
    **kwargs: Any,
) -> RouteDef:
    """Define a route for GET, and for HEAD unless ``allow_head`` is false; as :func:`route`."""
    return route("GET", path, handler, name=name, allow_head=allow_head, **kwargs)


def post(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """Define a route for POST; as :func:`route`."""
    return route("POST", path, handler, **kwargs)


def put(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """Define a route for PUT; as :func:`route`."""
    return route("PUT", path, handler, **kwargs)


def patch(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """Define a route for PATCH; as :func:`route`."""
    return route("PATCH", path, handler, **kwargs)


def delete(path: str, handler: RouteHandler, **kwargs: Any) -> RouteDef:
    """Define a route for DELETE; as :func:`route`."""
    return route("DELETE", path, handler, **kwargs)


def view(path: str, handler: type[AbstractView], **kwargs: Any) -> RouteDef:
    """Define the route of a class-based view, which answers every method; as :func:`route`."""
    return route(METH_ANY, path, handler, **kwargs)


class RouteTableDef(Sequence[AbstractRouteDef]):
    """A table of route definitions, filled by decorators; ``app.add_routes(table)`` makes the routes.

    A decorator gives the handler back as it was, so that several may stand above one handler.
    """

    def __init__(self) -> None:
        self._items: list[AbstractRouteDef] = []

    @overload
    def __getitem__(self, index: int) -> AbstractRouteDef: ...

    @overload
    def __getitem__(self, index: slice) -> list[AbstractRouteDef]: ...

    def __getitem__(self, index: int | slice) -> AbstractRouteDef | list[AbstractRouteDef]:
        return self._items[index]

    def __iter__(self) -> Iterator[AbstractRouteDef]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __repr__(self) -> str:
        return f"<RouteTableDef count={len(self._items)}>"

    def route(self, method: str, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate the handler of a route; with the arguments of ``router.add_route``.

        Raises:
            TypeError: the path is no str, as where a decorator stands without its parentheses.
        """
        if not isinstance(path, str):
            raise TypeError(f"the path of a {method} route is a str, as in @routes.get('/'), not {path!r}")

        def define(handler: _HandlerT) -> _HandlerT:
            self._items.append(RouteDef(method, path, handler, kwargs))
            return handler

        return define

    def head(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a handler of HEAD; as :meth:`route`."""
        return self.route("HEAD", path, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a handler of GET, and of HEAD unless ``allow_head=False`` is given; as :meth:`route`."""
        return self.route("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a handler of POST; as :meth:`route`."""
        return self.route("POST", path, **kwargs)

    def put(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a handler of PUT; as :meth:`route`."""
        return self.route("PUT", path, **kwargs)

    def patch(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a handler of PATCH; as :meth:`route`."""
        return self.route("PATCH", path, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a handler of DELETE; as :meth:`route`."""
        return self.route("DELETE", path, **kwargs)

    def options(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a handler of OPTIONS; as :meth:`route`."""
        return self.route("OPTIONS", path, **kwargs)

    def view(self, path: str, **kwargs: Any) -> Callable[[_HandlerT], _HandlerT]:
        """Decorate a class-based view, which answers every method; as :meth:`route`."""
        return self.route(METH_ANY, path, **kwargs)

    def static(self, prefix: str, path: str | os.PathLike[str], **kwargs: Any) -> None:
        """Add a definition that serves the files of a directory below a prefix.

        The port of a plugin that exports ``web.StaticDef``, which gets these arguments and documents them.

        Raises:
            MissingPluginError: no plugin exports it.
        """
        self._items.append(web.StaticDef(prefix, path, kwargs))
