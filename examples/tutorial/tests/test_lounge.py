"""The lounge, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from corelet import WSMsgType
from corelet.test_utils import TestClient
from lounge.app import make_app

Enter = Callable[[str], Awaitable[TestClient]]


@pytest.fixture
async def enter(server_for: Any, client_for: Any, monkeypatch: pytest.MonkeyPatch) -> Enter:
    """Give what signs a user up, in a browser of its own."""
    monkeypatch.setenv("LOUNGE_DATABASE", ":memory:")
    server = await server_for(make_app())

    async def sign_up(name: str) -> TestClient:
        client: TestClient = await client_for(server)
        async with client.post("/signup", data={"name": name, "password": "secret"}) as response:
            assert response.url.path == "/", await response.text()
        return client

    return sign_up


async def test_who_has_not_logged_in_is_sent_to_do_so(enter: Enter, client_for: Any) -> None:
    ann = await enter("Ann")
    stranger = await client_for(ann.server)
    async with stranger.get("/", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, "/login")


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "Ann", "password": "secret"}, 200),
        ({"name": "Ann", "password": "guessed"}, 403),
        ({"name": "Bob", "password": "secret"}, 403),
        ({}, 403),
    ],
)
async def test_only_the_right_password_lets_in(enter: Enter, client_for: Any, form: Any, status: int) -> None:
    ann = await enter("Ann")
    browser = await client_for(ann.server)
    async with browser.post("/login", data=form) as response:
        assert response.status == status


async def test_a_name_is_taken_once(enter: Enter, client_for: Any) -> None:
    ann = await enter("Ann")
    async with ann.post("/signup", data={"name": "Ann", "password": "other"}) as response:
        assert response.status == 403
        assert "This name is taken." in await response.text()


async def test_a_name_is_no_markup(enter: Enter) -> None:
    client = await enter("<b>Ann</b>")
    async with client.get("/") as response:
        assert "You are &lt;b&gt;Ann&lt;/b&gt;." in await response.text()


async def test_all_hear_what_one_says_and_who_comes_later_too(enter: Enter) -> None:
    ann, bob = await enter("Ann"), await enter("Bob")
    async with ann.ws_connect("/talk") as of_ann:
        await of_ann.send_str("hello")
        said = {"user": "Ann", "text": "hello"}
        assert await of_ann.receive_json() == said
        async with bob.ws_connect("/talk") as of_bob:
            assert await of_bob.receive_json() == said
            await of_bob.send_str("hi")
            assert (await of_ann.receive_json())["user"] == "Bob"


async def test_a_logout_closes_the_users_sockets(enter: Enter) -> None:
    ann = await enter("Ann")
    async with ann.ws_connect("/talk") as socket:
        await socket.send_str("hello")
        await socket.receive()
        response, message = await asyncio.gather(ann.post("/logout"), socket.receive())
        assert response.url.path == "/login"
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, 1008, "logged out")
