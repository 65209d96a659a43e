"""An ASGI application below a prefix of a corelet application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from typing import Any, Final

from corelet import web

from .http_exchange import HttpExchange
from .interface import AsgiApplication
from .lifespan import Lifespan, LifespanMode, logger
from .resource import AsgiResource
from .scope import make_http_scope, make_websocket_scope
from .websocket_exchange import WebSocketExchange

#: Seconds that an application gets to start, and to stop.
LIFESPAN_SECONDS: Final = 60.0


class AsgiMount:
    """One application that is mounted: it answers requests, and lives as long as the application around it.

    Args:
        asgi: the application.
        prefix: where.
        lifespan: its life.
        shutdown_seconds: how long what goes on after an answer may take when the server stops; None for no limit.
        websocket_options: of each ``web.WebSocketResponse``.
        name: of the resource.

    Attributes:
        resource: what stands for it in the router.
    """

    def __init__(
        self,
        asgi: AsgiApplication,
        prefix: str,
        lifespan: Lifespan,
        *,
        shutdown_seconds: float | None,
        websocket_options: Mapping[str, Any],
        name: str | None,
    ) -> None:
        self._asgi = asgi
        self._lifespan = lifespan
        self._shutdown_seconds = shutdown_seconds
        self._websocket_options = dict(websocket_options)
        self._tasks: set[asyncio.Task[None]] = set()
        self.resource: Final = AsgiResource(prefix, self.handle, name=name)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request by the application."""
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._handle_websocket(request)
        exchange = HttpExchange(request)
        scope = make_http_scope(request, self.resource.canonical, self._lifespan.state)
        # A task of its own: what the application does after its answer does not hold up the connection's next request.
        task = asyncio.create_task(self._run(scope, exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait({task, exchange.completed}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task})
            raise
        if task.done():
            task.result()
        else:
            task.add_done_callback(_report)
        if exchange.response is None or not exchange.completed.done():
            raise await exchange.find_failure() or RuntimeError(
                f"{self._asgi!r} has returned before the end of its answer to {request!r}"
            )
        return exchange.response

    async def _run(self, scope: Any, exchange: HttpExchange) -> None:
        try:
            await self._asgi(scope, exchange.receive, exchange.send)
        finally:
            exchange.close()

    async def _handle_websocket(self, request: web.Request) -> web.StreamResponse:
        scope = make_websocket_scope(request, self.resource.canonical, self._lifespan.state)
        exchange = WebSocketExchange(request, self._websocket_options, scope)
        await exchange.check()
        try:
            await self._asgi(scope, exchange.receive, exchange.send)
        finally:
            exchange.close()
        return await exchange.find_response()

    async def start(self) -> None:
        """Start the application; raises as ``Lifespan.start``."""
        await self._lifespan.start()

    async def stop(self) -> None:
        """Let what goes on after answers end, or cancel it; then stop the application."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._shutdown_seconds)
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._lifespan.stop()

    def describe(self) -> str:
        """Say where it is, and what it is doing."""
        return f"{self.resource.canonical or '/'} -> {self._asgi!r}, running: {len(self._tasks)}"


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("an ASGI application has failed after its answer", exc_info=task.exception())


class AsgiMounts:
    """What is mounted in one application."""

    def __init__(self) -> None:
        self._mounts: list[AsgiMount] = []

    def __iter__(self) -> Iterator[AsgiMount]:
        return iter(self._mounts)

    def add(self, mount: AsgiMount) -> None:
        """Take one more."""
        self._mounts.append(mount)

    async def start(self, leaving: AsyncExitStack) -> None:
        """Start all; each is stopped when the stack is left."""
        for mount in self._mounts:
            await mount.start()
            leaving.push_async_callback(mount.stop)


ASGI_MOUNTS: Final = web.AppKey("asgi_mounts", AsgiMounts)


def mount_asgi(
    app: web.Application,
    prefix: str,
    asgi: AsgiApplication,
    *,
    lifespan: LifespanMode = "auto",
    startup_seconds: float | None = LIFESPAN_SECONDS,
    shutdown_seconds: float | None = LIFESPAN_SECONDS,
    websocket_options: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> AsgiResource:
    """Have an ASGI application answer for a prefix, and all below it.

    It is told the whole path, and the prefix as ``root_path``. Routes that were added before it win; so ``/`` after all
    routes has it answer what they don't. Request bodies are streamed: their limit is the application's affair.

    Args:
        app: the application around it, before it starts; it may itself be mounted in another one.
        prefix: a path without variables: ``/legacy``.
        asgi: the application, by ASGI 3.
        lifespan: "auto" for one that may have a lifespan, "on" for one that must, "off" to ask nothing.
        startup_seconds: how long its start may take; None for no limit.
        shutdown_seconds: how long its end may take, and before that what goes on after answers; None for no limit.
        websocket_options: for each ``web.WebSocketResponse``: ``heartbeat``, ``max_msg_size``, ``origins``.
        name: of the resource, whose ``url_for(path=...)`` makes addresses.

    Returns:
        The resource.

    Raises:
        RuntimeError: the application has started, or was made without this plugin.
        TypeError: ``asgi`` can't be called, or the application's router takes no resources.
        ValueError: the prefix is none, the name is taken, or an unknown ``lifespan``.
    """
    mounts = app.get(ASGI_MOUNTS)
    if mounts is None:
        raise RuntimeError(f"{app!r} was made without the plugin corelet-asgi: is it blocked, or not in plugins=?")
    if not callable(asgi):
        raise TypeError(f"{asgi!r} is no ASGI application: expected async (scope, receive, send)")
    if lifespan not in ("auto", "on", "off"):
        raise ValueError(f"lifespan is {lifespan!r}, expected 'auto', 'on' or 'off'")
    router = app.router
    if not isinstance(router, web.UrlDispatcher):
        raise TypeError(f"{router!r} takes no resources: mount_asgi() needs a web.UrlDispatcher")
    life = Lifespan(asgi, lifespan, startup_seconds, shutdown_seconds)
    mount = AsgiMount(
        asgi, prefix, life, shutdown_seconds=shutdown_seconds, websocket_options=websocket_options or {}, name=name
    )
    router.register_resource(mount.resource)
    mounts.add(mount)
    return mount.resource
