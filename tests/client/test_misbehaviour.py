"""A server misbehaves on its first connection: the request ends as it should, and the next one succeeds."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

import corelet
from corelet import (
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ClientTimeout,
    ConnectionTimeoutError,
    NonHttpUrlRedirectClientError,
    ServerDisconnectedError,
    ServerTimeoutError,
    SocketTimeoutError,
    TooManyRedirects,
)
from tests.client.conftest import Peer, Script, assert_at_rest, has_plugin, serve_ok

OK = b"HTTP/1.1 200 OK\r\n"
FIVE = OK + b"Content-Length: 5\r\n\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n"
PACKED = gzip.compress(b"hello" * 1000)
#: More than all buffers of the two sockets hold.
LARGE = b"x" * 20_000_000
NO_SETTINGS = b"\0\0\0\4\0\0\0\0\0"

# How a connection ends.


async def close(peer: Peer) -> None:
    """Close in order."""


async def reset(peer: Peer) -> None:
    """Close by a reset."""
    sock = peer.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.writer.transport.abort()


async def half_close(peer: Peer) -> None:
    """Say no more, and listen."""
    peer.writer.write_eof()
    await peer.wait_closed()


async def stay(peer: Peer) -> None:
    """Say no more, without saying so."""
    await peer.wait_closed()


async def sleep(peer: Peer) -> None:
    """Neither read nor write any more."""
    await asyncio.Event().wait()


def say(*pieces: bytes, then: Script = close, reads: bool = True) -> Script:
    """Make a script that reads a request's head, sends pieces, and goes on as ``then``."""

    async def script(peer: Peer) -> None:
        if reads:
            await peer.reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            await peer.send(piece)
        await then(peer)

    return script


def trickle(data: bytes) -> Script:
    """Make a script that sends a byte each hundredth of a second."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        for byte in data:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.01)
        await serve_ok(peer)

    return script


def repeat(start: bytes, piece: bytes) -> Script:
    """Make a script that never comes to an end by itself."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(start)
        while True:
            await peer.send(piece * 100)
            await asyncio.sleep(0)

    return script


async def answer_and_close_later(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"hello")
    await asyncio.sleep(0.02)


async def answer_once_more_while_idle(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"hello")
    await asyncio.sleep(0.02)
    await peer.answer(b"other", status="408 Request Timeout")
    await stay(peer)


async def answer_and_end_at_the_next_request(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"hello")
    await peer.read_request()


async def answer_and_reset_the_next_request(peer: Peer) -> None:
    await answer_and_end_at_the_next_request(peer)
    await reset(peer)


async def redirect_for_ever(peer: Peer) -> None:
    for _ in range(11):
        await peer.read_request()
        await peer.answer(status="302 Found", fields="Location: /\r\n")


async def upload() -> AsyncIterator[bytes]:
    """Give a body that waits for ever after its first part."""
    yield b"begun"
    await asyncio.Event().wait()


@dataclass
class Case:
    """What the server does, and what comes of it."""

    script: Script
    outcome: bytes | type[Exception] | tuple[type[Exception], ...]
    method: str = "GET"
    timeout: ClientTimeout = field(default_factory=lambda: ClientTimeout(total=5))
    #: Makes the body.
    data: Callable[[], Any] | None = None
    #: Of the first request's URL, where it is another one than the server's.
    scheme: str | None = None
    over_tls: bool = False


QUICK = ClientTimeout(total=0.15)
IMPATIENT = ClientTimeout(total=5, sock_read=0.1)
LOST = (ServerDisconnectedError, ClientOSError)

CASES = {
    # Before there is a head.
    "closes at once": Case(say(reads=False), LOST),
    "resets at once": Case(say(reads=False, then=reset), LOST),
    "closes without an answer": Case(say(), ServerDisconnectedError),
    "resets without an answer": Case(say(then=reset), ClientOSError),
    "half-closes without an answer": Case(say(then=half_close), ServerDisconnectedError),
    "closes within the status line": Case(say(b"HTTP/1.1 20"), ServerDisconnectedError),
    "closes within a field": Case(say(OK + b"Content-Le"), ServerDisconnectedError),
    "closes before the blank line": Case(say(OK + b"Content-Length: 5\r\n"), ServerDisconnectedError),
    "half-closes within the head": Case(say(OK, then=half_close), ServerDisconnectedError),
    "resets within the head": Case(say(OK, then=reset), ClientOSError),
    "closes after an interim answer": Case(say(b"HTTP/1.1 103 Early Hints\r\n\r\n"), ServerDisconnectedError),
    # Within the body.
    "closes behind the head": Case(say(FIVE), ClientPayloadError),
    "closes within the body": Case(say(FIVE + b"hel"), ClientPayloadError),
    "half-closes within the body": Case(say(FIVE + b"hel", then=half_close), ClientPayloadError),
    "resets within the body": Case(say(FIVE, b"hel", then=reset), (ClientPayloadError, ClientOSError)),
    "closes within a chunk's size": Case(say(CHUNKED + b"5"), ClientPayloadError),
    "closes within a chunk": Case(say(CHUNKED + b"5\r\nhel"), ClientPayloadError),
    "closes behind a chunk": Case(say(CHUNKED + b"5\r\nhello\r\n"), ClientPayloadError),
    "closes within the last chunk": Case(say(CHUNKED + b"5\r\nhello\r\n0\r\n"), ClientPayloadError),
    "closes within the trailers": Case(say(CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n"), ClientPayloadError),
    "ends the body by closing": Case(say(OK + b"\r\n", b"hello"), b"hello"),
    "ends the body by half-closing": Case(say(OK + b"\r\n", b"hello", then=half_close), b"hello"),
    "ends the body by a reset": Case(say(OK + b"\r\n", b"hel", then=reset), (ClientPayloadError, ClientOSError)),
    "half-closes behind the answer": Case(say(FIVE + b"hello", then=half_close), b"hello"),
    "closes behind the answer": Case(say(FIVE + b"hello"), b"hello"),
    # Time.
    "never answers, under sock_read": Case(say(then=stay), SocketTimeoutError, timeout=IMPATIENT),
    "stops within the head": Case(say(OK, then=stay), SocketTimeoutError, timeout=IMPATIENT),
    "stops within the body": Case(say(FIVE, b"hel", then=stay), SocketTimeoutError, timeout=IMPATIENT),
    "stops within the chunks": Case(say(CHUNKED, b"5\r\n", then=stay), SocketTimeoutError, timeout=IMPATIENT),
    "never answers, under total": Case(say(then=stay), ServerTimeoutError, timeout=QUICK),
    "trickles the head": Case(trickle(FIVE), ServerTimeoutError, timeout=QUICK),
    "trickles the body": Case(trickle(FIVE + b"hello"), b"hello", timeout=ClientTimeout(total=5, sock_read=1)),
    "trickles without end": Case(repeat(CHUNKED, b"1\r\nx\r\n"), ServerTimeoutError, timeout=QUICK),
    # Uploads.
    "never reads the body": Case(sleep, ServerTimeoutError, "POST", QUICK, lambda: LARGE),
    "refuses while the body is sent": Case(
        say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello", then=sleep),
        b"hello",
        "POST",
        data=lambda: LARGE,
    ),
    "answers before the body is there": Case(
        say(FIVE + b"hello", then=sleep), b"hello", "POST", ClientTimeout(total=0.5), upload
    ),
    "closes while the body is sent": Case(say(), LOST, "POST", data=lambda: LARGE),
    "resets while the body is sent": Case(say(then=reset), LOST, "POST", data=upload),
    # What is no answer.
    "sends garbage": Case(say(b"\x9f\x00\xff" * 50), ClientResponseError),
    "speaks HTTP/0.9": Case(say(b"<html>hello</html>"), ClientResponseError),
    "speaks HTTP/2": Case(say(NO_SETTINGS, then=stay), ClientResponseError),
    "says that it speaks HTTP/2": Case(say(b"HTTP/2.0 200 OK\r\n\r\n"), ClientResponseError),
    "speaks SSH": Case(say(b"SSH-2.0-OpenSSH_9.2\r\n", then=stay), ClientResponseError),
    "says it with status 99": Case(say(b"HTTP/1.1 099 Low\r\n\r\n"), ClientResponseError),
    "upgrades unasked": Case(
        say(b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", then=stay), ClientResponseError
    ),
    # Wrong framing.
    "frames by length and chunks": Case(
        say(OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), ClientResponseError
    ),
    "frames by two lengths": Case(
        say(OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), ClientResponseError
    ),
    "frames by less than nothing": Case(say(OK + b"Content-Length: -5\r\n\r\n"), ClientResponseError),
    "says no number for a chunk's size": Case(say(CHUNKED + b"five\r\nhello\r\n", then=stay), ClientPayloadError),
    "sends more than a chunk's size": Case(say(CHUNKED + b"4\r\nhello\r\n", then=stay), ClientPayloadError),
    "sends more than the length": Case(say(FIVE + b"hello and more", then=stay), b"hello"),
    "answers twice": Case(say(FIVE + b"hello" + FIVE + b"other", then=stay), b"hello"),
    "sends a body with 204": Case(say(b"HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\nhello", then=stay), b""),
    "sends a body to HEAD": Case(say(FIVE + b"hello", then=stay), b"", "HEAD"),
    "says 100 twice": Case(say(b"HTTP/1.1 100 Go\r\n\r\n" * 2 + FIVE + b"hello", then=serve_ok), b"hello"),
    # Without an end.
    "sends interim answers without end": Case(repeat(b"", b"HTTP/1.1 102 Wait\r\n\r\n"), ClientResponseError),
    "sends a status line without end": Case(repeat(b"HTTP/1.1 200 ", b"x" * 100), ClientResponseError),
    "sends a field without end": Case(repeat(OK + b"A: ", b"x" * 100), ClientResponseError),
    "sends fields without end": Case(repeat(OK, b"A: b\r\n"), ClientResponseError),
    "sends a chunk's size without end": Case(repeat(CHUNKED, b"0" * 100), ClientPayloadError),
    "sends a chunk's extension without end": Case(repeat(CHUNKED + b"5;", b"x" * 100), ClientPayloadError),
    "sends trailers without end": Case(repeat(CHUNKED + b"0\r\n", b"A: b\r\n"), ClientPayloadError),
    # Redirects.
    "redirects for ever": Case(redirect_for_ever, TooManyRedirects),
    "redirects to a file": Case(
        say(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
        NonHttpUrlRedirectClientError,
    ),
    # The next request meets it.
    "closes while it is idle": Case(answer_and_close_later, b"hello"),
    "speaks while it is idle": Case(answer_once_more_while_idle, b"hello"),
    "closes at the next request": Case(answer_and_end_at_the_next_request, b"hello"),
    "resets at the next request": Case(answer_and_reset_the_next_request, b"hello"),
    # TLS.
    "speaks no TLS": Case(say(b"HTTP/1.1 400 Bad\r\n\r\n", reads=False), ClientConnectorSSLError, scheme="https"),
    "closes instead of TLS": Case(say(reads=False), ClientConnectorError, scheme="https"),
    "never begins TLS": Case(
        stay, ConnectionTimeoutError, timeout=ClientTimeout(total=5, sock_connect=0.1), scheme="https"
    ),
    "ends TLS without farewell": Case(say(FIVE + b"hello", then=reset), b"hello", over_tls=True),
    "ends TLS without farewell within the body": Case(
        say(FIVE, b"hel", then=reset), (ClientPayloadError, ClientOSError), over_tls=True
    ),
}

if has_plugin("compression"):
    LENGTH = b"Content-Length: %d\r\n\r\n" % len(PACKED)
    CASES |= {
        "sends a bomb": Case(say(GZIP + LENGTH + PACKED, then=serve_ok), ClientPayloadError),
        "cuts gzip": Case(say(GZIP + b"\r\n" + PACKED[:-9]), ClientPayloadError),
        "breaks gzip": Case(say(GZIP + b"Content-Length: 5\r\n\r\nhello", then=serve_ok), ClientPayloadError),
        "codes three times": Case(
            say(OK + b"Content-Encoding: gzip, gzip, gzip\r\n" + LENGTH + PACKED, then=serve_ok), ClientPayloadError
        ),
    }


@pytest.mark.parametrize("name", CASES)
async def test_a_request_ends_as_it_should_and_the_next_one_succeeds(raw, tls, name: str) -> None:
    case = CASES[name]

    async def script(peer: Peer) -> None:
        await (case.script if peer.server.connections == 1 else serve_ok)(peer)

    server = await raw(script, **({"ssl": tls.server} if case.over_tls else {}))
    connector = corelet.TCPConnector(ssl=tls.client)
    async with corelet.ClientSession(connector=connector, max_decoded_size=1000) as session:
        outcome = await asyncio.wait_for(ask(session, case, server.url), 5)
        expected = case.outcome
        if isinstance(expected, bytes):
            assert outcome == expected
        else:
            assert type(outcome) in (expected if isinstance(expected, tuple) else {expected}), repr(outcome)
        assert_at_rest(session)
        await asyncio.sleep(0.05 if "idle" in name else 0)
        async with session.get(server.url, timeout=ClientTimeout(total=5)) as response:
            assert await response.read() == b"ok"
        assert_at_rest(session)


async def ask(session: corelet.ClientSession, case: Case, url: Any) -> bytes | Exception:
    url = url if case.scheme is None else url.with_scheme(case.scheme)
    data = None if case.data is None else case.data()
    try:
        async with session.request(case.method, url, data=data, timeout=case.timeout) as response:
            return await response.read()
    except (corelet.ClientError, ValueError) as error:
        return error


async def test_a_server_whose_queue_is_full_or_that_is_gone(raw, full) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(timeout=ClientTimeout(total=5, sock_connect=0.1)) as session:
        with pytest.raises(ConnectionTimeoutError, match="sock_connect"):
            await session.get(full)
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        with pytest.raises(ClientConnectorError, match=str(port)):
            await session.get(server.url.with_port(port))
        async with session.get(server.url) as response:
            assert await response.read() == b"ok"
        assert_at_rest(session)
