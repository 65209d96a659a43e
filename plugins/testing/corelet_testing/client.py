"""A client for tests: a session that knows its server."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from yarl import URL

from corelet import ClientSession, CookieJar

from .server import BaseTestServer, TestServer

if TYPE_CHECKING:
    from corelet import web
    from corelet.abc import AbstractCookieJar


class TestClient:
    """Ask a test server; an async context manager that starts and closes both.

    Addresses are paths on the server. ``get()``, ``post()`` and so on take what a ``ClientSession``'s do, and give
    the same.

    Args:
        server: the server.
        cookie_jar: keeps cookies; by default one that takes them of IP addresses, too.
        loop: taken for compatibility; the running loop is used.
        kwargs: for the ``ClientSession``.

    Raises:
        TypeError: the server is none.
    """

    __test__ = False

    def __init__(
        self,
        server: BaseTestServer,
        *,
        cookie_jar: AbstractCookieJar | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(server, BaseTestServer):
            raise TypeError(f"server is a TestServer or a RawTestServer, not {type(server).__name__}")
        self._server = server
        self._session = ClientSession(cookie_jar=CookieJar(unsafe=True) if cookie_jar is None else cookie_jar, **kwargs)
        self._closed = False

    async def __aenter__(self) -> Self:
        await self.start_server()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def start_server(self) -> None:
        """Start the server."""
        await self._server.start_server()

    async def close(self) -> None:
        """Close the session and the server; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._session.close()
        finally:
            await self._server.close()

    @property
    def server(self) -> BaseTestServer:
        """The server."""
        return self._server

    @property
    def app(self) -> web.Application | None:
        """The application that is served; None for a bare handler."""
        return self._server.app if isinstance(self._server, TestServer) else None

    @property
    def session(self) -> ClientSession:
        """The session."""
        return self._session

    @property
    def host(self) -> str:
        """Where the server listens."""
        return self._server.host

    @property
    def port(self) -> int | None:
        """Where the server listens; None before its start."""
        return self._server.port

    def make_url(self, path: str | URL) -> URL:
        """Make the address of a path; see :meth:`BaseTestServer.make_url`."""
        return self._server.make_url(path)

    def request(self, method: str, path: str | URL, **kwargs: Any) -> Any:
        """Send a request; see ``ClientSession.request``."""
        return self._session.request(method, self.make_url(path), **kwargs)

    def get(self, path: str | URL, **kwargs: Any) -> Any:
        """Send a GET request."""
        return self._session.get(self.make_url(path), **kwargs)

    def post(self, path: str | URL, **kwargs: Any) -> Any:
        """Send a POST request."""
        return self._session.post(self.make_url(path), **kwargs)

    def options(self, path: str | URL, **kwargs: Any) -> Any:
        """Send an OPTIONS request."""
        return self._session.options(self.make_url(path), **kwargs)

    def head(self, path: str | URL, **kwargs: Any) -> Any:
        """Send a HEAD request."""
        return self._session.head(self.make_url(path), **kwargs)

    def put(self, path: str | URL, **kwargs: Any) -> Any:
        """Send a PUT request."""
        return self._session.put(self.make_url(path), **kwargs)

    def patch(self, path: str | URL, **kwargs: Any) -> Any:
        """Send a PATCH request."""
        return self._session.patch(self.make_url(path), **kwargs)

    def delete(self, path: str | URL, **kwargs: Any) -> Any:
        """Send a DELETE request."""
        return self._session.delete(self.make_url(path), **kwargs)

    def ws_connect(self, path: str | URL, **kwargs: Any) -> Any:
        """Open a WebSocket; see ``ClientSession.ws_connect``."""
        return self._session.ws_connect(self.make_url(path), **kwargs)
