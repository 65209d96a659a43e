"""Nested applications on corelet and on aiohttp: the same answers, and each difference with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp.web
import pytest

from corelet import web
from tests.conftest import Connect, Serve, Served
from tests.subapps.nested import ask

Web = Any


def is_own(key: Any) -> bool:
    """Whether a key of the state is this module's: plugins that happen to be installed have keys that are no str."""
    return isinstance(key, str)


def say(web: Web, text: str) -> Any:
    async def handler(request: Any) -> Any:
        return web.Response(text=text)

    return handler


def make_app(web: Web, *paths: str, **kwargs: Any) -> Any:
    app = web.Application(**kwargs)
    for path in paths:
        app.router.add_get(path, say(web, f"{path} of {len(paths)}"), name=f"n{len(app.router.named_resources())}")
    return app


def make_prefixed(web: Web) -> Any:
    outer, middle, inner = make_app(web, "/o", "/api/first"), make_app(web, "", "/", "/m/{id}"), make_app(web, "/i")
    inner.router.add_post("/posted/{id}", say(web, "posted"))
    middle.add_subapp("/in/", inner)
    outer.add_subapp("/api", middle)
    return outer


def make_domains(web: Web) -> Any:
    outer = make_app(web, "/x", "/only")
    outer.add_domain("example.com", make_app(web, "/x", "/e", "/f", "/g"))
    outer.add_domain("example.org:8080", make_app(web, "/x", "/p", "/q"))
    outer.add_domain("*.example.com", make_app(web, "/x"))
    return outer


def make_watched(web: Web) -> Any:
    def watch(name: str) -> Any:
        @web.middleware
        async def middleware(request: Any, handler: Any) -> Any:
            request["seen"] = [
                *request.get("seen", ()),
                request.app["name"],
                *sorted(filter(is_own, request.config_dict)),
            ]
            try:
                response = await handler(request)
            except web.HTTPException as error:
                response = web.Response(status=error.status, text=f"{name} caught {error.status}")
            response.headers["X-Seen"] = " ".join(request["seen"])
            return response

        return middleware

    outer, inner = (make_app(web, "/x", middlewares=[watch(name)]) for name in ("outer", "inner"))
    outer["name"], inner["name"], outer["o"], inner["i"] = "outer", "inner", 1, 2
    outer.add_subapp("/in", inner)
    return outer


Case = tuple[Callable[[Web], Any], str, str, str]
SAME: list[Case] = [
    *((make_prefixed, "GET", path, "a") for path in (
        "/o", "/api", "/api/", "/api/m/1", "/api/m/", "/api/in/i", "/api/in/i?q=1", "/api/in", "/api/none", "/apio",
        "/api/first", "/%61pi/in/i", "/api//", "/API/in/i",
    )),
    *((make_prefixed, method, "/api/in/i", "a") for method in ("HEAD", "POST", "OPTIONS")),
    (make_prefixed, "GET", "/api/in/posted/1", "a"),
    (make_prefixed, "POST", "/api/in/posted/1", "a"),
    *((make_domains, "GET", "/x", host) for host in (
        "example.com", "EXAMPLE.com", "example.com:81", "example.org:8080", "example.org", "a.example.com",
        "a.b.example.com:1", "aexample.com", "other",
    )),
    (make_domains, "GET", "/only", "example.com"),
    (make_domains, "GET", "/only", "other"),
    (make_domains, "POST", "/x", "example.com"),
    *((make_watched, "GET", path, "a") for path in ("/x", "/in/x", "/in/none", "/none")),
    (make_watched, "PUT", "/in/x", "a"),
]  # fmt: skip


@pytest.fixture
async def serve_peer() -> Any:
    """Give what serves an application of aiohttp."""
    runners = []

    async def start(app: Any) -> Served:
        runner = aiohttp.web.AppRunner(app, access_log=None)
        await runner.setup()
        runners.append(runner)
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return Served(runner, None, "127.0.0.1", runner.addresses[0][1])  # type: ignore[arg-type]

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.mark.filterwarnings("ignore::aiohttp.web.NotAppKeyWarning")
@pytest.mark.parametrize("make", [make_prefixed, make_domains, make_watched])
async def test_nested_applications_answer_as_the_peers_do(
    make: Any, serve: Serve, serve_peer: Any, connect: Connect
) -> None:
    ours, theirs = await serve(make(web)), await serve_peer(make(aiohttp.web))
    for case, method, path, host in SAME:
        if case is not make:
            continue
        answers = await asyncio.gather(*(ask(connect, served, path, method, host) for served in (ours, theirs)))
        facts = [(each.status, each.text, each.field("allow"), each.field("x-seen")) for each in answers]
        assert facts[0] == facts[1], (method, path, host)


@pytest.mark.parametrize("prefix", ["/api", "/api/", "/a/b"])
def test_urls_of_names_inside_are_the_peers(prefix: str) -> None:
    urls = []
    for each in (web, aiohttp.web):
        outer, middle, inner = make_app(each, "/o"), make_app(each, "/m/{id}"), make_app(each, "", "/i")
        middle.add_subapp("/in", inner)
        outer.add_subapp(prefix, middle)
        urls.append(
            [str(middle.router["n0"].url_for(id="é b")), *(str(inner.router[n].url_for()) for n in ("n0", "n1"))]
        )
    assert urls[0] == urls[1]


# Where aiohttp has a trap, there is none here.


def make_nothing(web: Web) -> Any:
    return web.Application()


def mount_twice(web: Web) -> None:
    inner = make_app(web, "/x")
    outer = make_nothing(web)
    outer.add_subapp("/a", inner)
    outer.add_subapp("/b", inner)


def mount_in_itself(web: Web) -> None:
    app = make_nothing(web)
    app.add_subapp("/a", app)


def mount_an_unreachable_domain(web: Web) -> None:
    outer = make_nothing(web)
    outer.add_domain("*.example.com", make_app(web, "/x"))
    outer.add_domain("www.example.com", make_app(web, "/x"))


def mount_below_a_variable(web: Web) -> None:
    make_nothing(web).add_subapp("/{tenant}", make_app(web, "/x"))


@pytest.mark.parametrize("mistake", [mount_twice, mount_in_itself, mount_an_unreachable_domain, mount_below_a_variable])
def test_what_the_peer_takes_silently_is_an_error(mistake: Any) -> None:
    mistake(aiohttp.web)
    with pytest.raises(ValueError, match=r"mounted|itself|variables"):
        mistake(web)


async def test_the_outer_application_cleans_up_last_here(serve_peer: Any) -> None:
    async def run(web: Web) -> list[str]:
        lines: list[str] = []

        def make(name: str) -> Any:
            async def note(app: Any) -> None:
                lines.append(name)

            app = make_nothing(web)
            app.on_cleanup.append(note)
            return app

        outer = make("outer")
        outer.add_subapp("/in", make("inner"))
        runner = web.AppRunner(outer)
        await runner.setup()
        await runner.cleanup()
        return lines

    assert await run(aiohttp.web) == ["outer", "inner"]
    assert await run(web) == ["inner", "outer"]
