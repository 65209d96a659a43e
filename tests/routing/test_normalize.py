from __future__ import annotations

from typing import Any

import pytest

from corelet import web


async def show(request: web.Request) -> web.Response:
    return web.Response(text=request.match_path)


def make_app(*paths: str, **settings: Any) -> web.Application:
    app = web.Application(middlewares=[web.normalize_path_middleware(**settings)])
    app.add_routes([web.route("*", path, show) for path in paths])
    return app


async def ask(connect: Any, served: Any, target: str, method: str = "GET") -> tuple[int, str | None]:
    client = await connect(served)
    await client.send(f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    answer = await client.read_answer()
    return answer.status, answer.field("location")


APPEND: dict[str, Any] = {}
REMOVE = {"append_slash": False, "remove_slash": True}
MERGE = {"append_slash": False}
PATHS = ("/", "/with/", "/without", "/a/b", "/c/d/", "/{x}/é/")


@pytest.mark.parametrize(
    ("settings", "target", "answered"),
    [
        (APPEND, "/with", (308, "/with/")),
        (APPEND, "/with?q=%C3%A9+1&r", (308, "/with/?q=%C3%A9+1&r")),
        (APPEND, "/without/", (404, None)),
        (APPEND, "/a//b", (308, "/a/b")),
        (APPEND, "/c///d", (308, "/c/d/")),
        (APPEND, "//a//b", (308, "/a/b")),
        (APPEND, "/1/%c3%a9", (308, "/1/%C3%A9/")),
        (APPEND, "/nowhere", (404, None)),
        (APPEND, "/with/", (200, None)),
        (REMOVE, "/without/", (308, "/without")),
        (REMOVE, "/without//?q", (308, "/without?q")),
        (REMOVE, "/a//b//", (308, "/a/b")),
        (REMOVE, "//", (308, "/")),
        (REMOVE, "/with", (404, None)),
        (MERGE, "/a//b", (308, "/a/b")),
        (MERGE, "/with", (404, None)),
        ({"merge_slashes": False}, "/a//b", (404, None)),
        ({"merge_slashes": False}, "/with", (308, "/with/")),
    ],
)
async def test_missing_path_leads_to_the_nearest_that_is_there(serve, connect, settings, target, answered):
    served = await serve(make_app(*PATHS, **settings))
    assert await ask(connect, served, target) == answered


async def test_server_as_a_whole_is_led_nowhere(serve, connect):
    served = await serve(make_app(*PATHS))
    assert await ask(connect, served, "*", "OPTIONS") == (404, None)


async def test_redirect_is_of_the_class_given(serve, connect):
    served = await serve(make_app("/a/", redirect_class=web.HTTPFound))
    assert await ask(connect, served, "/a") == (302, "/a/")


async def test_redirect_keeps_a_body_to_be_sent_again(serve, peer):
    async def read(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = make_app()
    app.router.add_post("/a/", read)
    served = await serve(app)
    async with peer.post(served.url / "a", data=b"body") as response:
        assert (response.status, await response.read()) == (200, b"body")


async def test_redirect_follows_where_the_body_was_read_before(serve, connect):
    async def read(request: web.Request, handler: Any) -> Any:
        await request.read()
        return await handler(request)

    app = web.Application(middlewares=[read, web.normalize_path_middleware()])
    app.router.add_post("/a/", show)
    served = await serve(app)
    assert await ask(connect, served, "/a", "POST") == (308, "/a/")


async def test_method_that_only_the_other_path_has_leads_there(serve, connect):
    app = make_app()
    app.router.add_get("/a", show)
    app.router.add_post("/a/", show)
    served = await serve(app)
    assert await ask(connect, served, "/a", "POST") == (308, "/a/")
    assert await ask(connect, served, "/a", "PUT") == (405, None)


# Where a catch-all makes every path an answer, only the redirect's own care keeps it on this host.


@pytest.mark.parametrize(
    "settings", [APPEND, REMOVE, MERGE, {"merge_slashes": False}, REMOVE | {"merge_slashes": False}]
)
@pytest.mark.parametrize("end", ["", "/", "//"])
async def test_a042_path_of_two_slashes_never_leads_to_another_host(serve, connect, settings, end):
    served = await serve(make_app("/{tail:.*[^/]}", "/x/{tail:.*}/", "/{y}/{tail:.*}/", "/{tail:.+}//", **settings))
    for start in ("//", "///", "/%2F", "//%5C"):
        _, location = await ask(connect, served, f"{start}evil.example/..%2f{end}")
        assert location is None or (location[0], location[1:2] not in ("/", "\\")) == ("/", True)


@pytest.mark.parametrize("settings", [APPEND, REMOVE])
async def test_a043_backslash_never_leads_to_another_host(serve, connect, settings):
    served = await serve(make_app("/{tail:.*[^/]}" if settings is REMOVE else "/{tail:.*}/", **settings))
    for start in ("/\\", "/\\\\", "/%5C", "/%5c/"):
        status, location = await ask(connect, served, f"{start}evil.example{'/' * (settings is REMOVE)}")
        assert status in (200, 308, 400)
        assert location is None or location.startswith("/%5C")


@pytest.mark.parametrize("target", ["/admin%2f..%2fx", "/%61dmin", "//admin", "/admin%2F", "/%2561dmin"])
async def test_a092_router_and_middleware_see_the_same_path(serve, connect, target):
    seen: list[str] = []

    async def guard(request: web.Request, handler: Any) -> Any:
        seen.append(request.match_path)
        if request.path == "/admin" or request.path.startswith("/admin/"):
            raise web.HTTPForbidden
        return await handler(request)

    async def serve_admin(request: web.Request) -> web.Response:
        raise AssertionError("the guard has let it through")

    app = web.Application(middlewares=[guard, web.normalize_path_middleware()])
    app.router.add_get("/admin", serve_admin)
    app.router.add_get("/admin/{tail:.*}", serve_admin)
    served = await serve(app)
    status, location = await ask(connect, served, target)
    assert (status, location) in [(403, None), (404, None), (308, "/admin")]
    assert len(seen) == 1


def test_settings_that_contradict_each_other_are_refused():
    with pytest.raises(ValueError, match="contradict each other"):
        web.normalize_path_middleware(append_slash=True, remove_slash=True)
