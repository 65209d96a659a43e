"""Giving a connection to another protocol: upgrades and tunnels, by the public port."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from corelet.app import Application
from corelet.errors import MissingPluginError
from corelet.limits import Deadlines
from corelet.response import Response, StreamResponse
from tests.conftest import Connect, Serve

MIB = 2**20
UPGRADE = "Connection: Upgrade\r\nUpgrade: echo\r\n"


GET_INNER = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n"


class Recorder(asyncio.Protocol):
    """Notes what a connection tells it, and echoes."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.ended = asyncio.Event()
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.events.append(data)
        self.transport.write(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        self.ended.set()
        return True

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.ended.set()


class Upgrader:
    """A handler that gives its connection to a Recorder and waits for its end."""

    def __init__(self, status: int = 101, stays: bool = True) -> None:
        self.protocol = Recorder()
        self.status = status
        self.stays = stays
        self.outcome = "none"

    async def __call__(self, request: Any) -> StreamResponse:
        headers = {"Connection": "Upgrade", "Upgrade": "echo"} if self.status == 101 else {}
        response = StreamResponse(status=self.status, headers=headers)
        await response.prepare(request)
        request.take_over(self.protocol)
        self.outcome = "cancelled"
        if self.stays:
            await self.protocol.ended.wait()
        self.outcome = "ended"
        return response


async def test_a_protocol_takes_over_and_talks(serve: Serve, connect: Connect) -> None:
    handler = Upgrader()
    client = await connect(await serve(handler))
    answer = await client.get(fields=UPGRADE)
    assert (answer.status, answer.field("upgrade"), answer.field("connection")) == (101, "echo", "Upgrade")
    assert answer.field("content-length") is answer.field("transfer-encoding") is None
    await client.send("GET / HTTP/1.1\r\n\r\n")
    assert await client.reader.readexactly(18) == b"GET / HTTP/1.1\r\n\r\n"
    client.send_eof()
    assert await client.is_closed(5)
    await asyncio.sleep(0)
    assert handler.protocol.events == ["made", b"GET / HTTP/1.1\r\n\r\n", "eof", "lost"]
    assert handler.outcome == "ended"


async def test_bytes_behind_the_request_are_handed_over_in_order(serve: Serve, connect: Connect) -> None:
    handler = Upgrader()
    client = await connect(await serve(handler))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nfirst")
    assert (await client.read_answer()).status == 101
    assert await client.reader.readexactly(5) == b"first"
    await client.send("second")
    assert await client.reader.readexactly(6) == b"second"
    assert handler.protocol.events == ["made", b"first", b"second"]


async def test_bytes_that_come_while_the_handler_thinks_are_handed_over(serve: Serve, connect: Connect) -> None:
    protocol = Recorder()

    async def handler(request: Any) -> StreamResponse:
        await asyncio.sleep(0.1)
        response = StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "echo"})
        await response.prepare(request)
        request.take_over(protocol)
        await protocol.ended.wait()
        return response

    client = await connect(await serve(handler, read_bufsize=1024))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n")
    sent = b"".join(bytes([65 + number % 26]) * 1000 for number in range(100))
    for start in range(0, len(sent), 1000):
        await client.send(sent[start : start + 1000])
    assert (await client.read_answer()).status == 101
    # Reading had stopped meanwhile, and goes on.
    assert await client.reader.readexactly(len(sent)) == sent


async def test_an_upgrade_answers_after_the_requests_before_it(serve: Serve, connect: Connect) -> None:
    upgrader = Upgrader()

    async def handler(request: Any) -> StreamResponse:
        return await upgrader(request) if request.head.upgrade else Response(text=request.path)

    client = await connect(await serve(handler))
    await client.send(f"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nbytes")
    assert (await client.read_answer()).text == "/1"
    assert (await client.read_answer()).status == 101
    assert await client.reader.readexactly(5) == b"bytes"


async def test_an_upgrade_may_come_with_a_body(serve: Serve, connect: Connect) -> None:
    upgrader = Upgrader()
    bodies = []

    async def handler(request: Any) -> StreamResponse:
        bodies.append(await request.read())
        return await upgrader(request)

    client = await connect(await serve(handler))
    await client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n{UPGRADE}\r\nbo")
    await asyncio.sleep(0.02)
    await client.send("dybeyond")
    assert (await client.read_answer()).status == 101
    assert await client.reader.readexactly(6) == b"beyond"
    assert bodies == [b"body"]


async def test_a_body_has_to_be_read_before_the_upgrade(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    handler = Upgrader()
    client = await connect(await serve(handler))
    await client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n{UPGRADE}\r\nbo")
    await client.read_until_closed()
    assert expect_error_log[0].exc_info[0] is RuntimeError
    assert "before the end of the request's body" in str(expect_error_log[0].exc_info[1])
    assert handler.protocol.events == []


async def test_a_request_that_offers_no_upgrade_cant_be_taken_over(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    handler = Upgrader(status=200)
    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_until_closed()
    assert "<BaseRequest GET /> offers no upgrade" in str(expect_error_log[0].exc_info[1])
    assert handler.protocol.events == []


async def test_taking_over_before_the_answer_says_what_to_do(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        request.take_over(Recorder())
        return Response()

    client = await connect(await serve(handler))
    assert (await client.get(fields=UPGRADE)).status == 500
    assert "await response.prepare(request) first" in str(expect_error_log[0].exc_info[1])


async def test_taking_over_from_a_peer_that_has_gone_is_a_reset(serve: Serve, connect: Connect) -> None:
    raised: list[BaseException] = []
    protocol = Recorder()
    tried = asyncio.Event()

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "echo"})
        await response.prepare(request)
        await request.wait_for_disconnection()
        await asyncio.sleep(0.02)
        try:
            request.take_over(protocol)
        except ConnectionResetError as exc:
            raised.append(exc)
        tried.set()
        return response

    client = await connect(await serve(handler))
    assert (await client.get(fields=UPGRADE)).status == 101
    client.abort()
    await asyncio.wait_for(tried.wait(), 5)
    assert len(raised) == 1
    assert protocol.events == []


async def test_a_protocol_is_told_when_to_pause_and_to_go_on_writing(serve: Serve, connect: Connect) -> None:
    handler = Upgrader()
    client = await connect(await serve(handler), limit=65536)
    assert (await client.get(fields=UPGRADE)).status == 101
    handler.protocol.transport.write(b"x" * 32 * MIB)
    assert handler.protocol.events == ["made", "pause"]
    for _ in range(32):
        await client.reader.readexactly(MIB)
    await asyncio.sleep(0.05)
    assert handler.protocol.events == ["made", "pause", "resume"]


async def test_a_protocol_learns_that_writing_is_paused_already(serve: Serve, connect: Connect) -> None:
    upgrader = Upgrader()

    async def handler(request: Any) -> StreamResponse:
        request.transport.write(b"x" * 32 * MIB)
        return await upgrader(request)

    client = await connect(await serve(handler), limit=65536)
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n")
    for _ in range(32):
        await client.reader.readexactly(MIB)
    await asyncio.sleep(0.05)
    assert upgrader.protocol.events == ["made", "pause", "resume"]


async def test_a_protocol_learns_of_a_half_close_that_came_before_it(serve: Serve, connect: Connect) -> None:
    upgrader = Upgrader()

    async def handler(request: Any) -> StreamResponse:
        await request.wait_for_disconnection()
        return await upgrader(request)

    client = await connect(await serve(handler))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nlast words")
    client.send_eof()
    assert (await client.read_answer()).status == 101
    assert await client.read_until_closed() == b"last words"
    assert upgrader.protocol.events == ["made", b"last words", "eof", "lost"]


async def test_an_end_that_came_before_closes_unless_the_protocol_wants_to_go_on(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrader = Upgrader()
    monkeypatch.setattr(upgrader.protocol, "eof_received", lambda: None)

    async def handler(request: Any) -> StreamResponse:
        await request.wait_for_disconnection()
        return await upgrader(request)

    client = await connect(await serve(handler))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nlast words")
    client.send_eof()
    assert (await client.read_answer()).status == 101
    assert await client.read_until_closed() == b"last words"
    assert upgrader.protocol.events == ["made", b"last words", "lost"]


async def test_a_protocol_learns_of_a_lost_connection(serve: Serve, connect: Connect) -> None:
    handler = Upgrader()
    client = await connect(await serve(handler))
    assert (await client.get(fields=UPGRADE)).status == 101
    client.abort()
    await asyncio.wait_for(handler.protocol.ended.wait(), 5)
    assert handler.protocol.events == ["made", "lost"]


async def test_who_waits_for_disconnection_wakes_after_an_upgrade_too(serve: Serve, connect: Connect) -> None:
    woken = asyncio.Event()
    protocol = Recorder()

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "echo"})
        await response.prepare(request)
        request.take_over(protocol)
        await request.wait_for_disconnection()
        woken.set()
        return response

    client = await connect(await serve(handler))
    assert (await client.get(fields=UPGRADE)).status == 101
    client.send_eof()
    await asyncio.wait_for(woken.wait(), 5)


async def test_the_connection_closes_when_the_handler_returns(serve: Serve, connect: Connect) -> None:
    handler = Upgrader(stays=False)
    client = await connect(await serve(handler))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\nlast words")
    assert (await client.read_answer()).status == 101
    assert await client.read_until_closed() == b"last words"
    assert handler.protocol.events == ["made", b"last words", "lost"]


async def test_the_connection_closes_when_the_handler_fails(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    upgrader = Upgrader(stays=False)

    async def handler(request: Any) -> StreamResponse:
        await upgrader(request)
        raise LookupError("in the talk")

    client = await connect(await serve(handler))
    assert (await client.get(fields=UPGRADE)).status == 101
    assert await client.read_until_closed() == b""
    assert [record.exc_info[0] for record in expect_error_log] == [LookupError]
    assert upgrader.protocol.events == ["made", "lost"]


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.3"])
async def test_an_upgrade_that_nobody_takes_keeps_the_connection(serve: Serve, connect: Connect, protocol: str) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(0.01 if request.path == "/waits" else 0)
        return Response(text=request.path + await request.text())

    client = await connect(await serve(handler))
    offer = f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\n"
    for path in ("/at-once", "/waits"):
        assert (await client.get(path, fields=offer)).text == path
    await client.send(
        f"GET /1 HTTP/1.1\r\nHost: a\r\n{offer}\r\nPOST /2 HTTP/1.1\r\nHost: a\r\n{offer}Content-Length: 4\r\n\r\nbody"
        "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert [answer.text for answer in await client.read_answers(3)] == ["/1", "/2body", "/3"]


async def test_curl_that_offers_h2c_is_answered(serve: Serve) -> None:
    async def handler(request: Any) -> Response:
        return Response(text=request.headers.get("Upgrade", "none"))

    served = await serve(handler)
    process = await asyncio.create_subprocess_exec(
        "curl", "-s", "--http2", str(served.url), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    process._transport.close()  # else 3.11 closes it after the loop
    assert out == b"h2c"


async def test_a_tunnel_is_opened_by_connect(serve: Serve, connect: Connect) -> None:
    handler = Upgrader(status=200)
    client = await connect(await serve(handler))
    await client.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\nhello")
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"Content-Length" not in head
    assert b"Transfer-Encoding" not in head
    assert await client.reader.readexactly(5) == b"hello"
    client.send_eof()
    assert await client.is_closed(5)


async def test_a_tunnel_that_is_refused_keeps_the_connection(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(status=403 if request.method == "CONNECT" else 200, text="text")

    client = await connect(await serve(handler))
    await client.send("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n")
    assert (await client.read_answer()).status == 403
    assert (await client.get()).status == 200


@pytest.mark.parametrize("kind", ["tunnel", "upgrade"])
async def test_an_answer_that_switches_where_nobody_takes_over_ends_the_connection(
    serve: Serve, connect: Connect, kind: str
) -> None:
    """What the peer sends then is no HTTP: it must never be taken for a request."""
    seen: list[str] = []

    async def handler(request: Any) -> Response:
        seen.append(request.path)
        return Response(status=200 if kind == "tunnel" else 101)

    client = await connect(await serve(handler))
    method, fields = ("CONNECT", "") if kind == "tunnel" else ("GET", UPGRADE)
    target = "a:443" if kind == "tunnel" else "/"
    await client.send(f"{method} {target} HTTP/1.1\r\nHost: a:443\r\n{fields}\r\n" + GET_INNER)
    data = await client.read_until_closed()
    assert data.count(b"HTTP/1.1 ") == 1
    assert "/inner" not in seen


async def test_a_stop_ends_upgraded_connections_in_time(serve: Serve, connect: Connect) -> None:
    handler = Upgrader()
    served = await serve(handler, shutdown_timeout=0.3)
    client = await connect(served)
    assert (await client.get(fields=UPGRADE)).status == 101
    loop = asyncio.get_running_loop()
    started = loop.time()
    await served.stop()
    assert loop.time() - started < 3
    assert await client.read_until_closed() == b""
    assert handler.outcome == "cancelled"
    assert handler.protocol.events == ["made", "lost"]


async def test_an_application_ends_its_upgraded_connections_when_told_to_stop(serve: Serve, connect: Connect) -> None:
    handler = Upgrader()
    app = Application(handler=handler, plugins=[])

    async def say_goodbye(app: Application) -> None:
        handler.protocol.transport.write(b"bye")
        handler.protocol.ended.set()

    app.on_shutdown.append(say_goodbye)
    served = await serve(app, shutdown_timeout=30)
    client = await connect(served)
    assert (await client.get(fields=UPGRADE)).status == 101
    loop = asyncio.get_running_loop()
    started = loop.time()
    stopping = asyncio.create_task(served.stop())
    assert await client.read_until_closed() == b"bye"
    await stopping
    assert loop.time() - started < 3
    assert handler.outcome == "ended"


async def test_a_port_that_no_plugin_fills_says_what_to_install(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        with pytest.raises(MissingPluginError, match="pip install corelet-multipart"):
            await request.multipart()
        return Response(text="said")

    client = await connect(await serve(handler))
    assert (await client.get(fields="Content-Type: multipart/mixed; boundary=a\r\n")).text == "said"


async def test_the_protocol_has_the_last_word_where_the_handler_fails(
    serve: Serve, connect: Connect, expect_error_log: list[logging.LogRecord]
) -> None:
    protocol = Recorder()

    def say_so(error: BaseException) -> None:
        protocol.transport.write(str(error).encode())

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse(status=101, headers={"Connection": "Upgrade", "Upgrade": "echo"})
        await response.prepare(request)
        request.take_over(protocol, on_failure=say_so)
        raise ZeroDivisionError("on purpose")

    client = await connect(await serve(handler, deadlines=Deadlines(linger_seconds=0.5)))
    assert (await client.get(fields=UPGRADE)).status == 101
    assert await client.reader.readexactly(10) == b"on purpose"
    await client.send("still here")
    assert await client.read_until_closed() == b"still here"
    assert protocol.events == ["made", b"still here", "lost"]
