"""The application: state, signals, middlewares, and the ports that plugins fill.

OPEN -> RUNNING -> STOPPED. Everything may be registered while it is open, in ``on_startup`` handlers too. At the end
of :meth:`Application.startup` it is frozen into a pipeline. State may be set until then.
"""

from __future__ import annotations

import asyncio
import enum
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast, overload

from aiosignal import Signal
from frozenlist import FrozenList

from . import abc
from .errors import missing_plugin
from .limits import CLIENT_MAX_FIELDS, CLIENT_MAX_SIZE
from .pipeline import Pipeline
from .plugins import make_manager
from .request import Request
from .response import StreamResponse

if TYPE_CHECKING:
    from .keys import AppKey
    from .plugins import PluginManager

_T = TypeVar("_T")
_D = TypeVar("_D")
_F = TypeVar("_F", bound=Callable[..., Any])

_NOTHING: Final[Any] = object()
_HOW_TO_ROUTE: Final = (
    "a route is added by app.router.add_get(path, handler), or by web.RouteTableDef and app.add_routes"
)
#: What other frameworks' applications route by.
_ROUTING_NAMES: Final = frozenset(("post", "put", "patch", "delete", "head", "options", "route", "websocket"))

#: What answers a request, as an author of applications writes it; ``abc.Handler`` is what plugins take.
Handler = Callable[[Request], Awaitable[StreamResponse]]
#: What stands between, likewise: takes the request and the next handler.
Middleware = Callable[[Request, Handler], Awaitable[StreamResponse]]

_logger: Final = logging.getLogger("corelet.web")


class AppState(enum.Enum):
    """How far an application is."""

    OPEN = "open"
    FROZEN = "frozen"
    RUNNING = "running"
    STOPPED = "stopped"


class CleanupError(RuntimeError):
    """Several steps of a clean-up failed."""

    @property
    def exceptions(self) -> list[BaseException]:
        """What they raised, in order."""
        return cast("list[BaseException]", self.args[1])

    def __str__(self) -> str:
        return f"{self.args[0]}: {', '.join(map(repr, self.exceptions))}"


def middleware(function: _F) -> _F:
    """Mark a middleware, for readers; any ``async (request, handler) -> response`` is one."""
    return function


class Application(MutableMapping["str | AppKey[Any]", Any]):
    """An application: a mapping of its state, with signals, middlewares and a router.

    Args:
        logger: where errors of handlers go, default "corelet.web".
        router: finds the handler of a request; default what a routing plugin makes when :attr:`router` is first
            touched.
        middlewares: ``async (request, handler) -> response``, outermost first.
        handler_args: arguments for the server, such as ``limits``.
        client_max_size: bytes that ``request.read()`` takes, default 1,048,576; 0 for no limit.
        client_max_fields: fields that ``request.post()`` takes, default 1,000.
        loop: taken for compatibility; the running loop is used.
        debug: show tracebacks to peers; default False.
        handler: answers every request, in place of a router.
        plugins: modules, objects or entry-point names to use; default all that are installed.

    Raises:
        PluginLoadError: an installed plugin can't be used.
        TypeError: both handler and router.
    """

    def __init__(
        self,
        *,
        logger: logging.Logger = _logger,
        router: abc.AbstractRouter | None = None,
        middlewares: Iterable[abc.Middleware] = (),
        handler_args: Mapping[str, Any] | None = None,
        client_max_size: int = CLIENT_MAX_SIZE,
        client_max_fields: int = CLIENT_MAX_FIELDS,
        loop: asyncio.AbstractEventLoop | None = None,
        debug: bool = False,
        handler: abc.Handler | None = None,
        plugins: Iterable[Any] | None = None,
    ) -> None:
        if handler is not None and router is not None:
            raise TypeError("an application has a handler or a router, both were given")
        self.logger = logger
        self.debug = debug
        self.handler = handler
        self.handler_args: Mapping[str, Any] = dict(handler_args or {})
        self.client_max_size = client_max_size
        self.client_max_fields = client_max_fields
        self.plugins: PluginManager = make_manager(plugins)
        self._app_state = AppState.OPEN
        self._state: dict[str | AppKey[Any], Any] = {}
        self._router = router
        self._subapps: list[Application] = []
        self._is_mounted = False
        self._pipeline: Pipeline | None = None
        # What has been entered and is to be left again.
        self._contexts: list[AbstractAsyncContextManager[Any]] = []
        self._lifespans: list[AbstractAsyncContextManager[Any]] = []
        if callable(middlewares):
            raise TypeError(f"middlewares is a list of middlewares, got {middlewares!r} alone: put it into a list")
        self._middlewares: FrozenList[abc.Middleware] = FrozenList(middlewares)
        self._cleanup_ctx: FrozenList[Callable[[Application], Any]] = FrozenList()
        self._on_startup: Signal[Application] = Signal(self)
        self._on_shutdown: Signal[Application] = Signal(self)
        self._on_cleanup: Signal[Application] = Signal(self)
        self._on_response_prepare: Signal[Any, Any] = Signal(self)
        if router is not None:
            router.post_init(self)
        self.plugins.call_all("corelet_configure", app=self)

    # What may be registered.

    @property
    def router(self) -> Any:
        """What finds the handler of a request, an AbstractRouter.

        Any for type checkers, since a router's own methods are more than the port: ``add_get`` comes with routing.

        Raises:
            MissingPluginError: no routing plugin is installed.
            PluginConflictError: two plugins make one.
            RuntimeError: the application has a handler in place of a router.
        """
        if self._router is None:
            self._router = self._make_router()
        return self._router

    def _make_router(self) -> abc.AbstractRouter:
        if self.handler is not None:
            raise RuntimeError("an application made with a handler has no router")
        router: abc.AbstractRouter | None = self.plugins.call_one("corelet_make_router", app=self)
        if router is None:
            raise missing_plugin("app.router")
        router.post_init(self)
        return router

    def add_routes(self, routes: Iterable[Any]) -> list[Any]:
        """Add route definitions, such as a RouteTableDef; the routes made of them."""
        added: list[Any] = cast("Any", self.router).add_routes(routes)
        return added

    def add_subapp(self, prefix: str, subapp: Application) -> Any:
        """Mount an application under a path prefix; the resource that stands for it.

        The inner application starts and stops with this one. It takes routes until then.

        Args:
            prefix: starts with a slash: ``/api``.
            subapp: is open, and mounted nowhere else.

        Raises:
            MissingPluginError: no plugin mounts applications.
            RuntimeError: one of the two applications is frozen or was started.
            TypeError: ``subapp`` is no Application, or ``prefix`` no str.
            ValueError: the prefix is none, or the inner application is mounted already, or holds this one.
        """
        if not isinstance(prefix, str):
            raise TypeError(f"app.add_subapp takes a prefix like '/api', got {prefix!r}")
        if not prefix.startswith("/"):
            raise ValueError(
                f"{prefix!r} is no prefix: it starts with a slash, like '/api'; a domain goes to add_domain"
            )
        return self._mount("app.add_subapp", prefix, subapp)

    def add_domain(self, domain: str, subapp: Application) -> Any:
        """Mount an application under a domain; the resource that stands for it.

        The inner application starts and stops with this one. It takes routes until then.

        Args:
            domain: ``example.com``, also with a port; what more is possible the plugin says.
            subapp: is open, and mounted nowhere else.

        Raises:
            MissingPluginError: no plugin mounts applications.
            RuntimeError, TypeError, ValueError: as :meth:`add_subapp`.
        """
        if not isinstance(domain, str):
            raise TypeError(f"app.add_domain takes a domain like 'example.com', got {domain!r}")
        if not domain or domain.startswith("/"):
            raise ValueError(f"{domain!r} is no domain, like 'example.com'; a prefix goes to add_subapp")
        return self._mount("app.add_domain", domain, subapp)

    def _mount(self, port: str, where: str, subapp: Application) -> Any:
        self._check_is_open(port)
        self._check_can_hold(port, subapp)
        resource = self.plugins.call_one("corelet_mount", app=self, where=where, subapp=subapp)
        if resource is None:
            raise missing_plugin(port)
        subapp._is_mounted = True
        self._subapps.append(subapp)
        return resource

    def _check_can_hold(self, port: str, subapp: Application) -> None:
        if not isinstance(subapp, Application):
            raise TypeError(f"{port} takes an Application, got {subapp!r}")
        if any(app is self for app in subapp.iter_apps()):
            raise ValueError(f"{port} would mount {subapp!r} inside itself")
        if subapp.is_mounted:
            raise ValueError(f"{subapp!r} is mounted already: it has one place; make another application for {port}")
        if subapp.state is not AppState.OPEN:
            raise RuntimeError(f"{subapp!r} comes too late for {port}: an application is mounted before it starts")

    @property
    def is_mounted(self) -> bool:
        """Whether this application stands inside another one, which starts, serves and stops it."""
        return self._is_mounted

    @property
    def subapps(self) -> tuple[Application, ...]:
        """The applications mounted in this one."""
        return tuple(self._subapps)

    def iter_apps(self) -> Iterator[Application]:
        """This application and all mounted in it, outer ones first."""
        yield self
        for subapp in self._subapps:
            yield from subapp.iter_apps()

    @property
    def middlewares(self) -> FrozenList[abc.Middleware]:
        """What stands between server and handlers, outermost first."""
        return self._middlewares

    @property
    def on_startup(self) -> Signal[Application]:
        """Called with the application when it starts."""
        return self._on_startup

    @property
    def on_shutdown(self) -> Signal[Application]:
        """Called with the application when a stop has begun; answers in progress may still go on."""
        return self._on_shutdown

    @property
    def on_cleanup(self) -> Signal[Application]:
        """Called with the application when the last answer has ended."""
        return self._on_cleanup

    @property
    def on_response_prepare(self) -> Signal[Any, Any]:
        """Called with request and response before the head of every response is sent."""
        return self._on_response_prepare

    @property
    def cleanup_ctx(self) -> FrozenList[Callable[[Application], Any]]:
        """Async generator functions, or functions that return async context managers, around the application's life."""
        return self._cleanup_ctx

    # Its life.

    @property
    def state(self) -> AppState:
        """How far this application is."""
        return self._app_state

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop."""
        return asyncio.get_running_loop()

    @property
    def frozen(self) -> bool:
        """Whether nothing more can be registered."""
        return self._pipeline is not None

    @property
    def pipeline(self) -> Pipeline:
        """What answers requests; only once the application is frozen."""
        if self._pipeline is None:
            raise RuntimeError(f"{self!r} is not frozen: await app.startup() first, or serve it by an AppRunner")
        return self._pipeline

    def freeze(self) -> None:
        """Take no more registrations and make the pipeline; a second call does nothing."""
        if self._pipeline is not None:
            return
        for subapp in self._subapps:
            subapp.freeze()
        for registered in (
            self._middlewares,
            self._cleanup_ctx,
            self._on_startup,
            self._on_shutdown,
            self._on_cleanup,
            self._on_response_prepare,
        ):
            registered.freeze()
        if self.handler is None:
            self.router.freeze()
        self._pipeline = Pipeline(self)
        self._app_state = AppState.FROZEN

    async def startup(self) -> None:
        """Start: lifespans of plugins, contexts, ``on_startup``, mounted applications; then freeze.

        Contexts and lifespans that were entered, and mounted applications that were started, are left again where
        a later step fails; ``on_cleanup`` is called only after a whole start.

        Raises:
            RuntimeError: it was started before.
        """
        if self._app_state not in (AppState.OPEN, AppState.FROZEN):
            raise RuntimeError(f"{self!r} was started before: an application lives once")
        try:
            await self._start()
        except BaseException as exc:
            self._app_state = AppState.STOPPED
            for error in await self._leave(()):
                exc.add_note(f"and while what had been started was cleaned up: {error!r}")
            raise
        self._app_state = AppState.RUNNING

    async def _start(self) -> None:
        for lifespan in self.plugins.call_all("corelet_lifespan", app=self):
            await lifespan.__aenter__()
            self._lifespans.append(lifespan)
        self._cleanup_ctx.freeze()
        for function in self._cleanup_ctx:
            context = _make_context(function, self)
            await context.__aenter__()
            self._contexts.append(context)
        self._on_startup.freeze()
        for receiver in self._on_startup:
            await _call("on_startup", receiver, self)
        for subapp in self._subapps:
            await subapp.startup()
        self.freeze()

    async def shutdown(self) -> None:
        """Say that a stop has begun: ``on_shutdown``, outer applications first."""
        if self._app_state is not AppState.RUNNING:
            return
        for receiver in self._on_shutdown:
            await _call("on_shutdown", receiver, self)
        for subapp in self._subapps:
            await subapp.shutdown()

    async def cleanup(self) -> None:
        """Clean up, each step though another fails: inner applications, contexts in reverse, ``on_cleanup``, lifespans.

        Raises:
            CleanupError: several steps failed; one alone raises what it raised.
        """
        if self._app_state is not AppState.RUNNING:
            return
        self._app_state = AppState.STOPPED
        errors = await self._leave(self._on_cleanup)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise CleanupError(f"{len(errors)} steps of the clean-up failed", errors)

    async def _leave(self, receivers: Iterable[Callable[..., Awaitable[Any]]]) -> list[BaseException]:
        """End all that lives, each though another fails, and without showing one's error to another."""
        steps: list[Callable[[], Awaitable[Any]]] = [subapp.cleanup for subapp in reversed(self._subapps)]
        steps += [partial(context.__aexit__, None, None, None) for context in reversed(self._contexts)]
        steps += [partial(_call, "on_cleanup", receiver, self) for receiver in receivers]
        steps += [partial(lifespan.__aexit__, None, None, None) for lifespan in reversed(self._lifespans)]
        errors: list[BaseException] = []
        for step in steps:
            try:
                await step()
            except CleanupError as exc:
                errors += exc.exceptions
            # A step that waits for a task which it has cancelled ends like this too.
            except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001  # raised by the caller, when all has ended
                errors.append(exc)
        return errors

    # State.

    def _check_is_open(self, what: str) -> None:
        if self._app_state in (AppState.RUNNING, AppState.STOPPED) or self._pipeline is not None:
            raise RuntimeError(f"{what} on an application that has started: do it before, or in an on_startup handler")

    @overload
    def __getitem__(self, key: AppKey[_T]) -> _T: ...

    @overload
    def __getitem__(self, key: str) -> Any: ...

    def __getitem__(self, key: str | AppKey[_T]) -> Any:
        return self._state[key]

    @overload
    def __setitem__(self, key: AppKey[_T], value: _T) -> None: ...

    @overload
    def __setitem__(self, key: str, value: Any) -> None: ...

    def __setitem__(self, key: str | AppKey[_T], value: Any) -> None:
        self._check_is_open(f"setting {key!r}")
        self._state[key] = value

    def __delitem__(self, key: str | AppKey[_T]) -> None:
        self._check_is_open(f"deleting {key!r}")
        del self._state[key]

    @overload  # type: ignore[override]  # the key's type gives the value's
    def get(self, key: AppKey[_T], default: None = None) -> _T | None: ...

    @overload
    def get(self, key: AppKey[_T], default: _D) -> _T | _D: ...

    @overload
    def get(self, key: str, default: Any = None) -> Any: ...

    def get(self, key: str | AppKey[_T], default: Any = _NOTHING) -> Any:
        """Get a value of the state, or ``default``.

        Raises:
            TypeError: it looks as if a route was meant.
        """
        if default is not _NOTHING:
            return self._state.get(key, default)
        if isinstance(key, str) and key.startswith("/") and key not in self._state:
            raise TypeError(f"app.get() gets a value of the application's state: {_HOW_TO_ROUTE}")
        return self._state.get(key)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in _ROUTING_NAMES:
                message = f"{type(self).__name__!r} object has no attribute {name!r}: {_HOW_TO_ROUTE}"
                raise AttributeError(message, name=name, obj=self)
            # The error of its own, which may be that of a property.
            return object.__getattribute__(self, name)

    def __len__(self) -> int:
        return len(self._state)

    def __iter__(self) -> Iterator[str | AppKey[Any]]:
        return iter(self._state)

    def __bool__(self) -> bool:
        return True

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._app_state.value} 0x{id(self):x}>"


async def _call(signal: str, receiver: Callable[..., Any], app: Application) -> None:
    called = receiver(app)
    if not inspect.isawaitable(called):
        raise TypeError(f"{receiver!r} in {signal} gave {called!r}, expected a coroutine: write it as async def")
    await called


def _make_context(context: Callable[[Application], Any], app: Application) -> AbstractAsyncContextManager[Any]:
    if inspect.isasyncgenfunction(context):
        return asynccontextmanager(cast("Callable[[Application], AsyncIterator[Any]]", context))(app)
    made = context(app)
    if hasattr(made, "__aenter__"):
        return cast("AbstractAsyncContextManager[Any]", made)
    if hasattr(made, "__anext__"):
        return asynccontextmanager(lambda _: cast("AsyncIterator[Any]", made))(app)
    if inspect.iscoroutine(made):
        made.close()
    raise TypeError(f"{context!r} in cleanup_ctx gave {made!r}, expected an async generator or async context manager")
