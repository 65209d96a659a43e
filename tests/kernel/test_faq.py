"""What people ask of a framework of this field, each over real sockets."""

from __future__ import annotations

import asyncio
from typing import Any

from corelet import web
from tests.conftest import Connect, Serve

# "Where is the decorator?" Tables come before any application.

routes = web.RouteTableDef()


@routes.get("/greet/{name}")
async def greet(request: web.Request) -> web.Response:
    return web.Response(text=f"hello {request.match_info['name']}")


@routes.view("/view")
class Page(web.View):
    async def get(self) -> web.Response:
        return web.Response(text="got")

    async def post(self) -> web.Response:
        return web.Response(text=await self.request.text())


async def test_decorators_fill_a_table_before_any_application_exists(serve: Serve, connect: Connect) -> None:
    for _ in range(2):  # one table, two applications
        app = web.Application()
        app.add_routes(routes)
        client = await connect(await serve(app))
        assert (await client.get("/greet/you")).text == "hello you"
        assert (await client.get("/view")).text == "got"
        await client.send("POST /view HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        assert (await client.read_answer()).text == "body"


# "How can I handle everything under a path?"


async def test_a_prefix_route_serves_any_method_below_it(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.match_info['tail']}")

    app = web.Application()
    app.router.add_route("*", "/files/{tail:.+}", handler)
    client = await connect(await serve(app))
    assert (await client.get("/files/a/b%20c/d")).text == "GET a/b c/d"
    assert (await client.get("/files/x", method="PROPFIND")).text == "PROPFIND x"
    assert (await client.get("/files/x", method="DELETE")).text == "DELETE x"
    assert (await client.get("/files/")).status == 404


# "Where do I put my database connection?" Application, request and response are mappings.

DATABASE = web.AppKey("DATABASE", dict)
USER = web.RequestKey("USER", str)
COST = web.ResponseKey("COST", int)


async def test_state_lives_in_application_request_and_response(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.Request) -> web.Response:
        request[USER] = request.app[DATABASE]["first"]
        request["text key"] = "text"
        assert list(request) == [USER, "text key"]
        response = web.Response(text=request[USER])
        response[COST] = 5
        return response

    costs: list[int] = []

    async def read_cost(request: web.Request, response: web.StreamResponse) -> None:
        costs.append(response[COST])

    app = web.Application()
    app[DATABASE] = {"first": "somebody"}
    app.on_response_prepare.append(read_cost)
    app.router.add_get("/", handler)
    client = await connect(await serve(app))
    assert [(await client.get()).text for _ in range(2)] == ["somebody"] * 2
    assert costs == [5, 5]


# "How do I pass data from a middleware to a handler?"


async def test_a_middleware_leaves_data_for_handlers(serve: Serve, connect: Connect) -> None:
    @web.middleware
    async def authenticate(request: web.Request, handler: Any) -> web.StreamResponse:
        request[USER] = request.headers.get("X-User", "nobody")
        return await handler(request)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request[USER])

    app = web.Application(middlewares=[authenticate])
    app.router.add_get("/", handler)
    client = await connect(await serve(app))
    assert (await client.get(fields="X-User: me\r\n")).text == "me"
    # Nothing of one request is left for the next.
    assert (await client.get()).text == "nobody"


# "Can a handler go on after its response was sent?"


async def test_a_handler_may_go_on_after_its_response_and_the_next_request_waits_for_it(
    serve: Serve, connect: Connect
) -> None:
    lines: list[str] = []
    go_on = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        lines.append(f"{request.path} starts")
        response = web.Response(text=request.path)
        await response.prepare(request)
        await response.write_eof()
        if request.path == "/first":
            await go_on.wait()
        lines.append(f"{request.path} ends")
        return response

    app = web.Application()
    app.router.add_get("/{tail}", handler)
    client = await connect(await serve(app))
    await client.send("GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.read_answer()).text == "/first"
    await client.send("GET /second HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.1)
    assert lines == ["/first starts"]
    go_on.set()
    assert (await client.read_answer()).text == "/second"
    assert lines == ["/first starts", "/first ends", "/second starts", "/second ends"]


# "Why does my response hang?" One that is kept and used again is an error that says so.


async def test_a_response_used_for_two_requests_is_an_error_at_once(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    kept = web.Response(text="kept")

    async def handler(request: web.Request) -> web.Response:
        return kept

    app = web.Application()
    app.router.add_get("/", handler)
    client = await connect(await serve(app))
    answer = await client.get()
    assert (answer.status, answer.text) == (200, "kept")
    asked = asyncio.get_running_loop().time()
    assert (await client.get()).status == 500
    assert asyncio.get_running_loop().time() - asked < 1
    (record,) = expect_error_log
    assert "has answered a request before: a response is used once, make a new one" in str(record.exc_info[1])


async def test_a_stream_used_for_two_requests_is_an_error_at_once(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    kept = web.StreamResponse()

    async def handler(request: web.Request) -> web.StreamResponse:
        await kept.prepare(request)
        await kept.write(b"kept")
        await kept.write_eof()
        return kept

    app = web.Application()
    app.router.add_get("/", handler)
    client = await connect(await serve(app))
    assert (await client.get()).text == "kept"
    assert (await client.get()).status == 500
    assert "a response is used once" in str(expect_error_log[0].exc_info[1])


# "Why is my request gone?" Cookies, forms and headers outlive the handler that waits.


async def test_what_a_request_says_can_be_read_whenever_it_is_wanted(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0.01)
        form = await request.post()
        return web.Response(text=f"{request.cookies['name']} {request.query['q']} {form['field']} {form['field']}")

    app = web.Application()
    app.router.add_post("/", handler)
    client = await connect(await serve(app))
    await client.send(
        "POST /?q=search HTTP/1.1\r\nHost: a\r\nCookie: name=value\r\nContent-Length: 9\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\nfield=one"
    )
    assert (await client.read_answer()).text == "value search one one"
