"""Match infos: what the dispatcher found for one request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from corelet.abc import AbstractMatchInfo, Handler
from corelet.web import HTTPException, HTTPMethodNotAllowed, HTTPNotFound

from .method_route import METHOD_NOT_ALLOWED, NOT_FOUND, AbstractRoute


class UrlMappingMatchInfo(dict[str, str], AbstractMatchInfo):
    """The route found for a request, and the values of its variables as a dict.

    One is made for each request: an application, a middleware or a handler may change it.

    Args:
        match_dict: decoded values by the names of the pattern's variables.
        route: the route that answers.
        apps: the applications on the way to the handler, outermost first.
    """

    __slots__ = ("_current_app", "apps", "route")

    #: The route that answers.
    route: AbstractRoute
    #: The applications on the way to the handler, outermost first.
    apps: tuple[Any, ...]

    def __init__(self, match_dict: Mapping[str, str], route: AbstractRoute, apps: tuple[Any, ...] = ()) -> None:
        # Not super().__init__(): a call for nothing where a path has no variables, which is most of them.
        if match_dict:
            self.update(match_dict)
        self.route = route
        self.apps = apps
        self._current_app: Any = None

    @property
    def handler(self) -> Handler:
        """The handler as it was registered, without middlewares."""
        return self.route.handler

    @property
    def expect_handler(self) -> Callable[[Any], Awaitable[Any]] | None:
        """Answers ``Expect: 100-continue`` before the handler runs; None for the kernel's."""
        return self.route.expect_handler

    @property
    def http_exception(self) -> HTTPException | None:
        """The exception that answers where no route matched; None here."""
        return None

    def get_info(self) -> dict[str, Any]:
        """Facts about the match, as :meth:`AbstractRoute.get_info` has them."""
        return self.route.get_info()

    def add_app(self, app: Any) -> None:
        """Put an application before those in :attr:`apps`; a router of an outer application calls it."""
        self.apps = (app, *self.apps)

    @property
    def current_app(self) -> Any:
        """The application whose middleware or handler runs now; the innermost one unless set.

        Raises:
            RuntimeError: no application was added yet.
        """
        if self._current_app is not None:
            return self._current_app
        if not self.apps:
            raise RuntimeError(f"{self!r} belongs to no application yet: the application adds itself after resolve()")
        return self.apps[-1]

    @current_app.setter
    def current_app(self, app: Any) -> None:
        self._current_app = app

    def __repr__(self) -> str:
        return f"<MatchInfo {dict.__repr__(self)}: {self.route!r}>"


class _Unmatched(UrlMappingMatchInfo):
    """No route was found; the exception that says so is made when first asked for."""

    __slots__ = ("_exception",)

    def __init__(self, route: AbstractRoute, apps: tuple[Any, ...]) -> None:
        super().__init__({}, route, apps)
        self._exception: HTTPException | None = None

    @property
    def http_exception(self) -> HTTPException:
        """The exception that :attr:`handler` raises; the same one each time."""
        if self._exception is None:
            self._exception = self._make_exception()
        return self._exception

    @abstractmethod
    def _make_exception(self) -> HTTPException: ...

    def get_info(self) -> dict[str, Any]:
        return {"http_exception": self.http_exception}

    def __repr__(self) -> str:
        return f"<MatchInfo: {self.route!r}>"


class NotFoundInfo(_Unmatched):
    """No resource has the path: 404. Source: RFC 9110 section 15.5.5."""

    __slots__ = ()

    def __init__(self, apps: tuple[Any, ...] = ()) -> None:
        super().__init__(NOT_FOUND, apps)

    def _make_exception(self) -> HTTPException:
        return HTTPNotFound()


class MethodNotAllowedInfo(_Unmatched):
    """Resources have the path, none of them the method: 405 with Allow. Source: RFC 9110 section 15.5.6.

    Args:
        method: the method of the request.
        allowed_methods: the methods of all resources that have the path.
    """

    __slots__ = ("_allowed_methods", "_method")

    def __init__(self, method: str, allowed_methods: Iterable[str], apps: tuple[Any, ...] = ()) -> None:
        super().__init__(METHOD_NOT_ALLOWED, apps)
        self._method = method
        self._allowed_methods = sorted(allowed_methods)

    def _make_exception(self) -> HTTPException:
        return HTTPMethodNotAllowed(self._method, self._allowed_methods)
