"""Answer every request by 200 and what was read of it, as JSON: what the raw cases are judged by.

usage: echo_server.py [PORT]; prints the port that it listens on, and runs until SIGTERM. ``CORELET_NO_EXTENSIONS=1``
takes the wire in plain Python; ``CORELET_TEST_LOOP=uvloop`` the other loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import sys
from typing import Any

from corelet.app import Application
from corelet.response import Response, json_response
from corelet.serving import run_app


async def echo(request: Any) -> Response:
    """Tell what was read of a request."""
    body = await request.read()
    return json_response(
        {
            "method": request.method,
            "path": request.raw_path,
            "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.raw_headers],
            "body_len": len(body),
            "body_sha1": hashlib.sha1(body).hexdigest(),
        }
    )


def make_loop() -> asyncio.AbstractEventLoop:
    """Make the loop that the environment names."""
    if os.environ.get("CORELET_TEST_LOOP") == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


def main() -> None:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0))
    sock.listen(128)
    sys.stdout.write(f"{sock.getsockname()[1]}\n")
    sys.stdout.flush()
    run_app(Application(handler=echo, plugins=[]), sock=sock, print=None, loop=make_loop())


if __name__ == "__main__":
    main()
