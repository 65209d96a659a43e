"""Responses over real sockets: framing, fields, cookies, bodies of every kind, and what goes wrong."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
import logging
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from corelet import hookimpl, web
from corelet.abc import ContentCoding
from corelet.connection import CORK_BYTES
from corelet.errors import MissingPluginError
from corelet.fields import ETag
from corelet.keys import ResponseKey
from corelet.limits import Deadlines
from corelet.response import Stage
from corelet.server import Server
from tests.conftest import Connect, Serve, Tls
from tests.raw_client import Answer

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_1_0 = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"
GET_1_0_KEPT = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"

Make = Callable[[], Any]
Ask = Callable[..., Awaitable[Answer]]
Errors = list[logging.LogRecord]


@pytest.fixture
async def ask(serve: Serve, connect: Connect) -> Ask:
    """Give what serves a handler, or what makes a response, and returns the answer to some bytes."""

    async def send(make: Any, data: bytes = GET, **kwargs: Any) -> Answer:
        client = await connect(await serve(_as_handler(make), **kwargs))
        await client.send(data)
        return await client.read_answer(is_head=data.startswith(b"HEAD"))

    return send


@pytest.fixture
async def ask_app(serve: Serve, connect: Connect) -> Ask:
    """Give what serves a handler by an application with ``on_response_prepare`` handlers, and returns the answer."""

    async def send(make: Any, *hooks: Any, data: bytes = GET, plugins: Any = ()) -> Answer:
        app = web.Application(handler=_as_handler(make), plugins=plugins)
        app.on_response_prepare.extend(hooks)
        client = await connect(await serve(app))
        await client.send(data)
        return await client.read_answer(is_head=data.startswith(b"HEAD"))

    return send


def _as_handler(make: Any) -> Any:
    if inspect.iscoroutinefunction(make) or isinstance(make, web.Application):
        return make

    async def handler(request: web.BaseRequest) -> Any:
        return make()

    return handler


def _said(errors: Errors) -> str:
    assert errors[0].exc_info is not None
    return f"{type(errors[0].exc_info[1]).__name__}: {errors[0].exc_info[1]}"


# Bodies.


async def _pieces() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"bc"


BODIES: dict[str, tuple[Make, bytes, str | None]] = {
    "nothing": (web.Response, b"", None),
    "text": (lambda: web.Response(text="hé"), "hé".encode(), "text/plain; charset=utf-8"),
    "empty text": (lambda: web.Response(text=""), b"", "text/plain; charset=utf-8"),
    "bytes": (lambda: web.Response(body=b"abc"), b"abc", "application/octet-stream"),
    "bytearray": (lambda: web.Response(body=bytearray(b"abc")), b"abc", "application/octet-stream"),
    "memoryview": (lambda: web.Response(body=memoryview(b"abc")), b"abc", "application/octet-stream"),
    "str": (lambda: web.Response(body="abc"), b"abc", "text/plain; charset=utf-8"),
    "str of a type": (lambda: web.Response(body="abc", content_type="text/html"), b"abc", "text/html"),
    "BytesIO": (lambda: web.Response(body=io.BytesIO(b"abc")), b"abc", "application/octet-stream"),
    "StringIO": (lambda: web.Response(body=io.StringIO("abc")), b"abc", "text/plain; charset=utf-8"),
    "async generator": (lambda: web.Response(body=_pieces()), b"abc", "application/octet-stream"),
    "BytesPayload": (lambda: web.Response(body=web.BytesPayload(b"abc", content_type="a/b")), b"abc", "a/b"),
    "json": (lambda: web.json_response({"a": 1}), b'{"a": 1}', "application/json; charset=utf-8"),
    "bytes with fields": (lambda: web.Response(body=b"abc", headers={"X": "y"}), b"abc", "application/octet-stream"),
    "large": (lambda: web.Response(body=b"x" * 100_000), b"x" * 100_000, "application/octet-stream"),
    "chunked": (lambda: _chunked(web.Response(text="abc")), b"abc", "text/plain; charset=utf-8"),
    "stream": (web.StreamResponse, b"", "application/octet-stream"),
}
if not hasattr(web, "BytesPayload"):
    from corelet.payload import BytesPayload

    BODIES["BytesPayload"] = (lambda: web.Response(body=BytesPayload(b"abc", content_type="a/b")), b"abc", "a/b")


def _chunked(response: Any) -> Any:
    response.enable_chunked_encoding()
    return response


@pytest.mark.parametrize("kind", BODIES)
async def test_body_is_sent_with_its_type(ask: Ask, kind: str) -> None:
    make, body, content_type = BODIES[kind]
    answer = await ask(make)

    assert (answer.status, answer.body, answer.field("content-type")) == (200, body, content_type)


@pytest.mark.parametrize("kind", BODIES)
async def test_head_gets_the_head_of_get_and_no_body(serve: Serve, connect: Connect, kind: str) -> None:
    client = await connect(await serve(_as_handler(BODIES[kind][0])))
    await client.send(HEAD)
    head = await client.read_answer(is_head=True)
    await client.send(GET)
    get = await client.read_answer()

    assert _without_date(head) == _without_date(get)
    assert head.body == b""


def _without_date(answer: Answer) -> list[tuple[str, str]]:
    return [field for field in answer.fields if field[0] != "date"]


@pytest.mark.parametrize("kind", BODIES)
async def test_http_1_0_gets_no_chunks(ask: Ask, kind: str) -> None:
    make, body, _ = BODIES[kind]
    answer = await ask(make, GET_1_0)

    assert answer.body == body
    assert answer.field("transfer-encoding") is None
    assert answer.field("connection") == "close"


@pytest.mark.parametrize("kind", BODIES)
async def test_http_1_0_keeps_the_connection_where_the_length_is_known(
    serve: Serve, connect: Connect, kind: str
) -> None:
    make, body, _ = BODIES[kind]
    client = await connect(await serve(_as_handler(make)))
    await client.send(GET_1_0_KEPT)
    answer = await client.read_answer()

    assert answer.body == body
    has_length = answer.field("content-length") is not None
    assert answer.field("connection") == ("keep-alive" if has_length else "close")
    if has_length:
        await client.send(GET_1_0_KEPT)
        assert (await client.read_answer()).body == body


async def test_file_is_sent_and_closed(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "é.txt").write_bytes(b"content")
    opened = (tmp_path / "é.txt").open("rb")
    answer = await ask(lambda: web.Response(body=opened))

    assert answer.body == b"content"
    assert answer.field("content-length") == "7"
    assert answer.field("content-type") == "text/plain"
    assert "attachment" in (answer.field("content-disposition") or "")
    await _until_closed(opened)


@pytest.mark.parametrize("data", [HEAD, GET])
async def test_file_is_closed_where_its_head_can_not_be_sent(
    ask: Ask, tmp_path: Path, expect_error_log: Errors, data: bytes
) -> None:
    (tmp_path / "a.txt").write_bytes(b"content")
    opened = (tmp_path / "a.txt").open("rb")
    answer = await ask(lambda: web.Response(body=opened, headers={"X": "\n"}), data)

    assert answer.status == 500
    await _until_closed(opened)


async def _until_closed(file: Any) -> None:
    # A thread closes it, perhaps after the answer.
    for _ in range(100):
        if file.closed:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{file!r} is open")


async def test_async_generator_is_closed_where_its_peer_has_gone(serve: Serve, connect: Connect) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            closed.set()

    client = await connect(await serve(_as_handler(lambda: web.Response(body=endless()))))
    await client.send(GET)
    await client.reader.read(1000)
    client.abort()

    await asyncio.wait_for(closed.wait(), 5)


async def test_body_that_fails_half_way_is_cut_off_and_logged(
    serve: Serve, connect: Connect, expect_error_log: Errors
) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ValueError("half way")

    client = await connect(await serve(_as_handler(lambda: web.Response(body=failing()))))
    await client.send(GET)

    assert not (await client.read_until_closed()).endswith(b"0\r\n\r\n")
    assert "half way" in _said(expect_error_log)


async def test_body_of_10_mb_is_copied_once_at_most(serve: Serve, peer: aiohttp.ClientSession) -> None:
    body = bytes(10_000_000)
    served = await serve(_as_handler(lambda: web.Response(body=body)))
    reader, writer = await asyncio.open_connection(served.host, served.port)
    tracemalloc.start()
    writer.write(GET)
    head = await reader.readuntil(b"\r\n\r\n")
    left = len(body)
    while left:
        left -= len(await reader.read(65536))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    writer.close()
    await writer.wait_closed()

    assert b"Content-Length: 10000000\r\n" in head
    assert peak < 2.2 * len(body)


def test_body_that_no_payload_takes_is_refused() -> None:
    for body in (5, {"a": 1}, [b"a"], object()):
        with pytest.raises(LookupError, match=type(body).__name__):
            web.Response(body=body)


def test_text_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="text is a str, not bytes"):
        web.Response(text=b"a")  # type: ignore[arg-type]


def test_body_and_text_together_are_refused() -> None:
    with pytest.raises(ValueError, match="both"):
        web.Response(text="a", body=b"a")


# Types and charsets.


@pytest.mark.parametrize(
    ("arguments", "field", "body"),
    [
        ({"content_type": "text/html"}, "text/html; charset=utf-8", "é".encode()),
        ({"charset": "Latin-1"}, "text/plain; charset=Latin-1", b"\xe9"),
        ({"content_type": "text/html", "charset": "latin-1"}, "text/html; charset=latin-1", b"\xe9"),
        ({"headers": {"Content-Type": "text/html; charset=latin-1"}}, "text/html; charset=latin-1", b"\xe9"),
        ({"headers": {"Content-Type": "text/html"}}, "text/html; charset=utf-8", "é".encode()),
        ({"headers": {"X": "y"}}, "text/plain; charset=utf-8", "é".encode()),
        ({"headers": {"X": "y"}, "content_type": "text/html"}, "text/html; charset=utf-8", "é".encode()),
    ],
)
async def test_text_is_encoded_by_its_charset(ask: Ask, arguments: dict[str, Any], field: str, body: bytes) -> None:
    answer = await ask(lambda: web.Response(text="é", **arguments))

    assert (answer.field("content-type"), answer.body) == (field, body)


@pytest.mark.parametrize(
    "arguments",
    [
        {"content_type": "text/html; charset=utf-8"},
        {"content_type": "text/html", "headers": {"Content-Type": "a/b"}},
        {"charset": "utf-8", "headers": {"Content-Type": "a/b"}},
        {"content_type": "text/plain\r\nX: y"},
    ],
)
def test_types_that_contradict_or_break_the_head_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"Content-Type|content_type"):
        web.Response(text="a", **arguments)


def test_content_type_and_charset_are_set_apart() -> None:
    response = web.Response(text="a")
    response.content_type = "text/html"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    response.charset = "Latin-1"
    assert (response.content_type, response.charset) == ("text/html", "latin-1")
    response.charset = None
    assert response.headers["Content-Type"] == "text/html"
    assert response.charset is None


def test_charset_without_a_type_makes_no_sense() -> None:
    response = web.StreamResponse()
    with pytest.raises(RuntimeError, match="set content_type first"):
        response.charset = "utf-8"
    response.charset = None
    assert response.content_type == "application/octet-stream"


def test_response_without_content_has_the_default_type_and_no_field() -> None:
    response = web.Response()
    assert (response.content_type, response.charset) == ("application/octet-stream", None)
    assert "Content-Type" not in response.headers


@pytest.mark.parametrize("headers", [None, {"X": "y"}])
def test_text_and_body_can_be_changed(headers: Any) -> None:
    response = web.Response(headers=headers)
    assert (response.text, response.body, response.content_length) == (None, None, 0)
    response.body = b"abc"
    assert (response.text, response.body, response.content_length) == ("abc", b"abc", 3)
    assert response.headers["Content-Type"] == "application/octet-stream"
    response.text = "é"
    assert (response.text, response.body, response.content_length) == ("é", "é".encode(), 2)
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    response.content_type = "text/html"
    response.charset = None
    response.text = "é"
    assert response.charset == "utf-8"
    response.text = None
    assert response.body is None
    response.body = "abc"
    assert (response.text, response.content_length) == ("abc", 3)
    response.body = None
    assert response.text is None


def test_body_sets_the_type_where_there_is_no_field_yet() -> None:
    response = web.Response()
    response.body = bytearray(b"a")
    assert response.headers["Content-Type"] == "application/octet-stream"


def test_content_length_of_a_response_is_its_bodys() -> None:
    response = web.Response(text="abc")
    with pytest.raises(RuntimeError, match="StreamResponse"):
        response.content_length = 5
    response.enable_chunked_encoding()
    assert response.content_length is None
    assert web.Response(body=io.BytesIO(b"abcd")).content_length == 4


# JSON.


@pytest.mark.parametrize(
    ("make", "body"),
    [
        (lambda: web.json_response([1]), b"[1]"),
        (lambda: web.json_response(None), b"null"),
        (lambda: web.json_response(text="{}"), b"{}"),
        (lambda: web.json_response(body=b"{}"), b"{}"),
        (web.json_response, b""),
        (lambda: web.json_response([1], dumps=lambda data: "dumped"), b"dumped"),
        (lambda: web.json_bytes_response([1], dumps=lambda data: b"dumped"), b"dumped"),
        (lambda: web.json_bytes_response(dumps=lambda data: b"", body=b"{}"), b"{}"),
    ],
)
async def test_json_is_dumped_or_taken(ask: Ask, make: Make, body: bytes) -> None:
    answer = await ask(make)

    assert answer.body == body
    assert (answer.field("content-type") or "").startswith("application/json")


async def test_json_response_takes_what_a_response_takes(ask: Ask) -> None:
    for make in (web.json_response, web.json_bytes_response):
        dumps: Any = json.dumps if make is web.json_response else (lambda data: json.dumps(data).encode())
        answer = await ask(
            lambda make=make, dumps=dumps: make(
                [], dumps=dumps, status=201, reason="Fine", headers={"X": "y"}, content_type="application/x+json"
            )
        )
        assert (answer.status, answer.reason, answer.field("x")) == (201, "Fine", "y")
        assert (answer.field("content-type") or "").startswith("application/x+json")


def test_json_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="one of"):
        web.json_response(1, text="1")
    with pytest.raises(ValueError, match="one of"):
        web.json_response(1, body=b"1")
    with pytest.raises(ValueError, match="one of"):
        web.json_bytes_response(1, dumps=lambda data: b"1", body=b"1")


# The status line.


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"status": 404}, (404, "Not Found")),
        ({"status": HTTPStatus.CREATED}, (201, "Created")),
        ({"status": 299}, (299, "")),
        ({"status": 299, "reason": "Odd"}, (299, "Odd")),
        ({"reason": "Fine"}, (200, "Fine")),
        ({"reason": ""}, (200, "")),
        ({"status": 999}, (999, "")),
    ],
)
async def test_status_and_reason(ask: Ask, arguments: dict[str, Any], line: tuple[int, str]) -> None:
    for make in (web.Response, web.StreamResponse):
        answer = await ask(lambda make=make: make(**arguments))
        assert (answer.status, answer.reason) == line


def test_set_status_sets_both() -> None:
    response = web.Response()
    assert (response.status, response.reason) == (200, "OK")
    response.set_status(404)
    assert (response.status, response.reason) == (404, "Not Found")
    response.set_status(404, "Gone away")
    assert response.reason == "Gone away"
    response.set_status(200)
    assert response.reason == "OK"


@pytest.mark.parametrize("status", [0, 99, 1000, -200, "abc"])
def test_status_that_is_none_is_refused(status: Any) -> None:
    with pytest.raises(ValueError, match=rf"status is {status!r}, expected 100 to 999"):
        web.Response(status=status)


# Framing.


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("make", [web.Response, web.StreamResponse])
@pytest.mark.parametrize("headers", [None, {"X": "y"}])
async def test_statuses_without_a_body_have_neither_length_nor_type(
    serve: Serve, connect: Connect, status: int, make: Any, headers: Any
) -> None:
    client = await connect(await serve(_as_handler(lambda: make(status=status, headers=headers))))
    for _ in range(2):
        answer = await client.get()
        names = {name for name, _ in answer.fields}
        assert answer.status == status
        assert not names & {"content-length", "content-type", "transfer-encoding"}


@pytest.mark.parametrize("status", [204, 205, 304])
async def test_body_of_a_status_without_one_is_not_sent(serve: Serve, connect: Connect, status: int) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/whole":
            return web.Response(status=status, text="secret")
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        await response.write(b"secret")
        return response

    client = await connect(await serve(handler))
    for target in ("/whole", "/stream", "/whole"):
        await client.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
        raw = await client.read_until_quiet(0.1)
        assert raw.endswith(b"\r\n\r\n")
        assert b"secret" not in raw
        assert (b"\r\nContent-Length: 0\r\n" in raw) == (status == 205)


async def test_304_may_tell_the_length_of_what_it_stands_for(ask: Ask) -> None:
    answer = await ask(lambda: web.Response(status=304, headers={"Content-Length": "5", "Content-Type": "a/b"}))

    assert (answer.field("content-length"), answer.field("content-type")) == ("5", None)


async def test_answer_to_head_may_tell_the_length_of_what_get_would_give(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(_as_handler(lambda: web.Response(headers={"Content-Length": "123"}))))
    await client.send(HEAD)
    assert (await client.read_answer(is_head=True)).field("content-length") == "123"
    assert (await client.get()).field("content-length") == "0"


@pytest.mark.parametrize("status", [100, 102, 103, 101])
@pytest.mark.parametrize("make", [web.Response, web.StreamResponse])
async def test_interim_status_can_not_end_an_exchange(
    ask: Ask, expect_error_log: Errors, status: int, make: Any
) -> None:
    answer = await ask(lambda: make(status=status))

    assert answer.status == 500
    assert f"status {status} is no answer" in _said(expect_error_log)


UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"


async def test_101_that_nobody_takes_over_ends_the_connection(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(_as_handler(lambda: web.Response(status=101, headers={"Upgrade": "x"}))))
    await client.send(UPGRADE + GET)
    raw = await client.read_until_closed()

    assert raw.startswith(b"HTTP/1.1 101 ")
    assert raw.count(b"HTTP/1.1") == 1
    assert b"close" not in raw


async def test_tunnel_that_nobody_takes_over_ends_the_connection(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(_as_handler(lambda: web.Response(headers={"Content-Length": "5"}))))
    await client.send(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n" + GET)
    raw = await client.read_until_closed()

    assert raw.startswith(b"HTTP/1.1 200 ")
    assert raw.count(b"HTTP/1.1") == 1
    assert b"Content-Length" not in raw


async def test_connect_may_be_refused_with_a_body(ask: Ask) -> None:
    data = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"
    assert (await ask(lambda: web.Response(status=405, text="no"), data)).body == b"no"


async def test_stream_is_chunked(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        assert await response.prepare(request) is not None
        for piece in (b"ab", bytearray(b"c"), memoryview(b"d"), b""):
            await response.write(piece)
        await response.drain()
        await response.write_eof(b"e")
        await response.write_eof(b"ignored")
        assert (response.body_length, response.stage) == (5, Stage.ENDED)
        return response

    client = await connect(await serve(handler))
    await client.send(GET)
    raw = await client.read_until_quiet()

    assert raw.endswith(b"\r\n\r\n2\r\nab\r\n1\r\nc\r\n1\r\nd\r\n1\r\ne\r\n0\r\n\r\n")
    assert b"Transfer-Encoding: chunked\r\n" in raw


async def test_buffer_that_changes_after_write_is_sent_as_it_was(ask: Ask) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        buffer = bytearray(b"before")
        await response.write(buffer)
        buffer[:] = b"after."
        return response

    assert (await ask(handler)).body == b"before"


@pytest.mark.parametrize("way", ["property", "field"])
async def test_stream_of_known_length_is_not_chunked(ask: Ask, way: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "3"} if way == "field" else None)
        if way == "property":
            response.content_length = 3
        assert response.content_length == 3
        await response.prepare(request)
        await response.write(b"abc")
        return response

    answer = await ask(handler)
    assert (answer.body, answer.field("content-length"), answer.field("transfer-encoding")) == (b"abc", "3", None)


def test_content_length_and_chunks_exclude_each_other() -> None:
    response = web.StreamResponse()
    response.content_length = 3
    with pytest.raises(RuntimeError, match="set content_length to None first"):
        response.enable_chunked_encoding()
    response.content_length = None
    response.enable_chunked_encoding()
    assert response.chunked
    with pytest.raises(RuntimeError, match="chunked"):
        response.content_length = 3


@pytest.mark.parametrize("value", ["abc", "-1", "1_0", "٣", "+5", "1" * 19])
async def test_content_length_that_is_no_number_is_a_500(ask: Ask, expect_error_log: Errors, value: str) -> None:
    answer = await ask(lambda: web.StreamResponse(headers={"Content-Length": value}))

    assert answer.status == 500
    assert "Content-Length" in _said(expect_error_log)


def test_content_length_below_0_is_refused() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        web.StreamResponse().content_length = -1


@pytest.mark.parametrize("data", [GET, HEAD, GET_1_0])
@pytest.mark.parametrize("make", [web.Response, web.StreamResponse])
async def test_transfer_encoding_that_was_passed_on_means_chunks(ask: Ask, make: Any, data: bytes) -> None:
    answer = await ask(lambda: make(headers={"Transfer-Encoding": "Chunked", "Content-Length": "9"}), data)

    assert answer.body == b""
    codings = [value for name, value in answer.fields if name == "transfer-encoding"]
    assert codings == ([] if data == GET_1_0 else ["chunked"])
    assert answer.field("content-length") is None


async def test_other_transfer_codings_are_a_500(ask: Ask, expect_error_log: Errors) -> None:
    assert (await ask(lambda: web.Response(headers={"Transfer-Encoding": "gzip, chunked"}))).status == 500
    assert "only 'chunked'" in _said(expect_error_log)


@pytest.mark.parametrize(("body", "words"), [(b"abcdef", "3 left"), (b"a", "2 bytes before")])
async def test_body_of_another_length_than_promised_is_cut_off_and_logged(
    serve: Serve, connect: Connect, expect_error_log: Errors, body: bytes, words: str
) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 3
        await response.prepare(request)
        await asyncio.sleep(0)
        await response.write(body)
        return response

    client = await connect(await serve(handler))
    await client.send(GET)
    raw = await client.read_until_closed()

    assert len(raw.partition(b"\r\n\r\n")[2]) < 3
    assert words in _said(expect_error_log)


# The order of things.


async def test_write_before_prepare_is_an_error(ask: Ask, expect_error_log: Errors) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.write(b"early")
        return response

    assert (await ask(handler)).status == 500
    assert "await response.prepare(request) first" in _said(expect_error_log)


async def test_nothing_can_be_written_or_changed_after_the_end(ask: Ask) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.Response(text="abc")
        await response.prepare(request)
        await response.write_eof()
        for late in (response.write(b"x"), response.drain()):
            with pytest.raises(RuntimeError, match="has ended"):
                await late
        with pytest.raises(RuntimeError, match="after the head"):
            response.set_status(404)
        with pytest.raises(RuntimeError, match="after the head"):
            response.text = "x"
        with pytest.raises(RuntimeError, match="after the head"):
            response.body = b"x"
        assert await response.prepare(request) is None
        return response

    assert (await ask(handler)).body == b"abc"


async def test_write_takes_bytes_only(ask: Ask) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with pytest.raises(TypeError, match="not str"):
            await response.write("text")  # type: ignore[arg-type]
        return response

    assert (await ask(handler)).status == 200


async def test_prepare_twice_gives_the_same_writer(ask: Ask) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        assert (response.prepared, response.task, response.keep_alive) == (False, None, None)
        writer = await response.prepare(request)
        assert writer is await response.prepare(request)
        assert (response.prepared, response.keep_alive) == (True, True)
        assert response.task is asyncio.current_task()
        await response.write_eof(b"x")
        return response

    assert (await ask(handler)).body == b"x"


@pytest.mark.parametrize("make", [web.Response, web.StreamResponse, web.HTTPNotFound])
async def test_response_used_twice_is_a_500_at_once_that_says_why(
    serve: Serve, connect: Connect, expect_error_log: Errors, make: Any
) -> None:
    shared = make()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return shared

    client = await connect(await serve(handler))
    first = await client.get()
    second = await asyncio.wait_for(client.get(), 1)

    assert (first.status, second.status) == (shared.status, 500)
    assert "a response is used once, make a new one" in _said(expect_error_log)
    assert (await client.get()).status == 500


async def test_exception_raised_twice_is_a_500_at_once(
    serve: Serve, connect: Connect, expect_error_log: Errors
) -> None:
    shared = web.HTTPForbidden()

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise shared

    client = await connect(await serve(handler))

    assert [(await client.get()).status, (await client.get()).status] == [403, 500]
    assert "used once" in _said(expect_error_log)


async def test_response_used_by_two_requests_at_once_is_a_500_for_one(
    serve: Serve, connect: Connect, expect_error_log: Errors
) -> None:
    shared = web.Response(text="shared")

    async def wait(request: web.BaseRequest, response: web.StreamResponse) -> None:
        await asyncio.sleep(0.05)

    app = web.Application(handler=_as_handler(lambda: shared), plugins=[])
    app.on_response_prepare.append(wait)
    served = await serve(app)
    clients = [await connect(served), await connect(served)]
    answers = await asyncio.gather(*(client.get() for client in clients))

    assert sorted(answer.status for answer in answers) == [200, 500]
    assert "used once" in _said(expect_error_log)


async def test_second_response_to_one_request_is_refused(ask: Ask) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        first = web.StreamResponse()
        await first.prepare(request)
        with pytest.raises(RuntimeError, match="answered by"):
            await web.StreamResponse().prepare(request)
        with pytest.raises(RuntimeError, match="answered by"):
            await web.Response().prepare(request.clone())
        await first.write_eof(b"first")
        return first

    assert (await ask(handler)).body == b"first"


async def test_prepare_within_its_own_hook_is_refused(ask_app: Ask, expect_error_log: Errors) -> None:
    async def hook(request: web.BaseRequest, response: web.StreamResponse) -> None:
        if response.status == 200:
            await response.prepare(request)

    await ask_app(web.Response, hook)
    assert "used once" in _said(expect_error_log)


async def test_work_after_the_response_holds_up_only_the_next_request(serve: Serve, connect: Connect) -> None:
    answered, go_on = asyncio.Event(), asyncio.Event()
    worked: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.Response(text=request.path)
        await response.prepare(request)
        await response.write_eof()
        answered.set()
        await go_on.wait()
        worked.append(request.path)
        return response

    client = await connect(await serve(handler))
    assert (await client.get("/1")).text == "/1"
    assert worked == []
    go_on.set()
    assert (await client.get("/2")).text == "/2"
    assert worked[0] == "/1"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_answer_through_a_clone_is_the_requests_answer(serve: Serve, connect: Connect, method: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 3
        await response.prepare(request.clone(method="GET", rel_url="/other"))
        await response.write(b"abc")
        return response

    client = await connect(await serve(handler))
    await client.send(f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n")
    raw = await client.read_until_quiet()

    assert raw.count(b"HTTP/1.1") == 1
    assert raw.partition(b"\r\n\r\n")[2] == (b"abc" if method == "GET" else b"")


@pytest.mark.parametrize("value", [None, "text", {"a": 1}, b"bytes", 5, web.Response, web.HTTPNotFound])
@pytest.mark.parametrize("way", ["bare", "application", "routed"])
async def test_handler_that_returns_no_response_is_named_in_the_log(
    ask: Ask, expect_error_log: Errors, way: str, value: Any
) -> None:
    async def forgetful(request: web.BaseRequest) -> Any:
        return value

    served: Any = forgetful
    if way == "application":
        served = web.Application(handler=forgetful, plugins=[])
    elif way == "routed":
        served = web.Application()
        served.router.add_get("/", forgetful)
    answer = await ask(served)

    assert answer.status == 500
    assert _said(expect_error_log).startswith("TypeError: ")
    assert "forgetful, the handler of <" in _said(expect_error_log)
    assert f"returned {value!r}, expected a response" in _said(expect_error_log)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (None, "; is a 'return' missing?"),
        (asyncio.Future, "; is an 'await' missing?"),
        (lambda: "text", ", as web.Response(text=...)"),
        (dict, ", as web.json_response(...)"),
        (lambda: 5, "expected a response"),
    ],
)
async def test_handler_that_returns_no_response_is_told_what_to_write(
    ask: Ask, expect_error_log: Errors, value: Callable[[], object] | None, advice: str
) -> None:
    async def forgetful(request: web.BaseRequest) -> Any:
        return value and value()

    await ask(forgetful)
    assert _said(expect_error_log).endswith(advice)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_body_length_is_what_was_sent(serve: Serve, connect: Connect, method: str) -> None:
    lengths: list[tuple[int, int]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        stream = web.StreamResponse() if request.path == "/stream" else web.Response(text="abc")
        assert (stream.body_length, stream.output_length) == (0, 0)
        await stream.prepare(request)
        if request.path == "/stream":
            await stream.write(b"abc")
        await stream.write_eof()
        lengths.append((stream.body_length, stream.output_length))
        return stream

    client = await connect(await serve(handler))
    for target in ("/stream", "/"):
        await client.get(target, method=method)

    assert lengths == ([(3, 13), (3, 3)] if method == "GET" else [(0, 0), (0, 0)])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_length_of_an_answer_in_one_buffer_is_what_was_sent(ask: Ask, method: str) -> None:
    response = web.Response(text="abc")
    await ask(lambda: response, f"{method} / HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    assert (response.body_length, response.output_length) == ((3, 3) if method == "GET" else (0, 0))


async def test_subclass_takes_part_in_every_step(ask: Ask) -> None:
    class Stamped(web.Response):
        async def prepare(self, request: web.BaseRequest) -> Any:
            self.headers["X-Stamp"] = "prepared"
            return await super().prepare(request)

    class Longer(Stamped):
        async def write_eof(self, data: bytes = b"") -> None:
            self.ended = True
            await super().write_eof(data)

    longer = Longer(text="abc")
    assert (await ask(lambda: Stamped(text="abc"))).field("x-stamp") == "prepared"
    assert (await ask(lambda: longer)).field("x-stamp") == "prepared"
    assert longer.ended


# Data of its own.

KEY = ResponseKey("key", int)


def test_response_is_a_mapping_and_itself() -> None:
    response = web.Response()
    assert (len(response), list(response), response.get("a"), bool(response)) == (0, [], None, True)
    with pytest.raises(KeyError):
        response["a"]
    with pytest.raises(KeyError):
        del response["a"]
    response["a"] = 1
    response[KEY] = 2
    assert (len(response), response["a"], response[KEY], list(response)) == (2, 1, 2, ["a", KEY])
    del response["a"]
    assert list(response) == [KEY]
    assert response == response
    assert response != web.Response()
    assert len({response, response}) == 1
    assert repr(response) == "<Response 200 OK new>"


# Cookies.


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({}, "a=b; Path=/"),
        ({"value": "b c"}, 'a="b c"; Path=/'),
        ({"path": ""}, "a=b"),
        ({"path": "/x"}, "a=b; Path=/x"),
        ({"domain": "example.com"}, "a=b; Domain=example.com; Path=/"),
        ({"expires": "Thu, 01 Jan 1970 00:00:00 GMT"}, "a=b; expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"),
        ({"max_age": 0}, "a=b; Max-Age=0; Path=/"),
        ({"max_age": "60"}, "a=b; Max-Age=60; Path=/"),
        ({"secure": True, "httponly": True}, "a=b; Path=/; HttpOnly; Secure"),
        ({"secure": False, "httponly": False}, "a=b; Path=/"),
        ({"samesite": "Strict"}, "a=b; Path=/; SameSite=Strict"),
        ({"version": "1"}, "a=b; Path=/; Version=1"),
        ({"secure": True, "partitioned": True}, "a=b; Path=/; Partitioned; Secure"),
    ],
)
async def test_cookie_with_each_attribute(ask: Ask, arguments: dict[str, Any], field: str) -> None:
    def make() -> web.Response:
        response = web.Response()
        response.set_cookie("a", **{"value": "b", **arguments})
        return response

    assert (await ask(make)).field("set-cookie") == field


async def test_each_cookie_has_a_field_and_the_last_of_a_name_counts(ask: Ask) -> None:
    def make() -> web.Response:
        response = web.Response()
        for name, value in (("a", "1"), ("b", "2"), ("a", "3")):
            response.set_cookie(name, value)
        assert response.cookies["a"].value == "3"
        response.del_cookie("b", domain="x.y", path="/p", secure=True, httponly=True, samesite="Lax")
        return response

    fields = [value for name, value in (await ask(make)).fields if name == "set-cookie"]
    assert fields[0] == "a=3; Path=/"
    assert fields[1].startswith("b=;")
    for part in ("Max-Age=0", "Thu, 01 Jan 1970", "Domain=x.y", "Path=/p", "Secure", "HttpOnly", "SameSite=Lax"):
        assert part in fields[1]


async def test_cookies_come_back_from_a_real_client(serve: Serve, peer: aiohttp.ClientSession) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        response = web.json_response(dict(request.cookies))
        response.set_cookie("name", 'a "quoted"; value, é\\')
        return response

    served = await serve(handler)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        await (await session.get(served.url)).read()
        seen = await (await session.get(served.url)).json()

    assert seen == {"name": 'a "quoted"; value, é\\'}


# ETag and Last-Modified.


@pytest.mark.parametrize(
    ("value", "field"), [("abc", '"abc"'), (ETag("abc", is_weak=True), 'W/"abc"'), ("", '""'), ("*", '"*"')]
)
async def test_etag_is_quoted(ask: Ask, value: Any, field: str) -> None:
    def make() -> web.Response:
        response = web.Response()
        response.etag = value
        assert response.etag == (value if isinstance(value, ETag) else ETag(value))
        return response

    assert (await ask(make)).field("etag") == field


def test_etag_can_be_unset_and_must_be_sendable() -> None:
    response = web.Response()
    assert response.etag is None
    response.etag = "a"
    response.etag = None
    assert "ETag" not in response.headers
    with pytest.raises(ValueError, match="quotes"):
        response.etag = 'a"b'


@pytest.mark.parametrize(
    "value",
    [
        datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        datetime(2020, 1, 2, 3, 4, 5),  # noqa: DTZ001
        datetime(2020, 1, 2, 8, 4, 5, tzinfo=timezone(timedelta(hours=5))),
        1577934245,
        1577934244.2,
        "Thu, 02 Jan 2020 03:04:05 GMT",
    ],
)
async def test_last_modified_of_any_kind_of_time(ask: Ask, value: Any) -> None:
    def make() -> web.Response:
        response = web.Response()
        response.last_modified = value
        assert response.last_modified == datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
        return response

    assert (await ask(make)).field("last-modified") == "Thu, 02 Jan 2020 03:04:05 GMT"


def test_last_modified_can_be_unset() -> None:
    response = web.Response()
    assert response.last_modified is None
    response.last_modified = 0
    response.last_modified = None
    assert "Last-Modified" not in response.headers


# Fields of the application's own.


async def test_fields_are_sent_as_given_also_repeated_and_beyond_ascii(ask: Ask) -> None:
    answer = await ask(lambda: web.Response(headers=[("X-A", "1"), ("X-A", "é€")]))

    assert [value for name, value in answer.fields if name == "x-a"] == ["1", "é€".encode().decode("latin-1")]


async def test_date_and_server_are_added_unless_given(ask: Ask) -> None:
    for given in ({}, {"Date": "d"}, {"Server": "s"}, {"Date": "d", "Server": "s"}, {"X": "y"}):
        answer = await ask(lambda given=given: web.Response(headers=given or None))
        names = [name for name, _ in answer.fields]
        assert (names.count("date"), names.count("server")) == (1, 1)
        assert (answer.field("date") == "d") == ("Date" in given)
        assert answer.field("server") == given.get("Server", "corelet")


@pytest.mark.parametrize("make", [web.Response, web.StreamResponse])
async def test_connection_close_of_the_application_closes(serve: Serve, connect: Connect, make: Any) -> None:
    client = await connect(await serve(_as_handler(lambda: make(headers={"Connection": "Close"}))))
    answer = await client.get()

    assert [value for name, value in answer.fields if name == "connection"] == ["Close"]
    assert await client.is_closed(5)


@pytest.mark.parametrize("make", [web.Response, web.StreamResponse])
async def test_force_close_closes(serve: Serve, connect: Connect, make: Any) -> None:
    def closing() -> web.StreamResponse:
        response: web.StreamResponse = make()
        response.force_close()
        assert response.keep_alive is False
        return response

    client = await connect(await serve(_as_handler(closing)))
    assert (await client.get()).field("connection") == "close"
    assert await client.is_closed(5)


async def test_force_close_after_the_head_closes_too(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        response.force_close()
        return response

    client = await connect(await serve(handler))
    assert (await client.get()).field("connection") is None
    assert await client.is_closed(5)


async def test_content_length_of_a_response_is_the_bodys_whatever_its_field_says(ask: Ask) -> None:
    answer = await ask(lambda: web.Response(text="abc", headers={"Content-Length": "50"}))

    assert [value for name, value in answer.fields if name == "content-length"] == ["3"]
    assert answer.body == b"abc"


@pytest.mark.parametrize("make", [web.Response, web.StreamResponse])
@pytest.mark.parametrize("status", [200, 204, 304])
@pytest.mark.parametrize("data", [GET, HEAD, GET_1_0])
async def test_two_content_lengths_never_leave(ask: Ask, make: Any, status: int, data: bytes) -> None:
    answer = await ask(lambda: make(status=status, headers=[("Content-Length", "0"), ("content-length", "7")]), data)

    assert len([value for name, value in answer.fields if name == "content-length"]) == (status == 200)


# Injection.


def _set_cookie(**arguments: Any) -> Any:
    response = web.Response()
    response.set_cookie("a", **{"value": "b", **arguments})
    return response


INJECTIONS: dict[str, Make] = {
    "a-001": lambda: web.Response(headers={"X-A": "a\r\nX-Evil: y"}),
    "a-003": lambda: web.Response(headers={"X-A": "a\nX-Evil: y"}),
    "a-005": lambda: web.Response(headers={"X-A": "a\rX-Evil: y"}),
    "a-007": lambda: web.Response(headers={"X-A": "a\0X-Evil"}),
    "a-009": lambda: web.Response(headers={"X\r\nX-Evil": "v"}),
    "a-010": lambda: web.Response(reason="OK\r\nX-Evil: y"),
    "a-011": lambda: web.Response(reason="OK\rX-Evil"),
    "a-012": lambda: web.Response(content_type="text/plain\r\nX-Evil: y"),
    "a-013": lambda: _set_cookie(domain="x; X-Evil=/"),
    "a-014": lambda: _set_cookie(value="b\r\nX-Evil: y"),
    "field of a stream": lambda: web.StreamResponse(headers={"X-A": "a\r\nX-Evil: y"}),
    "field set later": lambda: _with_field("X-A", "a\r\nX-Evil: y"),
    "empty name": lambda: web.Response(headers={"": "X-Evil"}),
    "name with a colon": lambda: web.Response(headers={"X-Evil: y": ""}),
    "charset": lambda: web.Response(text="", charset="utf-8\r\nX-Evil: y"),
    "cookie path": lambda: _set_cookie(path="/\r\nX-Evil: y"),
    "cookie by hand": lambda: _with_cookie("b\r\nX-Evil: y"),
    "reason set later": lambda: web.Response().set_status(200, "OK\nX-Evil: y"),
    "location": lambda: web.HTTPFound("/x", headers={"X-A": "\nX-Evil: y"}),
}


def _with_field(name: str, value: str) -> web.Response:
    response = web.Response(text="x")
    response.headers[name] = value
    return response


def _with_cookie(value: str) -> web.Response:
    response = web.Response()
    response.cookies["a"] = "b"
    response.cookies["a"].set("a", value, value)
    return response


@pytest.mark.parametrize("with_hook", [False, True])
@pytest.mark.parametrize("case", INJECTIONS)
async def test_injection_is_a_500_with_nothing_of_it_on_the_wire(
    serve: Serve, connect: Connect, expect_error_log: Errors, case: str, with_hook: bool
) -> None:
    async def hook(request: web.BaseRequest, response: web.StreamResponse) -> None:
        response.headers["X-Hook"] = "seen"

    app = web.Application(handler=_as_handler(INJECTIONS[case]), plugins=[])
    if with_hook:
        app.on_response_prepare.append(hook)
    client = await connect(await serve(app))
    await client.send(GET)
    raw = await client.read_until_quiet()

    assert raw.startswith(b"HTTP/1.1 500 ")
    assert b"X-Evil" not in raw
    assert expect_error_log[0].exc_info is not None
    assert isinstance(expect_error_log[0].exc_info[1], ValueError)


async def test_a_015_location_is_percent_encoded(ask: Ask) -> None:
    answer = await ask(lambda: web.HTTPFound("/x\r\nSet-Cookie: a=b"))

    assert answer.status == 302
    assert answer.field("set-cookie") is None
    assert (answer.field("location") or "").startswith("/x%0D%0ASet-Cookie")


async def test_value_that_is_no_text_is_a_500(ask: Ask, expect_error_log: Errors) -> None:
    assert (await ask(lambda: web.Response(headers={"X": 5}))).status == 500


# on_response_prepare.


@pytest.mark.parametrize("make", [lambda: web.Response(text="abc"), web.StreamResponse, lambda: _raise(web.HTTPGone())])
async def test_hook_sees_and_changes_the_head(ask_app: Ask, make: Make) -> None:
    async def hook(request: web.BaseRequest, response: web.StreamResponse) -> None:
        assert {"Date", "Server", "Content-Type"} <= set(response.headers)
        assert not response.prepared
        del response.headers["Server"]
        response.headers["X-Hook"] = "seen"
        response.set_cookie("a", "b")
        response.set_status(299, "Changed")

    answer = await ask_app(make, hook)

    assert (answer.status, answer.reason) == (299, "Changed")
    assert (answer.field("server"), answer.field("x-hook"), answer.field("set-cookie")) == (None, "seen", "a=b; Path=/")
    assert len([name for name, _ in answer.fields if name == "date"]) == 1


def _raise(error: BaseException) -> Any:
    raise error


async def test_hook_changes_the_body_and_its_framing(ask_app: Ask) -> None:
    async def hook(request: web.BaseRequest, response: web.StreamResponse) -> None:
        assert isinstance(response, web.Response)
        response.text = "longer than before"
        response.enable_chunked_encoding()

    answer = await ask_app(lambda: web.Response(text="abc"), hook)
    assert (answer.text, answer.field("transfer-encoding")) == ("longer than before", "chunked")


async def test_hook_that_answers_by_itself_has_answered(ask_app: Ask, expect_error_log: Errors) -> None:
    async def hook(request: web.BaseRequest, response: web.StreamResponse) -> None:
        if "inner" not in request:
            request["inner"] = True
            inner = web.Response(text="inner")
            await inner.prepare(request)
            await inner.write_eof()

    answer = await ask_app(lambda: web.Response(text="outer"), hook)
    assert answer.text == "inner"
    assert "Response 200 OK ended> already" in _said(expect_error_log)


async def test_hook_that_fails_is_a_500(ask_app: Ask, expect_error_log: Errors) -> None:
    async def hook(request: web.BaseRequest, response: web.StreamResponse) -> None:
        raise ValueError("hook failed")

    assert (await ask_app(web.Response, hook)).status == 500
    assert "hook failed" in _said(expect_error_log)


# Compression.


class _Upper(ContentCoding):
    """Codes to upper case, and says so at the end."""

    def __init__(self, name: str = "upper") -> None:
        self.name = name

    def make_encoder(self, level: int | None = None) -> Any:
        self.level = level
        return self

    def make_decoder(self, max_bytes: int) -> Any:
        raise NotImplementedError

    def encode(self, data: bytes) -> bytes:
        return b"" if data == b"hold" else data.upper()

    def flush(self) -> bytes:
        return b"~"

    def finish(self) -> bytes:
        return b"!"


class _Codings:
    @hookimpl
    def corelet_register_codings(self, codings: Any) -> None:
        codings.add(_Upper())
        codings.add(_Upper("gzip"))


def _compressed(response: Any, *arguments: Any) -> Any:
    response.enable_compression(*arguments)
    assert response.compression
    return response


async def test_compression_without_a_plugin_says_what_to_install(ask_app: Ask, expect_error_log: Errors) -> None:
    assert (await ask_app(lambda: _compressed(web.Response(text="abc")))).status == 500
    assert expect_error_log[0].exc_info is not None
    assert isinstance(expect_error_log[0].exc_info[1], MissingPluginError)
    assert "pip install corelet-compression" in _said(expect_error_log)


ACCEPTS: dict[str, str | None] = {
    "": None,
    "upper": "upper",
    "UPPER": "upper",
    "br, gzip;q=0.5, upper;q=0.8": "upper",
    "upper;q=0, gzip": "gzip",
    "upper;q=0": None,
    "identity, gzip;q=0.5": None,
    "br": None,
}


@pytest.mark.parametrize("accept", ACCEPTS)
async def test_body_is_coded_as_the_peer_accepts(ask_app: Ask, accept: str) -> None:
    field = f"Accept-Encoding: {accept}\r\n" if accept else ""
    data = f"GET / HTTP/1.1\r\nHost: a\r\n{field}\r\n".encode()
    answer = await ask_app(lambda: _compressed(web.Response(text="abc")), data=data, plugins=[_Codings()])

    assert answer.field("content-encoding") == ACCEPTS[accept]
    assert answer.field("vary") == "Accept-Encoding"
    assert answer.body == (b"abc" if ACCEPTS[accept] is None else b"ABC!")


@pytest.mark.parametrize(
    ("force", "coding"),
    [("upper", "upper"), (web.ContentCoding.gzip, "gzip"), (web.ContentCoding.identity, None)],
)
async def test_forced_coding_asks_no_peer(ask_app: Ask, force: Any, coding: str | None) -> None:
    answer = await ask_app(lambda: _compressed(web.Response(text="abc"), force), plugins=[_Codings()])

    assert (answer.field("content-encoding"), answer.field("vary")) == (coding, None)


async def test_forced_coding_that_nobody_has_is_a_500(ask_app: Ask, expect_error_log: Errors) -> None:
    answer = await ask_app(lambda: _compressed(web.Response(text="abc"), "br"), plugins=[_Codings()])

    assert answer.status == 500
    assert "'br', known: upper, gzip" in _said(expect_error_log)


async def test_coded_stream_is_flushed_with_each_write(ask_app: Ask) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = 7
        response.enable_compression("upper")
        await response.prepare(request)
        for piece in (b"abc", b"hold"):
            await response.write(piece)
        return response

    answer = await ask_app(handler, plugins=[_Codings()])
    assert (answer.body, answer.field("content-length")) == (b"ABC~~!", None)


@pytest.mark.parametrize(
    "arguments", [{"body": b"a", "headers": {"Content-Encoding": "br"}}, {"status": 204}, {"body": b""}, {}]
)
async def test_coded_body_or_none_is_not_coded(ask_app: Ask, arguments: dict[str, Any]) -> None:
    answer = await ask_app(lambda: _compressed(web.Response(**arguments), "upper"), plugins=[_Codings()])

    assert answer.field("content-encoding") == arguments.get("headers", {}).get("Content-Encoding")


async def _do_nothing(request: Any, response: Any) -> None:
    """Be there, so that answers are sent step by step."""


@pytest.mark.parametrize("hooks", [(), (_do_nothing,)])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_small_coded_body_has_its_length(ask_app: Ask, hooks: tuple[Any, ...], method: bytes) -> None:
    data = method + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await ask_app(
        lambda: _compressed(web.Response(text="abc"), "upper"), *hooks, data=data, plugins=[_Codings()]
    )

    assert (answer.field("content-length"), answer.field("transfer-encoding")) == ("4", None)
    assert answer.body == (b"ABC!" if method == b"GET" else b"")


async def test_small_coded_body_may_be_chunked(ask_app: Ask) -> None:
    def make() -> web.Response:
        response = _compressed(web.Response(text="abc"), "upper")
        response.enable_chunked_encoding()
        return response

    answer = await ask_app(make, plugins=[_Codings()])
    assert (answer.body, answer.field("content-length")) == (b"ABC!", None)


async def test_large_coded_body_goes_out_as_it_is_made(ask_app: Ask) -> None:
    answer = await ask_app(lambda: _compressed(web.Response(body=b"x" * 3_000_000), "upper"), plugins=[_Codings()])

    assert answer.field("content-length") is None
    assert answer.body.replace(b"~", b"") == b"X" * 3_000_000 + b"!"


async def test_what_is_coded_has_a_weak_tag_and_no_ranges(ask_app: Ask) -> None:
    def make(tag: str) -> web.Response:
        return _compressed(web.Response(text="abc", headers={"ETag": tag, "Accept-Ranges": "bytes"}), "upper")

    strong, weak = [await ask_app(lambda tag=tag: make(tag), plugins=[_Codings()]) for tag in ('"a"', 'W/"a"')]
    assert strong.field("etag") == weak.field("etag") == 'W/"a"'
    assert strong.field("accept-ranges") is None


async def test_coding_of_ones_own_is_taken_with_its_level(ask_app: Ask) -> None:
    coding = _Upper("own")

    def make() -> web.Response:
        response = web.Response(text="abc")
        response.enable_compression(coding, level=7)
        return response

    answer = await ask_app(make)
    assert (answer.body, answer.field("content-encoding"), coding.level) == (b"ABC!", "own", 7)


async def test_access_log_counts_what_was_sent_of_a_coded_body(ask_app: Ask) -> None:
    made: list[web.Response] = []

    def make() -> web.Response:
        made.append(_compressed(web.Response(text="abc"), "upper"))
        return made[0]

    assert (await ask_app(make, plugins=[_Codings()])).status == 200
    assert made[0].body_length == 4


# What a request's own hooks do.


def _stamp(name: str) -> Any:
    async def stamp(request: Any, response: Any) -> None:
        response.headers["X-Hooks"] = response.headers.get("X-Hooks", "") + name

    return stamp


@pytest.mark.parametrize("kind", ["response", "stream", "clone", "error"])
async def test_hooks_of_a_request_see_its_answer_before_its_head_the_last_first(ask_app: Ask, kind: str) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        request.clone().add_prepare_hook(_stamp("a"))
        request.add_prepare_hook(_stamp("b"))
        if kind == "error":
            raise web.HTTPConflict(text="abc")
        if kind == "response":
            return web.Response(text="abc")
        stream = web.StreamResponse()
        await stream.prepare(request.clone() if kind == "clone" else request)
        await stream.write_eof(b"abc")
        return stream

    answer = await ask_app(handler, _stamp("c"))
    assert (answer.field("x-hooks"), answer.text) == ("bac", "abc")


async def test_hooks_taken_back_are_not_called(ask_app: Ask) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        hook = _stamp("a")
        with pytest.raises(ValueError, match="was not added"):
            request.remove_prepare_hook(hook)
        request.add_prepare_hook(hook)
        request.clone().remove_prepare_hook(hook)
        return web.Response(text="abc")

    assert (await ask_app(handler)).field("x-hooks") is None


async def test_hook_that_fails_is_a_500_and_one_that_raises_an_answer_is_that_answer(
    ask_app: Ask, expect_error_log: Errors
) -> None:
    def make(error: BaseException) -> Any:
        async def fail(request: Any, response: Any) -> None:
            raise error

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            request.add_prepare_hook(fail)
            return web.Response(text="abc")

        return handler

    assert (await ask_app(make(web.HTTPServiceUnavailable(text="later")))).status == 503
    assert not expect_error_log
    assert (await ask_app(make(OSError("failed")))).status == 500


# Real peers.


@pytest.mark.parametrize("kind", BODIES)
async def test_aiohttp_httpx_and_curl_read_the_same_body(serve: Serve, peer: aiohttp.ClientSession, kind: str) -> None:
    make, body, _ = BODIES[kind]
    served = await serve(_as_handler(make))
    url = str(served.url)
    async with peer.get(url) as answer:
        assert await answer.read() == body
    async with httpx.AsyncClient() as client:
        assert (await client.get(url)).content == body
    for option in ("--http1.1", "--http1.0"):
        process = await asyncio.create_subprocess_exec("curl", "-sS", option, url, stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == body


# Back-pressure.


async def _read_nothing(handler: Any, seconds: float = 0.5) -> list[int]:
    """Ask a handler by a peer that reads nothing; the sizes of the server's write buffers after a while."""
    server = Server(handler, access_log=None)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    with socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.connect(listening.sockets[0].getsockname())
        peer.sendall(GET)
        await asyncio.sleep(seconds)
        sizes = [connection.transport.get_write_buffer_size() for connection in server.connections]
    listening.close()
    await server.shutdown(1)
    return sizes


@pytest.mark.parametrize("size", [100, 10_000, 1_000_000])
async def test_a_084_stream_that_nobody_reads_is_held_up_after_little(size: int) -> None:
    sent = 0

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100_000_000:
            sent += size
            await response.write(b"x" * size)
        return response

    buffered = await _read_nothing(handler)

    assert buffered
    assert buffered[0] <= CORK_BYTES + size
    assert sent < 20_000_000


async def test_a_084_large_body_that_nobody_reads_is_held_once() -> None:
    body = bytes(100_000_000)

    buffered = await _read_nothing(_as_handler(lambda: web.Response(body=body)))

    assert buffered[0] <= len(body) + 1000


async def test_stream_goes_on_once_its_peer_reads(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b"x" * 200_000)
        return response

    client = await connect(await serve(handler))
    await client.send(GET)
    await asyncio.sleep(0.1)

    assert len((await client.read_answer()).body) == 20_000_000


@pytest.mark.parametrize("fields", ["", "Connection: close\r\n"])
async def test_a_large_body_reaches_a_slow_peer_whole_over_tls(tls: Tls, fields: str) -> None:
    size = 8_000_000

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=bytes(size))

    def read_slowly(port: int) -> int:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        plain.connect(("127.0.0.1", port))
        got = 0
        with tls.client.wrap_socket(plain, server_hostname="localhost") as peer:
            peer.sendall(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())
            while got < size and (piece := peer.recv(65_536)):
                got += len(piece)
                time.sleep(0.005)
        return got

    server = Server(handler, access_log=None, deadlines=Deadlines(keepalive_seconds=0.5))
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(server, "127.0.0.1", 0, ssl=tls.server, ssl_shutdown_timeout=0.5)
    try:
        assert await asyncio.to_thread(read_slowly, listener.sockets[0].getsockname()[1]) >= size
    finally:
        listener.close()
        await server.shutdown(1)
