"""The port of storages, and what can go wrong with one."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod

from corelet import CoreletError

#: Bytes of chance in a token: 256 bits, which nobody guesses. OWASP asks for 128 at least.
TOKEN_BYTES = 32
#: Characters of a token that is looked for: longer ones are nobody's.
MAX_TOKEN_CHARACTERS = 128


class SessionStorageError(CoreletError):
    """The storage can't be reached, or gives an error; the cause says which."""


class SessionConflictError(CoreletError):
    """The storage holds another record than expected: another request has changed the session, or ended it.

    Attributes:
        found: the record that is there; None where the session is gone.
    """

    def __init__(self, found: bytes | None) -> None:
        super().__init__(
            "another request has changed the session" if found is not None else "another request has ended the session"
        )
        self.found = found


class SessionTooLargeError(CoreletError):
    """The session doesn't fit into what is to hold it."""


class AbstractStorage(ABC):
    """Keep records of sessions: bytes under a token, which the peer holds in its cookie.

    A storage on a server makes random tokens and keeps records under them. A storage in the cookie itself makes the
    token of the record, and keeps nothing. The middleware does all else: cookies, expiry, rotation, merging.

    Any storage of yours has ``test_utils.SessionStorageConformance``, of corelet-testing, to run against.
    """

    #: Whether records are kept on a server; False where the token holds the record.
    is_on_server: bool = True

    @abstractmethod
    async def load(self, token: str) -> bytes | None:
        """Find the record of a token; None where there is none, it has expired, or the token is forged.

        Args:
            token: what the peer sent, so anything.

        Raises:
            SessionStorageError: the storage can't be asked.
        """

    @abstractmethod
    async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
        """Keep a record, if its place holds what is expected; in one atomic step.

        Args:
            token: where; None for a new session, for which a server's storage makes a token by :meth:`make_token`.
            record: what to keep.
            ttl: seconds from 1 until it is forgotten.
            expected: the record that is replaced; None where there must be none yet.

        Returns:
            The token under which it can be found from now on.

        Raises:
            SessionConflictError: another record is there, or none where one was expected.
            SessionStorageError: the storage can't be asked.
            SessionTooLargeError: the record is larger than the storage takes.
        """

    @abstractmethod
    async def delete(self, token: str) -> None:
        """Forget a record; nothing where there is none.

        Raises:
            SessionStorageError: the storage can't be asked.
        """

    async def close(self) -> None:  # noqa: B027  # most storages hold nothing
        """Give back what the storage holds, like connections; ``setup_sessions`` calls it when the application ends."""

    @staticmethod
    def make_token() -> str:
        """Make a token that nobody can guess."""
        return secrets.token_urlsafe(TOKEN_BYTES)
