"""The command line that every benchmarked server shares, and what they all answer."""

from __future__ import annotations

import argparse
import atexit
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: Applications that a server can be: each is measured in a process of its own, so that none slows another.
SHAPES: Final = (
    "plain",
    "middlewares",
    "subapp",
    "routes",
    "nested-routes",
    "compression",
    "signed-session",
    "encrypted-session",
    "files",
)
#: Dynamic routes in the shapes ``routes`` (``/r0/{id}``) and ``nested-routes`` (``/{tenant}/r0/{id}``).
ROUTES: Final = 2000
HELLO: Final = "Hello, World!"
#: A JSON body of 21 KiB, to be compressed.
REPORT: Final = [
    {
        "id": number,
        "name": f"user {number * 7919 % 1000}",
        "email": f"{number * 31337 % 100_000}@example.com",
        "score": number % 97,
    }
    for number in range(260)
]
#: The key of both servers' session cookies, and the user in them.
SESSION_KEY: Final = "YmVuY2htYXJrLWtleS1vZi10aGlydHktdHdvLWJ5dGU="
SESSION_USER: Final = "alice"
#: Size of one ``write`` of a streamed download, in bytes.
BLOCK_BYTES: Final = 65536
#: Sizes of the static files.
SMALL_FILE_BYTES: Final = 65536
LARGE_FILE_BYTES: Final = 100 * 2**20


@dataclass(frozen=True, slots=True)
class Arguments:
    """Where to listen, and what to be.

    Args:
        port: TCP port on 127.0.0.1.
        shape: one of ``SHAPES``.
    """

    port: int
    shape: str


def read_arguments(description: str) -> Arguments:
    """Read the command line.

    Args:
        description: what the server is, for ``--help``.

    Returns:
        The arguments.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--shape", choices=SHAPES, default="plain")
    given = parser.parse_args()
    return Arguments(given.port, given.shape)


def make_files() -> Path:
    """Make a folder with a small and a large file; it is gone when the server ends."""
    folder = tempfile.TemporaryDirectory(prefix="corelet-bench-")
    atexit.register(folder.cleanup)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    path = Path(folder.name)
    (path / "small.bin").write_bytes(bytes(SMALL_FILE_BYTES))
    with (path / "large.bin").open("wb") as file:
        for _ in range(LARGE_FILE_BYTES // 2**20):
            file.write(bytes(2**20))
    return path


def make_route_paths(shape: str) -> list[str]:
    """Make the route patterns of a shape.

    Args:
        shape: ``routes`` or ``nested-routes``.

    Returns:
        ``ROUTES`` patterns; the first and the last one are requested.
    """
    prefix = "/{tenant}" if shape == "nested-routes" else ""
    return [f"{prefix}/r{number}/{{id}}" for number in range(ROUTES)]
