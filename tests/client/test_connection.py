"""Connections: kept, used again, and given up as soon as anything about them is in doubt."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
import warnings
from contextlib import ExitStack

import pytest

import corelet
from corelet_client import connection as connection_module
from tests.client.conftest import Peer, assert_at_rest, serve_ok


async def test_a_connection_is_used_again(raw, client) -> None:
    server = await raw(serve_ok)
    for _ in range(3):
        async with client.get(server.url) as response:
            assert await response.read() == b"ok"
    assert server.connections == 1
    assert client.connector.pool.idle_count == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_the_server_will_close_is_not_kept(raw, client, answer: bytes) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.send(answer)

    server = await raw(script)
    for _ in range(2):
        async with client.get(server.url) as response:
            assert await response.read() == b"ok"
    assert server.connections == 2


async def test_a_request_on_a_connection_that_was_closed_meanwhile_is_sent_on_a_new_one(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()

    server = await raw(script)
    for method in ("GET", "POST", "PUT"):
        async with client.request(method, server.url) as response:
            assert await response.read() == b"ok"
        await server.wait_for(lambda: server.closed == server.connections)
    assert server.connections == 3


async def test_an_idempotent_request_is_sent_again_once_where_the_connection_dies_without_a_byte(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()
        await peer.read_request()  # and no answer

    server = await raw(script)
    for _ in range(2):
        async with client.get(server.url) as response:
            assert await response.read() == b"ok"
    assert server.connections == 2
    assert len(server.requests) == 3


async def test_a_post_that_may_have_arrived_is_not_sent_again(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()
        await peer.read_request()

    server = await raw(script)
    async with client.get(server.url) as response:
        await response.read()
    with pytest.raises(corelet.ServerDisconnectedError, match="POST"):
        await client.post(server.url, data=b"x")
    assert len(server.requests) == 2


async def test_a_request_is_not_sent_a_third_time(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        if peer.number == 1:
            await peer.answer()
            await peer.read_request()

    server = await raw(script)
    async with client.get(server.url) as response:
        await response.read()
    with pytest.raises(corelet.ServerDisconnectedError):
        await client.get(server.url)
    assert len(server.requests) == 3


async def test_a_body_from_an_iterator_is_not_sent_again(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()
        await peer.read_request()

    async def body():
        yield b"once"

    server = await raw(script)
    async with client.get(server.url) as response:
        await response.read()
    with pytest.raises(corelet.ServerDisconnectedError):
        await client.put(server.url, data=body())


async def test_a_new_connection_that_gives_nothing_is_an_error_at_once(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()

    server = await raw(script)
    with pytest.raises(corelet.ServerDisconnectedError, match=r"127\.0\.0\.1"):
        await client.get(server.url)
    assert server.connections == 1


async def test_unasked_bytes_that_the_loop_has_seen_never_become_the_next_answer(raw, client) -> None:
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()
        if peer.number == 1:
            await peer.send(evil)
            await peer.wait_closed()
        else:
            await serve_ok(peer)

    server = await raw(script)
    async with client.get(server.url) as response:
        await response.read()
    await server.wait_for(lambda: server.closed == 1)
    assert client.connector.pool.connections == []
    async with client.get(server.url) as response:
        assert await response.read() == b"ok"


async def test_unasked_bytes_that_the_loop_has_not_seen_never_become_the_next_answer(client) -> None:
    """The server is a plain socket in a thread: its bytes are in the system when the next request begins."""
    import socket
    import threading

    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL"
    has_sent, may_send = threading.Event(), threading.Event()

    def serve(listener: socket.socket) -> None:
        first, _ = listener.accept()
        first.recv(65536)
        first.sendall(answer)
        may_send.wait(5)
        first.sendall(evil)
        has_sent.set()
        second, _ = listener.accept()
        second.recv(65536)
        second.sendall(answer)
        second.close()
        first.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        async with client.get(url) as response:
            assert await response.read() == b"ok"
        may_send.set()
        assert has_sent.wait(5)  # blocks the loop on purpose
        async with client.get(url) as response:
            assert await response.read() == b"ok"
        thread.join()


async def test_a_response_that_was_not_read_closes_its_connection(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        if peer.number == 1:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nstart")
            await peer.wait_closed()
        else:
            await peer.answer()

    server = await raw(script)
    async with client.get(server.url) as response:
        assert response.status == 200
    assert_at_rest(client)
    await server.wait_for(lambda: server.closed == 1)
    async with client.get(server.url) as response:
        assert await response.read() == b"ok"


async def test_a_response_that_is_forgotten_warns_and_frees_its_place(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nstart")
        await peer.wait_closed()

    server = await raw(script)
    responses = [await client.get(server.url)]
    with pytest.warns(ResourceWarning, match="Unclosed response"):
        responses.clear()
    gc.collect()
    assert_at_rest(client)
    await server.wait_for(lambda: server.closed == 1)


async def test_reading_after_release_is_a_clear_error(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nstart")
        await peer.wait_closed()

    server = await raw(script)
    async with client.get(server.url) as response:
        pass
    with pytest.raises(corelet.ClientConnectionError, match="closed"):
        await response.read()


async def test_an_idle_connection_is_closed_after_its_time(raw) -> None:
    server = await raw(serve_ok)
    connector = corelet.TCPConnector(keepalive_timeout=0.05)
    async with corelet.ClientSession(connector=connector) as session:
        async with session.get(server.url) as response:
            await response.read()
        await server.wait_for(lambda: server.closed == 1)
        assert connector.pool.connections == []


async def test_force_close_keeps_no_connection_and_says_so(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(connector=corelet.TCPConnector(force_close=True)) as session:
        for _ in range(2):
            async with session.get(server.url) as response:
                await response.read()
    assert server.connections == 2
    assert b"\r\nConnection: close\r\n" in server.heads[0]


async def test_http_1_0_asks_to_keep_the_connection(raw) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok")

    server = await raw(script)
    async with corelet.ClientSession(version=corelet.HttpVersion10) as session:
        for _ in range(2):
            async with session.get(server.url) as response:
                assert await response.read() == b"ok"
    assert server.connections == 1
    assert b"\r\nConnection: keep-alive\r\n" in server.heads[0]


@pytest.mark.parametrize("name", ["limit", "limit_per_host"])
def test_a_limit_below_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is a number of connections"):
        corelet.TCPConnector(**{name: -1})


def test_force_close_with_a_keepalive_timeout_is_refused() -> None:
    with pytest.raises(ValueError, match="force_close"):
        corelet.TCPConnector(force_close=True, keepalive_timeout=3)


async def test_a_slow_reader_makes_the_server_wait(raw, client) -> None:
    size = 8_000_000
    sent = 0

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            await peer.send(bytes(50_000))
            sent += 50_000
        await peer.wait_closed()

    server = await raw(script, limit=65536)
    async with client.get(server.url, read_bufsize=65536) as response:
        assert len(await response.content.read(10)) == 10
        before = -1
        while before != sent:  # until the buffers of the system are full
            before = sent
            await asyncio.sleep(0.05)
        assert sent < size
        total = 10
        async for piece in response.content.iter_any():
            assert len(piece) <= 600_000
            total += len(piece)
    assert total == size


@pytest.mark.parametrize("over_tls", [False, True])
async def test_closing_a_session_waits_for_connections_that_are_closing_already(raw, tls, over_tls) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        [connection] = connector.pool.connections
        connections.append(connection)
        await peer.answer(fields="Connection: close\r\n")
        peer.writer.transport.pause_reading()  # no farewell is answered
        try:
            await asyncio.Event().wait()
        finally:
            peer.writer.transport.abort()

    server = await raw(script, **({"ssl": tls.server} if over_tls else {}))
    connections: list[connection_module.Connection] = []
    connector = corelet.TCPConnector(ssl=tls.client, ssl_shutdown_timeout=0.05)
    async with corelet.ClientSession(connector=connector) as session, session.get(server.url) as response:
        assert await response.read() == b"ok"
        await session.close()
        assert [connection.transport for connection in connections] == [None]


async def send_until_nobody_reads(raw, client, end) -> tuple[connection_module.Connection, asyncio.Task]:
    """Begin a request that its server reads no further than its head; ``end`` is what it does then."""
    has_head, may_end = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.pause_reading()
        has_head.set()
        await may_end.wait()
        await end(peer)
        await asyncio.Event().wait()

    server = await raw(script)
    task = asyncio.create_task(client.post(server.url, data=bytes(20_000_000)).__aenter__())
    await has_head.wait()
    [connection] = client.connector.pool.connections
    while not connection.is_writing_paused:  # noqa: ASYNC110  # the buffers of the system are full then
        await asyncio.sleep(0.001)
    may_end.set()
    return connection, task


async def test_a_server_that_ends_without_an_answer_is_told_at_once_also_where_it_does_not_read(raw, client) -> None:
    async def end(peer: Peer) -> None:
        peer.writer.write_eof()

    _, task = await send_until_nobody_reads(raw, client, end)
    with pytest.raises(corelet.ServerDisconnectedError):
        await asyncio.wait_for(task, 5)
    assert_at_rest(client)


async def test_a_closing_connection_waits_a_while_for_a_server_that_does_not_read(raw, client, monkeypatch) -> None:
    monkeypatch.setattr(connection_module, "_LINGER_SECONDS", 0.01)

    async def end(peer: Peer) -> None:
        await peer.answer(fields="Connection: close\r\n")

    connection, task = await send_until_nobody_reads(raw, client, end)
    async with await task as response:
        assert await response.read() == b"ok"
    await asyncio.wait_for(connection.wait_closed(), 5)


def test_a_response_that_outlives_its_loop_warns_and_fails_in_nothing(monkeypatch) -> None:
    errors = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: errors.append(unraisable.exc_value))

    async def ask() -> corelet.ClientResponse:
        session = corelet.ClientSession()
        task = asyncio.create_task(session.request_once("GET", f"http://127.0.0.1:{listener.getsockname()[1]}"))
        peer, _ = await asyncio.to_thread(listener.accept)
        held.enter_context(peer).sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        return await task

    with ExitStack() as held, warnings.catch_warnings(record=True) as warned:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        warnings.simplefilter("always")
        response = asyncio.run(ask())
        del response
        told = [str(warning.message) for warning in warned]
        warned.clear()  # they hold what they warn of
        gc.collect()
        warned.clear()
    assert any("Unclosed response" in text for text in told)
    assert errors == []
