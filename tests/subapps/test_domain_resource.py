"""Applications at domains, over real sockets."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from corelet import web
from tests.conftest import Connect, Serve
from tests.subapps.nested import ask, make_app, say


async def ask_hosts(connect: Connect, served: Any, target: str, *hosts: str) -> list[str]:
    return [(await ask(connect, served, target, host=host)).text for host in hosts]


async def test_the_host_says_which_application_answers(serve: Serve, connect: Connect) -> None:
    outer = make_app({"/x": "outer", "/only": "outer only"})
    outer.add_domain("example.com", make_app({"/x": "exact"}))
    outer.add_domain("example.org:8080", make_app({"/x": "port"}))
    outer.add_domain("*.example.com", make_app({"/x": "mask"}))
    served = await serve(outer)
    hosts = ["example.com", "EXAMPLE.com.:81", "example.org:8080", "example.org", "a.b.example.com", "other"]
    assert await ask_hosts(connect, served, "/x", *hosts) == ["exact", "exact", "port", "outer", "mask", "outer"]
    answers = [await ask(connect, served, "/only", host=host) for host in ("example.com", "other")]
    assert [answer.status for answer in answers] == [404, 200]


async def test_the_host_of_an_absolute_target_counts(serve: Serve, connect: Connect) -> None:
    outer = make_app({"/x": "outer"})
    outer.add_domain("inner.example", make_app({"/x": "inner"}))
    served = await serve(outer)
    assert (await ask(connect, served, "http://inner.example/x", host="inner.example")).text == "inner"


async def test_a_domain_goes_before_all_paths_whenever_it_was_mounted(serve: Serve, connect: Connect) -> None:
    outer = make_app({"/x": "outer", "/{id}": "outer's variable"})
    outer.add_subapp("/api", make_app({"/x": "prefix"}))
    outer.add_domain("d.example", make_app({"/x": "domain", "/api/x": "domain's own"}))
    served = await serve(outer)
    assert await ask_hosts(connect, served, "/x", "d.example", "a") == ["domain", "outer"]
    assert await ask_hosts(connect, served, "/api/x", "d.example", "a") == ["domain's own", "prefix"]
    assert await ask_hosts(connect, served, "/y", "d.example", "a") == ["404: Not Found", "outer's variable"]


async def test_a_method_that_the_application_lacks_is_refused_inside(serve: Serve, connect: Connect) -> None:
    outer = make_app()
    outer.router.add_post("/x", say("outer"))
    outer.add_domain("d.example", make_app({"/x": "domain"}))
    answer = await ask(connect, await serve(outer), "/x", "POST", host="d.example")
    assert (answer.status, answer.field("allow")) == (405, "GET,HEAD")


async def test_the_narrower_domain_comes_first(serve: Serve, connect: Connect) -> None:
    outer = make_app()
    outer.add_domain("www.example.com", make_app({"/x": "www"}))
    outer.add_domain("*.example.com", make_app({"/x": "any"}))
    with pytest.raises(ValueError, match=r"'ftp.example.com' would never be asked: <MatchedSubAppResource \*.example"):
        outer.add_domain("ftp.example.com", make_app())
    assert len(outer.subapps) == 2
    assert await ask_hosts(connect, await serve(outer), "/x", "www.example.com", "ftp.example.com") == ["www", "any"]


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        ("", "'' is no domain, like 'example.com'; a prefix goes to add_subapp"),
        ("/api", "'/api' is no domain, like 'example.com'; a prefix goes to add_subapp"),
        ("http://example.com", "'http://example.com' is no domain: expected a name like"),
        ("example.com/api", "is no domain: expected a name"),
    ],
)
def test_what_is_no_domain_is_refused(domain: str, words: str) -> None:
    outer = make_app()
    with pytest.raises(ValueError, match=words):
        outer.add_domain(domain, make_app())
    assert outer.subapps == ()
    assert len(outer.router.resources()) == 0


def test_a_domain_is_text() -> None:
    with pytest.raises(TypeError, match=r"add_domain takes a domain like 'example.com', got None"):
        make_app().add_domain(None, make_app())  # type: ignore[arg-type]  # the mistake


async def test_names_inside_make_paths_without_the_domain(serve: Serve, connect: Connect) -> None:
    outer, inner, innermost = make_app(), make_app(), make_app()
    inner.router.add_get("/users/{id}", say("user"), name="user")
    innermost.router.add_get("/x", say("innermost"), name="x")
    mounted = outer.add_domain("d.example:8080", inner)
    inner.add_subapp("/in", innermost)
    assert str(inner.router["user"].url_for(id="1")) == "/users/1"
    assert str(innermost.router["x"].url_for()) == "/in/x"
    with pytest.raises(RuntimeError, match="has no URL"):
        mounted.url_for()
    assert await ask_hosts(connect, await serve(outer), "/in/x", "d.example:8080") == ["innermost"]


async def test_a_domain_within_a_prefix_takes_both(serve: Serve, connect: Connect) -> None:
    outer, middle, inner = make_app({"/x": "outer"}), make_app({"/x": "middle"}), make_app()
    inner.router.add_get("/x", say("inner"), name="x")
    middle.add_domain("d.example", inner)
    outer.add_subapp("/a", middle)
    served = await serve(outer)
    assert str(inner.router["x"].url_for()) == "/a/x"
    assert await ask_hosts(connect, served, "/a/x", "d.example", "a") == ["inner", "middle"]
    assert await ask_hosts(connect, served, "/x", "d.example") == ["outer"]


async def test_an_inner_router_that_waits_and_handlers_without_router(serve: Serve, connect: Connect) -> None:
    class Waiting(web.UrlDispatcher):
        def find(self, request: Any) -> Any:
            return None

    outer, waiting = make_app({"/x": "outer"}), web.Application(router=Waiting())
    waiting.router.add_get("/x", say("waited"))
    outer.add_domain("wait.example", waiting)
    outer.add_domain("bare.example", web.Application(handler=say("bare")))
    served = await serve(outer)
    hosts = ("wait.example", "bare.example", "a")
    assert await ask_hosts(connect, served, "/x", *hosts) == ["waited", "bare", "outer"]
    assert await ask_hosts(connect, served, "/y", *hosts) == ["404: Not Found", "bare", "404: Not Found"]


def test_the_outer_router_lists_what_is_mounted() -> None:
    outer, apps = make_app({"/x": "x"}), [make_app({"/y": "y"}) for _ in range(3)]
    mounted = [outer.add_domain(f"{number}.example", app) for number, app in enumerate(apps)]
    assert list(outer.router.resources())[1:] == mounted
    assert len(outer.router.routes()) == 8
    assert [each.canonical for each in mounted] == ["0.example", "1.example", "2.example"]
    info = mounted[1].get_info()
    assert (info["app"], str(info["rule"])) == (apps[1], "1.example")
    assert repr(mounted[1]) == f"<MatchedSubAppResource 1.example -> {apps[1]!r}>"
    assert isinstance(mounted[1], web.MatchedSubAppResource)
    assert not mounted[1].raw_match("1.example")


class Asked:
    method, scheme = "GET", "http"

    def __init__(self, host: str, path: str) -> None:
        self.host, self.match_path = host, path


def test_a_lookup_does_not_depend_on_the_number_of_domains() -> None:
    def count_calls(count: int, host: str) -> int:
        outer = make_app({"/x": "x"}, plugins=["routing", "subapps"])
        for number in range(count):
            outer.add_domain(f"t{number}.example", make_app({"/x": "x"}, plugins=["routing", "subapps"]))
        outer.freeze()
        calls: list[str] = []
        request = Asked(host, "/x")
        sys.setprofile(lambda frame, event, argument: calls.append(event))
        try:
            outer.router.find(request)
        finally:
            sys.setprofile(None)
        return len(calls)

    for host in ("t0.example", "none.example"):
        assert count_calls(100, host) == count_calls(1, host)
