"""Requests, as both wires read them."""

from __future__ import annotations

import gc
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

from corelet.abc import CHUNK_END, END_OF_MESSAGE, PAUSED
from corelet.errors import HeadTooLarge, RemoteProtocolError, TargetTooLong
from corelet.hdrs import HttpVersion11
from corelet.limits import Limits


def parse(wire: ModuleType, data: bytes, **options: Any) -> list[Any]:
    """All events of some bytes."""
    parser = wire.RequestParser(**options)
    parser.feed_data(data)
    return drain(parser)


def drain(parser: Any) -> list[Any]:
    events = []
    while (event := parser.next_event()) not in (None, PAUSED):
        events.append(event)
    return events


def parse_head(wire: ModuleType, data: bytes) -> Any:
    return parse(wire, data)[0]


def get(target: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request with a Host and no body."""
    lines = [f"{method} {target} HTTP/{version}", "Host: a", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(framing: str, body: bytes) -> bytes:
    return get("/", framing, method="POST") + body


def refuse(wire: ModuleType, data: bytes, **options: Any) -> RemoteProtocolError:
    """The error of some bytes."""
    with pytest.raises(RemoteProtocolError) as caught:
        parse(wire, data, **options)
    return caught.value


# -- heads -------------------------------------------------------------------------------------------------------------


def test_head_tells_what_was_sent(wire: ModuleType) -> None:
    head = parse_head(
        wire, b"GET /a/b?c=d HTTP/1.1\r\nHost: example.com:80\r\nX-A: \t b c \t\r\nx-a: \xff\r\nE:\r\n\r\n"
    )
    assert (head.method, head.target, head.path, head.query) == ("GET", "/a/b?c=d", "/a/b", "c=d")
    assert (head.version, head.host, head.authority, head.scheme) == (HttpVersion11, "example.com:80", None, None)
    assert (head.keep_alive, head.upgrade, head.expect_continue) == (True, False, False)
    assert (head.chunked, head.content_length, head.has_body) == (False, None, False)
    assert head.raw_headers == ((b"Host", b"example.com:80"), (b"X-A", b"b c"), (b"x-a", b"\xff"), (b"E", b""))
    assert head.raw_headers is head.raw_headers
    assert repr(head) == "<RequestHead GET /a/b?c=d>"


def test_header_map_is_made_once_and_keeps_order_and_case(wire: ModuleType) -> None:
    head = parse_head(wire, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \xc3\xa9\r\nx-a: \xe9\r\n\r\n")
    assert head.headers.getall("X-A") == ["é", "\udce9"]
    assert [name for name, _ in head.headers.items()] == ["Host", "X-A", "x-a"]
    assert head.headers is head.headers


def test_field_finds_the_first_value_in_any_case(wire: ModuleType) -> None:
    head = parse_head(wire, get("/", "X-Token: one", "x-token: two"))
    assert head.field("x-token") == head.field("X-Token") == "one"
    assert head.field("x-other") is head.field("") is head.field("ü") is None
    with pytest.raises(TypeError, match=r"field\(\) takes a str, not bytes"):
        head.field(b"x-token")


def test_head_is_read_only(wire: ModuleType) -> None:
    head = parse_head(wire, get("/"))
    for name in ("method", "path", "keep_alive", "raw_headers"):
        with pytest.raises(AttributeError):
            setattr(head, name, None)


@pytest.mark.parametrize(
    "method", ["GET", "PUT", "POST", "HEAD", "PATCH", "TRACE", "DELETE", "OPTIONS", "M-SEARCH", "get"]
)
def test_method_is_any_token(wire: ModuleType, method: str) -> None:
    assert parse_head(wire, get("/", method=method)).method == method


def test_method_over_its_limit_is_not_implemented(wire: ModuleType) -> None:
    assert parse_head(wire, get("/", method="M" * 32)).method == "M" * 32
    assert refuse(wire, get("/", method="M" * 33)).status_hint == 501


@pytest.mark.parametrize(
    ("target", "path", "query", "scheme", "authority"),
    [
        ("/", "/", "", None, None),
        ("//evil.example/x", "//evil.example/x", "", None, None),
        ("/a?", "/a", "", None, None),
        ("/a?b?c=%zz", "/a", "b?c=%zz", None, None),
        ("http://a", "/", "", "http", "a"),
        ("http://a/", "/", "", "http", "a"),
        ("http://a?b", "/", "b", "http", "a"),
        ("HTTPS://a.example:8443/x/y?z", "/x/y", "z", "https", "a.example:8443"),
        ("http://[::1]:80/x", "/x", "", "http", "[::1]:80"),
        ("http://a/b@c:d", "/b@c:d", "", "http", "a"),
    ],
)
def test_target_is_taken_apart(
    wire: ModuleType, target: str, path: str, query: str, scheme: str | None, authority: str | None
) -> None:
    head = parse_head(wire, get(target))
    assert (head.target, head.path, head.query) == (target, path, query)
    assert (head.scheme, head.authority, head.host) == (scheme, authority, "a")


def test_asterisk_is_for_options_and_authority_for_connect(wire: ModuleType) -> None:
    options = parse_head(wire, get("*", method="OPTIONS"))
    assert (options.path, options.query, options.authority, options.is_plain) == ("*", "", None, True)
    connect = parse_head(wire, get("a.example:443", method="CONNECT"))
    assert (connect.path, connect.query, connect.authority, connect.scheme) == ("", "", "a.example:443", None)


@pytest.mark.parametrize(
    "target",
    [
        *("*", "a", "a:80", "x/y", "?a", "/a#b", "#", "/\x7f", "/\x80", "/%", "/%4", "/%4g", "/a%00b", "/%zz?a"),
        *("http:///x", "http://", "http:/a", "http://@a", "http://u@a", "http://a:65536", "http://a:x", "http://[::1"),
        *("ftp://a/", "http//a", "https:a", "http://a/%00", "http://a b/"),
    ],
)
def test_bad_target_is_refused(wire: ModuleType, target: str) -> None:
    assert refuse(wire, get(target)).status_hint == 400


@pytest.mark.parametrize(
    "target", ["/x", "*", "a", "a:", "a:0", "a:00", "a:65536", "a:b", ":80", "u@a:80", "http://a:80", "[::1]"]
)
def test_connect_needs_host_and_port(wire: ModuleType, target: str) -> None:
    assert refuse(wire, get(target, method="CONNECT")).status_hint == 400


@pytest.mark.parametrize(
    ("path", "is_plain"),
    [
        ("/a-b._~!$&'()*+,;=:@/", True),
        ("/%41", False),
        ('/"', False),
        ("/a?%41", True),
        ("http://a", True),
        ("/|", False),
    ],
)
def test_plain_path_needs_no_normalising(wire: ModuleType, path: str, is_plain: bool) -> None:
    assert parse_head(wire, get(path)).is_plain is is_plain


@pytest.mark.parametrize("minor", [1, 2, 9])
def test_higher_minor_version_is_read_as_1_1(wire: ModuleType, minor: int) -> None:
    assert parse_head(wire, get("/", version=f"1.{minor}")).version == HttpVersion11


@pytest.mark.parametrize("version", ["0.9", "2.0", "3.0"])
def test_other_major_version_is_not_supported(wire: ModuleType, version: str) -> None:
    assert refuse(wire, get("/", version=version)).status_hint == 505


def test_http2_preface_is_not_supported(wire: ModuleType) -> None:
    assert refuse(wire, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").status_hint == 505


@pytest.mark.parametrize("version", ["1", "11", "1.10", "01.1", "1.1.1", "1.x", "x.1", "1.1x", " 1.1", "1.1 "])
def test_malformed_version_is_refused(wire: ModuleType, version: str) -> None:
    assert refuse(wire, get("/", version=version)).status_hint == 400


def test_one_empty_line_may_come_before_a_request(wire: ModuleType) -> None:
    events = parse(wire, b"\r\n" + get("/1") + b"\r\n" + get("/2"))
    assert [event.path for event in events[::2]] == ["/1", "/2"]
    for data in (b"\r\n\r\n" + get("/"), b"\n" + get("/"), b"\rGET", b"\r\r\n", get("/") + b"\r\n\r"):
        assert refuse(wire, data).status_hint == 400


# -- refused at the first bad byte -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x16", "invalid byte 0x16 at the start of a request"),
        (b" ", "invalid byte 0x20 at the start of a request"),
        (b"GE\0", "invalid byte 0x00 in the method"),
        (b"GET\n", "invalid byte 0x0a in the method"),
        (b"GET  ", "invalid byte 0x20 at the start of the request target"),
        (b"GET /a\n", "invalid byte 0x0a in the request target"),
        (b"GET /a\r", "invalid byte 0x0d in the request target"),
        (b"GET / HTTP/1.1\n", "invalid byte 0x0a in the HTTP version"),
        (b"GET / HTTP/1.1\rX", "invalid byte 0x58 after CR, expected LF"),
        (b"GET / h", "invalid byte 0x68 in the HTTP version"),
        (b"GET / HTTP/1.1\r\n ", "invalid byte 0x20 at the start of a field line"),
        (b"GET / HTTP/1.1\r\n:", "invalid byte 0x3a at the start of a field line"),
        (b"GET / HTTP/1.1\r\n\n", "invalid byte 0x0a at the start of a field line"),
        (b"GET / HTTP/1.1\r\nHost ", "invalid byte 0x20 in a field name"),
        (b"GET / HTTP/1.1\r\nHost\r", "invalid byte 0x0d in a field name"),
        (b"GET / HTTP/1.1\r\nX\xc3", "invalid byte 0xc3 in a field name"),
        (b"GET / HTTP/1.1\r\nHost: a\n", "invalid byte 0x0a in a field value"),
        (b"GET / HTTP/1.1\r\nHost: a\x7f", "invalid byte 0x7f in a field value"),
        (b"GET / HTTP/1.1\r\nHost: a long one, \x01", "invalid byte 0x01 in a field value"),
        (b"GET / HTTP/1.1\r\nHost: a\rb", "invalid byte 0x62 after CR, expected LF"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\rb", "invalid byte 0x62 after CR, expected LF"),
        (b"GET / HTTP/1.1\r\nContent-Length: -5\r\n", "Content-Length is not a number: '-5'"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n", "Host is not host[:port]: 'a b'"),
    ],
)
def test_bad_input_is_refused_at_its_first_bad_byte(wire: ModuleType, data: bytes, what: str) -> None:
    parser = wire.RequestParser()
    for byte in data[:-1]:
        parser.feed_data(bytes((byte,)))
        assert parser.next_event() is None
    parser.feed_data(data[-1:])
    with pytest.raises(RemoteProtocolError) as caught:
        parser.next_event()
    assert str(caught.value) == str(refuse(wire, data)) == str(refuse(wire, data + b"more\r\n\r\n")) == what


@pytest.mark.parametrize("byte", [*range(0x09), *range(0x0A, 0x20), 0x7F])
def test_no_control_byte_is_taken_in_a_head(wire: ModuleType, byte: int) -> None:
    for place in (
        "G%cT / HTTP/1.1\r\n",
        "GET /%c HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nX%c: y\r\n",
        "GET / HTTP/1.1\r\nX: %cy\r\n",
    ):
        refuse(wire, (place % byte).encode("latin-1"))


def test_dead_parser_repeats_its_error(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(get("/", "Content-Length: x"))
    calls = (parser.next_event, parser.next_event, parser.feed_eof, parser.resume, parser.take_rest)
    for call in (*calls, lambda: parser.feed_data(b"GET")):
        with pytest.raises(RemoteProtocolError, match="Content-Length is not a number: 'x'"):
            call()
    assert parser.buffered == 0


def test_dead_parser_is_in_no_cycle(wire: ModuleType) -> None:
    gc.collect()
    gc.disable()
    try:
        with suppress(RemoteProtocolError):
            parse(wire, b"\0")
        assert gc.collect() == 0
    finally:
        gc.enable()


# -- Host --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    [
        *(
            "a",
            "a.example",
            "my_host",
            "a:80",
            "a:",
            "a:0",
            "a:00000080",
            "a:65535",
            "1.2.3.4",
            "999.1",
            "a%41",
            "a,b",
            "!$&'()*+;=",
        ),
        *(
            "[::1]",
            "[::]:80",
            "[1:2:3:4:5:6:7:8]",
            "[1:2:3:4:5:6:7::]",
            "[::2:3:4:5:6:7:8]",
            "[::ffff:1.2.3.4]",
            "[1::8]",
        ),
        *("[1:2:3:4:5:6:1.2.3.4]", "[fe80::abcd:EF01]", "[v1.a:b]", "[VF.~]", ""),
    ],
)
def test_valid_host_is_taken(wire: ModuleType, host: str) -> None:
    assert parse_head(wire, f"GET / HTTP/1.1\r\nHost:{host}\r\n\r\n".encode()).host == host


@pytest.mark.parametrize(
    "host",
    [
        *(
            "a b",
            "a/b",
            "u@a",
            "a\\b",
            "a, b",
            "http://a/",
            "a#b",
            "a?b",
            ":80",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:-1",
            "a:+80",
        ),
        *("a:" + "9" * 30, "é", "a%", "a%4", "a%zz", "a%00", "<a>", "a|b", '"a"', "^", "`", "{a}", "a:80 x"),
        *(
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[:]",
            "[:::]",
            "[1]",
            "[1:2:3:4:5:6:7]",
            "[1:2:3:4:5:6:7:8:9]",
            "[1::2::3]",
            "[::1:]",
        ),
        *(
            "[12345::]",
            "[::g]",
            "[1:2:3:4:5:6:7:8::]",
            "[::1:2:3:4:5:6:7:8]",
            "[:1::2]",
            "[::1.2.3]",
            "[::1.2.3.256]",
            "[::01.2.3.4]",
        ),
        *(
            "[::1.2.3.4.5]",
            "[1.2.3.4]",
            "[::1.2.3.4:5]",
            "[1:2:3:4:5:6:7:1.2.3.4]",
            "[::1%25eth0]",
            "[::1]x",
            "[::1]:x",
            "[[::1]]",
        ),
        *("[v1.]", "[v.a]", "[v1a]", "[vg.a]", "[v1.a/b]", "[::1.2.3.]", "[::ff.2.3.4]"),
    ],
)
def test_invalid_host_is_refused(wire: ModuleType, host: str) -> None:
    error = refuse(wire, f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert (error.status_hint, str(error)[:25]) == (400, "Host is not host[:port]: ")


def test_host_stands_once_and_may_lack_in_1_0_only(wire: ModuleType) -> None:
    assert str(refuse(wire, b"GET / HTTP/1.1\r\n\r\n")) == "Host is missing"
    assert str(refuse(wire, get("/", "hOST: a"))) == "Host is repeated"
    assert str(refuse(wire, get("/", "Host: a", version="1.0"))) == "Host is repeated"
    assert parse_head(wire, b"GET / HTTP/1.0\r\n\r\n").host is None


@pytest.mark.parametrize("name", ["Content-Type", "Authorization", "Content-Range"])
def test_singleton_stands_once(wire: ModuleType, name: str) -> None:
    assert str(refuse(wire, get("/", f"{name}: a", f"{name.upper()}: a"))) == f"{name} is repeated"


# -- framing -----------------------------------------------------------------------------------------------------------


def test_body_by_length_ends_the_message(wire: ModuleType) -> None:
    head, body, end, _, _ = parse(wire, post("Content-Length: 5", b"hello") + get("/2"))
    assert (head.content_length, head.has_body, head.chunked) == (5, True, False)
    assert (body, end) == (b"hello", END_OF_MESSAGE)


def test_length_of_zero_is_no_body(wire: ModuleType) -> None:
    head, end = parse(wire, post("Content-Length: 000", b""))
    assert (head.content_length, head.has_body, end) == (0, False, END_OF_MESSAGE)


def test_body_that_is_all_of_a_read_is_not_copied(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(post("Content-Length: 1000000", b""))
    parser.next_event()
    data = bytes(65536)
    parser.feed_data(data)
    assert parser.next_event() is data


def test_chunk_that_is_all_of_a_read_is_not_copied(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(post("Transfer-Encoding: chunked", b"fffff\r\n"))
    assert [parser.next_event() is None for _ in range(2)] == [False, True]
    data = bytes(65536)
    parser.feed_data(data)
    assert parser.next_event() is data


@pytest.mark.parametrize(
    "value",
    [
        "+5",
        "-5",
        "-0",
        "5 6",
        "5,5",
        "5,",
        ",5",
        "0x5",
        "5e0",
        "5.0",
        "5_0",
        "five",
        "",
        "²",
        "\xa05",
        '"5"',
        "5;a",
        "9" * 19,
    ],
)
def test_bad_content_length_is_refused(wire: ModuleType, value: str) -> None:
    error = refuse(wire, get("/", f"Content-Length: {value}"))
    assert (error.status_hint, str(error).startswith("Content-Length ")) == (400, True)


def test_longest_content_length_is_read(wire: ModuleType) -> None:
    assert parse_head(wire, get("/", f"Content-Length: 000{'9' * 18}")).content_length == 10**18 - 1


def test_repeated_content_length_is_refused(wire: ModuleType) -> None:
    assert str(refuse(wire, get("/", "Content-Length: 5", "content-length: 5"))) == "Content-Length is repeated"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "gzip",
        "identity",
        "xchunked",
        "chunkedx",
        "chunked, gzip",
        "gzip, chunked",
        ", chunked",
        "chunked,",
        "chunked;a",
        "'chunked'",
    ],
)
def test_only_chunked_codes_a_transfer(wire: ModuleType, value: str) -> None:
    assert str(refuse(wire, get("/", f"Transfer-Encoding: {value}"))) == f"Transfer-Encoding is not chunked: {value!r}"


def test_ambiguous_framing_is_refused(wire: ModuleType) -> None:
    chunked = "Transfer-Encoding: chunked"
    assert str(refuse(wire, get("/", chunked, chunked))) == "Transfer-Encoding is repeated"
    assert str(refuse(wire, get("/", chunked, "Content-Length: 0"))) == "both Content-Length and Transfer-Encoding"
    assert str(refuse(wire, get("/", chunked, version="1.0"))) == "Transfer-Encoding in HTTP/1.0"
    assert str(refuse(wire, get("a:1", "Content-Length: 1", method="CONNECT"))) == "CONNECT with content"
    assert str(refuse(wire, get("a:1", chunked, method="CONNECT"))) == "CONNECT with content"


def test_chunks_at_hand_are_one_piece(wire: ModuleType) -> None:
    body = b'5\r\nhello\r\n1 ; a="\\";\xff"; b = c\r\n,\r\n006\r\n world\r\n000\r\n'
    body += b"X-T: \tv \r\nTransfer-Encoding: x\r\n\r\n"
    parser = wire.RequestParser()
    parser.feed_data(post("Transfer-Encoding: Chunked", body) + get("/2"))
    head, content, end, second, _ = drain(parser)
    assert (head.chunked, head.has_body, head.content_length) == (True, True, None)
    assert (content, end, second.path) == (b"hello, world", END_OF_MESSAGE, "/2")
    assert parser.trailers == ((b"X-T", b"v"), (b"Transfer-Encoding", b"x"))


def test_chunks_of_several_reads_are_one_piece(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(post("Transfer-Encoding: chunked", b"2\r\na"))
    parser.feed_data(b"b\r\n1\r\nc")
    parser.feed_data(b"\r\n0\r\n\r\n")
    assert parser.buffered == len(post("Transfer-Encoding: chunked", b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"))
    assert drain(parser)[1:] == [b"abc", END_OF_MESSAGE]


def test_chunk_marks_keep_chunks_apart(wire: ModuleType) -> None:
    body = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    events = parse(wire, post("Transfer-Encoding: chunked", body), chunk_marks=True)
    assert events[1:] == [b"ab", CHUNK_END, b"c", CHUNK_END, END_OF_MESSAGE]


def test_content_before_a_bad_chunk_is_given_first(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(post("Transfer-Encoding: chunked", b"5\r\nhello\r\n1\r\nx\r\n+\r\n"))
    parser.next_event()
    assert parser.next_event() == b"hellox"
    with pytest.raises(RemoteProtocolError, match="invalid byte 0x2b in a chunk size"):
        parser.next_event()


@pytest.mark.parametrize(
    ("chunk", "what"),
    [
        *((line, "in a chunk size") for line in (b"\r", b" ", b"+", b"-", b"g", b"5,", b"5_", b"0x", b"5\n", b"5=")),
        *(
            (line, "in a chunk extension")
            for line in (b"5 \r", b"5 a", b"5;\r", b"5;=", b"5;a=\r", b"5;a b", b"5;a \r", b"5;a\n")
        ),
        *(
            (line, "in a chunk extension")
            for line in (b'5;a="\r', b'5;a="\\\n', b'5;a="b"c', b"5;a=b c", b'5;"a"', b"5;a=b=", b"5;a=b \r")
        ),
        *((line, "after CR, expected LF") for line in (b"5\r5", b"5;a\rb", b"1\r\nx\rx")),
        *((line, "after the data of a chunk, expected CR") for line in (b"1\r\nxx", b"1\r\nx\n", b"0001;a\r\nx\0")),
    ],
)
def test_bad_chunk_is_refused(wire: ModuleType, chunk: bytes, what: str) -> None:
    error = refuse(wire, post("Transfer-Encoding: chunked", chunk))
    assert (error.status_hint, str(error)) == (400, f"invalid byte 0x{chunk[-1]:02x} {what}")


def test_chunk_size_has_at_most_15_digits(wire: ModuleType) -> None:
    assert parse(wire, post("Transfer-Encoding: chunked", b"0000" + b"f" * 15 + b"\r\nx"))[1] == b"x"
    for digits in (b"f" * 16, b"1" + b"0" * 16, b"f" * 300):
        assert (
            str(refuse(wire, post("Transfer-Encoding: chunked", digits + b"\r\n"))) == "chunk size has over 15 digits"
        )


def test_bad_trailer_is_refused(wire: ModuleType) -> None:
    for trailer in (b"X\r\n", b" X: y\r\n", b"X: y\n", b"X : y\r\n", b"GET /smuggled"):
        refuse(wire, post("Transfer-Encoding: chunked", b"0\r\n" + trailer))


def test_trailers_are_of_the_last_message(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    for trailer, expected in ((b"X: y\r\n", ((b"X", b"y"),)), (b"", ())):
        parser.feed_data(post("Transfer-Encoding: chunked", b"0\r\n" + trailer + b"\r\n"))
        drain(parser)
        assert parser.trailers == expected


# -- connections -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "fields", "keep_alive"),
    [
        ("1.1", (), True),
        ("1.1", ("Connection: close",), False),
        ("1.1", ("Connection: foo,\t CLOSE ,",), False),
        ("1.1", ("Connection: keep-alive", "Connection: close"), False),
        ("1.1", ("Connection: closed",), True),
        ("1.0", (), False),
        ("1.0", ("Connection: Keep-Alive",), True),
        ("1.0", ("Connection: keep-alive, close",), False),
    ],
)
def test_keep_alive_follows_version_and_connection(
    wire: ModuleType, version: str, fields: tuple[str, ...], keep_alive: bool
) -> None:
    assert parse_head(wire, get("/", *fields, version=version)).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("data", "is_simple"),
    [
        (get("/"), True),
        (get("/", "Connection: close"), False),
        (get("/", "Connection: keep-alive", version="1.0"), False),
        (get("/", "Connection: upgrade", "Upgrade: x"), False),
        (get("/", method="HEAD"), False),
        (get("a:1", method="CONNECT"), False),
        (get("/", method="FOO"), False),
    ],
)
def test_simple_request_goes_on_and_takes_a_body_in_its_answer(wire: ModuleType, data: bytes, is_simple: bool) -> None:
    assert parse_head(wire, data).is_simple is is_simple


def test_nothing_is_read_after_the_last_message(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(get("/", "Connection: close") + b"\0" + get("/smuggled"))
    assert drain(parser)[1:] == [END_OF_MESSAGE]
    parser.feed_data(b"\0")
    assert (parser.next_event(), parser.buffered, parser.is_idle) == (None, 0, True)
    parser.feed_eof()
    assert parser.next_event() is None


def test_expectation_is_for_1_1_with_a_body(wire: ModuleType) -> None:
    expect = "Expect: 100-Continue"
    assert parse_head(wire, get("/", expect, "Content-Length: 1")).expect_continue
    assert parse_head(wire, get("/", expect, "Transfer-Encoding: chunked")).expect_continue
    assert not parse_head(wire, get("/", expect)).expect_continue
    assert not parse_head(wire, get("/", expect, "Expect: bananas", "Content-Length: 1", version="1.0")).expect_continue
    for value in ("bananas", "", "100-continue, x"):
        assert refuse(wire, get("/", expect, f"Expect: {value}")).status_hint == 417


def test_offered_upgrade_pauses_after_the_message(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    offer = get("/", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Content-Length: 2")
    parser.feed_data(offer + b"ab" + get("/2"))
    head, body, end = drain(parser)
    assert (head.upgrade, body, end) == (True, b"ab", END_OF_MESSAGE)
    assert parser.next_event() is parser.next_event() is PAUSED
    parser.resume()
    assert drain(parser)[0].path == "/2"


def test_taken_upgrade_hands_over_what_was_not_read(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(get("/", "Connection: upgrade", "Upgrade: x") + b"ab")
    drain(parser)
    parser.feed_data(b"cd")
    parser.feed_data(b"ef")
    assert parser.take_rest() == b"abcdef"
    assert (parser.next_event(), parser.buffered, parser.is_idle) == (None, 0, True)
    with pytest.raises(RuntimeError, match=r"after take_rest\(\)"):
        parser.feed_data(b"x")
    parser.feed_eof()
    assert parser.next_event() is None


def test_connect_pauses(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(get("a:1", "Content-Length: 0", method="CONNECT"))
    assert drain(parser)[1:] == [END_OF_MESSAGE]
    assert parser.next_event() is PAUSED
    assert parser.take_rest() == b""


@pytest.mark.parametrize("fields", [("Upgrade: x",), ("Connection: upgrade",), ("Connection: upgrade", "Upgrade:")])
def test_half_an_offer_is_none(wire: ModuleType, fields: tuple[str, ...]) -> None:
    assert not parse_head(wire, get("/", *fields)).upgrade
    assert len(parse(wire, get("/", *fields) * 2)) == 4


def test_1_0_offers_no_upgrade(wire: ModuleType) -> None:
    assert not parse_head(wire, get("/", "Connection: upgrade, keep-alive", "Upgrade: x", version="1.0")).upgrade


def test_declined_upgrade_with_close_ends(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    parser.feed_data(get("/", "Connection: upgrade, close", "Upgrade: x") + b"\0")
    drain(parser)
    parser.resume()
    assert parser.next_event() is None


def test_only_a_paused_parser_is_resumed_or_taken_over(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    with pytest.raises(RuntimeError, match=r"resume\(\) is for a parser that gave PAUSED"):
        parser.resume()
    with pytest.raises(RuntimeError, match=r"take_rest\(\) is for a parser that gave PAUSED"):
        parser.take_rest()


# -- input -------------------------------------------------------------------------------------------------------------


def test_idle_tells_whether_a_message_has_begun(wire: ModuleType) -> None:
    parser = wire.RequestParser()
    assert parser.is_idle
    steps = [(b"\r", 0, True), (b"\n", 0, True), (b"G", 1, False), (b"ET / HTTP/1.1\r\nHost: a\r\n", 25, False)]
    for data, buffered, is_idle in steps:
        parser.feed_data(data)
        assert parser.next_event() is None
        assert (parser.buffered, parser.is_idle) == (buffered, is_idle)
    parser.feed_data(b"Content-Length: 1\r\n\r\n")
    assert parser.next_event().path == "/"
    assert (parser.buffered, parser.is_idle) == (0, False)
    parser.feed_data(b"x")
    assert drain(parser) == [b"x", END_OF_MESSAGE]
    assert parser.is_idle
    parser.feed_data(b"G")
    assert (parser.buffered, parser.is_idle) == (1, False)


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"G", "head"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", "head"),
        (post("Content-Length: 5", b"hell"), "body"),
        (post("Transfer-Encoding: chunked", b""), "body"),
        (post("Transfer-Encoding: chunked", b"5"), "body"),
        (post("Transfer-Encoding: chunked", b"5\r\nhello"), "body"),
        (post("Transfer-Encoding: chunked", b"5\r\nhello\r"), "body"),
        (post("Transfer-Encoding: chunked", b"0\r\n"), "body"),
        (post("Transfer-Encoding: chunked", b"0\r\nX: y\r\n\r"), "body"),
    ],
)
def test_message_cut_short_is_an_error(wire: ModuleType, data: bytes, where: str) -> None:
    parser = wire.RequestParser()
    parser.feed_data(data)
    drain(parser)
    parser.feed_eof()
    with pytest.raises(RemoteProtocolError, match=f"connection closed in the middle of a {where}"):
        parser.next_event()


@pytest.mark.parametrize("data", [b"", b"\r", b"\r\n", get("/"), post("Content-Length: 1", b"x")])
def test_end_between_messages_is_none(wire: ModuleType, data: bytes) -> None:
    parser = wire.RequestParser()
    parser.feed_data(data)
    parser.feed_eof()
    drain(parser)
    assert parser.next_event() is None
    with pytest.raises(RuntimeError, match=r"feed_data\(\) after feed_eof\(\)"):
        parser.feed_data(b"x")


def test_only_bytes_are_fed(wire: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"feed_data\(\) takes bytes, not bytearray"):
        wire.RequestParser().feed_data(bytearray(b"x"))


# -- limits ------------------------------------------------------------------------------------------------------------

BIG = 1 << 20


def take_byte_by_byte(wire: ModuleType, data: bytes, limits: Limits) -> int:
    """How many bytes come before the error; all if there is none."""
    parser = wire.RequestParser(limits)
    for count, byte in enumerate(data):
        parser.feed_data(bytes((byte,)))
        try:
            drain(parser)
        except (HeadTooLarge, TargetTooLong, RemoteProtocolError):
            return count
    return len(data)


@pytest.mark.parametrize(
    ("data", "at", "limits", "error", "message"),
    [
        (get("/"), 14, Limits(max_line_bytes=14), None, ""),
        (
            get("/"),
            13,
            Limits(max_line_bytes=13),
            TargetTooLong,
            "request line is over 13 bytes (Limits.max_line_bytes)",
        ),
        (get("/"), 0, Limits(max_line_bytes=0), TargetTooLong, "request line is over 0 bytes (Limits.max_line_bytes)"),
        (get("/"), 7, Limits(max_field_bytes=7), None, ""),
        (get("/"), 22, Limits(max_field_bytes=6), HeadTooLarge, "field line is over 6 bytes (Limits.max_field_bytes)"),
        (get("/", "X: y"), 2, Limits(max_fields=2), None, ""),
        (get("/", "X: y"), 25, Limits(max_fields=1), HeadTooLarge, "head has over 1 fields (Limits.max_fields)"),
        (get("/"), 27, Limits(max_head_bytes=27), None, ""),
        (get("/"), 26, Limits(max_head_bytes=26), HeadTooLarge, "head is over 26 bytes (Limits.max_head_bytes)"),
        (get("/"), 5, Limits(max_head_bytes=5), HeadTooLarge, "head is over 5 bytes (Limits.max_head_bytes)"),
        (
            get("/"),
            5,
            Limits(max_head_bytes=5, max_line_bytes=5),
            HeadTooLarge,
            "head is over 5 bytes (Limits.max_head_bytes)",
        ),
    ],
)
def test_limit_of_a_head_is_exact(
    wire: ModuleType, data: bytes, at: int, limits: Limits, error: type[RemoteProtocolError] | None, message: str
) -> None:
    if error is None:
        assert take_byte_by_byte(wire, data, limits) == len(data)
        return
    assert take_byte_by_byte(wire, data, limits) == at
    found = refuse(wire, data, limits=limits)
    assert (type(found), str(found)) == (error, message)
    assert found.status_hint == (414 if error is TargetTooLong else 431)


def test_empty_line_does_not_count_as_head(wire: ModuleType) -> None:
    assert parse(wire, b"\r\n" + get("/"), limits=Limits(max_head_bytes=27))


def test_chunk_line_is_limited(wire: ModuleType) -> None:
    limits = Limits(max_chunk_line_bytes=5)
    assert parse(wire, post("Transfer-Encoding: chunked", b"1;a=b\r\nx"), limits=limits)[1] == b"x"
    error = refuse(wire, post("Transfer-Encoding: chunked", b"1;a=bc"), limits=limits)
    assert (error.status_hint, str(error)) == (400, "chunk line is over 5 bytes (Limits.max_chunk_line_bytes)")


def test_trailers_are_limited(wire: ModuleType) -> None:
    data = post("Transfer-Encoding: chunked", b"0\r\nX: y\r\nX: y\r\n\r\n")
    limits = Limits(max_head_bytes=100, max_fields=2)
    assert parse(wire, data, limits=limits)[-1] is END_OF_MESSAGE
    error = refuse(wire, data.replace(b"X: y\r\n\r\n", b"X: y\r\nX"), limits=limits)
    assert (type(error), str(error)) == (HeadTooLarge, "trailer section has over 2 fields (Limits.max_fields)")
    error = refuse(wire, data.replace(b"X: y", b"X: " + b"y" * 60), limits=limits)
    assert (type(error), str(error)) == (HeadTooLarge, "trailer section is over 100 bytes (Limits.max_head_bytes)")


def test_many_fields_are_kept(wire: ModuleType) -> None:
    fields = [f"X-{number}: {number}" for number in range(1000)]
    limits = Limits(max_fields=BIG, max_head_bytes=BIG)
    head = parse(wire, get("/", *fields), limits=limits)[0]
    assert len(head.raw_headers) == 1001
    assert head.field("x-999") == "999"
    parser = wire.RequestParser(limits)
    events = []
    for byte in get("/", *fields):
        parser.feed_data(bytes((byte,)))
        events += drain(parser)
    assert events[0].raw_headers == head.raw_headers
