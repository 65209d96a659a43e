"""Session: what an application keeps for one peer, from request to request."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from corelet import CoreletError

if TYPE_CHECKING:
    from .record import Record

_ABSENT: Final = object()
_IS_IDENTITY: Final = re.compile(r"[0-9A-Za-z_-]{32,128}").fullmatch


class SessionLostError(CoreletError):
    """A change of a session comes too late to be kept: the head with its cookie is gone, or its handler has ended."""


class Session(MutableMapping[str, Any]):
    """Data of one peer: a mapping of what the storage can serialise, JSON by default.

    Setting and deleting keys is noticed. After a change inside a value, say so by :meth:`changed`.

    Args:
        identity: the token that the peer holds; None where it has none yet.
        data: what it holds.
        new: whether it begins with this request.
        created: when it began, in seconds since 1970; default now.
        max_age: seconds that the peer keeps the cookie; None until its browser ends.
    """

    def __init__(
        self,
        identity: str | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        new: bool = True,
        created: int | None = None,
        max_age: int | None = None,
    ) -> None:
        self._identity = identity
        self._data: dict[str, Any] = dict(data or {})
        self._new = new
        self._created = int(time.time()) if created is None else created
        self._max_age = max_age
        # Changes that are not saved, and how many of them the copy has that is being saved.
        self._changes = 0
        self._copied_changes = 0
        self._is_rotating = False
        self._lock_reason: str | None = None
        self._identity_lock_reason: str | None = None

    # What it is.

    @property
    def new(self) -> bool:
        """Whether it begins with this request."""
        return self._new

    @property
    def identity(self) -> str | None:
        """The token that the peer holds, or will get by :meth:`set_new_identity`; None where there is none.

        A secret: who has it has the session.
        """
        return self._identity

    @property
    def created(self) -> int:
        """When it began, in seconds since 1970."""
        return self._created

    @property
    def empty(self) -> bool:
        """Whether it holds nothing; one that was emptied is ended when it is saved."""
        return not self._data

    @property
    def max_age(self) -> int | None:
        """Seconds that the peer keeps the cookie; may be set, for a "remember me"."""
        return self._max_age

    @max_age.setter
    def max_age(self, value: int | None) -> None:
        if value is not None and value < 1:
            raise ValueError(f"max_age is {value}, expected seconds from 1, or None; invalidate() ends a session")
        self.changed()
        self._max_age = value

    @property
    def is_changed(self) -> bool:
        """Whether it is to be saved."""
        return self._changes > 0

    @property
    def is_ended(self) -> bool:
        """Whether it is to be forgotten: it was emptied."""
        return self._changes > 0 and not self._data

    @property
    def is_rotating(self) -> bool:
        """Whether it is to be kept under a new token."""
        return self._is_rotating

    # What can be done with it.

    def changed(self) -> None:
        """Say that a value was changed from within, so that the session is saved.

        Raises:
            SessionLostError: the answer's head is gone, or its handler has ended, and the change can't be kept.
        """
        if self._lock_reason is not None:
            raise SessionLostError(self._lock_reason)
        self._changes += 1

    def invalidate(self) -> None:
        """End the session: forget its data and its record, and have the peer forget the cookie. For a logout."""
        self.changed()
        self._data.clear()
        # Should it be filled again, it is another one, under a token of its own.
        self._new, self._identity, self._created = True, None, int(time.time())
        self._is_rotating = True
        self._lock_reason = self._identity_lock_reason

    def rotate(self) -> None:
        """Go on under a new token, and let the old one be nobody's; for a login, and any other gain of rights.

        A stranger who has planted a token into the peer's browser, or has read one, has nothing then. In a storage that
        is the cookie itself the new cookie replaces the old one; what was copied before stays good until it expires.

        Raises:
            SessionLostError: the answer's head is gone, and the peer can't be told.
        """
        if self._identity_lock_reason is not None:
            raise SessionLostError(self._identity_lock_reason)
        self.changed()
        self._is_rotating = True

    def set_new_identity(self, identity: str) -> None:
        """Choose the token of a new session, say to find it from elsewhere; a random one is better.

        Args:
            identity: 32 to 128 letters, digits, ``-`` and ``_``, which nobody can guess.

        Raises:
            RuntimeError: the session is not new.
            SessionLostError: the answer's head is gone, and the peer can't be told.
            ValueError: another identity than that.
        """
        if not self._new:
            raise RuntimeError("set_new_identity() is for new sessions; rotate() gives this one a new token")
        if _IS_IDENTITY(identity) is None:
            raise ValueError("an identity is 32 to 128 letters, digits, - and _")
        if self._identity_lock_reason is not None:
            raise SessionLostError(self._identity_lock_reason)
        self._identity = identity

    # For whoever saves it.

    def lock(self, reason: str, *, identity_only: bool) -> None:
        """Let changes raise from now on; or only those for which the peer would need another cookie."""
        self._identity_lock_reason = reason
        if not identity_only:
            self._lock_reason = reason

    def copy_data(self) -> dict[str, Any]:
        """Get the data as it is to be serialised now; :meth:`mark_saved` is about this copy."""
        self._copied_changes = self._changes
        return dict(self._data)

    def merge(self, before: Record, newer: Record) -> None:
        """Take over what others have changed since ``before``, but for what was changed here as well."""
        for key in before.data.keys() | newer.data.keys():
            here, there = self._data.get(key, _ABSENT), newer.data.get(key, _ABSENT)
            if here == there or here != before.data.get(key, _ABSENT):
                continue
            if there is _ABSENT:
                del self._data[key]
            else:
                self._data[key] = there
        if self._max_age == before.max_age:
            self._max_age = newer.max_age

    def mark_saved(self, identity: str | None) -> None:
        """Take note that the last copy was kept, and under which token; what was changed since then is still to be."""
        self._identity = identity
        self._changes -= self._copied_changes
        self._copied_changes = 0
        self._is_rotating = False

    def mark_ended(self) -> None:
        """Take note that nothing is kept any more."""
        self._identity = None
        self._data = {}
        self._changes = self._copied_changes = 0
        self._is_rotating = False

    # The mapping.

    def __getitem__(self, key: str) -> Any:
        return self._data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.changed()
        self._data[key] = value

    def __delitem__(self, key: str) -> None:
        self.changed()
        del self._data[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        # No identity and no data: logs are read by many.
        facts = [word for word, holds in (("new", self._new), ("changed", self.is_changed)) if holds]
        return f"<{' '.join([type(self).__name__, *facts])} created={self._created} keys={sorted(self._data)!r}>"
