"""examples/chat in two processes, with a real Redis between them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from redis import asyncio as redis
from yarl import URL

from examples.chat.app import make_app
from examples.chat.bus import RedisBus
from examples.chat.settings import Settings
from tests.conftest import Serve
from tests.examples.chatting import people

ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE: Final = 60.0


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class RedisServer:
    """A Redis of the test's own, which keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = find_free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        program = shutil.which("redis-server") or pytest.fail("this test needs Redis: apt-get install redis-server")
        self._process = process = await asyncio.create_subprocess_exec(
            *(program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        said = b""
        while b"Ready to accept connections" not in said:
            line = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
            assert line, said.decode()
            said += line

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.communicate()
            self._process = None


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path)
    await server.start()
    yield server
    await server.stop()


@asynccontextmanager
async def run_program(redis_url: str) -> AsyncIterator[URL]:
    """Run the program as operators do; it must stop cleanly at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.chat"),
        cwd=ROOT,
        env=os.environ
        | {"PORT": "0", "HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"}
        | {"REDIS_URL": redis_url, "CHAT_SECRET": "a secret of both processes"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), PATIENCE)).decode()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line + (await process.stdout.read()).decode()
        yield URL(address[0])
        process.send_signal(signal.SIGINT)
        said, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
        assert process.returncode == 0, said.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def test_two_processes_are_one_chat(redis_server: RedisServer) -> None:
    async with AsyncExitStack() as running:
        here, there = [await running.enter_async_context(run_program(redis_server.url)) for _ in "ab"]
        ann, bob = await running.enter_async_context(people(here, "Ann", "Bob"))
        async with ann.enter() as at_ann, bob.enter(at=there) as at_bob:
            for seat in (at_ann, at_bob):
                await seat.wait_for_people("Ann", "Bob")
            await at_ann.say("hello there")
            await at_bob.say("hello here")
            for seat in (at_ann, at_bob):
                texts = {(await seat.wait_for("message"))["text"] for _ in range(2)}
                assert texts == {"hello there", "hello here"}
            # Both processes keep the latest messages, and count all people.
            async with ann.enter(at=there) as seat:
                assert {message["text"] for message in seat.seen[0]["recent"]} == {"hello there", "hello here"}
                async with bob.session.get(here / "rooms") as answer:
                    assert await answer.json() == {"lobby": 2}
                # Logging out at one process closes sockets at both.
                await ann.log_out()
                assert await at_ann.wait_closed() == await seat.wait_closed() == 4001
            await at_bob.wait_for_people("Bob")


async def test_a_process_that_starts_later_learns_who_is_there(redis_server: RedisServer, serve: Serve) -> None:
    settings = Settings(redis_url=redis_server.url, secret=b"x" * 32)
    first = await serve(make_app(settings))
    async with people(first.url, "Ann", "Bob") as (ann, bob), ann.enter() as at_ann:
        await at_ann.wait_for_people("Ann")
        second = await serve(make_app(settings))
        async with bob.enter(at=second.url) as at_bob:
            await at_bob.wait_for_people("Ann", "Bob")
            await at_ann.wait_for_people("Ann", "Bob")
        await at_ann.wait_for_people("Ann")


async def test_a_process_that_says_nothing_more_is_forgotten(redis_server: RedisServer, serve: Serve) -> None:
    served = await serve(make_app(Settings(redis_url=redis_server.url, presence_seconds=0.1)))
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat, redis.from_url(redis_server.url) as client:
        ghost = {"kind": "present", "process": "ghost", "room": "lobby", "users": [["1", "Ghost"]]}
        await client.publish(RedisBus.CHANNEL, json.dumps(ghost))
        await seat.wait_for_people("Ann", "Ghost")
        await seat.wait_for_people("Ann")


@pytest.mark.parametrize(
    "garbage", [b"\xff", b"no json", b"[]", b'{"kind": 5}', b'{"kind": "new kind"}', b"[" * 100_000]
)
async def test_what_is_no_event_does_no_harm(
    redis_server: RedisServer, serve: Serve, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    served = await serve(make_app(Settings(redis_url=redis_server.url)))
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat, redis.from_url(redis_server.url) as client:
        await client.publish(RedisBus.CHANNEL, garbage)
        await client.publish(RedisBus.CHANNEL, b'{"kind": "message", "room": []}')
        await seat.say("still here")
        await seat.wait_for("message", text="still here")
    assert "an event was not understood" in caplog.text


async def test_the_chat_goes_on_when_redis_comes_back(
    redis_server: RedisServer, serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RedisBus, "PAUSES", (0.05,))
    settings: Any = Settings(redis_url=redis_server.url, burst=10_000, presence_seconds=0.2)
    served = await serve(make_app(settings))
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat:
        await redis_server.stop()
        await seat.say("lost")
        assert "was not delivered" in (await seat.wait_for("refused"))["reason"]
        async with ann.session.post(served.url / "logout") as answer:
            assert (answer.status, "Set-Cookie" in answer.headers) == (503, False)
        async with asyncio.timeout(PATIENCE):
            while "Redis can't be reached" not in caplog.text:  # noqa: ASYNC110 -- a line in a log has no event
                await asyncio.sleep(0.01)
        await redis_server.start()
        # The subscription may be back a moment later than the server: what is not heard is refused.
        while not any(event["kind"] == "message" for event in seat.seen):
            await seat.say("back")
            event = await seat.take()
            while event["kind"] == "present":
                event = await seat.take()


async def test_a_redis_that_does_not_answer_keeps_nobody_waiting(
    redis_server: RedisServer, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = await serve(make_app(Settings(redis_url=redis_server.url)))
    async with people(served.url, "Ann") as (ann,), ann.enter() as seat:
        redis_server.send_signal(signal.SIGSTOP)
        try:
            with monkeypatch.context() as patch:
                patch.setattr(RedisBus, "SEND_SECONDS", 0.2)
                await seat.say("lost")
                assert "was not delivered" in (await seat.wait_for("refused"))["reason"]
        finally:
            redis_server.send_signal(signal.SIGCONT)
        await seat.say("back")
        await seat.wait_for("message", text="back")


async def test_without_redis_the_program_does_not_start() -> None:
    with pytest.raises(redis.ConnectionError):
        await make_app(Settings(redis_url=f"redis://127.0.0.1:{find_free_port()}")).startup()
