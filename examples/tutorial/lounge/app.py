"""The application: the room's page and its WebSocket, for who has logged in."""

from __future__ import annotations

import os
from typing import Final, NoReturn

from corelet import web

from . import login
from .pages import render, setup_pages
from .room import ROOM, Room
from .users import DATABASE, open_users

routes: Final = web.RouteTableDef()


@routes.get("/")
async def show_room(request: web.Request) -> web.Response:
    return render(request, "room.html", user=await login.get_user(request))


@routes.get("/talk")
async def talk(request: web.Request) -> web.WebSocketResponse:
    user = await login.get_user(request)
    socket = web.WebSocketResponse(heartbeat=30, timeout=2, max_msg_size=4096, origins=["self"])
    await socket.prepare(request)
    await request.app[ROOM].talk(socket, user)
    return socket


@routes.post("/logout")
async def log_out(request: web.Request) -> NoReturn:
    user = await login.get_user(request)
    (await web.get_session(request)).invalidate()
    await request.app[ROOM].drop(user)
    raise web.HTTPSeeOther("/login")


def make_app() -> web.Application:
    """Make the application, as the environment says: ``LOUNGE_DATABASE``, ``LOUNGE_SESSIONS``."""
    app = web.Application()
    app[DATABASE] = os.environ.get("LOUNGE_DATABASE", "lounge.db")
    app[ROOM] = Room()
    app.cleanup_ctx.append(open_users)
    web.setup_sessions(app, os.environ.get("LOUNGE_SESSIONS", "memory:"))
    setup_pages(app)
    app.add_routes(login.routes)
    app.add_routes(routes)
    return app
