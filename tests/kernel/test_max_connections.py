"""A server's ``max_connections``: idle connections make room, and where there is none, newcomers are refused."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from corelet.limits import MAX_LEAVING, MIN_IDLE_SECONDS
from corelet.response import Response
from corelet.server import Server
from tests.conftest import Connect, Serve, Served
from tests.kernel.test_negotiation import Shout
from tests.kernel.test_upgrade import UPGRADE, Upgrader
from tests.raw_client import RawClient

#: Seconds for the server's clock to go on, and for a connection to have been idle for long.
SOME_TICKS = 0.6
LONG_IDLE = MIN_IDLE_SECONDS + SOME_TICKS


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what the server holds tells nobody of its change
            await asyncio.sleep(0.01)


class Gate:
    """Handlers that answer when they may."""

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.waiting = 0

    async def handle(self, request: Any) -> Response:
        if request.path == "/wait":
            self.waiting += 1
            await self.is_open.wait()
            self.waiting -= 1
        return Response(text="here")

    async def hold(self, client: Any) -> None:
        """Have a client wait for its answer."""
        waiting = self.waiting
        await client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: self.waiting > waiting)


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    gate = Gate()
    yield gate
    gate.is_open.set()


async def test_who_finds_no_place_is_told_so_and_who_has_one_keeps_it(
    serve: Serve, connect: Connect, gate: Gate
) -> None:
    served = await serve(gate.handle, max_connections=2)
    busy = [await connect(served) for _ in range(2)]
    for client in busy:
        await gate.hold(client)
    refused = await connect(served)
    await refused.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + "x" * 1000)
    answer = await refused.read_answer()
    assert (answer.status, answer.field("connection")) == (503, "close")
    assert await refused.is_closed()
    gate.is_open.set()
    assert [(await client.read_answer()).status for client in busy] == [200, 200]
    assert [(await client.get()).status for client in busy] == [200, 200]


async def test_a_place_that_becomes_free_is_taken(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=2)
    first, second = [await connect(served) for _ in range(2)]
    await gate.hold(first)
    assert (await second.get()).status == 200
    await second.close()
    await until(lambda: len(served.server.connections) == 1)
    third = await connect(served)
    assert (await third.get()).status == 200
    assert not await third.is_closed()


async def test_what_is_idle_for_longest_makes_room(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=4, keepalive_timeout=60)
    busy, silent, older, newer = [await connect(served) for _ in range(4)]
    await gate.hold(busy)
    assert (await older.get()).status == 200
    await asyncio.sleep(SOME_TICKS)
    assert (await newer.get()).status == 200
    await asyncio.sleep(LONG_IDLE)
    newcomers = [await connect(served) for _ in range(2)]
    assert [(await newcomer.get()).status for newcomer in newcomers] == [200, 200]
    assert [await client.is_closed() for client in (silent, older, newer)] == [True, True, False]
    assert (await newer.get()).status == 200
    gate.is_open.set()
    assert (await busy.read_answer()).status == 200


async def test_who_has_been_idle_for_a_moment_keeps_its_place(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=2)
    first, silent = [await connect(served) for _ in range(2)]
    assert (await first.get()).status == 200
    await until(lambda: len(served.server.connections) == 2)
    assert (await (await connect(served)).read_answer()).status == 503
    assert [(await client.get()).status for client in (first, silent)] == [200, 200]


def shrink_send_buffer(request: Any) -> None:
    with socket.socket(fileno=os.dup(request.get_extra_info("socket").fileno())) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


def slow_socket(served: Served) -> socket.socket:
    """Give a connection that holds little of what it does not read."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect((served.host, served.port))
    return sock


async def test_an_answer_on_its_way_is_not_cut_off(serve: Serve, connect: Connect) -> None:
    body = b"x" * 60_000

    async def handler(request: Any) -> Response:
        shrink_send_buffer(request)
        return Response(body=body)

    served = await serve(handler, max_connections=1)
    with slow_socket(served) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(LONG_IDLE)
        (connection,) = served.server.connections
        assert connection.is_idle
        assert (await (await connect(served)).read_answer()).status == 503
        slow = RawClient(*await asyncio.open_connection(sock=sock.dup()))
        assert (await slow.read_answer()).body == body
        await slow.close()


async def test_a_refusal_of_a_body_that_is_still_sent_arrives(serve: Serve, connect: Connect) -> None:
    async def refuse(request: Any) -> Response:
        return Response(status=413, headers={"Connection": "close"})

    served = await serve(refuse, max_connections=1)
    sender = await connect(served)
    await sender.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    await asyncio.sleep(LONG_IDLE)
    assert (await (await connect(served)).read_answer()).status == 503
    await sender.send("x" * 100_000)
    assert (await sender.read_answer()).status == 413


async def test_an_upgraded_connection_keeps_its_place(serve: Serve, connect: Connect) -> None:
    served = await serve(Upgrader(), max_connections=1)
    upgraded = await connect(served)
    assert (await upgraded.get(fields=UPGRADE)).status == 101
    assert (await (await connect(served)).read_answer()).status == 503
    await upgraded.send("abc")
    assert await upgraded.reader.readexactly(3) == b"abc"


async def test_a_negotiated_connection_without_a_place_is_cut_off(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=1)
    await gate.hold(await connect(served))
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Shout(served.server), "127.0.0.1", 0)
    newcomer = RawClient(*await asyncio.open_connection(*listening.sockets[0].getsockname()))
    assert await newcomer.is_closed(5)
    assert len(served.server.connections) == 1
    await newcomer.close()
    listening.close()


async def test_a_flood_takes_no_more_than_the_places_and_a_few(
    serve: Serve, connect: Connect, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    served = await serve(gate.handle, max_connections=4)
    busy = [await connect(served) for _ in range(4)]
    for client in busy:
        await gate.hold(client)
    most = 0
    with caplog.at_level(logging.WARNING, "corelet.server"):
        for _ in range(3 * MAX_LEAVING):
            await connect(served)
            most = max(most, len(served.server.connections))
        await until(lambda: caplog.messages)
    assert 4 < most <= 4 + MAX_LEAVING + 1
    assert "connections: 4 are open, none idle" in caplog.messages[0]
    gate.is_open.set()
    assert [(await client.read_answer()).status for client in busy] == [200] * 4


FLOODED = """
import asyncio, logging, resource, sys
from corelet import web

resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))

async def read_file(request):
    with open("/dev/null") as file:
        return web.Response(text=file.read())

async def main():
    logging.basicConfig(level=logging.ERROR)
    app = web.Application(handler=read_file)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_default_leaves_files_for_others() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FLOODED, "1024", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    flood: list[asyncio.StreamWriter] = []
    try:
        async with asyncio.timeout(60):
            assert process.stdout is not None
            port = int(await process.stdout.readline())
            for _ in range(16):
                opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(50)))
                flood += [writer for _, writer in opened]
            await asyncio.sleep(LONG_IDLE)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            flood.append(writer)
            assert (await RawClient(reader, writer).get()).status == 200
    finally:
        for writer in flood:
            writer.close()
        process.kill()
        _, said = await process.communicate()
    assert said == b""


async def test_nothing_is_refused_without_a_limit(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=0)
    clients = [await connect(served) for _ in range(30)]
    assert {(await client.get()).status for client in clients} == {200}
    assert {(await client.get()).status for client in clients} == {200}


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_connections is -1, expected a number of connections, or 0 for no limit"):
        Server(Gate.handle, max_connections=-1)  # type: ignore[arg-type]  # never called
