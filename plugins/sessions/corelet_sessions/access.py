"""The session of one request: loaded when it is asked for, saved before the head of the answer is made."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from corelet import web

from .record import MOVED, Record
from .session import Session
from .storage import SessionConflictError, SessionStorageError

if TYPE_CHECKING:
    from .settings import Settings
    from .storage import AbstractStorage

logger: Final = logging.getLogger("corelet.sessions")

#: How often a session is merged with what other requests have saved meanwhile, before the request gives up.
MAX_MERGES: Final = 20
#: A session is saved again, only to be seen, when this part of its idle time has gone.
_REFRESH_PART: Final = 10
#: Seconds that a peer is told to wait where the storage is away.
_RETRY_AFTER: Final = "5"
#: Seconds for which a record says that its session has got another token; then there is none, which says the same.
_MOVED_SECONDS: Final = 1
_NO_COOKIE: Final = "the session was changed after the head of the answer was sent, and its cookie can't be any more"
_IS_OVER: Final = "the session was changed after its handler had ended, and nobody would save it any more"
_IS_REPLACED: Final = "the session was changed after new_session() had put another one in its place"


class _Kept(NamedTuple):
    """What a storage has kept, and under which token."""

    token: str
    record: Record
    content: bytes


class SessionAccess:
    """Load, save and end the session of one request."""

    __slots__ = (
        "_handler_has_ended",
        "_head_is_sent",
        "_lock",
        "_record",
        "_record_bytes",
        "_settings",
        "_token",
        "request",
        "session",
    )

    def __init__(self, settings: Settings, request: Any) -> None:
        self._settings = settings
        self.request = request
        self.session: Session | None = None
        # Where the session is kept and what is there, as far as this request knows.
        self._token: str | None = None
        self._record: Record | None = None
        self._record_bytes: bytes | None = None
        self._head_is_sent = False
        self._handler_has_ended = False
        # Held while the session is loaded from a server, or saved there.
        self._lock: asyncio.Lock | None = None

    def is_of(self, storage: AbstractStorage) -> bool:
        """Whether the session is kept there."""
        return self._settings.storage is storage

    # Loading.

    async def get(self) -> Session:
        """Load the session when it is first asked for; a new one where the peer has none."""
        if self.session is None:
            if self._settings.storage.is_on_server:
                await self._load_once()
            else:
                # Nothing is spared by waiting for another one that reads the same cookie.
                loaded = await self._load()
                self.session = loaded if self.session is None else self.session
            self._lock_late_changes()
        assert self.session is not None
        return self.session

    async def _load_once(self) -> None:
        async with self._get_lock():
            if self.session is None:
                self.session = await self._load()

    def _get_lock(self) -> asyncio.Lock:
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    async def renew(self) -> Session:
        """Begin a new session; the old one is ended when the new one is saved."""
        old = await self.get()
        old.rotate()  # where that comes too late, so does a new session
        old.lock(_IS_REPLACED, identity_only=False)
        self.session = self._make_session()
        self.session.rotate()
        return self.session

    async def _load(self) -> Session:
        settings = self._settings
        token = self.request.cookies.get(settings.cookie.find_name(self.request))
        if not token:
            return self._make_session()
        try:
            found = await settings.storage.load(token)
        except SessionStorageError as exc:
            return self._do_without_storage(exc)
        record = None if found is None else settings.serializer.load(found)
        if record is None or settings.has_expired(record, int(time.time())):
            return self._make_session()
        self._token, self._record, self._record_bytes = token, record, found
        identity = token if settings.storage.is_on_server else None
        return Session(identity, data=record.data, new=False, created=record.created, max_age=record.max_age)

    def _make_session(self) -> Session:
        return Session(max_age=self._settings.cookie.max_age)

    def _do_without_storage(self, error: SessionStorageError) -> Session:
        """Go on with an empty session that can't be changed, or end the request by 503, as was chosen."""
        if self._settings.read_only_when_down:
            logger.warning("sessions are read-only: %s", error)
            session = self._make_session()
            session.lock(f"sessions can't be changed now: {error}", identity_only=False)
            return session
        raise _make_unavailable() from error

    # Saving.

    async def prepare(self, request: Any, response: web.StreamResponse) -> None:
        """Save the session, and give its cookie to an answer whose head is about to be made."""
        self._head_is_sent = True
        session = self.session
        if session is None:
            return
        _add_vary(response.headers)
        if session.is_changed or self._is_to_be_seen():
            # What another task changes while it is being saved is kept afterwards, if no cookie is needed for it.
            self._lock_late_changes(has_token=True)
            await self._save_by_head(session, response)
        self._lock_late_changes()

    async def store(self) -> None:
        """Save changes that need no cookie; for long answers, and those made after the head was sent.

        Raises:
            SessionLostError: the peer would need another cookie, and its head is sent.
        """
        session = self.session
        if session is None or not session.is_changed:
            return
        if not self._head_is_sent:
            raise RuntimeError("save_session() before the head: response.prepare() saves the session")
        async with self._get_lock():
            if session.is_changed:  # another task may have saved it meanwhile
                await self._save(session)
        self._lock_late_changes()

    def end(self, *, is_saved: bool = True) -> None:
        """Take note that the handler has ended: what is changed once the head is sent would be saved by nobody.

        Args:
            is_saved: whether the head saves the session; False where the handler has failed.
        """
        self._handler_has_ended = True
        self._head_is_sent = self._head_is_sent or not is_saved
        self._lock_late_changes()

    def _lock_late_changes(self, *, has_token: bool = False) -> None:
        session = self.session
        if session is None or not self._head_is_sent:
            return
        if self._handler_has_ended:
            session.lock(_IS_OVER, identity_only=False)
        else:
            has_token = has_token or self._token is not None
            session.lock(_NO_COOKIE, identity_only=has_token and self._settings.storage.is_on_server)

    async def _save_by_head(self, session: Session, response: web.StreamResponse) -> None:
        token_before = self._token
        max_age_before = None if self._record is None else self._record.max_age
        is_ended = session.is_ended
        try:
            if self._settings.storage.is_on_server:
                async with self._get_lock():
                    is_kept = await self._save(session)
            else:
                is_kept = await self._save(session)
        except (SessionStorageError, SessionConflictError) as exc:
            logger.error("a session could not be saved: %s", exc)
            # The answer that says so has no session to save.
            self.session = None
            raise _make_unavailable() from exc
        cookie = self._settings.cookie
        if is_ended and token_before is not None:
            cookie.delete(self.request, response)
        # A cookie with a Max-Age begins anew with each save, and one that had some has to lose it.
        elif is_kept and self._token and (self._token, session.max_age, None) != (token_before, None, max_age_before):
            cookie.set(self.request, response, self._token, session.max_age)
        else:
            return
        response.headers.setdefault("Cache-Control", "private")

    def _is_to_be_seen(self) -> bool:
        """Whether an unchanged session is saved just to say that it was used."""
        idle_seconds = self._settings.idle_seconds
        if self._record is None or idle_seconds is None:
            return False
        return time.time() - self._record.seen >= idle_seconds / _REFRESH_PART

    async def _save(self, session: Session) -> bool:
        """Keep, move or forget the record; whether it is there now."""
        if session.is_ended:
            await self._forget(session)
            return False
        old_token = self._token
        if not session.is_rotating or old_token is None:
            return await self._replace(session)
        if self._settings.storage.is_on_server and not session.new:
            return await self._move(session, old_token)
        self._note(session, await self._keep(session, session.identity, None))
        await self._settings.storage.delete(old_token)
        return True

    async def _replace(self, session: Session) -> bool:
        """Save; where another request was faster, save what this one has changed on top of that."""
        token = session.identity if self._token is None else self._token
        expected = self._record_bytes if self._settings.storage.is_on_server else None
        for _ in range(MAX_MERGES):
            try:
                self._note(session, await self._keep(session, token, expected))
            except SessionConflictError as exc:
                if expected is None:
                    raise
                if not await self._heed(session, exc.found):
                    return False
                if not session.is_changed:  # it was only to be seen as used, which it is by now
                    return True
                expected = exc.found
            else:
                return True
        raise SessionConflictError(expected)

    async def _move(self, session: Session, old_token: str) -> bool:
        """Go on under another token, with all that others have saved under the old one until it is nobody's."""
        storage = self._settings.storage
        for _ in range(MAX_MERGES):
            kept = await self._keep(session, None, None)
            try:
                await self._mark_as_moved(old_token)
            except SessionConflictError as exc:
                await storage.delete(kept.token)
                if not await self._heed(session, exc.found):
                    return False
            else:
                self._note(session, kept)
                with contextlib.suppress(SessionStorageError):  # what is there opens nothing, and is gone in a moment
                    await storage.delete(old_token)
                return True
        raise SessionConflictError(self._record_bytes)

    async def _mark_as_moved(self, old_token: str) -> None:
        # Each mark is another: a storage whose connection broke tries again, and may find what it has left before.
        mark = MOVED + secrets.token_hex(8).encode()
        try:
            await self._settings.storage.save(old_token, mark, _MOVED_SECONDS, expected=self._record_bytes)
        except SessionConflictError as exc:
            if exc.found != mark:
                raise

    async def _keep(self, session: Session, token: str | None, expected: bytes | None) -> _Kept:
        """Have the storage keep the session as it is now."""
        settings = self._settings
        now = int(time.time())
        record = Record(session.copy_data(), session.created, now, session.max_age)
        content = settings.serializer.dump(record)
        token = await settings.storage.save(token, content, settings.find_ttl(record, now), expected=expected)
        return _Kept(token, record, content)

    def _note(self, session: Session, kept: _Kept) -> None:
        self._token, self._record, self._record_bytes = kept
        session.mark_saved(kept.token if self._settings.storage.is_on_server else None)

    async def _heed(self, session: Session, found: bytes | None) -> bool:
        """Bring in what others have saved since the session was loaded; False where it has ended, here or there."""
        if not session.is_ended:  # by another task of this request
            load = self._settings.serializer.load
            newer = None if found is None else load(found)
            # What was there at first is read again: values may have been changed from within.
            original = None if self._record_bytes is None else load(self._record_bytes)
            if newer is None or original is None:
                logger.debug("a session was ended by another request, its changes are dropped")
                self._end(session)
                return False
            session.merge(original, newer)
            self._record_bytes = found
        if session.is_ended:
            await self._forget(session)
            return False
        return True

    async def _forget(self, session: Session) -> None:
        session.lock(_NO_COOKIE, identity_only=False)  # what would be put in now is another session
        if self._token is not None:
            await self._settings.storage.delete(self._token)
        self._end(session)

    def _end(self, session: Session) -> None:
        session.mark_ended()
        self._token = self._record = self._record_bytes = None


def _make_unavailable() -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(text="sessions can't be had now", headers={"Retry-After": _RETRY_AFTER})


def _add_vary(headers: Any) -> None:
    """Say that the answer follows from the cookie, for caches. Source: RFC 9110 section 12.5.5."""
    if "Vary" not in headers:
        headers["Vary"] = "Cookie"
        return
    fields = ", ".join(headers.getall("Vary"))
    if not {name.strip().lower() for name in fields.split(",")} & {"cookie", "*"}:
        headers["Vary"] = f"{fields}, Cookie"
