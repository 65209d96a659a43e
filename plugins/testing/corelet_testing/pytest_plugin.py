"""Fixtures for pytest, on pytest-asyncio or anyio as a test has it, and with the event loop that those give.

``usefixtures = no_leaks`` in pytest's configuration has every async test checked for leaks.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from .client import TestClient
    from .server import BaseTestServer, RawTestServer, TestServer


_Server = TypeVar("_Server", bound="BaseTestServer")


class Toolbox:
    """Start servers and clients, and close them when a test has ended."""

    def __init__(self, opened: AsyncExitStack) -> None:
        self._opened = opened

    async def start_server(self, app: Any, *, ssl: Any = None, **kwargs: Any) -> TestServer:
        """Serve an application."""
        from .server import TestServer

        return await self._start(TestServer(app, **kwargs), ssl)

    async def start_raw_server(self, handler: Any, *, ssl: Any = None, **kwargs: Any) -> RawTestServer:
        """Serve a bare handler."""
        from .server import RawTestServer

        return await self._start(RawTestServer(handler, **kwargs), ssl)

    async def _start(self, server: _Server, ssl: Any) -> _Server:
        self._opened.push_async_callback(server.close)
        await server.start_server(ssl=ssl)
        return server

    async def start_client(self, served: Any, **kwargs: Any) -> TestClient:
        """Serve an application, a handler or a server that may run already, and give its client."""
        from corelet import web

        from .client import TestClient
        from .server import BaseTestServer, RawTestServer, TestServer

        server = served
        if isinstance(served, web.Application):
            server = TestServer(served)
        elif not isinstance(served, BaseTestServer):
            server = RawTestServer(served)
        client = TestClient(server, **kwargs)
        self._opened.push_async_callback(client.close)
        await client.start_server()
        return client


def _make_fixtures(fixture: Callable[..., Any], runner: str) -> tuple[Any, Any]:
    """Make the fixtures of one runner, of functions of their own: pytest-asyncio marks the functions that it takes."""

    async def open_toolbox() -> AsyncIterator[Toolbox]:
        async with AsyncExitStack() as opened:
            yield Toolbox(opened)

    async def watch_leaks() -> AsyncIterator[None]:
        from .leak import LeakWatch

        watch = LeakWatch()
        yield
        await watch.check()

    return fixture(open_toolbox, name=f"corelet_toolbox_{runner}"), fixture(watch_leaks, name=f"corelet_leaks_{runner}")


corelet_toolbox_anyio, corelet_leaks_anyio = _make_fixtures(pytest.fixture, "anyio")

try:
    import pytest_asyncio
except ImportError:  # anyio alone
    pass
else:
    corelet_toolbox_asyncio, corelet_leaks_asyncio = _make_fixtures(pytest_asyncio.fixture, "asyncio")


def _find_runner(request: pytest.FixtureRequest) -> str | None:
    node = request.node
    function = getattr(node, "obj", None)
    # hypothesis puts a plain function around a coroutine function.
    if not (inspect.iscoroutinefunction(function) or hasattr(function, "hypothesis")):
        return None
    # anyio gives this fixture to each test that it runs.
    if "anyio_backend" in request.fixturenames:
        return "anyio"
    return "asyncio" if node.get_closest_marker("asyncio") is not None else None


def _get_toolbox(request: pytest.FixtureRequest) -> Toolbox:
    runner = _find_runner(request)
    if runner is None:
        raise pytest.UsageError(
            f"{request.node.nodeid} is no async test: mark it by pytest.mark.asyncio or pytest.mark.anyio"
        )
    toolbox: Toolbox = request.getfixturevalue(f"corelet_toolbox_{runner}")
    return toolbox


@pytest.fixture
def client_for(request: pytest.FixtureRequest) -> Callable[..., Awaitable[TestClient]]:
    """Give what starts a client.

    ``client = await client_for(app)``; it takes an application, a bare handler or a test server, and arguments for
    the ``ClientSession``.
    """
    return _get_toolbox(request).start_client


@pytest.fixture
def server_for(request: pytest.FixtureRequest) -> Callable[..., Awaitable[TestServer]]:
    """Give what serves an application, with ``ssl=`` over TLS.

    ``server = await server_for(app)``
    """
    return _get_toolbox(request).start_server


@pytest.fixture
def raw_server_for(request: pytest.FixtureRequest) -> Callable[..., Awaitable[RawTestServer]]:
    """Give what serves a bare handler, with ``ssl=`` over TLS.

    ``server = await raw_server_for(handler)``
    """
    return _get_toolbox(request).start_raw_server


@pytest.fixture
def unused_port() -> int:
    """Give a port that is free on 127.0.0.1."""
    from .port import unused_port

    return unused_port()


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> None:
    """Fail an async test that leaves a task, a socket, a connection or an error that nobody saw."""
    runner = _find_runner(request)
    if runner is not None:
        request.getfixturevalue(f"corelet_leaks_{runner}")
