"""Streams of events over real sockets: how they begin, go on and end."""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest

from corelet import web
from corelet_sse import EventSourceResponse, event_source

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PING = b": ping\n\n"
FIRST = b"GET / HTTP/1.0\r\n\r\n"


class Stream:
    """What a handler streams to a peer that may go away; HTTP/1.0, so that the body is as it was sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self, size: int) -> bytes:
        return await asyncio.wait_for(self.reader.readexactly(size), 10)

    async def read_head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)

    async def read_rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), 10)

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@pytest.fixture
async def open_stream(server_for: Any) -> Any:
    """Give what serves a handler and opens a stream to it."""
    streams: list[Stream] = []

    async def start(handler: Handler, request: bytes = FIRST, **options: Any) -> Stream:
        app = web.Application(handler=handler, **options)
        server = await server_for(app, shutdown_timeout=60.0)
        stream = Stream(*await asyncio.open_connection(server.host, server.port))
        stream.writer.write(request)
        streams.append(stream)
        stream.server = server  # type: ignore[attr-defined]
        return stream

    yield start
    for stream in streams:
        await stream.close()


def make_handler(work: Callable[[EventSourceResponse], Awaitable[None]], ends: list[str], **options: Any) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        async with event_source(request, **options) as events:
            await work(events)
        await asyncio.sleep(0)
        ends.append("left")
        return events

    return handler


async def wait_until(check: Callable[[], Any]) -> None:
    for _ in range(500):
        if check():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it did not come to that")


async def test_head_and_events_are_sent_at_once(open_stream: Any) -> None:
    async def work(events: EventSourceResponse) -> None:
        await events.send("eins\nzwei", event="tick", id="1")
        await events.send_json({"a": [1]})
        await events.send_comment("just so")

    ends: list[str] = []
    stream = await open_stream(make_handler(work, ends, retry=500))
    head = await stream.read_head()
    assert b"Content-Type: text/event-stream\r\n" in head
    assert b"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n" in head
    assert await stream.read_rest() == (
        b"retry: 500\n\nevent: tick\nid: 1\ndata: eins\ndata: zwei\n\n" + b'data: {"a": [1]}\n\n: just so\n\n'
    )
    assert ends == ["left"]


async def wait_forever(events: EventSourceResponse) -> None:
    await events.send("one")
    await asyncio.Event().wait()


async def send_forever(events: EventSourceResponse) -> None:
    while True:
        await events.send("x" * 1000)
        await asyncio.sleep(0)


async def wait_by_hand(events: EventSourceResponse) -> None:
    await events.send("one")
    await events.wait()


@pytest.mark.parametrize("work", [wait_forever, send_forever, wait_by_hand])
async def test_a_peer_that_goes_ends_the_block(open_stream: Any, work: Any, caplog: pytest.LogCaptureFixture) -> None:
    ends: list[str] = []
    stream = await open_stream(make_handler(work, ends))
    await stream.read_head()
    await stream.close()
    await wait_until(lambda: ends == ["left"])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize("work", [wait_forever, wait_by_hand])
async def test_a_server_that_stops_ends_the_streams(open_stream: Any, work: Any) -> None:
    ends: list[str] = []
    stream = await open_stream(make_handler(work, ends))
    await stream.read_head()
    assert await stream.read(11) == b"data: one\n\n"
    assert "open event sources: 1" in str(list(stream.server.app.plugins.report(stream.server.app)))
    async with asyncio.timeout(30):  # handlers in progress would have 60 s
        await stream.server.close()
    assert await stream.read_rest() == b""
    assert ends == ["left"]


async def test_another_task_may_stop_a_stream_and_it_may_stop_itself(open_stream: Any) -> None:
    async def work(events: EventSourceResponse) -> None:
        asyncio.get_running_loop().call_later(0.02, events.stop)
        await events.send("one")
        await asyncio.Event().wait()

    async def stop_itself(events: EventSourceResponse) -> None:
        events.stop()
        assert not events.is_connected
        with pytest.raises(ConnectionResetError, match="has ended"):
            await events.send("too late")

    for each, body in ((work, b"data: one\n\n"), (stop_itself, b"")):
        ends: list[str] = []
        stream = await open_stream(make_handler(each, ends))
        await stream.read_head()
        assert await stream.read_rest() == body
        assert ends == ["left"]


async def test_silence_is_broken_by_comments_and_only_silence(
    open_stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[float, bytes]] = []
    write = EventSourceResponse.write

    async def note(self: EventSourceResponse, data: Any) -> None:
        written.append((asyncio.get_running_loop().time(), data))
        await write(self, data)

    async def work(events: EventSourceResponse) -> None:
        for _ in range(6):
            await events.send("x")
            await asyncio.sleep(0.02)
        await wait_until(lambda: len([data for _, data in written if data == PING]) >= 2)

    monkeypatch.setattr(EventSourceResponse, "write", note)
    stream = await open_stream(make_handler(work, [], ping_seconds=0.05))
    await stream.read_head()
    assert (await stream.read_rest()).replace(PING, b"") == b"data: x\n\n" * 6
    silences = [time - before for (before, _), (time, data) in pairwise(written) if data == PING]
    assert min(silences) >= 0.05


async def test_the_last_id_that_the_peer_has_seen_is_known(open_stream: Any) -> None:
    async def work(events: EventSourceResponse) -> None:
        await events.send(f"after {events.last_event_id}")

    stream = await open_stream(make_handler(work, []), b"GET / HTTP/1.0\r\nLast-Event-ID: \xc3\xa4 7\r\n\r\n")
    await stream.read_head()
    assert await stream.read_rest() == "data: after ä 7\n\n".encode()


async def test_head_ends_with_its_head(open_stream: Any) -> None:
    ends: list[str] = []
    stream = await open_stream(make_handler(wait_forever, ends), b"HEAD / HTTP/1.0\r\n\r\n")
    assert b"text/event-stream" in await stream.read_head()
    assert await stream.read_rest() == b""
    assert ends == ["left"]


async def test_a_fault_in_the_block_is_the_handlers(open_stream: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(events: EventSourceResponse) -> None:
        await events.send("one")
        await events.drain()
        raise LookupError("a fault")

    ends: list[str] = []
    stream = await open_stream(make_handler(work, ends), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await stream.read_head()
    # Cut off, without the last chunk: the browser connects again.
    assert await stream.read_rest() == b"b\r\ndata: one\n\n\r\n"
    assert ends == []
    assert "a fault" in caplog.text


async def test_a_cancellation_from_elsewhere_goes_on(open_stream: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            async with asyncio.timeout(0.02):
                async with event_source(request) as events:
                    await asyncio.Event().wait()
        except TimeoutError:
            await events.write(b"timed out")
        return events

    stream = await open_stream(handler)
    await stream.read_head()
    assert await stream.read_rest() == b"timed out"


async def test_compressed_events_arrive_one_by_one(open_stream: Any) -> None:
    go_on = asyncio.Event()

    async def work(events: EventSourceResponse) -> None:
        await events.send("one")
        await go_on.wait()
        await events.send("two")

    stream = await open_stream(
        make_handler(work, []),
        b"GET / HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n",
        middlewares=[web.compression_middleware()],
    )
    assert b"Content-Encoding: gzip\r\n" in await stream.read_head()
    decoder = zlib.decompressobj(31)
    text = b""
    while not text:
        text = decoder.decompress(await stream.read(1))
    while not text.endswith(b"\n\n"):
        text += decoder.decompress(await stream.read(1))
    assert text == b"data: one\n\n"
    go_on.set()
    assert decoder.decompress(await stream.read_rest()) == b"data: two\n\n"


async def test_a_response_works_by_hand_and_without_the_plugin(open_stream: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        events = EventSourceResponse(headers={"Cache-Control": "private"}, ping_seconds=None)
        with pytest.raises(RuntimeError, match=r"before prepare\(\)"):
            await events.send("too early")
        await events.prepare(request)
        await events.send("one")
        return events

    stream = await open_stream(handler, plugins=[])
    assert b"Cache-Control: private\r\n" in await stream.read_head()
    assert await stream.read_rest() == b"data: one\n\n"


def test_a_time_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="ping_seconds is 0, expected more than 0"):
        EventSourceResponse(ping_seconds=0)
