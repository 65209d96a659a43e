"""Heads and chunk lines, as both wires write them."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from multidict import CIMultiDict, istr

from corelet.errors import LocalProtocolError
from corelet.hdrs import HttpVersion10, HttpVersion11

LINE = b"HTTP/1.1 200 OK\r\n"
CONTROLS = [chr(code) for code in (*range(0x09), *range(0x0A, 0x20), 0x7F)]


def test_response_head_has_all_parts_in_their_order(wire: ModuleType) -> None:
    headers = CIMultiDict([("X-A", "b"), ("x-a", "é"), (istr("X-Raw"), "\udcff"), ("E", "")])
    made = wire.serialize_response_head(LINE, headers, "text/plain", 2, b"Server: corelet\r\n", b"ok")
    fields = b"X-A: b\r\nx-a: \xc3\xa9\r\nX-Raw: \xff\r\nE: \r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
    assert made == LINE + fields + b"Server: corelet\r\n\r\nok"


def test_response_head_leaves_out_what_is_not_given(wire: ModuleType) -> None:
    assert wire.serialize_response_head(LINE, None, None, -1, b"") == LINE + b"\r\n"
    assert wire.serialize_response_head(LINE, {}, None, 0, b"", b"") == LINE + b"Content-Length: 0\r\n\r\n"
    largest = wire.serialize_response_head(LINE, None, None, 2**63 - 1, b"")
    assert largest == LINE + b"Content-Length: 9223372036854775807\r\n\r\n"


def test_plain_response_has_the_length_of_its_body(wire: ModuleType) -> None:
    automatic = b"Server: corelet\r\n"
    for headers, body in ((None, b""), (CIMultiDict({"X-A": "é", "Dated": "b"}), b"ok")):
        made = wire.serialize_plain_response(LINE, headers, "a/b", automatic, body)
        assert made == wire.serialize_response_head(LINE, headers, "a/b", len(body), automatic, body)


@pytest.mark.parametrize("name", ["Date", "SERVER", "connection", "Content-Length", "Transfer-Encoding"])
def test_response_with_a_deciding_field_is_not_plain(wire: ModuleType, name: str) -> None:
    assert wire.serialize_plain_response(LINE, CIMultiDict({"X": "y", name: "z"}), None, b"", b"") is None


def test_many_fields_are_written(wire: ModuleType) -> None:
    fields = [(f"X-{number}", "v" * number) for number in range(200)]
    made = wire.serialize_response_head(LINE, CIMultiDict(fields), None, -1, b"")
    assert made == LINE + b"".join(b"%b: %b\r\n" % (n.encode(), v.encode()) for n, v in fields) + b"\r\n"


def test_request_head_is_written(wire: ModuleType) -> None:
    made = wire.serialize_request_head("GET", "/a?b", HttpVersion11, CIMultiDict(Host="a", X="é"))
    assert made == b"GET /a?b HTTP/1.1\r\nHost: a\r\nX: \xc3\xa9\r\n\r\n"
    assert wire.serialize_request_head("OPTIONS", "*", HttpVersion10, CIMultiDict()) == b"OPTIONS * HTTP/1.0\r\n\r\n"


def test_request_head_ends_with_lines_that_were_made_before(wire: ModuleType) -> None:
    lines = wire.serialize_fields(CIMultiDict([("Accept", "*/*"), ("X", "é"), ("x", "")]))
    assert lines == b"Accept: */*\r\nX: \xc3\xa9\r\nx: \r\n"
    made = wire.serialize_request_head("GET", "/", HttpVersion11, {"Host": "a"}, lines)
    assert made == b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"
    assert (
        wire.serialize_request_head("GET", "/", HttpVersion10, None, lines) == b"GET / HTTP/1.0\r\n" + lines + b"\r\n"
    )
    assert wire.serialize_fields(CIMultiDict()) == b""


@pytest.mark.parametrize(
    ("method", "target", "what"),
    [
        ("", "/", "method is not a token: ''"),
        ("GET ", "/", "method is not a token: 'GET '"),
        ("GÉT", "/", r"method is not a token: 'G\xc9T'"),
        ("GET", "", "target is not visible ASCII without a fragment: ''"),
        ("GET", "/a b", "target is not visible ASCII without a fragment: '/a b'"),
        ("GET", "/\r\nX: y", r"target is not visible ASCII without a fragment: '/\r\nX: y'"),
        ("GET", "/é", r"target is not visible ASCII without a fragment: '/\xe9'"),
        ("GET", "/a#b", "target is not visible ASCII without a fragment: '/a#b'"),
        ("GET", "/\ud800", r"target is not visible ASCII without a fragment: '/\ud800'"),
    ],
)
def test_bad_request_line_is_not_sent(wire: ModuleType, method: str, target: str, what: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        wire.serialize_request_head(method, target, HttpVersion11, CIMultiDict())
    assert str(caught.value) == what


def senders(wire: ModuleType, name: Any, value: Any) -> list[Any]:
    """Every way for a field to get out."""
    headers = {name: value}
    return [
        lambda: wire.check_field(name, value),
        lambda: wire.serialize_response_head(LINE, headers, None, -1, b""),
        lambda: wire.serialize_plain_response(LINE, headers, None, b"", b""),
        lambda: wire.serialize_fields(headers),
        lambda: wire.serialize_request_head("GET", "/", HttpVersion11, headers),
    ]


@pytest.mark.parametrize("value", ["", " ", "a\tb", "é", "日本", "\x80", "\udc80", "a" * 10_000, '"quoted; {text}"'])
def test_sendable_value_is_sent(wire: ModuleType, value: str) -> None:
    for send in senders(wire, "X", value):
        send()
    head = wire.serialize_response_head(LINE, {"X": value}, None, -1, b"")
    assert head == LINE + b"X: " + value.encode("utf-8", "surrogateescape") + b"\r\n\r\n"


@pytest.mark.parametrize("control", CONTROLS)
def test_control_character_is_not_sent(wire: ModuleType, control: str) -> None:
    for value in (
        control,
        f"a{control}",
        f"{control}b",
        f"a longer value{control}",
        f"é{control}",
        f"\udcff{control}\ud800",
    ):
        for send in (
            *senders(wire, "X-Name", value),
            lambda value=value: wire.serialize_response_head(LINE, None, value, -1, b""),
        ):
            with pytest.raises(
                LocalProtocolError, match=r"^value of field '(X-Name|Content-Type)' has a control character: "
            ):
                send()
        with pytest.raises(LocalProtocolError, match=r"^reason phrase has a control character: "):
            wire.make_status_line(HttpVersion11, 200, value)


@pytest.mark.parametrize(
    "name", ["", "a b", "a:", "é", "a\r", "a\n", "\0", "(a)", "a,b", "a/b", "\ud800", '"a"', "x" * 100 + " "]
)
def test_name_that_is_no_token_is_not_sent(wire: ModuleType, name: str) -> None:
    for send in senders(wire, name, "v"):
        with pytest.raises(LocalProtocolError, match=r"^field name is not a token: ") as caught:
            send()
        assert str(caught.value) == f"field name is not a token: {name!a}"


def test_lone_surrogate_is_not_sent(wire: ModuleType) -> None:
    for send in senders(wire, "X", "\ud800"):
        with pytest.raises(LocalProtocolError, match=r"^value of field 'X' has a lone surrogate: "):
            send()
    with pytest.raises(LocalProtocolError, match=r"^reason phrase has a lone surrogate: "):
        wire.make_status_line(HttpVersion11, 200, "\ud800")


def test_text_that_is_no_str_is_not_sent(wire: ModuleType) -> None:
    for send in senders(wire, "X", 5):
        with pytest.raises(TypeError, match=r"^field 'X' takes a str, not int$"):
            send()
    for send in senders(wire, b"X", "v"):
        with pytest.raises(TypeError, match=r"^field name is not a str: b'X'$"):
            send()


def test_status_line_is_written(wire: ModuleType) -> None:
    assert wire.make_status_line(HttpVersion11, 200, "OK") == b"HTTP/1.1 200 OK\r\n"
    assert wire.make_status_line(HttpVersion10, 999, "Très\tbien \udcff") == b"HTTP/1.0 999 Tr\xc3\xa8s\tbien \xff\r\n"
    assert wire.make_status_line((1, 1), 204, "") == b"HTTP/1.1 204 \r\n"
    for status in (99, 1000, -200):
        with pytest.raises(LocalProtocolError, match=f"^status is not from 100 to 999: {status}$"):
            wire.make_status_line(HttpVersion11, status, "")


def test_chunk_line_is_written(wire: ModuleType) -> None:
    assert [wire.make_chunk_line(size) for size in (1, 10, 65536)] == [b"1\r\n", b"a\r\n", b"10000\r\n"]
    assert wire.LAST_CHUNK == b"0\r\n\r\n"
    for size in (0, -1):
        with pytest.raises(LocalProtocolError, match=f"^chunk size is below 1: {size}$"):
            wire.make_chunk_line(size)
