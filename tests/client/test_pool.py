"""The pool: limits, turns, what fits which connection, and its bounds in number and time."""

from __future__ import annotations

import asyncio

import pytest

import corelet
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


async def test_a_place_is_free_again_where_nobody_listens(client) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(corelet.ClientConnectorError, match=f"127.0.0.1:{port}") as caught:
        await client.get(f"http://127.0.0.1:{port}/")
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", port)
    assert isinstance(caught.value, OSError)
    assert_at_rest(client)
