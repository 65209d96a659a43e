"""picows on uvloop: echoes by callbacks, no HTTP beside the handshake."""

from __future__ import annotations

import asyncio

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

from benchmarks.servers.arguments import Arguments, read_arguments


class Echo(WSListener):  # type: ignore[misc,unused-ignore]  # has no types where it is not installed
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
        else:
            transport.send(frame.msg_type, frame.get_payload_as_memoryview())


async def serve(arguments: Arguments) -> None:
    server = await ws_create_server(lambda request: Echo(), "127.0.0.1", arguments.port, backlog=4096)
    async with server:
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(read_arguments(__doc__)))
