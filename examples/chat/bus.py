"""Where events go and come from: one process alone, or Redis between several."""

from __future__ import annotations

import asyncio
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import PubSub

logger: Final = logging.getLogger("chat")

Event = dict[str, Any]


class BusError(Exception):
    """An event could not be sent."""


class Bus(ABC):
    """Every event that a process sends comes to all processes, also to itself, in one order for all."""

    @abstractmethod
    async def send(self, event: Event) -> None:
        """Send an event; BusError where that can't be done now."""

    @abstractmethod
    async def receive(self) -> Event:
        """Wait for the next event. Those sent while Redis was away are lost."""


class LocalBus(Bus):
    """The bus of a process alone."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event] = asyncio.Queue(maxsize=1000)

    async def send(self, event: Event) -> None:
        try:
            self._events.put_nowait(event)
        except asyncio.QueueFull:
            raise BusError(f"{self._events.qsize():,} events are waiting") from None

    async def receive(self) -> Event:
        return await self._events.get()


class RedisBus(Bus):
    """The bus of several processes: one channel of Redis."""

    CHANNEL: Final = "corelet:chat"
    #: Pauses between attempts to reach Redis again, in seconds.
    PAUSES: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)

    #: Seconds that Redis gets to take an event.
    SEND_SECONDS: Final = 5.0

    def __init__(self, client: Redis, subscription: PubSub) -> None:
        self._client = client
        self._subscription = subscription

    async def send(self, event: Event) -> None:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self.SEND_SECONDS):
                receivers = await self._client.publish(self.CHANNEL, json.dumps(event))
        except TimeoutError:
            raise BusError(f"Redis has not answered for {self.SEND_SECONDS} s") from None
        except (RedisError, OSError) as error:
            raise BusError(str(error)) from error
        if not receivers:  # not even this process: Redis is back, and the subscription is not yet
            raise BusError("nobody listens to Redis")

    async def receive(self) -> Event:
        from redis.exceptions import RedisError

        failures = 0
        while True:
            try:
                message = await self._subscription.get_message(ignore_subscribe_messages=True, timeout=None)
            except (RedisError, OSError) as error:
                pause = self.PAUSES[min(failures, len(self.PAUSES) - 1)]
                failures += 1
                logger.warning("Redis can't be reached, trying again in %s s: %s", pause, error)
                await asyncio.sleep(pause)
                continue
            failures = 0
            event = None if message is None else _read_event(message["data"])
            if event is not None:
                return event


def _read_event(data: Any) -> Event | None:
    """Read an event; None, and a line in the log, where somebody else has written to the channel."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        event = None
    if isinstance(event, dict) and isinstance(event.get("kind"), str):
        return event
    logger.warning("something that is no event came from Redis: %.100r", data)
    return None


@asynccontextmanager
async def open_bus(redis_url: str) -> AsyncIterator[Bus]:
    """Open the bus of a process.

    Args:
        redis_url: of Redis; empty for a process alone.

    Raises:
        RuntimeError: the package ``redis`` is not installed.
        redis.exceptions.RedisError: Redis can't be reached.
    """
    if not redis_url:
        yield LocalBus()
        return
    try:
        from redis import asyncio as redis
    except ImportError:
        raise RuntimeError("REDIS_URL is set and the package redis is missing: pip install redis") from None
    async with redis.from_url(redis_url) as client, client.pubsub() as subscription:
        await subscription.subscribe(RedisBus.CHANNEL)
        yield RedisBus(client, subscription)
