"""Body writers by themselves: framing, counting, and when they wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from multidict import CIMultiDict

from corelet.errors import LocalProtocolError
from corelet.writer import JOIN_BYTES, THREAD_BYTES, BodyWriter


class Sink:
    """A channel that keeps what it gets, write by write."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.is_writing_paused = False
        self.drained = 0

    def send(self, data: bytes) -> None:
        self.writes.append(data)

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        self.writes.append(b"|".join(pieces))

    async def drain(self) -> None:
        self.drained += 1


@pytest.fixture
def sink() -> Sink:
    return Sink()


async def test_body_of_unknown_length_is_sent_as_it_is(sink: Sink) -> None:
    writer = BodyWriter(sink)
    await writer.write(b"ab")
    await writer.write_eof(b"c")

    assert sink.writes == [b"ab", b"c"]
    assert (writer.buffer_size, writer.output_size, writer.length, writer.is_ended) == (3, 3, None, True)


async def test_chunks_are_framed_in_one_write_each(sink: Sink) -> None:
    writer = BodyWriter(sink, chunked=True)
    await writer.write(b"ab")
    await writer.write(b"")
    await writer.write_eof(b"0123456789abcdef")

    assert sink.writes == [b"2\r\nab\r\n", b"10\r\n0123456789abcdef\r\n", b"0\r\n\r\n"]
    assert (writer.buffer_size, writer.output_size) == (18, sum(map(len, sink.writes)))


async def test_large_chunk_is_not_copied_into_its_frame(sink: Sink) -> None:
    writer = BodyWriter(sink, chunked=True)
    body = b"x" * JOIN_BYTES
    await writer.write(body)

    assert sink.writes == [b"10000\r\n|" + body + b"|\r\n"]


async def test_chunking_can_be_enabled_later(sink: Sink) -> None:
    writer = BodyWriter(sink)
    writer.enable_chunking()
    await writer.write_eof()

    assert sink.writes == [b"0\r\n\r\n"]


async def test_length_counts_down(sink: Sink) -> None:
    writer = BodyWriter(sink, length=3)
    await writer.write(b"ab")
    assert (writer.length, writer.is_short) == (1, True)
    await writer.write_eof(b"c")
    assert (writer.length, writer.is_short) == (0, False)


async def test_more_than_the_length_is_refused_and_nothing_of_it_sent(sink: Sink) -> None:
    writer = BodyWriter(sink, length=3)
    await writer.write(b"ab")
    with pytest.raises(LocalProtocolError, match="2 bytes written, 1 left by Content-Length"):
        await writer.write(b"cd")

    assert sink.writes == [b"ab"]


async def test_less_than_the_length_is_an_error_at_the_end(sink: Sink) -> None:
    writer = BodyWriter(sink, length=3)
    with pytest.raises(LocalProtocolError, match="ended 2 bytes before"):
        await writer.write_eof(b"a")


async def test_discarding_writer_counts_and_sends_nothing(sink: Sink) -> None:
    writer = BodyWriter(sink, length=3, discard=True, chunked=True)
    await writer.write(b"abcdef")
    await writer.write_eof(b"g")

    assert (sink.writes, writer.buffer_size, writer.output_size, writer.discards) == ([], 7, 0, True)


async def test_end_comes_once_and_nothing_after_it(sink: Sink) -> None:
    writer = BodyWriter(sink, chunked=True)
    await writer.write_eof()
    await writer.write_eof(b"late")
    with pytest.raises(RuntimeError, match="after write_eof"):
        await writer.write(b"late")

    assert sink.writes == [b"0\r\n\r\n"]


@pytest.mark.parametrize("buffer", [bytearray(b"abc"), memoryview(bytearray(b"abc"))])
async def test_buffer_that_can_change_is_copied(sink: Sink, buffer: Any) -> None:
    await BodyWriter(sink).write(buffer)
    buffer[0] = 120

    assert sink.writes == [b"abc"]


async def test_length_of_a_memoryview_is_in_bytes(sink: Sink) -> None:
    writer = BodyWriter(sink, length=8)
    await writer.write_eof(memoryview(b"01234567").cast("I"))  # type: ignore[arg-type]

    assert writer.buffer_size == 8


async def test_writer_waits_while_the_channel_is_behind(sink: Sink) -> None:
    writer = BodyWriter(sink)
    await writer.write(b"a")
    assert sink.drained == 0
    sink.is_writing_paused = True
    await writer.write(b"b")
    await writer.write_eof()
    await writer.drain()

    assert sink.drained == 3


class HoldingEncoder:
    """Gives nothing before the end."""

    def __init__(self) -> None:
        self.held = b""

    def encode(self, data: bytes) -> bytes:
        self.held += data
        return b""

    def flush(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        return self.held.upper()


class LoudEncoder:
    """Gives what it gets at once, in the thread that it notes; waits in it where it is told to."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def encode(self, data: bytes) -> bytes:
        self.threads.append(threading.current_thread())
        assert self.may_go_on.wait(10)
        return data[:1].upper()

    def flush(self) -> bytes:
        return b"~"

    def finish(self) -> bytes:
        return b"!"


async def test_encoder_codes_what_is_framed(sink: Sink) -> None:
    writer = BodyWriter(sink, chunked=True, encoder=HoldingEncoder())
    await writer.write(b"ab")
    await writer.write_eof(b"c")

    assert sink.writes == [b"3\r\nABC\r\n", b"0\r\n\r\n"]
    assert writer.buffer_size == 3


async def test_each_write_is_flushed(sink: Sink) -> None:
    writer = BodyWriter(sink, encoder=LoudEncoder())
    await writer.write(b"a")
    await writer.write(b"")
    await writer.write(b"b")
    await writer.write_eof(b"c")

    assert sink.writes == [b"A~", b"B~", b"C!"]


async def test_large_parts_are_coded_in_another_thread_and_small_ones_here(sink: Sink) -> None:
    encoder = LoudEncoder()
    writer = BodyWriter(sink, encoder=encoder)
    await writer.write(b"a" * THREAD_BYTES)
    await writer.write(b"b")
    await writer.write_eof(b"c" * THREAD_BYTES)

    here = threading.current_thread()
    assert [thread is here for thread in encoder.threads] == [False, True, False]
    assert sink.writes == [b"A~", b"B~", b"C!"]


async def test_parallel_writes_of_coded_parts_keep_their_order(sink: Sink) -> None:
    writer = BodyWriter(sink, encoder=LoudEncoder())
    await asyncio.gather(*(writer.write(letter * size) for letter, size in ((b"a", THREAD_BYTES), (b"b", 1))))

    assert sink.writes == [b"A~", b"B~"]


async def test_body_whose_coding_was_cancelled_does_not_go_on(sink: Sink) -> None:
    encoder = LoudEncoder()
    encoder.may_go_on.clear()
    writer = BodyWriter(sink, encoder=encoder)
    writing = asyncio.ensure_future(writer.write(b"a" * THREAD_BYTES))
    while not encoder.threads:  # noqa: ASYNC110 -- the thread's own event would need another thread to wait
        await asyncio.sleep(0.001)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    encoder.may_go_on.set()

    for write in (writer.write(b"b"), writer.write_eof()):
        with pytest.raises(RuntimeError, match=r"a write\(\) was cancelled while its data was coded"):
            await write
    assert sink.writes == []


async def test_discarded_body_is_not_coded(sink: Sink) -> None:
    encoder = LoudEncoder()
    writer = BodyWriter(sink, encoder=encoder, discard=True)
    await writer.write(b"a")
    await writer.write_eof(b"b")

    assert sink.writes == []
    assert encoder.threads == []


async def test_head_can_be_written_by_hand(sink: Sink) -> None:
    writer = BodyWriter(sink)
    await writer.write_headers("HTTP/1.1 200 OK", CIMultiDict({"A": "b"}))
    with pytest.raises(LocalProtocolError):
        await writer.write_headers("HTTP/1.1 200 OK", CIMultiDict({"A": "\r\nB: c"}))

    assert sink.writes == [b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"]


async def test_writers_of_several_tasks_do_not_mix_pieces(sink: Sink) -> None:
    writer = BodyWriter(sink, chunked=True)
    await asyncio.gather(*(writer.write(b"%d" % number * 3) for number in range(5)))

    assert sink.writes == [b"3\r\n%d\r\n" % (number * 111) if number else b"3\r\n000\r\n" for number in range(5)]
