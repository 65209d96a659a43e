"""Responses, as both wires read them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from corelet.abc import CHUNK_END, END_OF_MESSAGE, PAUSED
from corelet.errors import HeadTooLarge, RemoteProtocolError
from corelet.hdrs import HttpVersion10, HttpVersion11
from corelet.limits import Limits

OK = b"HTTP/1.1 200 OK\r\n"


def make_parser(wire: ModuleType, *methods: str, **options: Any) -> Any:
    parser = wire.ResponseParser(**options)
    for method in methods or ("GET",):
        parser.expect(method)
    return parser


def parse(wire: ModuleType, data: bytes, *methods: str, ends: bool = False, **options: Any) -> list[Any]:
    """All events of some bytes that answer requests of these methods."""
    parser = make_parser(wire, *methods, **options)
    parser.feed_data(data)
    if ends:
        parser.feed_eof()
    return drain(parser)


def drain(parser: Any) -> list[Any]:
    events = []
    while (event := parser.next_event()) not in (None, PAUSED):
        events.append(event)
    return events


def refuse(wire: ModuleType, data: bytes, *methods: str, **options: Any) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        parse(wire, data, *methods, **options)
    return caught.value


def test_head_tells_what_was_sent(wire: ModuleType) -> None:
    head = parse(wire, b"HTTP/1.1 404 Tr\xc3\xa8s\tbien \xff\r\nX-A:  b \r\nContent-Length: 5\r\n\r\n")[0]
    assert (head.version, head.status, head.reason) == (HttpVersion11, 404, "Très\tbien \udcff")
    assert (head.keep_alive, head.upgrade, head.is_interim) == (True, False, False)
    assert (head.chunked, head.content_length, head.has_body) == (False, 5, True)
    assert head.raw_headers == ((b"X-A", b"b"), (b"Content-Length", b"5"))
    assert (head.headers["x-a"], head.field("x-a")) == ("b", "b")
    assert repr(head) == "<ResponseHead 404 Très\tbien \udcff>"


@pytest.mark.parametrize(
    ("line", "reason"), [("200", ""), ("200 ", ""), ("200  ", " "), ("599 X", "X"), ("999 \t", "\t")]
)
def test_reason_may_be_missing(wire: ModuleType, line: str, reason: str) -> None:
    head = parse(wire, f"HTTP/1.1 {line}\r\n\r\n".encode())[0]
    assert (head.status, head.reason) == (int(line[:3]), reason)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("2000 OK", "invalid byte 0x30 in the status code"),
        ("abc OK", "invalid byte 0x61 in the status code"),
        ("20 OK", "invalid byte 0x20 in the status code"),
        ("+20 OK", "invalid byte 0x2b in the status code"),
        ("200\tOK", "invalid byte 0x09 in the status code"),
        ("200 O\0", "invalid byte 0x00 in the reason phrase"),
        ("200 O\rK", "invalid byte 0x4b after CR, expected LF"),
        ("200 OK\nX", "invalid byte 0x0a in the reason phrase"),
        ("099 X", "status 099 is below 100"),
        ("000", "status 000 is below 100"),
    ],
)
def test_bad_status_is_refused(wire: ModuleType, line: str, what: str) -> None:
    assert str(refuse(wire, f"HTTP/1.1 {line}\r\n\r\n".encode())) == what


@pytest.mark.parametrize(
    ("start", "what"),
    [
        ("ICY 200 OK", "invalid byte 0x49 at the start of a response"),
        ("\r\nHTTP/1.1 200 OK", "invalid byte 0x0d at the start of a response"),
        ("http/1.1 200 OK", "invalid byte 0x68 at the start of a response"),
        ("HTTP/1.1", "invalid byte 0x0d in the HTTP version"),
        ("HTTP/11 200 OK", "invalid byte 0x31 in the HTTP version"),
        ("HTTQ/1.1 200 OK", "invalid byte 0x51 in the HTTP version"),
        ("HTTP/1.1  200 OK", "invalid byte 0x20 in the status code"),
        ("HTTP/2.0 200 OK", "HTTP version 2.0 is not 1.0 or 1.1"),
    ],
)
def test_bad_start_is_refused(wire: ModuleType, start: str, what: str) -> None:
    assert str(refuse(wire, f"{start}\r\n\r\n".encode())) == what


def test_body_without_framing_lasts_until_the_end(wire: ModuleType) -> None:
    head, body, end = parse(wire, OK + b"\r\nhello\r\n\r\n", ends=True)
    assert (head.content_length, head.chunked, head.keep_alive, head.has_body) == (None, False, False, True)
    assert (body, end) == (b"hello\r\n\r\n", END_OF_MESSAGE)
    assert parse(wire, OK + b"\r\n", ends=True)[1:] == [END_OF_MESSAGE]
    assert parse(wire, OK + b"\r\n")[1:] == []


def test_body_until_the_end_is_not_copied(wire: ModuleType) -> None:
    parser = make_parser(wire)
    parser.feed_data(OK + b"\r\n")
    drain(parser)
    data = bytes(1000)
    parser.feed_data(data)
    assert parser.next_event() is data


def test_framed_bodies_end(wire: ModuleType) -> None:
    by_length = OK + b"Content-Length: 5\r\n\r\nhello"
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"
    for data in (by_length, chunked):
        head, body, end = parse(wire, data)
        assert (head.keep_alive, head.has_body, body, end) == (True, True, b"hello", END_OF_MESSAGE)
    assert parse(wire, chunked, chunk_marks=True)[1:] == [b"hello", CHUNK_END, END_OF_MESSAGE]


@pytest.mark.parametrize(
    ("method", "start"),
    [("HEAD", "200 OK"), ("GET", "204 No Content"), ("GET", "304 Not Modified"), ("HEAD", "404 Not Found")],
)
def test_some_answers_have_no_body(wire: ModuleType, method: str, start: str) -> None:
    for framing in ("Content-Length: 5", "Transfer-Encoding: chunked", "X: y"):
        data = f"HTTP/1.1 {start}\r\n{framing}\r\n\r\n".encode() + OK + b"Content-Length: 0\r\n\r\n"
        head, end, second, _ = parse(wire, data, method, "GET")
        assert (head.has_body, head.keep_alive, end, second.status) == (False, True, END_OF_MESSAGE, 200)


def test_interim_answers_come_before_the_final_one(wire: ModuleType) -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n"
    parser = make_parser(wire)
    parser.feed_data(data)
    assert [head.is_interim for head in drain(parser)] == [True, True]
    assert not parser.is_idle
    parser.feed_data(OK + b"Content-Length: 2\r\n\r\nok")
    head, body, end = drain(parser)
    assert (head.is_interim, body, end, parser.is_idle) == (False, b"ok", END_OF_MESSAGE, True)


def test_interim_answers_are_limited(wire: ModuleType) -> None:
    interim, final = b"HTTP/1.1 102 Processing\r\n\r\n", OK + b"Content-Length: 0\r\n\r\n"
    assert len(parse(wire, (interim * 16 + final) * 2, "GET", "GET")) == 36
    assert str(refuse(wire, interim * 17)) == "over 16 interim responses to one request"


def test_switched_protocol_pauses(wire: ModuleType) -> None:
    parser = make_parser(wire)
    parser.feed_data(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nrest")
    head, end = drain(parser)
    assert (head.upgrade, head.is_interim, head.has_body, end) == (True, False, False, END_OF_MESSAGE)
    assert parser.next_event() is PAUSED
    assert parser.take_rest() == b"rest"


@pytest.mark.parametrize(
    ("version", "fields"),
    [
        ("1.1", ""),
        ("1.1", "Upgrade: x\r\n"),
        ("1.1", "Connection: upgrade\r\n"),
        ("1.0", "Connection: upgrade\r\nUpgrade: x\r\n"),
    ],
)
def test_101_without_an_upgrade_is_refused(wire: ModuleType, version: str, fields: str) -> None:
    assert str(refuse(wire, f"HTTP/{version} 101 X\r\n{fields}\r\n".encode())) == "status 101 without an upgrade"


def test_tunnel_pauses_and_a_refused_one_does_not(wire: ModuleType) -> None:
    parser = make_parser(wire, "CONNECT")
    parser.feed_data(OK + b"Content-Length: 5\r\n\r\nrest")
    head, end = drain(parser)
    assert (head.has_body, head.upgrade, end) == (False, False, END_OF_MESSAGE)
    assert parser.next_event() is PAUSED
    assert parser.take_rest() == b"rest"
    refused = parse(wire, b"HTTP/1.1 407 X\r\nContent-Length: 2\r\n\r\nno", "CONNECT")
    assert refused[1:] == [b"no", END_OF_MESSAGE]


def test_response_that_nobody_expects_is_refused(wire: ModuleType) -> None:
    parser = wire.ResponseParser()
    parser.feed_data(b"H")
    with pytest.raises(RemoteProtocolError, match="response that no request asked for"):
        parser.next_event()
    answer = OK + b"Content-Length: 0\r\n\r\n"
    assert str(refuse(wire, answer + b"H")) == "response that no request asked for"
    assert len(parse(wire, answer * 2, "GET", "GET")) == 4


def test_nothing_is_read_after_close(wire: ModuleType) -> None:
    events = parse(wire, OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n\0" + OK, "GET", "GET")
    assert events[1:] == [END_OF_MESSAGE]


@pytest.mark.parametrize(
    ("version", "field", "keep_alive"),
    [
        ("1.1", "X: y", True),
        ("1.1", "Connection: close", False),
        ("1.0", "X: y", False),
        ("1.0", "Connection: keep-alive", True),
    ],
)
def test_keep_alive_follows_version_and_connection(
    wire: ModuleType, version: str, field: str, keep_alive: bool
) -> None:
    head = parse(wire, f"HTTP/{version} 200 OK\r\nContent-Length: 0\r\n{field}\r\n\r\n".encode())[0]
    assert head.keep_alive is keep_alive
    assert head.version == (HttpVersion11 if version == "1.1" else HttpVersion10)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ("Content-Length: 5, 6", "Content-Length is not a number: '5, 6'"),
        ("Content-Length: 5\r\nContent-Length: 5", "Content-Length is repeated"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "both Content-Length and Transfer-Encoding"),
        ("Transfer-Encoding: gzip", "Transfer-Encoding is not chunked: 'gzip'"),
    ],
)
def test_ambiguous_framing_is_refused(wire: ModuleType, fields: str, what: str) -> None:
    assert str(refuse(wire, OK + f"{fields}\r\n\r\n".encode())) == what


def test_transfer_coding_in_1_0_is_refused(wire: ModuleType) -> None:
    error = refuse(wire, b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert str(error) == "Transfer-Encoding in HTTP/1.0"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "connection closed before the response"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "connection closed before the response"),
        (b"HTTP/1.1 200", "connection closed in the middle of a head"),
        (OK + b"Content-Length: 5\r\n\r\nhell", "connection closed in the middle of a body"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", "connection closed in the middle of a body"),
    ],
)
def test_answer_cut_short_is_an_error(wire: ModuleType, data: bytes, what: str) -> None:
    assert str(refuse(wire, data, ends=True)) == what


def test_end_after_the_answer_is_none(wire: ModuleType) -> None:
    assert len(parse(wire, OK + b"Content-Length: 0\r\n\r\n", ends=True)) == 2
    parser = wire.ResponseParser()
    parser.feed_eof()
    assert parser.next_event() is None


def test_status_line_is_limited(wire: ModuleType) -> None:
    limits = Limits(max_line_bytes=15)
    assert parse(wire, OK + b"\r\n", limits=limits)
    error = refuse(wire, b"HTTP/1.1 200 OK!", limits=limits)
    assert (type(error), str(error)) == (HeadTooLarge, "status line is over 15 bytes (Limits.max_line_bytes)")
