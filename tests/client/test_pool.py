"""The pool: limits, turns, what fits which connection, and its bounds in number and time."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples

import corelet
from corelet_client.connection_key import ConnectionKey
from corelet_client.pool import Pool
from tests.client.conftest import Peer, assert_at_rest, serve_ok


async def test_no_more_connections_are_open_than_the_limit(raw) -> None:
    busy = most = 0

    async def script(peer: Peer) -> None:
        nonlocal busy, most
        while True:
            await peer.read_request()
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0.001)
            busy -= 1
            await peer.answer()

    server = await raw(script)
    async with corelet.ClientSession(connector=corelet.TCPConnector(limit=3)) as session:
        await asyncio.gather(*(fetch(session, server.url) for _ in range(40)))
        assert_at_rest(session)
    assert most == 3
    assert server.connections == 3


async def fetch(session: corelet.ClientSession, url) -> bytes:
    async with session.get(url) as response:
        return await response.read()


async def test_ten_thousand_requests_through_a_limit_finish_in_the_order_of_their_arrival(raw) -> None:
    everyone = asyncio.Event()

    async def script(peer: Peer) -> None:
        if peer.server.connections == 100:
            everyone.set()
        await everyone.wait()  # so that all places have their connections before it begins
        await serve_ok(peer)

    server = await raw(script, backlog=1000)
    begun: list[int] = []

    async with corelet.ClientSession(connector=corelet.TCPConnector(limit=100)) as session:

        async def one(number: int) -> None:
            async with session.post(server.url, data=b"%d" % number) as response:
                begun.append(int(await response.read()))

        await asyncio.gather(*(fetch(session, server.url) for _ in range(100)))
        await asyncio.gather(*(one(number) for number in range(10_000)))
        assert_at_rest(session)
    assert sorted(begun) == list(range(10_000))
    # Those on the way together, one for each place, may overtake each other.
    assert max(abs(place - number) for place, number in enumerate(begun)) < 400


async def test_who_waits_is_served_before_who_comes_later(raw) -> None:
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await gate.wait()
            await peer.answer()

    server = await raw(script)
    finished: list[str] = []
    async with corelet.ClientSession(connector=corelet.TCPConnector(limit=1)) as session:

        async def one(name: str) -> None:
            async with session.get(server.url / name) as response:
                await response.read()
                finished.append(name)
            if name == "a":
                await one("late")

        tasks = [asyncio.ensure_future(one(name)) for name in "abc"]
        await server.wait_for(lambda: server.connections == 1)
        gate.set()
        await asyncio.gather(*tasks)
    assert finished == ["a", "b", "c", "late"]


async def test_the_limit_of_one_host_holds_up_nobody_else(raw) -> None:
    gate = asyncio.Event()

    async def slow(peer: Peer) -> None:
        await peer.read_request()
        await gate.wait()
        await peer.answer()

    one, other = await raw(slow), await raw(serve_ok)
    async with corelet.ClientSession(connector=corelet.TCPConnector(limit_per_host=1)) as session:
        waiting = [asyncio.ensure_future(fetch(session, one.url)) for _ in range(3)]
        await one.wait_for(lambda: one.connections == 1)
        assert await fetch(session, other.url) == b"ok"
        assert session.connector.pool.waiting_count == 2
        gate.set()
        assert await asyncio.gather(*waiting) == [b"ok"] * 3
        assert_at_rest(session)
    assert one.connections == 3


async def test_idle_connections_make_room_where_the_limit_is_reached(raw) -> None:
    one, other = await raw(serve_ok), await raw(serve_ok)
    async with corelet.ClientSession(connector=corelet.TCPConnector(limit=1)) as session:
        await fetch(session, one.url)
        await fetch(session, other.url)
        await one.wait_for(lambda: one.closed == 1)
        assert session.connector.pool.idle_count == 1


async def test_no_limit_is_no_limit(raw) -> None:
    server = await raw(serve_ok, backlog=500)
    async with corelet.ClientSession(connector=corelet.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(fetch(session, server.url) for _ in range(150)))
    assert server.connections > 100


async def test_what_is_asked_of_tls_parts_connections(raw, tls) -> None:
    server = await raw(serve_ok, ssl=tls.server)
    url = server.url
    async with corelet.ClientSession() as session:
        for options in ({"ssl": False}, {"ssl": tls.client}, {"ssl": tls.client, "server_hostname": "localhost"}):
            for _ in range(2):
                async with session.get(url, **options) as response:
                    await response.read()
        assert session.connector.pool.idle_count == 3
    assert server.connections == 3


async def test_who_asks_a_proxy_for_a_tunnel_parts_connections(raw) -> None:
    async def proxy(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(status="403 Forbidden")

    through = await raw(proxy)
    async with corelet.ClientSession() as session:
        for login in ("one", "other"):
            with pytest.raises(corelet.ClientHttpProxyError):
                await session.get("https://a.test/", proxy=through.url, proxy_auth=corelet.BasicAuth(login, "x"))
    first, second = through.heads
    assert first != second


async def test_one_connector_serves_several_sessions(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.TCPConnector() as connector:
        for _ in range(2):
            async with corelet.ClientSession(connector=connector, connector_owner=False) as session:
                await fetch(session, server.url)
        assert not connector.closed
        assert server.connections == 1
    assert connector.closed


async def test_closing_the_connector_turns_away_who_waits_and_who_is_busy(raw) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.wait_closed()

    server = await raw(script)
    async with corelet.ClientSession(connector=corelet.TCPConnector(limit=1)) as session:
        tasks = [asyncio.ensure_future(fetch(session, server.url)) for _ in range(3)]
        await server.wait_for(lambda: len(server.requests) == 1 or server.connections == 1)
        await asyncio.sleep(0)
        await session.close()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, corelet.ClientConnectionError)


@pytest.mark.parametrize("is_lost", [False, True])
async def test_a_connection_that_was_not_used_is_given_back(raw, client, is_lost: bool) -> None:
    server = await raw(serve_ok)
    await fetch(client, server.url)
    connection = client.connector.take_idle(ConnectionKey(server.url.host, server.url.port, False, True))
    if is_lost:
        connection.close_idle()
    client.connector.release(connection)
    assert client.connector.pool.idle_count == (not is_lost)
    assert_at_rest(client)


async def test_a_place_is_free_again_where_nobody_listens(client) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(corelet.ClientConnectorError, match=f"127.0.0.1:{port}") as caught:
        await client.get(f"http://127.0.0.1:{port}/")
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
    assert isinstance(caught.value, OSError)
    assert_at_rest(client)


class CountedKey:
    """A key that counts how often keys were looked up."""

    look_ups = 0

    def __hash__(self) -> int:
        CountedKey.look_ups += 1
        return id(self)


@pytest.mark.parametrize("limit_per_host", [0, 2])
async def test_a_place_costs_the_same_however_many_hosts_are_waited_for(limit_per_host: int) -> None:
    def count(hosts: int) -> int:
        """Count look-ups in giving a place to each of many hosts, one after the other."""
        pool = Pool(asyncio.get_running_loop(), limit=10, limit_per_key=limit_per_host, idle_seconds=None)
        keys = [CountedKey() for _ in range(hosts)]
        waits = [pool.wait(key) for key in keys if not pool.take_place(key)]
        for wait in waits:
            wait.send(None)
        before = CountedKey.look_ups
        for key in keys:
            pool.free_place(key)
        made = CountedKey.look_ups - before
        for wait in waits:
            with pytest.raises(StopIteration):
                wait.send(None)
        assert (pool.places, pool.waiting_count) == (0, 0)
        return made

    assert count(1000) < 5 * count(250)


@pytest.mark.parametrize("limit_per_host", [0, 1])
async def test_who_gives_up_waiting_is_not_kept(limit_per_host: int) -> None:
    pool = Pool(asyncio.get_running_loop(), limit=1, limit_per_key=limit_per_host, idle_seconds=None)
    busy = ConnectionKey("busy.test", 80, False, True)
    assert pool.take_place(busy)
    gone = []
    for number in range(1000):
        wait = pool.wait(ConnectionKey(f"{number}.test", 80, False, True))
        gone.append(weakref.ref(wait.send(None)))
        with pytest.raises(asyncio.CancelledError):
            wait.throw(asyncio.CancelledError())
    del wait
    gc.collect()
    assert sum(ref() is not None for ref in gone) < 100
    pool.free_place(busy)
    assert (pool.places, pool.waiting_count) == (0, 0)


@given(
    limit=integers(1, 4),
    limit_per_host=integers(0, 2),
    steps=lists(tuples(sampled_from(["ask", "free", "give up"]), integers(0, 9)), max_size=60),
)
async def test_a_place_goes_to_whoever_waits_longest_of_those_who_can_have_it(limit, limit_per_host, steps) -> None:
    pool = Pool(asyncio.get_running_loop(), limit=limit, limit_per_key=limit_per_host, idle_seconds=None)
    waiting: list[tuple[str, Any, asyncio.Future[None]]] = []
    holders: list[str] = []

    def has_room(key: str) -> bool:
        return len(holders) < limit and (not limit_per_host or holders.count(key) < limit_per_host)

    for step, number in steps:
        if step == "ask":
            key = "abc"[number % 3]
            if has_room(key):
                assert pool.take_place(key)
                holders.append(key)
            else:
                assert not pool.take_place(key)
                wait = pool.wait(key)
                waiting.append((key, wait, wait.send(None)))
        elif step == "free" and holders:
            pool.free_place(holders.pop(number % len(holders)))
            next_one = next((one for one in waiting if has_room(one[0])), None)
            if next_one is not None:
                waiting.remove(next_one)
                holders.append(next_one[0])
                assert next_one[2].done()
                with pytest.raises(StopIteration):
                    next_one[1].send(None)
        elif step == "give up" and waiting:
            _, wait, _ = waiting.pop(number % len(waiting))
            with pytest.raises(asyncio.CancelledError):
                wait.throw(asyncio.CancelledError())
        assert not any(future.done() for _, _, future in waiting)
        assert (pool.places, pool.waiting_count) == (len(holders), len(waiting))
    for _, wait, _ in waiting:
        wait.close()
