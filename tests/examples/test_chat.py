"""examples/chat, over real sockets, in one process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from yarl import URL

from examples.chat.app import HUB, make_app
from examples.chat.bus import Event, LocalBus
from examples.chat.member import Member
from examples.chat.settings import Settings, read_settings
from examples.chat.user import User
from tests.conftest import Connect, Serve
from tests.examples.chatting import people

ROOT: Final = Path(__file__).resolve().parents[2]


# Pages and names.


@pytest.mark.parametrize(
    ("path", "content_type", "words"),
    [
        ("/", "text/html; charset=utf-8", '<script src="/chat.js" defer>'),
        ("/chat.js", "text/javascript; charset=utf-8", "textContent"),
        ("/chat.css", "text/css; charset=utf-8", "prefers-color-scheme"),
    ],
)
async def test_files_are_served_with_a_policy_that_runs_nothing_else(
    serve: Serve, peer: aiohttp.ClientSession, path: str, content_type: str, words: str
) -> None:
    served = await serve(make_app())
    async with peer.get(served.url.join(URL(path))) as answer:
        assert answer.headers["Content-Type"] == content_type
        assert words in await answer.text()
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_has_no_script_or_style_that_the_policy_would_block() -> None:
    page = (ROOT / "examples/chat/chat.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=)", page)
    script = (ROOT / "examples/chat/chat.js").read_text()
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", script)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("Ann", "Ann"),
        ("  Ann \t Lee ", "Ann Lee"),
        ("<b>", "<b>"),
        ("A\u030a", "Å"),
        ("名", "名"),
        ("x" * 32, "x" * 32),
    ],
)
async def test_a_name_is_taken_in_its_normal_form(serve: Serve, given: str, taken: str) -> None:
    served = await serve(make_app())
    async with people(served.url, given) as (person,), person.session.get(served.url / "me") as answer:
        assert await answer.json() == {"id": person.id, "name": taken}


@pytest.mark.parametrize("name", ["", "  ", "x" * 33, "a\x00b", "a\u202eb", "a\u200bb"])
async def test_what_is_no_name_is_refused(serve: Serve, peer: aiohttp.ClientSession, name: str) -> None:
    served = await serve(make_app())
    async with peer.post(served.url / "login", data={"name": name}) as answer:
        assert (answer.status, "Set-Cookie" in answer.headers) == (400, False)
        assert "A name has" in await answer.text()


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_can_not_be_made(
    serve: Serve, peer: aiohttp.ClientSession
) -> None:
    served = await serve(make_app())
    async with peer.post(served.url / "login", data={"name": "Ann"}) as answer:
        cookie = answer.cookies["chat_user"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    body, _, signature = cookie.value.partition(".")
    changed = body[:-2] + ("A" if body[-2] != "A" else "B") + body[-1]
    for value in ("", "x", body, f"{changed}.{signature}", f"{body}.{signature[:-1]}", f"{body}.é", "." + signature):
        fields = {"Cookie": f"chat_user={value}"}
        for path in ("me", "rooms/lobby"):
            async with peer.get(served.url / path, headers=fields) as answer:
                assert answer.status == 401, (path, value)
    async with peer.get(served.url / "me", headers={"Cookie": f"chat_user={cookie.value}"}) as answer:
        assert answer.status == 200


async def test_a_cookie_that_is_no_text_is_nobodys(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(make_app()))
    await client.send(b"GET /me HTTP/1.1\r\nHost: a\r\nCookie: chat_user=\xff.\xff\r\n\r\n")
    assert (await client.read_answer()).status == 401


# Rooms.


async def test_people_in_a_room_talk_and_see_who_is_there(serve: Serve) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann", "Bob") as (ann, bob), ann.enter() as at_ann:
        await at_ann.wait_for_people("Ann")
        async with bob.enter() as at_bob:
            await at_ann.wait_for_people("Ann", "Bob")
            await at_bob.wait_for_people("Ann", "Bob")
            await at_ann.say("<b>hello</b>")
            for seat in (at_ann, at_bob):
                message = await seat.wait_for("message")
                assert message["text"] == "<b>hello</b>"
                assert message["user"] == {"id": ann.id, "name": "Ann"}
        await at_ann.wait_for_people("Ann")


async def test_rooms_are_apart_and_counted(serve: Serve) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann", "Bob") as (ann, bob), ann.enter("one") as one, bob.enter("two") as two:
        await one.say("in one")
        await one.wait_for("message", text="in one")
        await two.say("in two")
        await two.wait_for("message")
        assert [event["text"] for event in two.seen if event["kind"] == "message"] == ["in two"]
        async with ann.session.get(served.url / "rooms") as answer:
            assert await answer.json() == {"one": 1, "two": 1}


async def test_two_people_may_have_one_name_and_one_person_two_pages(serve: Serve) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann", "Ann") as (ann, other), ann.enter() as first, ann.enter() as second:
        await second.wait_for_people("Ann")
        async with other.enter():
            await first.wait_for_people("Ann", "Ann")
        await first.wait_for_people("Ann")


async def test_who_comes_later_sees_the_latest_messages(serve: Serve) -> None:
    served = await serve(make_app(Settings(recent=2, max_rooms=1)))
    async with people(served.url, "Ann", "Bob") as (ann, bob):
        async with ann.enter() as seat:
            for text in "abc":
                await seat.say(text)
                await seat.wait_for("message", text=text)
        async with bob.enter() as seat:
            assert [message["text"] for message in seat.seen[0]["recent"]] == ["b", "c"]
        async with bob.enter("other") as seat:
            assert seat.seen[0]["recent"] == []
            await seat.say("d")
            await seat.wait_for("message")
        async with bob.enter() as seat:
            assert seat.seen[0]["recent"] == []


@pytest.mark.parametrize("room", ["", "Lobby", "a b", "a_b", "x" * 33, "a/b", "é"])
async def test_what_is_no_room_is_not_found(serve: Serve, peer: aiohttp.ClientSession, room: str) -> None:
    served = await serve(make_app())
    async with peer.get(f"{served.url.origin()}/rooms/{room}") as answer:
        assert answer.status == 404


async def test_a_room_is_no_page(serve: Serve) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann") as (ann,), ann.session.get(served.url / "rooms" / "lobby") as answer:
        assert answer.status in {400, 426}


# Limits.


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ('{"text": "' + "x" * 501 + '"}', "A message has at most 500 characters; this one has 501."),
        ('{"text": " "}', "A message has some text."),
        ('{"text": 5}', "A message has some text."),
        ('{"other": "x"}', "A message has some text."),
        ("[]", "A message has some text."),
        ("no json", "A message has some text."),
        ("[" * 5000, "A message has some text."),
    ],
)
async def test_what_is_no_message_is_refused_and_the_socket_lives_on(serve: Serve, sent: str, reason: str) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat:
        await seat.socket.send_str(sent)
        refused = await seat.wait_for("refused")
        assert (refused["reason"], type(refused["text"])) == (reason, str)
        await seat.socket.send_bytes(b"not text")
        await seat.say("x" * 500)
        await seat.wait_for("message")


async def test_a_message_beyond_any_measure_closes_the_socket(serve: Serve) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat:
        await seat.say("x" * 10_000)
        assert await seat.wait_closed() == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_who_speaks_too_fast_is_slowed_down_and_closed_in_the_end(serve: Serve) -> None:
    served = await serve(make_app(Settings(burst=2, per_second=0.0001, max_refused=3)))
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat, ann.enter() as other:
        for text in ("one", "two"):
            await seat.say(text)
            await seat.wait_for("message", text=text)
        for _ in range(2):
            await other.say("three")  # the pace is the user's, not the page's
            assert "Slow down" in (await other.wait_for("refused"))["reason"]
        for _ in range(2):
            await seat.say("four")
        assert await seat.wait_closed() == 4003
        assert not [event for event in seat.seen if event["kind"] == "message" and event["text"] in {"three", "four"}]


async def test_a_user_has_so_many_pages(serve: Serve) -> None:
    served = await serve(make_app(Settings(max_sockets=2)))
    async with people(served.url, "Ann", "Bob") as (ann, bob), ann.enter("one"), ann.enter("two"):
        async with ann.session.ws_connect(served.url / "rooms" / "three") as third:
            assert (await third.receive()).type is aiohttp.WSMsgType.CLOSE
            assert third.close_code == 4002
        async with bob.enter("three") as seat:
            await seat.wait_for_people("Bob")


async def test_who_reads_too_slowly_is_closed_and_the_others_go_on(serve: Serve) -> None:
    served = await serve(make_app(Settings(max_waiting=4, max_text=200_000, max_frame=300_000, burst=1000)))
    async with people(served.url, "Ann", "Bob") as (ann, bob), bob.enter() as at_bob:
        cookie = next(iter(ann.session.cookie_jar)).value
        # A socket that nobody reads, with little room.
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(slow, (served.host, served.port))
        await asyncio.get_running_loop().sock_sendall(
            slow,
            b"GET /rooms/lobby HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            b"Cookie: chat_user=" + cookie.encode() + b"\r\n\r\n",
        )
        try:
            await at_bob.wait_for_people("Ann", "Bob")
            for number in range(100):
                text = f"{number} {'x' * 150_000}"
                await at_bob.say(text)
                await at_bob.wait_for("message", text=text)
                at_bob.seen.clear()
            await at_bob.wait_for_people("Bob")
        finally:
            slow.close()


class StuckBus(LocalBus):
    """Takes nobody's presence."""

    async def send(self, event: Event) -> None:
        if event.get("users"):
            await asyncio.Event().wait()


async def test_who_is_cancelled_while_coming_in_leaves_nothing_behind(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def open_stuck_bus(redis_url: str) -> AsyncIterator[StuckBus]:
        yield StuckBus()

    monkeypatch.setattr("examples.chat.app.open_bus", open_stuck_bus)
    app = make_app()
    served = await serve(app, shutdown_timeout=0.05)
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat:
        hub = app[HUB]
        assert list(hub._rooms) == ["lobby"]
        await served.stop()
        await seat.wait_closed()
    assert (dict(hub._rooms), dict(hub._users)) == ({}, {})


# Other origins, and the end.


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://["])
async def test_pages_of_other_origins_can_not_connect_or_act(serve: Serve, origin: str) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann") as (ann,):
        fields = {"Origin": origin}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await ann.session.ws_connect(served.url / "rooms" / "lobby", headers=fields)
        assert refused.value.status == 403
        for path in ("login", "logout"):
            async with ann.session.post(served.url / path, data={"name": "Eve"}, headers=fields) as answer:
                assert answer.status == 403
        async with ann.session.get(served.url / "me") as answer:
            assert answer.status == 200


async def test_own_pages_and_allowed_origins_can(serve: Serve) -> None:
    served = await serve(make_app(Settings(origins=("https://front.example",))))
    async with people(served.url, "Ann") as (ann,):
        for origin in (str(served.url.origin()), "https://front.example"):
            fields = {"Origin": origin}
            async with ann.session.ws_connect(served.url / "rooms" / "lobby", headers=fields) as opened:
                assert (await opened.receive_json())["kind"] == "welcome"
        async with ann.session.post(served.url / "logout", headers={"Origin": "https://front.example"}) as answer:
            assert answer.status == 204


async def test_logging_out_closes_all_sockets_of_that_user_and_no_others(serve: Serve) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann", "Ann") as (ann, other):
        async with ann.enter() as first, ann.enter("two") as second, other.enter() as at_other:
            await at_other.wait_for_people("Ann", "Ann")
            await ann.log_out()
            assert await first.wait_closed() == await second.wait_closed() == 4001
            await at_other.wait_for_people("Ann")
            await at_other.say("still here")
            await at_other.wait_for("message")
        async with ann.session.get(served.url / "me") as answer:
            assert answer.status == 401
        async with ann.session.post(served.url / "logout") as answer:
            assert answer.status == 401


async def test_a_cookie_is_worth_nothing_once_its_user_has_logged_out(serve: Serve) -> None:
    app = make_app()
    served = await serve(app)
    async with people(served.url, "Ann", "Bob") as (ann, bob), bob.enter() as at_bob:
        copied = {"Cookie": f"chat_user={next(iter(ann.session.cookie_jar)).value}"}
        async with ann.enter() as seat:
            await ann.log_out()
            assert await seat.wait_closed() == 4001
        for path in ("me", "rooms/lobby"):
            async with ann.session.get(served.url / path, headers=copied) as answer:
                assert answer.status == 401
        await at_bob.say("still here")
        await at_bob.wait_for("message")


async def test_a_page_that_connects_while_its_user_logs_out_is_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    class LateMember(Member):
        """Comes in when its user has just gone."""

        def __init__(self, user: User, *arguments: Any) -> None:
            super().__init__(user, *arguments)
            app[HUB].forget(user.id)

    app = make_app()
    served = await serve(app)
    monkeypatch.setattr("examples.chat.app.Member", LateMember)
    async with people(served.url, "Ann") as (ann,), ann.session.ws_connect(served.url / "rooms" / "lobby") as socket:
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4001


async def test_a_stop_tells_pages_that_the_server_goes_away(serve: Serve) -> None:
    served = await serve(make_app())
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat:
        stopping = asyncio.create_task(served.stop())
        assert await seat.wait_closed() == aiohttp.WSCloseCode.GOING_AWAY
        await stopping


def test_a_secret_is_not_short() -> None:
    assert read_settings(
        {"CHAT_SECRET": "x" * 16, "REDIS_URL": "redis://a", "CHAT_ORIGINS": "https://a, b,"}
    ) == Settings(redis_url="redis://a", secret=b"x" * 16, origins=("https://a", "b"))
    assert read_settings({}).redis_url == ""
    with pytest.raises(ValueError, match="CHAT_SECRET has 5 characters, expected 16 or more"):
        read_settings({"CHAT_SECRET": "short"})


async def test_without_the_redis_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(RuntimeError, match="REDIS_URL is set and the package redis is missing: pip install redis"):
        await make_app(Settings(redis_url="redis://127.0.0.1:1")).startup()


# The program.


async def test_the_program_says_its_address_and_stops_cleanly() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.chat"),
        cwd=ROOT,
        env=os.environ | {"PORT": "0", "HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1", "REDIS_URL": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        said = await asyncio.wait_for(process.stdout.readline(), 60)
        address = re.search(r"http://127\.0\.0\.1:\d+", said.decode())
        assert address, said.decode()
        async with people(URL(address[0]), "Ann") as (ann,), ann.enter() as seat:
            await seat.say("hello")
            await seat.wait_for("message", text="hello")
            process.send_signal(signal.SIGINT)
            assert await seat.wait_closed() == aiohttp.WSCloseCode.GOING_AWAY
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
