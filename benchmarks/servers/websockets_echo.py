"""websockets on uvloop."""

from __future__ import annotations

import asyncio

import uvloop
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.servers.arguments import Arguments, read_arguments


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def run(arguments: Arguments) -> None:
    async with serve(echo, "127.0.0.1", arguments.port, backlog=4096):
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(read_arguments(__doc__)))
