"""Deadlines: each ends what is too slow within about a second of its time, and nothing else.

Bounds are wide on purpose: a busy machine must not fail what is right.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from corelet.app import Application
from corelet.limits import Deadlines
from corelet.response import Response, StreamResponse
from tests.conftest import Connect, Serve, Served, Tls
from tests.raw_client import RawClient

MIB = 2**20
Start = Callable[..., Any]


@pytest.fixture(params=["runner", "server"])
def start(request: pytest.FixtureRequest, serve: Serve) -> Start:
    """Serve a handler by an application's runner, and by a bare server: deadlines are the same."""

    async def start_one(handler: Any, **deadlines: float) -> Served:
        served = Application(handler=handler, plugins=[]) if request.param == "runner" else handler
        return await serve(served, deadlines=Deadlines(**deadlines))

    return start_one


@pytest.fixture
def start_server(serve: Serve) -> Start:
    """Serve a handler by a bare server."""

    async def start_one(handler: Any, **deadlines: float) -> Served:
        return await serve(handler, deadlines=Deadlines(**deadlines))

    return start_one


async def hello(request: Any) -> Response:
    return Response(text="hello")


async def read_body(request: Any) -> Response:
    return Response(text=str(len(await request.read())))


async def measure_end(client: RawClient) -> tuple[float, bytes]:
    """Return how long a connection lives from now on, and what was sent over it."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    data = await client.read_until_closed()
    return loop.time() - started, data


async def test_a_silent_connection_is_closed_without_a_word(start: Start, connect: Connect) -> None:
    """a-081."""
    client = await connect(await start(hello, head_seconds=1))
    seconds, data = await measure_end(client)
    assert data == b""
    assert 0.4 < seconds < 2.5


async def test_a_tls_handshake_has_as_long_as_a_head(serve: Serve, connect: Connect, tls: Tls) -> None:
    client = await connect(await serve(hello, ssl_context=tls.server, deadlines=Deadlines(head_seconds=1)))
    seconds, data = await measure_end(client)
    assert data == b""
    assert 0.4 < seconds < 2.5


async def test_a_head_that_trickles_in_is_refused(start: Start, connect: Connect) -> None:
    client = await connect(await start(hello, head_seconds=1))

    async def trickle() -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1000:
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0.05)

    trickling = asyncio.create_task(trickle())
    seconds, data = await measure_end(client)
    trickling.cancel()
    assert data.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in data
    assert 0.4 < seconds < 2.5


async def test_a_later_head_that_trickles_in_is_refused_too(start_server: Start, connect: Connect) -> None:
    client = await connect(await start_server(hello, head_seconds=1, keepalive_seconds=30))
    assert (await client.get()).status == 200
    await client.send("GET /")
    seconds, data = await measure_end(client)
    assert data.startswith(b"HTTP/1.1 408 ")
    assert 0.4 < seconds < 2.5


async def test_the_time_of_a_later_head_begins_with_its_first_byte(start_server: Start, connect: Connect) -> None:
    client = await connect(await start_server(hello, head_seconds=1, keepalive_seconds=30))
    assert (await client.get()).status == 200
    await asyncio.sleep(1.8)
    assert (await client.get()).status == 200


async def test_an_idle_connection_is_closed_without_a_word(start: Start, connect: Connect) -> None:
    client = await connect(await start(hello, keepalive_seconds=1))
    assert (await client.get()).status == 200
    seconds, data = await measure_end(client)
    assert data == b""
    assert 0.4 < seconds < 2.5


async def test_each_request_buys_an_idle_connection_its_time_again(start_server: Start, connect: Connect) -> None:
    client = await connect(await start_server(hello, keepalive_seconds=1.2))
    for _ in range(6):
        assert (await client.get()).status == 200
        await asyncio.sleep(0.4)


async def test_an_idle_connection_after_an_upgrade_nobody_took_is_closed(start_server: Start, connect: Connect) -> None:
    client = await connect(await start_server(hello, keepalive_seconds=1))
    assert (await client.get(fields="Connection: Upgrade\r\nUpgrade: h2c\r\n")).status == 200
    seconds, data = await measure_end(client)
    assert data == b""
    assert 0.4 < seconds < 2.5


async def test_a_request_that_is_here_already_is_never_too_late(serve: Serve, connect: Connect) -> None:
    may_end = asyncio.Event()

    async def handler(request: Any) -> Response:
        if request.path == "/block":
            may_end.set()
            time.sleep(0.7)  # noqa: ASYNC251  # holds the loop up, so that the timer comes with the other answer's end
        elif request.path == "/wait":
            await may_end.wait()
        return Response(text=request.path)

    served = await serve(handler, deadlines=Deadlines(keepalive_seconds=0.1, head_seconds=0.1))
    client, blocking = await connect(served), await connect(served)
    await client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.05)
    await blocking.send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [answer.text for answer in await client.read_answers(2)] == ["/wait", "/after"]


async def test_a_body_that_stops_is_refused(start: Start, connect: Connect) -> None:
    client = await connect(await start(read_body, body_grace_seconds=1))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
    seconds, data = await measure_end(client)
    assert data.startswith(b"HTTP/1.1 408 ")
    assert b"Connection: close" in data
    assert 0.4 < seconds < 2.5


async def test_a_body_that_trickles_in_is_refused(start_server: Start, connect: Connect) -> None:
    """a-083."""
    client = await connect(await start_server(read_body, body_grace_seconds=1, body_bytes_per_second=1000))

    async def trickle() -> None:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            client.writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    seconds, data = await measure_end(client)
    trickling.cancel()
    assert data.startswith(b"HTTP/1.1 408 ")
    assert 0.4 < seconds < 2.8


async def test_a_body_that_is_fast_enough_lives_on(start_server: Start, connect: Connect) -> None:
    client = await connect(await start_server(read_body, body_grace_seconds=1, body_bytes_per_second=1000))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12000\r\n\r\n")
    for _ in range(15):
        await client.send("x" * 800)
        await asyncio.sleep(0.2)
    assert (await client.read_answer()).text == "12000"


async def test_a_handler_that_never_reads_a_slow_body_may_answer(start_server: Start, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(2.2)
        return Response(text="done")

    client = await connect(await start_server(handler, body_grace_seconds=0.6))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
    answer = await client.read_answer()
    assert (answer.text, answer.field("connection")) == ("done", "close")
    assert await client.is_closed(5)


@pytest.mark.parametrize("kind", ["whole", "buffer full"])
async def test_a_peer_isnt_punished_for_a_slow_handler(start_server: Start, connect: Connect, kind: str) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(2.2)
        return Response(text=str(len(await request.content.read())))

    size = 1000 if kind == "whole" else 16 * MIB
    client = await connect(await start_server(handler, body_grace_seconds=0.6))
    sending = asyncio.create_task(
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
    )
    assert (await client.read_answer()).text == str(size)
    await sending


async def test_the_rest_of_an_unread_body_has_a_time(start: Start, connect: Connect) -> None:
    client = await connect(await start(hello, linger_seconds=1))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
    assert (await client.read_answer()).status == 200
    seconds, data = await measure_end(client)
    assert data == b""
    assert 0.4 < seconds < 2.5


async def test_a_refused_peer_that_stays_is_ended_after_a_while(start_server: Start, connect: Connect) -> None:
    served = await start_server(hello, linger_seconds=1)
    client = await connect(served)
    await client.send("what is this?\r\n\r\n")
    assert (await client.read_answer()).status == 400
    assert await client.is_closed(5)
    loop = asyncio.get_running_loop()
    started = loop.time()
    # Our side is closed, theirs is not: what they send is dropped, for a while.
    assert len(served.server.connections) == 1
    while served.server.connections and loop.time() - started < 8:
        try:
            await client.send("more")
        except ConnectionError:
            break
        await asyncio.sleep(0.02)
    assert 0.4 < loop.time() - started < 2.5


@pytest.mark.parametrize("kind", ["stream", "body", "small answers"])
async def test_a_peer_that_takes_no_byte_is_ended(start: Start, connect: Connect, kind: str) -> None:
    async def handler(request: Any) -> StreamResponse:
        if kind != "stream":
            return Response(body=b"x" * (30_000 if kind == "small answers" else 64 * MIB))
        response = StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * MIB)
        return response

    served = await start(handler, write_seconds=1)
    client = await connect(served, limit=1024)
    loop = asyncio.get_running_loop()
    started = loop.time()
    client.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * (1000 if kind == "small answers" else 1))
    await asyncio.sleep(0.3)
    assert served.server.connections
    while served.server.connections and loop.time() - started < 8:  # noqa: ASYNC110 -- ends have no event
        await asyncio.sleep(0.02)
    assert 0.6 < loop.time() - started < 3.5
    client.abort()


@pytest.mark.parametrize("kind", ["stream", "body"])
async def test_a_reader_that_is_slow_but_steady_lives_on(start_server: Start, connect: Connect, kind: str) -> None:
    size = 24 * MIB

    async def handler(request: Any) -> StreamResponse:
        if kind == "body":
            return Response(body=b"x" * size)
        response = StreamResponse()
        await response.prepare(request)
        for _ in range(24):
            await response.write(b"x" * MIB)
        return response

    deadlines = {"write_seconds": 1.0, "keepalive_seconds": 0.5, "head_seconds": 0.5, "linger_seconds": 0.5}
    client = await connect(await start_server(handler, **deadlines), limit=65536)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    read = 0
    for _ in range(14):
        await asyncio.sleep(0.2)
        read += len(await client.reader.readexactly(MIB))
    read += len(await client.read_until_closed())
    assert read > size


@pytest.mark.parametrize("unread", [100_000, 15_000])
async def test_a_closing_connection_whose_peer_takes_no_byte_is_ended(start_server: Start, unread: int) -> None:
    import os

    async def handler(request: Any) -> Response:
        with socket.socket(fileno=os.dup(request.get_extra_info("socket").fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return Response(body=b"x" * 200_000)

    served = await start_server(handler, write_seconds=1)
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(sock, (served.host, served.port))
        started = loop.time()
        await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0.3)
        (connection,) = served.server.connections
        assert connection.transport is not None
        while connection.transport.get_write_buffer_size() > unread:
            assert await loop.sock_recv(sock, 1000)
            started = loop.time()
        while served.server.connections and loop.time() - started < 8:  # noqa: ASYNC110 -- ends have no event
            await asyncio.sleep(0.02)
        assert 0.6 < loop.time() - started < 3


async def test_an_upgraded_connection_has_no_deadline_but_for_writing(start_server: Start, connect: Connect) -> None:
    ended = asyncio.Event()

    class Echo(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            self.transport.write(data)

        def connection_lost(self, exc: Exception | None) -> None:
            ended.set()

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "echo"})
        await response.prepare(request)
        request.take_over(Echo())
        await ended.wait()
        return response

    short = dict.fromkeys(("head_seconds", "keepalive_seconds", "body_grace_seconds", "linger_seconds"), 0.3)
    client = await connect(await start_server(handler, **short))
    assert (await client.get(fields="Connection: Upgrade\r\nUpgrade: echo\r\n")).status == 101
    await asyncio.sleep(1.6)
    await client.send("still here")
    assert await client.reader.readexactly(10) == b"still here"


# What it costs.


async def test_a_thousand_trickling_connections_are_gone_and_others_served_meanwhile(serve: Serve) -> None:
    """a-082; CVE-2007-6750."""
    served = await serve(hello, deadlines=Deadlines(head_seconds=2))
    peers: list[asyncio.StreamWriter] = []

    async def trickle() -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX: xxxxxxxxxxxxxxxxxxxx":
            for peer in peers:
                peer.write(bytes([byte]))
            await asyncio.sleep(0.3)

    async with asyncio.timeout(40):
        while len(peers) < 1000:
            opened = await asyncio.gather(*[asyncio.open_connection(served.host, served.port) for _ in range(20)])
            peers += [writer for _, writer in opened]
        trickling = asyncio.create_task(trickle())
        client = RawClient(*await asyncio.open_connection(served.host, served.port))
        served_meanwhile = 0
        while len(served.server.connections) > 1:
            assert (await client.get()).text == "hello"
            served_meanwhile += 1
            await asyncio.sleep(0.01)
    assert served_meanwhile > 10
    trickling.cancel()
    await client.close()
    for peer in peers:
        peer.transport.abort()


async def test_one_timer_serves_all_connections_and_requests(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(hello)
    clients = [await connect(served) for _ in range(10)]
    loop = asyncio.get_running_loop()
    timers: list[Any] = []
    call_later, call_at = loop.call_later, loop.call_at

    def note_later(delay: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        timers.append(callback)
        return call_later(delay, callback, *args, **kwargs)

    def note_at(when: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        timers.append(callback)
        return call_at(when, callback, *args, **kwargs)

    try:
        monkeypatch.setattr(loop, "call_later", note_later)
        monkeypatch.setattr(loop, "call_at", note_at)
    except AttributeError:
        pytest.skip("this loop's methods can't be watched")
    started = loop.time()
    requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
    for client in clients:
        client.writer.write(requests * 50)
    for client in clients:
        got = b""
        while got.count(b"HTTP/1.1 200") < 100:
            got += await client.reader.read(65536)
    ticks = (loop.time() - started) / 0.5 + 2
    ours = [timer for timer in timers if "corelet" in getattr(timer, "__module__", "")]
    assert len(ours) <= ticks
    assert len(timers) - len(ours) <= 2


async def test_no_timer_runs_where_there_is_no_connection(serve: Serve, connect: Connect) -> None:
    served = await serve(hello, deadlines=Deadlines(keepalive_seconds=0.2))
    for _ in range(2):
        client = await connect(served)
        assert (await client.get()).status == 200
        assert await client.is_closed(5)
        await asyncio.sleep(0.7)
        assert served.server._timer is None
