"""What an application sees from inside another one: its state, its requests, its errors, its life."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

from corelet import web
from tests.conftest import Connect, Serve
from tests.subapps.nested import ask, make_app, say

POOL = web.AppKey("pool", object)


def list_state(state: Mapping[Any, Any]) -> list[str]:
    """List the keys that a test has set, beside "name"; those of plugins that happen to be installed are no str."""
    return sorted(key for key in state if isinstance(key, str) and key != "name")


def make_watch(name: str, seen: list[Any]) -> Any:
    """Make a middleware that notes which application it sees, and whose state, before and after."""

    async def watch(request: web.Request, handler: Any) -> Any:
        seen.append((name, request.app["name"], list_state(request.config_dict)))
        try:
            return await handler(request)
        finally:
            seen.append((name, request.app["name"], list_state(request.config_dict)))

    return watch


def nest(*apps: web.Application) -> web.Application:
    """Mount each application in the one before it, at /1, /1/2 and so on."""
    for number, (outer, inner) in enumerate(itertools.pairwise(apps), 1):
        outer.add_subapp(f"/{number}", inner)
    return apps[0]


# State.


async def test_an_application_sees_its_own_state_only(serve: Serve, connect: Connect) -> None:
    async def show(request: web.Request) -> web.Response:
        chain = request.config_dict
        facts = [
            request.app is inner,
            ["name", *list_state(request.app)],
            chain["name"],
            chain["of outer"],
            chain["of inner"],
        ]
        return web.json_response(facts)

    inner, outer = make_app(name="inner"), make_app({"/x": "x"}, name="outer")
    inner.router.add_get("/show", show)
    inner["of inner"] = 1
    outer["of outer"] = 2
    served = await serve(nest(outer, inner))
    assert (await ask(connect, served, "/1/show")).text == '[true, ["name", "of inner"], "inner", 2, 1]'
    assert "of inner" not in outer
    with pytest.raises(KeyError):
        inner["of outer"]


async def test_the_nearest_state_wins(serve: Serve, connect: Connect) -> None:
    async def show(request: web.Request) -> web.Response:
        return web.Response(text=" ".join(request.config_dict[key] for key in ("a", "b", "c")))

    apps = [make_app() for _ in range(3)]
    for number, keys in enumerate(("abc", "bc", "c")):
        for key in keys:
            apps[number][key] = f"{key}{number}"
    apps[2].router.add_get("/show", show)
    assert (await ask(connect, await serve(nest(*apps)), "/1/2/show")).text == "a0 b1 c2"


async def test_a_resource_is_shared_by_handing_it_over(serve: Serve, connect: Connect) -> None:
    async def show(request: web.Request) -> web.Response:
        return web.json_response([request.app[POOL] is pool, request.config_dict[POOL] is pool])

    pool = object()
    outer, sharing, asking = make_app(), make_app(), make_app()
    outer[POOL] = sharing[POOL] = pool
    for app in (sharing, asking):
        app.router.add_get("/show", show)
    asking[POOL] = outer[POOL]
    outer.add_subapp("/sharing", sharing)
    outer.add_subapp("/asking", asking)
    served = await serve(outer)
    for path in ("/sharing/show", "/asking/show"):
        assert (await ask(connect, served, path)).text == "[true, true]"


async def test_a_resource_that_an_outer_start_makes_is_there_for_the_inner_one(serve: Serve, connect: Connect) -> None:
    async def open_pool(app: web.Application) -> AsyncIterator[None]:
        app[POOL] = inner[POOL] = object()
        yield

    async def use_pool(app: web.Application) -> None:
        assert app[POOL] is outer[POOL]

    outer, inner = make_app(), make_app({"/x": "x"})
    outer.cleanup_ctx.append(open_pool)
    inner.on_startup.append(use_pool)
    assert (await ask(connect, await serve(nest(outer, inner)), "/1/x")).text == "x"


# Middlewares.

INSIDE = ["inner's", "middle's", "outer's"]


@pytest.mark.parametrize(("path", "status"), [("/1/2/x", 200), ("/1/2/none", 404), ("/1/2/x/1", 200)])
async def test_middlewares_run_from_the_outside_in_and_see_their_own_application(
    serve: Serve, connect: Connect, path: str, status: int
) -> None:
    seen: list[Any] = []
    apps = [make_app(name=name, middlewares=[make_watch(name, seen)]) for name in ("outer", "middle", "inner")]
    for app in apps:
        app[f"{app['name']}'s"] = True
    apps[2].router.add_get("/x", say("x"))
    apps[2].router.add_get("/x/{id}", say("x"))
    served = await serve(nest(*apps))
    for _ in range(2):
        assert (await ask(connect, served, path)).status == status
        way = [("outer", "outer", INSIDE[2:]), ("middle", "middle", INSIDE[1:]), ("inner", "inner", INSIDE)]
        assert seen == [*way, *reversed(way)]
        seen.clear()


@pytest.mark.parametrize("having", [(0,), (1,), (2,), (0, 2), (1, 2), (0, 1), ()])
async def test_applications_without_middlewares_may_stand_between(
    serve: Serve, connect: Connect, having: tuple[int, ...]
) -> None:
    seen: list[Any] = []

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=request.app["name"])

    apps = [make_app(name=str(number)) for number in range(3)]
    for number in having:
        apps[number].middlewares.append(make_watch(str(number), seen))
    for app in apps:
        app.router.add_get("/x", show)
    served = await serve(nest(*apps))
    assert (await ask(connect, served, "/1/2/x")).text == "2"
    assert [(name, app) for name, app, _ in seen] == [(str(n), str(n)) for n in (*having, *reversed(having))]
    assert (await ask(connect, served, "/1/x")).text == "1"
    assert (await ask(connect, served, "/x")).text == "0"


async def test_request_app_comes_back_where_a_handler_fails(serve: Serve, connect: Connect) -> None:
    async def fail(request: web.Request) -> web.Response:
        raise LookupError(request.app["name"])

    async def catch(request: web.Request, handler: Any) -> Any:
        try:
            return await handler(request)
        except LookupError as error:
            return web.Response(text=f"{error} failed in {request.app['name']}")

    outer, inner = make_app(name="outer", middlewares=[catch]), make_app(name="inner")
    inner.router.add_get("/x", fail)
    assert (await ask(connect, await serve(nest(outer, inner)), "/1/x")).text == "inner failed in outer"


async def test_a_middleware_of_the_outer_application_may_answer_alone(serve: Serve, connect: Connect) -> None:
    seen: list[Any] = []

    async def refuse(request: web.Request, handler: Any) -> Any:
        return web.Response(status=403, text=request.app["name"])

    outer = make_app(name="outer", middlewares=[refuse])
    inner = make_app({"/x": "x"}, name="inner", middlewares=[make_watch("inner", seen)])
    answer = await ask(connect, await serve(nest(outer, inner)), "/1/x")
    assert (answer.status, answer.text, seen) == (403, "outer", [])


async def test_404_and_405_inside_are_handled_by_the_inner_middlewares(serve: Serve, connect: Connect) -> None:
    async def explain(request: web.Request, handler: Any) -> Any:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return web.json_response({"app": request.app["name"], "status": error.status}, status=error.status)

    inner = make_app({"/x": "x"}, name="inner", middlewares=[explain])
    served = await serve(nest(make_app({"/y": "y"}), inner))
    assert (await ask(connect, served, "/1/none")).text == '{"app": "inner", "status": 404}'
    assert (await ask(connect, served, "/1/x", "PUT")).text == '{"app": "inner", "status": 405}'
    assert (await ask(connect, served, "/none")).text == "404: Not Found"
    assert (await ask(connect, served, "/1/none")).status == 404


async def test_405_inside_lists_the_methods_of_the_inner_application(serve: Serve, connect: Connect) -> None:
    outer, inner = make_app(), make_app({"/x": "x", "/v/{id}": "x"})
    outer.router.add_put("/1/x", say("outer"))
    served = await serve(nest(outer, inner))
    for path in ("/1/x", "/1/v/1"):
        answer = await ask(connect, served, path, "DELETE")
        assert (answer.status, answer.field("allow")) == (405, "GET,HEAD")
    assert (await ask(connect, served, "/1/x", "PUT")).text == "outer"


# Requests of all kinds.


class Note(web.View):
    async def get(self) -> web.Response:
        return web.Response(text=f"{self.request.app['name']} {self.request.match_info['id']}")


async def test_views_head_options_and_bodies_work_inside(serve: Serve, connect: Connect) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=await request.text())

    async def options(request: web.Request) -> web.Response:
        return web.Response(headers={"Allow": "GET"})

    inner = make_app({"/x": "text"}, name="inner")
    inner.router.add_view("/notes/{id}", Note)
    inner.router.add_post("/echo", echo)
    inner.router.add_options("/x", options)
    served = await serve(nest(make_app(), inner))
    assert (await ask(connect, served, "/1/notes/7")).text == "inner 7"
    assert (await ask(connect, served, "/1/notes/7", "POST")).status == 405
    assert (await ask(connect, served, "/1/echo", "POST", body="body")).text == "body"
    assert (await ask(connect, served, "/1/x", "HEAD")).field("content-length") == "4"
    assert (await ask(connect, served, "/1/x", "OPTIONS")).field("allow") == "GET"


async def test_an_expect_handler_inside_is_asked(serve: Serve, connect: Connect) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=417, text=request.app["name"])

    async def echo(request: web.Request) -> web.Response:
        return web.Response(text=await request.text())

    inner = make_app(name="inner")
    inner.router.add_post("/no", say("no"), expect_handler=refuse)
    inner.router.add_post("/yes", echo)
    served = await serve(nest(make_app(), inner))
    head = "Host: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    client = await connect(served)
    await client.send(f"POST /1/no HTTP/1.1\r\n{head}")
    answer = await client.read_answer()
    assert (answer.status, answer.text) == (417, "inner")
    client = await connect(served)
    await client.send(f"POST /1/yes HTTP/1.1\r\n{head}")
    assert (await client.read_answer()).status == 100
    await client.send("hi")
    assert (await client.read_answer()).text == "hi"


async def test_a_request_knows_the_applications_on_its_way(serve: Serve, connect: Connect) -> None:
    seen: list[Any] = []

    async def show(request: web.Request) -> web.Response:
        match = request.match_info
        seen.append((match.apps, match.current_app, match.route, match.get_info(), dict(match)))
        return web.Response()

    apps = [make_app() for _ in range(3)]
    route = apps[2].router.add_get("/x/{id}", show)
    served = await serve(nest(*apps))
    await ask(connect, served, "/1/2/x/7")
    ((found, current, found_route, info, values),) = seen
    assert (found, current, found_route, values) == (tuple(apps), apps[2], route, {"id": "7"})
    assert info["formatter"] == "/1/2/x/{id}"


@pytest.mark.parametrize("place", [0, 1])
async def test_paths_inside_are_normalised_from_inside_and_outside(
    serve: Serve, peer: aiohttp.ClientSession, place: int
) -> None:
    apps = [make_app(), make_app({"/x/": "x"})]
    apps[place].middlewares.append(web.normalize_path_middleware())
    served = await serve(nest(*apps))
    async with peer.get(served.url / "1" / "x", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (308, "/1/x/")
    async with peer.get(served.url / "1" / "x") as answer:
        assert await answer.text() == "x"


# Mistakes.


@pytest.mark.parametrize("mount", ["add_subapp", "add_domain"])
class TestMistakes:
    def mount(self, mount: str, outer: web.Application, inner: Any, where: str = "b") -> Any:
        return getattr(outer, mount)(f"/{where}" if mount == "add_subapp" else where, inner)

    def test_an_application_is_mounted_once(self, mount: str) -> None:
        outer, inner = make_app(), make_app()
        self.mount(mount, outer, inner, "a")
        for other in (outer, make_app()):
            with pytest.raises(ValueError, match=f"is mounted already: it has one place; .* for app.{mount}"):
                self.mount(mount, other, inner)
        assert inner.is_mounted
        assert not outer.is_mounted

    def test_an_application_is_not_mounted_in_itself(self, mount: str) -> None:
        outer, middle, inner = (make_app() for _ in range(3))
        self.mount(mount, outer, middle)
        self.mount(mount, middle, inner)
        for holder in (outer, middle, inner):
            with pytest.raises(ValueError, match=f"app.{mount} would mount .* inside itself"):
                self.mount(mount, holder, outer, "c")

    def test_something_else_is_not_mounted(self, mount: str) -> None:
        for thing in (None, say("x"), web.Application, web.RouteTableDef()):
            with pytest.raises(TypeError, match=f"^app.{mount} takes an Application, got "):
                self.mount(mount, make_app(), thing)

    async def test_an_application_that_has_started_is_not_mounted(self, mount: str) -> None:
        frozen, started = make_app(), make_app()
        frozen.freeze()
        await started.startup()
        for app in (frozen, started):
            with pytest.raises(RuntimeError, match=f"comes too late for app.{mount}: an application is mounted before"):
                self.mount(mount, make_app(), app)
        await started.cleanup()

    async def test_nothing_is_mounted_in_an_application_that_has_started(self, mount: str) -> None:
        outer = make_app()
        await outer.startup()
        with pytest.raises(RuntimeError, match=f"app.{mount} on an application that has started: do it before, or in"):
            self.mount(mount, outer, make_app())
        await outer.cleanup()

    def test_an_application_without_router_holds_no_other(self, mount: str) -> None:
        with pytest.raises(RuntimeError, match="an application made with a handler has no router"):
            self.mount(mount, web.Application(handler=say("x")), make_app())


# Life.


def make_living(name: str, lines: list[str], fails: str = "") -> web.Application:
    """Make an application that notes each step of its life."""

    def note(step: str) -> Any:
        async def receive(app: web.Application) -> None:
            lines.append(f"{step} {app['name']}")
            if fails == step:
                raise LookupError(f"{step} {name}")

        return receive

    async def context(app: web.Application) -> AsyncIterator[None]:
        lines.append(f"enter {app['name']}")
        yield
        lines.append(f"leave {app['name']}")

    app = make_app({"/x": "x"}, name=name)
    app.cleanup_ctx.append(context)
    for step in ("startup", "shutdown", "cleanup"):
        getattr(app, f"on_{step}").append(note(step))
    return app


async def test_an_application_lives_with_the_one_around_it() -> None:
    lines: list[str] = []
    apps = [make_living(name, lines) for name in ("outer", "middle", "inner")]
    outer = nest(*apps)
    outer.add_domain("d.example", make_living("last", lines))
    await outer.startup()
    names = ["outer", "middle", "inner", "last"]
    assert lines == [f"{step} {name}" for name in names for step in ("enter", "startup")]
    lines.clear()
    await outer.shutdown()
    assert lines == [f"shutdown {name}" for name in names]
    lines.clear()
    await outer.cleanup()
    assert lines == [f"{step} {name}" for name in reversed(names) for step in ("leave", "cleanup")]


async def test_where_an_inner_application_fails_to_start_the_others_are_left() -> None:
    lines: list[str] = []
    outer = nest(make_living("outer", lines), make_living("inner", lines))
    outer.add_subapp("/failing", make_living("failing", lines, "startup"))
    with pytest.raises(LookupError, match="startup failing"):
        await outer.startup()
    assert lines[-4:] == ["leave failing", "leave inner", "cleanup inner", "leave outer"]


async def test_where_an_inner_application_fails_to_clean_up_the_others_do() -> None:
    lines: list[str] = []
    outer = nest(make_living("outer", lines), make_living("inner", lines, "cleanup"))
    outer.add_subapp("/other", make_living("other", lines, "cleanup"))
    await outer.startup()
    lines.clear()
    with pytest.raises(web.CleanupError, match="2 steps of the clean-up failed"):
        await outer.cleanup()
    assert lines[-2:] == ["leave outer", "cleanup outer"]


# Responses.


async def test_responses_are_prepared_from_the_outside_in_by_those_on_the_way(serve: Serve, connect: Connect) -> None:
    seen: list[Any] = []

    def prepare(name: str) -> Any:
        async def receive(request: web.Request, response: Any) -> None:
            seen.append((name, request.app["name"]))
            response.headers[f"X-{name}"] = "prepared"

        return receive

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(request.app["name"].encode())
        return response

    names = ("outer", "middle", "inner")
    apps = [make_app({"/x": "x"}, name=name) for name in names]
    beside = make_app(name="beside")
    for app in (*apps, beside):
        app.on_response_prepare.append(prepare(app["name"]))
    apps[2].router.add_get("/stream", stream)
    outer = nest(*apps)
    outer.add_subapp("/beside", beside)
    served = await serve(outer)
    for path, deepest in (("/1/2/x", 3), ("/1/2/none", 3), ("/1/2/stream", 3), ("/1/x", 2), ("/x", 1), ("/none", 1)):
        answer = await ask(connect, served, path)
        assert seen == [(name, name) for name in names[:deepest]], path
        assert [name for name in names if answer.field(f"X-{name}")] == list(names[:deepest])
        seen.clear()
    assert (await ask(connect, served, "/1/2/stream")).text == "inner"
