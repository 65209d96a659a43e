"""A server's ``max_connections``: idle connections make room, and where there is none, newcomers are refused."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from corelet.limits import MAX_LEAVING
from corelet.response import Response
from corelet.server import Server
from tests.conftest import Connect, Serve
from tests.kernel.test_negotiation import Shout
from tests.kernel.test_upgrade import UPGRADE, Upgrader


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


async def test_the_connection_that_is_idle_for_longest_makes_room(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=3, keepalive_timeout=60)
    busy, older, newer = [await connect(served) for _ in range(3)]
    await gate.hold(busy)
    assert (await older.get()).status == 200
    await asyncio.sleep(0.6)  # the server's clock has two ticks a second
    assert (await newer.get()).status == 200
    newcomer = await connect(served)
    assert (await newcomer.get()).status == 200
    assert await older.is_closed()
    assert (await newer.get()).status == 200
    gate.is_open.set()
    assert (await busy.read_answer()).status == 200


async def test_a_silent_connection_makes_room_as_well(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=1)
    silent = await connect(served)
    await until(lambda: served.server.connections)
    assert (await (await connect(served)).get()).status == 200
    assert await silent.is_closed()


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
    newcomer = Shout(served.server)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with theirs:
        await asyncio.get_running_loop().create_connection(lambda: newcomer, sock=ours)
        await until(lambda: newcomer.transport is None)
        assert theirs.recv(1) == b""
    assert len(served.server.connections) == 1


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


def test_the_default_leaves_files_for_others() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert Server(Gate.handle).max_connections == int(soft * 0.9)  # type: ignore[arg-type]  # never called


async def test_nothing_is_refused_without_a_limit(serve: Serve, connect: Connect, gate: Gate) -> None:
    served = await serve(gate.handle, max_connections=0)
    clients = [await connect(served) for _ in range(30)]
    assert {(await client.get()).status for client in clients} == {200}
    assert {(await client.get()).status for client in clients} == {200}


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="max_connections is -1, expected a number of connections, or 0 for no limit"):
        Server(Gate.handle, max_connections=-1)  # type: ignore[arg-type]  # never called
