"""Serve an application until a signal asks to stop: the whole life of a process in one call."""

from __future__ import annotations

import asyncio
import builtins
import inspect
import logging
import os
import socket
from typing import TYPE_CHECKING, Any, Final

from .access_logger import DEFAULT_FORMAT, AccessLogger
from .limits import DEFAULT_DEADLINES, SHUTDOWN_SECONDS
from .runner import BACKLOG, AppRunner, BaseSite, GracefulExit, SockSite, TCPSite, UnixSite

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Iterable

    from .abc import AbstractAccessLogger
    from .app import Application

access_logger: Final = logging.getLogger("corelet.access")

_KEEPALIVE_SECONDS: Final = DEFAULT_DEADLINES.keepalive_seconds


def run_app(
    app: Application | Awaitable[Application],
    *,
    host: str | Iterable[str] | None = None,
    port: int | None = None,
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    sock: socket.socket | Iterable[socket.socket] | None = None,
    shutdown_timeout: float = SHUTDOWN_SECONDS,
    keepalive_timeout: float = _KEEPALIVE_SECONDS,
    ssl_context: ssl.SSLContext | None = None,
    print: Callable[..., None] | None = builtins.print,  # noqa: A002 -- the field's name for it
    backlog: int = BACKLOG,
    access_log_class: type[AbstractAccessLogger] = AccessLogger,
    access_log_format: str = DEFAULT_FORMAT,
    access_log: logging.Logger | None = access_logger,
    handle_signals: bool = True,
    reuse_address: bool | None = None,
    reuse_port: bool | None = None,
    handler_cancellation: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
    **kwargs: Any,
) -> None:
    """Serve an application until SIGINT, SIGTERM or :class:`GracefulExit` asks to stop.

    It returns when all is cleaned up: no more connections are accepted, answers in progress have ended, the
    application's ``on_shutdown`` and ``on_cleanup`` were called, leftover tasks were cancelled, and the
    loop is closed. A second signal doesn't wait for answers in progress. In asyncio's debug mode the access log goes to
    standard error, unless it has a handler.

    Args:
        app: the application, or what is awaited for it in the loop.
        host: names or addresses to listen on; None for all of this machine, unless ``path`` or ``sock`` is given.
        port: TCP port; 0 for a free one, None for 8080, or 8443 with TLS.
        path: Unix sockets to listen on; see :class:`UnixSite`.
        sock: sockets, bound already, to listen on.
        shutdown_timeout: seconds that answers in progress get to end; then their handlers are cancelled.
        keepalive_timeout: seconds from an answer to the next request on its connection.
        ssl_context: with it, all connections use TLS.
        print: what shows the addresses; None for silence.
        backlog: connections that wait in the kernel to be accepted.
        access_log_class: what writes the access log.
        access_log_format: in the codes of :class:`AccessLogger`.
        access_log: where it goes; None for nowhere.
        handle_signals: whether SIGINT and SIGTERM stop it gracefully.
        reuse_address: see :class:`TCPSite`.
        reuse_port: see :class:`TCPSite`.
        handler_cancellation: whether a handler is cancelled when its peer goes away.
        loop: what to run in, closed at the end; None for a new one, which follows the event loop policy. For uvloop
            give ``uvloop.new_event_loop()``: what happens to be installed never decides.
        **kwargs: more for the :class:`~corelet.server.Server`, such as ``limits`` and ``deadlines``.

    Raises:
        TypeError: an argument that the server doesn't know.
        ListenError: an address can't be listened on; an OSError.
        Exception: whatever the application raises at its start or clean-up.
    """
    runner_arguments = {
        "handle_signals": handle_signals,
        "shutdown_timeout": shutdown_timeout,
        "keepalive_timeout": keepalive_timeout,
        "access_log_class": access_log_class,
        "access_log_format": access_log_format,
        "access_log": access_log,
        "handler_cancellation": handler_cancellation,
        **kwargs,
    }

    def make_sites(runner: AppRunner) -> list[BaseSite]:
        shared: dict[str, Any] = {"ssl_context": ssl_context, "backlog": backlog}
        hosts = _list_hosts(host, port, has_other_place=path is not None or sock is not None)
        sites: list[BaseSite] = [
            TCPSite(runner, each, port, reuse_address=reuse_address, reuse_port=reuse_port, **shared) for each in hosts
        ]
        sites += [UnixSite(runner, each, **shared) for each in _list_paths(path)]
        sites += [SockSite(runner, each, **shared) for each in _list_socks(sock)]
        return sites

    with asyncio.Runner(loop_factory=lambda: loop or asyncio.new_event_loop()) as host_runner:
        own_loop = host_runner.get_loop()
        if own_loop.get_debug() and access_log is not None:
            show_access_log(access_log)
        serving = own_loop.create_task(_serve(app, runner_arguments, make_sites, print), name="corelet.run_app")
        _run_to_the_end(own_loop, serving)


async def _serve(
    app: Application | Awaitable[Application],
    runner_arguments: dict[str, Any],
    make_sites: Callable[[AppRunner], list[BaseSite]],
    show: Callable[..., None] | None,
) -> None:
    if inspect.isawaitable(app):
        app = await app
    runner = AppRunner(app, **runner_arguments)
    await runner.setup()
    try:
        for site in make_sites(runner):
            await site.start()
        if show is not None:
            names = ", ".join(sorted(site.name for site in runner.sites))
            show(f"======== Running on {names} ========\n(Press CTRL+C to quit)")
        await asyncio.get_running_loop().create_future()
    finally:
        await runner.cleanup()


def _run_to_the_end(loop: asyncio.AbstractEventLoop, serving: asyncio.Task[None]) -> None:
    """Run the task; each signal cancels what it waits for: first the serving, then the waiting for answers."""
    is_stopping = False
    while not serving.done():
        try:
            loop.run_until_complete(serving)
        except (GracefulExit, KeyboardInterrupt):
            is_stopping = True
            serving.cancel()
        except asyncio.CancelledError:
            if not is_stopping:
                raise
    # What stopped it may be its own: a start-up that asks for it. Asked for here, it is no exception that nobody saw.
    if not serving.cancelled():
        serving.exception()


def show_access_log(logger: logging.Logger) -> None:
    """Have the access log written: to standard error, unless it has a handler."""
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.DEBUG)
    if not logger.hasHandlers():
        logger.addHandler(logging.StreamHandler())


def _list_hosts(host: str | Iterable[str] | None, port: int | None, *, has_other_place: bool) -> Iterable[str | None]:
    if host is None:
        return () if has_other_place and port is None else (None,)
    return (host,) if isinstance(host, str) else host


def _list_paths(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None,
) -> Iterable[str | os.PathLike[str]]:
    if path is None:
        return ()
    return (path,) if isinstance(path, str | os.PathLike) else path


def _list_socks(sock: socket.socket | Iterable[socket.socket] | None) -> Iterable[socket.socket]:
    if sock is None:
        return ()
    return (sock,) if isinstance(sock, socket.socket) else sock
