"""Signing up and logging in."""

from __future__ import annotations

from typing import Final

from corelet import web

from .pages import render
from .users import USERS

MAX_NAME: Final = 32
MAX_PASSWORD: Final = 256

routes: Final = web.RouteTableDef()


async def get_user(request: web.Request) -> str:
    """Get the name of who asks; who has not logged in is sent to do so."""
    session = await web.get_session(request)
    if "user" not in session:
        raise web.HTTPSeeOther("/login")
    return str(session["user"])


@routes.get("/login")
async def show_form(request: web.Request) -> web.Response:
    return render(request, "login.html")


@routes.post("/login")
async def log_in(request: web.Request) -> web.Response:
    name, password = await read_form(request)
    if not await request.app[USERS].check(name, password):
        return refuse(request, "There is no such user with this password.")
    await let_in(request, name)
    raise web.HTTPSeeOther("/")


@routes.post("/signup")
async def sign_up(request: web.Request) -> web.Response:
    name, password = await read_form(request)
    if not (0 < len(name) <= MAX_NAME and 0 < len(password) <= MAX_PASSWORD):
        return refuse(request, f"A name has 1 to {MAX_NAME} characters, a password 1 to {MAX_PASSWORD}.")
    if not await request.app[USERS].add(name, password):
        return refuse(request, "This name is taken.")
    await let_in(request, name)
    raise web.HTTPSeeOther("/")


async def read_form(request: web.Request) -> tuple[str, str]:
    form = await request.post()
    return str(form.get("name", "")).strip(), str(form.get("password", ""))


async def let_in(request: web.Request, name: str) -> None:
    session = await web.get_session(request)
    session["user"] = name
    session.rotate()


def refuse(request: web.Request, why: str) -> web.Response:
    response = render(request, "login.html", why=why)
    response.set_status(403)
    return response
