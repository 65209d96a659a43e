"""The pool of one connector: which connections are idle, which are busy, and who waits for one.

Every connection that is busy or being opened has a *place*. Places are limited, all together and for each key. Who
finds no place waits; a place that becomes free goes to whoever waits longest among those whose key has room, and never
to somebody who comes later.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from .errors import ClientConnectionError

if TYPE_CHECKING:
    from .connection import Connection
    from .connection_key import ConnectionKey

#: Seconds that the timer for idle connections may come too early.
_TIMER_STEP: Final = 0.002
#: Waiters that may be out of date before anybody looks.
_FEW: Final = 64


class Pool:
    """Idle connections and places.

    Args:
        loop: the connector's.
        limit: places; 0 for no limit.
        limit_per_key: places for each key; 0 for no limit.
        idle_seconds: how long an idle connection is kept; 0 to keep none, None for ever.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, limit: int, limit_per_key: int, idle_seconds: float | None
    ) -> None:
        self._loop = loop
        self._limit = limit
        self._limit_per_key = limit_per_key
        self._idle_seconds = idle_seconds
        self._idle: dict[ConnectionKey, list[Connection]] = {}
        # All of them with when they became idle, the first one first.
        self._idle_since: dict[Connection, float] = {}
        self._busy: set[Connection] = set()
        self._places = 0
        self._places_of: dict[ConnectionKey, int] = {}
        self._waiting: dict[ConnectionKey, OrderedDict[_Waiter, None]] = {}
        # A heap: the first waiter of each key that has room. Others in it are out of date, and left out when met.
        self._first: list[_Waiter] = []
        self._ticket = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    # For inspection.

    @property
    def places(self) -> int:
        """Places that are taken."""
        return self._places

    @property
    def connections(self) -> list[Connection]:
        """Every open connection, busy and idle."""
        return [*self._busy, *self._idle_since]

    @property
    def idle_count(self) -> int:
        """Connections that are idle."""
        return len(self._idle_since)

    @property
    def waiting_count(self) -> int:
        """How many wait for a place."""
        return sum(map(len, self._waiting.values()))

    # Places.

    def take_idle(self, key: ConnectionKey) -> Connection | None:
        """Take an idle connection and a place, if there are both."""
        if key not in self._idle or not self._has_room(key):
            return None
        connection = self.pop_idle(key)
        if connection is not None:
            self._take_place(key)
        return connection

    def pop_idle(self, key: ConnectionKey) -> Connection | None:
        """Take an idle connection, for a place that one has; of several the one used last."""
        stack = self._idle.get(key)
        while stack:
            connection = stack.pop()
            if not stack:
                del self._idle[key]
            since = self._idle_since.pop(connection)
            is_fresh = self._idle_seconds is None or self._loop.time() <= since + self._idle_seconds
            if is_fresh and connection.is_fit():
                self._busy.add(connection)
                return connection
            connection.close_idle(abort=True)
        return None

    def take_place(self, key: ConnectionKey) -> bool:
        """Take a place for a new connection, if there is one; False where it has to be waited for."""
        if not self._has_room(key):
            return False
        self._take_place(key)
        return True

    async def wait(self, key: ConnectionKey) -> None:
        """Wait for one's turn, and take the place.

        Raises:
            ClientConnectionError: the connector was closed.
        """
        self._ticket += 1
        waiter = _Waiter(key, self._ticket, self._loop.create_future())
        self._waiting.setdefault(key, OrderedDict())[waiter] = None
        self._put_forward(key)
        try:
            await waiter.future
        except BaseException:
            self._leave_queue(waiter)
            raise
        if self._is_closed:
            self.free_place(key)
            raise ClientConnectionError("the connector was closed while a request waited for a connection")

    def _leave_queue(self, waiter: _Waiter) -> None:
        if waiter not in self._waiting.get(waiter.key, ()):
            self.free_place(waiter.key)  # it was given, and is not wanted any more
            return
        self._remove(waiter)
        if len(self._first) > 2 * len(self._waiting) + _FEW:
            self._first = [first for first in self._first if first in self._waiting.get(first.key, ())]
            heapq.heapify(self._first)

    def _remove(self, waiter: _Waiter) -> None:
        """Take a waiter out of its queue, where another one may be the first then."""
        queue = self._waiting[waiter.key]
        del queue[waiter]
        if queue:
            self._put_forward(waiter.key)
        else:
            del self._waiting[waiter.key]

    def _put_forward(self, key: ConnectionKey) -> None:
        """Let the first waiter of a key be found, if the key has room for it."""
        waiter = next(iter(self._waiting[key]))
        if not waiter.is_forward and self._has_room_of_key(key):
            waiter.is_forward = True
            heapq.heappush(self._first, waiter)

    def _has_room(self, key: ConnectionKey) -> bool:
        if self._limit and self._places >= self._limit:
            return False
        return not self._limit_per_key or self._places_of.get(key, 0) < self._limit_per_key

    def _has_room_of_key(self, key: ConnectionKey) -> bool:
        return not self._limit_per_key or self._places_of.get(key, 0) < self._limit_per_key

    def _take_place(self, key: ConnectionKey) -> None:
        self._places += 1
        if self._limit_per_key:
            self._places_of[key] = self._places_of.get(key, 0) + 1

    def free_place(self, key: ConnectionKey) -> None:
        """Give a place back, to whoever waits longest of those who can have it."""
        self._places -= 1
        if self._limit_per_key:
            left = self._places_of[key] - 1
            if left:
                self._places_of[key] = left
            else:
                del self._places_of[key]
        if self._waiting:
            if key in self._waiting:
                self._put_forward(key)
            self._give_place()

    def _give_place(self) -> None:
        while self._first and (not self._limit or self._places < self._limit):
            waiter = heapq.heappop(self._first)
            waiter.is_forward = False
            key = waiter.key
            if waiter not in self._waiting.get(key, ()) or not self._has_room_of_key(key):
                continue
            self._take_place(key)
            self._remove(waiter)
            # Where it is cancelled already, wait() gives the place back.
            if not waiter.future.done():
                waiter.future.set_result(None)

    # Connections.

    def add(self, connection: Connection) -> None:
        """Take note of a connection that was opened on a place."""
        self._busy.add(connection)
        self._evict()

    def _evict(self) -> None:
        """Close idle connections beyond the limit; they have no place, and cost the server one."""
        while self._limit and self._idle_since and self._places + len(self._idle_since) > self._limit:
            next(iter(self._idle_since)).close_idle()

    def free(self, connection: Connection) -> None:
        """Take a connection back that another exchange may use."""
        self._busy.discard(connection)
        key = connection.key
        if self._idle_seconds == 0:
            connection.close_idle()
        else:
            self._idle.setdefault(key, []).append(connection)
            self._idle_since[connection] = self._loop.time()
            if self._timer is None and self._idle_seconds is not None:
                self._timer = self._loop.call_later(self._idle_seconds, self._expire)
        self.free_place(key)

    def lose(self, connection: Connection) -> None:
        """Take note that a connection is closed."""
        if connection in self._busy:
            self._busy.discard(connection)
            self.free_place(connection.key)
        elif self._idle_since.pop(connection, None) is not None:
            stack = self._idle[connection.key]
            stack.remove(connection)
            if not stack:
                del self._idle[connection.key]

    def _expire(self) -> None:
        """Close what was idle for too long."""
        self._timer = None
        assert self._idle_seconds is not None
        limit = self._loop.time() - self._idle_seconds + _TIMER_STEP
        for connection, since in list(self._idle_since.items()):
            if since > limit:
                self._timer = self._loop.call_at(since + self._idle_seconds, self._expire)
                return
            connection.close_idle()

    def close(self, *, abort_ssl: bool = False) -> list[Connection]:
        """Close everything, and turn away who waits; what was open, to wait until it is closed."""
        connections = self.connections
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_closed = True
        waiting, self._waiting = self._waiting, {}
        self._first.clear()
        for key, queue in waiting.items():
            for waiter in queue:
                self._take_place(key)  # which it gives back
                if not waiter.future.done():
                    waiter.future.set_result(None)
        for connection in connections:
            if connection in self._idle_since:
                connection.close_idle(abort=abort_ssl and connection.key.is_ssl)
            else:
                connection.close()
        return connections


class _Waiter:
    """Somebody who waits for a place; the ticket says since when."""

    __slots__ = ("future", "is_forward", "key", "ticket")

    def __init__(self, key: ConnectionKey, ticket: int, future: asyncio.Future[None]) -> None:
        self.key = key
        self.ticket = ticket
        self.future = future
        #: Whether it is among those that a place may be given to.
        self.is_forward = False

    def __lt__(self, other: _Waiter) -> bool:
        return self.ticket < other.ticket
