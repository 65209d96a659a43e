"""The limit: a protocol on uvloop that finds ends of heads and answers fixed bytes, nothing more.

It also shows the least that a streamed body costs: an upload is counted and dropped, a download is written as the
transport asks for more. Content-Length only.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

import uvloop

from benchmarks.servers.arguments import BLOCK_BYTES, HELLO, Arguments, read_arguments

ANSWER: Final = (
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
    f"Content-Length: {len(HELLO)}\r\nServer: raw\r\n\r\n{HELLO}"
).encode()
END_OF_HEAD: Final = b"\r\n\r\n"


class RawProtocol(asyncio.Protocol):
    """Answer every head by the same bytes, unless it asks for a transfer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._kept = b""
        self._is_paused = False
        self._to_receive = 0
        self._to_send = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._to_receive:
            self._receive(len(data))
            return
        if self._kept:
            data = self._kept + data
            self._kept = b""
        heads = data.count(END_OF_HEAD)
        if data.startswith((b"PUT ", b"GET /download/")) and heads:
            self._start_transfer(data)
            return
        if heads:
            self.transport.write(ANSWER if heads == 1 else ANSWER * heads)
        if not data.endswith(END_OF_HEAD):
            self._kept = data[data.rfind(END_OF_HEAD) + len(END_OF_HEAD) :] if heads else data

    def _start_transfer(self, data: bytes) -> None:
        head, _, rest = data.partition(END_OF_HEAD)
        if head.startswith(b"GET "):
            self._to_send = int(head.split(b" ", 2)[1].rpartition(b"/")[2])
            self.transport.write(f"HTTP/1.1 200 OK\r\nContent-Length: {self._to_send}\r\n\r\n".encode())
            self.resume_writing()
            return
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        self._to_receive = int(length)
        self._receive(len(rest))

    def _receive(self, count: int) -> None:
        self._to_receive -= count
        if not self._to_receive:
            self.transport.write(ANSWER)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        block = bytes(BLOCK_BYTES)
        while self._to_send and not self._is_paused:
            self._to_send -= BLOCK_BYTES
            self.transport.write(block)
        if not self._to_send:
            self.transport.close()


async def serve(arguments: Arguments) -> None:
    server = await asyncio.get_running_loop().create_server(RawProtocol, "127.0.0.1", arguments.port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(read_arguments(__doc__.partition("\n")[0])))
