"""A WebSocket handler with a session, from the handshake to the end of the conversation."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from corelet import web
from tests.conftest import Serve


async def chat(request: web.Request) -> web.WebSocketResponse:
    session = await web.get_session(request)
    session["visits"] = session.get("visits", 0) + 1
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        try:
            if message.data == "save":
                await web.save_session(request)
            elif message.data == "rotate":
                session.rotate()
            else:
                session["said"] = [*session.get("said", []), message.data]
        except web.SessionLostError as exc:
            await ws.send_str(str(exc))
        else:
            await ws.send_str("done")
    return ws


async def show(request: web.Request) -> web.Response:
    return web.json_response(dict(await web.get_session(request)))


@pytest.fixture
async def peer() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a client that keeps cookies of addresses, too."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def make_app(storage: web.AbstractStorage) -> web.Application:
    app = web.Application()
    web.setup_sessions(app, storage)
    app.router.add_get("/chat", chat)
    app.router.add_get("/show", show)
    return app


async def test_session_is_kept_from_the_handshake_to_the_end(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(make_app(web.InMemoryStorage()))

    async def read_session() -> object:
        async with peer.get(served.url / "show") as answer:
            return await answer.json()

    async with peer.ws_connect(served.url / "chat") as ws:
        assert await read_session() == {"visits": 1}, "the handshake's answer has the cookie"
        await ws.send_str("one")
        assert await ws.receive_str() == "done"
        assert await read_session() == {"visits": 1}, "not saved yet"
        await ws.send_str("save")
        assert await ws.receive_str() == "done"
        assert await read_session() == {"visits": 1, "said": ["one"]}
        await ws.send_str("two")
        assert await ws.receive_str() == "done"
    await served.stop()


async def test_what_was_said_is_saved_when_the_conversation_ends(serve: Serve, peer: aiohttp.ClientSession) -> None:
    storage = web.InMemoryStorage()
    served = await serve(make_app(storage))
    async with peer.ws_connect(served.url / "chat") as ws:
        (cookie,) = peer.cookie_jar
        await ws.send_str("one")
        await ws.receive_str()
    await served.stop()
    assert b'"said":["one"]' in (await storage.load(cookie.value) or b"")


@pytest.mark.parametrize(("kind", "message"), [("memory", "rotate"), ("signed", "one")])
async def test_change_that_needs_a_cookie_is_an_error_in_a_conversation(
    serve: Serve, peer: aiohttp.ClientSession, kind: str, message: str
) -> None:
    storage = web.InMemoryStorage() if kind == "memory" else web.SignedCookieStorage("k" * 32)
    served = await serve(make_app(storage))
    async with peer.ws_connect(served.url / "chat") as ws:
        await ws.send_str(message)
        assert "changed after the head of the answer was sent" in await ws.receive_str()
    async with peer.get(served.url / "show") as answer:
        assert await answer.json() == {"visits": 1}
