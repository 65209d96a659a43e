"""The sessions plugin: its hook for storages, and its own storages."""

from __future__ import annotations

from typing import Any

from corelet import hookimpl

from . import hookspecs
from .memcached_storage import MemcachedStorage
from .memory_storage import InMemoryStorage
from .redis_storage import RedisStorage


@hookimpl
def corelet_add_hookspecs(manager: Any) -> None:
    """Add the hooks of hookspecs.py."""
    manager.add_hookspecs(hookspecs)


@hookimpl
def corelet_sessions_storages(registry: Any) -> None:
    """Register the storages on servers: redis:, rediss:, unix:, memcached: and memory:."""
    for scheme in ("redis", "rediss", "unix"):
        registry.add(scheme, RedisStorage)
    registry.add("memcached", MemcachedStorage)
    registry.add("memory", _make_memory_storage)


def _make_memory_storage(url: str) -> InMemoryStorage:
    return InMemoryStorage()
