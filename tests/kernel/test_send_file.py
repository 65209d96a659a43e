"""Files sent past the transport: by the system's own copying where there is no TLS, in order with all else."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from corelet import Deadlines
from corelet.errors import LocalProtocolError
from corelet.response import StreamResponse
from corelet.runner import ServerRunner, UnixSite
from corelet.server import Server
from tests.conftest import Connect, Serve, Tls
from tests.raw_client import RawClient

SIZE = 5_000_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a large file."""
    path = tmp_path_factory.mktemp("files") / "large"
    path.write_bytes(os.urandom(SIZE))
    return path


def read(path: Path) -> bytes:
    return path.read_bytes()


def make_handler(path: Path, offset: int = 0, count: int = SIZE, **options: Any) -> Callable[[Any], Awaitable[Any]]:
    """Make a handler that sends a part of a file, and text before and after it."""

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        if not options.get("is_chunked"):
            response.content_length = count + 10
        writer = await response.prepare(request)
        assert writer is not None
        await response.write(b"start")
        with io.FileIO(path) as file:
            sent = await writer.send_file(file, offset, count)
        assert sent == options.get("sent", count)
        await response.write_eof(b"final" if sent == count else b"")
        return response

    return handler


@pytest.mark.parametrize(("offset", "count"), [(0, SIZE), (1_000_001, 3), (SIZE - 1, 1), (5, 0), (7, 2_000_000)])
async def test_part_of_a_file_comes_in_order(
    serve: Serve, connect: Connect, path: Path, offset: int, count: int
) -> None:
    client = await connect(await serve(make_handler(path, offset, count)))
    for _ in range(2):
        answer = await client.get()
        assert answer.body == b"start" + read(path)[offset : offset + count] + b"final"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_file_goes_through_tls(serve: Serve, connect: Connect, tls: Tls, path: Path, is_chunked: bool) -> None:
    served = await serve(make_handler(path, is_chunked=is_chunked), ssl_context=tls.server)
    client = await connect(served, ssl=tls.client)
    assert (await client.get()).body == b"start" + read(path) + b"final"


async def test_file_may_be_chunked(serve: Serve, connect: Connect, path: Path) -> None:
    client = await connect(await serve(make_handler(path, is_chunked=True)))
    answer = await client.get()
    assert answer.field("transfer-encoding") == "chunked"
    assert answer.body == b"start" + read(path) + b"final"


async def test_head_gets_no_file(serve: Serve, connect: Connect, path: Path) -> None:
    client = await connect(await serve(make_handler(path)))
    assert (await client.get(method="HEAD")).field("content-length") == str(SIZE + 10)
    assert (await client.get()).status == 200


async def test_file_goes_through_a_unix_socket(tmp_path: Path, path: Path) -> None:
    runner = ServerRunner(Server(make_handler(path)))
    await runner.setup()
    await UnixSite(runner, tmp_path / "socket").start()
    client = RawClient(*await asyncio.open_unix_connection(tmp_path / "socket"))
    assert (await client.get()).body == b"start" + read(path) + b"final"
    await client.close()
    await runner.cleanup()


async def test_pipelined_answers_stay_in_order(serve: Serve, connect: Connect, path: Path) -> None:
    client = await connect(await serve(make_handler(path, 0, 100_000)))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 20)
    for answer in await client.read_answers(20):
        assert answer.body == b"start" + read(path)[:100_000] + b"final"


async def test_what_was_written_before_goes_first(serve: Serve, connect: Connect, path: Path) -> None:
    written = 3_000_000

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        response.content_length = written + SIZE
        writer = await response.prepare(request)
        assert writer is not None
        request.connection.send(b"x" * written)
        writer.length = SIZE
        with io.FileIO(path) as file:
            await writer.send_file(file, 0, SIZE)
        return response

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.1)  # the peer is behind
    assert (await client.read_answer()).body == b"x" * written + read(path)


async def test_shorter_file_is_told(serve: Serve, connect: Connect, path: Path, expect_error_log: list[Any]) -> None:
    client = await connect(await serve(make_handler(path, SIZE - 10, 100, sent=10)))
    with pytest.raises(EOFError):
        await client.get()
    assert "ended 95 bytes before its Content-Length" in str(expect_error_log[0].exc_info[1])


async def test_more_than_the_length_is_refused(serve: Serve, connect: Connect, path: Path) -> None:
    refused: list[Exception] = []

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        response.content_length = 10
        writer = await response.prepare(request)
        assert writer is not None
        with io.FileIO(path) as file, pytest.raises(LocalProtocolError) as caught:
            await writer.send_file(file, 0, 11)
        refused.append(caught.value)
        await response.write_eof(b"0123456789")
        with io.FileIO(path) as file, pytest.raises(RuntimeError, match="after write_eof"):
            await writer.send_file(file, 0, 1)
        return response

    assert (await (await connect(await serve(handler))).get()).body == b"0123456789"
    assert str(refused[0]) == "11 bytes written, 10 left by Content-Length"


@pytest.fixture
async def endings() -> asyncio.Queue[BaseException | None]:
    """Give a queue of how handlers ended."""
    return asyncio.Queue()


def noting(handler: Any, endings: asyncio.Queue[BaseException | None]) -> Any:
    async def note(request: Any) -> Any:
        try:
            response = await handler(request)
        except BaseException as exc:
            endings.put_nowait(exc)
            raise
        endings.put_nowait(None)
        return response

    return note


async def open_slow(served: Any, connect: Connect) -> RawClient:
    """Open a connection whose peer takes little unless it reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (served.host, served.port))
    client = RawClient(*await asyncio.open_connection(sock=sock, limit=4096))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return client


@pytest.mark.parametrize("is_reset", [False, True])
async def test_peer_that_leaves_ends_the_handler_and_no_error_is_logged(
    serve: Serve, connect: Connect, tmp_path: Path, endings: Any, is_reset: bool
) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    served = await serve(noting(make_handler(path, 0, 50_000_000), endings))
    client = await open_slow(served, connect)
    await client.reader.read(1000)
    if is_reset:
        client.abort()
    else:
        await client.close()
    assert isinstance(await asyncio.wait_for(endings.get(), 5), ConnectionError)
    await client.close()


async def test_peer_that_takes_nothing_is_left(serve: Serve, connect: Connect, tmp_path: Path, endings: Any) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    handler = noting(make_handler(path, 0, 50_000_000), endings)
    client = await open_slow(await serve(handler, deadlines=Deadlines(write_seconds=0.2)), connect)
    assert isinstance(await asyncio.wait_for(endings.get(), 10), ConnectionResetError)
    await client.close()


async def test_peer_that_is_slow_gets_all(serve: Serve, connect: Connect, path: Path, endings: Any) -> None:
    handler = noting(make_handler(path), endings)
    client = await open_slow(await serve(handler, deadlines=Deadlines(write_seconds=1.0)), connect)
    await asyncio.sleep(0.3)
    assert (await client.read_answer()).body == b"start" + read(path) + b"final"
    assert await endings.get() is None
    await client.close()


async def test_handler_that_is_cancelled_leaves_nothing(
    serve: Serve, connect: Connect, tmp_path: Path, endings: Any
) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    served = await serve(noting(make_handler(path, 0, 50_000_000), endings), shutdown_timeout=0.1)
    client = await open_slow(served, connect)
    await client.reader.read(1000)
    await served.stop()
    assert isinstance(await asyncio.wait_for(endings.get(), 5), asyncio.CancelledError)
    await client.close()
