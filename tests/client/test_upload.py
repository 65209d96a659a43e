"""Bodies on their way: what they hold is given back, and what breaks them is told."""

from __future__ import annotations

import asyncio
import io
import threading
from contextlib import suppress

import pytest

import corelet
from tests.client.conftest import Peer, assert_at_rest, serve_ok


async def test_a_large_body_waits_for_a_slow_server(raw, client) -> None:
    gate = asyncio.Event()
    made = 0

    async def body():
        nonlocal made
        for _ in range(400):
            made += 1
            yield bytes(50_000)

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await gate.wait()
        left = 20_000_000
        while left > 0:
            left -= len(await peer.reader.read(1_000_000))
        await peer.answer()
        await peer.wait_closed()

    server = await raw(script, limit=65536)
    task = asyncio.ensure_future(
        client.post(server.url, data=body(), headers={"Content-Length": "20000000"}).__aenter__()
    )
    before = -1
    while before != made or made == 0:
        before = made
        await asyncio.sleep(0.05)
    assert made < 400
    gate.set()
    async with await task as response:
        assert await response.read() == b"ok"
    assert made == 400


async def test_an_error_of_the_source_is_told_and_the_connection_is_closed(raw, client) -> None:
    async def body():
        yield b"part"
        raise ZeroDivisionError

    server = await raw(serve_ok)
    with pytest.raises(corelet.UploadAbortedError, match="ZeroDivisionError") as caught:
        await client.post(server.url, data=body())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert_at_rest(client)
    assert client.connector.pool.connections == []


@pytest.mark.parametrize(
    "error", [ConnectionResetError("of another"), asyncio.CancelledError()], ids=["reset", "cancel"]
)
async def test_an_error_of_the_source_that_looks_like_the_connection_s_is_told(raw, client, error) -> None:
    async def body():
        yield b"part"
        raise error

    server = await raw(serve_ok)
    with pytest.raises(corelet.UploadAbortedError) as caught:
        await client.post(server.url, data=body(), timeout=3)
    assert caught.value.__cause__ is error
    assert client.connector.pool.connections == []


async def test_an_early_refusal_is_given_and_the_rest_is_not_sent(raw, client) -> None:
    closed = False

    async def body():
        nonlocal closed
        try:
            while True:
                yield bytes(100_000)
                await asyncio.sleep(0)
        finally:
            closed = True

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"too large", status="413 Too Large")
        await peer.wait_closed()

    server = await raw(script)
    async with client.post(server.url, data=body()) as response:
        assert (response.status, await response.read()) == (413, b"too large")
    await server.wait_for(lambda: server.closed == 1)
    assert closed
    assert client.connector.pool.connections == []


async def test_a_body_is_sent_to_its_end_where_the_answer_comes_early(raw, client) -> None:
    got = bytearray()
    gate = asyncio.Event()

    async def body():
        yield b"one"
        await gate.wait()
        yield b"two"

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer()
        got.extend(await peer.reader.readexactly(6))
        await serve_ok(peer)

    server = await raw(script)
    async with client.post(server.url, data=body(), headers={"Content-Length": "6"}) as response:
        assert await response.read() == b"ok"
        assert client.connector.pool.places == 1
        gate.set()
    await asyncio.sleep(0)
    assert client.connector.pool.idle_count == 1
    async with client.get(server.url) as response:
        assert await response.read() == b"ok"
    assert bytes(got) == b"onetwo"
    assert server.connections == 1


async def test_closing_the_response_stops_the_body(raw, client) -> None:
    async def body():
        yield b"one"
        await asyncio.Event().wait()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer()
        await peer.wait_closed()

    server = await raw(script)
    response = await client.post(server.url, data=body())
    response.close()
    await server.wait_for(lambda: server.closed == 1)
    assert_at_rest(client)


async def test_the_total_timeout_bounds_a_body_whose_answer_came_early(raw, client) -> None:
    async def body():
        yield b"one"
        await asyncio.Event().wait()

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer()
        await peer.wait_closed()

    server = await raw(script)
    is_answered = False
    while not is_answered:
        with suppress(corelet.ServerTimeoutError):  # of a machine that is busy
            async with client.post(server.url, data=body(), timeout=0.1) as response:
                is_answered = await response.read() == b"ok"
    await server.wait_for(lambda: server.closed == server.connections)
    assert_at_rest(client)


async def test_a_file_is_closed_whatever_happens(raw, client, tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)

    async def script(peer: Peer) -> None:
        await peer.read_request()

    server = await raw(script)
    file = path.open("rb")
    with pytest.raises(corelet.ServerDisconnectedError):
        await client.post(server.url, data=file)
    assert file.closed
    file = path.open("rb")
    with pytest.raises(corelet.ClientConnectorError):
        await client.post("http://127.0.0.1:1/", data=file)
    assert file.closed


async def test_a_tracker_follows_the_body(raw, client) -> None:
    server = await raw(serve_ok)
    tracker = corelet.UploadTracker()
    async with client.post(server.url, data=b"x" * 300_000, upload_tracker=tracker) as response:
        await response.read()
    await tracker.upload_complete
    assert (tracker.bytes_written, tracker.attempts) == (300_000, 1)
    with pytest.raises(RuntimeError, match="one request"):
        await client.post(server.url, data=b"x", upload_tracker=tracker)


async def test_a_tracker_counts_attempts_and_tells_of_failure(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(status="307 Again", fields="Location: /\r\n")
        await peer.read_request()

    server = await raw(script)
    tracker = corelet.UploadTracker()
    with pytest.raises(corelet.ServerDisconnectedError):
        await client.post(server.url, data=b"x", upload_tracker=tracker)
    assert tracker.attempts == 2

    async def body():
        yield b"x"
        raise ZeroDivisionError

    tracker = corelet.UploadTracker()
    with pytest.raises(corelet.UploadAbortedError):
        await client.post(server.url, data=body(), upload_tracker=tracker)
    with pytest.raises(corelet.UploadAbortedError):
        await tracker.upload_complete


async def test_a_tracker_of_a_request_without_a_body_is_complete(raw, client) -> None:
    server = await raw(serve_ok)
    tracker = corelet.UploadTracker()
    async with client.get(server.url, upload_tracker=tracker) as response:
        await response.read()
    await tracker.upload_complete
    assert tracker.bytes_written == 0


async def test_a_tracker_of_a_request_that_was_refused_is_free(raw, client) -> None:
    server = await raw(serve_ok)
    tracker = corelet.UploadTracker()
    with pytest.raises(TypeError, match="data"):
        await client.post(server.url, data=object(), upload_tracker=tracker)
    async with client.post(server.url, data=b"x", upload_tracker=tracker) as response:
        assert await response.read() == b"x"
    assert tracker.upload_complete.done()


async def test_a_file_is_whole_for_the_next_server_where_a_redirect_comes_before_its_end(raw, client, tmp_path) -> None:
    path = tmp_path / "file"
    content = b"".join(b"%07d\n" % number for number in range(500_000))
    path.write_bytes(content)
    end = await raw(serve_ok)

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(b"gone", status="308 Moved", fields=f"Location: {end.url}\r\n")
        await peer.wait_closed()

    server = await raw(script)
    async with client.post(server.url, data=path.open("rb")) as response:
        await response.read()
    assert [body for _, body in end.requests] == [content]


async def test_leaving_a_response_waits_until_its_request_s_body_is_closed(raw, client) -> None:
    class SlowToClose(corelet.Payload):
        is_closed = False

        def __init__(self) -> None:
            super().__init__(None)
            self.closing = asyncio.Event()
            self.has_answer = asyncio.Event()

        @property
        def size(self) -> int:
            return 4

        @property
        def consumed(self) -> bool:
            return False

        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            return "body"

        async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            return b"body"

        async def write(self, writer: corelet.AbstractStreamWriter) -> None:
            await writer.write(b"body")
            await self.has_answer.wait()

        async def close(self) -> None:
            self.closing.set()
            await asyncio.sleep(0.05)
            self.is_closed = True

    server = await raw(serve_ok)
    body = SlowToClose()
    async with client.post(server.url, data=body):
        body.has_answer.set()
        await body.closing.wait()
        assert not body.is_closed
    assert body.is_closed


@pytest.mark.parametrize("in_form", [False, True])
async def test_a_file_that_grows_before_it_is_sent_is_sent_as_it_was(raw, client, tmp_path, in_form) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")

    async def write_more(request, send):
        path.write_bytes(b"content and more")
        return await send(request)

    server = await raw(serve_ok)
    file = path.open("rb")
    data = corelet.FormData({"a": file}) if in_form else file
    async with client.post(server.url, data=data, middlewares=[write_more]) as response:
        sent = await response.read()
    assert b"content" in sent
    assert b"more" not in sent


@pytest.mark.parametrize("ends", ["answered", "early", "redirected", "failed"])
async def test_a_file_that_a_middleware_gives_is_closed_at_the_end(raw, client, tmp_path, ends) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(5_000_000))
    files = []

    async def replace(request, send):
        files.append(path.open("rb"))
        await request.update_body(files[-1])
        return await send(request)

    async def script(peer: Peer) -> None:
        if ends == "early":
            await peer.reader.readuntil(b"\r\n\r\n")
            await peer.answer()
            await peer.wait_closed()
        elif ends == "redirected" and not peer.server.requests:
            await peer.read_request()
            await peer.answer(status="307 Temporary Redirect", fields="Location: /\r\n")
        elif ends == "failed":
            await peer.read_request()
            return
        await serve_ok(peer)

    server = await raw(script)
    try:
        async with client.post(server.url, data=b"x", middlewares=[replace]) as response:
            await response.read()
    except corelet.ServerDisconnectedError:
        assert ends == "failed"
    assert len(files) == 1 + (ends == "redirected")
    assert all(file.closed for file in files)


async def test_who_is_cancelled_does_not_wait_until_the_body_is_sent(raw, client) -> None:
    is_closed = False

    async def body():
        nonlocal is_closed
        try:
            yield b"one"
            await asyncio.Event().wait()
        finally:
            is_closed = True

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer()
        await peer.wait_closed()

    server = await raw(script)
    has_answer = asyncio.Event()

    async def ask() -> None:
        async with client.post(server.url, data=body(), timeout=None) as response:
            await response.read()
            has_answer.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(ask())
    await has_answer.wait()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert task.cancelled()
    assert is_closed
    assert_at_rest(client)


class Pipe(io.RawIOBase):
    """What is read when its other end wants."""

    def __init__(self) -> None:
        self.other_end = threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.other_end.wait(10)
        return b""


async def test_a_pipe_that_gives_nothing_holds_no_timeout_up(raw, client) -> None:
    server = await raw(serve_ok)
    pipe = Pipe()
    with pytest.raises(corelet.ServerTimeoutError, match="total"):
        await asyncio.wait_for(client.post(server.url, data=pipe, timeout=0.05), 5)
    pipe.other_end.set()


@pytest.mark.parametrize("asks_first", [True, False])
async def test_a_tracker_tells_of_a_body_that_the_server_did_not_want(raw, client, asks_first) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(status="413 Too Large")
        await peer.wait_closed()

    async def look_at_the_answer(request, send):
        response = await send(request)
        await asyncio.sleep(0.01)  # the upload has ended by then
        return response

    server = await raw(script)
    tracker = corelet.UploadTracker()
    async with client.post(
        server.url,
        data=bytes(20_000_000),
        expect100=asks_first,
        upload_tracker=tracker,
        middlewares=[] if asks_first else [look_at_the_answer],
    ) as response:
        assert response.status == 413
    with pytest.raises(corelet.UploadAbortedError):
        await tracker.upload_complete
