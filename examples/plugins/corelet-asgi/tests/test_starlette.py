"""A real Starlette application, mounted: everything that it does standing alone it does here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from corelet import WSMsgType, WSServerHandshakeError, web
from corelet_asgi import AsgiLifespanError, mount_asgi

PREFIX = "/outer/le%20gacy"


class Notes:
    """What the application has done, and what it waits for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.go_on = asyncio.Event()

    async def wait_for(self, line: str) -> None:
        async with asyncio.timeout(10):
            while line not in self.lines:  # noqa: ASYNC110  # a test may look again and again
                await asyncio.sleep(0.005)


def make_starlette(notes: Notes) -> Starlette:
    """Make an application with one route for each thing to be seen."""

    async def show(request: Request) -> JSONResponse:
        body = await request.body()
        return JSONResponse(
            {
                "method": request.method,
                "url": str(request.url),
                "base": str(request.base_url),
                "link": str(request.url_for("show", name="a b")),
                "name": request.path_params["name"],
                "query": request.query_params.multi_items(),
                "cookie": request.cookies.get("c"),
                "fields": request.headers.getlist("x-many"),
                "client": request.client is not None and request.client.host,
                "body": body.decode(),
                "pool": request.state.pool,
            },
            headers={"X-Seen": "yes"},
        )

    async def upload(request: Request) -> PlainTextResponse:
        sizes = [len(piece) async for piece in request.stream()]
        return PlainTextResponse(f"{sum(sizes)} {len(sizes) > 1}")

    async def download(request: Request) -> StreamingResponse:
        async def write() -> AsyncIterator[bytes]:
            yield b"first,"
            await notes.go_on.wait()
            yield b"second"

        return StreamingResponse(write())

    async def endless(request: Request) -> StreamingResponse:
        async def write() -> AsyncIterator[bytes]:
            notes.lines.append("begun")
            while True:
                yield b"x" * 65_536

        body = write()
        try:
            await StreamingResponse(body)(request.scope, request.receive, request._send)
        except ClientDisconnect:
            notes.lines.append("the peer has gone")
        await body.aclose()
        return Response()

    async def wait(request: Request) -> Response:
        notes.lines.append("begun")
        while not await request.is_disconnected():  # noqa: ASYNC110  # Starlette's way to find out
            await asyncio.sleep(0.005)
        notes.lines.append("disconnected")
        return Response()

    async def later(request: Request) -> Response:
        async def work() -> None:
            await notes.go_on.wait()
            notes.lines.append("worked")
            if "fail" in request.query_params:
                raise LookupError("too late a fault")

        return PlainTextResponse("at once", background=BackgroundTask(work))

    async def refuse(request: Request) -> Response:
        raise HTTPException(418, "a teapot", headers={"X-Why": "tea"})

    async def fail(request: Request) -> Response:
        raise LookupError("a fault")

    async def echo(ws: WebSocket) -> None:
        await ws.accept(subprotocol="chat", headers=[(b"x-pool", str(ws.state.pool).encode())])
        await ws.send_json([ws.url.path, ws.scope["root_path"], ws.scope["subprotocols"]])
        try:
            while True:
                message = await ws.receive()
                if message["type"] == "websocket.disconnect":
                    notes.lines.append(f"closed {message['code']} {message['reason']}")
                    return
                await ws.send({**message, "type": "websocket.send"})
        except WebSocketDisconnect:
            notes.lines.append("gone")

    async def deny(ws: WebSocket) -> None:
        if ws.query_params.get("how") == "http":
            raise HTTPException(402, "pay first")
        await ws.close()

    async def break_open(ws: WebSocket) -> None:
        await ws.accept()
        if ws.query_params.get("how") == "close":
            await ws.close(4001, "enough")
            return
        raise LookupError("a fault in a socket")

    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        notes.lines.append("started")
        yield {"pool": 7}
        notes.lines.append("stopped")

    return Starlette(
        routes=[
            Route("/show/{name}", show, methods=["GET", "POST"], name="show"),
            Route("/upload", upload, methods=["POST"]),
            Route("/download", download),
            Route("/endless", endless),
            Route("/wait", wait),
            Route("/later", later),
            Route("/refuse", refuse),
            Route("/fail", fail),
            WebSocketRoute("/echo", echo),
            WebSocketRoute("/deny", deny),
            WebSocketRoute("/break", break_open),
            Mount("/inner", routes=[Route("/{name}", show)]),
        ],
        lifespan=live,
    )


@pytest.fixture
async def notes() -> Notes:
    return Notes()


@pytest.fixture
async def client(client_for: Any, notes: Notes) -> Any:
    """Give a client of an application that has the Starlette one two prefixes deep."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="corelet's")

    app, outer = web.Application(), web.Application()
    app.router.add_get("/le%20gacy/own", hello)
    mount_asgi(app, "/le%20gacy", make_starlette(notes), websocket_options={"max_msg_size": 1000})
    outer.add_subapp("/outer", app)
    return await client_for(outer)


async def test_a_request_is_the_same_inside(client: Any) -> None:
    response = await client.post(
        f"{PREFIX}/show/a-b%20%C3%A4?x=1&x=%20",
        data="the body", headers=[("X-Many", "1"), ("X-Many", "2"), ("Cookie", "c=d")],
    )  # fmt: skip
    origin = str(client.make_url("/"))
    assert response.headers["X-Seen"] == "yes"
    assert response.headers["Content-Type"] == "application/json"
    assert await response.json() == {
        "method": "POST",
        "url": f"{origin}outer/le gacy/show/a-b ä?x=1&x=%20",  # Starlette's own way
        "base": f"{origin}outer/le gacy/",
        "link": f"{origin}outer/le gacy/show/a b",
        "name": "a-b ä",
        "query": [["x", "1"], ["x", " "]],
        "cookie": "d",
        "fields": ["1", "2"],
        "client": "127.0.0.1",
        "body": "the body",
        "pool": 7,
    }
    assert (await (await client.get(f"{PREFIX}/inner/x")).json())["name"] == "x"
    assert (await client.get(f"{PREFIX}/none")).status == 404
    assert await (await client.get(f"{PREFIX}/own")).text() == "corelet's"
    head = await client.head(f"{PREFIX}/show/x")
    assert int(head.headers["Content-Length"]) > 100


async def test_bodies_are_streamed_in_both_directions(client: Any, notes: Notes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 50_000

    assert await (await client.post(f"{PREFIX}/upload", data=pieces())).text() == "2000000 True"
    async with client.get(f"{PREFIX}/download") as response:
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert await response.content.readany() == b"first,"
        notes.go_on.set()
        assert await response.content.read() == b"second"


@pytest.mark.parametrize(("path", "line"), [("endless", "the peer has gone"), ("wait", "disconnected")])
async def test_a_peer_that_goes_is_noticed(client: Any, notes: Notes, path: str, line: str) -> None:
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"GET {PREFIX}/{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await notes.wait_for("begun")
    writer.close()
    await writer.wait_closed()
    await notes.wait_for(line)


async def test_work_after_an_answer_holds_nobody_up(
    client: Any, notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(client.host, client.port)
    for path in ("later", "later?fail=1", "show/x"):  # one connection
        writer.write(f"GET {PREFIX}/{path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        assert head.startswith(b"HTTP/1.1 200 ")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
    assert notes.lines == ["started"]
    writer.close()
    await writer.wait_closed()
    asyncio.get_running_loop().call_later(0.02, notes.go_on.set)
    await client.close()  # waits for it
    assert notes.lines == ["started", "worked", "worked", "stopped"]
    assert caplog.text.count("an ASGI application has failed after its answer") == 1
    assert "too late a fault" in caplog.text


async def test_errors_are_answered_and_logged(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    response = await client.get(f"{PREFIX}/refuse")
    assert (response.status, response.headers["X-Why"], await response.text()) == (418, "tea", "a teapot")
    response = await client.get(f"{PREFIX}/fail")
    assert (response.status, await response.text()) == (500, "Internal Server Error")
    assert "LookupError: a fault" in caplog.text
    assert (await client.get(f"{PREFIX}/show/x")).status == 200


async def test_websockets_talk(client: Any, notes: Notes) -> None:
    async with client.ws_connect(f"{PREFIX}/echo", protocols=["other", "chat"]) as ws:
        assert ws.protocol == "chat"
        assert await ws.receive_json() == ["/outer/le gacy/echo", "/outer/le gacy", ["other", "chat"]]
        await ws.send_str("text ä")
        assert await ws.receive_str() == "text ä"
        await ws.send_bytes(b"\0\1")
        assert await ws.receive_bytes() == b"\0\1"
        await ws.close(code=4000, message=b"bye")
    await notes.wait_for("closed 4000 bye")
    async with client.ws_connect(f"{PREFIX}/echo", protocols=["chat"]) as ws:
        await ws.receive()
        await ws.send_bytes(b"x" * 2000)
        assert (await ws.receive()).type is WSMsgType.CLOSE
        assert ws.close_code == 1009
    await notes.wait_for("closed 1009 ")


async def test_websockets_are_refused_and_closed(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    for how, status in (("close", 403), ("http", 402)):
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect(f"{PREFIX}/deny?how={how}")
        assert refused.value.status == status
    for how, code in (("close", 4001), ("fault", 1011)):
        async with client.ws_connect(f"{PREFIX}/break?how={how}") as ws:
            assert (await ws.receive()).type is WSMsgType.CLOSE
            assert ws.close_code == code
    assert "a fault in a socket" in caplog.text
    response = await client.get(f"{PREFIX}/echo", headers={"Upgrade": "websocket", "Connection": "Upgrade"})
    assert response.status in (400, 426)


async def test_a_server_that_stops_ends_websockets_and_the_application(client: Any, notes: Notes) -> None:
    async with client.ws_connect(f"{PREFIX}/echo", protocols=["chat"]) as ws:
        await ws.receive()
        closing = asyncio.create_task(client.server.close())
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    await closing
    assert notes.lines[0] == "started"
    assert notes.lines[-2:] == ["closed 1001 ", "stopped"]


async def test_middlewares_of_both_sides_see_a_request(client_for: Any, notes: Notes) -> None:
    async def add(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["X-Inner"] = "starlette"
        return response

    async def outer_add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Outer"] = "corelet"

    inner = Starlette(
        routes=[Route("/{path:path}", lambda request: PlainTextResponse("x" * 1000))],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=add)],
    )
    app = web.Application(middlewares=[web.compression_middleware()])
    app.on_response_prepare.append(outer_add)
    resource = mount_asgi(app, "/", inner, name="legacy")
    response = await (await client_for(app)).get("/any")
    assert (response.headers["X-Inner"], response.headers["X-Outer"]) == ("starlette", "corelet")
    assert response.headers["Content-Encoding"] in ("zstd", "br", "gzip", "deflate")
    assert await response.text() == "x" * 1000
    assert str(resource.url_for(path="/a b/ä")) == "/a%20b/%C3%A4"


@pytest.mark.parametrize("fails_at", ["start", "stop"])
async def test_a_lifespan_that_fails_is_reported(fails_at: str) -> None:
    @asynccontextmanager
    async def live(app: Starlette) -> AsyncIterator[None]:
        if fails_at == "start":
            raise LookupError("no database")
        yield
        raise LookupError("no way out")

    app = web.Application()
    mount_asgi(app, "/legacy", Starlette(lifespan=live))
    if fails_at == "start":
        with pytest.raises(AsgiLifespanError, match=r"has failed to start: .*no database") as failed:
            await app.startup()
    else:
        await app.startup()
        with pytest.raises(AsgiLifespanError, match=r"has failed to stop: .*no way out") as failed:
            await app.cleanup()
    assert isinstance(failed.value.__cause__, LookupError)
