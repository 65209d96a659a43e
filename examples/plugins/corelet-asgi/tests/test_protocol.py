"""Applications that know ASGI alone: what the specification allows, and what it doesn't."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import Any

import pytest

from corelet import WSServerHandshakeError, web
from corelet_asgi import AsgiLifespanError, mount_asgi

START = {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1"), (b"x-a", b"2")]}
END = {"type": "http.response.body", "body": b"end"}
PART = {"type": "http.response.body", "body": b"part", "more_body": True}
HANDSHAKE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OTAxMjM0NQ==\r\n"
)


def make_app(asgi: Any, **options: Any) -> web.Application:
    app = web.Application()
    mount_asgi(app, "/a", asgi, lifespan="off", **options)
    return app


async def ask(client: Any, path: str = "/a", request: str = "", method: str = "GET") -> bytes:
    """Send a request with a raw target; the whole answer."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n{request}\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_scope_is_by_the_specification(client_for: Any) -> None:
    scopes = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        await send(START)
        await send(END)
        assert await receive() == await receive() == {"type": "http.disconnect"}

    client = await client_for(make_app(asgi))
    await ask(client, "/a/b%2Fc%C3%A4?d=%20e", "X-Field: 1\r\nx-field: 2\r\n")
    (scope,) = scopes
    host, port = scope.pop("client")
    assert (host, port > 0) == ("127.0.0.1", True)
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/a/b/cä",
        "raw_path": b"/a/b%2Fc%C3%A4",
        "query_string": b"d=%20e",
        "root_path": "/a",
        "headers": [(b"host", b"example.org"), (b"connection", b"close"), (b"x-field", b"1"), (b"x-field", b"2")],
        "server": ("127.0.0.1", client.port),
        "state": {},
        "extensions": {},
    }
    await ask(client, "http://example.org/a/x?y")
    assert (scopes[1]["path"], scopes[1]["raw_path"], scopes[1]["query_string"]) == ("/a/x", b"/a/x", b"y")


@pytest.mark.parametrize(
    ("messages", "fields", "body"),
    [
        ([START, END], ["X-A: 1", "X-A: 2", "Content-Length: 3"], b"end"),
        ([START, PART, END], ["Transfer-Encoding: chunked"], b"4\r\npart\r\n3\r\nend\r\n0\r\n\r\n"),
        ([START, PART, {"type": "http.response.body"}], [], b"4\r\npart\r\n0\r\n\r\n"),
        ([{"type": "http.response.start", "status": 204}, END], [], b""),
        (
            [{**START, "headers": [(b"content-length", b"7"), (b"transfer-encoding", b"chunked")]}, PART, END],
            ["Content-Length: 7"],
            b"partend",
        ),
    ],
)
async def test_an_answer_is_framed(client_for: Any, messages: Any, fields: list[str], body: bytes) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    head, _, rest = (await ask(await client_for(make_app(asgi)))).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert [line for line in lines if line.lower() in [field.lower() for field in fields]] != [] or not fields
    assert len([line for line in lines if line.lower() in [field.lower() for field in fields]]) == len(fields)
    assert not [line for line in lines if line.startswith("Content-Type")]
    assert rest == body


async def test_an_answer_to_head_has_no_body(client_for: Any) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "headers": [(b"content-length", b"7")]})
        await send(PART)
        await send(END)

    head, _, rest = (await ask(await client_for(make_app(asgi)), method="HEAD")).partition(b"\r\n\r\n")
    assert b"Content-Length: 7" in head
    assert rest == b""


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        ([], "has returned before the end of its answer"),
        ([START], "has returned before the end of its answer"),
        ([END], "sent 'http.response.body', expected 'http.response.start'"),
        ([START, START], "sent 'http.response.start', expected 'http.response.body'"),
        ([{**START, "headers": [(b"x", b"a\r\nb")]}, END], "value of field 'x' has a control character"),
    ],
)
async def test_an_application_that_breaks_the_rules_is_told(
    client_for: Any, caplog: pytest.LogCaptureFixture, messages: Any, error: str
) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    answer = await ask(await client_for(make_app(asgi)))
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert error in caplog.text


async def test_an_answer_that_is_cut_off_is_seen_to_be(client_for: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(PART)
        await asyncio.sleep(0.01)

    answer = await ask(await client_for(make_app(asgi)))
    assert answer.endswith(b"4\r\npart\r\n")
    assert "before the end of its answer" in caplog.text


async def test_a_body_that_breaks_off_is_a_disconnect(client_for: Any) -> None:
    received = []
    begun, done = asyncio.Event(), asyncio.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        while not received or received[-1]["type"] != "http.disconnect":
            received.append(await receive())
            begun.set()
        await send(START)
        with pytest.raises(OSError, match="gone"):
            await send(END)
        done.set()
        raise OSError("the peer has gone")

    client = await client_for(make_app(asgi))
    _, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    await asyncio.wait_for(begun.wait(), 10)
    # A reset: the peer is not there for an answer any more.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    await asyncio.wait_for(done.wait(), 10)
    assert [message.get("body") for message in received] == [b"abc", None]


@pytest.mark.parametrize("answers", [True, False])
async def test_a_body_that_is_malformed_is_a_disconnect(
    client_for: Any, caplog: pytest.LogCaptureFixture, answers: bool
) -> None:
    begun = asyncio.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        assert await receive() == await receive() == {"type": "http.disconnect"}
        if answers:
            await send(START)
            await send(END)

    client = await client_for(make_app(asgi))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await asyncio.wait_for(begun.wait(), 10)
    writer.write(b"nonsense\r\n")
    answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 200 " if answers else b"HTTP/1.1 400 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert caplog.text == ""
    writer.close()
    await writer.wait_closed()


async def test_a_handler_that_is_cancelled_takes_the_application_with_it(server_for: Any) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    server = await server_for(make_app(asgi), handler_cancellation=True)
    _, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.wait_for(begun.wait(), 10)
    writer.close()
    await writer.wait_closed()
    await asyncio.wait_for(ended.wait(), 10)


@pytest.mark.parametrize("part", ["", "ab", "abcd"])
async def test_after_its_answer_it_receives_nothing_but_the_end(client_for: Any, part: str) -> None:
    received = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(END)
        received.append(await receive())

    await ask(await client_for(make_app(asgi)), "/a", f"Content-Length: 4\r\n\r\n{part}", "POST")
    assert received == [{"type": "http.disconnect"}]


@pytest.mark.parametrize(("messages", "fields"), [([], ""), ([START, PART], ""), ([], HANDSHAKE)])
async def test_an_application_may_give_up_when_its_peer_has_gone(
    client_for: Any, caplog: pytest.LogCaptureFixture, messages: Any, fields: str
) -> None:
    begun, given_up = asyncio.Event(), asyncio.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        await receive()
        begun.set()
        assert (await receive())["type"].endswith(".disconnect")
        given_up.set()

    client = await client_for(make_app(asgi))
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
    await asyncio.wait_for(begun.wait(), 10)
    writer.write_eof()
    await asyncio.wait_for(given_up.wait(), 10)
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    assert (bool(head), body) == (bool(messages), b"4\r\npart\r\n" if messages else b"")
    writer.close()
    await writer.wait_closed()
    assert caplog.text == ""


async def test_who_returns_while_it_listens_has_not_been_told_of_anything(
    client_for: Any, caplog: pytest.LogCaptureFixture
) -> None:
    listening = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        listening.append(asyncio.create_task(receive()))
        await asyncio.sleep(0)

    assert (await ask(await client_for(make_app(asgi)))).startswith(b"HTTP/1.1 500 ")
    assert "has returned before the end of its answer" in caplog.text
    assert await listening[0] == {"type": "http.disconnect"}


async def test_a_refused_handshake_is_over_for_the_application(client_for: Any) -> None:
    received = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        looking = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await send({"type": "websocket.close"})
        received.extend([await looking, await receive()])
        with pytest.raises(RuntimeError, match="expected nothing: the handshake is refused"):
            await send({**START, "type": "websocket.http.response.start"})

    with pytest.raises(WSServerHandshakeError) as refused:
        await asyncio.wait_for((await client_for(make_app(asgi))).ws_connect("/a"), 10)
    assert refused.value.status == 403
    assert received == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}] * 2


@pytest.mark.parametrize(
    ("messages", "status", "error"),
    [
        ([], 500, "without an answer to the WebSocket's handshake"),
        ([{"type": "websocket.send", "text": "x"}], 500, "expected 'websocket.accept' or 'websocket.close'"),
        ([{"type": "websocket.accept", "subprotocol": "x"}], 500, "subprotocol is 'x', the peer offers: none"),
        (
            [{"type": "websocket.close"}, {"type": "websocket.accept"}],
            500,
            "expected nothing: the handshake is refused",
        ),
    ],
)
async def test_a_handshake_is_answered_by_the_rules(
    client_for: Any, caplog: pytest.LogCaptureFixture, messages: Any, status: int, error: str
) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        assert scope["scheme"] == "ws"
        assert await receive() == {"type": "websocket.connect"}
        for message in messages:
            await send(message)

    client = await client_for(make_app(asgi))
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.ws_connect("/a")
    assert refused.value.status == status
    assert error in caplog.text


# The lifespan.


async def live_not(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"


async def end_at_once(scope: Any, receive: Any, send: Any) -> None:
    return


async def hang(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


async def answer_wrongly(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "lifespan.shutdown.complete"})
    await receive()


async def fail_politely(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "lifespan.startup.failed", "message": "no database"})


@pytest.mark.parametrize(
    ("asgi", "options", "error"),
    [
        (live_not, {"lifespan": "on"}, "has no lifespan: it ended without an answer"),
        (end_at_once, {"lifespan": "on"}, "has no lifespan"),
        (hang, {"startup_seconds": 0.01}, r"has not answered lifespan\.startup in 0\.01 s"),
        (answer_wrongly, {}, "sent 'lifespan.shutdown.complete', expected 'lifespan.startup.complete'"),
        (fail_politely, {}, "has failed to start: no database"),
    ],
)
async def test_a_start_that_fails_stops_the_servers(asgi: Any, options: Any, error: str) -> None:
    app = web.Application()
    mount_asgi(app, "/a", asgi, **options)
    with pytest.raises(RuntimeError, match=error):
        await app.startup()


@pytest.mark.parametrize("asgi", [live_not, end_at_once])
async def test_an_application_need_not_have_a_lifespan(asgi: Any) -> None:
    app = web.Application()
    mount_asgi(app, "/a", asgi)
    await app.startup()
    assert "/a -> <function" in str([lines for _, lines in app.plugins.report(app)])
    await app.cleanup()


@pytest.mark.parametrize("way", ["hangs", "lingers", "crashes"])
async def test_an_end_that_fails_is_told(way: str) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        if way == "crashes":
            raise LookupError("in mid-life")
        await receive()
        if way == "lingers":
            await send({"type": "lifespan.shutdown.complete"})
        await asyncio.Event().wait()

    app = web.Application()
    mount_asgi(app, "/a", asgi, shutdown_seconds=0.01)
    await app.startup()
    await asyncio.sleep(0)
    expected = {
        "hangs": (AsgiLifespanError, "has not answered lifespan.shutdown"),
        "lingers": (AsgiLifespanError, "has not ended 0.01 s after its shutdown"),
        "crashes": (LookupError, "in mid-life"),
    }
    error, message = expected[way]
    with pytest.raises(error, match=re.escape(message)):
        await app.cleanup()


def test_a_mount_that_makes_no_sense_is_refused() -> None:
    app = web.Application()
    with pytest.raises(TypeError, match=r"expected async \(scope, receive, send\)"):
        mount_asgi(app, "/a", None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lifespan is 'always'"):
        mount_asgi(app, "/a", hang, lifespan="always")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="is no prefix"):
        mount_asgi(app, "/{a}", hang)
    with pytest.raises(RuntimeError, match="without the plugin corelet-asgi"):
        mount_asgi(web.Application(plugins=["routing"]), "/a", hang)
    with pytest.raises(RuntimeError, match="has no router"):
        mount_asgi(web.Application(handler=live_not), "/a", hang)  # type: ignore[arg-type]
