"""Sending and receiving, on both sides: types, timeouts, several tasks, cancellation, back-pressure, limits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from corelet import web
from corelet_websocket import (
    ClientWebSocketResponse,
    ClientWSTimeout,
    PermessageDeflate,
    WebSocketClientHandshake,
    WebSocketError,
    WSCloseCode,
    WSMessage,
    WSMessageTypeError,
    WSMsgType,
    open_client_websocket,
)
from tests.conftest import Connect, Serve
from tests.websocket.conftest import Open, echo
from tests.websocket.test_frame import PING, PONG, TEXT, make_frame
from tests.websocket.test_handshake import ask

MIB = 2**20


@pytest.fixture(params=[0, 9, 15], ids=["plain", "window 9", "window 15"])
async def pair(request: pytest.FixtureRequest, serve_ws: Any, opened: Open) -> ClientWebSocketResponse:
    """Give a client of an echo, with and without compression."""
    return await opened(await serve_ws(echo), compress=request.param)


async def test_every_kind_of_message_comes_back(pair: ClientWebSocketResponse) -> None:
    for text in ("", "a", "é" * 1000, "\U0001f600" * 30_000):
        await pair.send_str(text)
        assert await pair.receive_str(timeout=5) == text
    for data in (b"", os.urandom(200), bytearray(b"array"), memoryview(b"view")[::2], os.urandom(MIB)):
        await pair.send_bytes(data)
        assert await pair.receive_bytes(timeout=5) == bytes(data)
    await pair.send_json({"a": [1, 2]})
    assert await pair.receive_json(timeout=5) == {"a": [1, 2]}
    await pair.send_json_bytes([3], dumps=lambda data: json.dumps(data).encode())
    message = await pair.receive(5)
    assert (message.type, message.json()) == (WSMsgType.BINARY, [3])
    await pair.send_frame(b"frame", WSMsgType.TEXT, compress=1)
    assert (await pair.receive(5)).data == "frame"


async def test_a_levels_change_leaves_the_context_right(pair: ClientWebSocketResponse) -> None:
    text = "the same words again and again " * 20
    for level in (None, 9, None, 0, 1, None):
        await pair.send_str(text, compress=level)
        assert await pair.receive_str(timeout=5) == text


@pytest.mark.parametrize(
    ("send", "words"),
    [
        (lambda ws: ws.send_str(b"a"), "takes a str, not bytes"),
        (lambda ws: ws.send_bytes("a"), "not str"),
    ],
)
async def test_a_wrong_type_is_refused(pair: ClientWebSocketResponse, send: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        await send(pair)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda ws: ws.ping(bytes(126)), "126 bytes, limit 125"),
        (lambda ws: ws.pong("x" * 126), "126 bytes, limit 125"),
        (lambda ws: ws.send_frame(b"", WSMsgType.CLOSE), "expected TEXT"),
        (lambda ws: ws.send_frame(bytes(126), WSMsgType.PING), "limit 125"),
        (lambda ws: ws.close(code=1006), "close code is 1006"),
        (lambda ws: ws.close(code=999), "close code is 999"),
        (lambda ws: ws.close(message=bytes(124)), "124 bytes, limit 123"),
        (lambda ws: ws.close(message=b"\xff"), "utf-8"),
    ],
)
async def test_what_may_not_be_on_the_wire_is_refused(pair: ClientWebSocketResponse, call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        await call(pair)
    await pair.send_str("still open")
    assert await pair.receive_str(timeout=5) == "still open"


async def test_another_type_than_was_asked_for_says_so(pair: ClientWebSocketResponse) -> None:
    await pair.send_bytes(b"bytes")
    with pytest.raises(WSMessageTypeError, match=r"received .*BINARY.* with b'bytes', expected .*TEXT"):
        await pair.receive_str(timeout=5)
    await pair.send_str("text")
    with pytest.raises(WSMessageTypeError, match=r"expected .*BINARY"):
        await pair.receive_bytes(timeout=5)


async def test_nothing_can_be_done_before_prepare() -> None:
    ws = web.WebSocketResponse()
    for call in (ws.receive, ws.receive_str, ws.__anext__, lambda: ws.send_str("a"), lambda: ws.send_bytes(b"a")):
        with pytest.raises(RuntimeError, match=r"before prepare\(\)"):
            await call()
    for call in (ws.ping, ws.pong, ws.close):
        with pytest.raises(RuntimeError, match=r"before prepare\(\)"):
            await call()
    with pytest.raises(RuntimeError, match=r"send_str\(\)"):
        await ws.write(b"a")
    assert (ws.closed, ws.close_code, ws.exception(), ws.prepared) == (False, None, None, False)
    assert ws.get_extra_info("peername", "none") == "none"


async def test_a_wait_that_is_too_long_ends_and_the_socket_lives(serve_ws: Any, opened: Open) -> None:
    ws = await opened(await serve_ws(echo), timeout=ClientWSTimeout(ws_receive=0.02, ws_close=5))
    for wait in (ws.receive(), ws.receive(0.01), ws.receive_str(), ws.__anext__()):
        with pytest.raises(TimeoutError):
            await wait
    await ws.send_str("a")
    assert await ws.receive_str(timeout=5) == "a"


async def test_parallel_receives_are_refused_and_the_first_goes_on(pair: ClientWebSocketResponse) -> None:
    first = asyncio.create_task(pair.receive())
    await asyncio.sleep(0)
    for call in (pair.receive(), pair.__anext__()):
        with pytest.raises(RuntimeError, match="another task waits in it: let one task receive"):
            await call
    await pair.send_str("a")
    assert (await first).data == "a"


async def cancel_again_and_again(
    pair: ClientWebSocketResponse, receive: Callable[[], Coroutine[Any, Any, WSMessage]]
) -> None:
    for number in range(30):
        task = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await pair.send_str(str(number))
        if number % 3:
            await asyncio.sleep(0.001 * (number % 5))
        task.cancel()
        try:
            message = await task
        except asyncio.CancelledError:
            message = await receive()
        assert message.data == str(number)


async def test_a_cancelled_receive_loses_no_message(pair: ClientWebSocketResponse) -> None:
    await cancel_again_and_again(pair, pair.receive)


async def test_a_loop_s_next_message_can_be_a_task_and_bounded_and_cancelled(pair: ClientWebSocketResponse) -> None:
    messages = aiter(pair)
    assert aiter(messages) is messages
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(messages), 0.01)
    task = asyncio.create_task(anext(messages))
    await asyncio.sleep(0)
    for call in (anext(messages), anext(aiter(pair)), pair.receive()):
        with pytest.raises(RuntimeError, match="another task waits in it"):
            await call
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await cancel_again_and_again(pair, lambda: anext(messages))


async def test_a_next_message_that_two_tasks_await_goes_to_the_first(pair: ClientWebSocketResponse) -> None:
    waiting = anext(aiter(pair))
    first = asyncio.ensure_future(waiting)
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match=r"awaited already|another task waits in it"):
        async with asyncio.timeout(1):
            await waiting
    await pair.send_str("a")
    assert (await asyncio.wait_for(first, 5)).data == "a"


async def test_a_loop_ends_with_the_connection_and_keeps_no_message(pair: ClientWebSocketResponse) -> None:
    messages = aiter(pair)
    for text in ("one", "two"):
        await pair.send_str(text)
    first = await anext(messages)
    await pair.send_str("three")
    # An error that is being handled is no part of what a message comes by.
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        second = await asyncio.create_task(anext(messages))
        third = await anext(messages)
    assert [message.data for message in (first, second, third)] == ["one", "two", "three"]
    await asyncio.sleep(0)  # whoever has read the last one is still at it until then
    # The name here, and the argument.
    assert max(sys.getrefcount(first), sys.getrefcount(second), sys.getrefcount(third)) <= 2
    await pair.close()
    with pytest.raises(StopAsyncIteration):
        await anext(messages)
    assert [message async for message in pair] == []


async def test_who_leaves_what_it_waits_in_lets_others_receive(pair: ClientWebSocketResponse) -> None:
    async def wait() -> None:
        async for _ in pair:
            raise AssertionError("there is no message")

    waiting = wait()
    waiting.send(None)
    waiting.close()
    waiting = wait()
    waiting.send(None)
    with pytest.raises(ZeroDivisionError):
        waiting.throw(ZeroDivisionError)
    await pair.send_str("a")
    assert (await pair.receive(5)).data == "a"


async def test_a_message_wakes_who_waits_in_its_own_context(serve_ws: Any, opened: Open) -> None:
    import contextvars

    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="none")
    seen = []

    async def talk(ws: web.WebSocketResponse) -> None:
        name.set("handler")
        async for _ in ws:
            task = asyncio.current_task()
            assert task is not None
            seen.append((name.get(), task is first[0]))

    first: list[Any] = []

    async def outer(ws: web.WebSocketResponse) -> None:
        first.append(asyncio.current_task())
        await talk(ws)

    ws = await opened(await serve_ws(outer))
    for _ in range(3):
        await ws.send_str("a")
    await ws.close()
    assert seen == [("handler", True)] * 3


async def test_receive_works_within_a_timeout_and_other_waits(pair: ClientWebSocketResponse) -> None:
    async def get() -> str:
        async with asyncio.timeout(5):
            data: str = (await pair.receive()).data
            return data

    await pair.send_str("a")
    assert await asyncio.wait_for(get(), 5) == "a"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pair.receive(), 0.01)
    await pair.send_str("b")
    done, _ = await asyncio.wait([asyncio.ensure_future(get())], timeout=5)
    assert done.pop().result() == "b"


async def test_frames_of_many_senders_never_interleave(serve_ws: Any, opened: Open) -> None:
    count = 40

    async def talk(ws: web.WebSocketResponse) -> None:
        async def send(number: int) -> None:
            for size in (10, 70_000, 300):
                await ws.send_str(str(number % 10) * size)
                await asyncio.sleep(0)

        await asyncio.gather(*(send(number) for number in range(count)))
        await ws.close()

    for compress in (0, 15):
        ws = await opened(await serve_ws(talk), compress=compress)
        found = [message.data async for message in ws]
        assert len(found) == 3 * count
        assert all(data == data[0] * len(data) for data in found)


@pytest.mark.parametrize("compress", [0, 15])
async def test_frames_keep_their_order_whoever_writes_them_and_when(serve_ws: Any, opened: Open, compress: int) -> None:
    """Answers in the reading callback, sends of other tasks and of timers, in one turn of the loop and in several."""
    sent: list[str] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()

        def send_at_once(text: str) -> None:
            sent.append(text)
            # A coroutine that does not wait can be run by hand, here within a timer.
            with pytest.raises(StopIteration):
                ws.send_str(text).send(None)

        async def send(text: str) -> None:
            sent.append(text)
            await ws.send_str(text)

        async for message in ws:
            number = int(message.data)
            await send(f"answer {number}")
            loop.call_later(0, send_at_once, f"timer {number}")
            loop.call_soon(send_at_once, f"soon {number}")
            tasks.add(asyncio.create_task(send(f"task {number}")))
            if number % 3:
                await send(f"again {number}")
            if number % 5 == 0:
                await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    ws = await opened(await serve_ws(talk), compress=compress)
    received: list[str] = []

    async def receive() -> None:
        while len(received) < 300 * 4 + 200:
            received.append(await ws.receive_str())

    receiving = asyncio.create_task(receive())
    for number in range(300):
        await ws.send_str(str(number))
        if number % 7:
            await asyncio.sleep(0)
    await asyncio.wait_for(receiving, 20)
    assert received == sent


async def test_a_sender_waits_for_the_socket_and_its_cancellation_harms_nothing(serve_ws: Any, opened: Open) -> None:
    sent: list[int] = []
    go_on = asyncio.Event()
    outcome: list[str] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        async def flood() -> None:
            while True:
                await ws.send_bytes(bytes([len(sent) % 256]) * MIB)
                sent.append(1)

        task = asyncio.create_task(flood())
        while not outcome:
            before = len(sent)
            await asyncio.sleep(0.05)
            if len(sent) == before:
                outcome.append("waits")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await ws.send_str("after")
        await ws.close()

    ws = await opened(await serve_ws(talk, writer_limit=65_536))
    await asyncio.wait_for(go_on.wait(), 10)
    # A peer that reads nothing has taken a few buffers full, not everything.
    assert len(sent) < 60
    found = [message.data async for message in ws]
    assert found[-1] == "after"
    # The message of the cancelled send was handed over whole before it waited.
    assert found[:-1] == [bytes([number % 256]) * MIB for number in range(len(sent) + 1)]


async def test_a_receiver_that_is_behind_stops_the_reading(serve_ws: Any, opened: Open) -> None:
    start = asyncio.Event()
    received: list[int] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        await start.wait()
        received.extend([message.data[0] async for message in ws])

    ws = await opened(await serve_ws(talk), writer_limit=65_536)
    sent = 0

    async def flood() -> None:
        nonlocal sent
        while sent < 200:
            await asyncio.wait_for(ws.send_bytes(bytes([sent % 256]) * MIB), 0.3)
            sent += 1

    with pytest.raises(TimeoutError):
        await flood()
    assert sent < 60
    start.set()
    await asyncio.wait_for(ws.send_bytes(b"\xff"), 10)
    await ws.close()
    assert received == [*(number % 256 for number in range(sent + 1)), 255]


class Still(asyncio.Transport):
    """A transport that notes whether it would read."""

    is_read = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


@pytest.mark.parametrize(("count", "is_read"), [(0, True), (1, True), (10_000, False)])
async def test_a_client_that_is_behind_from_the_beginning_does_not_read_on(count: int, is_read: bool) -> None:
    transport = Still()
    ws = open_client_websocket(transport, WebSocketClientHandshake(), rest=make_frame(TEXT, b"a", mask=None) * count)
    assert transport.is_read is is_read
    for _ in range(count):
        assert (await ws.receive()).data == "a"
    assert transport.is_read


async def test_a_message_over_the_limit_ends_the_connection_by_1009(serve_ws: Any, opened: Open) -> None:
    seen: list[Any] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        while not ws.closed:
            seen.append(await ws.receive())

    for compress in (0, 15):
        ws = await opened(await serve_ws(talk, max_msg_size=1000), compress=compress)
        await ws.send_bytes(bytes(1000))
        await ws.send_bytes(bytes(10_000_000))
        message = await ws.receive(5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, WSCloseCode.MESSAGE_TOO_BIG)
        assert [each.type for each in seen] == [WSMsgType.BINARY, WSMsgType.ERROR]
        assert isinstance(seen[1].data, WebSocketError)
        seen.clear()


async def test_a_flood_of_control_frames_ends_the_connection(serve_ws: Any, connect: Connect) -> None:
    client = await connect(await serve_ws(echo, timeout=0.2))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{ask()}\r\n")
    assert (await client.read_answer()).status == 101
    await client.send(make_frame(PONG) * 5000)
    data = await client.read_until_closed()
    assert data[:4] == b"\x88" + data[1:2] + (1008).to_bytes(2, "big")


async def test_pings_are_answered_while_the_handler_thinks(serve_ws: Any, connect: Connect) -> None:
    done = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        await done.wait()

    client = await connect(await serve_ws(talk))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{ask()}\r\n")
    await client.read_answer()
    await client.send(make_frame(PING, b"are you there"))
    assert await client.reader.readexactly(15) == make_frame(PONG, b"are you there", mask=None)
    client.abort()
    done.set()


async def test_a_077_a_peer_that_pings_and_never_reads_gets_one_answer(serve_ws: Any, connect: Connect) -> None:
    started = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        task = asyncio.create_task(ws.send_bytes(bytes(32 * MIB)))
        await started.wait()
        await task

    client = await connect(await serve_ws(talk), limit=65_536)
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{ask()}\r\n")
    await client.read_answer()
    for number in range(50):
        await client.send(make_frame(PING, str(number).encode()))
    await client.reader.readexactly(10 + 32 * MIB)
    assert await client.reader.readexactly(4) == make_frame(PONG, b"49", mask=None)
    started.set()


async def test_pings_and_pongs_can_be_had_as_messages(serve_ws: Any, opened: Open) -> None:
    seen = []

    async def talk(ws: web.WebSocketResponse) -> None:
        seen.extend([(message.type, message.data) async for message in ws])

    ws = await opened(await serve_ws(talk, autoping=False))
    await ws.ping(b"ping")
    await ws.pong("pong")
    await ws.close()
    assert seen == [(WSMsgType.PING, b"ping"), (WSMsgType.PONG, b"pong")]


async def test_text_can_be_had_as_bytes(serve_ws: Any, opened: Open) -> None:
    ws = await opened(await serve_ws(echo), decode_text=False)
    await ws.send_str("é")
    message = await ws.receive(5)
    assert (message.type, message.data) == (WSMsgType.TEXT, "é".encode())
    await ws.send_str('{"a": 1}')
    assert await ws.receive_json() == {"a": 1}


async def test_messages_sent_with_the_handshake_are_read(serve_ws: Any, connect: Connect) -> None:
    client = await connect(await serve_ws(echo))
    head = f"GET / HTTP/1.1\r\nHost: a\r\n{ask()}\r\n".encode()
    await client.send_split(head + make_frame(TEXT, b"early") + make_frame(TEXT, b"birds"), 7)
    assert (await client.read_answer()).status == 101
    assert await client.reader.readexactly(14) == make_frame(TEXT, b"early", mask=None) + make_frame(
        TEXT, b"birds", mask=None
    )


async def test_the_transport_can_be_asked(serve_ws: Any, opened: Open) -> None:
    seen: list[Any] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        seen.append((ws.get_extra_info("peername")[0], ws.get_extra_info("nothing", 1)))
        await echo(ws)

    ws = await opened(await serve_ws(talk))
    await ws.send_str("a")
    await ws.receive(5)
    assert seen == [("127.0.0.1", 1)]
    await ws.close()
    assert ws.get_extra_info("peername", "gone") == "gone"


async def test_compression_is_negotiated_only_where_both_want_it(serve_ws: Any, opened: Open) -> None:
    seen: list[bool] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        seen.append(ws.compress)
        await echo(ws)

    for wants, offers in ((True, 15), (True, 0), (False, 15)):
        ws = await opened(await serve_ws(talk, compress=wants), compress=offers)
        assert ws.compress == (15 if wants and offers else 0)
        assert ws.client_notakeover is False
    ws = await opened(await serve_ws(talk), deflate=PermessageDeflate(no_context_takeover=True))
    assert ws.client_notakeover is True
    assert seen == [True, False, False, True]


async def test_a_response_opens_one_websocket(serve: Serve, connect: Connect, expect_error_log: list[Any]) -> None:
    ws = web.WebSocketResponse()

    async def handle(request: web.Request) -> web.StreamResponse:
        await ws.prepare(request)
        await ws.prepare(request)
        return ws

    served = await serve(handle)
    client = await connect(served)
    assert (await client.get(fields=ask())).status == 101
    with pytest.raises(RuntimeError, match="is open already"):
        ws.can_prepare(None)  # type: ignore[arg-type]
    other = await connect(served)
    assert (await other.get(fields=ask())).status == 500
    assert "used once" in str(expect_error_log[0].exc_info[1])
