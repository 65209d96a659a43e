"""A server that answers its first request with the bytes of a case, and every later one with a plain ``R2``."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import zlib
from typing import Any, Self

from yarl import URL

SECOND = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nR2"
_ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

Case = dict[str, Any]


def read_payload(case: Case) -> bytes:
    """Give the bytes that a case answers with."""
    if "send" in case:
        return case["send"].encode("latin-1")
    return zlib.decompress(base64.b64decode(case["send_z"]))


class HostileServer:
    """Serves one case.

    Args:
        case: the answer and its options: ``keep`` leaves the connection open, ``late`` are bytes that come when
            the client has read the first answer, ``loop`` gives the answer to every request.
    """

    def __init__(self, case: Case) -> None:
        self.case = case
        self.options = case.get("opts", {})
        #: Number of the connection, and head, of each request.
        self.seen: list[tuple[int, bytes]] = []
        #: To be set when the first answer is read.
        self.is_read = asyncio.Event()
        self.is_late_sent = asyncio.Event()
        self._writers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 22)
        self.url = URL.build(scheme="http", host="127.0.0.1", port=self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._server.close()
        self.is_read.set()
        for writer in self._writers.values():
            writer.transport.abort()
        await asyncio.gather(*self._writers)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        number = len({number for number, _ in self.seen}) + 1
        self._writers[task] = writer
        task.add_done_callback(self._writers.pop)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.seen.append((number, head))
                if not await self._answer(head, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer a request; whether the connection stays open."""
        if len(self.seen) > 1 and not self.options.get("loop"):
            writer.write(SECOND)
            return True
        writer.write(_fill_in(read_payload(self.case), head))
        await writer.drain()
        if late := self.options.get("late"):
            await self.is_read.wait()
            writer.write(late.encode("latin-1"))
            self.is_late_sent.set()
        is_redirect = self.case["id"].startswith("c-redir")
        return bool(self.options.get("keep") or self.options.get("loop") or is_redirect)


def _fill_in(payload: bytes, head: bytes) -> bytes:
    """Put the right Sec-WebSocket-Accept where a case wants it."""
    if b"{ACCEPT}" not in payload:
        return payload
    fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if line)
    names = [line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:")]
    assert b"sec-websocket-key" in fields
    key = names[0].partition(b":")[2].strip()
    return payload.replace(b"{ACCEPT}", base64.b64encode(hashlib.sha1(key + _ACCEPT_KEY).digest()))
