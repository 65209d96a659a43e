"""Switch sessions on, and get the session of a request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

from corelet import web
from corelet.abc import Handler, Middleware

from .access import SessionAccess
from .cookie import SessionCookie
from .record import DUMPS, LOADS, Serializer
from .registry import StorageRegistry
from .session import Session
from .settings import ABSOLUTE_SECONDS, IDLE_SECONDS, Settings
from .storage import AbstractStorage

_ACCESS: Final = web.RequestKey("session", SessionAccess)


def setup_sessions(
    app: web.Application,
    storage: AbstractStorage | str,
    *,
    cookie: SessionCookie | None = None,
    idle_seconds: int | None = IDLE_SECONDS,
    absolute_seconds: int | None = ABSOLUTE_SECONDS,
    read_only_when_down: bool = False,
    dumps: Callable[[Any], str | bytes] = DUMPS,
    loads: Callable[[bytes], Any] = LOADS,
) -> None:
    """Switch sessions on for an application: the middleware, and the end of the storage with the application's.

    Args:
        app: the application; its middlewares that are there already see the session's answer, later ones its request.
        storage: where sessions are kept: an AbstractStorage, or a URL like ``redis://host:6379/0``,
            ``memcached://host:11211`` or ``memory:``, or of a scheme that a plugin has registered.
        cookie, idle_seconds, absolute_seconds, read_only_when_down, dumps, loads: as in :func:`session_middleware`.

    Raises:
        ValueError: a URL of a scheme that nobody has, or settings that make no sense.
    """
    if isinstance(storage, str):
        registry = StorageRegistry()
        app.plugins.call_all("corelet_sessions_storages", registry=registry)
        storage = registry.make_storage(storage)
    app.middlewares.append(
        session_middleware(
            storage,
            cookie=cookie,
            idle_seconds=idle_seconds,
            absolute_seconds=absolute_seconds,
            read_only_when_down=read_only_when_down,
            dumps=dumps,
            loads=loads,
        )
    )
    used = storage

    async def close_storage(app: web.Application) -> AsyncIterator[None]:
        yield
        await used.close()

    app.cleanup_ctx.append(close_storage)


#: aiohttp_session's name for it.
setup: Final = setup_sessions


def session_middleware(
    storage: AbstractStorage,
    *,
    cookie: SessionCookie | None = None,
    idle_seconds: int | None = IDLE_SECONDS,
    absolute_seconds: int | None = ABSOLUTE_SECONDS,
    read_only_when_down: bool = False,
    dumps: Callable[[Any], str | bytes] = DUMPS,
    loads: Callable[[bytes], Any] = LOADS,
) -> Middleware:
    """Make the middleware that :func:`setup_sessions` adds; who uses it alone closes the storage.

    A session is loaded when a handler first asks for it, and saved before the head of the answer is made, also of
    answers that the handler prepares itself. It is kept where the handler returns or raises an HTTPException, and left
    as it was where the handler fails otherwise or is cancelled.

    Two requests at once on one session both count: what each has changed is merged key by key, and where both have
    changed one key the later one wins. A request that comes too late for a session which another one has ended
    changes nothing. In storages that are the cookie itself the browser keeps the cookie that came last.

    Of two around one handler with one storage, say of an application and of one in it, the outer one keeps the session.

    Args:
        storage: where sessions are kept.
        cookie: what the cookie looks like; default ``SessionCookie()``.
        idle_seconds: a session that was not used for so long is over; default 14 days as in Django, None for no limit.
        absolute_seconds: a session is over so long after it began, whatever was done; default 30 days, None for no
            limit.
        read_only_when_down: give handlers an empty session that can't be changed while the storage can't be reached.
            Default False: they don't get that far, and the answer is 503. What can't be saved is a 503 either way.
        dumps, loads: make text or bytes of the data and back; default JSON.

    Raises:
        TypeError: the storage is none.
        ValueError: settings that make no sense.
    """
    if not isinstance(storage, AbstractStorage):
        raise TypeError(f"storage is {storage!r}, expected an AbstractStorage; setup_sessions(app, url) takes a URL")
    settings = Settings(
        storage,
        cookie or SessionCookie(),
        idle_seconds,
        absolute_seconds,
        read_only_when_down,
        Serializer(dumps, loads),
    )

    async def keep_session(request: Any, handler: Handler) -> Any:
        if request.own_data is not None and _ACCESS in request.own_data and request[_ACCESS].is_of(storage):
            return await handler(request)
        request[_ACCESS] = access = SessionAccess(settings, request)
        hook = access.prepare
        request.add_prepare_hook(hook)
        try:
            response = await handler(request)
        except web.HTTPException:
            access.end()
            raise
        except BaseException:
            request.remove_prepare_hook(hook)
            access.end(is_saved=False)
            raise
        access.end()
        if isinstance(response, web.StreamResponse) and response.prepared:
            await access.store()
        elif isinstance(response, web.Response):
            request.remove_prepare_hook(hook)
            await access.prepare(request, response)
        return response

    return keep_session


def get_session(request: Any) -> Coroutine[Any, Any, Session]:
    """Get the session of a request; a new and empty one where the peer has none, or it has expired.

    Raises:
        RuntimeError: the application has no sessions.
        HTTPServiceUnavailable: the storage can't be reached.
    """
    return _get_access(request).get()


async def new_session(request: Any) -> Session:
    """Begin a new session under a new token, and end the one that the peer had.

    Raises:
        RuntimeError: the application has no sessions.
        HTTPServiceUnavailable: the storage can't be reached.
        SessionLostError: the head of the answer is sent.
    """
    return await _get_access(request).renew()


async def save_session(request: Any) -> None:
    """Save the session of a stream or WebSocket now; else it is saved when its handler ends.

    Raises:
        RuntimeError: the application has no sessions, or the answer's head is still to come and saves it.
        SessionConflictError: others have changed the session again and again.
        SessionStorageError: the storage can't be reached.
    """
    await _get_access(request).store()


def _get_access(request: Any) -> SessionAccess:
    access: SessionAccess | None = request.get(_ACCESS)
    if access is None:
        raise RuntimeError(f"no sessions for {request!r}: call web.setup_sessions(app, storage) where the app is made")
    return access
