"""Applications below a prefix, over real sockets."""

from __future__ import annotations

import itertools
import sys
from typing import Any, NamedTuple

import pytest

from corelet import web
from corelet.abc import AbstractRouter
from tests.conftest import Connect, Serve
from tests.subapps.nested import ask, make_app, say

ANSWERED = {
    "/api": "empty",
    "/api/": "slash",
    "/api/x": "x",
    "/api/users/ann": "user",
    "/%61pi/x": "x",
    "/api/%78": "x",
    "/api/x?api=/api": "x",
    "/other": "outer",
}


@pytest.mark.parametrize("target", ANSWERED)
async def test_paths_below_the_prefix_are_the_inner_applications(serve: Serve, connect: Connect, target: str) -> None:
    outer = make_app({"/other": "outer"})
    outer.add_subapp("/api", make_app({"": "empty", "/": "slash", "/x": "x", "/users/{name}": "user"}))
    answer = await ask(connect, await serve(outer), target)
    assert (answer.status, answer.text) == (200, ANSWERED[target])


@pytest.mark.parametrize("target", ["/apix", "/ap", "/x", "/", "/API/x", "/api%2Fx", "//api/x", "/api/none", "/api//x"])
async def test_nothing_else_is(serve: Serve, connect: Connect, target: str) -> None:
    outer = make_app()
    outer.add_subapp("/api", make_app({"/x": "x"}))
    assert (await ask(connect, await serve(outer), target)).status == 404


@pytest.mark.parametrize("prefix", ["/api/", "/api//"])
def test_slashes_at_the_end_of_a_prefix_do_not_count(prefix: str) -> None:
    assert make_app().add_subapp(prefix, make_app()).canonical == "/api"


@pytest.mark.parametrize(
    ("prefix", "target", "url"),
    [
        ("/é", "/%C3%A9/x", "/%C3%A9/x"),
        ("/%C3%A9", "/%c3%a9/x", "/%C3%A9/x"),
        ("/a b", "/a%20b/x", "/a%20b/x"),
        ("/a%2Fb", "/a%2fb/x", "/a%2Fb/x"),
        ("/%7Btenant%7D", "/%7Btenant%7D/x", "/%7Btenant%7D/x"),
        ("/a?b#c", "/a%3Fb%23c/x", "/a%3Fb%23c/x"),
        ("/one/two", "/one/two/x", "/one/two/x"),
    ],
)
async def test_a_prefix_may_be_encoded(serve: Serve, connect: Connect, prefix: str, target: str, url: str) -> None:
    inner = web.Application()
    inner.router.add_get("/x", say("x"), name="x")
    inner.router.add_get("/x/{id}", say("id"))
    outer = make_app()
    outer.add_subapp(prefix, inner)
    served = await serve(outer)
    assert (await ask(connect, served, target)).text == "x"
    assert (await ask(connect, served, target + "/1")).text == "id"
    assert str(inner.router["x"].url_for()) == url


@pytest.mark.parametrize(
    ("prefix", "words"),
    [
        ("", "'' is no prefix: it starts with a slash"),
        ("api", "'api' is no prefix: it starts with a slash, like '/api'; a domain goes to add_domain"),
        ("/", "'/' is no prefix for an application: expected one slash and more, like '/api'; .* the domain '\\*'"),
        ("//", "'//' is no prefix for an application"),
        ("//api", "'//api' is no prefix for an application: expected one slash"),
        ("/{tenant}", "'/{tenant}' is no prefix: it can't have variables"),
        ("/api/{tenant}", "can't have variables"),
    ],
)
def test_what_is_no_prefix_is_refused_before_anything_is_changed(prefix: str, words: str) -> None:
    outer, inner = make_app(), make_app({"/x": "x"})
    with pytest.raises(ValueError, match=words):
        outer.add_subapp(prefix, inner)
    assert outer.subapps == ()
    assert [each.canonical for each in inner.router.resources()] == ["/x"]
    outer.add_subapp("/ok", inner)


def test_a_prefix_is_text() -> None:
    with pytest.raises(TypeError, match=r"add_subapp takes a prefix like '/api', got b'/api'"):
        make_app().add_subapp(b"/api", make_app())  # type: ignore[arg-type]  # the mistake


# Several.


async def test_the_longer_prefix_may_be_mounted_first(serve: Serve, connect: Connect) -> None:
    outer = make_app()
    outer.add_subapp("/api/v2", make_app({"/x": "two"}))
    outer.add_subapp("/api", make_app({"/x": "one", "/v2/y": "hidden"}))
    outer.add_subapp("/apiary", make_app({"/x": "bees"}))
    served = await serve(outer)
    texts = [(await ask(connect, served, path)).text for path in ("/api/v2/x", "/api/x", "/apiary/x", "/api/v2/y")]
    assert texts == ["two", "one", "bees", "404: Not Found"]


@pytest.mark.parametrize("later", ["/api/v2", "/api", "/%61pi/", "/api/v2/v3"])
def test_an_application_that_would_never_be_asked_is_refused(later: str) -> None:
    outer, inner = make_app(), make_app({"/x": "x"})
    outer.add_subapp("/api", make_app())
    with pytest.raises(
        ValueError, match=r"would never be asked: <PrefixedSubAppResource /api .* the longer prefix first"
    ):
        outer.add_subapp(later, inner)
    assert outer.subapps != (inner,)
    assert [each.canonical for each in inner.router.resources()] == ["/x"]


async def test_one_prefix_may_stand_in_several_applications(serve: Serve, connect: Connect) -> None:
    outer, middle = make_app(), make_app({"/x": "middle"})
    outer.add_subapp("/a", middle)
    middle.add_subapp("/a", make_app({"/x": "inner"}))
    served = await serve(outer)
    assert (await ask(connect, served, "/a/x")).text == "middle"
    assert (await ask(connect, served, "/a/a/x")).text == "inner"


async def test_a_route_of_the_outer_application_answers_where_it_was_registered_before(
    serve: Serve, connect: Connect
) -> None:
    outer = make_app({"/api/health": "outer", "/api/v/{id}": "outer's variable"})
    outer.add_subapp("/api", make_app({"/health": "inner", "/late": "inner", "/v/1": "inner"}))
    outer.router.add_get("/api/late", say("outer"))
    outer.router.add_post("/api/late", say("outer"))
    served = await serve(outer)
    assert (await ask(connect, served, "/api/health")).text == "outer"
    assert (await ask(connect, served, "/api/v/1")).text == "outer's variable"
    assert (await ask(connect, served, "/api/late")).text == "inner"
    assert (await ask(connect, served, "/api/late", "POST")).status == 405


async def test_a_variable_of_the_outer_application_may_stand_beside_a_prefix(serve: Serve, connect: Connect) -> None:
    outer = make_app()
    outer.add_subapp("/api", make_app({"/x": "inner", "/{id}": "inner's variable"}))
    outer.router.add_get("/{any}/x", say("outer"))
    served = await serve(outer)
    texts = [(await ask(connect, served, path)).text for path in ("/api/x", "/api/y", "/b/x", "/b/y")]
    assert texts == ["inner", "inner's variable", "outer", "404: Not Found"]


# Any depth.


def make_tower(depth: int, **kwargs: Any) -> tuple[web.Application, list[web.Application]]:
    """Make applications in each other, each in ``/d`` of the one around it, the outermost first."""
    apps = [make_app(**kwargs) for _ in range(depth)]
    for number, app in enumerate(apps):
        app.router.add_get("/x/{id}", say(str(number)), name="x")
    for outer, inner in itertools.pairwise(apps):
        outer.add_subapp("/d", inner)
    return apps[0], apps


@pytest.mark.parametrize("upwards", [False, True])
async def test_applications_are_nested_as_deep_as_one_likes(serve: Serve, connect: Connect, upwards: bool) -> None:
    apps = [make_app(name=number) for number in range(12)]
    for number, app in enumerate(apps):
        app.router.add_get("/x/{id}", say(str(number)), name="x")
        app.router.add_get("/plain", say(str(number)))
    pairs = list(itertools.pairwise(apps))
    for outer, inner in reversed(pairs) if upwards else pairs:
        outer.add_subapp("/d", inner)
    served = await serve(apps[0])
    for number in (0, 1, 11):
        below = "/d" * number
        assert (await ask(connect, served, f"{below}/x/1")).text == str(number)
        assert (await ask(connect, served, f"{below}/plain")).text == str(number)
        assert (await ask(connect, served, f"{below}/none")).status == 404
        assert str(apps[number].router["x"].url_for(id="a b")) == f"{below}/x/a%20b"


# Names and lists.


async def test_names_belong_to_the_application_that_gave_them() -> None:
    inner = web.Application()
    user = inner.router.add_get("/users/{id}", say("x"), name="user").resource
    outer = make_app()
    mounted = outer.add_subapp("/api", inner)
    assert inner.router["user"] is user
    assert "user" not in outer.router
    assert str(inner.router["user"].url_for(id="7").with_query(a="b")) == "/api/users/7?a=b"
    with pytest.raises(RuntimeError, match=r"PrefixedSubAppResource /api .* has no URL: name a resource of the"):
        mounted.url_for()


async def test_routes_that_come_after_mounting_are_below_the_prefix_too(serve: Serve, connect: Connect) -> None:
    outer, inner, innermost = make_app(), make_app(), make_app()
    outer.add_subapp("/api", inner)
    inner.router.add_get("/late/{id}", say("late"), name="late")
    inner.add_subapp("/in", innermost)

    async def add_more(app: web.Application) -> None:
        app.router.add_get("/started", say("started"), name="started")
        app.router.add_post("/started", say("posted"), name="started")

    innermost.on_startup.append(add_more)
    served = await serve(outer)
    assert str(inner.router["late"].url_for(id="1")) == "/api/late/1"
    assert str(innermost.router["started"].url_for()) == "/api/in/started"
    assert (await ask(connect, served, "/api/late/1")).text == "late"
    assert (await ask(connect, served, "/api/in/started")).text == "started"
    assert (await ask(connect, served, "/api/in/started", "POST")).text == "posted"
    assert [each.canonical for each in innermost.router.resources()] == ["/api/in/started"]


def test_an_application_mounts_others_in_on_startup_at_the_latest() -> None:
    outer = make_app()
    outer.freeze()
    with pytest.raises(RuntimeError, match=r"app.add_subapp on an application that has started: do it before"):
        outer.add_subapp("/late", make_app())


async def test_an_application_may_be_mounted_in_on_startup(serve: Serve, connect: Connect) -> None:
    started: list[str] = []

    async def note(app: web.Application) -> None:
        started.append("inner")

    async def mount(app: web.Application) -> None:
        inner = make_app({"/x": "x"})
        inner.on_startup.append(note)
        app.add_subapp("/api", inner)

    outer = make_app()
    outer.on_startup.append(mount)
    served = await serve(outer)
    assert started == ["inner"]
    assert (await ask(connect, served, "/api/x")).text == "x"


def test_the_outer_router_lists_the_routes_within() -> None:
    outer, inner = make_app({"/x": "x"}), make_app({"/y": "y", "/z": "z"})
    mounted = outer.add_subapp("/api", inner)
    assert [each.canonical for each in outer.router.resources()] == ["/x", "/api"]
    assert mounted in outer.router.resources()
    assert len(outer.router.routes()) == 6
    assert list(mounted) == list(inner.router.routes())
    assert len(mounted) == 4
    assert mounted.get_info() == {"app": inner, "prefix": "/api"}
    assert mounted.name is None
    assert not mounted.raw_match("/api")
    assert repr(mounted) == f"<PrefixedSubAppResource /api -> {inner!r}>"
    assert isinstance(mounted, web.PrefixedSubAppResource)
    assert isinstance(mounted, web.PrefixResource)
    assert mounted.app is inner


def test_a_resource_is_made_without_a_router_as_well() -> None:
    inner = make_app({"/x": "x"})
    mounted = web.PrefixedSubAppResource("/api", inner)
    mounted.add_prefix("/v1")
    assert mounted.canonical == "/v1/api"
    assert [each.canonical for each in inner.router.resources()] == ["/v1/api/x"]
    assert mounted.covers("/v1/api/x")


# Other routers.


class TinyRouter(AbstractRouter):
    """A router of somebody else's making, with one path; it may have to wait."""

    def __init__(self, *, waits: bool) -> None:
        super().__init__()
        self.waits = waits
        self.path = "/tiny"

    def post_init(self, app: Any) -> None:
        self.apps = (app,)
        self.route = web.ResourceRoute("*", say("tiny"), web.PlainResource("/tiny"))
        self.no_route = web.SystemRoute(410, "Gone")

    def routes(self) -> Any:
        return [self.route]

    def add_prefix(self, prefix: str) -> None:
        self.path = prefix + self.path

    def match(self, request: Any) -> Any:
        if request.match_path == self.path:
            return web.UrlMappingMatchInfo({}, self.route, self.apps)
        return Nothing({}, self.no_route, self.apps)

    def find(self, request: Any) -> Any:
        return None if self.waits else self.match(request)

    async def resolve(self, request: Any) -> Any:
        return self.match(request)


class Nothing(web.UrlMappingMatchInfo):
    """No match of that router: a 410."""

    __slots__ = ()

    @property
    def http_exception(self) -> Any:
        return web.HTTPGone()


@pytest.mark.parametrize("waits", [False, True])
async def test_the_inner_router_may_be_another_one(serve: Serve, connect: Connect, waits: bool) -> None:
    outer, middle = make_app({"/out": "out"}), make_app({"/y": "y"})
    outer.add_subapp("/a", middle)
    middle.add_subapp("/b", web.Application(router=TinyRouter(waits=waits)))
    served = await serve(outer)
    for path, status, text in [
        ("/a/b/tiny", 200, "tiny"),
        ("/a/b/none", 410, "410: Gone"),
        ("/a/y", 200, "y"),
        ("/out", 200, "out"),
    ]:
        answer = await ask(connect, served, path)
        assert (answer.status, answer.text) == (status, text)
    assert len(outer.router.routes()) == 5


def test_a_router_that_can_not_move_says_so() -> None:
    class Fixed(AbstractRouter):
        async def resolve(self, request: Any) -> Any:
            raise AssertionError

        def __repr__(self) -> str:
            return "<Fixed>"

    outer = make_app()
    with pytest.raises(TypeError, match=r"^<Fixed> can't be moved below '/api': Fixed has no add_prefix\(\)"):
        outer.add_subapp("/api", web.Application(router=Fixed()))
    assert len(outer.router.resources()) == 0


def test_the_outer_router_takes_resources() -> None:
    outer = web.Application(router=TinyRouter(waits=False))
    for mount in (lambda: outer.add_subapp("/a", make_app()), lambda: outer.add_domain("a", make_app())):
        with pytest.raises(TypeError, match=r"TinyRouter .* takes no resources: .* CORELET_BLOCK=subapps"):
            mount()


@pytest.mark.parametrize("method", ["GET", "POST", "BREW"])
async def test_an_application_without_router_has_all_below(serve: Serve, connect: Connect, method: str) -> None:
    async def show(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.method} {request.path} {request.app['name']}")

    inner = web.Application(handler=show)
    inner["name"] = "inner"
    outer = make_app()
    mounted = outer.add_subapp("/api", inner)
    served = await serve(outer)
    assert [route.handler for route in mounted] == [show]
    info, methods = await mounted.resolve(Asked("GET", "/api/any"))
    assert (info.handler, info.apps, methods) == (show, (inner,), set())
    for path in ("/api", "/api/any/thing"):
        assert (await ask(connect, served, path, method)).text == f"{method} {path} inner"


# Lookup.


class Asked(NamedTuple):
    method: str
    match_path: str


def count_calls(app: web.Application, path: str) -> int:
    """Count the calls of Python functions that a lookup makes."""
    calls: list[Any] = []
    request = Asked("GET", path)
    sys.setprofile(lambda frame, event, argument: calls.append(event))
    try:
        app.router.find(request)
    finally:
        sys.setprofile(None)
    return len(calls)


def make_many(count: int) -> web.Application:
    outer = make_app(plugins=["routing", "subapps"])
    for number in range(count):
        outer.add_subapp(f"/p{number}", make_app({"/x": "x", "/u/{id}": "u"}, plugins=["routing", "subapps"]))
    outer.freeze()
    return outer


def test_a_lookup_does_not_depend_on_the_number_of_applications() -> None:
    one, many = make_many(1), make_many(150)
    for path in ("/none", "/p{}", "/p{}/x", "/p{}/u/1", "/p{}/none"):
        least = count_calls(one, path.format(0))
        assert count_calls(many, path.format(0)) == count_calls(many, path.format(149)) == least, path


def test_a_plain_path_costs_no_walk() -> None:
    outer, apps = make_tower(6)
    apps[-1].router.add_get("/plain", say("x"))
    outer.freeze()
    deep = count_calls(outer, "/d/d/d/d/d/plain")
    flat = make_app({"/plain": "x"})
    flat.freeze()
    assert deep == count_calls(flat, "/plain")
