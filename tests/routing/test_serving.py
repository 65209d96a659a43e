"""Routing as peers see it, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from yarl import URL

from corelet import hookimpl, web
from corelet_routing import AbstractRoute, PrefixResource, plugin

# A table like this stands in a module of its own, and is imported by whoever makes an application.
table = web.RouteTableDef()


@table.get("/users/{name}", name="user")
async def show_user(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["name"])


@table.post("/users/{name}")
async def change_user(request: web.Request) -> web.Response:
    return web.Response(status=201, text=await request.text())


@table.route("*", "/proxy/{tail:.*}")
async def pass_on(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.match_info['tail']}")


@table.get("/me")
@table.get("/self")
async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound(request.app.router["user"].url_for(name="a/b é"))


def make_app(**kwargs: Any) -> web.Application:
    app = web.Application(**kwargs)
    app.add_routes(table)
    return app


async def ask(connect: Any, served: Any, target: str, method: str = "GET", fields: str = "", body: str = "") -> Any:
    client = await connect(served)
    await client.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {len(body)}\r\n\r\n{body}")
    return await client.read_answer(is_head=method == "HEAD")


async def test_table_made_before_any_application_serves_several(serve, peer):
    for app in (make_app(), make_app()):
        served = await serve(app)
        async with peer.get(served.url / "users/ann") as response:
            assert (response.status, await response.text()) == (200, "ann")
        async with peer.post(served.url / "users/ann", data="new") as response:
            assert (response.status, await response.text()) == (201, "new")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"])
async def test_prefix_route_answers_any_method(serve, connect, method):
    served = await serve(make_app())
    assert (await ask(connect, served, "/proxy/a/b%2Fc?q", method)).text == f"{method} a/b/c"


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/users/a%20b", "a b"),
        ("/users/a%2Fb", "a/b"),
        ("/users/a%2fb", "a/b"),
        ("/users/a%252Fb", "a%2Fb"),
        ("/%75sers/%C3%A9", "é"),
        ("/users/a?x=/b", "a"),
        ("http://elsewhere/users/a", "a"),
        ("/users/a+b;c=d", "a+b;c=d"),
    ],
)
async def test_value_is_decoded_once(serve, connect, target, name):
    served = await serve(make_app())
    answer = await ask(connect, served, target)
    assert (answer.status, answer.text) == (200, name)


@pytest.mark.parametrize("target", ["/users/", "/users", "/users/a/b", "/users/a/", "//users/a", "/USERS/a", "/proxy"])
async def test_other_path_is_404(serve, connect, target):
    served = await serve(make_app())
    assert (await ask(connect, served, target)).status == 404


async def test_missing_method_is_405_with_allow(serve, connect):
    served = await serve(make_app())
    answer = await ask(connect, served, "/users/a", "DELETE")
    assert (answer.status, answer.field("allow")) == (405, "GET,HEAD,POST")


async def test_head_is_answered_as_get_without_the_body(serve, connect):
    served = await serve(make_app())
    answer = await ask(connect, served, "/users/ann", "HEAD")
    assert (answer.status, answer.field("content-length"), answer.body) == (200, "3", b"")


async def test_url_of_a_named_resource_leads_to_it(serve, peer):
    served = await serve(make_app())
    for path in ("me", "self"):
        async with peer.get(served.url / path) as response:
            assert (response.url.raw_path, await response.text()) == ("/users/a%2Fb%20%C3%A9", "a/b é")


async def test_middlewares_see_404_and_405(serve, connect):
    seen: list[tuple[int, bool]] = []

    async def watch(request: web.Request, handler: Any) -> Any:
        try:
            return await handler(request)
        except web.HTTPException as error:
            seen.append((error.status, error is request.match_info.http_exception))
            return web.Response(status=error.status, text="found by a middleware")

    served = await serve(make_app(middlewares=[watch]))
    for target, method in (("/missing", "GET"), ("/users/a", "DELETE"), ("/missing", "GET")):
        assert (await ask(connect, served, target, method)).text == "found by a middleware"
    assert seen == [(404, True), (405, True), (404, True)]


async def test_expect_handler_of_a_route_answers_before_its_handler(serve, connect):
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=417, text=request.match_info["size"])

    app = make_app()
    app.router.add_post("/upload/{size}", change_user, expect_handler=refuse)
    served = await serve(app)
    client = await connect(served)
    await client.send("POST /upload/9 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    answer = await client.read_answer()
    assert (answer.status, answer.text) == (417, "9")


async def test_running_application_takes_no_routes(serve, peer):
    app = make_app()
    served = await serve(app)
    with pytest.raises(RuntimeError, match="routes are added before the application starts"):
        app.router.add_get("/late", show_user)
    async with peer.get(served.url / "late") as response:
        assert response.status == 404


async def test_routes_may_be_added_while_the_application_starts(serve, peer):
    async def add(app: web.Application) -> None:
        app.router.add_get("/{name}", show_user)

    app = web.Application()
    app.on_startup.append(add)
    served = await serve(app)
    async with peer.get(served.url / "started") as response:
        assert await response.text() == "started"


async def test_route_of_another_plugin_is_served(serve, peer):
    class Health:
        @hookimpl
        def corelet_routing_routes(self, app: Any) -> list[web.RouteDef]:
            return [web.get("/health/{name}", show_user)]

    served = await serve(make_app(plugins=[plugin, Health()]))
    async with peer.get(served.url / "health/good") as response:
        assert await response.text() == "good"


# Applications in applications are another plugin's; it needs public names only.


class Mounted(PrefixResource):
    """An application below a prefix."""

    def __init__(self, prefix: str, app: web.Application) -> None:
        super().__init__(prefix)
        self.app = app
        self._move(prefix)

    def _move(self, prefix: str) -> None:
        router = self.app.router
        for resource in router.resources():
            router.unindex_resource(resource)
            resource.add_prefix(prefix)
            router.index_resource(resource)

    def add_prefix(self, prefix: str) -> None:
        super().add_prefix(prefix)
        self._move(prefix)

    def url_for(self, **kwargs: str) -> URL:
        raise RuntimeError("an application has no URL")

    def __len__(self) -> int:
        return len(self.app.router.routes())

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self.app.router.routes())

    async def resolve(self, request: Any) -> Any:
        return await self.app.router.resolve(request), set()


class Mounting:
    @hookimpl
    def corelet_mount(self, app: Any, where: str, subapp: Any) -> Mounted:
        mounted = Mounted(where, subapp)
        app.router.register_resource(mounted)
        return mounted


async def test_plugin_can_mount_applications_by_public_names(serve, connect):
    seen: list[tuple[str, web.Application]] = []

    def watch(name: str) -> Any:
        async def middleware(request: web.Request, handler: Any) -> Any:
            seen.append((name, request.app))
            return await handler(request)

        return middleware

    async def show_root(request: web.Request) -> web.Response:
        return web.Response(text="root of the inner one")

    plugins = [plugin, Mounting()]
    outer, middle = (web.Application(middlewares=[watch(name)], plugins=plugins) for name in ("outer", "middle"))
    inner = make_app(middlewares=[watch("inner")], plugins=plugins)
    inner.router.add_get("", show_root)
    middle.add_subapp("/inner", inner)
    outer.add_subapp("/middle", middle)
    outer.router.add_get("/middle/inner/hidden", show_user)
    served = await serve(outer)

    answer = await ask(connect, served, "/middle/inner/users/ann")
    assert (answer.status, answer.text) == (200, "ann")
    assert seen == [("outer", outer), ("middle", middle), ("inner", inner)]
    assert str(inner.router["user"].url_for(name="ann")) == "/middle/inner/users/ann"
    assert (await ask(connect, served, "/middle/inner")).text == "root of the inner one"
    assert (await ask(connect, served, "/middle/inner/hidden")).status == 404
    assert (await ask(connect, served, "/inner/users/ann")).status == 404
    assert (await ask(connect, served, "/middle/inner/users/ann", "PUT")).field("allow") == "GET,HEAD,POST"
    assert len(list(outer.router.routes())) == len(list(inner.router.routes())) + 2
