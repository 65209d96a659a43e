"""Freeze what an application and its plugins handed over: into slots, and one callable for each route.

Plugins are asked here and nowhere later: while a request is answered no hook is called. A slot is None or one callable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from .abc import ContentCoding, FormReader, Instrument, PrepareHook
from .error_renderer import make_error_renderer
from .errors import PluginConflictError
from .negotiation import HTTP_1_1

if TYPE_CHECKING:
    import logging

    from .abc import AbstractAccessLogger, AbstractMatchInfo, ConnectionFactory, Handler, Middleware
    from .app import Application
    from .plugins import PluginManager
    from .request import Request
    from .response import Response, StreamResponse

ErrorRenderer = Callable[[BaseException, Any], "Response"]
Wrapper = Callable[["Handler"], "Handler"]

_EVENTS: Final = (
    "connection_made",
    "connection_lost",
    "request_started",
    "request_finished",
    "request_refused",
)


class CodingRegistry:
    """Content codings by name; what ``corelet_register_codings`` gets."""

    def __init__(self) -> None:
        self._codings: dict[str, ContentCoding] = {}

    @property
    def codings(self) -> Mapping[str, ContentCoding]:
        """The codings registered so far."""
        return self._codings

    def add(self, coding: ContentCoding) -> None:
        """Register a coding under its name.

        Raises:
            PluginConflictError: the name is taken.
        """
        taken = self._codings.setdefault(coding.name, coding)
        if taken is not coding:
            raise PluginConflictError(f"content coding {coding.name!r} is registered twice: {taken!r} and {coding!r}")


class FormReaderRegistry:
    """Form readers by media type; what ``corelet_register_form_readers`` gets."""

    def __init__(self) -> None:
        self._readers: dict[str, FormReader] = {}

    @property
    def readers(self) -> Mapping[str, FormReader]:
        """The readers registered so far."""
        return self._readers

    def add(self, media_type: str, reader: FormReader) -> None:
        """Register the reader of a media type, in lower case; ``multipart/*`` is for those that have none of their own.

        Raises:
            PluginConflictError: the media type is taken.
        """
        taken = self._readers.setdefault(media_type, reader)
        if taken is not reader:
            raise PluginConflictError(f"media type {media_type!r} has two form readers: {taken!r} and {reader!r}")


class ProtocolRegistry:
    """Connection factories by ALPN id; what ``corelet_register_protocols`` gets."""

    def __init__(self) -> None:
        self._factories: dict[str, ConnectionFactory] = {}

    @property
    def factories(self) -> Mapping[str, ConnectionFactory]:
        """The factories registered so far, in their order."""
        return self._factories

    def add(self, alpn_id: str, factory: ConnectionFactory) -> None:
        """Register what makes the connection of a peer that chooses a protocol.

        Args:
            alpn_id: as registered with IANA: ``h2``; 1 to 255 bytes of ASCII.
            factory: takes the Server, returns an ``abc.NegotiatedConnection``.

        Raises:
            PluginConflictError: the id is taken, or is the kernel's own ``http/1.1``.
            ValueError: it can't be an ALPN id.
        """
        if not (alpn_id.isascii() and 0 < len(alpn_id) < 256):
            raise ValueError(f"ALPN id {alpn_id!r} is not 1 to 255 bytes of ASCII")
        if alpn_id == HTTP_1_1:
            raise PluginConflictError(f"ALPN id {alpn_id!r} is the kernel's own; {factory!r} can't have it")
        taken = self._factories.setdefault(alpn_id, factory)
        if taken is not factory:
            raise PluginConflictError(f"ALPN id {alpn_id!r} is registered twice: {taken!r} and {factory!r}")


class Slots:
    """What a server asks while it answers; a bare handler has these defaults.

    Attributes:
        prepare_response: runs before the head of every response, or None.
        render_error: makes a response of an error.
        access_logger: what a plugin logs by, or None for the server's own choice.
        protocols: what makes connections of TLS peers that choose them: ALPN id -> factory.
    """

    prepare_response: PrepareHook | None = None
    render_error: ErrorRenderer
    access_logger: AbstractAccessLogger | None = None
    protocols: Mapping[str, ConnectionFactory] = MappingProxyType({})
    connection_made: Callable[..., None] | None = None
    connection_lost: Callable[..., None] | None = None
    request_started: Callable[..., None] | None = None
    request_finished: Callable[..., None] | None = None
    request_refused: Callable[..., None] | None = None

    def __init__(self, debug: bool = False, report: Callable[[], Iterable[str]] | None = None) -> None:
        self.render_error = make_error_renderer(debug, report)

    @property
    def codings(self) -> Mapping[str, ContentCoding]:
        """Content codings by name."""
        return {}

    @property
    def form_readers(self) -> Mapping[str, FormReader]:
        """Form readers by media type."""
        return {}


class Pipeline(Slots):
    """The slots of an application, and the handler of its requests.

    Each application on the way of a request has its part in the answer: its middlewares, what its plugins wrap around
    routes and prepare responses by, and its error renderer. What watches connections and logs them is asked of the
    served application only.

    Args:
        app: the application, with everything registered. Those mounted in it are frozen.

    Attributes:
        prepare_hooks: what plugins of this application prepare responses by.
        error_renderer: what a plugin of this application renders errors by, or None.
    """

    def __init__(self, app: Application) -> None:
        super().__init__(app.debug, self._report_plugins)
        self._app = app
        self._manager: PluginManager = app.plugins
        self._chains: dict[Any, Handler] = {}
        self._codings: CodingRegistry | None = None
        self._form_readers: FormReaderRegistry | None = None
        self.prepare_hooks: list[PrepareHook] = self._manager.call_all("corelet_prepare_response", app=app)
        self.error_renderer: ErrorRenderer | None = self._manager.call_one("corelet_make_error_renderer", app=app)
        self._pipelines = {each: self if each is app else each.pipeline for each in app.iter_apps()}
        self.prepare_response = _make_prepare_hook(
            app, {each: its.prepare_hooks for each, its in self._pipelines.items()}
        )
        self.render_error = _make_renderer(
            {each: its.error_renderer for each, its in self._pipelines.items() if its.error_renderer is not None},
            self.error_renderer or self.render_error,
        )
        if not app.is_mounted:
            self.access_logger = self._manager.call_one("corelet_make_access_logger", app=app)
            self.protocols = self._ask_protocols()
            self._set_instruments()
        self.handle: Handler = self._make_handle()

    def _report_plugins(self) -> Iterable[str]:
        """Give the lines of an error page, in debug mode only: elsewhere no hook is called for a request."""
        for name, lines in self._manager.report(self._app):
            yield f"\nplugin {name}:"
            yield from (f"  {line}" for line in lines)

    def _ask_protocols(self) -> Mapping[str, ConnectionFactory]:
        registry = ProtocolRegistry()
        self._manager.call_all("corelet_register_protocols", protocols=registry, app=self._app)
        return registry.factories

    def _set_instruments(self) -> None:
        instruments = self._manager.call_all("corelet_instrument", app=self._app)
        for event in _EVENTS:
            setattr(self, event, _make_event_slot(event, instruments, self._app.logger))

    @property
    def codings(self) -> Mapping[str, ContentCoding]:
        """Content codings by name; plugins are asked when this is first read."""
        if self._codings is None:
            self._codings = CodingRegistry()
            self._manager.call_all("corelet_register_codings", codings=self._codings)
        return self._codings.codings

    @property
    def form_readers(self) -> Mapping[str, FormReader]:
        """Form readers by media type; plugins are asked when this is first read."""
        if self._form_readers is None:
            self._form_readers = FormReaderRegistry()
            self._manager.call_all("corelet_register_form_readers", readers=self._form_readers)
        return self._form_readers.readers

    def _make_handle(self) -> Handler:
        app = self._app
        routes = () if app.handler is not None else app.router.routes()
        self._wrappers = {route: self._ask_wrappers(route) for route in routes}
        self._error_wrappers = self._ask_wrappers(None)
        if app.handler is not None:
            return _wrap(_add_middlewares(app.handler, app.middlewares), self._error_wrappers)
        find = app.router.find
        chains = self._chains
        resolve_and_answer = self._resolve_and_answer

        def handle(request: Request) -> Awaitable[Any]:
            match = find(request)
            if match is None or request.head.expect_continue:
                return resolve_and_answer(request, match)
            request.match_info = match
            apps = match.apps
            handler = chains.get(match.route if len(apps) == 1 else (apps, match.route))
            return resolve_and_answer(request, match) if handler is None else handler(request)

        return handle

    async def _resolve_and_answer(self, request: Request, match: AbstractMatchInfo | None) -> StreamResponse:
        if match is None:
            match = await self._app.router.resolve(request)
        request.match_info = match
        if request.head.expect_continue and match.http_exception is None:
            refusal = await _answer_expectation(request, match)
            if refusal is not None:
                return refusal
        apps = match.apps
        key = match.route if len(apps) == 1 else (apps, match.route)
        handler = self._chains.get(key) or self._make_chain(key, match)
        response: StreamResponse = await handler(request)
        return response

    def _make_chain(self, key: Any, match: AbstractMatchInfo) -> Handler:
        """Put the layers of all applications around a handler; those without one cost its requests nothing."""
        route = match.route if match.http_exception is None else None
        innermost = inside = match.apps[-1]
        handler: Handler = match.handler
        for app in reversed(match.apps):
            pipeline = self._pipelines.get(app)  # a router may name an application that is not mounted
            wrappers = [] if pipeline is None else pipeline.find_wrappers(route)
            if not wrappers and not app.middlewares:
                continue
            if app is not inside:
                handler = _enter_app(inside, handler)
                inside = app
            handler = _wrap(_add_middlewares(handler, app.middlewares), wrappers)
        self._chains[key] = handler if inside is innermost else _enter_app(inside, handler)
        return self._chains[key]

    def find_wrappers(self, route: Any) -> list[Wrapper]:
        """Find what plugins of this application wrap around a route; None for the error route. Each is asked once."""
        if route is None:
            return self._error_wrappers
        if route not in self._wrappers:
            self._wrappers[route] = self._ask_wrappers(route)
        return self._wrappers[route]

    def _ask_wrappers(self, route: Any) -> list[Wrapper]:
        return self._manager.call_all("corelet_wrap_handler", app=self._app, route=route)


def _wrap(handler: Handler, wrappers: Iterable[Wrapper]) -> Handler:
    for wrapper in reversed(tuple(wrappers)):
        handler = wrapper(handler)
    return handler


def _add_middlewares(handler: Handler, middlewares: Iterable[Middleware]) -> Handler:
    for middleware in reversed(tuple(middlewares)):
        if not callable(middleware):
            raise TypeError(
                f"{middleware!r} in middlewares is no function: expected async (request, handler) -> response"
            )
        handler = _bind(middleware, handler)
    return handler


def _bind(middleware: Middleware, handler: Handler) -> Handler:
    # Bound by position, so that a middleware may name its parameters as it likes; no coroutine of our own between.
    return lambda request: middleware(request, handler)


def _enter_app(app: Any, handler: Handler) -> Handler:
    async def enter(request: Request) -> Any:
        match = request.match_info
        outer = match.current_app
        match.current_app = app
        try:
            return await handler(request)
        finally:
            match.current_app = outer

    return enter


async def _answer_expectation(request: Request, match: AbstractMatchInfo) -> StreamResponse | None:
    """Answer ``Expect: 100-continue`` by the route's own handler, or go on. Source: RFC 9110 section 10.1.1."""
    if match.expect_handler is not None:
        response: StreamResponse | None = await match.expect_handler(request)
        if response is not None:
            return response
    request.connection.send_continue()
    return None


def _make_prepare_hook(app: Application, hooks: Mapping[Any, Iterable[PrepareHook]]) -> PrepareHook | None:
    """Make what prepares a response: for each application on the way its plugins, then its ``on_response_prepare``."""
    if not any(hooks.values()) and not any(member.on_response_prepare for member in hooks):
        return None

    async def prepare(request: Request, response: StreamResponse) -> None:
        match = request.match_info
        if match is None or len(match.apps) == 1:
            await prepare_in(app, request, response)
            return
        inside = match.current_app
        try:
            for member in match.apps:
                match.current_app = member
                await prepare_in(member, request, response)
        finally:
            match.current_app = inside

    async def prepare_in(member: Application, request: Request, response: StreamResponse) -> None:
        for hook in hooks.get(member, ()):
            await hook(request, response)
        await member.on_response_prepare.send(request, response)

    return prepare


def _make_renderer(renderers: Mapping[Any, ErrorRenderer], otherwise: ErrorRenderer) -> ErrorRenderer:
    """Make what renders an error by the nearest application that has a renderer; the outermost one has the rest."""
    if not renderers:
        return otherwise

    def render(error: BaseException, request: Request | None) -> Response:
        match = None if request is None else request.match_info
        for member in reversed(match.apps if match is not None else ()):
            if member in renderers:
                return renderers[member](error, request)
        return otherwise(error, request)

    return render


def _make_event_slot(
    event: str, instruments: Iterable[Instrument], logger: logging.Logger
) -> Callable[..., None] | None:
    watchers = [
        getattr(instrument, event)
        for instrument in instruments
        if getattr(type(instrument), event) is not getattr(Instrument, event)
    ]
    if not watchers:
        return None

    def notify(*arguments: Any) -> None:
        for watch in tuple(watchers):
            try:
                watch(*arguments)
            except Exception:
                watchers.remove(watch)
                logger.exception("an instrument's %s failed and is called no more: %r", event, watch)

    return notify
