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
from weakref import WeakSet

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
        # Of keys that have something: a lane that is empty is forgotten.
        self._lanes: dict[ConnectionKey, _Lane] = {}
        # Idle connections with when they became idle, the first one first.
        self._idle_since: dict[Connection, float] = {}
        self._busy: set[Connection] = set()
        # Of no use any more, and some of them not closed yet; what is closed nobody holds.
        self._lost: WeakSet[Connection] = WeakSet()
        self._places = 0
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
        return sum(len(lane.waiting) for lane in self._lanes.values())

    # Places.

    def _find_lane(self, key: ConnectionKey) -> _Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane(key)
        return lane

    def take_idle(self, key: ConnectionKey) -> Connection | None:
        """Take an idle connection and a place, if there are both."""
        lane = self._lanes.get(key)
        if lane is None or not lane.idle or not self._has_room(lane):
            return None
        connection = self._pop_idle(lane)
        if connection is not None:
            self._take_place(lane)
        return connection

    def pop_idle(self, key: ConnectionKey) -> Connection | None:
        """Take an idle connection, for a place that one has; of several the one used last."""
        return self._pop_idle(self._lanes[key])

    def _pop_idle(self, lane: _Lane) -> Connection | None:
        while lane.idle:
            connection = lane.idle.pop()
            since = self._idle_since.pop(connection)
            is_fresh = self._idle_seconds is None or self._loop.time() <= since + self._idle_seconds
            if is_fresh and connection.is_fit():
                self._busy.add(connection)
                return connection
            connection.close_idle(abort=True)
        self._forget_if_empty(lane)
        return None

    def take_place(self, key: ConnectionKey) -> bool:
        """Take a place for a new connection, if there is one; False where it has to be waited for."""
        lane = self._find_lane(key)
        if not self._has_room(lane):
            self._forget_if_empty(lane)
            return False
        self._take_place(lane)
        return True

    async def wait(self, key: ConnectionKey) -> None:
        """Wait for one's turn, and take the place.

        Raises:
            ClientConnectionError: the connector was closed.
        """
        self._ticket += 1
        lane = self._find_lane(key)
        waiter = _Waiter(lane, self._ticket, self._loop.create_future())
        lane.waiting[waiter] = None
        self._put_forward(lane)
        self._give_place()  # one may have become free since it was asked for
        try:
            await waiter.future
        except BaseException:
            self._leave_queue(waiter)
            raise
        if self._is_closed:
            self._free_place(lane)
            raise ClientConnectionError("the connector was closed while a request waited for a connection")

    def _leave_queue(self, waiter: _Waiter) -> None:
        if waiter not in waiter.lane.waiting:
            self._free_place(waiter.lane)  # it was given, and is not wanted any more
            return
        self._remove(waiter)
        self._forget_if_empty(waiter.lane)
        if len(self._first) > 2 * len(self._lanes) + _FEW:
            self._first = [first for first in self._first if first in first.lane.waiting]
            heapq.heapify(self._first)

    def _remove(self, waiter: _Waiter) -> None:
        """Take a waiter out of its queue, where another one may be the first then."""
        del waiter.lane.waiting[waiter]
        if waiter.lane.waiting:
            self._put_forward(waiter.lane)

    def _put_forward(self, lane: _Lane) -> None:
        """Let the first waiter of a key be found, if the key has room for it."""
        waiter = next(iter(lane.waiting))
        if not waiter.is_forward and self._has_room_of_key(lane):
            waiter.is_forward = True
            heapq.heappush(self._first, waiter)

    def _has_room(self, lane: _Lane) -> bool:
        if self._limit and self._places >= self._limit:
            return False
        return not self._limit_per_key or lane.places < self._limit_per_key

    def _has_room_of_key(self, lane: _Lane) -> bool:
        return not self._limit_per_key or lane.places < self._limit_per_key

    def _take_place(self, lane: _Lane) -> None:
        self._places += 1
        lane.places += 1

    def free_place(self, key: ConnectionKey) -> None:
        """Give a place back, to whoever waits longest of those who can have it."""
        self._free_place(self._lanes[key])

    def _free_place(self, lane: _Lane) -> None:
        self._places -= 1
        lane.places -= 1
        if lane.waiting:
            self._put_forward(lane)
        if self._first:
            self._give_place()
        self._forget_if_empty(lane)

    def _give_place(self) -> None:
        while self._first and (not self._limit or self._places < self._limit):
            waiter = heapq.heappop(self._first)
            waiter.is_forward = False
            lane = waiter.lane
            if waiter not in lane.waiting or not self._has_room_of_key(lane):
                continue
            self._take_place(lane)
            self._remove(waiter)
            # Where it is cancelled already, wait() gives the place back.
            if not waiter.future.done():
                waiter.future.set_result(None)

    def _forget_if_empty(self, lane: _Lane) -> None:
        if not (lane.idle or lane.places or lane.waiting):
            self._lanes.pop(lane.key, None)

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
        lane = self._lanes[connection.key]
        if self._idle_seconds == 0:
            connection.close_idle()
        else:
            lane.idle.append(connection)
            self._idle_since[connection] = self._loop.time()
            if self._timer is None and self._idle_seconds is not None:
                self._timer = self._loop.call_later(self._idle_seconds, self._expire)
        self._free_place(lane)

    def lose(self, connection: Connection) -> None:
        """Take note that a connection is closed, or begins to be."""
        if connection.transport is not None:
            self._lost.add(connection)
        if connection in self._busy:
            self._busy.discard(connection)
            self.free_place(connection.key)
        elif self._idle_since.pop(connection, None) is not None:
            lane = self._lanes[connection.key]
            lane.idle.remove(connection)
            self._forget_if_empty(lane)

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
        """Close everything, and turn away who waits; what is to be waited for until it is closed."""
        connections = self.connections
        closing = [connection for connection in self._lost if connection.transport is not None]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._is_closed = True
        self._first.clear()
        for lane in self._lanes.values():
            for waiter in lane.waiting:
                self._take_place(lane)  # which it gives back
                if not waiter.future.done():
                    waiter.future.set_result(None)
            lane.waiting.clear()
        for connection in connections:
            if connection in self._idle_since:
                connection.close_idle(abort=abort_ssl and connection.key.is_ssl)
            else:
                connection.close()
        return connections + closing


class _Lane:
    """What there is of one key."""

    __slots__ = ("idle", "key", "places", "waiting")

    def __init__(self, key: ConnectionKey) -> None:
        self.key = key
        #: The one used last is the last one.
        self.idle: list[Connection] = []
        self.places = 0
        #: In the order of arrival.
        self.waiting: OrderedDict[_Waiter, None] = OrderedDict()


class _Waiter:
    """Somebody who waits for a place; the ticket says since when."""

    __slots__ = ("future", "is_forward", "lane", "ticket")

    def __init__(self, lane: _Lane, ticket: int, future: asyncio.Future[None]) -> None:
        self.lane = lane
        self.ticket = ticket
        self.future = future
        #: Whether it is among those that a place may be given to.
        self.is_forward = False

    def __lt__(self, other: _Waiter) -> bool:
        return self.ticket < other.ticket
