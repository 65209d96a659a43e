"""The signals of a session's requests, in order and with what they tell; the error of a listener leaves nothing."""

from __future__ import annotations

import asyncio

import pytest

from corelet import ClientConnectionError, ClientError, ClientSession, TCPConnector, TooManyRedirects, TraceConfig
from corelet_client.connection_key import ConnectionKey
from corelet_client.tracing import SIGNALS
from tests.client.conftest import Peer, assert_at_rest, serve_ok
from tests.client.test_request import fields_of


def listen(*, failing: str = "") -> tuple[TraceConfig, list[tuple[str, object]]]:
    """Make a config that listens to everything, and the list of what it hears."""
    config, heard = TraceConfig(), []
    for name in SIGNALS:

        async def hear(session, context, params, name=name):
            heard.append((name, params))
            if name == failing:
                raise LookupError(name)

        getattr(config, name).append(hear)
    return config, heard


def names(heard: list[tuple[str, object]]) -> list[str]:
    return [name.removeprefix("on_") for name, _ in heard]


async def test_request_with_a_body_and_one_on_its_connection(raw):
    server = await raw(serve_ok)
    config, heard = listen()
    async with ClientSession(trace_configs=[config]) as session:
        async with session.post(server.url, data=b"abc", trace_request_ctx={"id": 1}) as response:
            assert await response.read() == b"abc"
        async with session.get(server.url) as response:
            await response.read()
    assert names(heard) == [
        "request_start",
        "connection_create_start",
        "connection_create_end",
        "request_headers_sent",
        "request_chunk_sent",
        "request_end",
        "response_chunk_received",
        "request_start",
        "connection_reuseconn",
        "request_headers_sent",
        "request_end",
        "response_chunk_received",
    ]
    told = dict(heard[:7])
    assert (told["on_request_start"].method, told["on_request_start"].url) == ("POST", server.url)
    assert (told["on_request_chunk_sent"].chunk, told["on_response_chunk_received"].chunk) == (b"abc", b"abc")
    assert told["on_request_end"].response.status == 200


async def test_names_are_looked_up_once(raw):
    server = await raw(serve_ok)
    config, heard = listen()
    url = server.url.with_host("localhost")
    async with ClientSession(trace_configs=[config], connector=TCPConnector(force_close=True)) as session:
        for _ in range(2):
            async with session.get(url):
                pass
    dns = [(name, params.host) for name, params in heard if "dns" in name]
    assert dns == [
        ("on_dns_cache_miss", "localhost"),
        ("on_dns_resolvehost_start", "localhost"),
        ("on_dns_resolvehost_end", "localhost"),
        ("on_dns_cache_hit", "localhost"),
    ]


async def test_redirect_and_too_many_of_them(raw):
    async def redirect(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer(status="302 Found", fields="Location: /again\r\n")

    server = await raw(redirect)
    config, heard = listen()
    async with ClientSession(trace_configs=[config]) as session:
        with pytest.raises(TooManyRedirects):
            await session.get(server.url, max_redirects=1)
    assert names(heard).count("request_redirect") == 2
    assert names(heard)[-1] == "request_exception"
    assert isinstance(heard[-1][1].exception, TooManyRedirects)


async def test_wait_for_a_place(raw):
    release = asyncio.Event()

    async def answer(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await release.wait()
            await peer.answer()

    server = await raw(answer)
    config, heard = listen()
    queued = asyncio.Event()

    async def tell(session, context, params):
        queued.set()

    config.on_connection_queued_start.append(tell)
    async with ClientSession(trace_configs=[config], connector=TCPConnector(limit=1)) as session:

        async def ask() -> int:
            async with session.get(server.url) as response:
                return response.status

        asking = [asyncio.create_task(ask()) for _ in range(2)]
        await queued.wait()
        release.set()
        assert await asyncio.gather(*asking) == [200, 200]
    assert [name for name in names(heard) if "queued" in name] == ["connection_queued_start", "connection_queued_end"]


async def test_a_place_that_becomes_free_while_a_listener_waits_is_taken(raw):
    server = await raw(serve_ok)
    connector = TCPConnector(limit=1)
    key = ConnectionKey(server.url.host, server.url.port, False, True)
    config = TraceConfig()

    async def free(session, context, params):
        connector.pool.free_place(key)

    config.on_connection_queued_start.append(free)
    async with ClientSession(trace_configs=[config], connector=connector) as session:
        assert connector.pool.take_place(key)
        async with asyncio.timeout(5), session.get(server.url) as response:
            assert response.status == 200
        assert_at_rest(session)


@pytest.mark.parametrize(
    "signal",
    [
        "on_connection_queued_start",
        "on_connection_queued_end",
        "on_connection_create_start",
        "on_connection_create_end",
        "on_connection_reuseconn",
    ],
)
async def test_a_connector_that_is_closed_while_a_listener_waits_opens_and_keeps_nothing(raw, signal):
    server = await raw(serve_ok)
    url = server.url.with_host("localhost")
    key = ConnectionKey("localhost", url.port, False, True)
    connector = TCPConnector(limit=1)
    config = TraceConfig()

    async def close(session, context, params):
        if signal == "on_connection_queued_start":
            pool.free_place(key)
        await connector.close()

    getattr(config, signal).append(close)
    async with ClientSession(trace_configs=[config], connector=connector) as session:
        pool = connector.pool
        if "reuse" in signal:
            async with session.get(url):
                pass
        if "queued" in signal:
            assert pool.take_place(key)
        request = asyncio.ensure_future(session.request_once("GET", url))
        if signal == "on_connection_queued_end":
            await asyncio.sleep(0)
            pool.free_place(key)
        with pytest.raises(ClientConnectionError, match="closed"):
            await asyncio.wait_for(request, 5)
        assert (pool.places, pool.waiting_count, pool.connections) == (0, 0, [])
    assert server.connections == ("create_end" in signal or "reuse" in signal)


@pytest.mark.parametrize(
    "failing",
    [
        "on_request_start",
        "on_connection_create_start",
        "on_connection_create_end",
        "on_dns_cache_miss",
        "on_dns_resolvehost_start",
        "on_dns_resolvehost_end",
        "on_request_headers_sent",
        "on_request_end",
    ],
)
async def test_error_of_a_listener_ends_the_request_and_leaves_nothing(raw, tmp_path, failing):
    server = await raw(serve_ok)
    config, _ = listen(failing=failing)
    url = server.url.with_host("localhost")
    path = tmp_path / "file"
    path.write_bytes(b"content")
    file = path.open("rb")
    async with ClientSession(trace_configs=[config]) as session:
        with pytest.raises(LookupError, match=failing):
            await session.put(url, data=file)
        assert_at_rest(session)
    assert file.closed


async def test_error_of_a_listener_on_a_pooled_connection_leaves_nothing(raw):
    server = await raw(serve_ok)
    config, _ = listen(failing="on_connection_reuseconn")
    async with ClientSession(trace_configs=[config]) as session:
        async with session.get(server.url) as response:
            await response.read()
        with pytest.raises(LookupError, match="reuseconn"):
            await session.get(server.url)
        assert_at_rest(session)


async def test_error_of_a_listener_while_the_body_is_sent_ends_the_request(raw):
    server = await raw(serve_ok)
    config, _ = listen(failing="on_request_chunk_sent")
    async with ClientSession(trace_configs=[config]) as session:
        with pytest.raises((LookupError, ClientError)):
            await session.post(server.url, data=b"abc")
        assert_at_rest(session)


async def test_error_of_a_request_is_told(unused_tcp_port):
    config, heard = listen()
    async with ClientSession(trace_configs=[config]) as session:
        with pytest.raises(ClientError):
            await session.get(f"http://127.0.0.1:{unused_tcp_port}/")
    assert names(heard) == ["request_start", "connection_create_start", "request_exception"]
    assert isinstance(heard[-1][1].exception, ClientError)


async def test_what_a_listener_adds_to_the_fields_goes_out_with_that_request_alone(raw) -> None:
    async def inject(session, context, params) -> None:
        params.headers["traceparent"] = str(len(server.heads))

    config = TraceConfig()
    config.on_request_start.append(inject)
    server = await raw(serve_ok)
    async with ClientSession(trace_configs=[config]) as session:
        for number in range(2):
            async with session.get(server.url) as response:
                assert response.request_info.headers["traceparent"] == str(number)
        assert "traceparent" not in session.headers
    assert [fields_of(head).getall("traceparent") for head in server.heads] == [["0"], ["1"]]
