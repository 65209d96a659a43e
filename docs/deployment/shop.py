"""The application that docs/deployment.md serves: behind a proxy that it trusts."""

from __future__ import annotations

import asyncio

from corelet import web


@web.middleware
async def trust_proxy(request: web.Request, handler: web.Handler) -> web.StreamResponse:
    """Take from the proxy who the peer is and what it speaks: nobody else can reach the socket."""
    fields = request.headers
    if "X-Forwarded-Proto" in fields and "X-Real-IP" in fields:
        request = request.clone(scheme=fields["X-Forwarded-Proto"], remote=fields["X-Real-IP"])
    response: web.StreamResponse = await handler(request)
    return response


async def show(request: web.Request) -> web.Response:
    """Say who asked, and how."""
    return web.json_response({"scheme": request.scheme, "host": request.host, "remote": request.remote})


async def talk(request: web.Request) -> web.StreamResponse:
    """Send back what comes, to pages of this host."""
    ws = web.WebSocketResponse(origins=["self"])
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(str(message.data))
    return ws


async def stream(request: web.Request) -> web.StreamResponse:
    """Send events as they happen; nginx hands them on at once."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    await response.prepare(request)
    for number in range(3):
        await response.write(f"data: {number}\n\n".encode())
        await asyncio.sleep(0.05)
    return response


async def check_health(request: web.Request) -> web.Response:
    """Answer who asks whether this process serves; ask the database here as well, if nothing works without it."""
    return web.json_response({"status": "ok"})


app = web.Application(middlewares=[trust_proxy])
app.router.add_get("/", show)
app.router.add_get("/talk", talk)
app.router.add_get("/events", stream)
app.router.add_get("/health", check_health)
