"""Other implementations as peers: websockets and aiohttp, both ways."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import aiohttp.web
import pytest
import websockets.asyncio.client
import websockets.asyncio.server
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from corelet_websocket import WSCloseCode
from tests.websocket.conftest import echo
from tests.websocket.opener import open_websocket

TEXTS = ("", "short", "é" * 3000, "x" * 200_000)
BLOCKS = (b"", b"\x00\xff" * 50, os.urandom(300_000))
COMPRESSIONS = [0, 15]


# Our server.


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_websockets_talks_to_our_server(serve_ws: Any, compression: Any) -> None:
    served = await serve_ws(echo, protocols=["chat"], heartbeat=5)
    connecting = websockets.asyncio.client.connect(
        f"ws://127.0.0.1:{served.port}/", compression=compression, subprotocols=["other", "chat"], proxy=None
    )
    async with connecting as peer:
        assert peer.subprotocol == "chat"
        assert bool(peer.protocol.extensions) is (compression is not None)
        for data in (*TEXTS, *BLOCKS):
            await peer.send(data)
            assert await peer.recv() == data
        await peer.send(["in ", "three ", "fragments"])
        assert await peer.recv() == "in three fragments"
        await asyncio.wait_for(await peer.ping(b"ping"), 5)
        await peer.close(4000, "bye")
    assert (peer.close_code, peer.close_reason) == (4000, "")


async def test_websockets_sees_why_our_server_ends(serve_ws: Any) -> None:
    served = await serve_ws(echo, max_msg_size=100)
    async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{served.port}/", proxy=None) as peer:
        await peer.send("x" * 101)
        with pytest.raises(ConnectionClosedError):
            await peer.recv()
    assert peer.close_code == WSCloseCode.MESSAGE_TOO_BIG

    async with websockets.asyncio.client.connect(f"ws://127.0.0.1:{served.port}/", proxy=None) as peer:
        await served.stop()
        with pytest.raises(ConnectionClosed):
            await peer.recv()
    assert (peer.close_code, peer.close_reason) == (1001, "the server is stopping")


@pytest.mark.parametrize("compress", COMPRESSIONS)
async def test_aiohttp_talks_to_our_server(serve_ws: Any, peer: aiohttp.ClientSession, compress: int) -> None:
    served = await serve_ws(echo, protocols=["chat"])
    async with peer.ws_connect(served.url, compress=compress, protocols=["chat"]) as ws:
        assert ws.protocol == "chat"
        assert ws.compress == compress
        for text in TEXTS:
            await ws.send_str(text)
            assert await ws.receive_str() == text
        for data in BLOCKS:
            await ws.send_bytes(data)
            assert await ws.receive_bytes() == data
        await ws.ping()
        assert await ws.close(code=4000)
    assert ws.close_code == 4000


# Our client.


@pytest.fixture
async def websockets_port() -> AsyncIterator[int]:
    async def handle(connection: Any) -> None:
        async for message in connection:
            if message == "fragments":
                await connection.send(["in ", "three ", "fragments"])
            else:
                await connection.send(message)

    async with websockets.asyncio.server.serve(handle, "127.0.0.1", 0, subprotocols=["chat"]) as server:
        yield next(iter(server.sockets)).getsockname()[1]


@pytest.mark.parametrize("compress", COMPRESSIONS)
async def test_our_client_talks_to_websockets(websockets_port: int, compress: int) -> None:
    async with await open_websocket(websockets_port, compress=compress, protocols=["chat"], heartbeat=5) as ws:
        assert ws.protocol == "chat"
        assert bool(ws.compress) is bool(compress)
        for text in TEXTS:
            await ws.send_str(text)
            assert await ws.receive_str(timeout=5) == text
        for data in BLOCKS:
            await ws.send_bytes(data)
            assert await ws.receive_bytes(timeout=5) == data
        await ws.send_str("fragments")
        assert await ws.receive_str(timeout=5) == "in three fragments"
        assert await ws.close(code=4000, message="bye")
    assert ws.close_code == 4000


@pytest.fixture
async def aiohttp_port() -> AsyncIterator[int]:
    async def handle(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        ws = aiohttp.web.WebSocketResponse(protocols=["chat"])
        await ws.prepare(request)
        async for message in ws:
            if message.type is aiohttp.WSMsgType.TEXT:
                await ws.send_str(message.data)
            else:
                await ws.send_bytes(message.data)
        return ws

    app = aiohttp.web.Application()
    app.router.add_get("/", handle)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize("compress", [0, 9, 15])
async def test_our_client_talks_to_aiohttp(aiohttp_port: int, compress: int) -> None:
    async with await open_websocket(aiohttp_port, compress=compress, protocols=["chat"]) as ws:
        assert ws.protocol == "chat"
        assert bool(ws.compress) is bool(compress)
        for text in TEXTS:
            await ws.send_str(text)
            assert await ws.receive_str(timeout=5) == text
        for data in BLOCKS:
            await ws.send_bytes(data)
            assert await ws.receive_bytes(timeout=5) == data
        assert await ws.close()
    assert ws.close_code == 1000
