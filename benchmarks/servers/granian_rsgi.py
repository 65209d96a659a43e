"""granian's bare RSGI interface: one worker, uvloop, logs off; no framework."""

from __future__ import annotations

from typing import Any, Final

from granian import Granian
from granian.constants import Interfaces, Loops

from benchmarks.servers.arguments import HELLO, read_arguments

HEADERS: Final = [("content-type", "text/plain; charset=utf-8")]


async def app(scope: Any, protocol: Any) -> None:
    protocol.response_str(200, HEADERS, HELLO)


if __name__ == "__main__":
    Granian(
        "benchmarks.servers.granian_rsgi:app",
        address="127.0.0.1",
        port=read_arguments(__doc__).port,
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        workers=1,
        backlog=4096,
        log_enabled=False,
        websockets=False,
    ).serve()
