"""Responses over real sockets: framing, fields, cookies, bodies of every kind, and what goes wrong."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from corelet import web
from corelet.server import Server

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


# Back-pressure.


async def _read_nothing(handler: Any, seconds: float = 0.5) -> list[int]:
    """Ask a handler by a peer that reads nothing; the sizes of the server's write buffers after a while."""
    server = Server(handler, access_log=None)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.connect(listening.sockets[0].getsockname())
        peer.sendall(GET)
        await asyncio.sleep(seconds)
        sizes = [connection.transport.get_write_buffer_size() for connection in server.connections]
    listening.close()
    await server.shutdown(1)
    return sizes


@pytest.mark.parametrize("size", [100, 10_000, 1_000_000])
async def test_a_084_stream_that_nobody_reads_is_held_up_after_little(size: int) -> None:
    sent = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100_000_000:
            sent += size
            await response.write(b"x" * size)
        return response

    buffered = await _read_nothing(handler)

    assert buffered
    assert buffered[0] <= 65536 + 17 * size
    assert sent < 20_000_000
