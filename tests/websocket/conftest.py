"""What the tests of WebSockets share."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

import pytest

from corelet import web
from corelet_websocket import ClientWebSocketResponse
from tests.conftest import Serve, Served
from tests.websocket.opener import open_websocket

Open = Callable[..., Awaitable[ClientWebSocketResponse]]


def _has_fast() -> bool:
    return importlib.util.find_spec("corelet_websocket._fast") is not None


@pytest.fixture(params=["pure", pytest.param("fast", marks=pytest.mark.skipif(not _has_fast(), reason="not built"))])
def frames(request: pytest.FixtureRequest) -> ModuleType:
    """Give each twin."""
    return importlib.import_module(f"corelet_websocket._{request.param}")


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Give what opens our client's WebSocket to something served; closed at the end of the test."""
    sockets: list[ClientWebSocketResponse] = []

    async def open_one(served: Served, path: str = "/", **options: Any) -> ClientWebSocketResponse:
        ws = await open_websocket(served.port, path, **options)
        sockets.append(ws)
        return ws

    yield open_one
    for ws in sockets:
        await ws.close()


@pytest.fixture
def serve_ws(serve: Serve) -> Callable[..., Awaitable[Served]]:
    """Give what serves one handler with an open WebSocket; ``options`` are the response's."""

    async def start(talk: Callable[[web.WebSocketResponse], Awaitable[None]], **options: Any) -> Served:
        server_options = {name: options.pop(name) for name in ("shutdown_timeout", "ssl_context") if name in options}

        async def handle(request: web.Request) -> web.StreamResponse:
            ws = web.WebSocketResponse(**options)
            await ws.prepare(request)
            await talk(ws)
            return ws

        return await serve(web.Application(handler=handle), access_log=None, **server_options)

    return start


async def echo(ws: web.WebSocketResponse) -> None:
    """Send everything back."""
    async for message in ws:
        if message.type is web.WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is web.WSMsgType.BINARY:
            await ws.send_bytes(message.data)
