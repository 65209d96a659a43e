"""corelet with its server plugins, on uvloop, access log off."""

from __future__ import annotations

import asyncio
from typing import Final

import uvloop

from benchmarks.servers.arguments import (
    BLOCK_BYTES,
    HELLO,
    REPORT,
    SESSION_KEY,
    Arguments,
    make_files,
    make_route_paths,
    read_arguments,
)
from corelet import BodyPartReader, web
from corelet.abc import Handler

USER: web.RequestKey[str] = web.RequestKey("user", str)


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=HELLO)


async def user(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "id": int(request.match_info["id"]),
            "verbose": request.query["verbose"],
            "client": request.headers["X-Client"],
        }
    )


async def report(request: web.Request) -> web.Response:
    response = web.json_response(REPORT)
    response.enable_compression(web.ContentCoding.gzip)
    return response


async def show_user(request: web.Request) -> web.Response:
    return web.Response(text=request[USER])


async def name_route(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["id"])


async def upload(request: web.Request) -> web.Response:
    received = 0
    async for block in request.content.iter_any():
        received += len(block)
    return web.Response(text=str(received))


async def download(request: web.Request) -> web.StreamResponse:
    left = int(request.match_info["size"])
    response = web.StreamResponse()
    if request.match_info["framing"] == "sized":
        response.content_length = left
    await response.prepare(request)
    block = bytes(BLOCK_BYTES)
    while left:
        await response.write(block)
        left -= BLOCK_BYTES
    await response.write_eof()
    return response


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


async def count_fields(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.post())))


async def count_parts(request: web.Request) -> web.Response:
    received = 0
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        while piece := await part.read_chunk(BLOCK_BYTES):
            received += len(piece)
    return web.Response(text=str(received))


@web.middleware
async def find_user(request: web.Request, handler: Handler) -> web.StreamResponse:
    request[USER] = "alice"
    response: web.StreamResponse = await handler(request)
    return response


@web.middleware
async def stamp(request: web.Request, handler: Handler) -> web.StreamResponse:
    response: web.StreamResponse = await handler(request)
    response.headers["X-Served-By"] = "bench"
    return response


async def show_session_user(request: web.Request) -> web.Response:
    session = await web.get_session(request)
    return web.Response(text=session["user"])


SESSION_STORAGES: Final = {
    "signed-session": web.SignedCookieStorage,
    "encrypted-session": web.EncryptedCookieStorage,
}


def make_sub() -> web.Application:
    sub = web.Application(middlewares=[find_user, stamp])
    sub.router.add_get("/user", show_user)
    sub.router.add_get("/users/{id}", show_user)
    return sub


def make_app(shape: str) -> web.Application:
    """Make the application of a shape."""
    if shape == "compression":
        app = web.Application(middlewares=[web.compression_middleware()])
        app.router.add_get("/", hello)
        return app
    if shape in SESSION_STORAGES:
        app = web.Application()
        # The cookie of the load was made long ago.
        web.setup_sessions(app, SESSION_STORAGES[shape](SESSION_KEY), idle_seconds=None, absolute_seconds=None)
        app.router.add_get("/", show_session_user)
        return app
    if shape == "middlewares":
        app = web.Application(middlewares=[find_user, stamp])
        app.router.add_get("/", show_user)
        return app
    if shape == "subapp":
        app = web.Application()
        app.add_subapp("/sub", make_sub())
        return app
    app = web.Application(client_max_size=2**40)
    if shape == "files":
        app.router.add_static("/static", make_files())
        app.router.add_post("/form", count_fields)
        app.router.add_post("/multipart", count_parts)
        return app
    if shape == "plain":
        app.router.add_get("/", hello)
        app.router.add_get("/users/{id}", user)
        app.router.add_get("/report", report)
        app.router.add_put("/upload", upload)
        app.router.add_get("/download/{framing}/{size}", download)
        app.router.add_get("/echo", echo)
        return app
    for path in make_route_paths(shape):
        app.router.add_get(path, name_route)
    return app


async def serve(arguments: Arguments) -> None:
    runner = web.AppRunner(make_app(arguments.shape), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", arguments.port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(read_arguments(__doc__)))
