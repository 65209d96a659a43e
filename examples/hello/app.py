"""A first application: a page, a path parameter, JSON and a response that is streamed.

Run it by ``python examples/hello/app.py``.
"""

from __future__ import annotations

import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from corelet import web

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
STARTED = web.AppKey("started", datetime)

routes = web.RouteTableDef()


@routes.get("/")
async def show_page(request: web.Request) -> web.Response:
    return web.Response(text=PAGE, content_type="text/html")


@routes.get("/hello/{name}")
async def greet(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {request.match_info['name']}!\n")


@routes.get("/status")
async def show_status(request: web.Request) -> web.Response:
    now = datetime.now(UTC)
    return web.json_response(
        {
            "time": now.isoformat(timespec="seconds"),
            "up_seconds": round((now - request.app[STARTED]).total_seconds(), 1),
            "python": platform.python_version(),
        }
    )


@routes.get("/count/{last:[0-9]+}")
async def count(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = "text/plain"
    await response.prepare(request)
    for number in range(1, min(int(request.match_info["last"]), 100) + 1):
        await response.write(f"{number}\n".encode())
        await asyncio.sleep(0.2)
    await response.write_eof()
    return response


async def note_start(app: web.Application) -> None:
    app[STARTED] = datetime.now(UTC)


def make_app() -> web.Application:
    """Put the application together."""
    app = web.Application()
    app.add_routes(routes)
    app.on_startup.append(note_start)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8080")))
