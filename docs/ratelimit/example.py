"""An application that lets each peer ask a hundred times a minute."""

from __future__ import annotations

from corelet import web


async def hello(request: web.Request) -> web.Response:
    """Greet."""
    return web.Response(text="hello")


app = web.Application(handler=hello)
web.setup_rate_limit(app, requests=100, seconds=60)
