"""Servers for tests: an application or a bare handler, on a free port of the loopback interface."""

from __future__ import annotations

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from yarl import URL

from corelet import web

from .port import get_port_socket

if TYPE_CHECKING:
    import ssl

#: Seconds that handlers get to end when a test closes its server: one that hangs must not hang the tests.
SHUTDOWN_SECONDS: Final = 5.0


class BaseTestServer(ABC):
    """The base of servers for tests; an async context manager that starts and closes it.

    Args:
        scheme: of addresses; by default "https" where :meth:`start_server` gets an SSL context, else "http".
        loop: taken for compatibility; the running loop is used.
        host: to listen on.
        port: to listen on; a free one unless given.
        skip_url_asserts: let :meth:`make_url` take absolute URLs.
        socket_factory: makes the listening socket, of host, port and family.
        kwargs: for the ``web.Server``, such as ``deadlines``.
    """

    __test__ = False

    def __init__(
        self,
        *,
        scheme: str = "",
        loop: asyncio.AbstractEventLoop | None = None,
        host: str = "127.0.0.1",
        port: int | None = None,
        skip_url_asserts: bool = False,
        socket_factory: Callable[[str, int, socket.AddressFamily], socket.socket] = get_port_socket,
        **kwargs: Any,
    ) -> None:
        self.scheme = scheme
        self.host = host
        self.port = port
        self.skip_url_asserts = skip_url_asserts
        self.runner: web.BaseRunner | None = None
        self._socket_factory = socket_factory
        self._settings = kwargs
        self._root: URL | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.start_server()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def started(self) -> bool:
        """Whether it was started."""
        return self.runner is not None

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def server(self) -> web.Server | None:
        """The ``web.Server`` that runs; None before the start."""
        return None if self.runner is None else self.runner.server

    @property
    def handler(self) -> web.Server:
        """What makes connections, under aiohttp's name.

        Raises:
            RuntimeError: it was not started.
        """
        server = self.server
        if server is None:
            raise RuntimeError(f"{type(self).__name__} was not started: await start_server(), or use 'async with'")
        return server

    @abstractmethod
    def make_runner(self, **kwargs: Any) -> web.BaseRunner:
        """Make what runs the server."""

    async def start_server(
        self, loop: asyncio.AbstractEventLoop | None = None, *, ssl: ssl.SSLContext | None = None, **kwargs: Any
    ) -> None:
        """Start it; a second call does nothing.

        Args:
            loop: taken for compatibility.
            ssl: serve TLS by this context.
            kwargs: for the ``web.Server``; they win over those that the object was made with.
        """
        if self.runner is not None:
            return
        settings = {"shutdown_timeout": SHUTDOWN_SECONDS, **self._settings, **kwargs}
        self.runner = self.make_runner(**settings)
        await self.runner.setup()
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            sock = self._socket_factory(self.host, self.port or 0, family)
            await web.SockSite(self.runner, sock, ssl_context=ssl).start()
        except BaseException:
            await self.close()
            raise
        self.host, self.port = sock.getsockname()[:2]
        self.scheme = self.scheme or ("http" if ssl is None else "https")
        self._root = URL.build(scheme=self.scheme, host=self.host, port=self.port)

    def make_url(self, path: str | URL) -> URL:
        """Make the address of a path.

        Raises:
            RuntimeError: it was not started.
            ValueError: the path is an absolute URL.
        """
        if self._root is None:
            raise RuntimeError(f"{type(self).__name__} was not started: await start_server(), or use 'async with'")
        url = URL(path)
        if url.is_absolute():
            if not self.skip_url_asserts:
                raise ValueError(f"{str(path)!r} is an absolute URL, a path on this server is expected")
            return url
        if isinstance(path, URL):
            return self._root.join(url)
        # As it was given, dots and all: a test may want just that.
        return URL(f"{self._root.origin()}{path if path.startswith('/') else f'/{path}'}")

    async def close(self) -> None:
        """Stop it, and wait until all connections have ended; a second call does nothing."""
        if self.runner is not None and not self._closed:
            self._closed = True
            await self.runner.cleanup()


class TestServer(BaseTestServer):
    """Serve an application.

    Args:
        app: the application.
        scheme, host, port, kwargs: as of :class:`BaseTestServer`.
    """

    __test__ = False

    def __init__(
        self, app: web.Application, *, scheme: str = "", host: str = "127.0.0.1", port: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self.app = app

    def make_runner(self, **kwargs: Any) -> web.AppRunner:
        """Make what runs the application."""
        return web.AppRunner(self.app, **kwargs)


class RawTestServer(BaseTestServer):
    """Serve a bare handler.

    Args:
        handler: ``async (request) -> response``.
        scheme, host, port, kwargs: as of :class:`BaseTestServer`.
    """

    __test__ = False

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[Any]],
        *,
        scheme: str = "",
        host: str = "127.0.0.1",
        port: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(scheme=scheme, host=host, port=port, **kwargs)
        self._handler = handler

    def make_runner(self, *, shutdown_timeout: float = SHUTDOWN_SECONDS, **kwargs: Any) -> web.ServerRunner:
        """Make what runs the handler."""
        return web.ServerRunner(web.Server(self._handler, **kwargs), shutdown_timeout=shutdown_timeout)
