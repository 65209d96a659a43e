"""StreamReader: bodies on their way to the application, and flow control."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelet.abc import AbstractDecoder, ContentCoding
from corelet.errors import ContentDecodingError, DecodedSizeError
from corelet.streams import (
    EMPTY_PAYLOAD,
    RATIO_FLOOR_BYTES,
    AsyncStreamIterator,
    DataQueue,
    DecodedStreamReader,
    EmptyStreamReader,
    EofStream,
    FlowControlDataQueue,
    StreamReader,
)

LIMIT = 16


class Control:
    """A connection that only notes whether it may read."""

    def __init__(self) -> None:
        self.is_reading = True
        self.calls: list[str] = []
        self.on_resume: Callable[[], None] = lambda: None

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False
        self.calls.append("pause")

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True
        self.calls.append("resume")
        self.on_resume()


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def stream(control: Control) -> StreamReader:
    return StreamReader(control, LIMIT)


def make_complete(*pieces: bytes) -> StreamReader:
    stream = StreamReader(None)
    for piece in pieces:
        stream.feed_data(piece)
    stream.feed_eof()
    return stream


async def start(reading: Awaitable[Any]) -> asyncio.Future[Any]:
    """Let a coroutine come to where it waits."""
    task = asyncio.ensure_future(reading)
    await asyncio.sleep(0)
    return task


# Every way of reading gives the whole body

BODIES = st.lists(st.binary(min_size=1, max_size=40) | st.text("ab\n", min_size=1).map(str.encode))


@given(BODIES, st.integers(1, 50), st.booleans())
def test_what_was_fed_is_read_whole_and_in_order(pieces: list[bytes], n: int, is_early: bool) -> None:
    async def read(way: Callable[[StreamReader], Any]) -> bytes:
        stream = StreamReader(Control(), LIMIT)
        if is_early:  # the reader waits for each piece
            reading = await start(collect(way(stream)))
        for piece in pieces:
            stream.feed_data(piece)
            await asyncio.sleep(0)
        stream.feed_eof()
        return await (reading if is_early else collect(way(stream)))

    async def collect(iterator: Any) -> bytes:
        return b"".join([item if isinstance(item, bytes) else item[0] async for item in iterator])

    async def check() -> None:
        ways: list[Callable[[StreamReader], Any]] = [
            lambda stream: AsyncStreamIterator(lambda: stream.readline(max_line_length=10_000)),
            lambda stream: stream.iter_any(),
            lambda stream: stream.iter_chunked(n),
            lambda stream: stream.iter_chunks(),
            lambda stream: AsyncStreamIterator(stream.read),
            lambda stream: AsyncStreamIterator(lambda: stream.readuntil(b"ab", max_size=10_000)),
        ]
        for way in ways:
            assert await read(way) == b"".join(pieces)

    asyncio.run(check())


@given(BODIES, st.sampled_from([b"\n", b"ab", b"aa", b"aba", b"abab\n"]), st.booleans())
def test_lines_are_cut_as_bytes_are_split(pieces: list[bytes], separator: bytes, is_early: bool) -> None:
    async def read() -> list[bytes]:
        stream = StreamReader(None)
        lines = AsyncStreamIterator(lambda: stream.readuntil(separator))
        if is_early:
            reading = await start(collect(lines))
        for piece in pieces:
            stream.feed_data(piece)
            await asyncio.sleep(0)
        stream.feed_eof()
        return await (reading if is_early else collect(lines))

    async def collect(lines: AsyncStreamIterator[bytes]) -> list[bytes]:
        return [line async for line in lines]

    split = b"".join(pieces).split(separator)
    expected = [line + separator for line in split[:-1]] + ([split[-1]] if split[-1] else [])
    assert asyncio.run(read()) == expected


# read


async def test_read_without_a_number_waits_for_the_end(stream: StreamReader) -> None:
    reading = await start(stream.read())
    stream.feed_data(b"a" * LIMIT * 10)
    await asyncio.sleep(0)
    assert not reading.done()
    stream.feed_data(b"b")
    stream.feed_eof()
    assert await reading == b"a" * LIMIT * 10 + b"b"
    assert await stream.read() == b""


async def test_read_with_a_number_gives_what_is_there(stream: StreamReader) -> None:
    stream.feed_data(b"abc")
    assert await stream.read(2) == b"ab"
    assert await stream.read(2) == b"c"
    reading = await start(stream.read(2))
    stream.feed_data(b"def")
    assert await reading == b"de"


async def test_read_of_nothing_gives_nothing_at_once(stream: StreamReader) -> None:
    assert await stream.read(0) == b""


async def test_readany_gives_all_that_is_there(stream: StreamReader) -> None:
    reading = await start(stream.readany())
    stream.feed_data(b"ab")
    stream.feed_data(b"cd")
    assert await reading == b"abcd"
    stream.feed_eof()
    assert await stream.readany() == b""


async def test_readany_gives_a_large_piece_as_it_came(stream: StreamReader) -> None:
    pieces = [bytes(65_536), bytes(100_000), b"small", b"too"]
    for piece in pieces:
        stream.feed_data(piece)
    assert await stream.readany() is pieces[0]
    assert await stream.readany() is pieces[1]
    assert await stream.readany() == b"smalltoo"


async def test_readany_gives_the_rest_of_a_large_piece(stream: StreamReader) -> None:
    stream.feed_data(b"a" * 10 + b"b" * 65_536)
    stream.feed_data(b"c" * 65_536)
    assert await stream.read(10) == b"a" * 10
    assert await stream.readany() == b"b" * 65_536
    assert await stream.readany() == b"c" * 65_536


async def test_a_number_of_bytes_may_span_pieces() -> None:
    stream = make_complete(b"abc", b"def", b"ghi")
    assert [await stream.read(n) for n in (1, 4, 1, 2, 5)] == [b"a", b"bcde", b"f", b"gh", b"i"]


# readexactly


async def test_readexactly_waits_for_all_bytes_even_over_the_marks(stream: StreamReader, control: Control) -> None:
    reading = await start(stream.readexactly(LIMIT * 4))
    for _ in range(4):
        assert control.is_reading
        stream.feed_data(b"x" * LIMIT)
        await asyncio.sleep(0)
    assert await reading == b"x" * LIMIT * 4


async def test_readexactly_says_what_there_was_before_the_end() -> None:
    with pytest.raises(asyncio.IncompleteReadError) as caught:
        await make_complete(b"abc").readexactly(4)
    assert (caught.value.partial, caught.value.expected) == (b"abc", 4)


async def test_readexactly_refuses_a_negative_number(stream: StreamReader) -> None:
    with pytest.raises(ValueError, match="negative"):
        await stream.readexactly(-1)
    assert await stream.readexactly(0) == b""


# readuntil, readline


async def test_a_line_over_the_limit_is_an_error_and_dropped(stream: StreamReader) -> None:
    stream.feed_data(b"x" * (LIMIT * 2 + 1))
    stream.feed_data(b"\nab\n")
    with pytest.raises(ValueError, match="no separator within 32 bytes"):
        await stream.readline()
    assert await stream.readline() == b"\n"
    assert await stream.readline() == b"ab\n"


async def test_a_complete_line_over_the_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match="within 3 bytes"):
        await make_complete(b"abc\n").readline(max_line_length=3)
    assert await make_complete(b"abc\n").readline(max_line_length=4) == b"abc\n"


async def test_a_line_may_be_cut_by_the_end() -> None:
    stream = make_complete(b"ab\ncd")
    assert [line async for line in stream] == [b"ab\n", b"cd"]


async def test_an_empty_separator_is_refused(stream: StreamReader) -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        await stream.readuntil(b"")


async def test_a_cancelled_reader_loses_nothing(stream: StreamReader) -> None:
    for reading in (stream.readline, stream.read, lambda: stream.readexactly(100), stream.readline):
        stream.feed_data(b"ab")
        task = await start(reading())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    task = await start(stream.readline())
    stream.feed_data(b"\n")
    assert await task == b"ab" * 4 + b"\n"


async def test_a_cancelled_reader_that_has_nothing_leaves_nothing(stream: StreamReader) -> None:
    task = await start(stream.readline())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.read_nowait() == b""


# readchunk


async def test_chunks_are_told_apart_where_the_connection_marks_them(stream: StreamReader) -> None:
    stream.begin_http_chunk_receiving()
    stream.feed_data(b"ab")
    stream.end_http_chunk_receiving()
    stream.begin_http_chunk_receiving()
    stream.feed_data(b"c")
    assert await stream.readchunk() == (b"ab", True)
    assert await stream.readchunk() == (b"c", False)
    reading = await start(stream.readchunk())
    stream.end_http_chunk_receiving()
    stream.end_http_chunk_receiving()
    assert await reading == (b"", True)
    stream.feed_eof()
    assert await stream.readchunk() == (b"", False)


async def test_chunks_are_iterated_until_the_end(stream: StreamReader) -> None:
    for piece in (b"ab", b"cd"):
        stream.begin_http_chunk_receiving()
        stream.feed_data(piece)
        stream.end_http_chunk_receiving()
    stream.feed_eof()
    assert [item async for item in stream.iter_chunks()] == [(b"ab", True), (b"cd", True)]


async def test_chunks_that_were_read_otherwise_are_forgotten(stream: StreamReader) -> None:
    for _ in range(100):
        stream.begin_http_chunk_receiving()
        stream.feed_data(b"ab")
        stream.end_http_chunk_receiving()
        assert await stream.read(1)
        assert await stream.read(1)
    stream.feed_data(b"cd")
    assert await stream.readchunk() == (b"", True)
    assert await stream.readchunk() == (b"cd", False)


async def test_the_end_of_a_chunk_does_not_wake_who_waits_for_more(stream: StreamReader) -> None:
    reading = await start(stream.readexactly(4))
    for piece in (b"ab", b"cd"):
        stream.begin_http_chunk_receiving()
        stream.feed_data(piece)
        stream.end_http_chunk_receiving()
    assert await reading == b"abcd"


async def test_without_marks_all_is_one_chunk(stream: StreamReader) -> None:
    stream.feed_data(b"ab")
    stream.end_http_chunk_receiving()
    assert await stream.readchunk() == (b"ab", False)


# read_nowait, unread_data


def test_read_nowait_gives_what_is_there(stream: StreamReader) -> None:
    assert stream.read_nowait() == b""
    stream.feed_data(b"abc")
    assert stream.read_nowait(2) == b"ab"
    assert stream.read_nowait() == b"c"


@pytest.mark.parametrize("put_back", [b"b", b"ab", b"xy"])
@pytest.mark.parametrize("read", [0, 2, 3])
def test_bytes_that_are_put_back_are_read_first(put_back: bytes, read: int) -> None:
    stream = make_complete(b"abc", b"def")
    stream.read_nowait(read)
    stream.unread_data(put_back)
    stream.unread_data(b"")
    assert stream.read_nowait() == put_back + b"abcdef"[read:]


async def test_bytes_that_are_put_back_wake_the_reader(stream: StreamReader) -> None:
    reading = await start(stream.readany())
    stream.unread_data(b"ab")
    assert await reading == b"ab"


# One reader

READERS: dict[str, Callable[[StreamReader], Awaitable[object]]] = {
    "read": lambda stream: stream.read(),
    "readany": lambda stream: stream.readany(),
    "readexactly": lambda stream: stream.readexactly(1),
    "readuntil": lambda stream: stream.readuntil(),
    "readchunk": lambda stream: stream.readchunk(),
}


@pytest.mark.parametrize("name", READERS)
async def test_a_second_reader_is_told_that_another_waits(stream: StreamReader, name: str) -> None:
    reading = await start(stream.readany())
    with pytest.raises(RuntimeError, match=rf"{name}\(\) called while another coroutine already waits"):
        await READERS[name](stream)
    stream.feed_data(b"ab")
    with pytest.raises(RuntimeError, match="another coroutine"):  # it was woken, and hasn't run yet
        await READERS[name](stream)
    with pytest.raises(RuntimeError, match="another coroutine"):
        stream.read_nowait()
    assert await reading == b"ab"


# Exceptions


@pytest.mark.parametrize("name", READERS)
async def test_an_exception_reaches_the_waiting_reader_and_all_later_ones(stream: StreamReader, name: str) -> None:
    reading = await start(READERS[name](stream))
    stream.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await reading
    for later in READERS.values():
        with pytest.raises(OSError, match="gone"):
            await later(stream)
    with pytest.raises(OSError, match="gone"):
        stream.read_nowait()


async def test_an_exception_drops_what_was_not_read(stream: StreamReader) -> None:
    stream.feed_data(b"ab")
    stream.set_exception(OSError("gone"))
    stream.feed_data(b"cd")
    stream.feed_eof()
    stream.unread_data(b"ef")
    with pytest.raises(OSError, match="gone"):
        await stream.read()
    assert repr(stream) == "<StreamReader e=OSError('gone')>"
    assert not stream.is_eof()


def test_the_first_exception_stays_with_its_cause(stream: StreamReader) -> None:
    first, cause = OSError("first"), ValueError("cause")
    stream.set_exception(first, cause)
    stream.set_exception(OSError("second"))
    assert stream.exception() is first
    assert first.__cause__ is cause


async def test_a_reader_cancelled_while_an_exception_comes_leaves_no_lost_exception(stream: StreamReader) -> None:
    reading = await start(stream.read())
    stream.set_exception(OSError("gone"))
    reading.cancel()
    with pytest.raises((asyncio.CancelledError, OSError)):
        await reading


async def test_a_connection_that_fails_on_going_on_fails_the_next_read(stream: StreamReader, control: Control) -> None:
    control.on_resume = lambda: stream.set_exception(OSError("malformed"))
    stream.feed_data(b"ab\n" * LIMIT)
    stream.feed_data(b"x")
    assert (await stream.read(LIMIT * 3))[:2] == b"ab"
    with pytest.raises(OSError, match="malformed"):
        await stream.read(1)


async def test_a_line_reader_gets_the_exception_that_going_on_brought(stream: StreamReader, control: Control) -> None:
    control.on_resume = lambda: stream.set_exception(OSError("malformed"))
    stream.feed_data(b"x" * (LIMIT * 2 + 1))
    with pytest.raises(OSError, match="malformed"):
        await stream.readline(max_line_length=1000)


# The end


async def test_the_end_can_be_awaited(stream: StreamReader) -> None:
    waiting = [await start(stream.wait_eof()) for _ in range(3)]
    waiting[0].cancel()
    stream.feed_data(b"ab")
    assert not stream.is_eof()
    stream.feed_eof()
    await asyncio.gather(*waiting[1:])
    await stream.wait_eof()
    assert stream.is_eof()
    assert not stream.at_eof()
    assert await stream.read() == b"ab"
    assert stream.at_eof()


async def test_an_exception_reaches_who_awaits_the_end(stream: StreamReader) -> None:
    waiting = await start(stream.wait_eof())
    stream.set_exception(OSError("gone"))
    for late in (waiting, stream.wait_eof()):
        with pytest.raises(OSError, match="gone"):
            await late


def test_callbacks_run_once_at_the_end(stream: StreamReader) -> None:
    called: list[str] = []
    stream.on_eof(lambda: called.append("first"))
    stream.on_eof(lambda: called.append("second"))
    assert not called
    stream.feed_eof()
    stream.feed_eof()
    assert called == ["first", "second"]
    stream.on_eof(lambda: called.append("late"))
    assert called == ["first", "second", "late"]


def test_callbacks_do_not_run_where_an_exception_ends_the_body(stream: StreamReader) -> None:
    called: list[str] = []
    stream.on_eof(lambda: called.append("early"))
    stream.set_exception(OSError())
    stream.on_eof(lambda: called.append("late"))
    stream.feed_eof()
    assert not called


def test_a_failing_callback_is_logged_and_stops_no_other(
    stream: StreamReader, expect_error_log: list[logging.LogRecord]
) -> None:
    called: list[str] = []
    stream.on_eof(lambda: 1 / 0)  # type: ignore[arg-type, return-value]  # a lambda gives something
    stream.on_eof(lambda: called.append("second"))
    stream.feed_eof()
    assert called == ["second"]
    assert [record.name for record in expect_error_log] == ["corelet.streams"]


def test_nothing_is_fed_after_the_end() -> None:
    stream = make_complete(b"ab")
    stream.feed_data(b"cd")
    assert stream.total_bytes == 2


# Flow control


async def test_reading_stops_above_the_high_mark_and_goes_on_below_the_low_one(
    stream: StreamReader, control: Control
) -> None:
    stream.feed_data(b"x" * LIMIT * 2)
    assert control.is_reading
    stream.feed_data(b"x")
    stream.feed_data(b"x")
    assert not control.is_reading
    await stream.read(LIMIT + 2)
    assert not control.is_reading
    await stream.read(1)
    assert control.is_reading
    assert control.calls == ["pause", "resume"]


async def test_a_reader_of_the_whole_body_never_stops_the_connection(stream: StreamReader, control: Control) -> None:
    stream.feed_data(b"x" * LIMIT * 3)
    reading = await start(stream.read())
    for _ in range(10):
        stream.feed_data(b"x" * LIMIT)
    stream.feed_eof()
    await reading
    assert control.calls == ["pause", "resume"]


async def test_a_reader_that_gives_up_stops_the_connection_again(stream: StreamReader, control: Control) -> None:
    reading = await start(stream.read())
    stream.feed_data(b"x" * LIMIT * 3)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not control.is_reading


@pytest.mark.parametrize("end", [StreamReader.feed_eof, lambda stream: stream.set_exception(OSError())])
def test_an_ended_stream_holds_up_no_connection(
    stream: StreamReader, control: Control, end: Callable[[StreamReader], None]
) -> None:
    stream.feed_data(b"x" * LIMIT * 3)
    assert not control.is_reading
    end(stream)
    assert control.is_reading


def test_marks_are_raised_for_a_consumer_and_never_lowered(stream: StreamReader, control: Control) -> None:
    stream.set_read_chunk_size(LIMIT * 4)
    stream.set_read_chunk_size(1)
    assert stream.get_read_buffer_limits() == (LIMIT * 4, LIMIT * 8)
    stream.feed_data(b"x" * LIMIT * 8)
    assert control.is_reading


def test_bytes_are_counted() -> None:
    stream = make_complete(b"ab", b"", b"c")
    assert stream.total_bytes == stream.total_raw_bytes == 3
    stream.total_compressed_bytes = 2
    assert stream.total_raw_bytes == 2
    assert repr(stream) == "<StreamReader 3 bytes eof>"


# Cost


async def test_a_million_pieces_are_read_with_one_wake_up_and_one_join() -> None:
    """a-086."""
    stream = StreamReader(None)
    reading = await start(stream.read())
    begin = time.process_time()
    for _ in range(1_000_000):
        stream.feed_data(b"x")
    stream.feed_eof()
    assert len(await reading) == 1_000_000
    assert time.process_time() - begin < 10


@pytest.mark.parametrize("way", [StreamReader.readline, StreamReader.readany, lambda stream: stream.read(7)])
async def test_pieces_that_come_while_a_reader_waits_cost_the_same_each(
    way: Callable[[StreamReader], Awaitable[bytes]],
) -> None:
    async def measure(count: int) -> float:
        stream = StreamReader(None, 2**20)
        begin = time.process_time()
        reading = await start(way(stream))
        for _ in range(count):
            stream.feed_data(b"x")
            await asyncio.sleep(0)
        stream.feed_eof()
        await reading
        return time.process_time() - begin

    await measure(1000)
    assert await measure(40_000) < await measure(5_000) * 8 * 4


def test_small_pieces_take_little_more_memory_than_their_bytes() -> None:
    stream = StreamReader(None)
    for _ in range(100_000):
        stream.feed_data(bytes(2))
    held = sum(sys.getsizeof(piece) for piece in stream._buffer)
    assert held < 100_000 * 2 * 1.5
    assert stream.read_nowait() == bytes(200_000)


def test_large_pieces_are_kept_as_they_are() -> None:
    piece = bytes(65_536)
    stream = make_complete(piece)
    assert stream.read_nowait() is piece


# The empty body


async def test_the_empty_body_is_at_its_end_whatever_is_done_to_it() -> None:
    EMPTY_PAYLOAD.feed_data(b"ab")
    EMPTY_PAYLOAD.feed_eof()
    EMPTY_PAYLOAD.set_exception(OSError())
    EMPTY_PAYLOAD.unread_data(b"ab")
    EMPTY_PAYLOAD.begin_http_chunk_receiving()
    EMPTY_PAYLOAD.end_http_chunk_receiving()
    EMPTY_PAYLOAD.set_read_chunk_size(2**30)
    assert isinstance(EMPTY_PAYLOAD, EmptyStreamReader)
    assert EMPTY_PAYLOAD.at_eof()
    assert EMPTY_PAYLOAD.exception() is None
    assert EMPTY_PAYLOAD.get_read_buffer_limits()[0] < 2**30
    assert await EMPTY_PAYLOAD.read() == await EMPTY_PAYLOAD.readany() == await EMPTY_PAYLOAD.readline() == b""
    assert await EMPTY_PAYLOAD.readchunk() == (b"", False)
    await EMPTY_PAYLOAD.wait_eof()
    called: list[int] = []
    EMPTY_PAYLOAD.on_eof(lambda: called.append(1))
    assert called == [1]


# Names


@pytest.mark.parametrize("kind", [StreamReader, EmptyStreamReader])
def test_every_public_name_of_the_peers_reader_is_here(kind: type) -> None:
    assert {name for name in dir(aiohttp.StreamReader) if name[0] != "_"} <= set(dir(kind))


# Queues


async def test_a_queue_hands_on_objects_in_order_until_its_end() -> None:
    queue: DataQueue[int] = DataQueue()
    reading = await start(queue.read())
    queue.feed_data(1)
    queue.feed_data(2, 10)
    assert await reading == 1
    queue.feed_eof()
    assert (len(queue), queue.is_eof(), queue.at_eof()) == (1, True, False)
    assert [item async for item in queue] == [2]
    assert queue.at_eof()
    with pytest.raises(EofStream):
        await queue.read()


async def test_a_queue_ends_by_an_exception_after_what_is_in_it() -> None:
    queue: DataQueue[int] = DataQueue()
    queue.feed_data(1)
    error, cause = OSError("gone"), ValueError()
    queue.set_exception(error, cause)
    assert queue.exception() is error
    assert error.__cause__ is cause
    assert await queue.read() == 1
    with pytest.raises(OSError, match="gone"):
        await queue.read()


async def test_a_waiting_reader_of_a_queue_gets_the_exception() -> None:
    queue: DataQueue[int] = DataQueue()
    reading = await start(queue.read())
    with pytest.raises(RuntimeError, match="another coroutine already waits"):
        await queue.read()
    queue.set_exception(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await reading


async def test_a_cancelled_reader_of_a_queue_makes_room_for_another() -> None:
    queue: DataQueue[int] = DataQueue()
    reading = await start(queue.read())
    reading.cancel()
    queue.feed_data(1)
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert await queue.read() == 1
    reading = await start(queue.read())
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    queue.feed_data(2)
    assert await queue.read() == 2


async def test_a_queue_stops_the_connection_while_it_holds_too_much(control: Control) -> None:
    queue: FlowControlDataQueue[str] = FlowControlDataQueue(control, LIMIT)
    queue.feed_data("a", LIMIT * 2)
    assert control.is_reading
    queue.feed_data("b", LIMIT)
    queue.feed_data("c", 1)
    assert not control.is_reading
    await queue.read()
    assert not control.is_reading
    await queue.read()
    assert control.is_reading
    assert await queue.read() == "c"


# Coded content.


class Swelling(ContentCoding):
    """Codes runs: a digit and a letter stand for so many thousands of the letter; ``!`` ends, ``?`` is an error."""

    name = "swelling"

    def make_encoder(self, level: int | None = None) -> Any:
        raise NotImplementedError

    def make_decoder(self, max_bytes: int) -> SwellingDecoder:
        return SwellingDecoder(max_bytes)


class SwellingDecoder(AbstractDecoder):
    """Decodes runs, bounded as asked."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.coded = b""
        self.left = 0
        self.letter = b""
        self.is_ended = False
        self.largest = 0

    @property
    def has_more(self) -> bool:
        return self.left > 0 or len(self.coded) > 1 or self.coded in (b"!", b"?")

    def decode(self, data: bytes) -> bytes:
        self.coded += data
        if not self.left and self.coded[:1] == b"?":
            raise ContentDecodingError("the content is no run")
        if not self.left and self.coded[:1] == b"!":
            self.is_ended, self.coded = True, b""
            return b""
        if not self.left and len(self.coded) > 1:
            self.left, self.letter = int(self.coded[:1]) * 1000, self.coded[1:2]
            self.coded = self.coded[2:]
        size = min(self.left, self.max_bytes)
        self.left -= size
        self.largest = max(self.largest, size)
        return self.letter * size

    def finish(self) -> None:
        if not self.is_ended:
            raise ContentDecodingError("the content was cut short")


def make_coded(*pieces: bytes, **limits: Any) -> tuple[StreamReader, DecodedStreamReader]:
    source = StreamReader(None)
    for piece in pieces:
        source.feed_data(piece)
    return source, DecodedStreamReader(source, Swelling(), **limits)


async def test_coded_content_is_decoded_as_it_is_read() -> None:
    source, reader = make_coded(b"1a2b", b"1c!")
    source.feed_eof()
    assert await reader.read(500) == b"a" * 500
    assert await reader.readexactly(600) == b"a" * 500 + b"b" * 100
    assert not reader.at_eof()
    assert await reader.read() == b"b" * 1900 + b"c" * 1000
    assert reader.at_eof()
    assert (reader.total_bytes, reader.total_raw_bytes) == (4000, 7)
    assert await reader.read() == await reader.readany() == b""


@pytest.mark.parametrize("way", ["iter_any", "iter_chunks", "readuntil", "read_nowait"])
async def test_each_way_of_reading_decodes(way: str) -> None:
    source, reader = make_coded(b"1a1\n!")
    source.feed_eof()
    if way == "iter_any":
        read = b"".join([piece async for piece in reader.iter_any()])
    elif way == "iter_chunks":
        read = b"".join([piece async for piece, _ in reader.iter_chunks()])
    elif way == "readuntil":
        read = await reader.readuntil(max_size=2000) + await reader.read()
    else:
        read = reader.read_nowait(1500) + reader.read_nowait() + reader.read_nowait()
    assert read == b"a" * 1000 + b"\n" * 1000


async def test_nothing_is_decoded_ahead(control: Control) -> None:
    source = StreamReader(control, LIMIT)
    reader = DecodedStreamReader(source, Swelling())
    source.feed_data(b"9x" * 30)
    assert not control.is_reading
    assert reader.total_bytes == 0
    assert await reader.read(10) == b"x" * 10
    assert reader.total_bytes == 9000


async def test_what_has_not_come_is_waited_for() -> None:
    source, reader = make_coded()
    assert reader.read_nowait() == b""
    reading = await start(reader.read())
    with pytest.raises(RuntimeError, match="another coroutine already waits"):
        await reader.readany()
    source.feed_data(b"1a!")
    source.feed_eof()
    assert await reading == b"a" * 1000


async def test_a_cancelled_reader_of_coded_content_loses_nothing() -> None:
    source, reader = make_coded(b"1a")
    reading = await start(reader.read())
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    source.feed_data(b"1b!")
    source.feed_eof()
    assert await reader.read() == b"a" * 1000 + b"b" * 1000


async def test_the_loop_has_its_turn_while_much_is_decoded() -> None:
    source, reader = make_coded(*[b"9x" * 10_000] * 5, b"!")
    source.feed_eof()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while not reader.at_eof():
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    while await reader.readany():
        pass
    await counting
    assert turns > 5


@pytest.mark.parametrize(("coded", "message"), [(b"1a?", "no run"), (b"1a", "cut short")])
async def test_content_that_cannot_be_decoded_ends_in_the_error_that_was_asked_for(coded: bytes, message: str) -> None:
    source, reader = make_coded(coded, make_error=lambda error: OSError(f"made of: {error}"))
    source.feed_eof()
    for _ in range(2):
        with pytest.raises(OSError, match=f"made of: .*{message}") as caught:
            await reader.read()
        assert isinstance(caught.value.__cause__, ContentDecodingError)
    assert reader.exception() is caught.value


async def test_content_over_its_limit_ends_in_an_error_and_is_dropped() -> None:
    source, reader = make_coded(b"9x" * 10, max_bytes=20_000)
    source.feed_eof()
    with pytest.raises(DecodedSizeError, match="limit 20,000") as caught:
        await reader.read()
    assert (caught.value.size, caught.value.limit) == (27_000, 20_000)
    assert reader.total_bytes == 27_000


async def test_content_that_swells_more_than_it_may_ends_in_an_error() -> None:
    source, reader = make_coded(b"9x" * 500, max_ratio=1000)
    source.feed_eof()
    with pytest.raises(DecodedSizeError, match="more than 1,000 times") as caught:
        await reader.read()
    assert RATIO_FLOOR_BYTES < caught.value.size <= RATIO_FLOOR_BYTES + 9000


async def test_a_small_body_may_swell_as_it_likes() -> None:
    source, reader = make_coded(b"9x!", max_ratio=10)
    source.feed_eof()
    assert len(await reader.read()) == 9000


async def test_what_ended_the_coded_body_ends_its_reader() -> None:
    source, reader = make_coded(b"1a")
    error = ConnectionError("gone")
    assert await reader.read(1) == b"a"
    source.set_exception(error)
    assert reader.exception() is error
    assert await reader.read(999) == b"a" * 999
    with pytest.raises(ConnectionError, match="gone"):
        await reader.read()


async def test_the_end_of_the_coded_body_is_what_is_told() -> None:
    source, reader = make_coded(b"1a")
    told: list[str] = []
    reader.on_eof(lambda: told.append("end"))
    waiting = await start(reader.wait_eof())
    source.feed_eof()
    await waiting
    assert told == ["end"]
    assert not reader.is_eof()


async def test_codings_are_undone_one_after_the_other() -> None:
    source, inner = make_coded(b"1!")
    source.feed_data(b"!")
    source.feed_eof()
    outer = DecodedStreamReader(inner, Swelling())
    assert await outer.read() == b""
    assert outer.total_raw_bytes == 1000
