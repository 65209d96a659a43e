from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from yarl import URL

from corelet import hookimpl, web
from corelet.errors import CoreletError
from corelet.test_utils import (
    BaseTestServer,
    RawTestServer,
    TestClient,
    TestServer,
    get_port_socket,
    get_unused_port_socket,
    unused_port,
)


async def show(request: web.BaseRequest) -> web.Response:
    return web.Response(text=f"{request.method} {request.path_qs} {request.scheme} {(await request.text())}")


def make_app() -> web.Application:
    return web.Application(handler=show, plugins=[])


@pytest.mark.parametrize("make", [lambda: TestServer(make_app()), lambda: RawTestServer(show)])
async def test_server_serves_from_its_start_to_its_end(make: Any, peer: Any) -> None:
    server = make()
    assert (server.started, server.closed, server.server) == (False, False, None)
    with pytest.raises(RuntimeError, match="was not started"):
        server.make_url("/")
    with pytest.raises(RuntimeError, match="was not started"):
        server.handler  # noqa: B018  # reading it raises
    async with server as entered:
        assert entered is server
        await server.start_server()
        assert server.started
        assert server.handler is server.server
        async with peer.get(server.make_url("/a?b=c")) as answer:
            assert await answer.text() == "GET /a?b=c http "
    assert server.closed
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(server.host, server.port)


async def test_application_lives_as_long_as_its_server() -> None:
    app = make_app()
    steps: list[str] = []

    async def note(app: web.Application) -> None:
        steps.append(app.state.value)

    app.on_startup.append(note)
    app.on_cleanup.append(note)
    async with TestServer(app) as server:
        assert server.app is app
        assert steps == ["open"]
    assert len(steps) == 2


async def test_server_may_speak_tls(tls: Any) -> None:
    server = TestServer(make_app())
    await server.start_server(ssl=tls.server)
    assert server.make_url("/").scheme == "https"
    async with TestClient(server) as client, client.get("/", ssl=tls.client) as answer:
        assert await answer.text() == "GET / https "


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/a", "/a"),
        ("a", "/a"),
        ("/a?b#c", "/a?b#c"),
        (URL("/a/b"), "/a/b"),
        (URL("?x=y"), "/?x=y"),
    ],
)
async def test_addresses_are_made_of_paths(path: Any, url: str) -> None:
    async with RawTestServer(show) as server:
        assert str(server.make_url(path)) == f"http://127.0.0.1:{server.port}{url}"
        with pytest.raises(ValueError, match="is an absolute URL"):
            server.make_url("http://elsewhere/")
        server.skip_url_asserts = True
        assert str(server.make_url("http://elsewhere/")) == "http://elsewhere/"


async def test_server_takes_what_a_web_server_takes() -> None:
    server = RawTestServer(show, scheme="x", client_max_size=5)
    async with server:
        assert server.handler.client_max_size == 5
        assert server.make_url("/").scheme == "x"
    async with TestServer(make_app(), keepalive_timeout=3) as other:
        assert other.handler.deadlines.keepalive_seconds == 3


async def test_socket_can_be_made_by_the_test() -> None:
    made: list[socket.socket] = []

    def make(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
        made.append(get_port_socket(host, port, family))
        return made[0]

    port = unused_port()
    async with RawTestServer(show, port=port, socket_factory=make) as server:
        assert server.port == port == made[0].getsockname()[1]


async def test_port_that_is_taken_leaves_nothing() -> None:
    with get_unused_port_socket("127.0.0.1") as sock:
        sock.listen()
        server = RawTestServer(show, port=sock.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            await server.start_server()
        assert server.closed


async def test_application_that_does_not_start_leaves_nothing() -> None:
    class Failing:
        @hookimpl
        def corelet_wrap_handler(self, app: Any, route: Any) -> Any:
            raise CoreletError("no")

    with pytest.raises(CoreletError, match="no"):
        await TestServer(web.Application(handler=show, plugins=[Failing()])).start_server()


@pytest.mark.parametrize(
    "make", [lambda handler: TestServer(web.Application(handler=handler, plugins=[])), RawTestServer]
)
async def test_handler_that_hangs_does_not_hang_the_test(make: Any) -> None:
    begun = asyncio.Event()

    async def hang(request: Any) -> web.Response:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    server = make(hang)
    await server.start_server(shutdown_timeout=0.1)
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await begun.wait()
    await asyncio.wait_for(server.close(), 5)
    assert await reader.read() == b""
    writer.close()


def test_servers_are_no_tests() -> None:
    assert not any(each.__test__ for each in (BaseTestServer, TestServer, RawTestServer, TestClient))


def test_ports_are_free() -> None:
    with get_unused_port_socket("127.0.0.1") as first, get_unused_port_socket("127.0.0.1") as second:
        assert first.getsockname() != second.getsockname()
        first.listen()
        with pytest.raises(OSError, match="in use"):
            get_port_socket("127.0.0.1", first.getsockname()[1])
    socket.create_server(("127.0.0.1", unused_port())).close()


# The client.


async def test_client_asks_its_server_by_every_method() -> None:
    async with TestClient(TestServer(make_app())) as client:
        assert client.app is client.server.app  # type: ignore[attr-defined]
        assert (client.host, client.port) == ("127.0.0.1", client.server.port)
        for method in ("get", "post", "put", "patch", "delete", "options"):
            async with getattr(client, method)("/x") as answer:
                assert await answer.text() == f"{method.upper()} /x http "
        async with client.head("/x") as answer:
            assert answer.status == 200
        async with client.request("BREW", "/x", data=b"tea") as answer:
            assert await answer.text() == "BREW /x http tea"
        answer = await client.get(client.make_url("/y").relative())
        assert await answer.text() == "GET /y http "
        assert not client.session.closed
    assert client.session.closed
    await client.close()


async def test_client_keeps_cookies_of_its_server() -> None:
    async def give(request: web.BaseRequest) -> web.Response:
        response = web.Response(text=request.cookies.get("a", ""))
        response.set_cookie("a", "b")
        return response

    async with TestClient(RawTestServer(give)) as client:
        assert client.app is None
        texts = []
        for _ in range(2):
            async with client.get("/") as answer:
                texts.append(await answer.text())
    assert texts == ["", "b"]


async def test_client_closes_its_server_though_an_answer_is_open() -> None:
    async def stream(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 10_000)
            await asyncio.sleep(0)

    client = TestClient(RawTestServer(stream))
    await client.start_server()
    answer = await client.get("/")
    assert answer.status == 200
    await asyncio.wait_for(client.close(), 10)


def test_client_needs_a_server() -> None:
    with pytest.raises(TypeError, match="server is a TestServer or a RawTestServer, not Application"):
        TestClient(make_app())  # type: ignore[arg-type]


async def test_client_opens_websockets_at_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestClient(RawTestServer(show)) as client:
        asked: list[Any] = []
        monkeypatch.setattr(client.session, "ws_connect", lambda url, **kwargs: asked.append((str(url), kwargs)))
        client.ws_connect("/socket", heartbeat=5)
        assert asked == [(f"http://127.0.0.1:{client.port}/socket", {"heartbeat": 5})]
