"""What many requests leave behind: nothing, whatever they ask for and however they end."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from corelet import web
from tests.conftest import Connect, Serve
from tests.raw_client import RawClient

ROOT = Path(__file__).resolve().parents[2]
#: Bytes that may stay: caches of fixed size fill up.
SLACK = 100_000


async def count_growth(ask: Callable[[], Awaitable[None]], rounds: int) -> int:
    """Count the bytes that stay after many rounds, of which a part has warmed everything up."""
    for _ in range(rounds // 4):
        await ask()
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(rounds):
            await ask()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def make_app() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", hello)
    app.router.add_get("/users/{name}", hello)
    return app


async def ask_pipelined(client: RawClient, heads: list[bytes]) -> list[int]:
    await client.send(b"".join(heads))
    return [answer.status for answer in await client.read_answers(len(heads))]


async def test_a_101_paths_and_methods_that_nobody_knows_are_not_remembered(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(make_app(), access_log=None))
    chance = random.Random(1)

    async def ask() -> None:
        names = [chance.randbytes(16).hex() for _ in range(50)]
        paths = [f"GET /{name} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for name in names]
        methods = [f"X{name[:16]} / HTTP/1.1\r\nHost: a\r\n\r\n".encode() for name in names]
        assert await ask_pipelined(client, paths + methods) == [404] * 50 + [405] * 50

    assert await count_growth(ask, 40) < SLACK


async def test_a_102_a_connection_that_is_kept_alive_costs_no_more_with_every_request(
    serve: Serve, connect: Connect
) -> None:
    client = await connect(await serve(make_app(), access_log=None))
    heads = [f"GET /users/{number} HTTP/1.1\r\nHost: a\r\n\r\n".encode() for number in range(100)]

    async def ask() -> None:
        assert await ask_pipelined(client, heads) == [200] * 100

    assert await count_growth(ask, 20) < SLACK


async def test_a_100_a_file_is_closed_where_its_peer_goes_away(serve: Serve, connect: Connect, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(8_000_000))

    async def send(request: Any) -> web.StreamResponse:
        return web.Response(body=path.open("rb"))

    served = await serve(send, access_log=None)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        client = await connect(served, limit=1024)
        await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await client.reader.readexactly(100)
        client.abort()
        await client.close()
    await served.stop()
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) < before + 10


def test_a_103_nothing_depends_on_assertions() -> None:
    command = [
        sys.executable,
        "-O",
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore::pytest.PytestConfigWarning",
    ]
    chosen = [f"tests/kernel/test_{name}.py" for name in ("bad_body", "error_renderer", "wire_output")]
    done = subprocess.run([*command, *chosen], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
