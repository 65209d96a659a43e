"""Sessions in memcached, by ``emcache``."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from .storage import (
    MAX_TOKEN_CHARACTERS,
    AbstractStorage,
    SessionConflictError,
    SessionStorageError,
    SessionTooLargeError,
)

#: Bytes of a record: what memcached takes unless it was started with another ``-I``, less some for the key.
MAX_RECORD_BYTES: Final = 1_048_576 - 512
#: How often a record is replaced anew where others have written what was there before.
MAX_TRIES: Final = 20
#: Seconds that closing may take, for each server, before it is insisted on.
CLOSE_SECONDS: Final = 0.5
#: From here memcached takes a number of seconds for a date.
_MONTH_SECONDS: Final = 30 * 86_400
_PORT: Final = 11_211
_match_address: Final = re.compile(
    r"(memcached://)?(?P<host>\[[0-9a-f:.]+\]|[^][:/@\s]+)(:(?P<port>[0-9]{1,5}))?/?", re.IGNORECASE
).fullmatch


class MemcachedStorage(AbstractStorage):
    """Keep sessions in memcached. Needs ``emcache``.

    memcached drops what it has no room for, so sessions may end early. Records are kept under a hash of their token and
    replaced by compare-and-set: no update is lost. A memcached that can't be reached is a SessionStorageError.

    Args:
        servers: addresses like ``memcached://host:11211`` or ``host:11211``, or just one; keys are spread over them. Or
            an ``emcache.Client`` of your own, which you close yourself.
        prefix: of all keys.

    Raises:
        ModuleNotFoundError: emcache is not installed.
    """

    def __init__(self, servers: Any, *, prefix: str = "session:") -> None:
        try:
            import emcache
        except ModuleNotFoundError as exc:
            raise ModuleNotFoundError(
                "MemcachedStorage needs emcache: pip install corelet-sessions[memcached]", name=exc.name
            ) from exc
        self._emcache: Any = emcache
        self._owns_client = isinstance(servers, str | list | tuple)
        self._addresses = _read_addresses(emcache, servers) if self._owns_client else []
        self._client: Any = None if self._owns_client else servers
        self._client_lock = asyncio.Lock()
        self._prefix = prefix
        self._running: set[asyncio.Future[Any]] = set()

    async def load(self, token: str) -> bytes | None:
        if len(token) > MAX_TOKEN_CHARACTERS:
            return None
        async with self._reach() as client:
            item = await self._finish(client.get(self._make_key(token)))
        return None if item is None else item.value

    async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
        if len(record) > MAX_RECORD_BYTES:
            raise SessionTooLargeError(f"the session has {len(record):,} bytes, memcached takes {MAX_RECORD_BYTES:,}")
        token = token or self.make_token()
        key = self._make_key(token)
        # Its clock ticks once a second: the last second may end at once.
        seconds = ttl + 1
        exptime = seconds if seconds < _MONTH_SECONDS else int(time.time()) + seconds
        async with self._reach() as client:
            item = await self._finish(client.gets(key))
            for _ in range(MAX_TRIES):
                found = None if item is None else item.value
                if found != expected:
                    raise SessionConflictError(found)
                try:
                    await self._finish(_make_replacement(client, key, item, record, exptime))
                except self._emcache.StorageCommandError:
                    last, item = item, await self._finish(client.gets(key))
                    # Nobody was faster: memcached has no room, or refuses the size.
                    if (item and item.cas) == (last and last.cas):
                        raise
                else:
                    return token
        raise SessionConflictError(expected)

    async def delete(self, token: str) -> None:
        async with self._reach() as client:
            try:
                await self._finish(client.delete(self._make_key(token)))
            except self._emcache.NotFoundCommandError:
                return

    async def _finish(self, command: Coroutine[Any, Any, Any]) -> Any:
        """Await a command that goes on where who waits is cancelled: emcache fails for an answer that nobody wants."""
        running = asyncio.ensure_future(command)
        self._running.add(running)
        running.add_done_callback(self._drop)
        return await asyncio.shield(running)

    def _drop(self, running: asyncio.Future[Any]) -> None:
        self._running.discard(running)
        if not running.cancelled():
            running.exception()  # seen, also where nobody waits any more: else asyncio logs it

    async def close(self) -> None:
        if self._running:  # each ends within emcache's own timeout
            await asyncio.wait(self._running)
        if self._owns_client and self._client is not None:
            client, self._client = self._client, None
            closing = asyncio.ensure_future(client.close())
            # The task that opens connections to a server can miss that it is cancelled; it is cancelled again then.
            while not (await asyncio.wait([closing], timeout=CLOSE_SECONDS))[0]:
                closing.cancel()
            await closing

    def _make_key(self, token: str) -> bytes:
        return (self._prefix + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()).encode()

    @asynccontextmanager
    async def _reach(self) -> AsyncIterator[Any]:
        """Give the client, made when first needed; what it says of a server that is away becomes one error."""
        try:
            if self._client is None:
                await self._make_client()
            yield self._client
        except (OSError, TimeoutError, self._emcache.CommandError, self._emcache.ClusterNoAvailableNodes) as exc:
            raise SessionStorageError(f"memcached can't be asked for sessions: {type(exc).__name__}: {exc}") from exc

    async def _make_client(self) -> None:
        async with self._client_lock:
            if self._client is None:
                self._client = await self._emcache.create_client(self._addresses)


def _make_replacement(client: Any, key: bytes, item: Any, record: bytes, exptime: int) -> Coroutine[Any, Any, Any]:
    """Make the command that keeps a record where the item is, or none; it fails where another one is by then."""
    if item is None:
        return client.add(key, record, exptime=exptime)  # type: ignore[no-any-return]
    return client.cas(key, record, item.cas, exptime=exptime)  # type: ignore[no-any-return]


def _read_addresses(emcache: Any, servers: str | Iterable[str]) -> list[Any]:
    return [_read_address(emcache, each) for each in ([servers] if isinstance(servers, str) else servers)]


def _read_address(emcache: Any, server: str) -> Any:
    found = _match_address(server)
    if found is None:
        raise ValueError(f"a memcached server is {server!r}, expected one like memcached://host:11211")
    return emcache.MemcachedHostAddress(found["host"].strip("[]"), int(found["port"] or _PORT))
