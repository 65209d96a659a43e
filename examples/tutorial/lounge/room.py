"""The room: who is there, and what goes to them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Final

from corelet import web


class Room:
    """The open sockets, each with its user, and the last messages for those who come."""

    def __init__(self) -> None:
        self._members: dict[web.WebSocketResponse, str] = {}
        self._said: deque[str] = deque(maxlen=50)

    async def talk(self, socket: web.WebSocketResponse, user: str) -> None:
        """Hand on what a user says, until the socket is closed."""
        for line in self._said:
            await socket.send_str(line)
        self._members[socket] = user
        try:
            async for message in socket:
                if message.type is web.WSMsgType.TEXT and message.data.strip():
                    await self._say(json.dumps({"user": user, "text": message.data}))
        finally:
            del self._members[socket]

    async def drop(self, user: str) -> None:
        """Close the sockets of a user."""
        sockets = [socket for socket, owner in self._members.items() if owner == user]
        await asyncio.gather(*(socket.close(code=1008, message=b"logged out") for socket in sockets))

    async def _say(self, line: str) -> None:
        self._said.append(line)
        await asyncio.gather(*(self._send(socket, line) for socket in self._members))

    async def _send(self, socket: web.WebSocketResponse, line: str) -> None:
        try:
            async with asyncio.timeout(5):
                await socket.send_str(line)
        except TimeoutError:
            await socket.close(code=1008, message=b"too slow")
        except ConnectionResetError:
            pass  # it is being closed, and its own handler notices


ROOM: Final = web.AppKey("room", Room)
