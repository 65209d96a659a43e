"""Opens a client's WebSocket by hand, as a client library would: a connection, a handshake, and the public function."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from multidict import CIMultiDict

from corelet_websocket import (
    ClientWebSocketResponse,
    PermessageDeflate,
    WebSocketClientHandshake,
    WebSocketExtensionFactory,
    open_client_websocket,
)


class HeadReader(asyncio.Protocol):
    """Reads the head of an answer, and stops."""

    def __init__(self) -> None:
        self.received = b""
        self.transport: Any = None
        self.complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if b"\r\n\r\n" in self.received and not self.complete.done():
            self.transport.pause_reading()
            self.complete.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.complete.done():
            self.complete.set_exception(exc or ConnectionResetError("closed before the answer was complete"))


def parse_head(head: bytes) -> tuple[int, CIMultiDict[str]]:
    status_line, *lines = head.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines)
    return int(status_line.split()[1]), CIMultiDict([(name, value.strip()) for name, _, value in fields])


async def open_websocket(
    port: int,
    path: str = "/",
    *,
    protocols: Iterable[str] = (),
    compress: int = 0,
    deflate: PermessageDeflate | None = None,
    extensions: Sequence[WebSocketExtensionFactory] = (),
    origin: str | None = None,
    fields: dict[str, str] | None = None,
    **options: Any,
) -> ClientWebSocketResponse:
    """Open a WebSocket to a server on 127.0.0.1; ``compress`` are window bits to offer, 0 for none."""
    if compress:
        deflate = PermessageDeflate(max_window_bits=compress)
    if deflate is not None:
        extensions = [deflate]
    handshake = WebSocketClientHandshake(protocols=protocols, extensions=extensions, origin=origin)
    transport, reader = await asyncio.get_running_loop().create_connection(HeadReader, "127.0.0.1", port)
    lines = [f"{name}: {value}\r\n" for name, value in {**handshake.headers, **(fields or {})}.items()]
    transport.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{''.join(lines)}\r\n".encode())
    try:
        await reader.complete
        head, _, rest = reader.received.partition(b"\r\n\r\n")
        handshake.check(*parse_head(head))
        return open_client_websocket(transport, handshake, rest=rest, **options)
    except BaseException:
        transport.abort()
        raise
