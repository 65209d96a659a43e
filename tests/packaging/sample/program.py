"""A user's program by the façade's names alone: it passes mypy --strict and pyright's strict mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import corelet
from corelet import ClientSession, ClientTimeout, FormData, MultipartReader, TraceConfig, WSMsgType, hookimpl, web
from corelet.test_utils import TestClient, TestServer, make_mocked_request, unused_port

GREETING = web.AppKey("greeting", str)
COUNT = web.RequestKey("count", int)

routes = web.RouteTableDef()


@routes.get("/hello/{name}", name="hello")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.app[GREETING]}, {request.match_info['name']}")


@routes.get("/where")
async def where(request: web.Request) -> web.Response:
    url = request.app.router["hello"].url_for(name="alice")
    return web.json_response({"path": url.path, "query": request.query.get("q", ""), "host": request.host})


@routes.get("/stream")
async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.enable_compression()
    await response.prepare(request)
    for number in range(3):
        await response.write(b"%d\n" % number)
    await response.write_eof()
    return response


@routes.get("/talk")
async def talk(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(heartbeat=20.0)
    await ws.prepare(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(str(message.data).upper())
    return ws


@routes.post("/upload")
async def upload(request: web.Request) -> web.Response:
    reader: MultipartReader = await request.multipart()
    names: list[str] = []
    async for part in reader:
        assert not isinstance(part, MultipartReader)
        names.append(part.filename or "")
        await part.read(decode=True)
    return web.json_response({"names": names})


@routes.post("/form")
async def form(request: web.Request) -> web.Response:
    fields = await request.post()
    if (picture := fields.get("picture")) is None:
        raise web.HTTPBadRequest(text="no picture")
    if isinstance(picture, web.FileField):
        return web.Response(text=picture.filename)
    raise web.HTTPFound("/")


@routes.get("/visits")
async def visits(request: web.Request) -> web.Response:
    session = await web.get_session(request)
    session["visits"] = int(session.get("visits", 0)) + 1
    return web.Response(text=str(session["visits"]))


@routes.view("/item")
class Item(web.View):
    """A view of one thing."""

    async def get(self) -> web.StreamResponse:
        """Answer with a file."""
        return web.FileResponse(Path(__file__))

    async def delete(self) -> web.StreamResponse:
        """Answer with nothing."""
        return web.Response(status=204, headers={"X-Path": self.request.path})


@web.middleware
async def count(request: web.Request, handler: web.Handler) -> web.StreamResponse:
    request[COUNT] = request.get(COUNT, 0) + 1
    try:
        return await handler(request)
    except web.HTTPException as error:
        error.headers["X-Count"] = str(request[COUNT])
        raise


@hookimpl
def corelet_prepare_response(app: web.Application) -> object:
    async def stamp(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Served-By"] = app[GREETING]

    return stamp


async def warm_up(app: web.Application) -> AsyncIterator[None]:
    app.logger.info("up")
    yield
    app.logger.info("down")


async def close(app: web.Application) -> None:
    app.logger.info("closed")


def make_app() -> web.Application:
    app = web.Application(middlewares=[web.normalize_path_middleware(), count, web.compression_middleware()])
    app[GREETING] = "Hello"
    app.add_routes(routes)
    app.add_routes([web.get("/also/{name}", hello), web.static("/files", Path(__file__).parent)])
    app.router.add_post("/also", form)
    web.setup_sessions(app, web.SignedCookieStorage("k" * 32))
    app.cleanup_ctx.append(warm_up)
    app.on_shutdown.append(close)
    inner = web.Application()
    inner.router.add_get("/", hello)
    app.add_subapp("/inner", inner)
    app.add_domain("*.example.com", web.Application())
    return app


async def on_start(session: ClientSession, context: object, params: corelet.TraceRequestStartParams) -> None:
    print(params.method, params.url)


async def use(base: str) -> str:
    trace = TraceConfig()
    trace.on_request_start.append(on_start)
    timeout = ClientTimeout(total=10.0, connect=2.0)
    connector = corelet.TCPConnector(limit=10)
    async with ClientSession(base, timeout=timeout, connector=connector, trace_configs=[trace]) as session:
        body = FormData()
        body.add_field("picture", b"...", filename="a.png", content_type="image/png")
        async with session.post("/form", data=body) as response:
            response.raise_for_status()
            name = await response.text()
        async with session.get("/where", params={"q": "x"}, headers={"Accept": "application/json"}) as response:
            found = await response.json()
        async with session.ws_connect("/talk") as ws:
            await ws.send_str(name)
            said = await ws.receive_str()
        try:
            await session.get("/nothing", raise_for_status=True)
        except corelet.ClientResponseError as error:
            print(error.status, error.message)
        except corelet.ClientError:
            raise
        return f"{found['path']} {said}"


async def main() -> None:
    async with TestClient(TestServer(make_app())) as client:
        answer = await client.get("/hello/alice")
        assert answer.status == 200
        assert await answer.text() == "Hello, alice"
        print(await use(str(client.make_url("/"))))
    request = make_mocked_request("GET", "/hello/bob")
    print(request.method, request.path, unused_port())
    runner = web.AppRunner(make_app(), handle_signals=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
