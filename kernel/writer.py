"""Write one body: framed by Content-Length, by the chunked coding or by the end of the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .abc import FILE_PIECE_BYTES, AbstractConnection, AbstractStreamWriter
from .errors import LocalProtocolError
from .wire import LAST_CHUNK, make_chunk_line, serialize_response_head

if TYPE_CHECKING:
    import io

    from multidict import CIMultiDict

    from .abc import Channel

#: Up to here pieces are joined into one buffer: a copy is cheaper than another write.
JOIN_BYTES: Final = 65_536


class BodyWriter(AbstractStreamWriter):
    """Frame the body of one message and hand it to a connection.

    Args:
        channel: the connection to write to.
        length: bytes that the body has by its Content-Length; None when unknown.
        chunked: frame by the chunked coding. Source: RFC 9112 section 7.1.
        discard: take the body and send none of it: an answer to HEAD, or a 204 or 304. Source: RFC 9112 section 6.3.
        encoder: codes the content before it is framed; see :class:`corelet.abc.ContentCoding`.
    """

    length: int | None

    def __init__(
        self,
        channel: Channel,
        *,
        length: int | None = None,
        chunked: bool = False,
        discard: bool = False,
        encoder: Any = None,
    ) -> None:
        self._channel = channel
        self._chunked = chunked
        self._discard = discard
        self._encoder = encoder
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
            RuntimeError: the body has ended already.
        """
        self._send(chunk)
        if self._channel.is_writing_paused:
            await self._channel.drain()

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Send the last part and end the body; a second call does nothing.

        Raises:
            LocalProtocolError: the body is shorter than its Content-Length; the connection can't be used any more.
        """
        if self._is_ended:
            return
        if chunk:
            self._send(chunk)
        if self.is_short:
            raise LocalProtocolError(f"the body ended {self.length} bytes before its Content-Length")
        if not self._discard:
            self._end_body()
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

    def _send(self, chunk: bytes | bytearray | memoryview) -> None:
        if self._is_ended:
            raise RuntimeError("the body has ended: write() was called after write_eof()")
        # A buffer that its owner may change later is copied: the transport may keep it for a while.
        data = chunk if type(chunk) is bytes else bytes(chunk)
        size = len(data)
        if self.length is not None:
            self._check_length(size)
            self.length -= size
        self.buffer_size += size
        if self._discard or not size:
            return
        if self._encoder is not None:
            data = self._encoder.encode(data)
        self._hand_over_content(data)

    def _hand_over_content(self, data: bytes) -> None:
        size = len(data)
        if not size:
            return
        self._hand_over((make_chunk_line(size), data, b"\r\n") if self._chunked else (data,))

    def _end_body(self) -> None:
        if self._encoder is not None:
            self._hand_over_content(self._encoder.finish())
        if self._chunked:
            self._hand_over((LAST_CHUNK,))

    def _hand_over(self, pieces: tuple[bytes, ...]) -> None:
        size = sum(map(len, pieces))
        self.output_size += size
        if len(pieces) == 1:
            self._channel.send(pieces[0])
        elif size <= JOIN_BYTES:
            self._channel.send(b"".join(pieces))
        else:
            self._channel.send_pieces(pieces)
