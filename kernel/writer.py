"""Write one body: framed by Content-Length, by the chunked coding or by the end of the connection."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from .abc import FILE_PIECE_BYTES, AbstractConnection, AbstractStreamWriter
from .errors import LocalProtocolError
from .wire import LAST_CHUNK, make_chunk_line, serialize_response_head

if TYPE_CHECKING:
    import io

    from multidict import CIMultiDict

    from .abc import AbstractEncoder, Channel

#: Up to here pieces are joined into one buffer: a copy is cheaper than another write.
JOIN_BYTES: Final = 65_536
#: From here parts are coded in another thread: 64 KiB take about a millisecond, that long the loop may wait.
THREAD_BYTES: Final = 65_536


class BodyWriter(AbstractStreamWriter):
    """Frame the body of one message and hand it to a connection.

    Args:
        channel: the connection to write to.
        length: bytes that the body has by its Content-Length; None when unknown.
        chunked: frame by the chunked coding. Source: RFC 9112 section 7.1.
        discard: take the body and send none of it: an answer to HEAD, or a 204 or 304. Source: RFC 9112 section 6.3.
        encoder: codes the content before it is framed. Each write is flushed, so that the peer can decode at once what
            it got: events stay live. Large parts are coded in the loop's default executor.
    """

    length: int | None

    def __init__(
        self,
        channel: Channel,
        *,
        length: int | None = None,
        chunked: bool = False,
        discard: bool = False,
        encoder: AbstractEncoder | None = None,
    ) -> None:
        self._channel = channel
        self._chunked = chunked
        self._discard = discard
        self._encoder = encoder
        self._encoder_lock = None if encoder is None else asyncio.Lock()
        self._is_torn = False
        self._is_ended = False
        self.length = length
        self.buffer_size = 0
        self.output_size = 0

    @property
    def is_ended(self) -> bool:
        """Whether :meth:`write_eof` was called."""
        return self._is_ended

    @property
    def discards(self) -> bool:
        """Whether the body is not sent, so that making it can be spared."""
        return self._discard

    @property
    def is_short(self) -> bool:
        """Whether bytes are missing that Content-Length has promised."""
        return bool(self.length) and not self._discard

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Send a part of the body; waits while the peer is behind.

        Raises:
            LocalProtocolError: the body would be longer than its Content-Length.
            ConnectionResetError: the peer has gone.
            RuntimeError: the body has ended already, or a part of it is lost since its write was cancelled.
        """
        data = self._count(chunk)
        if data and self._encoder is not None:
            await self._code(data, self._encoder, is_last=False)
        else:
            self._hand_over_content(data)
        if self._channel.is_writing_paused:
            await self._channel.drain()

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Send the last part and end the body; a second call does nothing.

        Raises:
            LocalProtocolError: the body is shorter than its Content-Length; the connection can't be used any more.
        """
        if self._is_ended:
            return
        data = self._count(chunk)
        if self.is_short:
            self._hand_over_content(data)
            raise LocalProtocolError(f"the body ended {self.length} bytes before its Content-Length")
        if self._encoder is not None and not self._discard:
            await self._code(data, self._encoder, is_last=True)
        else:
            self._hand_over_content(data)
        if self._chunked and not self._discard:
            self._hand_over((LAST_CHUNK,))
        self._is_ended = True
        if self._channel.is_writing_paused:
            await self._channel.drain()

    async def send_file(
        self, file: io.RawIOBase, offset: int, count: int, *, piece_bytes: int = FILE_PIECE_BYTES
    ) -> int:
        """Send a part of a file; see :meth:`corelet.abc.AbstractStreamWriter.send_file`.

        Raises:
            LocalProtocolError: the body would be longer than its Content-Length.
            RuntimeError: the body has ended already.
        """
        if self._is_ended:
            raise RuntimeError("the body has ended: send_file() was called after write_eof()")
        channel = self._channel
        if self._discard:
            sent = count
        elif self._chunked or self._encoder is not None or not isinstance(channel, AbstractConnection):
            return await super().send_file(file, offset, count, piece_bytes=piece_bytes)
        else:
            self._check_length(count)
            sent = await channel.send_file(file, offset, count, piece_bytes=piece_bytes)
            self.output_size += sent
        self.buffer_size += sent
        if self.length is not None:
            self.length -= sent
        return sent

    def _check_length(self, size: int) -> None:
        if self.length is not None and size > self.length and not self._discard:
            raise LocalProtocolError(f"{size} bytes written, {self.length} left by Content-Length")

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written."""
        await self._channel.drain()

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """Send the head; ``status_line`` is the start line without its CRLF."""
        head = serialize_response_head(status_line.encode("utf-8") + b"\r\n", headers, None, -1, b"")
        self._hand_over((head,))

    def enable_chunking(self) -> None:
        """Frame the body by the chunked coding; call it before the first write."""
        self._chunked = True

    def _count(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """Take note of a part of the content; what of it is to be sent."""
        if self._is_ended:
            raise RuntimeError("the body has ended: write() was called after write_eof()")
        # A buffer that its owner may change later is copied: the transport may keep it for a while.
        data = chunk if type(chunk) is bytes else bytes(chunk)
        size = len(data)
        if self.length is not None:
            self._check_length(size)
            self.length -= size
        self.buffer_size += size
        return b"" if self._discard else data

    async def _code(self, data: bytes, encoder: AbstractEncoder, *, is_last: bool) -> None:
        """Code a part and hand it over; parts written at the same time by several tasks follow each other."""
        assert self._encoder_lock is not None
        async with self._encoder_lock:
            if self._is_torn:
                raise RuntimeError("a write() was cancelled while its data was coded: the body can't go on")
            if len(data) < THREAD_BYTES:
                coded = _encode(encoder, data, is_last)
            else:
                self._is_torn = True
                coded = await asyncio.get_running_loop().run_in_executor(None, _encode, encoder, data, is_last)
                self._is_torn = False
            self._hand_over_content(coded)

    def _hand_over_content(self, data: bytes) -> None:
        size = len(data)
        if not size:
            return
        self._hand_over((make_chunk_line(size), data, b"\r\n") if self._chunked else (data,))

    def _hand_over(self, pieces: tuple[bytes, ...]) -> None:
        size = sum(map(len, pieces))
        self.output_size += size
        if len(pieces) == 1:
            self._channel.send(pieces[0])
        elif size <= JOIN_BYTES:
            self._channel.send(b"".join(pieces))
        else:
            self._channel.send_pieces(pieces)


def _encode(encoder: AbstractEncoder, data: bytes, is_last: bool) -> bytes:
    coded = encoder.encode(data)
    return coded + (encoder.finish() if is_last else encoder.flush())
