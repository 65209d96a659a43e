"""The session of one request: loaded when it is asked for, saved before the head of the answer is made."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from corelet import web

from .record import Record
from .session import Session, SessionLostError
from .storage import SessionConflictError, SessionStorageError

if TYPE_CHECKING:
    from .settings import Settings

logger: Final = logging.getLogger("corelet.sessions")

#: How often a session is merged with what other requests have saved meanwhile, before the request gives up.
MAX_MERGES: Final = 20
#: A session is saved again, only to be seen, when this part of its idle time has gone.
_REFRESH_PART: Final = 10
#: Seconds that a peer is told to wait where the storage is away.
_RETRY_AFTER: Final = "5"
_NO_COOKIE: Final = "the session was changed after the head of the answer was sent, and its cookie can't be any more"


class SessionAccess:
    """Load, save and end the session of one request."""

    __slots__ = ("_head_is_sent", "_lock", "_record", "_record_bytes", "_settings", "_token", "request", "session")

    def __init__(self, settings: Settings, request: Any) -> None:
        self._settings = settings
        self.request = request
        self.session: Session | None = None
        # Where the session is kept and what is there, as far as this request knows.
        self._token: str | None = None
        self._record: Record | None = None
        self._record_bytes: bytes | None = None
        self._head_is_sent = False
        self._lock: asyncio.Lock | None = None

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
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if self.session is None:
                self.session = await self._load()

    async def renew(self) -> Session:
        """Begin a new session; the old one is ended when the new one is saved."""
        if self.session is None:
            await self.get()
        if self._head_is_sent:
            raise SessionLostError(_NO_COOKIE)
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
        session = self.session
        if session is not None:
            _add_vary(response.headers)
            if session.is_changed or self._is_to_be_seen():
                await self._save_by_head(session, response)
        self._head_is_sent = True
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
        await self._save(session)
        self._lock_late_changes()

    def _lock_late_changes(self) -> None:
        session = self.session
        if session is not None and self._head_is_sent:
            needs_cookie = self._token is None or not self._settings.storage.is_on_server
            session.lock(_NO_COOKIE, identity_only=not needs_cookie)

    async def _save_by_head(self, session: Session, response: web.StreamResponse) -> None:
        token_before = self._token
        max_age_before = None if self._record is None else self._record.max_age
        is_ended = session.is_changed and session.empty
        try:
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
        if session.empty and session.is_changed:
            await self._forget()
            session.mark_saved(None, {})
            return False
        if not session.is_rotating:
            return await self._replace(session)
        old_token = self._token
        is_kept = await self._begin(session)
        if old_token is not None:
            await self._settings.storage.delete(old_token)
        return is_kept

    async def _begin(self, session: Session) -> bool:
        """Keep the session under a token that it hasn't had; whether it is there now."""
        data = session.copy_data()
        if not session.new and self._token is not None and self._settings.storage.is_on_server:
            found = await self._settings.storage.load(self._token)
            if found is None:
                self._give_up(session)
                return False
            # What others have saved since it was loaded goes along.
            data = self._merge(data, found)
        await self._write(session, session.identity if session.new else None, data, None)
        return True

    async def _replace(self, session: Session) -> bool:
        """Save; where another request was faster, save what this one has changed on top of that."""
        token = session.identity if self._token is None else self._token
        expected = self._record_bytes if self._settings.storage.is_on_server else None
        data = session.copy_data()
        for _ in range(MAX_MERGES):
            try:
                await self._write(session, token, data, expected)
            except SessionConflictError as exc:
                if expected is None:
                    raise
                if exc.found is None:
                    self._give_up(session)
                    return False
                data, expected = self._merge(data, exc.found), exc.found
                self._record_bytes = expected
            else:
                return True
        raise SessionConflictError(expected)

    async def _write(self, session: Session, token: str | None, data: dict[str, Any], expected: bytes | None) -> None:
        settings = self._settings
        now = int(time.time())
        record = Record(data, session.created, now, session.max_age)
        content = settings.serializer.dump(record)
        self._token = await settings.storage.save(token, content, settings.find_ttl(record, now), expected=expected)
        self._record, self._record_bytes = record, content
        session.mark_saved(self._token if settings.storage.is_on_server else None, data)

    def _merge(self, data: dict[str, Any], found: bytes) -> dict[str, Any]:
        """Put the keys that were changed here on top of what others have saved.

        What was there at first is read again: values may have been changed from within.
        """
        load = self._settings.serializer.load
        original = None if self._record_bytes is None else load(self._record_bytes)
        newer = load(found)
        if original is None or newer is None:
            return data
        before = original.data
        removed = before.keys() - data.keys()
        kept = {key: value for key, value in newer.data.items() if key not in removed}
        return kept | {key: value for key, value in data.items() if key not in before or before[key] != value}

    def _give_up(self, session: Session) -> None:
        """Another request has ended the session: what this one wanted to keep in it is nobody's any more."""
        logger.debug("a session was ended by another request, its changes are dropped")
        session.mark_saved(None, {})
        self._token = self._record = self._record_bytes = None

    async def _forget(self) -> None:
        if self._token is not None:
            await self._settings.storage.delete(self._token)
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
