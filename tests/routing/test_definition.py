from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from corelet import web
from corelet_routing import RouteTableDef, UrlDispatcher, get
from tests.routing.stand_in import answer


@pytest.mark.parametrize("method", ["head", "options", "post", "put", "patch", "delete"])
def test_definition_of_each_method_makes_its_route(method):
    router = UrlDispatcher()
    (route,) = router.add_routes([getattr(web, method)("/a", answer, name="a")])
    assert (route.method, route.handler, route.name, len(router.routes())) == (method.upper(), answer, "a", 1)


@pytest.mark.parametrize("method", ["head", "get", "options", "post", "put", "patch", "delete"])
def test_decorator_of_each_method_gives_its_handler_back(method):
    table = web.RouteTableDef()
    assert getattr(table, method)("/a", name="a")(answer) is answer
    assert (table[0].method, table[0].path, table[0].handler) == (method.upper(), "/a", answer)
    assert table[0].kwargs == {"name": "a"}


def test_get_brings_head_unless_refused():
    router = UrlDispatcher()
    made = router.add_routes([web.get("/a", answer), web.get("/b", answer, allow_head=False)])
    assert [route.method for route in made] == ["GET", "GET"]
    assert [(route.method, route.resource.canonical) for route in router.routes()] == [
        ("HEAD", "/a"), ("GET", "/a"), ("GET", "/b"),
    ]  # fmt: skip


def test_route_takes_any_method():
    table = web.RouteTableDef()
    table.route("*", "/any/{tail:.*}")(answer)
    made = UrlDispatcher().add_routes([*table, web.route("BREW", "/pot", answer)])
    assert [route.method for route in made] == ["*", "BREW"]


def test_view_answers_every_method():
    table = web.RouteTableDef()

    @table.view("/a")
    class Shown(web.View):
        pass

    made = UrlDispatcher().add_routes([*table, web.view("/b", Shown)])
    assert [(route.method, route.handler) for route in made] == [("*", Shown), ("*", Shown)]


def test_table_is_a_sequence():
    table = web.RouteTableDef()
    for path in ("/a", "/b", "/c"):
        table.get(path)(answer)
    assert (len(table), [item.path for item in table], [item.path for item in table[1:]]) == (
        3,
        ["/a", "/b", "/c"],
        ["/b", "/c"],
    )
    assert table[0] in table
    assert web.get("/d", answer) not in table
    assert repr(table) == "<RouteTableDef count=3>"


def test_table_serves_several_routers():
    table = web.RouteTableDef()
    table.get("/a")(answer)
    routers = [UrlDispatcher(), UrlDispatcher()]
    routes = [router.add_routes(table)[0] for router in routers]
    assert routes[0] is not routes[1]


def test_definition_shows_itself():
    assert repr(web.get("/a", answer)) == "<RouteDef GET /a -> 'answer', allow_head=True, name=None>"


def test_static_files_are_a_port_of_another_plugin():
    source = 'from corelet import web; web.RouteTableDef().static("/a", "/tmp")'
    command = [sys.executable, "-c", source]
    done = subprocess.run(
        command, check=False, env={**os.environ, "CORELET_BLOCK": "static"}, capture_output=True, text=True
    )
    # Where that plugin is not installed its version is not said.
    words = r"MissingPluginError: web\.StaticDef comes with .*static.*, which is blocked: CORELET_BLOCK=static"
    assert re.search(words, done.stderr)


def test_decorator_without_parentheses_is_refused():
    with pytest.raises(TypeError, match=r"the path of a GET route is a str, as in @routes\.get\('/'\), not <function"):
        RouteTableDef().get(answer)


def test_definition_alone_is_no_list_of_definitions():
    with pytest.raises(TypeError, match=r"add_routes takes a list of route definitions, as \[<RouteDef GET / "):
        UrlDispatcher().add_routes(get("/", answer))
