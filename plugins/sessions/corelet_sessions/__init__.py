"""Sessions for corelet, public in ``corelet.web``; ``setup`` is ``setup_sessions`` under aiohttp_session's name."""

from __future__ import annotations

from .cookie import SessionCookie
from .cookie_storage import EncryptedCookieStorage, SignedCookieStorage, SimpleCookieStorage
from .memcached_storage import MemcachedStorage
from .memory_storage import InMemoryStorage
from .middleware import get_session, new_session, save_session, session_middleware, setup_sessions
from .middleware import setup as setup
from .redis_storage import RedisStorage
from .session import Session, SessionLostError
from .storage import AbstractStorage, SessionConflictError, SessionStorageError, SessionTooLargeError

__all__ = [
    "AbstractStorage",
    "EncryptedCookieStorage",
    "InMemoryStorage",
    "MemcachedStorage",
    "RedisStorage",
    "Session",
    "SessionConflictError",
    "SessionCookie",
    "SessionLostError",
    "SessionStorageError",
    "SessionTooLargeError",
    "SignedCookieStorage",
    "SimpleCookieStorage",
    "get_session",
    "new_session",
    "save_session",
    "session_middleware",
    "setup_sessions",
]
