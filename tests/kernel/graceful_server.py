"""Serve until a signal, for tests that stop a whole process.

usage: graceful_server.py [--loop asyncio|uvloop] [--shutdown-timeout S] [--tls CERTIFICATE KEY]

``/?seconds=S`` answers after S seconds, ``/stream?seconds=S`` in ten pieces over S seconds. Each step of a clean end is
printed as a line.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import ssl
from typing import Any

from corelet.app import Application
from corelet.response import Response, StreamResponse
from corelet.serving import run_app

say = functools.partial(print, flush=True)


async def answer(request: Any) -> StreamResponse:
    """Answer late, at once or in pieces."""
    seconds = float(request.query.get("seconds", 0))
    if request.path == "/stream":
        return await stream(request, seconds)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        say("cancelled")
        raise
    return Response(text="done")


async def stream(request: Any, seconds: float) -> StreamResponse:
    response = StreamResponse()
    await response.prepare(request)
    for _ in range(10):
        await asyncio.sleep(seconds / 10)
        await response.write(b"piece\n")
    return response


async def say_shutdown(app: Application) -> None:
    say("on_shutdown")


async def say_cleanup(app: Application) -> None:
    say("on_cleanup")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", default="asyncio", choices=["asyncio", "uvloop"])
    parser.add_argument("--shutdown-timeout", type=float, default=60.0)
    parser.add_argument("--tls", nargs=2)
    options = parser.parse_args()
    app = Application(handler=answer, plugins=[])
    app.on_shutdown.append(say_shutdown)
    app.on_cleanup.append(say_cleanup)
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*options.tls)
    loop = asyncio.new_event_loop()
    if options.loop == "uvloop":
        import uvloop

        loop.close()
        loop = uvloop.new_event_loop()
    run_app(
        app,
        host="127.0.0.1",
        port=0,
        shutdown_timeout=options.shutdown_timeout,
        ssl_context=context,
        loop=loop,
        print=say,
    )
    say("ended")


if __name__ == "__main__":
    main()
