"""Measure what a client spends on requests to the raw server, in a process of its own.

The server answers fixed bytes and costs less than any client, so the client is what limits. What a client spends is
what the system has counted for its process: user and system time.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import uvloop

from benchmarks.process import ROOT, ServerFailedError, ServerProcess
from benchmarks.scenarios import CALLS, Call

#: What ``session.post(json=)`` sends.
DOCUMENT: Final = {"name": "corelet", "numbers": [1, 2, 3], "nested": {"flag": True, "text": "some text"}}
WARM_UP_SECONDS: Final = 0.5
#: Downloads that are measured, after one that is not.
DOWNLOADS: Final = 3

#: Sends one request and reads its answer.
Send = Callable[[], Awaitable[Any]]


def measure_calls(
    python: Sequence[str], server: ServerProcess, call: Call, client: str, seconds: float
) -> dict[str, float]:
    """Have a client send requests, and measure it.

    Args:
        python: what runs the client: the interpreter, and what pins it to a processor.
        server: the running raw server.
        call: what is sent.
        client: a name in ``Call.clients``.
        seconds: how long.

    Returns:
        ``cpu_us`` CPU microseconds of the client a request and ``rate`` requests a second; for a download ``cpu_s``.

    Raises:
        ServerFailedError: the client failed.
    """
    command = [*python, "-m", "benchmarks.client", call.name, client, str(server.port), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailedError(f"{call.name}: {done.stderr.strip().rpartition(chr(10))[2]}")
    values: dict[str, float] = json.loads(done.stdout)
    return values


def read_cpu_seconds() -> float:
    """Read what this process has used."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class RawClient(asyncio.Protocol):
    """The limit: bytes out, bytes in, nothing looked at."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.waiter: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiter.set_result(None)


async def make_raw(port: int, call: Call, closing: AsyncExitStack) -> Send:
    loop = asyncio.get_running_loop()
    idle: list[RawClient] = []
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: raw\r\n\r\n"

    async def send() -> None:
        if idle:
            client = idle.pop()
        else:
            _, client = await loop.create_connection(RawClient, "127.0.0.1", port)
            closing.callback(client.transport.close)
        client.waiter = loop.create_future()
        client.transport.write(request)
        await client.waiter
        idle.append(client)

    return send


async def make_session(module: Any, port: int, call: Call, closing: AsyncExitStack) -> Send:
    session = await closing.enter_async_context(module.ClientSession())
    url = f"http://127.0.0.1:{port}{call.target}"

    async def get() -> None:
        async with session.get(url) as response:
            await response.read()

    async def post() -> None:
        async with session.post(url, json=DOCUMENT) as response:
            await response.read()

    async def download() -> None:
        async with session.get(url) as response:
            async for _ in response.content.iter_any():
                pass

    return {"get": get, "post": post, "download": download}[call.kind]


async def make_httpx(port: int, call: Call, closing: AsyncExitStack) -> Send:
    import httpx

    session = await closing.enter_async_context(httpx.AsyncClient(limits=httpx.Limits(max_connections=100)))
    url = f"http://127.0.0.1:{port}{call.target}"

    async def get() -> None:
        await session.get(url)

    async def post() -> None:
        await session.post(url, json=DOCUMENT)

    async def download() -> None:
        async with session.stream("GET", url) as response:
            async for _ in response.aiter_raw():
                pass

    return {"get": get, "post": post, "download": download}[call.kind]


async def make_sender(client: str, port: int, call: Call, closing: AsyncExitStack) -> Send:
    """Make what sends one request by a client."""
    if client == "raw":
        return await make_raw(port, call, closing)
    if client == "httpx":
        return await make_httpx(port, call, closing)
    return await make_session(__import__(client), port, call, closing)


async def send_for(send: Send, concurrency: int, seconds: float) -> int:
    """Send requests for a while, several at once; count them."""
    end = time.perf_counter() + seconds
    counts = [0] * concurrency

    async def work(number: int) -> None:
        while time.perf_counter() < end:
            await send()
            counts[number] += 1

    await asyncio.gather(*map(work, range(concurrency)))
    return sum(counts)


async def measure(client: str, port: int, call: Call, seconds: float) -> dict[str, float]:
    """Measure this process."""
    async with AsyncExitStack() as closing:
        send = await make_sender(client, port, call, closing)
        if call.kind == "download":
            await send()
            before = read_cpu_seconds()
            for _ in range(DOWNLOADS):
                await send()
            return {"cpu_s": (read_cpu_seconds() - before) / DOWNLOADS}
        await send_for(send, call.concurrency, WARM_UP_SECONDS)
        before = read_cpu_seconds()
        started = time.perf_counter()
        count = await send_for(send, call.concurrency, seconds)
        spent = time.perf_counter() - started
        return {"rate": count / spent, "cpu_us": (read_cpu_seconds() - before) / count * 1e6}


def main() -> None:
    """Run as a client: ``CALL CLIENT PORT SECONDS``."""
    name, client, port, seconds = sys.argv[1:]
    call = next(call for call in CALLS if call.name == name)
    print(json.dumps(uvloop.run(measure(client, int(port), call, float(seconds)))))


if __name__ == "__main__":
    main()
