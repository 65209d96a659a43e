"""Several requests on their way at once: answers in order, few writes, and bounds for both directions."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import pytest

from corelet.connection import CORK_BYTES
from corelet.limits import Deadlines
from corelet.response import Response, StreamResponse
from tests.conftest import Connect, Serve, Served

MIB = 2**20


def get(path: str, fields: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n"


def post(path: str, body: str, size: int | None = None) -> str:
    return f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body) if size is None else size}\r\n\r\n{body}"


async def show_path(request: Any) -> Response:
    return Response(text=request.path)


async def wait_at_odd(request: Any) -> Response:
    if int(request.path[1:]) % 2:
        await asyncio.sleep(0.001)
    return Response(text=request.path)


def get_transport(served: Served) -> Any:
    (connection,) = served.server.connections
    return connection.transport


@pytest.mark.parametrize("handler", [show_path, wait_at_odd])
async def test_answers_come_in_the_order_of_the_requests(serve: Serve, connect: Connect, handler: Any) -> None:
    client = await connect(await serve(handler))
    await client.send("".join(get(f"/{number}") for number in range(200)))
    answers = await client.read_answers(200)
    assert [answer.text for answer in answers] == [f"/{number}" for number in range(200)]


async def test_no_handler_runs_before_the_one_before_it_has_answered(serve: Serve, connect: Connect) -> None:
    running = 0

    async def handler(request: Any) -> StreamResponse:
        nonlocal running
        running += 1
        assert running == 1
        response = StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(0.002)
        await response.write(request.path.encode())
        running -= 1
        return response

    client = await connect(await serve(handler))
    await client.send("".join(get(f"/{number}") for number in range(20)))
    assert [answer.text for answer in await client.read_answers(20)] == [f"/{number}" for number in range(20)]


def note_writes(connection: Any, writes: list[int]) -> None:
    """Have the connection's writes noted, each by its size."""
    transport = connection.transport

    class Noting:
        def write(self, data: bytes) -> None:
            writes.append(len(data))
            transport.write(data)

        def writelines(self, pieces: list[bytes]) -> None:
            writes.append(sum(map(len, pieces)))
            transport.writelines(pieces)

        def __getattr__(self, name: str) -> Any:
            return getattr(transport, name)

    connection._transport = Noting()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="each handler is a task of its own turn before 3.12")
async def test_sixteen_requests_in_one_write_are_answered_in_few(serve: Serve, connect: Connect) -> None:
    writes: list[int] = []
    watched: set[Any] = set()

    async def handler(request: Any) -> Response:
        if request.connection not in watched:
            watched.add(request.connection)
            note_writes(request.connection, writes)
        return Response(text=request.path)

    client = await connect(await serve(handler))
    for _ in range(3):
        await client.send("".join(get(f"/{number}") for number in range(16)))
        assert [answer.text for answer in await client.read_answers(16)] == [f"/{number}" for number in range(16)]
    assert len(writes) <= 2 * 3


@pytest.mark.parametrize("size", [10, 1000, 100_000])
async def test_what_is_written_without_a_wait_leaves_in_few_writes(serve: Serve, connect: Connect, size: int) -> None:
    writes: list[int] = []

    async def handler(request: Any) -> StreamResponse:
        note_writes(request.connection, writes)
        response = StreamResponse()
        await response.prepare(request)
        for _ in range(8):
            await response.write(b"x" * size)
        return response

    client = await connect(await serve(handler))
    await client.send(get("/"))
    assert (await client.read_answer()).body == b"x" * 8 * size
    assert len(writes) <= 2 + 8 * size // CORK_BYTES


async def test_what_a_handler_writes_leaves_when_it_waits(serve: Serve, connect: Connect) -> None:
    is_read = asyncio.Event()

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await is_read.wait()
        await response.write(b"last")
        return response

    client = await connect(await serve(handler))
    await client.send(get("/"))
    assert (await client.read_until_quiet()).endswith(b"5\r\nfirst\r\n")
    is_read.set()
    assert (await client.read_until_quiet()) == b"4\r\nlast\r\n0\r\n\r\n"


async def test_requests_with_bodies_may_be_sent_at_once(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(text=request.path + (await request.text() if request.path != "/unread" else ""))

    client = await connect(await serve(handler))
    await client.send(post("/a", "one") + get("/b") + post("/unread", "two") + post("/c", "") + post("/d", "four"))
    answers = await client.read_answers(5)
    assert [answer.text for answer in answers] == ["/aone", "/b", "/unread", "/c", "/dfour"]


@pytest.mark.parametrize("step", [1, 7, 64])
async def test_requests_split_anywhere_are_answered_once_each(serve: Serve, connect: Connect, step: int) -> None:
    async def handler(request: Any) -> Response:
        return Response(text=request.path + await request.text())

    client = await connect(await serve(handler))
    sending = asyncio.create_task(client.send_split((get("/1") + post("/2", "x" * 50) + get("/3")).encode(), step))
    assert [answer.text for answer in await client.read_answers(3)] == ["/1", "/2" + "x" * 50, "/3"]
    await sending


async def test_a_large_answer_in_a_burst_doesnt_hold_up_those_behind_it(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(body=b"x" * int(request.path[1:]))

    client = await connect(await serve(handler), limit=4 * MIB)
    sizes = [10, 100_000, 10, 65_536, 65_537, 3 * MIB, 20, 70_000, 1]
    await client.send("".join(get(f"/{size}") for size in sizes))
    assert [len(answer.body) for answer in await client.read_answers(len(sizes))] == sizes


async def test_a_stream_written_at_once_in_a_burst_doesnt_hold_up_those_behind_it(
    serve: Serve, connect: Connect
) -> None:
    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        for _ in range(int(request.path[1:])):
            await response.write(b"x" * 10)
        await response.write_eof()
        return response

    client = await connect(await serve(handler))
    counts = [1, 40, 0, 14, 15, 16, 17, 2]
    await client.send("".join(get(f"/{count}") for count in counts))
    assert [len(answer.body) // 10 for answer in await client.read_answers(len(counts))] == counts


async def test_requests_behind_the_last_are_not_answered(serve: Serve, connect: Connect) -> None:
    seen: list[str] = []

    async def handler(request: Any) -> Response:
        seen.append(request.path)
        return Response(text=request.path)

    client = await connect(await serve(handler))
    await client.send(get("/1") + get("/2", "Connection: close\r\n") + get("/3"))
    assert re.findall(rb"\r\n\r\n(/\d)", await client.read_until_closed()) == [b"/1", b"/2"]
    assert seen == ["/1", "/2"]


async def test_a_request_before_a_bad_one_is_answered(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(wait_at_odd))
    await client.send(get("/1") + "what is this?\r\n\r\n" + get("/3"))
    assert [answer.status for answer in await client.read_answers(2)] == [200, 400]
    assert await client.is_closed(5)


async def test_the_answer_that_closes_ends_a_burst(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        response = Response(text=request.path)
        if request.path == "/2":
            response.force_close()
        return response

    client = await connect(await serve(handler))
    await client.send(get("/1") + get("/2") + get("/3"))
    assert re.findall(rb"\r\n\r\n(/\d)", await client.read_until_closed()) == [b"/1", b"/2"]


async def test_a_handler_that_fails_in_a_burst_costs_the_others_nothing(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        if request.path == "/1":
            raise LookupError("here")
        return Response(text=request.path)

    client = await connect(await serve(handler))
    await client.send(get("/0") + get("/1") + get("/2"))
    assert [answer.status for answer in await client.read_answers(3)] == [200, 500, 200]


# Bounds.


async def test_reading_pauses_while_ten_thousand_requests_wait_for_a_slow_handler(
    serve: Serve, connect: Connect
) -> None:
    """a-085; CVE-2026-54273."""
    go_on = asyncio.Event()
    seen = 0

    async def handler(request: Any) -> Response:
        nonlocal seen
        seen += 1
        await go_on.wait()
        if seen % 100 == 0:
            await asyncio.sleep(0)
        return Response(text=request.path)

    count = 10_000
    served = await serve(handler, read_bufsize=65_536)
    client = await connect(served, limit=2**24)
    filler = f"X: {'x' * 1500}\r\n"
    requests = "".join(get(f"/{number}", filler) for number in range(count)).encode()
    client.writer.write(requests)
    await asyncio.sleep(0.5)
    assert seen == 1
    # The rest is in the kernel's buffers at most.
    assert client.writer.transport.get_write_buffer_size() > len(requests) // 4
    assert not get_transport(served).is_reading()
    go_on.set()
    for number in range(count):
        assert (await client.read_answer()).text == f"/{number}"
    assert get_transport(served).is_reading()


async def test_a_body_behind_requests_that_had_stopped_reading_arrives(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(0.005)
        return Response(text=str(len(await request.read())))

    client = await connect(await serve(handler, read_bufsize=1024))
    size = 100_000
    await client.send("".join(get(f"/{number}") for number in range(100)) + post("/", "x" * (size // 2), size))
    await asyncio.sleep(0.1)
    await client.send("x" * (size // 2))
    answers = await client.read_answers(101)
    assert answers[-1].text == str(size)


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("size", [1000, 300_000])
async def test_a_peer_that_sends_on_and_never_reads_is_held_up_and_ended(
    serve: Serve, connect: Connect, size: int, waits: bool
) -> None:
    seen = 0

    async def handler(request: Any) -> Response:
        nonlocal seen
        seen += 1
        if waits:
            await asyncio.sleep(0)
        return Response(body=b"x" * size)

    loop = asyncio.get_running_loop()
    served = await serve(handler, read_bufsize=65_536, deadlines=Deadlines(write_seconds=1))
    client = await connect(served, limit=1024)
    filler = f"X: {'x' * 1500}\r\n"
    requests = get("/", filler).encode() * 40_000
    client.writer.write(requests)
    unsent = []
    held = []
    started = loop.time()
    while served.server.connections and loop.time() - started < 8:
        (connection,) = served.server.connections
        if connection.transport is not None:
            unsent.append(connection.transport.get_write_buffer_size())
            held.append(connection._parser.buffered if connection._parser is not None else 0)
        await asyncio.sleep(0.02)
    assert not served.server.connections
    assert seen < 40_000
    assert max(unsent) < 2 * MIB + 2 * size
    assert max(held) < 65_536 + 2 * 262_144


async def test_a_peer_that_reads_at_last_gets_every_answer(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(body=b"x" * 60_000)

    served = await serve(
        handler, read_bufsize=4096, deadlines=Deadlines(keepalive_seconds=0.5, head_seconds=0.5, linger_seconds=0.5)
    )
    client = await connect(served, limit=1024)
    client.writer.write((get("/") * 1000).encode())
    await asyncio.sleep(2)
    assert len(served.server.connections) == 1
    for _ in range(1000):
        assert len((await client.read_answer()).body) == 60_000
