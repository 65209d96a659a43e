"""Every storage by the tests that authors of storages run, and what each has of its own."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
import unittest
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelet.test_utils import SessionStorageConformance
from corelet_sessions import (
    AbstractStorage,
    EncryptedCookieStorage,
    InMemoryStorage,
    MemcachedStorage,
    RedisStorage,
    SessionConflictError,
    SessionStorageError,
    SessionTooLargeError,
    SignedCookieStorage,
    SimpleCookieStorage,
)
from corelet_sessions import redis_storage as redis_module
from tests.sessions.conftest import Program, find_free_port, make_memcached

KEY = "k" * 32


class TestInMemoryStorage(SessionStorageConformance):
    expiry_seconds = 1.1

    async def make_storage(self) -> AbstractStorage:
        return InMemoryStorage()


class TestSignedCookieStorage(SessionStorageConformance):
    async def make_storage(self) -> AbstractStorage:
        return SignedCookieStorage(KEY)


class TestEncryptedCookieStorage(SessionStorageConformance):
    async def make_storage(self) -> AbstractStorage:
        return EncryptedCookieStorage(KEY)


class TestRedisStorage(SessionStorageConformance):
    expiry_seconds = 1.1

    @pytest.fixture(autouse=True)
    def use(self, redis: Program) -> None:
        self.port = redis.port

    async def make_storage(self) -> AbstractStorage:
        return RedisStorage(f"redis://127.0.0.1:{self.port}")


class TestMemcachedStorage(SessionStorageConformance):
    @pytest.fixture(autouse=True)
    def use(self, memcached: Program) -> None:
        self.port = memcached.port

    async def make_storage(self) -> AbstractStorage:
        return MemcachedStorage(f"memcached://127.0.0.1:{self.port}")


class Forgetful(InMemoryStorage):
    """Replaces whatever is there: what the tests are for."""

    async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
        found = None if token is None else await self.load(token)
        return await super().save(token, record, ttl, expected=found)


def test_conformance_runs_by_unittest_and_finds_what_is_wrong() -> None:
    class TestForgetful(SessionStorageConformance, unittest.IsolatedAsyncioTestCase):
        expiry_seconds = 1.1

        async def make_storage(self) -> AbstractStorage:
            return Forgetful()

    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        unittest.defaultTestLoader.loadTestsFromTestCase(TestForgetful).run(result)
    failed = {case.id().rpartition(".")[2] for case, _ in result.failures}
    assert result.testsRun == 13
    assert failed >= {"test_what_is_not_as_expected_is_not_replaced", "test_what_is_gone_is_not_brought_back"}
    assert "test_what_was_saved_is_loaded" not in failed


# Cookies.


@pytest.mark.parametrize("make", [SignedCookieStorage, EncryptedCookieStorage])
@given(record=st.binary(max_size=200), place=st.integers(0, 10_000), bit=st.integers(0, 6))
def test_a_097_one_changed_bit_is_refused(make: Any, record: bytes, place: int, bit: int) -> None:
    storage = make(KEY)
    token = storage.seal(record)
    position = place % len(token)
    changed = token[:position] + chr(ord(token[position]) ^ (1 << bit)) + token[position + 1 :]
    assert storage.open(token) == record
    assert storage.open(changed) is None


@pytest.mark.parametrize("make", [SignedCookieStorage, EncryptedCookieStorage])
async def test_a_097_other_keys_and_cut_tokens_are_refused(make: Any) -> None:
    storage = make(KEY)
    token = storage.seal(b"record")
    assert await make("o" * 32).load(token) is None
    for end in range(len(token)):
        assert await storage.load(token[:end]) is None
    assert await storage.load(token + "=") is None


async def test_token_of_one_storage_is_nothing_to_another() -> None:
    signed, encrypted = SignedCookieStorage(KEY), EncryptedCookieStorage(KEY)
    assert await encrypted.load(signed.seal(b"record")) is None
    assert await signed.load(encrypted.seal(b"record")) is None


@pytest.mark.parametrize("make", [SignedCookieStorage, EncryptedCookieStorage])
async def test_keys_can_be_exchanged(make: Any) -> None:
    old, new = make.make_key(), make.make_key()
    before = make(old).seal(b"record")
    both = make([new, old])
    assert await both.load(before) == b"record"
    assert await make(new).load(both.seal(b"record")) == b"record"
    assert await make(old).load(both.seal(b"record")) is None
    assert await make(new).load(before) is None


def test_signed_tokens_can_be_read_and_encrypted_ones_cannot() -> None:
    record = b'["a secret"]' * 5
    simple = SimpleCookieStorage.__new__(SimpleCookieStorage)
    assert simple.open(SignedCookieStorage(KEY).seal(record).partition(".")[0]) == record
    encrypted = EncryptedCookieStorage(KEY)
    assert simple.open(encrypted.seal(record)) != record
    assert encrypted.seal(record) != encrypted.seal(record)


def test_fernets_keys_are_taken() -> None:
    from cryptography.fernet import Fernet

    key = Fernet.generate_key()
    assert EncryptedCookieStorage(key.decode()).open(EncryptedCookieStorage(key).seal(b"record")) == b"record"


@pytest.mark.parametrize(
    ("make", "keys", "message"),
    [
        (SignedCookieStorage, [], "needs one key at least"),
        (SignedCookieStorage, "short", "the key has 5 bytes, expected 32 at least"),
        (EncryptedCookieStorage, [], "needs one key at least"),
        (EncryptedCookieStorage, "short", "a key is 32 bytes, or their urlsafe base64"),
        (EncryptedCookieStorage, "é" * 32, "a key is 32 bytes, or their urlsafe base64"),
    ],
)
def test_bad_keys_are_refused(make: Any, keys: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(keys)


def test_storage_for_development_warns() -> None:
    with pytest.warns(UserWarning, match="lets anybody read and forge sessions"):
        SimpleCookieStorage()


# Memory.


async def test_memory_is_bounded_and_drops_what_was_not_seen_for_long() -> None:
    storage = InMemoryStorage(max_sessions=3)
    first, second, third = [await storage.save(None, b"%d" % number, 60) for number in range(3)]
    await storage.load(first)
    await storage.save(None, b"4", 60)
    assert len(storage) == 3
    assert [await storage.load(token) for token in (first, second, third)] == [b"0", None, b"2"]
    with pytest.raises(ValueError, match="expected 1 at least"):
        InMemoryStorage(max_sessions=0)


# Servers.


@pytest.mark.parametrize(
    ("make", "package", "extra"),
    [
        (lambda: RedisStorage("redis://localhost"), "redis", "redis"),
        (lambda: MemcachedStorage("localhost"), "emcache", "memcached"),
        (lambda: EncryptedCookieStorage(KEY), "cryptography", "encrypted"),
    ],
)
def test_missing_package_is_said(monkeypatch: pytest.MonkeyPatch, make: Any, package: str, extra: str) -> None:
    importlib.import_module(package)
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError, match=rf"pip install corelet-sessions\[{extra}\]"):
        make()


@pytest.mark.parametrize("make", [RedisStorage, MemcachedStorage])
async def test_server_that_is_away_is_a_clear_error(make: Any) -> None:
    scheme = "redis" if make is RedisStorage else "memcached"
    storage = make(f"{scheme}://127.0.0.1:{find_free_port()}")
    for ask in (storage.load("t" * 43), storage.save(None, b"{}", 60), storage.delete("t" * 43)):
        with pytest.raises(SessionStorageError, match="can't be asked for sessions") as caught:
            await ask
        assert caught.value.__cause__ is not None
    await storage.close()


async def test_close_ends_where_memcacheds_client_misses_its_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    missed: list[asyncio.CancelledError] = []

    async def connect(*args: Any, **kwargs: Any) -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError as error:
            # asyncio.wait_for does so before Python 3.12 where both happen at once.
            missed.append(error)
            raise ConnectionRefusedError from None

    monkeypatch.setattr("emcache.connection_pool.create_protocol", connect)
    monkeypatch.setattr("corelet_sessions.memcached_storage.CLOSE_SECONDS", 0.05)
    storage = MemcachedStorage(["127.0.0.1:1", "127.0.0.1:2"])
    with pytest.raises(SessionStorageError):
        await storage.load("t" * 43)
    await asyncio.wait_for(storage.close(), 5)
    assert len(missed) == 2


@pytest.mark.parametrize("scheme", ["redis", "memcached"])
async def test_server_that_hangs_is_an_error_after_one_wait(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(redis_module, "TIMEOUT_SECONDS", 0.1)
    connections = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    storage = (RedisStorage if scheme == "redis" else MemcachedStorage)(f"{scheme}://127.0.0.1:{port}")
    with pytest.raises(SessionStorageError, match="can't be asked for sessions: Timeout"):
        await storage.load("t" * 43)
    assert connections == 1
    await storage.close()
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("name", ["redis", "memcached"])
async def test_more_requests_than_connections_wait_for_their_turn(request: pytest.FixtureRequest, name: str) -> None:
    program: Program = request.getfixturevalue(name)
    storage = (RedisStorage if name == "redis" else MemcachedStorage)(f"{name}://127.0.0.1:{program.port}")
    token = await storage.save(None, b"record", 60)
    assert await asyncio.gather(*(storage.load(token) for _ in range(300))) == [b"record"] * 300
    await storage.close()


async def test_redis_has_neither_tokens_nor_a_life_without_end(redis: Program) -> None:
    from redis.asyncio import Redis

    client = Redis(port=redis.port, decode_responses=True)
    storage = RedisStorage(client, prefix="mine:")
    token = await storage.save(None, b'{"a":1}', 60)
    assert await storage.load(token) == b'{"a":1}'
    (key,) = [key async for key in client.scan_iter("mine:*")]
    assert token not in key
    assert 0 < await client.ttl(key) <= 60
    with pytest.raises(SessionConflictError) as caught:
        await storage.save(token, b"x", 60, expected=b"other")
    assert caught.value.found == b'{"a":1}'
    await storage.close()
    assert await client.ping(), "a client of one's own stays open"
    await client.aclose()


async def test_memcached_refuses_what_it_would_not_keep(memcached: Program) -> None:
    storage = MemcachedStorage(f"127.0.0.1:{memcached.port}")
    with pytest.raises(SessionTooLargeError, match="memcached takes 1,048,064"):
        await storage.save(None, bytes(1_048_576), 60)
    await storage.close()
    with pytest.raises(ValueError, match="expected one like memcached://host:11211"):
        MemcachedStorage("memcached://host:port")


async def test_memcached_that_takes_less_than_usual_is_an_error_and_no_conflict() -> None:
    program = make_memcached("-I", "64k", "-o", "slab_chunk_max=16")
    storage = MemcachedStorage(f"127.0.0.1:{program.port}")
    with pytest.raises(SessionStorageError, match="too large"):
        await storage.save(None, bytes(100_000), 60)
    await storage.close()
    program.kill()


async def test_memcached_takes_what_many_write_alike(memcached: Program) -> None:
    storage = MemcachedStorage(f"127.0.0.1:{memcached.port}")
    token = await storage.save(None, b"one", 60)

    async def write() -> None:
        try:
            await storage.save(token, b"two", 60, expected=b"one")
        except SessionConflictError as exc:
            found.add(exc.found)
            await storage.save(token, b"two", 60, expected=b"two")

    found: set[bytes | None] = set()
    await asyncio.gather(*(write() for _ in range(12)))
    assert found <= {b"two"}
    assert await storage.load(token) == b"two"
    await storage.close()


async def test_memcached_that_fails_when_nobody_waits_any_more_leaves_no_error_in_the_log() -> None:
    async def fail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await may_fail.wait()
        writer.close()

    asked, may_fail = asyncio.Event(), asyncio.Event()
    logged: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: logged.append(context))
    server = await asyncio.start_server(fail, "127.0.0.1", 0)
    storage = MemcachedStorage(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    loading = asyncio.ensure_future(storage.load("t" * 43))
    await asked.wait()
    loading.cancel()
    await asyncio.wait([loading])
    may_fail.set()
    await storage.close()
    server.close()
    await server.wait_closed()
    gc.collect()
    assert [context["message"] for context in logged if "never retrieved" in context["message"]] == []


async def test_memcached_client_of_ones_own_stays_open(memcached: Program) -> None:
    import emcache

    client = await emcache.create_client([emcache.MemcachedHostAddress("127.0.0.1", memcached.port)])
    storage = MemcachedStorage(client)
    token = await storage.save(None, b"{}", 60)
    await storage.close()
    assert await storage.load(token) == b"{}"
    await client.close()
