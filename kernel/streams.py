"""StreamReader: the body of one message on its way to the application, and flow control.

The connection feeds, one coroutine reads. The rules:

- What is fed is kept until it is read. Above the high-water mark the connection is asked to stop reading, below
  the low one to go on; a reader that waits for more than the marks gets it.
- A reader is woken once, when there is what it waits for: ``read()`` of a body in a million pieces wakes once and
  joins once.
- One coroutine reads at a time: while it waits, a second one gets a RuntimeError.
- An exception ends the stream at once: what was not read is dropped, and whoever reads gets the exception.
- A reader that is cancelled loses nothing: what it had gathered is there for the next one.

Coded content is read through a second reader around the first, which decodes no more than is asked for.

Queues of messages, for parts that hand on whole objects instead of bytes, are at the end.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from .abc import ContentCoding, ReadingControl
from .errors import ContentDecodingError, DecodedSizeError
from .limits import READ_BUFFER_BYTES

_T = TypeVar("_T")

logger: Final = logging.getLogger("corelet.streams")

#: A piece smaller than this joins the piece before it, so that many small ones cost no more than their bytes.
_SMALL_PIECE_BYTES: Final = 512
#: A joined piece takes no more when it is this long, and a piece as long as that is never copied to be joined.
_JOINED_PIECE_BYTES: Final = 65_536
#: Coded bytes that are decoded in one step, and content that one step gives: about a millisecond's work.
_CODED_STEP_BYTES: Final = 16_384
_DECODED_STEP_BYTES: Final = 131_072
#: Content that may come of any few coded bytes before their ratio counts: small bodies do no harm.
RATIO_FLOOR_BYTES: Final = 1_048_576


class EofStream(Exception):  # noqa: N818  # the field's name for it
    """Report that a queue has ended."""


class AsyncStreamIterator(Generic[_T]):
    """Call a reading function until it gives nothing."""

    __slots__ = ("_read",)

    def __init__(self, read_func: Callable[[], Awaitable[_T]]) -> None:
        self._read = read_func

    def __aiter__(self) -> AsyncStreamIterator[_T]:
        return self

    async def __anext__(self) -> _T:
        try:
            item = await self._read()
        except EofStream:
            raise StopAsyncIteration from None
        if item == b"":
            raise StopAsyncIteration
        return item


class ChunkTupleAsyncStreamIterator:
    """Read chunks as they were sent, with whether one is complete."""

    __slots__ = ("_stream",)

    def __init__(self, stream: StreamReader) -> None:
        self._stream = stream

    def __aiter__(self) -> ChunkTupleAsyncStreamIterator:
        return self

    async def __anext__(self) -> tuple[bytes, bool]:
        item = await self._stream.readchunk()
        if item == (b"", False):
            raise StopAsyncIteration
        return item


class StreamReader:
    """Read a body as it arrives.

    Args:
        control: the connection, asked to stop and to go on reading; None where nobody can be asked.
        limit: the low-water mark in bytes; the high one is twice that.
    """

    __slots__ = (
        "_buffer",
        "_chunk_ends",
        "_control",
        "_eof_callbacks",
        "_eof_waiters",
        "_exception",
        "_high_water",
        "_is_eof",
        "_is_paused",
        "_low_water",
        "_offset",
        "_size",
        "_waiter",
        "_wanted",
        "total_bytes",
        "total_compressed_bytes",
    )

    #: Bytes fed so far, after decoding.
    total_bytes: int
    #: Bytes of coded content so far; None where the content is not coded. Whoever decodes counts.
    total_compressed_bytes: int | None

    def __init__(self, control: ReadingControl | None, limit: int = READ_BUFFER_BYTES) -> None:
        self._control = control
        self._low_water = limit
        self._high_water = limit * 2
        self._buffer: deque[bytes | bytearray] = deque()
        self._offset = 0  # of the first piece: what was read of it
        self._size = 0  # bytes to read
        self._wanted = 1  # bytes that wake the reader
        self._waiter: asyncio.Future[None] | None = None
        self._is_eof = False
        self._is_paused = False
        self._exception: BaseException | None = None
        self._chunk_ends: deque[int] | None = None
        self._eof_callbacks: list[Callable[[], None]] | None = None
        self._eof_waiters: list[asyncio.Future[None]] | None = None
        self.total_bytes = 0
        self.total_compressed_bytes = None

    def __repr__(self) -> str:
        facts = [type(self).__name__]
        if self._size:
            facts.append(f"{self._size:,} bytes")
        if self._is_eof:
            facts.append("eof")
        if self._exception is not None:
            facts.append(f"e={self._exception!r}")
        return f"<{' '.join(facts)}>"

    # What the connection does

    def feed_data(self, data: bytes) -> None:
        """Give received bytes to the reader; nothing after the end or an exception."""
        if self._is_eof or self._exception is not None or not data:
            return
        size = len(data)
        buffer = self._buffer
        if size < _SMALL_PIECE_BYTES and buffer:
            self._append_small(data)
        else:
            buffer.append(data)
        self.total_bytes += size
        self._size += size
        if self._size >= self._wanted:
            if self._waiter is not None:
                self._wake()
            if self._size > self._high_water and not self._is_paused:
                self._pause()

    def _append_small(self, data: bytes) -> None:
        last = self._buffer[-1]
        if isinstance(last, bytearray) and len(last) < _JOINED_PIECE_BYTES:
            last += data
        else:
            self._buffer.append(bytearray(data))

    def begin_http_chunk_receiving(self) -> None:
        """Say that a chunk of the chunked coding begins; :meth:`readchunk` tells chunks apart from now on."""
        if self._chunk_ends is None and not self._is_eof:
            self._chunk_ends = deque()

    def end_http_chunk_receiving(self) -> None:
        """Say that the chunk is complete; without a begin before it nothing is noted."""
        ends = self._chunk_ends
        if ends is None:
            return
        taken = self.total_bytes - self._size
        while ends and ends[0] < taken:  # read past by something else than readchunk()
            ends.popleft()
        if not ends or ends[-1] != self.total_bytes:
            ends.append(self.total_bytes)
        if self._wanted <= 1:
            self._wake()

    def feed_eof(self) -> None:
        """Say that the body is complete."""
        if self._is_eof or self._exception is not None:
            return
        self._is_eof = True
        self._end()
        callbacks, self._eof_callbacks = self._eof_callbacks, None
        for callback in callbacks or ():
            _call_eof_callback(callback)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """End the stream by an exception; a coroutine that waits gets it at once, later ones on each call.

        What was not read is dropped, even if the body is complete. The first exception stays.

        Args:
            exc: to be raised.
            exc_cause: what it came from, if it isn't noted there already.
        """
        if self._exception is not None:
            return
        if exc_cause is not None and exc.__cause__ is None:
            exc.__cause__ = exc_cause
        self._exception = exc
        self._eof_callbacks = None
        self._buffer.clear()
        self._offset = self._size = 0
        self._end()

    def _end(self) -> None:
        """Wake everyone; the connection's reading is no longer held up for this stream's sake."""
        self._wake()
        if self._is_paused:
            self._resume()
        waiters, self._eof_waiters = self._eof_waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    # What can be asked

    def exception(self) -> BaseException | None:
        """Get the exception that ended the stream."""
        return self._exception

    def is_eof(self) -> bool:
        """Tell whether the whole body was fed."""
        return self._is_eof

    def at_eof(self) -> bool:
        """Tell whether the whole body was fed and read."""
        return self._is_eof and not self._size

    @property
    def total_raw_bytes(self) -> int:
        """Bytes of content as it was sent, before decoding."""
        return self.total_bytes if self.total_compressed_bytes is None else self.total_compressed_bytes

    def get_read_buffer_limits(self) -> tuple[int, int]:
        """Get the low and the high-water mark, in bytes."""
        return self._low_water, self._high_water

    def set_read_chunk_size(self, n: int) -> None:
        """Raise the marks for a consumer that takes ``n`` bytes at a time; they are never lowered."""
        if n > self._low_water:
            self._low_water = n
            self._high_water = n * 2

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call back when the whole body was fed, at once if it was; what the callback raises is logged.

        It is never called where an exception ends the stream.
        """
        if self._is_eof:
            _call_eof_callback(callback)
        elif self._exception is None:
            if self._eof_callbacks is None:
                self._eof_callbacks = []
            self._eof_callbacks.append(callback)

    async def wait_eof(self) -> None:
        """Wait until the whole body was fed.

        Raises:
            BaseException: what ended the stream instead.
        """
        if not self._is_eof and self._exception is None:
            waiter = asyncio.get_running_loop().create_future()
            if self._eof_waiters is None:
                self._eof_waiters = []
            self._eof_waiters.append(waiter)
            await waiter
        if self._exception is not None:
            raise self._exception

    # What the application reads

    def __aiter__(self) -> AsyncStreamIterator[bytes]:
        """Read line by line."""
        return AsyncStreamIterator(self.readline)

    def iter_any(self) -> AsyncStreamIterator[bytes]:
        """Read what has come, each time; the fastest way through a body."""
        return AsyncStreamIterator(self.readany)

    def iter_chunked(self, n: int) -> AsyncStreamIterator[bytes]:
        """Read at most ``n`` bytes each time."""
        return AsyncStreamIterator(lambda: self.read(n))

    def iter_chunks(self) -> ChunkTupleAsyncStreamIterator:
        """Read as :meth:`readchunk` does, until the end."""
        return ChunkTupleAsyncStreamIterator(self)

    async def read(self, n: int = -1) -> bytes:
        """Read at most ``n`` bytes, waiting for the first; or, without ``n``, the whole rest of the body.

        Returns:
            The bytes; empty at the end.

        Raises:
            RuntimeError: another coroutine already waits for this stream.
            BaseException: what ended the stream.
        """
        self._check_readable("read")
        if n == 0:
            return b""
        if n < 0:
            while not self._is_eof:
                await self._wait(sys.maxsize)
            return self._take_all()
        while not self._size and not self._is_eof:
            await self._wait(1)
        return self._take(n)

    async def readany(self) -> bytes:
        """Read what has come, waiting if nothing has; empty at the end. Raises as :meth:`read`.

        Small pieces come joined; one of 64 KiB or more comes as it was received, for the price of no copy.
        """
        self._check_readable("readany")
        while not self._size and not self._is_eof:
            await self._wait(1)
        return self._take_ready()

    async def readexactly(self, n: int) -> bytes:
        """Read ``n`` bytes, waiting for all of them.

        Raises:
            asyncio.IncompleteReadError: the body has ended before; what there was is in its ``partial``, and read.
            BaseException: as :meth:`read` does.
        """
        if n < 0:
            raise ValueError(f"the number of bytes can't be negative: {n}")
        self._check_readable("readexactly")
        while self._size < n and not self._is_eof:
            await self._wait(n)
        if self._size < n:
            raise asyncio.IncompleteReadError(self._take_all(), n)
        return self._take(n)

    async def readline(self, *, max_line_length: int | None = None) -> bytes:
        r"""Read until ``\n``, as :meth:`readuntil` with ``max_size=max_line_length``."""
        return await self.readuntil(max_size=max_line_length)

    async def readuntil(self, separator: bytes = b"\n", *, max_size: int | None = None) -> bytes:
        """Read until a separator, and with it.

        Args:
            separator: at least one byte.
            max_size: how many bytes that may be; the high-water mark unless given.

        Returns:
            The bytes with the separator; without it at the end of the body, empty after it.

        Raises:
            ValueError: there is no separator within ``max_size`` bytes; they are read and dropped then.
            BaseException: as :meth:`read` does.
        """
        if not separator:
            raise ValueError("the separator must have at least one byte")
        self._check_readable("readuntil")
        limit = self._high_water if max_size is None else max_size
        line = bytearray()
        while True:
            while self._size:
                is_complete = self._move_until(separator, line)
                if len(line) > limit:
                    raise ValueError(f"no separator within {limit:,} bytes of the body")
                if is_complete:
                    return bytes(line)
            if self._is_eof:
                return bytes(line)
            try:
                await self._wait(1)
            except asyncio.CancelledError:
                if line:
                    self._put_back(line)
                raise

    async def readchunk(self) -> tuple[bytes, bool]:
        """Read what has come of one chunk of the chunked coding. Raises as :meth:`read`.

        Returns:
            The bytes and whether they complete their chunk; they may be empty then. ``(b"", False)`` at the end.
            Without marks from the connection all that has come counts as one chunk that goes on.
        """
        self._check_readable("readchunk")
        while True:
            ends = self._chunk_ends
            taken = self.total_bytes - self._size
            while ends:
                end = ends.popleft()
                if end > taken:
                    return self._take(end - taken), True
                if end == taken:
                    return b"", True
            if self._size or self._is_eof:
                return self._take_ready(), False
            await self._wait(1)

    def read_nowait(self, n: int = -1) -> bytes:
        """Read at most ``n`` bytes, or all, of what has come, without waiting; empty if nothing has.

        Raises:
            RuntimeError: a coroutine waits for this stream.
            BaseException: what ended the stream.
        """
        self._check_readable("read_nowait")
        return self._take_all() if n < 0 else self._take(n)

    def unread_data(self, data: bytes) -> None:
        """Put bytes back, to be read first."""
        if data and self._exception is None:
            self._put_back(data)
            self._wake()

    # How

    def _check_readable(self, caller: str) -> None:
        if self._exception is not None:
            raise self._exception
        if self._waiter is not None:
            raise RuntimeError(f"{caller}() called while another coroutine already waits for data of this stream")

    async def _wait(self, wanted: int) -> None:
        """Wait until ``wanted`` bytes are there or the stream has ended; may come back earlier."""
        if self._exception is not None:
            raise self._exception
        self._waiter = asyncio.get_running_loop().create_future()
        self._wanted = wanted
        if self._is_paused:
            self._resume()
        try:
            await self._waiter
        finally:
            self._waiter = None
            self._wanted = 1
            if self._size > self._high_water and not self._is_paused:
                self._pause()
        if self._exception is not None:
            raise self._exception

    def _wake(self) -> None:
        # The waiter stays until its coroutine runs, so that nobody reads in between.
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _pause(self) -> None:
        if self._control is not None and not self._is_eof:
            self._is_paused = True
            self._control.pause_reading()

    def _resume(self) -> None:
        assert self._control is not None  # it was asked to pause
        self._is_paused = False
        self._control.resume_reading()

    def _count_taken(self, size: int) -> None:
        """Take note of what left the buffer; the last step, since the connection may feed or end us in it."""
        self._size -= size
        if self._is_paused and self._size < self._low_water:
            self._resume()

    def _take_ready(self) -> bytes:
        """Take what can be had without copying large pieces."""
        buffer = self._buffer
        first = len(buffer[0]) - self._offset if buffer else 0
        return self._take(first) if first >= _JOINED_PIECE_BYTES else self._take_all()

    def _take_all(self) -> bytes:
        buffer = self._buffer
        if not buffer:
            return b""
        if self._offset:
            buffer[0] = buffer[0][self._offset :]
            self._offset = 0
        data = bytes(buffer[0]) if len(buffer) == 1 else b"".join(buffer)
        buffer.clear()
        self._count_taken(len(data))
        return data

    def _take(self, n: int) -> bytes:
        if n >= self._size:
            return self._take_all()
        pieces = []
        left = n
        while left:
            piece = self._take_of_first(left)
            pieces.append(piece)
            left -= len(piece)
        self._count_taken(n)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_of_first(self, n: int) -> bytes:
        """Take at most ``n`` bytes of the first piece, not counting them."""
        first, start = self._buffer[0], self._offset
        end = start + n
        if end < len(first):
            self._offset = end
        else:
            self._buffer.popleft()
            self._offset = 0
        return bytes(first[start:end])

    def _move_until(self, separator: bytes, line: bytearray) -> bool:
        """Move the first piece to the line, but nothing after a separator; tell whether there was one."""
        length = self._measure_until(separator, line)
        piece = self._take_of_first(length or len(self._buffer[0]))
        line += piece
        self._count_taken(len(piece))
        return length > 0

    def _measure_until(self, separator: bytes, line: bytearray) -> int:
        """Count what the first piece has up to the end of a separator, which may begin in the line; 0 if none."""
        first, start, overlap = self._buffer[0], self._offset, len(separator) - 1
        if overlap and line:
            tail = line[-overlap:]
            position = (tail + first[start : start + overlap]).find(separator)
            if position >= 0:
                return position + len(separator) - len(tail)
        position = first.find(separator, start)
        return position + len(separator) - start if position >= 0 else 0

    def _put_back(self, data: bytes | bytearray) -> None:
        buffer, start = self._buffer, self._offset - len(data)
        self._size += len(data)
        if start >= 0 and buffer and buffer[0][start : self._offset] == data:  # it is what was read last
            self._offset = start
            return
        if self._offset:
            buffer[0] = buffer[0][self._offset :]
            self._offset = 0
        buffer.appendleft(bytes(data))


class DecodedStreamReader(StreamReader):
    """Read a body whose content is coded: a reader around its reader, which decodes as much as is asked for.

    Nothing is decoded ahead, so that a body which nobody reads costs nothing, and one that a peer has made to
    swell stays as small in memory as it came. Decoding goes in steps that give the loop its turn. Codings that were
    applied one after the other are undone by one reader around the other. Source: RFC 9110 section 8.4.

    Args:
        source: the coded body.
        coding: what it is coded by.
        max_bytes: content that is given before the stream ends in an error; 0 for no limit.
        max_ratio: bytes of content for each coded byte before the stream ends in an error; 0 for no limit. Bodies
            of up to ``RATIO_FLOOR_BYTES`` may have any ratio.
        make_error: makes what is raised to whoever reads, of a :class:`~corelet.ContentDecodingError`.
    """

    __slots__ = ("_decoder", "_make_error", "_max_bytes", "_max_ratio", "_source")

    def __init__(
        self,
        source: StreamReader,
        coding: ContentCoding,
        *,
        max_bytes: int = 0,
        max_ratio: int = 0,
        make_error: Callable[[ContentDecodingError], Exception] = lambda error: error,
    ) -> None:
        super().__init__(None, source.get_read_buffer_limits()[0])
        self._source = source
        self._decoder = coding.make_decoder(_DECODED_STEP_BYTES)
        self._max_bytes = max_bytes
        self._max_ratio = max_ratio
        self._make_error = make_error
        self.total_compressed_bytes = 0

    def exception(self) -> BaseException | None:
        """Get the exception that ended the stream, or the one that it reads from."""
        return self._source.exception() if self._exception is None else self._exception

    def on_eof(self, callback: Callable[[], None]) -> None:
        """Call back when the whole coded body was fed; see :meth:`StreamReader.on_eof`."""
        self._source.on_eof(callback)

    async def wait_eof(self) -> None:
        """Wait until the whole coded body was fed; see :meth:`StreamReader.wait_eof`."""
        await self._source.wait_eof()

    def read_nowait(self, n: int = -1) -> bytes:
        """Read at most ``n`` bytes, or all, of what is decoded, without waiting; see :meth:`StreamReader.read_nowait`.

        Where nothing is, one step of what has come is decoded: call again until it gives nothing.
        """
        self._check_readable("read_nowait")
        while not self._size and not self._is_eof:
            data = b"" if self._decoder.has_more else self._source.read_nowait(_CODED_STEP_BYTES)
            if not data and not self._decoder.has_more and not self._source.at_eof():
                break
            self._decode(data)
        return super().read_nowait(n)

    async def _wait(self, wanted: int) -> None:
        """Decode one step, waiting for the source; the stream's waiter says that a coroutine is at it."""
        if self._exception is not None:
            raise self._exception
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            if self.total_compressed_bytes and (self._decoder.has_more or not self._source.at_eof()):
                await asyncio.sleep(0)
            self._decode(b"" if self._decoder.has_more else await self._read_source())
        finally:
            self._waiter = None

    async def _read_source(self) -> bytes:
        try:
            return await self._source.read(_CODED_STEP_BYTES)
        except Exception as exc:
            self.set_exception(exc)
            raise

    def _decode(self, data: bytes) -> None:
        """Decode what the source gave; nothing means its end, unless the decoder has more."""
        decoder = self._decoder
        try:
            if data or decoder.has_more:
                self.total_compressed_bytes = (self.total_compressed_bytes or 0) + len(data)
                self.feed_data(decoder.decode(data))
                self._check_size()
            else:
                decoder.finish()
                self.feed_eof()
        except ContentDecodingError as exc:
            error = self._make_error(exc)
            self.set_exception(error, exc)
            raise error from exc

    def _check_size(self) -> None:
        size = self.total_bytes
        if self._max_bytes and size > self._max_bytes:
            message = f"the body has {size:,} bytes or more when it is decoded, limit {self._max_bytes:,}"
            raise DecodedSizeError(message, size, self._max_bytes)
        limit = max(RATIO_FLOOR_BYTES, (self.total_compressed_bytes or 0) * self._max_ratio)
        if self._max_ratio and size > limit:
            message = f"the body swells more than {self._max_ratio:,} times when it is decoded, to {size:,} bytes"
            raise DecodedSizeError(message, size, limit)


class EmptyStreamReader(StreamReader):
    """The body of a message that has none: at its end from the start, and shared by all of them."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None)
        self._is_eof = True

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Do nothing: this stream is everybody's."""

    def unread_data(self, data: bytes) -> None:
        """Do nothing: this stream is everybody's."""

    def set_read_chunk_size(self, n: int) -> None:
        """Do nothing: this stream is everybody's."""


#: A body without a byte, at its end: of every message that has none.
EMPTY_PAYLOAD: Final[StreamReader] = EmptyStreamReader()


def _call_eof_callback(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        logger.exception("a callback for the end of a body failed: %r", callback)


class DataQueue(Generic[_T]):
    """Hand on objects to one coroutine, in their order."""

    __slots__ = ("_exception", "_is_eof", "_items", "_waiter")

    def __init__(self) -> None:
        self._items: deque[tuple[_T, int]] = deque()
        self._is_eof = False
        self._exception: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __aiter__(self) -> AsyncStreamIterator[_T]:
        return AsyncStreamIterator(self.read)

    def is_eof(self) -> bool:
        """Tell whether nothing more will come."""
        return self._is_eof

    def at_eof(self) -> bool:
        """Tell whether nothing is left either."""
        return self._is_eof and not self._items

    def exception(self) -> BaseException | None:
        """Get the exception that ended the queue."""
        return self._exception

    def feed_data(self, data: _T, size: int = 0) -> None:
        """Add an object; ``size`` is what it counts for flow control, in bytes."""
        self._items.append((data, size))
        self._wake()

    def feed_eof(self) -> None:
        """Say that nothing more will come."""
        self._is_eof = True
        self._wake()

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """End the queue by an exception; objects that are in it can still be read."""
        if exc_cause is not None and exc.__cause__ is None:
            exc.__cause__ = exc_cause
        self._is_eof = True
        self._exception = exc
        self._wake()

    async def read(self) -> _T:
        """Take the next object, waiting for it.

        Raises:
            EofStream: the queue has ended.
            RuntimeError: another coroutine already waits.
            BaseException: what ended the queue.
        """
        while not self._items and not self._is_eof:
            if self._waiter is not None:
                raise RuntimeError("read() called while another coroutine already waits for this queue")
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            try:
                await waiter
            finally:
                if self._waiter is waiter:
                    self._waiter = None
        if self._items:
            item, size = self._items.popleft()
            self._count_taken(size)
            return item
        raise EofStream if self._exception is None else self._exception

    def _count_taken(self, size: int) -> None:
        """Take note that an object has left."""

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


class FlowControlDataQueue(DataQueue[_T]):
    """A DataQueue that stops the connection's reading while it holds too much.

    Args:
        control: the connection.
        limit: the low-water mark in bytes; the high one is twice that.
    """

    __slots__ = ("_control", "_is_paused", "_limit", "_size")

    def __init__(self, control: ReadingControl, limit: int) -> None:
        super().__init__()
        self._control = control
        self._limit = limit
        self._size = 0
        self._is_paused = False

    def feed_data(self, data: _T, size: int = 0) -> None:
        """Add an object that counts ``size`` bytes."""
        super().feed_data(data, size)
        self._size += size
        if self._size > self._limit * 2 and not self._is_paused:
            self._is_paused = True
            self._control.pause_reading()

    def _count_taken(self, size: int) -> None:
        self._size -= size
        if self._is_paused and self._size < self._limit:
            self._is_paused = False
            self._control.resume_reading()
