"""What all sessions of an application share: storage, cookie, expiry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .cookie import SessionCookie
from .record import Record, Serializer
from .storage import AbstractStorage

#: Seconds without use after which a session is over: two weeks, Django's SESSION_COOKIE_AGE.
IDLE_SECONDS: Final = 14 * 86_400
#: Seconds after its beginning when a session is over, used or not: 30 days.
ABSOLUTE_SECONDS: Final = 30 * 86_400
#: How long a record is kept where nothing limits it: ten years.
_FOREVER_SECONDS: Final = 3650 * 86_400


@dataclass(frozen=True, slots=True)
class Settings:
    """What ``session_middleware`` was given; it documents them."""

    storage: AbstractStorage
    cookie: SessionCookie
    idle_seconds: int | None
    absolute_seconds: int | None
    read_only_when_down: bool
    serializer: Serializer

    def __post_init__(self) -> None:
        for name, seconds in (("idle_seconds", self.idle_seconds), ("absolute_seconds", self.absolute_seconds)):
            if seconds is not None and seconds < 1:
                raise ValueError(f"{name} is {seconds}, expected seconds from 1, or None for no limit")

    def has_expired(self, record: Record, now: int) -> bool:
        """Whether a session is over: it was not used for too long, began too long ago, or its cookie has expired."""
        return now >= record.seen + self.find_ttl(record, record.seen)

    def find_ttl(self, record: Record, now: int) -> int:
        """Find for how many seconds a record is to be kept."""
        ttl = _FOREVER_SECONDS if self.idle_seconds is None else self.idle_seconds
        if record.max_age is not None:
            ttl = min(ttl, record.max_age)
        if self.absolute_seconds is not None:
            ttl = min(ttl, record.created + self.absolute_seconds - now)
        return max(ttl, 1)
