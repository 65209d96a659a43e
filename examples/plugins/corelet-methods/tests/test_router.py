"""The router does what its port promises, and what its README says."""

from __future__ import annotations

from typing import Any

import pytest

from corelet import web
from corelet.test_utils import RouterConformance, make_mocked_request
from corelet_methods import MethodRouter


class TestMethodRouter(RouterConformance):
    def make_router(self) -> MethodRouter:
        return MethodRouter()


async def answer(request: web.Request) -> web.Response:
    return web.Response()


def make_router(*routes: str) -> MethodRouter:
    router = MethodRouter()
    for route in routes:
        method, _, path = route.partition(" ")
        router.add_route(method, path, answer)
    return router


def find(router: MethodRouter, method: str, path: str) -> tuple[str, dict[str, str]]:
    match = router.find(make_mocked_request(method, path))
    error = match.http_exception
    return (match.route.path if error is None else f"{error.status} {error.headers.get('Allow', '')}".strip()), dict(
        match
    )


@pytest.mark.parametrize("turned", [False, True])
def test_words_go_before_variables_in_any_order(turned: bool) -> None:
    routes = ["GET /users/{name}", "GET /users/me", "GET /{kind}/me/{part}", "GET /users/{name}/friends"]
    router = make_router(*(reversed(routes) if turned else routes))
    assert find(router, "GET", "/users/me") == ("/users/me", {})
    assert find(router, "GET", "/users/ann") == ("/users/{name}", {"name": "ann"})
    assert find(router, "GET", "/users/me/friends") == ("/users/{name}/friends", {"name": "me"})
    assert find(router, "GET", "/users/me/photos") == ("/{kind}/me/{part}", {"kind": "users", "part": "photos"})
    assert find(router, "GET", "/users/ann/photos") == ("404", {})


def test_a_variable_is_a_whole_segment_and_decoded() -> None:
    router = make_router("GET /files/{name}", "GET /caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    assert find(router, "GET", "/files/a%2Fb%20c") == ("/files/{name}", {"name": "a/b c"})
    assert find(router, "GET", "/files/")[0] == "404"
    assert find(router, "GET", "/files/a/b")[0] == "404"
    assert find(router, "GET", "/caf%C3%A9")[0] == "/café"


def test_head_is_get_unless_it_has_a_route() -> None:
    router = make_router("GET /a", "GET /b/{x}", "HEAD /b/{y}", "POST /c")
    assert find(router, "HEAD", "/a")[0] == "/a"
    assert find(router, "HEAD", "/b/1")[0] == "/b/{y}"
    assert find(router, "DELETE", "/a")[0] == "405 GET,HEAD"
    assert find(router, "HEAD", "/c")[0] == "405 POST"


@pytest.mark.parametrize(
    ("route", "message"),
    [
        ("GET users", "starts with no slash"),
        ("GET /a{b}", "neither a word nor a variable"),
        ("GET /{a b}", "neither a word nor a variable"),
        ("GET /{a}/{a}", "two variables of one name"),
        ("GE T /a", "starts with no slash"),
        ("G(T /a", "is no method"),
        ("GET /users/{id}", "<MethodRoute GET /users/{id}> and <MethodRoute GET /users/{name}> answer the same"),
    ],
)
def test_a_route_that_can_not_be_is_refused(route: str, message: str) -> None:
    router = make_router("GET /users/{name}", "POST /users/{id}")
    method, _, path = route.partition(" ")
    with pytest.raises(ValueError, match=message.replace("{", r"\{")):
        router.add_route(method, path, answer)
    with pytest.raises(TypeError, match="expected a coroutine function"):
        router.get("/x", None)  # type: ignore[arg-type]


def test_a_route_has_a_url() -> None:
    router = MethodRouter()
    route = router.get("/files/{name}", answer)
    router.add_prefix("/api")
    assert str(route.url_for(name="a/b ü")) == "/api/files/a%2Fb%20%C3%BC"
    assert route.get_info() == {"path": "/api/files/{name}"}
    for values in ({}, {"name": ""}, {"name": "a", "other": "b"}):
        with pytest.raises(ValueError, match="needs a value for each"):
            route.url_for(**values)


def test_every_method_has_a_word() -> None:
    router = MethodRouter()
    for word in ("get", "head", "post", "put", "patch", "delete", "options"):
        assert getattr(router, word)("/x", answer).method == word.upper()
    assert len(list(router.routes())) == 7
    assert repr(router) == "<MethodRouter 7 routes>"


async def test_a_lookup_takes_time_for_the_tree_not_for_the_path() -> None:
    router = make_router(*(f"GET /{'/'.join(f'{{a{number}}}' for number in range(size))}/end" for size in range(1, 20)))
    assert find(router, "GET", "/x" * 4000)[0] == "404"


async def test_an_application_with_it_is_mounted_in_one_with_another_router(client_for: Any) -> None:
    async def tell(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.match_info['name']} {len(request.match_info.apps)}")

    inner = web.Application(plugins=["methods"])
    inner.router.get("/users/{name}", tell)
    app = web.Application(plugins=["routing", "subapps"])
    app.add_subapp("/api", inner)
    client = await client_for(app)
    async with client.get("/api/users/ann") as response:
        assert await response.text() == "ann 2"
    for method, path, status in (("GET", "/users/ann", 404), ("PUT", "/api/users/ann", 405)):
        async with client.request(method, path) as response:
            assert response.status == status


def test_what_mounts_by_resources_says_that_it_has_none() -> None:
    app = web.Application(plugins=["methods", "subapps"])
    with pytest.raises(TypeError, match="takes no resources"):
        app.add_subapp("/api", web.Application(plugins=["methods"]))
