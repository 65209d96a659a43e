"""The command line that every benchmarked server shares, and what they all answer."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Final

#: Applications that a server can be: each is measured in a process of its own, so that none slows another.
SHAPES: Final = ("plain", "middlewares", "subapp", "routes", "nested-routes")
#: Dynamic routes in the shapes ``routes`` (``/r0/{id}``) and ``nested-routes`` (``/{tenant}/r0/{id}``).
ROUTES: Final = 2000
HELLO: Final = "Hello, World!"
#: Size of one ``write`` of a streamed download, in bytes.
BLOCK_BYTES: Final = 65536


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


def make_route_paths(shape: str) -> list[str]:
    """Make the route patterns of a shape.

    Args:
        shape: ``routes`` or ``nested-routes``.

    Returns:
        ``ROUTES`` patterns; the first and the last one are requested.
    """
    prefix = "/{tenant}" if shape == "nested-routes" else ""
    return [f"{prefix}/r{number}/{{id}}" for number in range(ROUTES)]
