"""The pool of one connector: which connections are idle, which are busy, and who waits for one.

Every connection that is busy or being opened has a *place*. Places are limited, all together and for each key. Who
finds no place waits; a place that becomes free goes to whoever waits longest among those whose key has room, and never
to somebody who comes later.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from .errors import ClientConnectionError

if TYPE_CHECKING:
    from .connection import Connection
    from .connection_key import ConnectionKey

#: Seconds that the timer for idle connections may come too early.
_TIMER_STEP: Final = 0.002


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
        waiter = _Waiter(self._ticket, self._loop.create_future())
        queue = self._waiting.setdefault(key, OrderedDict())
        queue[waiter] = None
        try:
            await waiter.future
        except BaseException:
            self._leave_queue(key, queue, waiter)
            raise
        if self._is_closed:
            self.free_place(key)
            raise ClientConnectionError("the connector was closed while a request waited for a connection")

    def _leave_queue(self, key: ConnectionKey, queue: OrderedDict[_Waiter, None], waiter: _Waiter) -> None:
        if waiter not in queue:
            self.free_place(key)  # it was given, and is not wanted any more
            return
        del queue[waiter]
        if not queue:
            del self._waiting[key]

    def _has_room(self, key: ConnectionKey) -> bool:
        if self._limit and self._places >= self._limit:
            return False
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
            self._give_place()

    def _give_place(self) -> None:
        while (key := self._find_next()) is not None:
            queue = self._waiting[key]
            waiter, _ = queue.popitem(last=False)
            if not queue:
                del self._waiting[key]
            self._take_place(key)
            # Where it is cancelled already, wait() gives the place back.
            if not waiter.future.done():
                waiter.future.set_result(None)

    def _find_next(self) -> ConnectionKey | None:
        """Find the key with room whose first waiter came first."""
        if self._limit and self._places >= self._limit:
            return None
        fit = [key for key in self._waiting if self._has_room(key)]
        return min(fit, key=lambda key: next(iter(self._waiting[key])).ticket, default=None)

    # Connections.

    def add(self, connection: Connection) -> None:
        """Take note of a connection that was opened on a place."""
        self._busy.add(connection)
        self._evict()

    def _evict(self) -> None:
        """Close idle connections beyond the limit; they have no place, and cost the server one."""
        while self._limit and self._idle_since and self._places + len(self._idle_since) > self._limit:
            self._close_idle(next(iter(self._idle_since)))

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

    def _close_idle(self, connection: Connection) -> None:
        connection.close_idle(abort=connection.key.is_ssl)

    def _expire(self) -> None:
        """Close what was idle for too long."""
        self._timer = None
        assert self._idle_seconds is not None
        limit = self._loop.time() - self._idle_seconds + _TIMER_STEP
        for connection, since in list(self._idle_since.items()):
            if since > limit:
                self._timer = self._loop.call_at(since + self._idle_seconds, self._expire)
                return
            self._close_idle(connection)

    def close(self, *, abort_ssl: bool = False) -> list[Connection]:
        """Close everything, and turn away who waits; what was open, to wait until it is closed."""
        connections = self.connections
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_closed = True
        waiting, self._waiting = self._waiting, {}
        for key, queue in waiting.items():
            for waiter in list(queue):
                del queue[waiter]
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

    __slots__ = ("future", "ticket")

    def __init__(self, ticket: int, future: asyncio.Future[None]) -> None:
        self.ticket = ticket
        self.future = future
