"""Routes: a method and the handler that answers it."""

from __future__ import annotations

import functools
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from corelet.abc import AbstractView, Handler

if TYPE_CHECKING:
    from yarl import URL

    from .resource import AbstractResource

#: The method of a route that answers every method.
METH_ANY: Final = "*"

#: What a route may be given to answer requests.
RouteHandler = Handler | type[AbstractView]
#: Answers ``Expect: 100-continue``: a response ends the request, None lets the handler run.
ExpectHandler = Callable[[Any], Awaitable[Any]]

# Source: RFC 9110 section 5.6.2, token.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class AbstractRoute(ABC):
    """A method and the handler that answers it.

    A route is hashable by identity and stays the same object for every request that it answers.

    Args:
        method: the method, or ``*`` for all; turned into upper case.
        handler: a coroutine function, a callable object that returns an awaitable, or an AbstractView class.
        expect_handler: a coroutine function that answers ``Expect: 100-continue``; None for the kernel's.
        resource: what holds the route.

    Raises:
        TypeError: the handler, or the expect handler, can't be awaited, or not be called with a request alone.
        ValueError: the method is no token.
    """

    def __init__(
        self,
        method: str,
        handler: RouteHandler,
        *,
        expect_handler: ExpectHandler | None = None,
        resource: AbstractResource | None = None,
    ) -> None:
        if not _TOKEN.fullmatch(method):
            raise ValueError(f"{method!r} is no HTTP method: a method is a token like 'GET', or '*' for all")
        _check_awaitable(handler, "handler")
        if expect_handler is not None:
            _check_awaitable(expect_handler, "expect handler")
        self._method = method.upper()
        self._handler = cast("Handler", handler)
        self._expect_handler = expect_handler
        self._resource = resource

    @property
    def method(self) -> str:
        """The method in upper case, or ``*``."""
        return self._method

    @property
    def handler(self) -> Handler:
        """The handler as it was registered."""
        return self._handler

    @property
    def expect_handler(self) -> ExpectHandler | None:
        """What answers ``Expect: 100-continue``; None for the kernel's."""
        return self._expect_handler

    @property
    def resource(self) -> AbstractResource | None:
        """What holds the route."""
        return self._resource

    @property
    @abstractmethod
    def name(self) -> str | None:
        """The name of the resource."""

    @abstractmethod
    def get_info(self) -> dict[str, Any]:
        """Facts about the route for people."""

    @abstractmethod
    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Make the URL of the route."""


class ResourceRoute(AbstractRoute):
    """A route of a resource.

    Args:
        method: as of :class:`AbstractRoute`.
        handler: as of :class:`AbstractRoute`.
        resource: what holds the route.
        expect_handler: as of :class:`AbstractRoute`.
    """

    def __init__(
        self,
        method: str,
        handler: RouteHandler,
        resource: AbstractResource,
        *,
        expect_handler: ExpectHandler | None = None,
    ) -> None:
        super().__init__(method, handler, expect_handler=expect_handler, resource=resource)
        self._of = resource

    @property
    def name(self) -> str | None:
        return self._of.name

    def get_info(self) -> dict[str, Any]:
        """Facts about the route: those of its resource."""
        return self._of.get_info()

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Make the URL of the route, as the resource makes it."""
        return self._of.url_for(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<ResourceRoute [{self.method}] {self._of!r} -> {self.handler!r}>"


class SystemRoute(AbstractRoute):
    """The route of every request that no resource answers, one object for each status.

    Its handler raises the ``http_exception`` of the request's match info.

    Args:
        status: 404 or 405.
        reason: the reason phrase.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(METH_ANY, _raise_http_exception)
        self.status = status
        self.reason = reason

    @property
    def name(self) -> None:
        return None

    def get_info(self) -> dict[str, Any]:
        """Facts about the route: its status and reason."""
        return {"status": self.status, "reason": self.reason}

    def url_for(self, *args: str, **kwargs: str) -> URL:
        """Raise RuntimeError: nothing leads here."""
        raise RuntimeError(f"{self!r} has no URL")

    def __repr__(self) -> str:
        return f"<SystemRoute {self.status}: {self.reason}>"


async def _raise_http_exception(request: Any) -> Any:
    raise request.match_info.http_exception


def _check_awaitable(handler: Any, role: str) -> None:
    """Refuse what can't be awaited now rather than at the first request."""
    if not callable(handler):
        raise TypeError(f"{role} {handler!r} is not callable: it must be a coroutine function")
    if isinstance(handler, type):
        if not hasattr(handler, "__await__"):
            raise TypeError(f"{role} {describe(handler)} is a class that can't be awaited: derive it from web.View")
    elif _is_plain_function(handler):
        raise TypeError(
            f"{role} {describe(handler)} is a plain function: write 'async def'; "
            "a function that returns an awaitable says so by functools.wraps or inspect.markcoroutinefunction"
        )
    elif inspect.isfunction(handler) or inspect.ismethod(handler):
        _check_arguments(handler, role)


def _check_arguments(function: Callable[..., Any], role: str) -> None:
    # What is called is the outermost function, whatever it wraps.
    try:
        inspect.signature(function, follow_wrapped=False).bind("the request")
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{role} {describe(function)} can't be called with the request alone: {error}; "
            "values of the path are in request.match_info"
        ) from None


def _is_plain_function(handler: object) -> bool:
    inner = handler
    while isinstance(inner, functools.partial):
        inner = inner.func
    return inspect.isroutine(inner) and not any(
        inspect.iscoroutinefunction(function) for function in (handler, inner, inspect.unwrap(inner))
    )


def describe(thing: Any) -> str:
    """Name a function or a class as its importer would."""
    return f"{thing.__module__}.{thing.__qualname__}" if hasattr(thing, "__qualname__") else repr(thing)


NOT_FOUND: Final = SystemRoute(404, "Not Found")
METHOD_NOT_ALLOWED: Final = SystemRoute(405, "Method Not Allowed")
