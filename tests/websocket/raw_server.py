"""A server of plain sockets that answers a handshake by any bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corelet_websocket.handshake import make_accept


@asynccontextmanager
async def serve_raw(answer: str) -> AsyncIterator[int]:
    """Answer the first request of each connection, ``{ACCEPT}`` filled in, and read until the peer ends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            key = next(line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Key"))
            writer.write(answer.replace("{ACCEPT}", make_accept(key)).encode("latin-1"))
            await reader.read()
        except ConnectionResetError:
            pass  # the client has aborted, as it should
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
