from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest

from corelet import web
from corelet_routing import AbstractRoute, PlainResource, ResourceRoute
from tests.routing.stand_in import answer


def make_route(handler: Any, **kwargs: Any) -> ResourceRoute:
    return PlainResource("/a").add_route("GET", handler, **kwargs)


def plain(request: Any) -> Any:
    return answer(request)


class Handlers:
    async def method(self, request: Any) -> Any: ...

    def plain_method(self, request: Any) -> Any: ...

    async def without_self() -> Any: ...

    @classmethod
    async def class_method(cls, request: Any) -> Any: ...


class Answering:
    async def __call__(self, request: Any) -> Any: ...


class Returning:
    def __call__(self, request: Any) -> Any:
        return answer(request)


@functools.wraps(answer)
def wrapping(request: Any) -> Any:
    return answer(request)


class Shown(web.View):
    async def get(self) -> Any: ...


@pytest.mark.parametrize(
    "handler",
    [
        answer,
        functools.partial(answer),
        Handlers().method,
        Handlers.class_method,
        Answering(),
        Returning(),
        wrapping,
        functools.partial(wrapping),
        Shown,
    ],
)
def test_what_can_be_awaited_is_a_handler(handler):
    assert make_route(handler).handler is handler


@pytest.mark.skipif(not hasattr(inspect, "markcoroutinefunction"), reason="new in Python 3.12")
def test_function_marked_as_coroutine_function_is_a_handler():
    def returning(request: Any) -> Any:
        return answer(request)

    marked = inspect.markcoroutinefunction(returning)
    assert make_route(marked).handler is marked


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        (plain, "test_method_route.plain"),
        (functools.partial(plain), "functools.partial"),
        (Handlers().plain_method, "Handlers.plain_method"),
        (lambda request: None, "<lambda>"),
        (print, "builtins.print"),
    ],
)
def test_plain_function_is_refused_by_its_name(handler, name):
    with pytest.raises(TypeError, match="is a plain function: write 'async def'") as refused:
        make_route(handler)
    assert name in str(refused.value)


async def without_arguments():
    raise AssertionError


async def with_a_value_of_the_path(request, name):
    raise AssertionError


@pytest.mark.parametrize("handler", [without_arguments, with_a_value_of_the_path, Handlers().without_self])
def test_function_that_can_not_be_called_with_a_request_is_refused(handler):
    with pytest.raises(TypeError, match=rf"{handler.__qualname__} can't be called with the request alone: "):
        make_route(handler)


@pytest.mark.parametrize("handler", [None, 5, "answer"])
def test_what_can_not_be_called_is_refused(handler):
    with pytest.raises(TypeError, match="is not callable: it must be a coroutine function"):
        make_route(handler)


def test_class_that_is_no_view_is_refused():
    with pytest.raises(TypeError, match=r"Handlers is a class that can't be awaited: derive it from web\.View"):
        make_route(Handlers)


def test_expect_handler_must_be_awaitable():
    with pytest.raises(TypeError, match=r"expect handler .*plain is a plain function"):
        make_route(answer, expect_handler=plain)


@pytest.mark.parametrize("method", ["GET ME", "", "GET\n", "G\xc9T", "a/b"])
def test_method_that_is_no_token_is_refused(method):
    with pytest.raises(ValueError, match="is no HTTP method"):
        PlainResource("/a").add_route(method, answer)


def test_method_is_in_upper_case():
    assert PlainResource("/a").add_route("brew", answer).method == "BREW"


def test_route_gives_facts_of_its_resource():
    resource = PlainResource("/a", name="a")
    route = resource.add_route("GET", answer)
    assert (route.name, route.resource, route.get_info(), str(route.url_for())) == ("a", resource, {"path": "/a"}, "/a")
    assert repr(route).startswith("<ResourceRoute [GET] <PlainResource 'a' /a> -> <function answer")
    assert isinstance(route, AbstractRoute)


def test_route_without_a_resource_has_no_url():
    router = web.UrlDispatcher()
    from tests.routing.stand_in import resolve

    route = resolve(router, "/a").route
    assert (route.name, route.resource, route.method) == (None, None, "*")
    assert route.get_info() == {"status": 404, "reason": "Not Found"}
    assert repr(route) == "<SystemRoute 404: Not Found>"
    with pytest.raises(RuntimeError, match="has no URL"):
        route.url_for()
