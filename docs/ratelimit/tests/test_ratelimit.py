"""Peers that ask too often are told so, and nobody else is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import corelet_ratelimit
from corelet import hookimpl, web
from corelet.test_utils import TestClient
from corelet_ratelimit import plugin

ClientFor = Callable[..., Awaitable[TestClient]]


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")


@corelet_ratelimit.unlimited
async def health(request: web.Request) -> web.Response:
    return web.Response(text="fine")


class ByKey:
    """Counts by a key that peers send."""

    @hookimpl
    def corelet_ratelimit_peer(self, app: web.Application) -> Callable[[web.Request], str]:
        return lambda request: request.headers.get("X-Key", "")


def make_app(*plugins: object) -> web.Application:
    app = web.Application(plugins=["routing", plugin, *plugins])
    app.router.add_get("/", hello)
    app.router.add_get("/health", health)
    return app


async def ask(client: TestClient, path: str = "/", **kwargs: Any) -> int:
    async with client.get(path, **kwargs) as response:
        status: int = response.status
        return status


async def test_the_third_request_is_one_too_many(client_for: ClientFor) -> None:
    app = make_app()
    corelet_ratelimit.setup_rate_limit(app, requests=2, seconds=3600)
    client = await client_for(app)
    assert [await ask(client) for _ in range(3)] == [200, 200, 429]
    async with client.get("/no/such/page") as response:
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 3600
    assert await ask(client, "/health") == 200
    assert dict(app.plugins.report(app))["corelet_ratelimit.plugin"] == [
        "2 requests in 3600 s for each peer; 2 refused so far"
    ]


async def test_being_installed_limits_nobody(client_for: ClientFor) -> None:
    client = await client_for(make_app())
    assert {await ask(client) for _ in range(20)} == {200}


async def test_another_plugin_says_who_a_peer_is(client_for: ClientFor) -> None:
    app = make_app(ByKey())
    corelet_ratelimit.setup_rate_limit(app, requests=1, seconds=3600)
    client = await client_for(app)
    found = [await ask(client, headers={"X-Key": key}) for key in ("ann", "bob", "ann")]
    assert found == [200, 200, 429]


def test_a_limit_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a positive limit, not 0 requests"):
        corelet_ratelimit.setup_rate_limit(make_app(), requests=0)
