"""What every storage of sessions must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Names of corelet-sessions, which is there where a storage is tested: web finds them when they are touched.
from corelet import web

from .conformance import Conformance


class SessionStorageConformance(Conformance):
    """Test a storage of sessions: ``web.AbstractStorage`` of corelet-sessions.

    Each test makes a storage and closes it. Those of what only storages on a server do pass at once for the others.
    """

    port = "a storage of sessions"
    #: Seconds after which a record with a ttl of 1 is surely gone; no test waits longer than it takes.
    expiry_seconds: float = 5.0

    @abstractmethod
    async def make_storage(self) -> web.AbstractStorage:
        """Make a storage that is ready; it may hold records of others."""

    @asynccontextmanager
    async def open_storage(self) -> AsyncIterator[web.AbstractStorage]:
        """Make a storage, and close it."""
        storage = await self.make_storage()
        try:
            yield storage
        finally:
            await storage.close()

    async def test_what_was_saved_is_loaded(self) -> None:
        """A record comes back byte by byte, whatever it holds."""
        async with self.open_storage() as storage:
            for record in (b"{}", b"", bytes(range(256)), b"x" * 2000):
                token = await storage.save(None, record, 60)
                self.expect_equal(await storage.load(token), record, "load() gives what save() was given")

    async def test_tokens_are_made_of_what_a_cookie_can_hold(self) -> None:
        """Tokens need no quotes in a cookie, differ, and are long where they alone protect the record."""
        async with self.open_storage() as storage:
            tokens = [await storage.save(None, b'{"a": "\xc3\xa9;, "}', 60) for _ in range(50)]
            for token in tokens:
                plain = token.isascii() and all(character.isalnum() or character in "-_." for character in token)
                self.expect(plain, "a token is made of letters, digits, - _ and .", token)
                self.expect(len(token) >= 22, "a token is too long to be guessed", token)
            self.expect(not storage.is_on_server or len(set(tokens)) == 50, "each session has a token of its own")

    async def test_tokens_of_nobody_find_nothing(self) -> None:
        """What the peer made up is no session, and no error."""
        async with self.open_storage() as storage:
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
                token.swapcase() + "A",
            ]
            for each in forged:
                self.expect_equal(await storage.load(each), None, f"the token {each[:50]!r} finds nothing")
                await storage.delete(each)
            self.expect_equal(await storage.load(token), b"{}", "the true one still does")

    async def test_a_token_that_is_almost_right_finds_nothing(self) -> None:
        """Tokens are compared byte by byte, case and spaces too; one that holds its record is signed."""
        async with self.open_storage() as storage:
            token = await storage.save(None, b'{"name": "ann"}', 60)
            altered = [f"{token} ", f" {token}", f"{token}\0", *({token.swapcase()} - {token})]
            # Of base64 the last character may have bits that stand for nothing.
            for place in range(len(token) - 1):
                other = "A" if token[place] != "A" else "B"
                altered.append(f"{token[:place]}{other}{token[place + 1 :]}")
            for each in altered:
                self.expect_equal(await storage.load(each), None, f"of the token {token} the altered {each!r} is none")

    async def test_what_was_replaced_is_loaded_in_its_new_form(self) -> None:
        """save() with what is there replaces it."""
        async with self.open_storage() as storage:
            token = await storage.save(None, b"one", 60)
            newer = await storage.save(token, b"two", 60, expected=b"one")
            self.expect_equal(await storage.load(newer), b"two", "load() gives what was saved last")
            self.expect(not storage.is_on_server or newer == token, "a record that is replaced keeps its token")

    async def test_what_is_not_as_expected_is_not_replaced(self) -> None:
        """Of two that read one record and replace it, one succeeds; the other learns what is there."""
        async with self.open_storage() as storage:
            if not storage.is_on_server:
                return
            token = await storage.save(None, b"one", 60)
            await storage.save(token, b"two", 60, expected=b"one")
            for expected in (b"one", None):
                found = await self._find_conflict(storage, token, b"three", expected)
                self.expect_equal(found, b"two", "the error has the record that is there")
            self.expect_equal(await storage.load(token), b"two", "what is not as expected is not replaced")

    async def test_what_is_gone_is_not_brought_back(self) -> None:
        """A record that was deleted is not found, and not replaced."""
        async with self.open_storage() as storage:
            if not storage.is_on_server:
                return
            token = await storage.save(None, b"one", 60)
            await storage.delete(token)
            await storage.delete(token)
            self.expect_equal(await storage.load(token), None, "what was deleted is gone")
            found = await self._find_conflict(storage, token, b"two", b"one")
            self.expect_equal(found, None, "the error says that there is none")
            self.expect_equal(await storage.load(token), None, "what was deleted is still gone")

    async def test_of_many_at_once_each_counts(self) -> None:
        """Twenty that add to one record, trying again after each conflict, lose nothing."""
        async with self.open_storage() as storage:
            if not storage.is_on_server:
                return
            token = await storage.save(None, b"0", 60)
            async with self.expect_end("twenty that change one record end"):
                await asyncio.gather(*(_add_one(storage, token) for _ in range(20)))
            self.expect_equal(await storage.load(token), b"20", "each of twenty additions counts")

    async def test_of_many_that_replace_one_record_one_succeeds(self) -> None:
        """Looking and replacing is one step: nobody comes between."""
        async with self.open_storage() as storage:
            if not storage.is_on_server:
                return
            token = await storage.save(None, b"start", 60)
            records = [b"by %d" % number for number in range(20)]
            outcomes = await asyncio.gather(
                *(storage.save(token, record, 60, expected=b"start") for record in records), return_exceptions=True
            )
            won = [record for record, outcome in zip(records, outcomes, strict=True) if outcome == token]
            lost = [outcome for outcome in outcomes if isinstance(outcome, web.SessionConflictError)]
            self.expect_equal((len(won), len(lost)), (1, 19), "of twenty that expect one record one replaces it")
            self.expect_equal(await storage.load(token), won[0], "load() gives what the one has saved")

    async def test_sessions_do_not_mix(self) -> None:
        """Fifty records that are saved, loaded and deleted beside each other."""
        async with self.open_storage() as storage:

            async def live(number: int) -> bool:
                record = b"record %d" % number
                token = await storage.save(None, record, 60)
                if await storage.load(token) != record:
                    return False
                token = await storage.save(token, record * 2, 60, expected=record)
                is_right = await storage.load(token) == record * 2
                await storage.delete(token)
                return is_right

            async with self.expect_end("fifty sessions at once end"):
                lived = await asyncio.gather(*(live(number) for number in range(50)))
            self.expect(all(lived), "sessions at once have records of their own")

    async def test_what_is_cancelled_leaves_a_whole_record(self) -> None:
        """A peer that goes away while its session is saved leaves the old record or the new one."""
        async with self.open_storage() as storage:
            if not storage.is_on_server:
                return
            token = await storage.save(None, b"old", 60)
            for turns in range(4):
                saving = asyncio.ensure_future(storage.save(token, b"new", 60, expected=b"old"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                saving.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await saving
                async with self.expect_end("the storage works after a save() that was cancelled"):
                    found = await storage.load(token)
                self.expect(found in (b"old", b"new"), "what was cancelled leaves the old record or the new one", found)
                if found == b"new":
                    await storage.save(token, b"old", 60, expected=b"new")

    async def test_what_has_expired_is_gone(self) -> None:
        """A record lives as long as it was last said."""
        async with self.open_storage() as storage:
            if not storage.is_on_server:
                return
            long = await storage.save(None, b"one", 1)
            await storage.save(long, b"long", 600, expected=b"one")
            began = time.monotonic()
            short = await storage.save(None, b"short", 1)
            found = await storage.load(short)
            is_late = time.monotonic() - began >= 1  # on a machine that is busy
            self.expect(found == b"short" or is_late, "a record is there before its time", found)
            while time.monotonic() - began < self.expiry_seconds and await storage.load(short) is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            self.expect_equal(await storage.load(short), None, "a record is gone after its time")
            self.expect_equal(await storage.load(long), b"long", "a new ttl replaces the old one")
            found = await self._find_conflict(storage, short, b"again", b"short")
            self.expect_equal(found, None, "what has expired is not brought back")

    async def test_long_lives_are_long(self) -> None:
        """A ttl of months is no date in the past."""
        async with self.open_storage() as storage:
            token = await storage.save(None, b"{}", 90 * 86_400)
            self.expect_equal(await storage.load(token), b"{}", "a record that lives for months is there")

    async def _find_conflict(
        self, storage: web.AbstractStorage, token: str, record: bytes, expected: bytes | None
    ) -> bytes | None:
        try:
            await storage.save(token, record, 60, expected=expected)
        except web.SessionConflictError as error:
            return error.found
        raise AssertionError(self.describe("save() raises SessionConflictError where another record is than expected"))


async def _add_one(storage: web.AbstractStorage, token: str) -> None:
    record = await storage.load(token)
    while True:
        assert record is not None
        try:
            await storage.save(token, b"%d" % (int(record) + 1), 60, expected=record)
        except web.SessionConflictError as error:
            record = error.found
        else:
            return
