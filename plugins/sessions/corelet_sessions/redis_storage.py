"""Sessions in Redis, by ``redis.asyncio``."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from .storage import MAX_TOKEN_CHARACTERS, AbstractStorage, SessionConflictError, SessionStorageError

#: Replaces a record if it is the expected one; an empty text stands for none. Gives 1, or what is there instead.
_REPLACE: Final = """
local found = redis.call('GET', KEYS[1])
if (found or '') == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
    return 1
end
return found
"""
#: Seconds that a connection, one command, and the wait for a free connection may take.
TIMEOUT_SECONDS: Final = 2.0
#: Connections of a storage; more requests than that wait for their turn.
MAX_CONNECTIONS: Final = 100
#: Tries of a command whose connection broke, since a Redis that was restarted breaks each of the pool's once.
RETRIES: Final = 3


class RedisStorage(AbstractStorage):
    """Keep sessions in Redis. Needs ``redis``.

    Records are kept under a hash of their token, so that who reads the database has no session. A record is replaced by
    a script, in one step, if it is the one that was read: no update is lost. Connections that broke are made anew; a
    Redis that can't be reached is a SessionStorageError within seconds.

    Args:
        redis: a URL like ``redis://user:password@host:6379/0``, ``rediss://`` or ``unix:///path``, with up to 100
            connections unless ``?max_connections=`` says otherwise; or a ``redis.asyncio.Redis`` of your own, which you
            close yourself.
        prefix: of all keys.

    Raises:
        ModuleNotFoundError: redis is not installed.
    """

    def __init__(self, redis: Any, *, prefix: str = "session:") -> None:
        try:
            from redis.exceptions import RedisError
        except ModuleNotFoundError as exc:
            raise ModuleNotFoundError(
                "RedisStorage needs redis: pip install corelet-sessions[redis]", name=exc.name
            ) from exc
        self._error: type[Exception] = RedisError
        self._owns_client = isinstance(redis, str)
        self._client: Any = _make_client(redis) if isinstance(redis, str) else redis
        self._replace: Any = self._client.register_script(_REPLACE)
        self._prefix = prefix

    def _make_key(self, token: str) -> str:
        return self._prefix + hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()

    def _make_error(self, error: BaseException) -> SessionStorageError:
        return SessionStorageError(f"Redis can't be asked for sessions: {type(error).__name__}: {error}")

    async def load(self, token: str) -> bytes | None:
        if len(token) > MAX_TOKEN_CHARACTERS:
            return None
        try:
            record: bytes | str | None = await self._client.get(self._make_key(token))
        except (self._error, OSError, TimeoutError) as exc:
            raise self._make_error(exc) from exc
        return _get_bytes(record)

    async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
        is_mine = token is None
        token = token or self.make_token()
        try:
            found = await self._replace(keys=[self._make_key(token)], args=[expected or b"", record, ttl])
        except (self._error, OSError, TimeoutError) as exc:
            raise self._make_error(exc) from exc
        # Where a connection breaks the command is tried again, and may find what it has left before.
        is_kept = found == 1 or (is_mine and _get_bytes(found) == record)
        if not is_kept:
            raise SessionConflictError(_get_bytes(found))
        return token

    async def delete(self, token: str) -> None:
        try:
            await self._client.delete(self._make_key(token))
        except (self._error, OSError, TimeoutError) as exc:
            raise self._make_error(exc) from exc

    async def close(self) -> None:
        if self._owns_client:
            await self._client.aclose()


def _make_client(url: str) -> Any:
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff
    from redis.exceptions import ConnectionError as BrokenConnectionError

    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=TIMEOUT_SECONDS,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        # Only what broke is tried again: a Redis that hangs would have each request wait many times.
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.01), RETRIES, supported_errors=(BrokenConnectionError,)),
    )
    return Redis.from_pool(pool)


def _get_bytes(value: bytes | str | None) -> bytes | None:
    # A client of the application's own may decode answers.
    return value.encode() if isinstance(value, str) else value
