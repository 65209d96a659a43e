"""What the router found for a request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from corelet import web
from corelet.abc import AbstractMatchInfo, Handler

from .route import MethodRoute

#: Stands for a route where there is none: one object, since the pipeline keeps a callable for each.
_NO_ROUTE: Final = object()


class MethodMatch(AbstractMatchInfo, Mapping[str, str]):
    """A route with the values of its variables, which it is a mapping of.

    Args:
        route: the route.
        values: of its variables, in their order.
        apps: the applications on the way.
    """

    __slots__ = ("_apps", "_current_app", "_route", "_values")

    def __init__(self, route: MethodRoute, values: Sequence[str], apps: tuple[Any, ...]) -> None:
        self._route = route
        self._values = dict(zip(route.names, values, strict=True))
        self._apps = apps
        self._current_app: Any = None

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def handler(self) -> Handler:
        """The route's handler."""
        return self._route.handler

    @property
    def expect_handler(self) -> Callable[[Any], Awaitable[Any]] | None:
        """None: the kernel sends 100."""
        return None

    @property
    def http_exception(self) -> web.HTTPException | None:
        """None: something matched."""
        return None

    @property
    def route(self) -> Any:
        """The route."""
        return self._route

    def get_info(self) -> dict[str, Any]:
        """Facts about the route."""
        return dict(self._route.get_info())

    @property
    def apps(self) -> tuple[Any, ...]:
        """The applications on the way, outermost first."""
        return self._apps

    def add_app(self, app: Any) -> None:
        """Put an application before the others."""
        self._apps = (app, *self._apps)

    @property
    def current_app(self) -> Any:
        """The application that is at work; the innermost one unless set."""
        return self._apps[-1] if self._current_app is None else self._current_app

    @current_app.setter
    def current_app(self, app: Any) -> None:
        self._current_app = app


class NoMatch(MethodMatch):
    """No route: 405 where the path has other methods, else 404.

    Args:
        method: of the request.
        allowed: methods that the path has.
        apps: the applications on the way.
    """

    __slots__ = ("_exception",)

    def __init__(self, method: str, allowed: Iterable[str], apps: tuple[Any, ...]) -> None:
        self._values = {}
        self._apps = apps
        self._current_app = None
        methods = sorted(allowed)
        self._exception = web.HTTPMethodNotAllowed(method, methods) if methods else web.HTTPNotFound()

    @property
    def handler(self) -> Handler:
        """What raises the error."""
        return _refuse

    @property
    def http_exception(self) -> web.HTTPException:
        """The error."""
        return self._exception

    @property
    def route(self) -> Any:
        """What stands for a route."""
        return _NO_ROUTE

    def get_info(self) -> dict[str, Any]:
        """Facts about the error."""
        return {"http_exception": self._exception}


async def _refuse(request: web.Request) -> web.StreamResponse:
    # One function for all, as there is one route: the error is the request's own.
    match = request.match_info
    assert isinstance(match, NoMatch)
    raise match.http_exception
