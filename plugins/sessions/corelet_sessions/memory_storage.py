"""Sessions in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from .storage import MAX_TOKEN_CHARACTERS, AbstractStorage, SessionConflictError

#: Sessions that are kept: some 100 MB where each has a kilobyte.
MAX_SESSIONS: Final = 100_000


class InMemoryStorage(AbstractStorage):
    """Keep sessions in this process, until it ends: for tests, and for one worker whose sessions may be lost.

    Args:
        max_sessions: how many; where one more comes, the one that was not seen for the longest time is dropped.
        clock: gives seconds; for tests.
    """

    def __init__(self, *, max_sessions: int = MAX_SESSIONS, clock: Callable[[], float] = time.monotonic) -> None:
        if max_sessions < 1:
            raise ValueError(f"max_sessions is {max_sessions}, expected 1 at least")
        self._max_sessions = max_sessions
        self._clock = clock
        # Token -> when it is forgotten, and the record.
        self._records: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    async def load(self, token: str) -> bytes | None:
        return self._find(token)

    def _find(self, token: str) -> bytes | None:
        if len(token) > MAX_TOKEN_CHARACTERS:
            return None
        entry = self._records.get(token)
        if entry is None:
            return None
        if entry[0] <= self._clock():
            del self._records[token]
            return None
        self._records.move_to_end(token)
        return entry[1]

    async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
        token = token or self.make_token()
        found = self._find(token)
        if found != expected:
            raise SessionConflictError(found)
        self._records[token] = (self._clock() + ttl, record)
        self._records.move_to_end(token)
        if len(self._records) > self._max_sessions:
            self._records.popitem(last=False)
        return token

    async def delete(self, token: str) -> None:
        self._records.pop(token, None)
