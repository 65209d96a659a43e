"""The client under Autobahn's fuzzing server: runs all cases that it has, and asks for its report."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from corelet import WSMsgType
from tests.autobahn.echo_server import MAX_MSG_SIZE
from tests.websocket.opener import open_websocket


async def run_case(port: int, number: int, agent: str) -> None:
    ws = await open_websocket(port, f"/runCase?case={number}&agent={agent}", compress=15, max_msg_size=MAX_MSG_SIZE)
    async with ws:
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                await ws.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await ws.send_bytes(message.data)


async def main() -> None:
    port, agent = int(sys.argv[1]), sys.argv[2]
    async with await open_websocket(port, "/getCaseCount") as ws:
        count = int(await ws.receive_str())
    for number in range(1, count + 1):
        await run_case(port, number, agent)
    async with await open_websocket(port, f"/updateReports?agent={agent}") as ws:
        await ws.receive()


def find_runner() -> Callable[[Any], None]:
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    return uvloop.run


if __name__ == "__main__":
    find_runner()(main())
