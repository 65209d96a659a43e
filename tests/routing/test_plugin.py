from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from corelet import hookimpl, web
from corelet.errors import MissingPluginError
from corelet_routing import UrlDispatcher, plugin
from tests.routing.stand_in import answer, resolve


class Health:
    """A plugin that gives a route where a key of the application asks for it."""

    def __init__(self, key: str) -> None:
        self.key = key

    @hookimpl
    def corelet_routing_routes(self, app: Any) -> list[web.RouteDef] | None:
        return [web.get("/health", answer, name="health")] if self.key in ("always", *app) else None


def test_application_gets_a_dispatcher():
    router = web.Application(plugins=[plugin]).router
    assert type(router) is UrlDispatcher


def test_application_without_the_plugin_says_what_to_install():
    with pytest.raises(MissingPluginError, match="pip install corelet-routing"):
        web.Application(plugins=[]).router  # noqa: B018  # reading it raises


def test_each_application_has_a_router_of_its_own():
    assert web.Application(plugins=[plugin]).router is not web.Application(plugins=[plugin]).router


def test_routes_of_plugins_come_first_and_are_seen():
    app = web.Application(plugins=[plugin, Health("with_health"), Health("never")])
    app["with_health"] = True
    app.router.add_get("/{any}", answer)
    assert [route.resource.canonical for route in app.router.routes()] == ["/health"] * 2 + ["/{any}"] * 2
    assert resolve(app.router, "/health").route.name == "health"


def test_router_made_by_hand_gets_the_routes_of_plugins_too():
    router = UrlDispatcher()
    router.add_get("/own", answer)
    app = web.Application(router=router, plugins=[plugin, Health("always")])
    assert app.router is router
    assert [resource.canonical for resource in router.resources()] == ["/own", "/health"]


def test_router_made_by_hand_needs_no_plugin():
    app = web.Application(router=UrlDispatcher(), plugins=[])
    assert app.add_routes([web.get("/a", answer)])[0].handler is answer


def test_router_serves_one_application_only():
    router = UrlDispatcher()
    app = web.Application(router=router, plugins=[plugin])
    with pytest.raises(RuntimeError, match=r"serves .* already: an application needs a router of its own"):
        web.Application(router=router, plugins=[plugin])
    assert app.router is router


def test_broken_routes_of_a_plugin_stop_the_application():
    def give(app: Any) -> Any:
        return [web.get("no slash", answer)]

    broken = SimpleNamespace(corelet_routing_routes=hookimpl(specname="corelet_routing_routes")(give))
    with pytest.raises(ValueError, match="malformed route pattern 'no slash'"):
        web.Application(plugins=[plugin, broken]).router  # noqa: B018  # reading it raises
