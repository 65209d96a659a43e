"""A client of plain sockets: sends any bytes, and reads answers by a small parser of its own."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """One response as it came over the socket; names of fields are in lower case."""

    status: int
    reason: str
    version: str
    fields: list[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> str | None:
        """Return the first value of a field."""
        return next((value for key, value in self.fields if key == name.lower()), None)

    @property
    def text(self) -> str:
        return self.body.decode()


class RawClient:
    """One connection. Reads wait at most ``patience`` seconds, and fail then."""

    patience = 10.0

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes | str) -> None:
        """Send bytes, or text of Latin-1."""
        self.writer.write(data.encode("latin-1") if isinstance(data, str) else data)
        await self.writer.drain()

    async def send_split(self, data: bytes, step: int = 1) -> None:
        """Send bytes in pieces that arrive one by one."""
        for start in range(0, len(data), step):
            await self.send(data[start : start + step])
            await asyncio.sleep(0)

    async def get(self, target: str = "/", *, method: str = "GET", fields: str = "") -> Answer:
        """Send a request without a body and read its answer."""
        await self.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
        return await self.read_answer(is_head=method == "HEAD")

    async def read_answer(self, *, is_head: bool = False) -> Answer:
        """Read one response, interim ones too; EOFError (IncompleteReadError) where the peer closes before its end."""
        head = await self._within(self.reader.readuntil(b"\r\n\r\n"))
        start, *lines = head[:-4].decode("latin-1").split("\r\n")
        version, _, rest = start.partition(" ")
        code, _, reason = rest.partition(" ")
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        status = int(code)
        body = b"" if is_head or status < 200 or status in {204, 304} else await self._read_body(dict(fields))
        return Answer(status, reason, version, fields, body)

    async def read_answers(self, count: int) -> list[Answer]:
        """Read several responses."""
        return [await self.read_answer() for _ in range(count)]

    async def read_until_closed(self) -> bytes:
        """Read all that comes until the peer closes; a reset counts as closed."""
        pieces = []
        while True:
            try:
                piece = await self._within(self.reader.read(65536))
            except ConnectionError:
                piece = b""
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    async def read_until_quiet(self, seconds: float = 0.2) -> bytes:
        """Read all that comes until nothing came for a while, or the peer closes."""
        pieces = []
        while True:
            try:
                piece = await asyncio.wait_for(self.reader.read(65536), seconds)
            except (TimeoutError, ConnectionError):
                piece = b""
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    async def is_closed(self, seconds: float = 0.2) -> bool:
        """Whether the peer closes within this time, without sending more."""
        try:
            return not await asyncio.wait_for(self.reader.read(1), seconds)
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def send_eof(self) -> None:
        """Close the sending half."""
        self.writer.write_eof()

    def abort(self) -> None:
        """Go away by a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """Close the connection."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, OSError):
            return

    async def _read_body(self, fields: dict[str, str]) -> bytes:
        if "chunked" in fields.get("transfer-encoding", ""):
            return await self._read_chunked()
        if "content-length" in fields:
            return await self._within(self.reader.readexactly(int(fields["content-length"])))
        return await self._within(self.reader.read())

    async def _read_chunked(self) -> bytes:
        body = b""
        while True:
            line = await self._within(self.reader.readuntil(b"\r\n"))
            size = int(line.split(b";")[0], 16)
            if not size:
                await self._skip_trailers()
                return body
            body += (await self._within(self.reader.readexactly(size + 2)))[:-2]

    async def _skip_trailers(self) -> None:
        while await self._within(self.reader.readuntil(b"\r\n")) != b"\r\n":
            pass

    async def _within(self, reading):
        return await asyncio.wait_for(reading, self.patience)
