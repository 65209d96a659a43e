"""One open socket of a user in a room, with what waits to be written to it; and how fast a user may speak."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final

from corelet import web

if TYPE_CHECKING:
    from .user import User

#: Why sockets are closed. Source: RFC 6455 section 7.4.2, codes for private use.
LOGGED_OUT: Final = 4001
TOO_MANY_SOCKETS: Final = 4002
TOO_MANY_MESSAGES: Final = 4003
TOO_SLOW: Final = 4004


class Member:
    """A user's socket in a room. A slow reader keeps nobody waiting: what it can't take in time closes it.

    Args:
        user: whose socket it is.
        room: the room's name.
        socket: a WebSocket that was prepared.
        max_waiting: events that may wait for it.
    """

    def __init__(self, user: User, room: str, socket: web.WebSocketResponse, max_waiting: int) -> None:
        self.user = user
        self.room = room
        self.socket = socket
        self._waiting: asyncio.Queue[str] = asyncio.Queue(max_waiting)
        self._closing: asyncio.Task[Any] | None = None

    def show(self, event: dict[str, Any]) -> None:
        """Send an event to the page, in turn; at once for the caller."""
        self.show_text(json.dumps(event))

    def show_text(self, text: str) -> None:
        """Send an event that is JSON already."""
        try:
            self._waiting.put_nowait(text)
        except asyncio.QueueFull:
            self.close(TOO_SLOW, "too slow")

    async def write(self) -> None:
        """Write what waits, until the socket is lost."""
        while True:
            text = await self._waiting.get()
            try:
                await self.socket.send_str(text)
            except ConnectionResetError:
                return

    def close(self, code: int, reason: str) -> None:
        """Close the socket, without waiting for it."""
        if self._closing is None:
            self._closing = asyncio.create_task(self.socket.close(code=code, message=reason))

    async def wait_closed(self) -> None:
        """Wait until a close that was begun has ended."""
        if self._closing is not None:
            await self._closing


class Pace:
    """How fast a user may speak: a bucket that fills as time passes, and that each message takes from.

    Args:
        burst: messages at once.
        per_second: messages a second in the long run.
    """

    def __init__(self, burst: int, per_second: float) -> None:
        self._burst = burst
        self._per_second = per_second
        self._left = float(burst)
        self._then = time.monotonic()
        #: Messages that came too fast.
        self.refused = 0

    def take(self) -> bool:
        """Take one message; False where it comes too fast."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._then) * self._per_second)
        self._then = now
        if self._left < 1:
            self.refused += 1
            return False
        self._left -= 1
        return True
