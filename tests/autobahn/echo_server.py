"""The server under Autobahn's fuzzing client: echoes on 127.0.0.1, on the port that it is given."""

from __future__ import annotations

import sys

from corelet import web

#: The suite sends messages of 16 MiB.
MAX_MSG_SIZE = 16 * 2**20


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    ws = web.WebSocketResponse(max_msg_size=MAX_MSG_SIZE)
    await ws.prepare(request)
    async for message in ws:
        if message.type is web.WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is web.WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


if __name__ == "__main__":
    web.run_app(web.Application(handler=echo), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
