"""Every wait has its bound, and the error says which one, and of what."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

import corelet
from tests.client.conftest import Peer, assert_at_rest, serve_ok


async def never_answer(peer: Peer) -> None:
    await peer.read_request()
    await peer.wait_closed()


async def test_total_bounds_the_wait_for_the_head(raw, client) -> None:
    server = await raw(never_answer)
    with pytest.raises(corelet.ServerTimeoutError, match=rf"GET {server.url} .* 0.05 s \(ClientTimeout.total\)"):
        await client.get(server.url, timeout=corelet.ClientTimeout(total=0.05))
    assert_at_rest(client)
    await server.wait_for(lambda: server.closed == 1)


async def test_total_bounds_the_body(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.01)

    server = await raw(script)
    with pytest.raises(corelet.ServerTimeoutError, match="total"):
        async with client.get(server.url, timeout=corelet.ClientTimeout(total=0.1)) as response:
            await response.read()


async def test_total_spans_redirects(raw, client) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await asyncio.sleep(0.03)
            await peer.answer(status="302 Found", fields="Location: /\r\n")

    server = await raw(script)
    with pytest.raises(corelet.ServerTimeoutError, match="total"):
        await client.get(server.url, timeout=corelet.ClientTimeout(total=0.1), max_redirects=1000)


async def test_total_bounds_a_middleware(raw, client) -> None:
    async def middleware(request, send):
        await asyncio.sleep(30)

    server = await raw(serve_ok)
    with pytest.raises(corelet.ServerTimeoutError, match="total"):
        await client.get(server.url, timeout=corelet.ClientTimeout(total=0.05), middlewares=[middleware])


async def test_a_middleware_s_own_timeout_stays_what_it_is(raw, client) -> None:
    async def middleware(request, send):
        raise TimeoutError("mine")

    server = await raw(serve_ok)
    with pytest.raises(TimeoutError, match="mine"):
        await client.get(server.url, middlewares=[middleware])


async def test_sock_read_bounds_the_silence_between_pieces(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await peer.wait_closed()

    server = await raw(script)
    with pytest.raises(corelet.SocketTimeoutError, match="sock_read"):
        async with client.get(server.url, timeout=corelet.ClientTimeout(sock_read=0.05)) as response:
            await response.read()


async def test_sock_read_bounds_the_wait_for_the_head(raw, client) -> None:
    server = await raw(never_answer)
    with pytest.raises(corelet.SocketTimeoutError, match="sock_read"):
        await client.get(server.url, timeout=corelet.ClientTimeout(sock_read=0.05))


async def test_sock_read_is_no_bound_for_an_answer_that_keeps_coming(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            await asyncio.sleep(0.11)
            await peer.send(b"x")
        await peer.wait_closed()

    server = await raw(script)
    async with client.get(server.url, timeout=corelet.ClientTimeout(sock_read=1)) as response:
        assert await response.read() == b"x" * 10


async def test_sock_read_does_not_count_while_nobody_reads(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(bytes(4_000_000))
        await peer.wait_closed()

    server = await raw(script)
    timeout = corelet.ClientTimeout(sock_read=0.2)
    async with client.get(server.url, timeout=timeout, read_bufsize=1024) as response:
        await asyncio.sleep(0.4)
        assert len(await response.read()) == 4_000_000


async def test_sock_read_does_not_count_while_the_body_is_sent(raw, client) -> None:
    async def body():
        for _ in range(5):
            await asyncio.sleep(0.1)
            yield b"x"

    async def script(peer: Peer) -> None:
        _, received = await peer.read_request()
        await peer.answer(received)
        await peer.read_request()
        await peer.wait_closed()

    server = await raw(script)
    timeout = corelet.ClientTimeout(sock_read=0.4)
    async with client.post(server.url, data=body(), timeout=timeout) as response:
        assert await response.read() == b"xxxxx"
    with pytest.raises(corelet.SocketTimeoutError, match="sock_read"):
        await client.post(server.url, data=body(), timeout=timeout)


async def test_connect_bounds_the_wait_for_a_place(raw) -> None:
    server = await raw(never_answer)
    async with corelet.ClientSession(connector=corelet.TCPConnector(limit=1)) as session:
        first = asyncio.ensure_future(session.get(server.url).__aenter__())
        await server.wait_for(lambda: server.connections == 1)
        with pytest.raises(corelet.ConnectionTimeoutError, match="connect"):
            await session.get(server.url, timeout=corelet.ClientTimeout(connect=0.05))
        assert session.connector.pool.waiting_count == 0
        first.cancel()
        await asyncio.wait([first])
        assert_at_rest(session)


async def test_sock_connect_bounds_the_opening_of_a_connection(raw, tls) -> None:
    async def script(peer: Peer) -> None:  # no TLS: the handshake is never answered
        await peer.wait_closed()

    server = await raw(script)
    async with corelet.ClientSession() as session:
        with pytest.raises(corelet.ConnectionTimeoutError, match="sock_connect"):
            await session.get(server.url.with_scheme("https"), timeout=corelet.ClientTimeout(sock_connect=0.05))
        assert_at_rest(session)


async def test_total_bounds_the_opening_of_a_connection(raw) -> None:
    async def script(peer: Peer) -> None:
        await peer.wait_closed()

    server = await raw(script)
    async with corelet.ClientSession() as session:
        with pytest.raises(corelet.ServerTimeoutError, match="total"):
            await session.get(server.url.with_scheme("https"), timeout=corelet.ClientTimeout(total=0.05))


async def test_a_timeout_is_a_timeout_error_and_a_client_error(raw, client) -> None:
    server = await raw(never_answer)
    with pytest.raises(TimeoutError) as caught:
        await client.get(server.url, timeout=0.05)
    assert isinstance(caught.value, corelet.ClientError)


async def test_a_timeout_hides_the_password_of_the_url(raw, client) -> None:
    server = await raw(never_answer)
    with pytest.raises(TimeoutError) as caught:
        await client.get(server.url.with_user("me").with_password("secret"), timeout=0.05)
    assert "secret" not in str(caught.value)


async def test_what_is_no_timeout_is_refused(raw, client) -> None:
    server = await raw(serve_ok)
    with pytest.raises(TypeError, match="ClientTimeout"):
        await client.get(server.url, timeout="5")


def test_the_default_is_aiohttps() -> None:
    import aiohttp

    default = corelet.ClientSession().timeout
    assert (default.total, default.sock_connect) == (300, 30)
    assert default.total == aiohttp.client.DEFAULT_TIMEOUT.total


async def test_a_connection_that_was_used_in_time_has_no_deadline_left(raw) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()
        await peer.read_request()
        await asyncio.sleep(0.15)
        await peer.answer()
        await peer.wait_closed()

    server = await raw(script)
    is_answered = False
    async with corelet.ClientSession() as session:
        while not is_answered:
            with suppress(corelet.ServerTimeoutError):  # of a machine that is busy
                async with session.get(server.url, timeout=0.1) as response:
                    await response.read()
                    is_answered = True
        attempts = server.connections
        async with session.get(server.url) as response:
            assert await response.read() == b"ok"
    assert server.connections == attempts
