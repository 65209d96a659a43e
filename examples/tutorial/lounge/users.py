"""Users and their passwords, in a database."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from corelet import web

CREATE: Final = "create table if not exists users (name text primary key, salt blob, hash blob)"
INSERT: Final = "insert into users values (?, ?, ?)"
FIND: Final = "select salt, hash from users where name = ?"

T = TypeVar("T")


class Users:
    """The users that have signed up; one thread waits for SQLite, so that the event loop never does."""

    def __init__(self, path: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._database = self._thread.submit(sqlite3.connect, path).result()

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def create(self) -> None:
        """Make the table, unless it is there."""
        await self._run(self._change, CREATE)

    async def add(self, name: str, password: str) -> bool:
        """Add a user; False where the name is taken."""
        salt = secrets.token_bytes(16)
        hashed = await hash_password(password, salt)
        try:
            await self._run(self._change, INSERT, name, salt, hashed)
        except sqlite3.IntegrityError:
            return False
        return True

    async def check(self, name: str, password: str) -> bool:
        """Tell whether that is the user's password."""
        row = await self._run(self._find, name)
        # An unknown name takes as long as a known one, so that no clock tells them apart.
        salt, expected = row or (b"nobody", b"")
        return hmac.compare_digest(await hash_password(password, salt), expected)

    async def close(self) -> None:
        """Close the database."""
        await self._run(self._database.close)
        self._thread.shutdown()

    def _change(self, statement: str, *values: Any) -> None:
        with self._database:
            self._database.execute(statement, values)

    def _find(self, name: str) -> tuple[bytes, bytes] | None:
        row: tuple[bytes, bytes] | None = self._database.execute(FIND, [name]).fetchone()
        return row


async def hash_password(password: str, salt: bytes) -> bytes:
    """Hash a password, in a thread: it is meant to take long."""
    return await asyncio.to_thread(hashlib.scrypt, password.encode(), salt=salt, n=2**14, r=8, p=1)


USERS: Final = web.AppKey("users", Users)
DATABASE: Final = web.AppKey("database", str)


async def open_users(app: web.Application) -> AsyncIterator[None]:
    """Open the users of an application, and close them when it has ended."""
    users = app[USERS] = Users(app[DATABASE])
    await users.create()
    yield
    await users.close()
