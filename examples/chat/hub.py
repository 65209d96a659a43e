"""The registry of open sockets: who is in which room, here and in other processes, and what goes to them."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from .bus import Bus, BusError, Event
from .member import LOGGED_OUT, TOO_MANY_MESSAGES, TOO_MANY_SOCKETS, Member, Pace
from .user import User

if TYPE_CHECKING:
    from .settings import Settings

logger: Final = logging.getLogger("chat")


class Hub:
    """What all sockets of a process share. Whatever happens is sent to the bus first, and shown when it comes back.

    Args:
        bus: to all processes and back.
        settings: the limits.
    """

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._settings = settings
        self._process = secrets.token_hex(4)
        self._rooms: defaultdict[str, list[Member]] = defaultdict(list)
        self._users: defaultdict[str, list[Member]] = defaultdict(list)
        self._paces: dict[str, Pace] = {}
        self._logged_out: dict[str, None] = {}
        self._recent: dict[str, deque[Event]] = {}
        #: Room -> process -> its users there, and when it said so.
        self._present: defaultdict[str, dict[str, tuple[list[User], float]]] = defaultdict(dict)

    # What members do.

    def join(self, member: Member) -> bool:
        """Take a member in; False where its user has logged out or has too many sockets, which closes it."""
        if self.is_logged_out(member.user):
            member.close(LOGGED_OUT, "logged out")
            return False
        sockets = self._users[member.user.id]
        if len(sockets) >= self._settings.max_sockets:
            member.close(TOO_MANY_SOCKETS, f"more than {self._settings.max_sockets} pages are open")
            return False
        sockets.append(member)
        self._rooms[member.room].append(member)
        self._paces.setdefault(member.user.id, Pace(self._settings.burst, self._settings.per_second))
        member.show(
            {
                "kind": "welcome",
                "you": member.user._asdict(),
                "room": member.room,
                "recent": list(self._recent.get(member.room, ())),
                "users": [user._asdict() for user in self._find_present(member.room)],
            }
        )
        return True

    async def leave(self, member: Member) -> None:
        """Let a member go."""
        self._rooms[member.room].remove(member)
        self._users[member.user.id].remove(member)
        if not self._users[member.user.id]:
            del self._users[member.user.id], self._paces[member.user.id]
        if not self._rooms[member.room]:
            del self._rooms[member.room]
        await self.say_present(member.room)

    async def speak(self, member: Member, text: object) -> None:
        """Send what a member says to its room, or tell the member why not."""
        refusal = self._find_refusal(member, text)
        if refusal:
            self._refuse(member, refusal, text)
            return
        event = {
            "kind": "message",
            "id": secrets.token_hex(8),
            "room": member.room,
            "user": member.user._asdict(),
            "text": text,
            "time": time.time(),
        }
        try:
            await self._bus.send(event)
        except BusError as error:
            logger.warning("a message was not sent: %s", error)
            self._refuse(member, "The message was not delivered. Try again in a moment.", text)

    def _refuse(self, member: Member, reason: str, text: object) -> None:
        """Tell a member why its text was not sent, and give it back."""
        member.show({"kind": "refused", "reason": reason, "text": text if isinstance(text, str) else ""})

    def _find_refusal(self, member: Member, text: object) -> str:
        limit = self._settings.max_text
        if not isinstance(text, str) or not text.strip():
            return "A message has some text."
        if len(text) > limit:
            return f"A message has at most {limit} characters; this one has {len(text)}."
        pace = self._paces[member.user.id]
        if pace.take():
            return ""
        if pace.refused > self._settings.max_refused:
            member.close(TOO_MANY_MESSAGES, "too many messages")
        return "Slow down a little: that message was not sent."

    async def log_out(self, user: User) -> None:
        """Close all sockets of a user, in all processes."""
        await self._bus.send({"kind": "logout", "user": user.id})

    def is_logged_out(self, user: User) -> bool:
        """Whether this user has logged out, so that a copy of the cookie is worth nothing."""
        return user.id in self._logged_out

    def count_rooms(self) -> dict[str, int]:
        """Count the users of each room that has some."""
        counts = {room: len(self._find_present(room)) for room in self._present}
        return {room: count for room, count in sorted(counts.items()) if count}

    # What comes from the bus.

    async def listen(self) -> None:
        """Show what comes from the bus, until cancelled."""
        await self._send_if_can({"kind": "who"})
        while True:
            event = await self._bus.receive()
            try:
                await self._take(event)
            except Exception:  # whatever came, the next event is listened to
                logger.exception("an event was not understood: %.200r", event)

    async def _take(self, event: Event) -> None:
        match event["kind"]:
            case "message":
                self._keep(event)
                self._show(event["room"], event)
            case "present":
                users = [User(*each) for each in event["users"]]
                self._set_present(event["room"], event["process"], users)
            case "who":
                await self.say_present(*self._rooms)
            case "logout":
                self.forget(event["user"])

    def forget(self, user_id: str) -> None:
        """Close all sockets of a user in this process, and refuse its cookie from now on."""
        self._logged_out[user_id] = None
        if len(self._logged_out) > self._settings.max_logged_out:
            del self._logged_out[next(iter(self._logged_out))]
        for member in self._users.get(user_id, ()):
            member.close(LOGGED_OUT, "logged out")

    def _keep(self, event: Event) -> None:
        room = event["room"]
        messages = self._recent.pop(room, None) or deque(maxlen=self._settings.recent)
        messages.append(event)
        self._recent[room] = messages  # at the end: the first one is quiet for longest
        if len(self._recent) > self._settings.max_rooms:
            del self._recent[next(iter(self._recent))]

    def _show(self, room: str, event: Event) -> None:
        text = json.dumps(event)
        for member in self._rooms.get(room, ()):
            member.show_text(text)

    # Presence. Each process says again and again who is in its rooms; nothing depends on one event coming through.

    async def keep_present(self) -> None:
        """Say who is here, and forget processes that say no more, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.presence_seconds)
            await self.say_present(*self._rooms)
            oldest = time.monotonic() - 3 * self._settings.presence_seconds
            for room in [*self._present]:
                for process, (_, then) in [*self._present[room].items()]:
                    if then < oldest:
                        self._set_present(room, process, [])

    async def say_present(self, *rooms: str) -> None:
        """Say who of this process is in these rooms."""
        for room in rooms:
            users = sorted({member.user for member in self._rooms.get(room, ())})
            await self._send_if_can({"kind": "present", "process": self._process, "room": room, "users": users})

    async def _send_if_can(self, event: Event) -> None:
        try:
            await self._bus.send(event)
        except BusError as error:
            logger.warning("presence was not sent, and will be in %s s: %s", self._settings.presence_seconds, error)

    def _set_present(self, room: str, process: str, users: Iterable[User]) -> None:
        before = self._find_present(room)
        users = list(users)
        if users:
            self._present[room][process] = users, time.monotonic()
        else:
            self._present[room].pop(process, None)
        after = self._find_present(room)
        if not self._present[room]:
            del self._present[room]
        if after != before:
            self._show(room, {"kind": "present", "users": [user._asdict() for user in after]})

    def _find_present(self, room: str) -> list[User]:
        return sorted({user for users, _ in self._present.get(room, {}).values() for user in users}, key=_by_name)


def _by_name(user: User) -> Any:
    return user.name.casefold(), user.id
