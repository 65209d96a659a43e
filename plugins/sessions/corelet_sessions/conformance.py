"""What every storage of sessions must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
from abc import abstractmethod

from .storage import AbstractStorage, SessionConflictError


class StorageConformance:
    """Test a storage: derive a class, say how one is made, and run it.

    By pytest with pytest-asyncio in its mode ``auto``, or by unittest::

        class TestMyStorage(StorageConformance, unittest.IsolatedAsyncioTestCase):
            async def make_storage(self):
                return MyStorage()

    Each test makes a storage and closes it.
    """

    #: Seconds after which a record with a ttl of 1 is surely gone.
    expiry_seconds: float = 2.1

    @abstractmethod
    async def make_storage(self) -> AbstractStorage:
        """Make a storage that is ready; it may hold records of others."""

    async def test_what_was_saved_is_loaded(self) -> None:
        """A record comes back byte by byte, whatever it holds."""
        storage = await self.make_storage()
        for record in (b"{}", bytes(range(256)), b"x" * 2000):
            token = await storage.save(None, record, 60)
            _check(await storage.load(token) == record, "load() gives what save() was given")
        await storage.close()

    async def test_tokens_are_made_of_what_a_cookie_can_hold(self) -> None:
        """Tokens need no quotes in a cookie, differ, and are long where they alone protect the record."""
        storage = await self.make_storage()
        tokens = [await storage.save(None, b'{"a": "\xc3\xa9;, "}', 60) for _ in range(50)]
        for token in tokens:
            _check(all(character.isalnum() or character in "-_." for character in token), "letters, digits, - _ .")
            _check(token.isascii() and len(token) >= 22, "tokens are ASCII, and too long to be guessed")
        _check(not storage.is_on_server or len(set(tokens)) == 50, "each session has a token of its own")
        await storage.close()

    async def test_tokens_of_nobody_find_nothing(self) -> None:
        """What the peer made up is no session, and no error."""
        storage = await self.make_storage()
        token = await storage.save(None, b"{}", 60)
        forged = [
            "",
            "x",
            "a" * 43,
            "a" * 10_000,
            "../../etc/passwd",
            "\udce9",
            "a b\r\nset x 0 0 1",
            token + "a",
            token[:-1],
        ]
        for each in [*forged, token.swapcase()]:
            _check(each == token or await storage.load(each) is None, f"{each[:50]!r} finds nothing")
        _check(await storage.load(token) == b"{}", "the true one still does")
        await storage.close()

    async def test_what_was_replaced_is_loaded_in_its_new_form(self) -> None:
        """save() with what is there replaces it."""
        storage = await self.make_storage()
        token = await storage.save(None, b"one", 60)
        newer = await storage.save(token, b"two", 60, expected=b"one")
        _check(await storage.load(newer) == b"two", "load() gives what was saved last")
        _check(not storage.is_on_server or newer == token, "a record that is replaced keeps its token")
        await storage.close()

    async def test_what_is_not_as_expected_is_not_replaced(self) -> None:
        """Of two that read one record and replace it, one succeeds; the other learns what is there."""
        storage = await self.make_storage()
        if storage.is_on_server:
            token = await storage.save(None, b"one", 60)
            await storage.save(token, b"two", 60, expected=b"one")
            _check(
                await _find_conflict(storage, token, b"three", b"one") == b"two",
                "the error has the record that is there",
            )
            _check(await _find_conflict(storage, token, b"three", None) == b"two", "no new record where there is one")
            _check(await storage.load(token) == b"two", "nothing was replaced")
        await storage.close()

    async def test_what_is_gone_is_not_brought_back(self) -> None:
        """A record that was deleted is not found, and not replaced."""
        storage = await self.make_storage()
        if storage.is_on_server:
            token = await storage.save(None, b"one", 60)
            await storage.delete(token)
            await storage.delete(token)
            _check(await storage.load(token) is None, "what was deleted is gone")
            _check(await _find_conflict(storage, token, b"two", b"one") is None, "the error says that there is none")
            _check(await storage.load(token) is None, "it is still gone")
        await storage.close()

    async def test_of_many_at_once_each_counts(self) -> None:
        """Twenty that add to one record, trying again after each conflict, lose nothing."""
        storage = await self.make_storage()
        if storage.is_on_server:
            token = await storage.save(None, b"0", 60)
            await asyncio.gather(*(_add_one(storage, token) for _ in range(20)))
            _check(await storage.load(token) == b"20", "each of twenty additions counts")
        await storage.close()

    async def test_what_has_expired_is_gone(self) -> None:
        """A record lives as long as it was last said."""
        storage = await self.make_storage()
        if storage.is_on_server:
            short = await storage.save(None, b"short", 1)
            long = await storage.save(None, b"one", 1)
            await storage.save(long, b"long", 600, expected=b"one")
            _check(await storage.load(short) == b"short", "it is there before its time")
            await asyncio.sleep(self.expiry_seconds)
            _check(await storage.load(short) is None, "it is gone after its time")
            _check(await storage.load(long) == b"long", "a new ttl replaces the old one")
        await storage.close()

    async def test_long_lives_are_long(self) -> None:
        """A ttl of months is no date in the past."""
        storage = await self.make_storage()
        token = await storage.save(None, b"{}", 90 * 86_400)
        _check(await storage.load(token) == b"{}", "it is there")
        await storage.close()


def _check(holds: bool, expectation: str) -> None:
    # An assert would be stripped from an installed module under -O, and not be rewritten by pytest.
    if not holds:
        raise AssertionError(f"a storage of sessions is expected to hold to this: {expectation}")


async def _find_conflict(storage: AbstractStorage, token: str, record: bytes, expected: bytes | None) -> bytes | None:
    try:
        await storage.save(token, record, 60, expected=expected)
    except SessionConflictError as exc:
        return exc.found
    raise AssertionError("save() is expected to raise SessionConflictError where another record is there than expected")


async def _add_one(storage: AbstractStorage, token: str) -> None:
    record = await storage.load(token)
    while True:
        assert record is not None
        try:
            await storage.save(token, b"%d" % (int(record) + 1), 60, expected=record)
        except SessionConflictError as exc:
            record = exc.found
        else:
            return
