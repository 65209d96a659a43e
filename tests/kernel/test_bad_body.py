"""A body that turns out malformed or cut, after a good head and in a later segment, always ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from corelet.errors import RequestPayloadError
from corelet.response import Response
from tests.raw_client import RawClient

FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\n" + FORM + b"Transfer-Encoding: chunked\r\n\r\n"
COUNTED = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"

MALFORMED = {
    "chunk size": b"5\r\nhello\r\nzz\r\n",
    "no line end after a chunk": b"5\r\nhelloXX",
    "bare LF after a chunk size": b"5\nhello\r\n",
    "trailer": b"0\r\nbad name: x\r\n\r\n",
    "endless chunk size": b"0" * 10_000,
}
CUT = {
    "before the body": (COUNTED, b""),
    "in a counted body": (COUNTED, b"hello"),
    "in a chunk": (CHUNKED, b"5\r\nhel"),
    "before the last chunk": (CHUNKED, b"5\r\nhello\r\n"),
    "in the trailers": (CHUNKED, b"0\r\nA: b\r\n"),
}

READINGS: dict[str, Callable[[Any], Any]] = {
    "read": lambda request: request.read(),
    "text": lambda request: request.text(),
    "post": lambda request: request.post(),
    "content.read": lambda request: request.content.read(),
    "content.readany": lambda request: _read_pieces(request.content.readany),
    "content.readline": lambda request: _read_pieces(request.content.readline),
}


class Reader:
    """A handler that reads its body and keeps what that raises, and when."""

    def __init__(self, read: Callable[[Any], Any] = READINGS["read"]) -> None:
        self._read = read
        self.waiting = 0
        self.errors: list[BaseException] = []

    async def __call__(self, request: Any) -> Response:
        self.waiting += 1
        try:
            await self._read(request)
        except BaseException as error:
            self.errors.append(error)
            raise
        finally:
            self.waiting -= 1
        return Response()

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.waiting < count:  # noqa: ASYNC110 -- handlers have no event
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("reading", READINGS)
async def test_whoever_reads_a_malformed_body_gets_the_error_at_once(serve, connect, reading):
    handler = Reader(READINGS[reading])
    client = await connect(await serve(handler))
    await client.send(CHUNKED)
    await handler.wait_for(1)
    started = asyncio.get_running_loop().time()
    await client.send(MALFORMED["chunk size"])
    answer = await client.read_answer()
    assert answer.status == 400
    assert answer.field("Connection") == "close"
    assert await client.is_closed(2)
    # 100 ms on a quiet machine; it is far less, and a shared one is slower.
    assert asyncio.get_running_loop().time() - started < 1
    assert [type(error) for error in handler.errors] == [RequestPayloadError]


@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("step", [1, 100_000], ids=["split", "whole"])
async def test_a_malformed_body_ends_in_400_and_close(serve, connect, malformed, step):
    handler = Reader()
    client = await connect(await serve(handler))
    await client.send(CHUNKED)
    await handler.wait_for(1)
    await client.send_split(malformed, step)
    assert (await client.read_answer()).status == 400
    assert await client.is_closed(2)
    assert isinstance(handler.errors[0], RequestPayloadError)


@pytest.mark.parametrize(("head", "body"), CUT.values(), ids=CUT)
async def test_a_body_cut_short_ends_in_400_and_close(serve, connect, head, body):
    handler = Reader()
    client = await connect(await serve(handler))
    await client.send(head)
    await handler.wait_for(1)
    await client.send(body)
    client.send_eof()
    assert (await client.read_answer()).status == 400
    assert await client.is_closed(2)
    assert isinstance(handler.errors[0], RequestPayloadError)


@pytest.mark.parametrize(("head", "body"), CUT.values(), ids=CUT)
async def test_a_peer_that_goes_away_in_a_body_ends_the_reading(serve, connect, head, body):
    handler = Reader()
    client = await connect(await serve(handler))
    await client.send(head + body)
    await handler.wait_for(1)
    client.abort()
    async with asyncio.timeout(5):
        while not handler.errors:  # noqa: ASYNC110 -- handlers have no event
            await asyncio.sleep(0.001)
    assert isinstance(handler.errors[0], (RequestPayloadError, ConnectionResetError))


async def test_a_handler_may_answer_the_error_itself(serve, connect):
    async def handler(request: Any) -> Response:
        try:
            await request.read()
        except RequestPayloadError as error:
            return Response(status=422, text=type(error).__name__)
        return Response()

    client = await connect(await serve(handler))
    await client.send(CHUNKED)
    await asyncio.sleep(0.01)
    await client.send(MALFORMED["chunk size"])
    answer = await client.read_answer()
    assert (answer.status, answer.text) == (422, "RequestPayloadError")
    assert answer.field("Connection") == "close"
    assert await client.is_closed(2)


async def test_a_handler_that_reads_nothing_is_answered_and_the_connection_ends(serve, connect):
    handler = Reader(lambda request: asyncio.sleep(0.1))
    client = await connect(await serve(handler))
    await client.send(CHUNKED)
    await handler.wait_for(1)
    await client.send(MALFORMED["chunk size"] + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await client.read_answer()
    assert answer.status == 200
    assert await client.is_closed(2)
    assert handler.errors == []


@pytest.mark.parametrize(("rounds", "at_once"), [(10, 100)])
async def test_a_thousand_bad_bodies_leave_no_task_and_no_socket(serve, connect, rounds, at_once):
    handler = Reader()
    served = await serve(handler)
    ways = [(CHUNKED, body, False) for body in MALFORMED.values()] + [(*cut, True) for cut in CUT.values()]

    async def send_bad_body(client: RawClient, body: bytes, is_cut: bool) -> None:
        await client.send(body)
        if is_cut:
            client.send_eof()
        assert (await client.read_answer()).status == 400
        assert await client.is_closed(5)
        await client.close()

    for _ in range(rounds):
        chosen = [ways[number % len(ways)] for number in range(at_once)]
        clients = await asyncio.gather(*[connect(served) for _ in chosen])
        for client, (head, _, _) in zip(clients, chosen, strict=True):
            await client.send(head)
        await handler.wait_for(at_once)
        await asyncio.gather(*[send_bad_body(client, *way[1:]) for client, way in zip(clients, chosen, strict=True)])
    async with asyncio.timeout(5):
        while served.server.connections:  # noqa: ASYNC110 -- a loss has no event
            await asyncio.sleep(0.01)
    assert len(handler.errors) == rounds * at_once
    assert handler.waiting == 0


async def _read_pieces(read: Callable[[], Any]) -> None:
    while await read():
        pass
