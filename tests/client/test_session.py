"""ClientSession: its loop, its end, its plugins, its middlewares."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys

import pytest

import corelet
from corelet import hookimpl
from tests.client.conftest import Peer, serve_ok
from tests.client.test_request import fields_of


async def fetch(session: corelet.ClientSession, url) -> bytes:
    async with session.get(url) as response:
        return await response.read()


def test_a_session_made_outside_of_a_loop_works_in_the_loop_that_first_uses_it() -> None:
    session = corelet.ClientSession()

    async def main() -> list[bytes]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with session:
            bodies = [await fetch(session, url) for _ in range(2)]
        server.close()
        return bodies

    assert asyncio.run(main()) == [b"ok", b"ok"]


def test_a_second_loop_gets_a_clear_error_at_once() -> None:
    session = corelet.ClientSession()
    line = sys._getframe().f_lineno - 1

    async def first() -> None:
        with pytest.raises(corelet.ClientConnectorError):
            await session.get("http://127.0.0.1:1/")

    async def second() -> None:
        with pytest.raises(RuntimeError, match=rf"test_session.py:{line}.*event loop"):
            await session.get("http://127.0.0.1:1/")

    asyncio.run(first())
    asyncio.run(second())
    asyncio.run(session.close())


def test_a_connector_refuses_a_second_loop_as_well() -> None:
    connector = corelet.TCPConnector()

    async def use() -> None:
        async with corelet.ClientSession(connector=connector, connector_owner=False) as session:
            await session.get("http://127.0.0.1:1/")

    for error in (corelet.ClientConnectorError, RuntimeError):
        with pytest.raises(error):
            asyncio.run(use())
    asyncio.run(connector.__aexit__())


async def test_an_unclosed_session_warns_with_where_it_was_made(raw) -> None:
    server = await raw(serve_ok)
    sessions = [corelet.ClientSession()]
    line = sys._getframe().f_lineno - 1
    await fetch(sessions[0], server.url)

    def forget() -> None:
        sessions.clear()
        gc.collect()

    with pytest.warns(ResourceWarning, match=rf"Unclosed client session.*test_session.py:{line}"):
        forget()
    await server.wait_for(lambda: server.closed == 1)


def test_a_session_that_was_never_used_needs_no_end() -> None:
    corelet.ClientSession()
    gc.collect()


async def test_a_closed_session_refuses_requests(raw) -> None:
    server = await raw(serve_ok)
    session = corelet.ClientSession()
    await fetch(session, server.url)
    await session.close()
    await session.close()
    assert session.closed
    with pytest.raises(RuntimeError, match="closed"):
        await session.get(server.url)


async def test_close_waits_until_sockets_are_closed(raw) -> None:
    server = await raw(serve_ok)
    session = corelet.ClientSession()
    await fetch(session, server.url)
    (connection,) = session.connector.pool.connections
    await session.close()
    assert connection.transport is None


async def test_a_detached_session_leaves_its_connector_open(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.TCPConnector() as connector:
        session = corelet.ClientSession(connector=connector)
        await fetch(session, server.url)
        session.detach()
        assert session.closed
        assert not connector.closed


def test_attributes() -> None:
    jar = corelet.DummyCookieJar()
    auth = corelet.BasicAuth("me")
    session = corelet.ClientSession(
        headers={"A": "b"}, cookie_jar=jar, auth=auth, skip_auto_headers=["Accept"], trust_env=True, timeout=5
    )
    assert session.headers == {"A": "b"}
    assert session.cookie_jar is jar
    assert session.auth is auth
    assert session.skip_auto_headers == {"accept"}
    assert session.timeout == corelet.ClientTimeout(total=5)
    assert session.version == corelet.HttpVersion11
    assert (session.trust_env, session.auto_decompress, session.requote_redirect_url) == (True, True, True)
    assert (session.connector.limit, session.connector_owner, session.loop) == (100, True, None)
    assert (session.raise_for_status, session.trace_configs, session.closed) == (False, [], False)


async def test_a_request_that_is_not_awaited_can_be_given_up(raw, client) -> None:
    client.get("http://a.test/").close()


async def test_a_task_can_be_made_of_a_request(raw, client) -> None:
    server = await raw(serve_ok)
    task = asyncio.create_task(client.get(server.url))
    async with await task as response:
        assert await response.read() == b"ok"
    task = asyncio.create_task(client.get(server.url))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_arguments_of_aiohttp_that_are_not_needed_are_taken() -> None:
    loop = asyncio.get_running_loop()
    connector = corelet.TCPConnector(loop=loop, enable_cleanup_closed=True, timeout_ceil_threshold=1)
    async with corelet.ClientSession(connector=connector, loop=loop) as session:
        assert session.connector is connector


# Middlewares.


async def test_middlewares_stand_around_each_request_the_first_one_outermost(raw) -> None:
    async def script(peer: Peer) -> None:
        while True:
            head, _ = await peer.read_request()
            if b"/start" in head:
                await peer.answer(status="302 Found", fields="Location: /end\r\n")
            else:
                await peer.answer()

    steps: list[str] = []

    def make(name: str):
        async def middleware(request, anything):
            steps.append(f"{name} {request.url.path}")
            request.headers[f"X-{name}"] = "yes"
            response = await anything(request)
            steps.append(f"{name} {response.status}")
            return response

        return middleware

    server = await raw(script)
    async with corelet.ClientSession(middlewares=[make("a"), make("b")]) as session:
        await fetch(session, server.url / "start")
        assert steps == ["a /start", "b /start", "b 302", "a 302", "a /end", "b /end", "b 200", "a 200"]
        assert b"X-a: yes" in server.heads[1]
        async with session.get(server.url / "end", middlewares=[]) as response:
            await response.read()
        assert b"X-a" not in server.heads[2]


async def test_a_middleware_may_send_again_and_change_the_body(raw) -> None:
    async def script(peer: Peer) -> None:
        while True:
            _, body = await peer.read_request()
            await peer.answer(body, status="200 OK" if body == b"second" else "401 No")

    async def middleware(request, send):
        response = await send(request)
        if response.status == 401:
            await response.read()
            await request.update_body("second")
            response = await send(request)
        return response

    server = await raw(script)
    async with (
        corelet.ClientSession(middlewares=[middleware]) as session,
        session.post(server.url, data=b"first") as response,
    ):
        assert await response.read() == b"second"
    assert [body for _, body in server.requests] == [b"first", b"second"]
    assert b"text/plain" in server.heads[1]
    assert b"Content-Length: 6" in server.heads[1]


async def test_a_middleware_may_answer_by_an_error(client) -> None:
    async def middleware(request, send):
        raise corelet.ClientError(f"no {request.method} {request.host}:{request.port} {request.is_ssl()}")

    with pytest.raises(corelet.ClientError, match=r"no GET a\.test:443 True"):
        await client.get("https://a.test/", middlewares=[middleware])


# Plugins.


class Watcher:
    """A plugin that wraps and watches sessions that ask for it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hookimpl
    def corelet_client_wrap_send(self, session):
        def wrap(send):
            async def send_watched(request):
                self.seen.append(f"wrapped {request.method}")
                return await send(request)

            return send_watched

        return wrap

    @hookimpl
    def corelet_client_trace(self, session):
        config = corelet.TraceConfig()

        async def on_start(session, context, params) -> None:
            self.seen.append("traced")

        config.on_request_start.append(on_start)
        return config


async def test_plugins_wrap_and_watch_a_session(raw) -> None:
    server = await raw(serve_ok)
    watcher = Watcher()

    async def middleware(request, send):
        watcher.seen.append("middleware")
        return await send(request)

    async with corelet.ClientSession(plugins=[watcher], middlewares=[middleware]) as session:
        await fetch(session, server.url)
    assert watcher.seen == ["traced", "wrapped GET", "middleware"]


async def test_a_plugin_that_wants_nothing_costs_nothing(raw) -> None:
    class Silent:
        @hookimpl
        def corelet_client_wrap_send(self, session):
            return None

        @hookimpl
        def corelet_client_trace(self, session):
            return None

    server = await raw(serve_ok)
    async with corelet.ClientSession(plugins=[Silent()]) as session:
        await fetch(session, server.url)
        assert session.trace_configs == []


async def test_what_is_done_to_the_fields_of_a_session_counts_from_the_next_request_on(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(headers={"X-A": "1"}) as session:
        session.headers["X-B"] = "2"
        await fetch(session, server.url)
        session.headers["Authorization"] = "token"
        del session.headers["X-A"]
        session.headers["Accept"] = "a/b"
        await fetch(session, server.url)
        async with session.get(server.url, headers={"X-B": "3"}):
            pass
        session.headers.add("Host", "a")
        session.headers.add("Host", "b")
        with pytest.raises(ValueError, match="one Host"):
            await session.get(server.url)
        session.headers.popall("Host")
        await fetch(session, server.url)
    first, second, third, last = map(fields_of, server.heads)
    assert (first["X-A"], first["X-B"], first["Accept"], "Authorization" in first) == ("1", "2", "*/*", False)
    assert ("X-A" in second, second["X-B"], second["Authorization"], second["Accept"]) == (False, "2", "token", "a/b")
    assert (third["X-B"], third["Authorization"], third["Host"]) == ("3", "token", second["Host"])
    assert last == second


async def test_a_first_use_that_fails_leaves_the_session_as_it_was(raw) -> None:
    watcher = Watcher()
    server = await raw(serve_ok)
    async with corelet.ClientSession(
        headers=[("Host", "a"), ("Host", "b")], plugins=[watcher, "compression"]
    ) as session:
        for _ in range(2):
            with pytest.raises(ValueError, match="one Host"):
                await session.get(server.url)
        assert session.trace_configs == []


async def test_an_error_of_a_plugin_names_it(raw) -> None:
    class Broken:
        @hookimpl
        def corelet_client_trace(self, session):
            raise ValueError("broken")

    server = await raw(serve_ok)
    async with corelet.ClientSession(plugins=[Broken()]) as session:
        with pytest.raises(ValueError, match="broken") as caught:
            await fetch(session, server.url)
    assert "Broken" in "".join(caught.value.__notes__)


PROGRAM = """
import sys
import corelet
corelet.ClientSession
loaded = {name for name in sys.modules if name.startswith("corelet")}
assert not loaded & {"corelet.web", "corelet.server", "corelet.connection", "corelet.app", "corelet_routing"}, loaded
corelet.request
import corelet.request as module
from corelet import request
assert callable(request) and corelet.request is request, request
from corelet import web
web.Request
assert corelet.request is request
"""


def test_the_client_loads_nothing_of_the_server_and_keeps_its_name() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=60)


async def test_an_unknown_argument_is_named_with_what_was_meant(raw) -> None:
    async with corelet.ClientSession() as session:
        with pytest.raises(TypeError, match=r"a request has no argument 'timout'; did you mean timeout\?"):
            await session.get("http://127.0.0.1/", timout=3)
