"""What the tests of examples/chat have in common: people with names, in rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL


class Person:
    """Somebody with a name and cookies of their own; close it at the end."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.session = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=aiohttp.ClientTimeout(total=30)
        )

    async def log_in(self, name: str) -> None:
        async with self.session.post(self.url / "login", data={"name": name}) as answer:
            assert answer.status == 200, await answer.text()
            self.id = (await answer.json())["id"]

    async def log_out(self) -> None:
        async with self.session.post(self.url / "logout") as answer:
            assert answer.status == 204, await answer.text()

    @asynccontextmanager
    async def enter(self, room: str = "lobby", *, at: URL | None = None) -> AsyncIterator[Seat]:
        """Enter a room, also at another process."""
        async with self.session.ws_connect((at or self.url) / "rooms" / room) as socket:
            seat = Seat(socket)
            await seat.wait_for("welcome")
            yield seat


class Seat:
    """A place in a room: what comes there, one event at a time."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        #: Names of those present, as far as it was told.
        self.present: list[str] = []

    async def say(self, text: Any) -> None:
        await self.socket.send_json({"text": text})

    async def take(self) -> dict[str, Any]:
        """Take the next event."""
        event: dict[str, Any] = await self.socket.receive_json(timeout=30)
        self.seen.append(event)
        if "users" in event:
            self.present = sorted(user["name"] for user in event["users"])
        return event

    async def wait_for(self, kind: str, **facts: Any) -> dict[str, Any]:
        """Wait for an event of a kind that has these facts."""
        while True:
            event = await self.take()
            if event["kind"] == kind and facts.items() <= event.items():
                return event

    async def wait_for_people(self, *names: str) -> None:
        """Wait until these are present."""
        while self.present != sorted(names):
            await self.take()

    async def wait_closed(self) -> int | None:
        """Wait until the server closes; the code."""
        async for _ in self.socket:
            pass
        return self.socket.close_code


@asynccontextmanager
async def people(url: URL, *names: str) -> AsyncIterator[list[Person]]:
    """Log people in."""
    them = [Person(url) for _ in names]
    try:
        for person, name in zip(them, names, strict=True):
            await person.log_in(name)
        yield them
    finally:
        for person in them:
            await person.session.close()
