"""Ends: the closing handshake from either side, lost and dead peers, a server that stops."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

import pytest

from corelet import Deadlines, web
from corelet_websocket import ClientWSTimeout, WebSocketError, WSCloseCode, WSMsgType
from tests.conftest import Connect, Serve, Tls
from tests.raw_client import RawClient
from tests.websocket.conftest import Open, echo
from tests.websocket.opener import open_websocket
from tests.websocket.raw_server import serve_raw
from tests.websocket.test_frame import CLOSE, PING, PONG, TEXT, make_frame
from tests.websocket.test_handshake import ask

CLOSE_1000 = make_frame(CLOSE, b"\x03\xe8")


class Log:
    """A handler that notes what it receives and how it ends."""

    def __init__(self) -> None:
        self.types: list[WSMsgType] = []
        self.ws: Any = None
        self.ended = asyncio.Event()

    async def __call__(self, ws: web.WebSocketResponse) -> None:
        self.ws = ws
        try:
            while True:
                message = await ws.receive()
                self.types.append(message.type)
                if message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED):
                    return
        finally:
            self.ended.set()


async def shake(client: RawClient) -> None:
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{ask()}\r\n")
    assert (await client.read_answer()).status == 101


async def test_a_close_of_the_clients_is_answered_by_its_code(serve_ws: Any, opened: Open) -> None:
    log = Log()
    ws = await opened(await serve_ws(log))
    assert await ws.close(code=4001, message="bye") is True
    assert (ws.closed, ws.close_code) == (True, 4001)
    assert await ws.close() is False
    await log.ended.wait()
    assert log.types == [WSMsgType.CLOSE]
    assert (log.ws.closed, log.ws.close_code, log.ws.exception()) == (True, 4001, None)


async def test_a_close_of_the_servers_has_code_and_reason(serve_ws: Any, opened: Open) -> None:
    outcome: list[Any] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        outcome.append(await ws.close(code=WSCloseCode.TRY_AGAIN_LATER, message=b"busy"))
        outcome.append((ws.close_code, await ws.close()))

    ws = await opened(await serve_ws(talk))
    assert await ws.receive(5) == (WSMsgType.CLOSE, 1013, "busy")
    assert ws.closed
    assert (await ws.receive(5)).type is WSMsgType.CLOSED
    await ws.close()
    assert outcome == [True, (1013, False)]


async def test_a_handler_that_returns_closes_by_1000(serve_ws: Any, opened: Open) -> None:
    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.send_str("last words")

    ws = await opened(await serve_ws(talk))
    assert [message.data async for message in ws] == ["last words"]
    assert ws.close_code == 1000


async def test_a_close_frame_without_a_code_is_1005(serve_ws: Any, connect: Connect) -> None:
    log = Log()
    client = await connect(await serve_ws(log))
    await shake(client)
    await client.send(make_frame(CLOSE))
    assert await client.read_until_closed() == b"\x88\x00"
    assert log.ws.close_code == 1005


async def test_without_autoclose_the_application_answers(serve_ws: Any, opened: Open) -> None:
    async def talk(ws: web.WebSocketResponse) -> None:
        message = await ws.receive()
        assert message.type is WSMsgType.CLOSE
        await ws.send_str("one moment")
        await ws.close(code=message.data)

    ws = await opened(await serve_ws(talk, autoclose=False), autoclose=False)
    closing = asyncio.create_task(ws.close(code=4002))
    assert await closing is True
    assert ws.close_code == 4002


async def test_what_comes_after_a_close_frame_is_dropped(serve_ws: Any, connect: Connect) -> None:
    log = Log()
    client = await connect(await serve_ws(log))
    await shake(client)
    await client.send(CLOSE_1000 + make_frame(TEXT, b"late") + make_frame(PING) + b"\xff\xff\xff")
    assert await client.read_until_closed() == b"\x88\x02\x03\xe8"
    assert log.types == [WSMsgType.CLOSE]
    assert log.ws.exception() is None


async def test_pings_behind_our_close_frame_are_dropped_like_all_else(serve_ws: Any, connect: Connect) -> None:
    seen: list[WSMsgType] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        closing = asyncio.create_task(ws.close())
        while WSMsgType.CLOSED not in seen:
            seen.append((await ws.receive()).type)
        await closing

    client = await connect(await serve_ws(talk, autoping=False))
    await shake(client)
    assert await client.reader.readexactly(4) == b"\x88\x02\x03\xe8"
    await client.send(make_frame(PING) + make_frame(PONG) + CLOSE_1000)
    assert await client.read_until_closed() == b""
    assert seen == [WSMsgType.CLOSING, WSMsgType.CLOSED]


async def test_a_task_that_waits_learns_of_a_close_by_another(serve_ws: Any, opened: Open) -> None:
    ws = await opened(await serve_ws(echo))
    waiting = asyncio.create_task(ws.receive())
    await asyncio.sleep(0)
    assert await ws.close() is True
    assert (await waiting).type is WSMsgType.CLOSING
    assert (await ws.receive()).type is WSMsgType.CLOSED


async def test_a_loop_that_does_not_look_at_closed_is_ended(serve_ws: Any, opened: Open) -> None:
    ws = await opened(await serve_ws(echo))
    await ws.close()
    for _ in range(5):
        assert (await ws.receive()).type is WSMsgType.CLOSED
    with pytest.raises(RuntimeError, match=r"closed WebSocket: leave the loop when"):
        await ws.receive()


async def test_a_loop_that_does_not_look_at_closing_waits_for_the_end(serve_ws: Any, connect: Connect) -> None:
    seen: list[WSMsgType] = []
    started = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        started.set()
        while len(seen) < 1000 and WSMsgType.CLOSED not in seen:
            seen.append((await ws.receive()).type)

    served = await serve_ws(talk)
    client = await connect(served)
    await shake(client)
    await started.wait()
    stopping = asyncio.create_task(served.stop())
    assert (await client.reader.readexactly(4))[2:] == (1001).to_bytes(2, "big")
    await client.send(make_frame(CLOSE, (1001).to_bytes(2, "big")))
    await stopping
    assert seen == [WSMsgType.CLOSING, WSMsgType.CLOSED]


async def test_sends_on_a_closed_socket_raise(serve_ws: Any, opened: Open) -> None:
    class OwnResetError(ConnectionResetError):
        pass

    served = await serve_ws(echo)
    for error, options in ((ConnectionResetError, {}), (OwnResetError, {"reset_error": OwnResetError})):
        ws = await opened(served, **options)
        await ws.close()
        for call in (ws.send_str("a"), ws.send_bytes(b"a"), ws.send_json(1), ws.ping(), ws.pong()):
            with pytest.raises(error, match="it can't send any more"):
                await call


async def test_a_send_that_waits_ends_when_the_peer_goes(serve_ws: Any, connect: Connect) -> None:
    raised = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        try:
            while True:
                await ws.send_bytes(bytes(2**20))
        except ConnectionResetError:
            raised.set()

    client = await connect(await serve_ws(talk), limit=65_536)
    await shake(client)
    await client.reader.readexactly(100_000)
    client.abort()
    await asyncio.wait_for(raised.wait(), 5)


async def test_a_peer_that_vanishes_is_1006(serve_ws: Any, connect: Connect) -> None:
    served_logs = []
    for end in ("abort", "send_eof"):
        log = Log()
        client = await connect(await serve_ws(log))
        await shake(client)
        getattr(client, end)()
        await asyncio.wait_for(log.ended.wait(), 5)
        served_logs.append((log.types, log.ws.close_code, log.ws.closed))
        with pytest.raises(ConnectionResetError):
            await log.ws.send_str("a")
    assert served_logs == [([WSMsgType.CLOSED], 1006, True)] * 2


async def test_messages_before_a_loss_are_received(serve_ws: Any, connect: Connect) -> None:
    go_on = asyncio.Event()
    seen: list[Any] = []

    done = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        await go_on.wait()
        seen.extend([message.data async for message in ws])
        done.set()

    client = await connect(await serve_ws(talk))
    await shake(client)
    await client.send(make_frame(TEXT, b"a") + make_frame(TEXT, b"b"))
    client.send_eof()
    assert await client.is_closed(5)
    go_on.set()
    await asyncio.wait_for(done.wait(), 5)
    assert seen == ["a", "b"]


async def test_a_peer_that_does_not_answer_a_close_has_its_time(serve_ws: Any, connect: Connect) -> None:
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def talk(ws: web.WebSocketResponse) -> None:
        outcome.set_result((await ws.close(), ws.close_code, type(ws.exception())))

    client = await connect(await serve_ws(talk, timeout=0.05))
    await shake(client)
    await client.read_until_closed()
    assert await asyncio.wait_for(outcome, 5) == (True, 1006, TimeoutError)


async def test_a_peer_that_has_ended_and_reads_nothing_has_its_time(serve_ws: Any, connect: Connect) -> None:
    outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def talk(ws: web.WebSocketResponse) -> None:
        sending = asyncio.create_task(ws.send_bytes(bytes(32 * 2**20)))
        message = await ws.receive()
        (result,) = await asyncio.gather(sending, return_exceptions=True)
        outcome.set_result((message.type, type(result), ws.close_code))

    client = await connect(await serve_ws(talk, timeout=0.05), limit=65_536)
    await shake(client)
    client.send_eof()
    assert await asyncio.wait_for(outcome, 5) == (WSMsgType.CLOSED, ConnectionResetError, 1006)


async def test_a_cancelled_close_ends_all_the_same(serve_ws: Any, connect: Connect) -> None:
    log: list[Any] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        task = asyncio.create_task(ws.close())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        log.append((await ws.receive()).type)

    client = await connect(await serve_ws(talk))
    await shake(client)
    assert await client.reader.readexactly(4) == b"\x88\x02\x03\xe8"
    await client.send(CLOSE_1000)
    assert await client.read_until_closed() == b""
    # The peer's close frame may be here by then.
    assert log in ([WSMsgType.CLOSING], [WSMsgType.CLOSED])


async def test_a_server_that_leaves_the_connection_open_has_its_time() -> None:
    answer = (
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        "\x88\x02\x03\xe8"
    )
    lost = asyncio.Event()
    async with serve_raw(answer) as port:
        ws = await open_websocket(port, timeout=ClientWSTimeout(ws_close=0.05), on_lost=lost.set)
        assert (await ws.receive(5)).data == 1000
        await asyncio.wait_for(lost.wait(), 5)
        await ws.close()


async def test_what_breaks_the_protocol_is_told_to_both_sides(serve_ws: Any, connect: Connect) -> None:
    log = Log()
    client = await connect(await serve_ws(log))
    await shake(client)
    await client.send(make_frame(TEXT, b"fine") + b"\xff\x80")
    data = await client.read_until_closed()
    assert data[0] == CLOSE
    assert data[2:4] == (1002).to_bytes(2, "big")
    assert b"opcode is 0xf" in data
    await log.ended.wait()
    assert log.types == [WSMsgType.TEXT, WSMsgType.ERROR, WSMsgType.CLOSED]
    assert isinstance(log.ws.exception(), WebSocketError)
    assert log.ws.close_code == 1002


async def test_messages_before_an_error_can_be_answered(serve_ws: Any, connect: Connect) -> None:
    client = await connect(await serve_ws(echo))
    await shake(client)
    await client.send(make_frame(TEXT, b"fine") + b"\xff\x80")
    data = await client.read_until_closed()
    assert data.startswith(make_frame(TEXT, b"fine", mask=None) + b"\x88")


async def test_an_error_behind_a_handler_that_takes_nothing_ends_in_time(serve_ws: Any, connect: Connect) -> None:
    done = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        await done.wait()

    client = await connect(await serve_ws(talk, timeout=0.05))
    await shake(client)
    await client.send(make_frame(TEXT, b"waits") + b"\xff\x80")
    assert (await client.read_until_closed())[2:4] == (1002).to_bytes(2, "big")
    done.set()


async def test_an_error_ends_in_time_however_much_comes_behind_it(serve_ws: Any, connect: Connect) -> None:
    done = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        await done.wait()

    client = await connect(await serve_ws(talk, timeout=0.2))
    await shake(client)
    await client.send(make_frame(TEXT, b"waits") + b"\xff\x80")
    reading = asyncio.create_task(client.read_until_closed())
    async with asyncio.timeout(10):
        while not reading.done():
            await client.send(b"x")
            await asyncio.sleep(0.02)
    assert (await reading)[2:4] == (1002).to_bytes(2, "big")
    done.set()


async def test_a_close_frame_reaches_a_peer_that_still_sends(serve_ws: Any, connect: Connect) -> None:
    """Closing with unread bytes would reset the connection and could destroy it."""
    client = await connect(await serve_ws(echo, max_msg_size=1000))
    await shake(client)
    await client.send(make_frame(0x82, bytes(4_000_000)))
    assert (await client.read_until_closed())[2:4] == (1009).to_bytes(2, "big")


async def test_a_handler_that_fails_is_logged_and_the_connection_ends(
    serve_ws: Any, opened: Open, expect_error_log: list[Any]
) -> None:
    async def talk(ws: web.WebSocketResponse) -> None:
        raise LookupError("in the talk")

    ws = await opened(await serve_ws(talk))
    assert (await ws.receive(5)).type in (WSMsgType.CLOSED, WSMsgType.CLOSE)
    assert [record.exc_info[0] for record in expect_error_log] == [LookupError]


# Heartbeat.


async def test_a_silent_peer_is_pinged_and_one_that_answers_lives(serve_ws: Any, opened: Open) -> None:
    log = Log()
    ws = await opened(await serve_ws(log, heartbeat=0.02), autoping=False)
    for _ in range(4):
        message = await ws.receive(5)
        assert message.type is WSMsgType.PING
        await ws.pong(message.data)
    await ws.close()
    assert log.types == [WSMsgType.CLOSE]


async def test_a_dead_peer_is_found_and_dropped(serve_ws: Any, connect: Connect) -> None:
    log = Log()
    client = await connect(await serve_ws(log, heartbeat=0.03))
    await shake(client)
    assert await client.read_until_closed() == b"\x89\x00"
    await log.ended.wait()
    assert log.types == [WSMsgType.ERROR, WSMsgType.CLOSED]
    assert isinstance(log.ws.exception(), TimeoutError)
    assert log.ws.close_code == 1006


async def test_a_pong_that_a_busy_loop_has_not_read_yet_counts(serve_ws: Any) -> None:
    seen: list[Any] = []
    ended = asyncio.Event()

    async def talk(ws: web.WebSocketResponse) -> None:
        seen.extend([message.data async for message in ws])
        seen.append(ws.close_code)
        ended.set()

    class Peer(asyncio.Protocol):
        """Holds the loop up until the time for its pong is over, which is at the socket then."""

        def connection_made(self, transport: Any) -> None:
            self.descriptor = transport.get_extra_info("socket").fileno()
            transport.write(f"GET / HTTP/1.1\r\nHost: a\r\n{ask()}\r\n".encode())

        def data_received(self, data: bytes) -> None:
            if data == b"\x89\x00":
                time.sleep(0.06)
                os.write(self.descriptor, make_frame(PONG) + make_frame(TEXT, b"alive") + CLOSE_1000)

    served = await serve_ws(talk, heartbeat=0.1)
    transport, _ = await asyncio.get_running_loop().create_connection(Peer, served.host, served.port)
    await asyncio.wait_for(ended.wait(), 5)
    transport.abort()
    assert seen == ["alive", 1000]


async def test_who_speaks_is_not_pinged(serve_ws: Any, connect: Connect) -> None:
    client = await connect(await serve_ws(Log(), heartbeat=0.3))
    await shake(client)
    loop = asyncio.get_running_loop()
    longest = 0.0
    spoken = started = loop.time()
    while spoken < started + 0.6:
        await client.send(make_frame(TEXT, b"a")[:3])
        await asyncio.sleep(0.01)
        await client.send(make_frame(TEXT, b"a")[3:])
        longest, spoken = max(longest, loop.time() - spoken), loop.time()
    # A machine that was busy for so long has made a silence.
    assert longest > 0.2 or await client.read_until_quiet(0.01) == b""


async def test_a_handler_that_is_behind_does_not_make_its_peer_dead(serve_ws: Any, connect: Connect) -> None:
    go_on = asyncio.Event()
    seen: list[int] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        await go_on.wait()
        seen.extend([len(message.data) async for message in ws])

    client = await connect(await serve_ws(talk, heartbeat=0.05))
    await shake(client)
    await client.send(make_frame(0x82, bytes(300_000)) * 4)
    await asyncio.sleep(0.3)
    go_on.set()
    await client.send(CLOSE_1000)
    assert (await client.read_until_closed()).endswith(b"\x88\x02\x03\xe8")
    assert seen == [300_000] * 4


async def test_a_peer_that_has_closed_is_not_asked_whether_it_lives(serve_ws: Any, connect: Connect) -> None:
    go_on = asyncio.Event()
    seen: list[Any] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        await go_on.wait()
        seen.append(await ws.receive())
        seen.append(ws.close_code)

    client = await connect(await serve_ws(talk, heartbeat=0.05))
    await shake(client)
    await client.send(CLOSE_1000)
    await asyncio.sleep(0.2)
    go_on.set()
    assert await client.read_until_closed() == b"\x88\x02\x03\xe8"
    assert seen == [(WSMsgType.CLOSE, 1000, ""), 1000]


@pytest.mark.parametrize("heartbeat", [0, -1.0])
async def test_a_heartbeat_without_a_wait_is_refused(serve_ws: Any, opened: Open, heartbeat: float) -> None:
    with pytest.raises(ValueError, match=f"heartbeat is {heartbeat}, expected seconds, more than 0"):
        web.WebSocketResponse(heartbeat=heartbeat)
    served = await serve_ws(echo)
    with pytest.raises(ValueError, match=f"heartbeat is {heartbeat}, expected seconds, more than 0"):
        await opened(served, heartbeat=heartbeat)


async def test_a_heartbeat_has_one_timer_whatever_is_received(serve_ws: Any, opened: Open) -> None:
    ws = await opened(await serve_ws(echo, heartbeat=60), heartbeat=60)
    loop = asyncio.get_running_loop()
    made: list[Any] = []
    originals = {name: getattr(loop, name) for name in ("call_later", "call_at")}
    try:
        for name, original in originals.items():
            setattr(
                loop, name, lambda *args, original=original, **kwargs: made.append(args) or original(*args, **kwargs)
            )
    except AttributeError:  # uvloop's loop takes no attributes
        originals = {}
    for _ in range(100):
        await ws.send_str("a")
        await ws.receive()
    for name in originals:
        delattr(loop, name)
    assert made == []


# A server that stops.


async def test_a_server_that_stops_closes_by_1001_and_its_handlers_end(serve_ws: Any, opened: Open) -> None:
    logs = [Log(), Log(), Log()]
    waiting = iter(logs)

    async def talk(ws: web.WebSocketResponse) -> None:
        await next(waiting)(ws)

    served = await serve_ws(talk, shutdown_timeout=30)
    sockets = [await opened(served) for _ in logs]
    loop = asyncio.get_running_loop()
    started = loop.time()
    stopping = asyncio.create_task(served.stop())
    for ws in sockets:
        assert await ws.receive(5) == (WSMsgType.CLOSE, 1001, "the server is stopping")
    await stopping
    assert loop.time() - started < 10
    assert [log.types for log in logs] == [[WSMsgType.CLOSING]] * 3


async def test_a_stop_waits_for_what_handlers_do_behind_their_loops(serve: Serve, opened: Open) -> None:
    steps: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for _ in ws:
            pass
        await asyncio.sleep(0.1)
        steps.append("handler")
        return ws

    async def clean_up(app: web.Application) -> None:
        steps.append("clean-up")

    app = web.Application(handler=handle)
    app.on_cleanup.append(clean_up)
    served = await serve(app, shutdown_timeout=30)
    ws = await opened(served)
    stopping = asyncio.create_task(served.stop())
    assert (await ws.receive(5)).data == 1001
    await stopping
    assert steps == ["handler", "clean-up"]


async def test_a_handler_that_sends_ends_when_the_server_stops(serve: Serve, opened: Open) -> None:
    ended = asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        try:
            while True:
                await ws.send_str("tick")
                await asyncio.sleep(0.005)
        except ConnectionResetError:
            ended.set()
        return ws

    served = await serve(web.Application(handler=handle), shutdown_timeout=30)
    ws = await opened(served)
    assert (await ws.receive(5)).data == "tick"
    stopping = asyncio.create_task(served.stop())
    async for _ in ws:
        pass
    assert ws.close_code == 1001
    await asyncio.wait_for(ended.wait(), 5)
    await stopping


async def test_a_websocket_that_opens_while_the_server_stops_is_closed_by_1001(serve: Serve, opened: Open) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    seen: list[WSMsgType] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        seen.extend([message.type async for message in ws])
        return ws

    async def let_go(app: web.Application) -> None:
        go_on.set()

    app = web.Application(handler=handle)
    app.on_shutdown.append(let_go)
    served = await serve(app, shutdown_timeout=30)
    opening = asyncio.create_task(opened(served))
    await asked.wait()
    stopping = asyncio.create_task(served.stop())
    ws = await opening
    assert await ws.receive(5) == (WSMsgType.CLOSE, 1001, "the server is stopping")
    await stopping
    assert seen == []


async def test_the_end_of_a_peer_that_came_before_the_websocket_is_noticed(serve: Serve, connect: Connect) -> None:
    seen: list[Any] = []
    asked, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        seen.extend([message.data async for message in ws])
        seen.append(ws.close_code)
        ended.set()
        return ws

    served = await serve(web.Application(handler=handle))
    client = await connect(served)
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{ask()}\r\n".encode() + make_frame(TEXT, b"a"))
    await asked.wait()
    client.send_eof()
    await asyncio.sleep(0.1)
    go_on.set()
    await asyncio.wait_for(ended.wait(), 5)
    assert seen == ["a", 1006]


async def test_a_bare_handler_is_cancelled_when_its_server_stops(serve: Serve, opened: Open) -> None:
    outcome: list[str] = []

    async def handle(request: Any) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        try:
            await ws.receive()
        except asyncio.CancelledError:
            outcome.append("cancelled")
            raise
        return ws

    served = await serve(handle, shutdown_timeout=0.05)
    ws = await opened(served)
    stopping = asyncio.create_task(served.stop())
    assert await ws.receive(5) == (WSMsgType.CLOSE, 1001, "the server is stopping")
    await stopping
    assert outcome == ["cancelled"]


async def test_a_handler_that_raises_ends_its_websocket_by_1011(
    serve: Serve, opened: Open, expect_error_log: list[logging.LogRecord]
) -> None:
    others: list[tuple[web.WebSocketResponse, asyncio.Task[Any]]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        others.append((ws, asyncio.create_task(ws.receive())))
        await asyncio.sleep(0)
        raise ZeroDivisionError("on purpose")

    served = await serve(web.Application(handler=handle))
    ws = await opened(served)
    assert await ws.receive(5) == (WSMsgType.CLOSE, 1011, "the handler has failed")
    assert (await ws.receive(5)).type is WSMsgType.CLOSED
    (server_side, receiving), *_ = others
    assert (await asyncio.wait_for(receiving, 5)).type is WSMsgType.ERROR
    assert server_side.close_code == 1011
    assert "on purpose" in str(expect_error_log[0].exc_info)


async def test_a_handler_that_is_cancelled_while_the_server_goes_on_has_failed(
    serve: Serve, opened: Open, expect_error_log: list[logging.LogRecord]
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        other = asyncio.create_task(ws.receive())
        other.cancel()
        await other
        return ws

    ws = await opened(await serve(web.Application(handler=handle)))
    assert await ws.receive(5) == (WSMsgType.CLOSE, 1011, "the handler has failed")
    assert expect_error_log[0].exc_info[0] is asyncio.CancelledError


async def test_a_handler_that_raises_once_its_websocket_is_closed_changes_nothing_of_that(
    serve: Serve, opened: Open, expect_error_log: list[logging.LogRecord]
) -> None:
    closed: list[web.WebSocketResponse] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        closed.append(ws)
        await ws.prepare(request)
        await ws.receive()
        raise ZeroDivisionError("on purpose")

    served = await serve(web.Application(handler=handle))
    ws = await opened(served)
    assert await ws.close(code=3000)
    await asyncio.wait_for(served.stop(), 5)
    assert (ws.close_code, closed[0].close_code, closed[0].exception()) == (3000, 3000, None)
    assert "on purpose" in str(expect_error_log[0].exc_info)


async def test_a_peer_that_stays_after_a_handler_has_failed_is_cut_off(
    serve: Serve, connect: Connect, expect_error_log: list[logging.LogRecord]
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(timeout=1000)
        await ws.prepare(request)
        raise ZeroDivisionError

    served = await serve(web.Application(handler=handle), deadlines=Deadlines(linger_seconds=0.1), shutdown_timeout=30)
    client = await connect(served)
    await shake(client)
    await client.send(make_frame(TEXT, b"a"))
    assert await client.read_until_closed() == make_frame(CLOSE, b"\x03\xf3the handler has failed", mask=None)
    await asyncio.wait_for(served.stop(), 5)


async def test_over_tls_an_error_ends_the_connection_though_the_peer_waits(
    serve_ws: Any, connect: Connect, tls: Tls
) -> None:
    served = await serve_ws(echo, ssl_context=tls.server, max_msg_size=1000, timeout=1000)
    client = await connect(served, ssl=tls.client, server_hostname="localhost")
    await shake(client)
    await client.send(make_frame(0x82, bytes(5000)) + make_frame(CLOSE, b"\x03\xf1"))
    assert (await client.read_until_closed())[2:4] == (1009).to_bytes(2, "big")


async def test_over_tls_it_is_the_same(serve_ws: Any, connect: Connect, tls: Tls) -> None:
    served = await serve_ws(echo, ssl_context=tls.server, max_msg_size=1000)
    for frame, end in ((CLOSE_1000, b"\x03\xe8"), (make_frame(0x82, bytes(100_000)), b"\x03\xf1")):
        client = await connect(served, ssl=tls.client, server_hostname="localhost")
        await shake(client)
        await client.send(make_frame(TEXT, b"a"))
        assert await client.reader.readexactly(3) == make_frame(TEXT, b"a", mask=None)
        await client.send(frame)
        head = await client.reader.readexactly(4)
        assert (head[0], head[2:]) == (CLOSE, end)
        client.abort()
