"""Sessions over sockets: begun, kept, rotated, ended; two at once, streams, failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import corelet_sessions
from corelet import hookimpl, web
from corelet_sessions import access as access_module
from corelet_sessions import middleware as middleware_module
from tests.conftest import Connect, Serve, Tls
from tests.raw_client import Answer
from tests.sessions.conftest import Browser, Program, find_free_port

KEY = "k" * 32
Handler = Callable[[web.Request], Awaitable[Any]]
Browse = Callable[..., Awaitable[Browser]]

STORAGES: dict[str, Callable[[], Any]] = {
    "memory": web.InMemoryStorage,
    "signed": lambda: web.SignedCookieStorage(KEY),
    "encrypted": lambda: web.EncryptedCookieStorage(KEY),
}


async def act(request: web.Request) -> web.StreamResponse:
    """Do with the session what the path says, and show it."""
    what = request.path.strip("/")
    if what == "untouched":
        return web.Response(text="{}")
    session = await web.get_session(request)
    if what == "login":
        session["user"] = request.query["user"]
        session.rotate()
    elif what == "count":
        session["count"] = session.get("count", 0) + 1
    elif what == "set":
        session.update(request.query)
    elif what == "delete":
        del session[request.query["key"]]
    elif what == "logout":
        session.invalidate()
    elif what == "restart":
        session = await web.new_session(request)
        session["fresh"] = True
    elif what == "nest":
        session.setdefault("list", []).append(1)
        session.changed()
    elif what == "remember":
        session.max_age = int(request.query["seconds"]) or None if request.query["seconds"] != "none" else None
    elif what == "redirect":
        session["seen"] = True
        raise web.HTTPFound("/")
    elif what == "crash":
        session["lost"] = True
        raise OSError("failed")
    return web.json_response({"new": session.new, "identity": session.identity, "data": dict(session)})


@pytest.fixture
def browse(serve: Serve, connect: Connect) -> Browse:
    """Give what serves a handler with sessions and opens a browser on it."""

    async def start(storage: Any = "memory", handler: Handler = act, **options: Any) -> Browser:
        app = web.Application()
        web.setup_sessions(app, STORAGES[storage]() if storage in STORAGES else storage, **options)
        app.router.add_route("*", "/{tail:.*}", handler)
        return Browser(await serve(app), connect)

    return start


@pytest.fixture(params=STORAGES)
def storage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(answer: Any) -> dict[str, Any]:
    assert answer.status == 200, answer
    shown: dict[str, Any] = json.loads(answer.text)
    return shown


# The life of a session.


async def test_session_lives_from_request_to_request(browse: Browse, storage: str) -> None:
    browser = await browse(storage)
    assert read(await browser.get("/count")) == {"new": True, "identity": None, "data": {"count": 1}}
    for count in (2, 3):
        shown = read(await browser.get("/count"))
        assert (shown["new"], shown["data"]) == (False, {"count": count})
    assert read(await browser.get("/delete?key=count"))["data"] == {}


async def test_session_that_is_only_read_sets_no_cookie(browse: Browse, storage: str) -> None:
    browser = await browse(storage)
    answer = await browser.get("/show")
    assert (browser.set_cookies, answer.field("vary"), answer.field("cache-control")) == ([], "Cookie", None)
    await browser.get("/count")
    await browser.get("/show")
    assert browser.set_cookies == []


async def test_session_that_is_not_asked_for_leaves_no_trace(browse: Browse) -> None:
    answer = await (await browse()).get("/untouched")
    assert (answer.field("vary"), answer.field("set-cookie")) == (None, None)


async def test_answer_with_a_cookie_is_private(browse: Browse) -> None:
    answer = await (await browse()).get("/count")
    assert (answer.field("vary"), answer.field("cache-control")) == ("Cookie", "private")


async def test_change_inside_a_value_is_kept_when_said(browse: Browse, storage: str) -> None:
    browser = await browse(storage)
    await browser.get("/nest")
    assert read(await browser.get("/nest"))["data"] == {"list": [1, 1]}


async def test_logout_ends_the_record_and_the_cookie(browse: Browse) -> None:
    browser = await browse()
    await browser.get("/count")
    token = browser.token
    await browser.get("/logout")
    assert "Max-Age=0" in browser.set_cookies[0]
    assert browser.token is None
    browser.cookies["session"] = str(token)
    assert read(await browser.get("/show"))["data"] == {}


async def test_new_session_ends_the_old_one(browse: Browse, storage: str) -> None:
    browser = await browse(storage)
    await browser.get("/count")
    before = browser.token
    shown = read(await browser.get("/restart"))
    assert (shown["new"], shown["data"]) == (True, {"fresh": True})
    assert browser.token not in (None, before)
    assert read(await browser.get("/show"))["data"] == {"fresh": True}
    if storage == "memory":
        browser.cookies["session"] = str(before)
        assert read(await browser.get("/show"))["data"] == {}


async def test_identity_of_a_new_session_can_be_chosen(browse: Browse, expect_error_log: Any) -> None:
    chosen = "c" * 32

    async def handler(request: web.Request) -> web.Response:
        session = await web.get_session(request)
        if session.new:
            session.set_new_identity(chosen)
        else:
            with pytest.raises(RuntimeError, match="is for new sessions"):
                session.set_new_identity(chosen)
        session["a"] = 1
        return web.Response()

    browser = await browse(handler=handler)
    await browser.get("/")
    assert browser.token == chosen
    assert (await browser.get("/")).status == 200
    browser.cookies.clear()
    assert (await browser.get("/")).status == 503, "the identity is somebody's already"
    assert "another request has changed the session" in expect_error_log[0].getMessage()


# Fixation and forgery.


async def test_a_098_login_gives_a_new_token_cve_2018_1000519(browse: Browse) -> None:
    browser = await browse()
    await browser.get("/set?basket=3")
    before = browser.token
    await browser.get("/login?user=alice")
    assert browser.token not in (None, before)
    assert read(await browser.get("/show"))["data"] == {"basket": "3", "user": "alice"}
    browser.cookies["session"] = str(before)
    assert read(await browser.get("/show"))["data"] == {}, "whoever had planted the old token has nothing"


async def test_token_that_a_stranger_made_up_is_not_taken_over(browse: Browse, storage: str) -> None:
    browser = await browse(storage)
    planted = "p" * 43
    browser.cookies["session"] = planted
    shown = read(await browser.get("/count"))
    assert shown["new"]
    assert browser.token not in (None, planted)


@pytest.mark.parametrize("storage", ["signed", "encrypted"])
async def test_a_097_forged_cookies_begin_a_new_session(browse: Browse, storage: str) -> None:
    browser = await browse(storage)
    await browser.get("/count")
    token = str(browser.token)
    for forged in (
        token[:-1],
        token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        "A" + token,
        token.swapcase(),
        "=.",
    ):
        browser.cookies["session"] = forged
        assert read(await browser.get("/show")) == {"new": True, "identity": None, "data": {}}


@pytest.mark.parametrize(
    "record",
    [b"[]", b"null", b"[1,2,3]", b'["a",2,null,{}]', b"\xff", b'[1,2,"x",{}]', b"[1,2,null,[]]", b"[" * 3000],
    ids=lambda record: repr(record[:20]),
)
async def test_signed_records_of_other_programs_are_no_sessions(browse: Browse, record: bytes) -> None:
    browser = await browse("signed")
    browser.cookies["session"] = web.SignedCookieStorage(KEY).seal(record)
    assert read(await browser.get("/show"))["new"]


async def test_a_057_nameless_cookie_is_no_session_cve_2023_23934(serve: Serve, connect: Connect) -> None:
    app = web.Application()
    web.setup_sessions(app, web.SignedCookieStorage(KEY), cookie=web.SessionCookie(secure=True))
    app.router.add_get("/{tail:.*}", act)
    served = await serve(app)
    browser = Browser(served, connect)
    await browser.get("/count")
    client = await connect(served)
    for field in (f"=__Host-session={browser.token}", f"session={browser.token}", f" =__Host-session={browser.token}"):
        assert read(await client.get("/show", fields=f"Cookie: {field}\r\n"))["new"]
    assert not read(await client.get("/show", fields=f"Cookie: __Host-session={browser.token}\r\n"))["new"]


# Expiry.


class Clock:
    """Time as sessions see it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000_000.0
        monkeypatch.setattr(access_module.time, "time", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def test_a_097_unused_session_expires_also_in_a_cookie_cve_2018_1000814(browse: Browse, clock: Clock) -> None:
    browser = await browse("signed", idle_seconds=100, absolute_seconds=None)
    await browser.get("/count")
    token = browser.token
    clock.now += 99
    assert not read(await browser.get("/show"))["new"]
    assert browser.token != token, "a session that is used is seen"
    clock.now += 99
    assert not read(await browser.get("/show"))["new"]
    clock.now += 100
    assert read(await browser.get("/show"))["new"]
    browser.cookies["session"] = str(token)
    assert read(await browser.get("/show"))["new"], "the copy of a cookie expires too"


async def test_session_that_was_just_used_is_not_saved_again(browse: Browse, clock: Clock) -> None:
    browser = await browse("signed", idle_seconds=100)
    await browser.get("/count")
    clock.now += 9
    await browser.get("/show")
    assert browser.set_cookies == []
    clock.now += 1
    await browser.get("/show")
    assert len(browser.set_cookies) == 1


async def test_session_that_is_only_to_be_seen_is_not_saved_again_where_another_request_has(
    browse: Browse, clock: Clock
) -> None:
    class Busy(web.InMemoryStorage):
        is_busy = False
        tries = 0

        async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
            if self.is_busy and token is not None:
                self.tries += 1
                raise web.SessionConflictError(await self.load(token))
            return await super().save(token, record, ttl, expected=expected)

    storage = Busy()
    browser = await browse(storage, idle_seconds=100)
    await browser.get("/set?a=1")
    clock.now += 50
    storage.is_busy = True
    assert read(await browser.get("/show"))["data"] == {"a": "1"}
    assert storage.tries == 1


async def test_session_ends_some_day_whatever_is_done(browse: Browse, clock: Clock) -> None:
    browser = await browse("signed", idle_seconds=None, absolute_seconds=100)
    for _ in range(4):
        await browser.get("/login?user=alice")
        clock.now += 24
        assert not read(await browser.get("/show"))["new"]
    clock.now += 5
    assert read(await browser.get("/show"))["new"]


async def test_server_forgets_at_the_same_time(browse: Browse, clock: Clock) -> None:
    storage = web.InMemoryStorage(clock=lambda: clock.now)
    browser = await browse(storage, idle_seconds=100, absolute_seconds=150)
    await browser.get("/count")
    clock.now += 90
    await browser.get("/count")
    clock.now += 59
    assert await storage.load(str(browser.token)) is not None
    clock.now += 1
    assert await storage.load(str(browser.token)) is None


async def test_session_without_limits_stays(browse: Browse, clock: Clock) -> None:
    browser = await browse("signed", idle_seconds=None, absolute_seconds=None)
    await browser.get("/count")
    clock.now += 300 * 86_400
    assert not read(await browser.get("/show"))["new"]


async def test_browser_may_be_asked_to_remember(browse: Browse, clock: Clock) -> None:
    browser = await browse()
    await browser.get("/count")
    assert "Max-Age" not in browser.set_cookies[0]
    await browser.get("/remember?seconds=500")
    assert "Max-Age=500" in browser.set_cookies[0]
    clock.now += 100
    await browser.get("/count")
    assert "Max-Age=500" in browser.set_cookies[0], "with each save it lives on"
    await browser.get("/remember?seconds=none")
    assert "Max-Age" not in browser.set_cookies[0]


@pytest.mark.parametrize("options", [{"idle_seconds": 0}, {"absolute_seconds": -1}])
def test_times_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"expected seconds from 1, or None for no limit"):
        web.session_middleware(web.InMemoryStorage(), **options)


# Several requests at once.


class Gate:
    """Holds handlers between reading a session and changing it, until so many are there."""

    def __init__(self, count: int) -> None:
        self._barrier = asyncio.Barrier(count)

    async def handle(self, request: web.Request) -> web.Response:
        session = await web.get_session(request)
        await self._barrier.wait()
        if request.path == "/delete":
            del session["basket"]
        else:
            session.update(request.query)
        return web.Response()


@pytest.fixture(params=["memory", "redis", "memcached"])
def server_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of each storage on a server."""
    if request.param == "memory":
        return "memory:"
    program: Program = request.getfixturevalue(request.param)
    return f"{request.param}://127.0.0.1:{program.port}"


async def test_what_two_requests_change_both_counts(browse: Browse, server_url: str) -> None:
    async def handler(request: web.Request) -> Any:
        return await (act(request) if request.path.startswith(("/show", "/set")) else gate.handle(request))

    gate = Gate(8)
    browser = await browse(server_url, handler)
    await browser.get("/set?basket=1&old=1")
    paths = [f"/update?key{number}={number}" for number in range(7)]
    await asyncio.gather(*(browser.get(path) for path in [*paths, "/delete"]))
    expected = {"old": "1"} | {f"key{number}": str(number) for number in range(7)}
    assert read(await browser.get("/show"))["data"] == expected


class Pause:
    """Holds a handler after it has loaded its session, until told to go on."""

    def __init__(self, change: Callable[[web.Session], None]) -> None:
        self._change = change
        self.loaded, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def begin(self, browser: Browser) -> tuple[Browser, asyncio.Future[Answer]]:
        """Ask by another browser with the same session; it, and its answer, which waits."""
        late = browser.make_twin()
        working = asyncio.ensure_future(late.get("/paused"))
        await self.loaded.wait()
        return late, working

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/paused":
            return await act(request)
        session = await web.get_session(request)
        self.loaded.set()
        await self.may_go_on.wait()
        self._change(session)
        return web.json_response({"new": session.new})


async def test_session_that_is_ended_meanwhile_stays_ended(browse: Browse, server_url: str) -> None:
    def change(session: web.Session) -> None:
        session["late"] = True

    pause = Pause(change)
    browser = await browse(server_url, pause.handle)
    await browser.get("/set?a=1")
    late, working = await pause.begin(browser)
    await browser.get("/logout")
    pause.may_go_on.set()
    assert (await working).status == 200
    assert late.set_cookies == []
    assert read(await late.get("/show"))["data"] == {}


async def test_session_that_is_ended_meanwhile_is_not_rotated_into_life(browse: Browse, server_url: str) -> None:
    pause = Pause(web.Session.rotate)
    browser = await browse(server_url, pause.handle)
    await browser.get("/set?user=alice")
    late, working = await pause.begin(browser)
    await browser.get("/logout")
    pause.may_go_on.set()
    assert (await working).status == 200
    assert late.set_cookies == []
    assert read(await late.get("/show"))["data"] == {}


async def test_session_that_is_filled_after_its_end_takes_nothing_along(browse: Browse, clock: Clock) -> None:
    def change_user(session: web.Session) -> None:
        session.invalidate()
        session["user"] = "bob"

    pause = Pause(change_user)
    browser = await browse(handler=pause.handle, absolute_seconds=100)
    await browser.get("/set?user=alice")
    before = browser.token
    clock.now += 90
    working = asyncio.ensure_future(browser.get("/paused"))
    await pause.loaded.wait()
    other = Browser(browser.served, browser.connect)
    other.cookies["session"] = str(before)
    await other.get("/set?secret=alices")
    pause.may_go_on.set()
    assert read(await working) == {"new": True}
    assert browser.token not in (None, before)
    clock.now += 90
    assert read(await browser.get("/show"))["data"] == {"user": "bob"}, "its time begins anew"
    assert read(await other.get("/show"))["data"] == {}


async def test_request_that_comes_late_to_a_rotation_does_not_take_the_new_cookie_away(browse: Browse) -> None:
    async def handler(request: web.Request) -> Any:
        if request.path != "/late":
            return await act(request)
        session = await web.get_session(request)
        loaded.set()
        await rotated.wait()
        session["late"] = True
        return web.Response()

    loaded, rotated = asyncio.Event(), asyncio.Event()
    browser = await browse(handler=handler)
    await browser.get("/set?a=1")
    working = asyncio.ensure_future(browser.get("/late"))
    await loaded.wait()
    await browser.get("/login?user=alice")
    rotated.set()
    await working
    assert read(await browser.get("/show"))["data"] == {"a": "1", "user": "alice"}


async def test_rotation_takes_along_what_others_have_saved(browse: Browse) -> None:
    async def handler(request: web.Request) -> Any:
        if request.path != "/slow-login":
            return await act(request)
        session = await web.get_session(request)
        loaded.set()
        await saved.wait()
        session["user"] = "alice"
        session.rotate()
        return web.Response()

    loaded, saved = asyncio.Event(), asyncio.Event()
    browser = await browse(handler=handler)
    await browser.get("/set?a=1")
    working = asyncio.ensure_future(browser.get("/slow-login"))
    await loaded.wait()
    await browser.get("/set?b=2")
    saved.set()
    await working
    assert read(await browser.get("/show"))["data"] == {"a": "1", "b": "2", "user": "alice"}


async def test_session_that_two_requests_empty_together_is_ended(browse: Browse) -> None:
    def change(session: web.Session) -> None:
        del session["a"]

    storage, pause = web.InMemoryStorage(), Pause(change)
    browser = await browse(storage, pause.handle)
    await browser.get("/set?a=1&b=2")
    working = asyncio.ensure_future(browser.get("/paused"))
    await pause.loaded.wait()
    other = browser.make_twin()
    assert read(await other.get("/delete?key=b"))["data"] == {"a": "1"}
    pause.may_go_on.set()
    assert (await working).status == 200
    assert len(storage) == 0


async def test_what_one_request_is_to_remember_another_one_does_not_forget(browse: Browse) -> None:
    def change(session: web.Session) -> None:
        session["late"] = True

    pause = Pause(change)
    browser = await browse(handler=pause.handle)
    await browser.get("/set?a=1")
    late, working = await pause.begin(browser)
    await browser.get("/remember?seconds=500")
    pause.may_go_on.set()
    assert (await working).status == 200
    assert "Max-Age=500" in late.set_cookies[0]
    assert read(await browser.get("/set?b=2"))["data"] == {"a": "1", "late": True, "b": "2"}
    assert "Max-Age=500" in browser.set_cookies[0]


class Held(web.InMemoryStorage):
    """Holds what is saved, once it was begun, until told to go on."""

    is_holding = False

    def hold(self) -> None:
        self.is_holding = True
        self.has_begun, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
        if self.is_holding:
            self.is_holding = False
            self.has_begun.set()
            await self.may_go_on.wait()
        return await super().save(token, record, ttl, expected=expected)


@pytest.mark.parametrize(
    ("meanwhile", "expected"),
    [
        ("/set?b=2", {"a": "1", "b": "2", "user": "alice"}),
        ("/logout", {}),
        ("/login?user=bob", {}),
    ],
)
async def test_nothing_comes_between_the_steps_of_a_rotation(
    browse: Browse, meanwhile: str, expected: dict[str, str]
) -> None:
    storage = Held()
    browser = await browse(storage)
    await browser.get("/set?a=1")
    other = Browser(browser.served, browser.connect)
    other.cookies["session"] = before = str(browser.token)
    storage.hold()
    rotating = asyncio.ensure_future(browser.get("/login?user=alice"))
    await storage.has_begun.wait()
    await other.get(meanwhile)
    storage.may_go_on.set()
    assert (await rotating).status == 200
    assert (browser.token != before) is bool(expected)
    assert read(await browser.get("/show"))["data"] == expected
    kept = {token for token in (browser.token, other.token) if token and await storage.load(token)}
    assert len(storage) == len(kept), "no record is left that nobody has the token of"


@pytest.mark.parametrize("path", ["/login?user=alice", "/set?user=alice"])
async def test_command_that_is_tried_again_may_find_what_it_has_done_before(browse: Browse, path: str) -> None:
    class Retrying(web.InMemoryStorage):
        breaks = False

        async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
            kept = await super().save(token, record, ttl, expected=expected)
            if self.breaks and expected is not None:
                self.breaks = False
                raise web.SessionConflictError(record)
            return kept

    storage = Retrying()
    browser = await browse(storage)
    await browser.get("/set?a=1")
    storage.breaks = True
    await browser.get(path)
    assert not storage.breaks
    assert read(await browser.get("/show"))["data"] == {"a": "1", "user": "alice"}
    assert len(storage) == 1


async def test_session_of_one_request_is_loaded_once(browse: Browse) -> None:
    class Counting(web.InMemoryStorage):
        loads = 0

        async def load(self, token: str) -> bytes | None:
            self.loads += 1
            await asyncio.sleep(0)
            return await super().load(token)

    async def handler(request: web.Request) -> web.Response:
        first, second = await asyncio.gather(web.get_session(request), web.get_session(request.clone()))
        assert first is second
        first["a"] = 1
        return web.Response()

    storage = Counting()
    browser = await browse(storage, handler)
    await browser.get("/")
    await browser.get("/")
    assert storage.loads == 1


# How a handler ends.


async def test_session_is_kept_where_the_handler_raises_an_answer(browse: Browse, storage: str) -> None:
    browser = await browse(storage)
    answer = await browser.get("/redirect")
    assert (answer.status, answer.field("location")) == (302, "/")
    assert read(await browser.get("/show"))["data"] == {"seen": True}


async def test_session_is_left_as_it_was_where_the_handler_fails(
    browse: Browse, storage: str, expect_error_log: Any
) -> None:
    browser = await browse(storage)
    await browser.get("/count")
    assert (await browser.get("/crash")).status == 500
    assert browser.set_cookies == []
    assert read(await browser.get("/show"))["data"] == {"count": 1}


async def test_cookie_that_browsers_would_drop_is_an_error(browse: Browse, expect_error_log: Any) -> None:
    browser = await browse("signed")
    answer = await browser.get("/set?a=" + "x" * 4000)
    assert (answer.status, browser.set_cookies) == (500, [])
    assert "browsers keep 4,096: keep less in it, or keep it on the server" in str(expect_error_log[0].exc_info[1])


async def test_data_that_cannot_be_serialised_is_an_error(browse: Browse, expect_error_log: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        (await web.get_session(request))["a"] = object()
        return web.Response()

    assert (await (await browse(handler=handler)).get("/")).status == 500
    assert isinstance(expect_error_log[0].exc_info[1], TypeError)


@pytest.mark.parametrize("value", [set(), "x" * 5000])
async def test_session_that_cannot_be_kept_is_an_error_of_a_raised_answer_too(
    browse: Browse, value: Any, expect_error_log: Any
) -> None:
    async def handler(request: web.Request) -> web.Response:
        (await web.get_session(request))["value"] = value
        raise web.HTTPFound("/")

    browser = await browse("signed", handler)
    assert (await browser.get("/")).status == 500
    assert browser.set_cookies == []
    assert len(expect_error_log) == 1


async def test_another_serialiser_can_be_used(browse: Browse) -> None:
    import pickle

    async def handler(request: web.Request) -> web.Response:
        session = await web.get_session(request)
        session["set"] = session.get("set", set()) | {len(session)}
        return web.Response(text=repr(session["set"]))

    browser = await browse(handler=handler, dumps=pickle.dumps, loads=pickle.loads)
    await browser.get("/")
    assert (await browser.get("/")).text == "{0, 1}"


async def test_records_of_another_serialiser_are_no_sessions(browse: Browse, caplog: pytest.LogCaptureFixture) -> None:
    import pickle

    storage = web.SignedCookieStorage(KEY)
    before = await browse(storage)
    await before.get("/count")
    browser = await browse(storage, dumps=pickle.dumps, loads=pickle.loads)
    browser.cookies = dict(before.cookies)
    assert read(await browser.get("/count"))["data"] == {"count": 1}
    assert "a session can't be read, and ends" in caplog.text
    assert read(await browser.get("/count"))["data"] == {"count": 2}


# Streams.


async def stream(request: web.Request) -> web.StreamResponse:
    session = await web.get_session(request)
    what = request.path.strip("/")
    if what in ("before", "after", "save", "choose"):
        session["before"] = True
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        if what in ("after", "late"):
            session["after"] = True
        elif what == "rotate":
            session.rotate()
        elif what == "renew":
            await web.new_session(request)
        elif what == "choose":
            session.set_new_identity("c" * 32)
        elif what == "save":
            session["saved"] = True
            await web.save_session(request)
            session["unsaved"] = True
            raise OSError("failed after it was saved")
    except web.SessionLostError as exc:
        await response.write(str(exc).encode())
    await response.write_eof(json.dumps(dict(session)).encode())
    return response


async def test_stream_gets_the_cookie_of_a_session_changed_before_it(browse: Browse, storage: str) -> None:
    browser = await browse(storage, stream)
    await browser.get("/before")
    assert read(await browser.get("/show")) == {"before": True}


async def test_server_keeps_what_a_stream_changes_after_its_head(browse: Browse, server_url: str) -> None:
    browser = await browse(server_url, stream)
    browser.keeps_connection = True  # so that the next request waits for the handler's end
    assert read(await browser.get("/after")) == {"before": True, "after": True}
    assert read(await browser.get("/show")) == {"before": True, "after": True}


async def test_saving_within_a_stream_counts_even_if_it_fails_later(browse: Browse, expect_error_log: Any) -> None:
    browser = await browse(handler=stream)
    await browser.get("/before")
    with pytest.raises(asyncio.IncompleteReadError):
        await browser.get("/save")
    assert read(await browser.get("/show")) == {"before": True, "saved": True}


async def test_what_another_task_changes_while_a_stream_saves_is_saved_later(browse: Browse) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/show":
            return await act(request)
        session = await web.get_session(request)
        session["first"] = 1
        storage.hold()
        response = web.StreamResponse()
        preparing = asyncio.ensure_future(response.prepare(request))
        await change_while_saving(session, "head")
        await preparing
        storage.hold()
        session["second"] = 2
        saving = [asyncio.ensure_future(web.save_session(request)) for _ in range(2)]
        await change_while_saving(session, "body")
        await asyncio.gather(*saving)
        await response.write_eof()
        return response

    async def change_while_saving(session: web.Session, key: str) -> None:
        await storage.has_begun.wait()
        session[key] = True
        with pytest.raises(web.SessionLostError):
            session.rotate()
        storage.may_go_on.set()

    storage = Held()
    browser = await browse(storage, handler)
    browser.keeps_connection = True
    assert (await browser.get("/")).status == 200
    assert read(await browser.get("/show"))["data"] == {"first": 1, "head": True, "second": 2, "body": True}
    assert len(storage) == 1


async def test_session_that_a_stream_ends_while_another_task_saves_it_stays_ended(browse: Browse) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path in ("/set", "/show"):
            return await act(request)
        session = await web.get_session(request)
        response = web.StreamResponse()
        await response.prepare(request)
        session["last"] = True
        storage.hold()
        saving = asyncio.ensure_future(web.save_session(request))
        await storage.has_begun.wait()
        if request.path == "/merge":
            other = browser.make_twin()
            await other.get("/set?b=2")
        session.invalidate()
        storage.may_go_on.set()
        await saving
        await response.write_eof()
        return response

    for path in ("/", "/merge"):
        storage = Held()
        browser = await browse(storage, handler)
        browser.keeps_connection = True
        await browser.get("/set?a=1")
        assert (await browser.get(path)).status == 200
        assert read(await browser.get("/show"))["data"] == {}
        assert len(storage) == 0


@pytest.mark.parametrize("storage", ["memory", "signed"])
@pytest.mark.parametrize("end", ["returns", "raises", "fails", "streams"])
async def test_change_after_the_handlers_end_is_an_error_unless_the_head_saves_it(
    serve: Serve, connect: Connect, storage: str, end: str
) -> None:
    outcomes: list[str] = []

    async def outside(request: web.Request, handler: Handler) -> Any:
        try:
            return await handler(request)
        except OSError:
            return web.Response(text="failed")
        finally:
            if request.path == "/":
                change(await web.get_session(request))

    def change(session: web.Session) -> None:
        try:
            session["late"] = True
        except web.SessionLostError as exc:
            outcomes.append(str(exc))
        else:
            outcomes.append("kept")

    async def handler(request: web.Request) -> Any:
        if request.path != "/":
            return await act(request)
        await web.get_session(request)
        if end == "raises":
            raise web.HTTPFound("/")
        if end == "fails":
            raise OSError
        if end == "streams":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write_eof()
            return response
        return web.Response()

    app = web.Application(middlewares=[outside])
    web.setup_sessions(app, STORAGES[storage]())
    app.router.add_get("/{tail:.*}", handler)
    browser = Browser(await serve(app), connect)
    browser.keeps_connection = True
    await browser.get("/set?a=1")
    await browser.get("/")
    over = "the session was changed after its handler had ended, and nobody would save it any more"
    expected = "kept" if end == "raises" else over
    assert outcomes == [expected]
    assert read(await browser.get("/show"))["data"] == {"a": "1"} | ({"late": True} if end == "raises" else {})


async def test_session_that_another_one_has_replaced_takes_no_changes(browse: Browse) -> None:
    async def handler(request: web.Request) -> web.Response:
        old = await web.get_session(request)
        session = await web.new_session(request)
        with pytest.raises(web.SessionLostError, match=r"new_session\(\) had put another one in its place"):
            old["lost"] = True
        session["kept"] = True
        return web.json_response({})

    assert (await (await browse(handler=handler)).get("/")).status == 200


@pytest.mark.parametrize(
    ("storage", "first", "path"),
    [
        ("memory", None, "/late"),
        ("signed", None, "/late"),
        ("signed", "/before", "/after"),
        ("memory", "/before", "/rotate"),
        ("memory", "/before", "/renew"),
        ("memory", None, "/choose"),
    ],
)
async def test_change_that_comes_too_late_for_its_cookie_is_an_error_where_it_is_made(
    browse: Browse, storage: str, first: str | None, path: str
) -> None:
    browser = await browse(storage, stream)
    if first is not None:
        await browser.get(first)
    answer = await browser.get(path)
    assert "changed after the head of the answer was sent" in answer.text


@pytest.mark.parametrize("end", ["invalidate", "invalidate and save", "clear and save", "from elsewhere"])
async def test_session_that_has_ended_in_a_stream_cannot_be_filled_again(browse: Browse, end: str) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/set":
            return await act(request)
        session = await web.get_session(request)
        response = web.StreamResponse()
        await response.prepare(request)
        if end == "from elsewhere":
            await storage.delete(str(session.identity))
            session["last"] = True
        elif end == "clear and save":
            session.clear()
        else:
            session.invalidate()
        if end != "invalidate":
            await web.save_session(request)
        with pytest.raises(web.SessionLostError, match="after the head of the answer was sent"):
            session["nobody"] = "gets it"
        await response.write_eof()
        return response

    storage = web.InMemoryStorage()
    browser = await browse(storage, handler)
    browser.keeps_connection = True
    await browser.get("/set?a=1")
    assert (await browser.get("/")).status == 200
    await browser.get("/set")
    assert len(storage) == 0


async def test_what_a_stream_cannot_save_at_its_end_is_an_error_in_the_log(
    browse: Browse, expect_error_log: Any
) -> None:
    class Failing(web.InMemoryStorage):
        async def save(self, token: str | None, record: bytes, ttl: int, *, expected: bytes | None = None) -> str:
            if expected is not None:
                raise web.SessionStorageError("the storage is away")
            return await super().save(token, record, ttl)

    browser = await browse(Failing(), stream)
    await browser.get("/after")
    for _ in range(200):
        if expect_error_log:
            break
        await asyncio.sleep(0.01)
    assert "the storage is away" in str(expect_error_log[0].exc_info[1])


async def test_session_first_asked_for_after_the_head_can_be_read(browse: Browse) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/set":
            return await act(request)
        response = web.StreamResponse()
        await response.prepare(request)
        session = await web.get_session(request)
        session["more"] = True
        await response.write_eof(json.dumps(dict(session)).encode())
        return response

    browser = await browse(handler=handler)
    browser.keeps_connection = True
    await browser.get("/set?a=1")
    assert read(await browser.get("/")) == {"a": "1", "more": True}
    assert read(await browser.get("/")) == {"a": "1", "more": True}


async def test_saving_before_the_head_is_left_to_the_head(browse: Browse) -> None:
    async def handler(request: web.Request) -> web.Response:
        (await web.get_session(request))["a"] = 1
        with pytest.raises(RuntimeError, match=r"before the head: response.prepare\(\) saves the session"):
            await web.save_session(request)
        return web.Response()

    assert (await (await browse(handler=handler)).get("/")).status == 200


# A storage that is away.


@pytest.mark.parametrize("scheme", ["redis", "memcached"])
async def test_storage_that_is_away_is_503(browse: Browse, scheme: str) -> None:
    browser = await browse(f"{scheme}://127.0.0.1:{find_free_port()}")
    browser.cookies["session"] = "t" * 43
    answer = await browser.get("/show")
    assert (answer.status, answer.field("retry-after")) == (503, "5")


@pytest.mark.parametrize("handler", [act, stream])
async def test_session_that_cannot_be_saved_is_503_before_the_head(
    browse: Browse, handler: Handler, expect_error_log: Any
) -> None:
    browser = await browse(f"redis://127.0.0.1:{find_free_port()}", handler)
    answer = await browser.get("/set?a=1" if handler is act else "/before")
    assert (answer.status, browser.set_cookies) == (503, [])
    assert len(expect_error_log) == 1
    assert "a session could not be saved: Redis can't be asked" in expect_error_log[0].getMessage()


async def test_sessions_may_be_read_only_while_the_storage_is_away(browse: Browse) -> None:
    async def handler(request: web.Request) -> web.Response:
        session = await web.get_session(request)
        with pytest.raises(web.SessionLostError, match="sessions can't be changed now: Redis can't be asked"):
            session["a"] = 1
        with pytest.raises(web.SessionLostError, match="sessions can't be changed now"):
            await web.new_session(request)
        return web.Response(text=str(dict(session)))

    browser = await browse(f"redis://127.0.0.1:{find_free_port()}", handler, read_only_when_down=True)
    browser.cookies["session"] = "t" * 43
    answer = await browser.get("/")
    assert (answer.status, answer.text, browser.set_cookies) == (200, "{}", [])


# The cookie.


async def test_cookie_is_closed_to_scripts_and_other_sites(browse: Browse) -> None:
    browser = await browse()
    await browser.get("/count")
    (field,) = browser.set_cookies
    assert field.startswith("session=")
    assert set(field.split("; ")[1:]) == {"Path=/", "SameSite=Lax", "HttpOnly"}


async def test_cookie_over_tls_is_secure_and_of_this_host(serve: Serve, connect: Connect, tls: Tls) -> None:
    app = web.Application()
    web.setup_sessions(app, web.InMemoryStorage())
    app.router.add_get("/{tail:.*}", act)
    browser = Browser(await serve(app, ssl_context=tls.server), connect, ssl=tls.client)
    await browser.get("/count")
    (field,) = browser.set_cookies
    assert field.startswith("__Host-session=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} == set(field.split("; ")[1:])
    assert read(await browser.get("/count"))["data"] == {"count": 2}
    await browser.get("/logout")
    assert "Secure" in browser.set_cookies[0]
    assert browser.token is None


async def test_middleware_that_knows_the_proxy_decides_what_is_secure(serve: Serve, connect: Connect) -> None:
    async def believe_proxy(request: web.Request, handler: Handler) -> Any:
        return await handler(request.clone(scheme="https"))

    app = web.Application(middlewares=[believe_proxy])
    web.setup_sessions(app, web.InMemoryStorage())
    app.router.add_get("/{tail:.*}", act)
    browser = Browser(await serve(app), connect)
    await browser.get("/count")
    assert browser.set_cookies[0].startswith("__Host-session=")
    assert read(await browser.get("/count"))["data"] == {"count": 2}


async def test_cookie_can_be_another(browse: Browse) -> None:
    cookie = web.SessionCookie(
        name="mine",
        domain="a.example",
        path="/x",
        secure=True,
        httponly=False,
        samesite="None",
        partitioned=True,
        max_age=60,
    )
    browser = await browse(cookie=cookie)
    await browser.get("/count")
    (field,) = browser.set_cookies
    assert field.startswith("mine=")
    expected = {"Domain=a.example", "Path=/x", "Secure", "SameSite=None", "Partitioned", "Max-Age=60"}
    assert set(field.split("; ")[1:]) == expected
    assert read(await browser.get("/count"))["data"] == {"count": 2}
    await browser.get("/logout")
    (field,) = browser.set_cookies
    # Of another jar, path or domain it would be another cookie, and this one would stay.
    assert set(field.split("; ")[1:]) >= expected - {"Max-Age=60"} | {"Max-Age=0"}


@pytest.mark.parametrize(
    "arguments",
    [
        {"samesite": "None", "secure": False},
        {"partitioned": True, "secure": False},
        {"name": "__Secure-a", "secure": False},
        {"name": "__Host-a", "domain": "a.example"},
        {"name": "__Host-a", "path": "/x"},
        {"samesite": "none", "secure": False},
        {"samesite": "Laxx"},
        {"max_age": 0},
        {"name": "two words"},
        {"domain": "a.example; Secure"},
        {"path": "/\r\nSet-Cookie: a=1"},
    ],
)
def test_cookie_that_browsers_refuse_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"cookie|expected Lax, Strict or None|expected seconds from 1, or None"):
        web.SessionCookie(**arguments)


@pytest.mark.parametrize(
    "arguments", [{"samesite": "None"}, {"partitioned": True}, {"name": "__Host-mine"}, {"name": "__Secure-mine"}]
)
async def test_cookie_that_has_to_be_secure_is_behind_a_proxy_too(browse: Browse, arguments: dict[str, Any]) -> None:
    browser = await browse(cookie=web.SessionCookie(**arguments))
    await browser.get("/count")
    assert "Secure" in browser.set_cookies[0].split("; ")
    assert read(await browser.get("/count"))["data"] == {"count": 2}


# Switching on.


@pytest.mark.parametrize("storage", ["memory", "signed"])
async def test_application_within_another_has_its_session(serve: Serve, connect: Connect, storage: str) -> None:
    async def greet(request: web.Request, handler: Handler) -> Any:
        (await web.get_session(request))["outer"] = True
        return await handler(request)

    kept = STORAGES[storage]()
    app, inner = web.Application(), web.Application()
    for each in (app, inner):
        web.setup_sessions(each, kept)
    app.middlewares.append(greet)
    inner.router.add_get("/{tail:.*}", act)
    app.add_subapp("/set", inner)
    browser = Browser(await serve(app), connect)
    await browser.get("/set/?a=1")
    assert len(browser.set_cookies) == 1
    assert read(await browser.get("/set/?b=2"))["data"] == {"outer": True, "a": "1", "b": "2"}


async def test_request_without_sessions_says_what_to_do(serve: Serve, connect: Connect, expect_error_log: Any) -> None:
    client = await connect(await serve(web.Application(handler=act)))
    assert (await client.get("/count")).status == 500
    assert "call web.setup_sessions(app, storage)" in str(expect_error_log[0].exc_info[1])


def test_what_is_no_storage_is_refused() -> None:
    with pytest.raises(TypeError, match="expected an AbstractStorage"):
        web.session_middleware("memory:")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="scheme 'nothing', known: memcached:, memory:, redis:, rediss:, unix:"):
        corelet_sessions.setup(web.Application(), "nothing://here")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host", web.RedisStorage),
        ("REDIS://host:6379/0", web.RedisStorage),
        ("rediss://user:password@host", web.RedisStorage),
        ("unix:///run/redis.sock", web.RedisStorage),
        ("memcached://host", web.MemcachedStorage),
        ("memcached://[::1]", web.MemcachedStorage),
        ("MEMCACHED://host:11211", web.MemcachedStorage),
        ("memory:", web.InMemoryStorage),
    ],
)
def test_scheme_of_a_url_picks_the_storage(monkeypatch: pytest.MonkeyPatch, url: str, expected: type) -> None:
    used: list[Any] = []
    monkeypatch.setattr(middleware_module, "session_middleware", lambda storage, **options: used.append(storage))
    corelet_sessions.setup(web.Application(), url)
    assert [type(storage) for storage in used] == [expected]


@pytest.mark.parametrize("kind", ["storage", "url"])
async def test_setup_has_aiohttp_sessions_name_too(serve: Serve, connect: Connect, redis: Program, kind: str) -> None:
    app = web.Application()
    url = f"redis://127.0.0.1:{redis.port}"
    corelet_sessions.setup(app, url if kind == "url" else web.RedisStorage(url))
    app.router.add_get("/{tail:.*}", act)
    browser = Browser(await serve(app), connect)
    await browser.get("/count")
    assert read(await browser.get("/count"))["data"] == {"count": 2}


async def test_storage_is_closed_with_the_application(serve: Serve) -> None:
    closed: list[bool] = []

    class Closing(web.InMemoryStorage):
        async def close(self) -> None:
            closed.append(True)

    app = web.Application()
    web.setup_sessions(app, Closing())
    served = await serve(app)
    assert closed == []
    await served.stop()
    assert closed == [True]


async def test_plugin_may_bring_a_storage_by_its_scheme(serve: Serve, connect: Connect) -> None:
    made: list[str] = []

    class Storages:
        @hookimpl
        def corelet_sessions_storages(self, registry: Any) -> None:
            registry.add("mine", self.make)

        def make(self, url: str) -> web.AbstractStorage:
            made.append(url)
            return web.InMemoryStorage()

    app = web.Application(plugins=["sessions", "routing", Storages()])
    web.setup_sessions(app, "mine://somewhere")
    app.router.add_get("/{tail:.*}", act)
    browser = Browser(await serve(app), connect)
    await browser.get("/count")
    assert read(await browser.get("/count"))["data"] == {"count": 2}
    assert made == ["mine://somewhere"]


def test_scheme_is_registered_once() -> None:
    from corelet import PluginConflictError
    from corelet_sessions.registry import StorageRegistry

    registry = StorageRegistry()
    registry.add("mine", lambda url: web.InMemoryStorage())
    with pytest.raises(PluginConflictError, match="URL scheme 'mine' has two session storages"):
        registry.add("mine", lambda url: web.InMemoryStorage())
