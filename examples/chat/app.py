"""The application: its pages, logging in and out, and the WebSocket of a room."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from corelet import web

from .bus import BusError, open_bus
from .hub import Hub
from .member import Member
from .settings import Settings
from .user import Signer, User

FOLDER: Final = Path(__file__).parent
FILES: Final = {
    "/": ("chat.html", "text/html"),
    "/chat.css": ("chat.css", "text/css"),
    "/chat.js": ("chat.js", "text/javascript"),
}
COOKIE: Final = "chat_user"
#: Scripts, styles and sockets of this application only: text that somebody smuggles into the page runs nowhere.
SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}

SETTINGS: Final = web.AppKey("settings", Settings)
SIGNER: Final = web.AppKey("signer", Signer)
HUB: Final = web.AppKey("hub", Hub)

routes: Final = web.RouteTableDef()


def read_user(request: web.Request) -> User:
    """Read who asks.

    Raises:
        HTTPUnauthorized: nobody who has logged in, or who has logged out since.
    """
    user: User | None = request.app[SIGNER].read(request.cookies.get(COOKIE, ""))
    if user is None or request.app[HUB].is_logged_out(user):
        raise web.HTTPUnauthorized(text="Choose a name first.")
    return user


@routes.get("/me")
async def show_user(request: web.Request) -> web.Response:
    return web.json_response(read_user(request)._asdict())


@routes.get("/rooms")
async def list_rooms(request: web.Request) -> web.Response:
    return web.json_response(request.app[HUB].count_rooms())


@routes.post("/login")
async def log_in(request: web.Request) -> web.Response:
    try:
        user = User.make(str((await request.post()).get("name", "")))
    except ValueError as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    response = web.json_response(user._asdict())
    cookie = request.app[SIGNER].sign(user)
    response.set_cookie(COOKIE, cookie, httponly=True, samesite="Strict", secure=request.secure)
    return response


@routes.post("/logout")
async def log_out(request: web.Request) -> web.Response:
    user = read_user(request)
    try:
        await request.app[HUB].log_out(user)
    except BusError:
        raise web.HTTPServiceUnavailable(text="Other pages could not be reached. Try again in a moment.") from None
    response = web.Response(status=204)
    response.del_cookie(COOKIE)
    return response


@routes.get("/rooms/{room:[a-z0-9-]{1,32}}")
async def enter_room(request: web.Request) -> web.WebSocketResponse:
    user, settings, hub = read_user(request), request.app[SETTINGS], request.app[HUB]
    socket = web.WebSocketResponse(
        heartbeat=settings.heartbeat_seconds,
        max_msg_size=settings.max_frame,
        origins=("self", *settings.origins),
        timeout=2.0,
    )
    await socket.prepare(request)
    member = Member(user, request.match_info["room"], socket, settings.max_waiting)
    writing = asyncio.create_task(member.write())
    try:
        if hub.join(member):
            try:
                await hub.say_present(member.room)
                await take_messages(member, hub)
            finally:
                await hub.leave(member)
        await member.wait_closed()
    finally:
        writing.cancel()
    return socket


async def take_messages(member: Member, hub: Hub) -> None:
    """Take what a page sends, until its socket is closed."""
    async for message in member.socket:
        if message.type is not web.WSMsgType.TEXT:
            continue
        try:
            text = json.loads(message.data)["text"]
        except (ValueError, TypeError, KeyError, RecursionError):
            text = None
        await hub.speak(member, text)


def make_file_handler(name: str, content_type: str) -> web.Handler:
    """Make a handler that answers a file of this folder."""
    text = (FOLDER / name).read_text(encoding="utf-8")

    async def show_file(request: web.Request) -> web.Response:
        return web.Response(text=text, content_type=content_type, headers={"Cache-Control": "no-cache"})

    return show_file


async def refuse_strange_origins(request: web.Request, handler: web.Handler) -> web.StreamResponse:
    """Refuse what a page of another origin makes a browser send. Source: RFC 6454 section 7."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin is not None:
        own = origin.lower().partition("://")[2] == request.host.lower()
        if not own and origin not in request.app[SETTINGS].origins:
            raise web.HTTPForbidden(text="This page belongs to another origin.")
    response: web.StreamResponse = await handler(request)
    return response


async def add_security_fields(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY)


async def run_hub(app: web.Application) -> AsyncIterator[None]:
    """Open the bus, and listen to it while the application runs."""
    async with open_bus(app[SETTINGS].redis_url) as bus:
        hub = app[HUB] = Hub(bus, app[SETTINGS])
        tasks = [asyncio.create_task(hub.listen()), asyncio.create_task(hub.keep_present())]
        yield
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def make_app(settings: Settings | None = None) -> web.Application:
    """Put the application together."""
    app = web.Application(middlewares=[refuse_strange_origins], client_max_size=4096)
    app[SETTINGS] = settings or Settings()
    app[SIGNER] = Signer(app[SETTINGS].secret)
    app.add_routes(routes)
    for path, file in FILES.items():
        app.router.add_get(path, make_file_handler(*file))
    app.cleanup_ctx.append(run_hub)
    app.on_response_prepare.append(add_security_fields)
    return app
