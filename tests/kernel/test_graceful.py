"""A server process that is asked to stop loses no request, and ends in time."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.raw_client import Answer, RawClient

SCRIPT = Path(__file__).with_name("graceful_server.py")
LOOPS = ["asyncio", "uvloop"]
#: What a shared machine may add to the time that is promised, in seconds.
MARGIN_SECONDS = 1.5
#: What a stop may take beyond the longest answer, in seconds.
STOP_SECONDS = 0.5
CLEAN_END = ["on_shutdown", "on_cleanup", "ended"]


@dataclass
class Process:
    """A server process."""

    process: asyncio.subprocess.Process
    port: int
    tls: Any = None

    async def connect(self) -> RawClient:
        return RawClient(*await asyncio.open_connection("127.0.0.1", self.port, ssl=self.tls))

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Ask it to stop; the time when it was asked."""
        self.process.send_signal(number)
        return time.monotonic()

    async def wait(self) -> tuple[int, list[str]]:
        """Wait for its end; the exit code and the lines it printed."""
        output, _ = await asyncio.wait_for(self.process.communicate(), 30)
        assert self.process.returncode is not None
        return self.process.returncode, output.decode().splitlines()


@pytest.fixture
async def run(tls) -> AsyncIterator[Callable[..., Awaitable[Process]]]:
    """Give what runs a server process; it must have ended, or is killed."""
    async with AsyncExitStack() as running:

        async def start(loop: str, *arguments: str, with_tls: bool = False) -> Process:
            options = ["--tls", tls.certificate_path, tls.key_path] if with_tls else []
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-X",
                "dev",
                str(SCRIPT),
                "--loop",
                loop,
                *arguments,
                *options,
                stdout=asyncio.subprocess.PIPE,
            )
            running.push_async_callback(_end, process)
            assert process.stdout is not None
            line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
            await process.stdout.readline()
            match = re.search(r"https?://127\.0\.0\.1:(\d+)", line)
            assert match, line
            return Process(process, int(match[1]), tls.client if with_tls else None)

        yield start


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
        await process.communicate()


class Looping:
    """A client that asks again and again on one connection, until it is told to close."""

    def __init__(self, server: Process, pause_seconds: float) -> None:
        self._server = server
        self._pause_seconds = pause_seconds
        #: Is set once it has asked again.
        self.goes_on = asyncio.Event()
        self.last: Answer | None = None

    async def run(self) -> None:
        """Raises what a lost request raises: EOF or a reset where an answer was due."""
        client = await self._server.connect()
        try:
            while self.last is None or self.last.field("Connection") != "close":
                if self.last is not None:
                    self.goes_on.set()
                self.last = await client.get()
                assert (self.last.status, self.last.text) == (200, "done")
                await asyncio.sleep(self._pause_seconds)
            assert await client.is_closed(2)
        finally:
            await client.close()


@pytest.mark.parametrize("with_tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_loses_no_answer_in_progress_and_no_looping_client(run, loop, number, with_tls):
    server = await run(loop, with_tls=with_tls)
    slow = [await server.connect() for _ in range(50)]
    # From asking at once again to asking after a while that a stop has to wait for.
    looping = [Looping(server, 0.005 * index) for index in range(20)]
    loops = [asyncio.create_task(each.run()) for each in looping]
    async with asyncio.timeout(30):
        for each in looping:
            await each.goes_on.wait()
    asked = [asyncio.create_task(client.get("/?seconds=1")) for client in slow]
    await asyncio.sleep(0.2)
    asked_to_stop = server.stop(number)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    ended = await asyncio.gather(*loops, return_exceptions=True)
    code, lines = await server.wait()
    took = time.monotonic() - asked_to_stop
    lost = [each for each in [*answers, *ended] if isinstance(each, BaseException)]
    assert lost == []
    assert {(answer.status, answer.text, answer.field("Connection")) for answer in answers} == {(200, "done", "close")}
    assert (code, lines) == (0, CLEAN_END)
    assert took < 1 + STOP_SECONDS + MARGIN_SECONDS
    for client in slow:
        await client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_streams_in_progress_are_sent_to_their_end(run, loop):
    server = await run(loop)
    clients = [await server.connect() for _ in range(10)]
    asked = [asyncio.create_task(client.get("/stream?seconds=0.8")) for client in clients]
    await asyncio.sleep(0.3)
    server.stop()
    answers = await asyncio.gather(*asked)
    assert {answer.text for answer in answers} == {"piece\n" * 10}
    assert await server.wait() == (0, CLEAN_END)
    for client in clients:
        await client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_requests_that_were_read_behind_one_in_progress_are_answered(run, loop):
    server = await run(loop)
    client = await server.connect()
    await client.send("GET /?seconds=0.5 HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.2)
    server.stop()
    assert (await client.read_answer()).field("Connection") == "close"
    assert await server.wait() == (0, CLEAN_END)
    await client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_idle_connections_hold_no_stop_up(run, loop):
    server = await run(loop)
    idle = [await server.connect() for _ in range(20)]
    for client in idle[:10]:
        await client.get()
    asked_to_stop = server.stop()
    code, lines = await server.wait()
    assert time.monotonic() - asked_to_stop < STOP_SECONDS + MARGIN_SECONDS
    assert (code, lines) == (0, CLEAN_END)
    for client in idle:
        assert await client.is_closed()
        await client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_connections_not_accepted_yet_are_answered(run, loop):
    server = await run(loop)
    server.process.send_signal(signal.SIGSTOP)
    # The kernel takes them while the process stands still.
    waiting = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for sock in waiting:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    server.stop()
    server.process.send_signal(signal.SIGCONT)
    assert await server.wait() == (0, CLEAN_END)
    for sock in waiting:
        with sock:
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("loop", LOOPS)
async def test_answers_over_the_shutdown_timeout_are_cancelled(run, loop):
    server = await run(loop, "--shutdown-timeout", "0.5")
    client = await server.connect()
    await client.send("GET /?seconds=60 HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.2)
    asked_to_stop = server.stop()
    assert await client.read_until_closed() == b""
    code, lines = await server.wait()
    assert 0.5 <= time.monotonic() - asked_to_stop < 0.5 + STOP_SECONDS + MARGIN_SECONDS
    assert (code, lines) == (0, ["on_shutdown", "cancelled", "on_cleanup", "ended"])
    await client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_second_signal_cancels_answers_at_once(run, loop):
    server = await run(loop)
    client = await server.connect()
    await client.send("GET /?seconds=60 HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.2)
    server.stop()
    await asyncio.sleep(0.3)
    asked_again = server.stop()
    code, lines = await server.wait()
    assert time.monotonic() - asked_again < STOP_SECONDS + MARGIN_SECONDS
    assert (code, lines) == (0, ["on_shutdown", "cancelled", "on_cleanup", "ended"])
    await client.close()


@pytest.mark.parametrize("loop", LOOPS)
async def test_nobody_is_accepted_while_answers_end(run, loop):
    server = await run(loop)
    client = await server.connect()
    asked = asyncio.create_task(client.get("/?seconds=1"))
    await asyncio.sleep(0.2)
    server.stop()
    await asyncio.sleep(0.4)
    with pytest.raises(ConnectionRefusedError):
        await server.connect()
    assert (await asked).text == "done"
    assert await server.wait() == (0, CLEAN_END)
    await client.close()
