"""What the tests of mounted applications have in common."""

from __future__ import annotations

from typing import Any

from corelet import web
from tests.conftest import Connect, Served
from tests.raw_client import Answer


def say(text: str) -> Any:
    """Make a handler that answers a text."""

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=text)

    return handler


def make_app(routes: dict[str, str] | None = None, **kwargs: Any) -> web.Application:
    """Make an application that answers GET by a text for each path; ``name`` is its name in its state."""
    name = kwargs.pop("name", None)
    app = web.Application(**kwargs)
    if name is not None:
        app["name"] = name
    for path, text in (routes or {}).items():
        app.router.add_get(path, say(text))
    return app


async def ask(
    connect: Connect,
    served: Served,
    target: str,
    method: str = "GET",
    host: str = "a",
    fields: str = "",
    body: str = "",
) -> Answer:
    """Send one request on a connection of its own."""
    client = await connect(served)
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    await client.send(f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{fields}{length}\r\n{body}")
    return await client.read_answer(is_head=method == "HEAD")
