"""A request that is cancelled leaves nothing, whatever it waits for just then."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from corelet import (
    BaseConnector,
    ClientConnectionError,
    ClientError,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    UnixConnector,
    abc,
)
from tests.client.conftest import Peer, assert_at_rest, serve_ok, tunnel
from tests.client.socks_server import SocksServer

#: More turns of the loop than any request here takes.
MAX_TURNS = 5000

Ask = Callable[[ClientSession], Awaitable[Any]]


async def cancel_at_each_turn(make_session: Callable[[], ClientSession], ask: Ask) -> None:
    """Cancel a request after 0, 1, 2 ... turns until it is done by then; the session holds nothing after each."""
    async with make_session() as session:
        for turns in range(MAX_TURNS):
            task = asyncio.create_task(ask(session))
            for _ in range(turns):
                await asyncio.sleep(0)
            is_done = task.done()
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(result, asyncio.CancelledError) or result == b"ok"
            assert (session.connector.pool.places, session.connector.pool.waiting_count) == (0, 0)
            if is_done:
                break
        assert is_done
        assert await ask(session) == b"ok"
        assert_at_rest(session)


async def read(session: ClientSession, method: str, url: Any, **kwargs: Any) -> bytes:
    async with session.request(method, url, **kwargs) as response:
        return await response.read()


def make_session() -> ClientSession:
    return ClientSession(timeout=ClientTimeout(total=10), connector=TCPConnector())


def make_session_without_pool() -> ClientSession:
    return ClientSession(timeout=ClientTimeout(total=10), connector=TCPConnector(force_close=True))


SESSIONS = pytest.mark.parametrize("make", [make_session, make_session_without_pool], ids=["pooled", "new"])


@SESSIONS
async def test_get(raw, make):
    server = await raw(serve_ok)
    await cancel_at_each_turn(make, lambda session: read(session, "GET", server.url))


@SESSIONS
async def test_name_that_is_looked_up(raw, make):
    server = await raw(serve_ok)
    url = server.url.with_host("localhost")
    await cancel_at_each_turn(make, lambda session: read(session, "GET", url))


@SESSIONS
async def test_tls(raw, tls, make):
    server = await raw(serve_ok, ssl=tls.server)
    await cancel_at_each_turn(make, lambda session: read(session, "GET", server.url, ssl=tls.client))


@SESSIONS
async def test_body_that_is_made_while_it_is_sent(raw, make):
    closed = []

    async def pieces():
        try:
            for _ in range(3):
                await asyncio.sleep(0)
                yield b"x" * 1000
        finally:
            closed.append(True)

    async def answer(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer()

    server = await raw(answer)
    await cancel_at_each_turn(make, lambda session: read(session, "POST", server.url, data=pieces()))


@SESSIONS
async def test_body_that_waits_for_100(raw, make):
    async def answer(peer: Peer) -> None:
        while True:
            head = await peer.reader.readuntil(b"\r\n\r\n")
            assert b"Expect: 100-continue" in head
            await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            await peer.reader.readexactly(5)
            await peer.answer()

    server = await raw(answer)
    await cancel_at_each_turn(make, lambda session: read(session, "POST", server.url, data=b"12345", expect100=True))


@SESSIONS
async def test_redirect(raw, make):
    async def answer(peer: Peer) -> None:
        while True:
            head, _ = await peer.read_request()
            if head.startswith(b"GET /old"):
                await peer.answer(b"moved", status="302 Found", fields="Location: /new\r\n")
            else:
                await peer.answer()

    server = await raw(answer)
    await cancel_at_each_turn(make, lambda session: read(session, "GET", server.url / "old"))


@SESSIONS
async def test_long_body(raw, make):
    async def answer(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer(bytes(2_000_000))

    async def ask(session: ClientSession) -> bytes:
        async with session.get(server.url, read_bufsize=1024) as response:
            size = 0
            async for piece in response.content.iter_any():
                size += len(piece)
        assert size == 2_000_000
        return b"ok"

    server = await raw(answer)
    await cancel_at_each_turn(make, ask)


@SESSIONS
async def test_tunnel_through_a_proxy(raw, tls, make):
    server = await raw(serve_ok, ssl=tls.server)
    proxy = await raw(tunnel)
    await cancel_at_each_turn(make, lambda session: read(session, "GET", server.url, ssl=tls.client, proxy=proxy.url))


@SESSIONS
async def test_socks_proxy(raw, make):
    server = await raw(serve_ok)
    async with SocksServer() as proxy:
        url = f"socks5://127.0.0.1:{proxy.port}"
        await cancel_at_each_turn(make, lambda session: read(session, "GET", server.url, proxy=url))


async def test_waiting_for_a_place(raw):
    release = asyncio.Event()

    async def answer(peer: Peer) -> None:
        while True:
            head, _ = await peer.read_request()
            if head.startswith(b"GET /slow"):
                await release.wait()
            await peer.answer()

    server = await raw(answer)
    async with ClientSession(connector=TCPConnector(limit=1)) as session:
        for turns in range(20):
            release.clear()
            busy = asyncio.create_task(read(session, "GET", server.url / "slow"))
            await server.wait_for(lambda: bool(server.connections))
            waiting = [asyncio.create_task(read(session, "GET", server.url)) for _ in range(3)]
            for turn in range(turns):
                if turn == turns // 2:
                    release.set()
                await asyncio.sleep(0)
            waiting[1].cancel()
            release.set()
            results = await asyncio.gather(busy, *waiting, return_exceptions=True)
            assert results[0] == results[1] == results[3] == b"ok"
            assert_at_rest(session)


async def close_at_each_turn(make_connector: Callable[[], BaseConnector], ask: Ask) -> None:
    """Close the connector after 0, 1, 2 ... turns of a request until that is done by then; nothing stays open."""
    for turns in range(MAX_TURNS):
        async with ClientSession(timeout=ClientTimeout(total=10), connector=make_connector()) as session:
            task = asyncio.create_task(ask(session))
            for _ in range(turns):
                await asyncio.sleep(0)
            is_done = task.done()
            await session.connector.close()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            # Before its first turn the session itself is closed: that is a RuntimeError.
            assert isinstance(result, ClientError | RuntimeError) or result == b"ok"
        del session, task
        gc.collect(0)  # a socket that nobody has closed warns
        if is_done:
            break
    assert is_done


async def test_connector_closed_meanwhile(raw):
    server = await raw(serve_ok)
    await close_at_each_turn(TCPConnector, lambda session: read(session, "GET", server.url))


async def test_connector_closed_meanwhile_over_tls(raw, tls):
    server = await raw(serve_ok, ssl=tls.server)
    await close_at_each_turn(lambda: TCPConnector(ssl=tls.client), lambda session: read(session, "GET", server.url))


async def test_connector_closed_meanwhile_over_a_unix_socket(raw, tmp_path):
    path = str(tmp_path / "socket")
    await raw(serve_ok, path=path)
    await close_at_each_turn(lambda: UnixConnector(path), lambda session: read(session, "GET", "http://any.test/"))


async def test_connector_closed_meanwhile_through_a_tunnel(raw, tls):
    server, proxy = await raw(serve_ok, ssl=tls.server), await raw(tunnel)
    ask = lambda session: read(session, "GET", server.url, proxy=proxy.url)  # noqa: E731
    await close_at_each_turn(lambda: TCPConnector(ssl=tls.client), ask)


@pytest.mark.parametrize("way", ["tcp", "tls", "unix", "tunnel", "name"])
async def test_closing_the_connector_ends_what_is_being_opened(raw, full, tmp_path, way):
    path = str(tmp_path / "socket")
    silent = await raw(Peer.wait_closed)
    await raw(Peer.wait_closed, path=path)
    connector = UnixConnector(path) if way == "unix" else TCPConnector(resolver=SilentResolver())
    url, proxy = {
        "tcp": (full, None),
        "tls": (silent.url.with_scheme("https"), None),
        "unix": ("https://localhost/", None),
        "tunnel": ("https://localhost/", silent.url),
        "name": ("http://a.test/", None),
    }[way]
    async with ClientSession(connector=connector) as session:
        request = asyncio.ensure_future(session.request_once("GET", url, proxy=proxy))
        await asyncio.sleep(0.05)
        assert not request.done()
        await session.close()
        with pytest.raises(ClientConnectionError, match="the connector was closed"):
            await asyncio.wait_for(request, 1)
        assert (connector.closed, asyncio.current_task().cancelling()) == (True, 0)


class SilentResolver(abc.AbstractResolver):
    """Never answers."""

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET):
        await asyncio.Event().wait()

    async def close(self) -> None:
        pass


async def test_a_middleware_that_is_cancelled_holds_no_connection(raw):
    has_head = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nbu")
        await peer.wait_closed()

    async def wait(request, send):
        response = await send(request)
        has_head.set()
        await asyncio.Event().wait()
        return response

    server = await raw(script)
    async with ClientSession(middlewares=[wait]) as session:
        task = asyncio.create_task(session.request_once("GET", server.url))
        await has_head.wait()
        task.cancel()
        await asyncio.wait([task])
        assert_at_rest(session)
        assert task.cancelled()  # it is held until here, and holds the middleware with its response
