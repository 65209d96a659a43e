"""The plugin itself, and whose plugins have a part in a request to an application inside another one."""

from __future__ import annotations

from typing import Any

import pytest

import corelet
from corelet import hookimpl, web
from corelet.abc import Instrument
from corelet_subapps import plugin
from tests.conftest import Connect, Serve
from tests.subapps.nested import ask, make_app, say

Log = list[tuple[Any, ...]]


class Noting:
    """A plugin with most hooks, which notes what it is asked and what its parts do, under a name."""

    def __init__(self, name: str, log: Log) -> None:
        self.name = name
        self.asked: Log = []
        self.log = log

    @hookimpl
    def corelet_wrap_handler(self, app: Any, route: Any) -> Any:
        path = None if route is None else f"{route.method} {route.resource.canonical}"
        self.asked.append(("wrap", app["name"], path))

        def wrap(handler: Any) -> Any:
            async def wrapped(request: Any) -> Any:
                self.log.append(("wrapped", self.name, request.app["name"]))
                return await handler(request)

            return wrapped

        return wrap

    @hookimpl
    def corelet_prepare_response(self, app: Any) -> Any:
        self.asked.append(("prepare", app["name"]))

        async def prepare(request: Any, response: Any) -> None:
            self.log.append(("prepared", self.name, request.app["name"]))

        return prepare

    @hookimpl
    def corelet_instrument(self, app: Any) -> Any:
        self.asked.append(("instrument", app["name"]))
        return Watch(self)


class Watch(Instrument):
    def __init__(self, noting: Noting) -> None:
        self.noting = noting

    def request_finished(self, request: Any, response: Any) -> None:
        self.noting.log.append(("finished", self.noting.name, request.app["name"]))


def nest(log: Log, *, shared: bool = False) -> tuple[web.Application, list[Noting]]:
    """Make an application in another one, each with a plugin of its own, or both with one."""
    outer_plugin = Noting("outer's", log)
    inner_plugin = outer_plugin if shared else Noting("inner's", log)

    async def note(request: web.Request, handler: Any) -> Any:
        log.append(("middleware", request.app["name"]))
        return await handler(request)

    outer = make_app(name="outer", plugins=["routing", "subapps", outer_plugin], middlewares=[note])
    inner = make_app(name="inner", plugins=["routing", "subapps", inner_plugin], middlewares=[note])
    inner.router.add_post("/in", say("in"))
    outer.add_subapp("/sub", inner)
    outer.router.add_post("/out", say("out"))
    return outer, [outer_plugin, inner_plugin]


async def test_plugins_of_each_application_on_the_way_have_their_part(serve: Serve, connect: Connect) -> None:
    log: Log = []
    outer, _ = nest(log)
    served = await serve(outer)
    for path, status in (("/sub/in", 200), ("/sub/none", 404)):
        assert (await ask(connect, served, path, "POST")).status == status
        assert log == [
            ("wrapped", "outer's", "outer"),
            ("middleware", "outer"),
            ("wrapped", "inner's", "inner"),
            ("middleware", "inner"),
            ("prepared", "outer's", "outer"),
            ("prepared", "inner's", "inner"),
            ("finished", "outer's", "inner"),
        ]
        log.clear()
    assert (await ask(connect, served, "/out", "POST")).status == 200
    assert log == [
        ("wrapped", "outer's", "outer"),
        ("middleware", "outer"),
        ("prepared", "outer's", "outer"),
        ("finished", "outer's", "outer"),
    ]


async def test_each_plugin_is_asked_once_for_each_route_and_application(serve: Serve, connect: Connect) -> None:
    outer, plugins = nest([])
    served = await serve(outer)
    for path in ("/sub/in", "/sub/none", "/out", "/none") * 2:
        await ask(connect, served, path, "POST")
    routes = ["POST /sub/in", "POST /out", None]
    assert plugins[0].asked == [
        ("prepare", "outer"),
        ("instrument", "outer"),
        *(("wrap", "outer", route) for route in routes),
    ]
    assert plugins[1].asked == [("prepare", "inner"), ("wrap", "inner", "POST /sub/in"), ("wrap", "inner", None)]


async def test_a_plugin_of_both_applications_is_asked_for_each(serve: Serve, connect: Connect) -> None:
    log: Log = []
    outer, (shared, _) = nest(log, shared=True)
    await ask(connect, await serve(outer), "/sub/in", "POST")
    assert [line for line in shared.asked if line[0] == "wrap" and line[2] == "POST /sub/in"] == [
        ("wrap", "inner", "POST /sub/in"),
        ("wrap", "outer", "POST /sub/in"),
    ]
    assert [line for line in shared.asked if line[0] == "instrument"] == [("instrument", "outer")]
    assert log.count(("wrapped", "outer's", "inner")) == log.count(("wrapped", "outer's", "outer")) == 1


class Renderer:
    """A plugin that renders errors."""

    def __init__(self, name: str) -> None:
        self.name = name

    @hookimpl
    def corelet_make_error_renderer(self, app: Any) -> Any:
        def render(error: BaseException, request: Any) -> web.Response:
            return web.Response(status=500, text=f"{self.name} rendered {error}")

        return render


async def fail(request: web.Request) -> web.Response:
    raise LookupError(request.app["name"])


@pytest.mark.parametrize(
    ("having", "texts"),
    [
        ((), ["500: Internal Server Error"] * 3),
        ((0,), ["0 rendered 0", "0 rendered 1", "0 rendered 2"]),
        ((1,), ["500: Internal Server Error", "1 rendered 1", "1 rendered 2"]),
        ((0, 2), ["0 rendered 0", "0 rendered 1", "2 rendered 2"]),
    ],
)
async def test_errors_are_rendered_by_the_nearest_application_with_a_renderer(
    serve: Serve, connect: Connect, expect_error_log: Log, having: tuple[int, ...], texts: list[str]
) -> None:
    apps = []
    for number in range(3):
        renderers = [Renderer(str(number))] if number in having else []
        app = make_app(name=str(number), plugins=["routing", "subapps", *renderers])
        app.router.add_get("/fail", fail)
        apps.append(app)
    apps[1].add_subapp("/b", apps[2])
    apps[0].add_subapp("/a", apps[1])
    served = await serve(apps[0])
    assert [(await ask(connect, served, path)).text for path in ("/fail", "/a/fail", "/a/b/fail")] == texts
    client = await connect(served)
    await client.send("bad\r\n\r\n")
    assert (await client.read_answer()).text.startswith("0 rendered") is (0 in having)


async def test_state_of_a_plugin_is_the_applications_that_switched_it_on(serve: Serve, connect: Connect) -> None:
    class Stamp:
        """A plugin as they ought to be: it does something where a line in the application asks for it."""

        @hookimpl
        def corelet_prepare_response(self, app: Any) -> Any:
            text = app.get("stamp")
            if text is None:
                return None

            async def stamp(request: Any, response: Any) -> None:
                response.headers["X-Stamp"] = text

            return stamp

    plugins = ["routing", "subapps", Stamp()]
    outer, stamped, plain = (make_app({"/x": "x"}, plugins=plugins) for _ in range(3))
    stamped["stamp"] = "stamped"
    outer.add_subapp("/stamped", stamped)
    outer.add_subapp("/plain", plain)
    served = await serve(outer)
    for path, stamp in (("/x", None), ("/plain/x", None), ("/stamped/x", "stamped"), ("/stamped/none", "stamped")):
        assert (await ask(connect, served, path)).field("x-stamp") == stamp


async def test_no_hook_is_called_while_requests_are_answered(serve: Serve, connect: Connect) -> None:
    outer, _ = nest([])
    served = await serve(outer)
    calls: list[str] = []
    undo = [
        app.plugins.pluggy.add_hookcall_monitoring(
            lambda name, implementations, arguments: calls.append(name),
            lambda outcome, name, implementations, arguments: None,
        )
        for app in outer.iter_apps()
    ]
    client = await connect(served)
    await client.send("POST /sub/in HTTP/1.1\r\nHost: a\r\n\r\nGET /sub/no HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
    assert {answer.status for answer in await client.read_answers(100)} == {200, 404}
    for each in undo:
        each()
    assert calls == []


def test_the_plugin_has_one_hook_and_its_names_are_in_web() -> None:
    app = web.Application(plugins=["routing", plugin])
    inner = make_app()
    assert isinstance(app.add_subapp("/a", inner), web.PrefixedSubAppResource)
    assert isinstance(app.add_domain("a", make_app()), web.MatchedSubAppResource)
    assert {"PrefixedSubAppResource", "MatchedSubAppResource"} <= set(dir(web))


def test_without_the_plugin_the_port_says_what_to_install() -> None:
    app = web.Application(plugins=["routing"])
    with pytest.raises(corelet.MissingPluginError, match="pip install corelet-subapps"):
        app.add_subapp("/a", make_app())
    assert app.subapps == ()


def test_the_port_looks_at_its_arguments_before_it_asks_plugins() -> None:
    inner = make_app()
    with pytest.raises(corelet.MissingPluginError):
        web.Application(plugins=["routing"]).add_subapp("/a", inner)
    assert not inner.is_mounted
