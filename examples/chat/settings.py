"""What can be set, by environment variables, and every limit with its default."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of the chat.

    Args:
        redis_url: where events go between processes, ``redis://host:port``; empty for one process alone.
        secret: signs cookies; the same in all processes. A new one for each start, unless given.
        origins: origins whose pages may connect, besides the application's own.
        max_text: characters of a message.
        max_frame: bytes of a WebSocket message, which holds one.
        max_sockets: open sockets of one user.
        burst: messages that a user may send at once.
        per_second: messages a second that a user may send in the long run.
        max_refused: messages above that until the user's socket is closed.
        max_waiting: events that may wait for a slow socket until it is closed.
        recent: messages of a room that are kept for those who join later.
        max_rooms: rooms whose messages are kept; the one that was quiet for longest goes first.
        max_logged_out: users that have logged out whose cookies are refused, the latest.
        presence_seconds: how often a process says who is in its rooms; one that said nothing for three times as long is
            taken for gone.
        heartbeat_seconds: silence of a socket until it is pinged.
    """

    redis_url: str = ""
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    origins: tuple[str, ...] = ()
    max_text: int = 500
    max_frame: int = 8192
    max_sockets: int = 8
    burst: int = 8
    per_second: float = 1.5
    max_refused: int = 20
    max_waiting: int = 64
    recent: int = 50
    max_rooms: int = 1000
    max_logged_out: int = 10_000
    presence_seconds: float = 10.0
    heartbeat_seconds: float = 20.0


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read ``REDIS_URL``, ``CHAT_SECRET`` and ``CHAT_ORIGINS``, which are separated by commas.

    Raises:
        ValueError: the secret can be guessed.
    """
    redis_url, secret = environ.get("REDIS_URL", ""), environ.get("CHAT_SECRET", "")
    if secret and len(secret) < 16:
        raise ValueError(f"CHAT_SECRET has {len(secret)} characters, expected 16 or more: openssl rand -hex 32")
    origins = tuple(each.strip() for each in environ.get("CHAT_ORIGINS", "").split(",") if each.strip())
    if secret:
        return Settings(redis_url=redis_url, secret=secret.encode(), origins=origins)
    return Settings(redis_url=redis_url, origins=origins)
