"""What must hold for any message: what was written reads back, and no cut and no wire makes a difference."""

from __future__ import annotations

import string
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

pytest.importorskip("corelet._fast", reason="the extension is not built")

from corelet.abc import END_OF_MESSAGE
from corelet.hdrs import HttpVersion11
from corelet.limits import Limits
from tests.fuzz import corpus
from tests.fuzz.differential import Mutator
from tests.fuzz.wire_trace import TIGHT_LIMITS, WIRES, Setting, Trace, cut, cut_at_every_byte, find_disagreement, trace

TOKENS = st.text(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~", min_size=1, max_size=20)
#: Names that say nothing to a parser.
NAMES = TOKENS.map("X-".__add__)
#: What can be sent, without the white space around it that a reader strips.
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\udc80\udcff"), max_size=50).map(
    lambda text: text.strip(" \t")
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=40)
TARGETS = st.text(string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/?|\"<>", max_size=50).map("/".__add__)
BODIES = st.binary(max_size=300)
WIRE_PAIRS = st.tuples(st.sampled_from(list(WIRES.values())), st.sampled_from(list(WIRES.values())))
SETTINGS = st.builds(
    Setting,
    expected=st.none() | st.lists(st.sampled_from(["GET", "HEAD", "CONNECT"]), max_size=3).map(tuple),
    limits=st.sampled_from((Limits(), *TIGHT_LIMITS)),
    has_chunk_marks=st.booleans(),
    takes_upgrades=st.booleans(),
    waits=st.booleans(),
    ends=st.booleans(),
)
#: Bytes that are close to a message.
ALMOST = st.lists(st.sampled_from(corpus.TOKENS) | st.binary(max_size=4), max_size=40).map(b"".join)


def read(wire: ModuleType, data: bytes, places: list[int], setting: Setting) -> Trace:
    return trace(wire, cut(data, sorted(place % (len(data) + 1) for place in places)), setting)


def chunk(wire: ModuleType, pieces: list[bytes]) -> bytes:
    chunks = [wire.make_chunk_line(len(piece)) + piece + b"\r\n" for piece in pieces if piece]
    return b"".join(chunks) + bytes(wire.LAST_CHUNK)


PLACES = st.lists(st.integers(0, 5000), max_size=8)


def decode(fields: tuple[tuple[bytes, bytes], ...]) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode("utf-8", "surrogateescape")) for name, value in fields]


@given(WIRE_PAIRS, TOKENS.filter(lambda token: token != "CONNECT"), TARGETS, FIELDS, BODIES, PLACES)
def test_written_request_reads_back(
    wires: tuple[ModuleType, ModuleType],
    method: str,
    target: str,
    fields: list[tuple[str, str]],
    body: bytes,
    places: list[int],
) -> None:
    writer, reader = wires
    headers = CIMultiDict([("Host", "a"), *fields, ("Content-Length", str(len(body)))])
    data = writer.serialize_request_head(method, target, HttpVersion11, headers) + body
    head, *rest = read(reader, data, places, Setting()).events
    assert (head["method"], head["target"], head["version"]) == (method, target, HttpVersion11)
    assert decode(head["raw_headers"]) == head["headers"] == list(headers.items())
    assert rest == [*([body] if body else []), (END_OF_MESSAGE, ())]


@given(WIRE_PAIRS, st.integers(200, 999), VALUES, FIELDS, st.lists(BODIES, max_size=5), st.booleans(), PLACES)
def test_written_response_reads_back(
    wires: tuple[ModuleType, ModuleType],
    status: int,
    reason: str,
    fields: list[tuple[str, str]],
    pieces: list[bytes],
    is_chunked: bool,
    places: list[int],
) -> None:
    writer, reader = wires
    body = b"".join(pieces)
    line = writer.make_status_line(HttpVersion11, status, reason)
    automatic = b"Transfer-Encoding: chunked\r\n" if is_chunked else b""
    framed = chunk(writer, pieces) if is_chunked else body
    size = -1 if is_chunked else len(body)
    data = writer.serialize_response_head(line, CIMultiDict(fields), None, size, automatic, framed)
    if status in (204, 304):
        data = data[: len(data) - len(framed)]
        body = b""
    head, *rest = read(reader, data, places, Setting(expected=("GET",))).events
    assert (head["status"], head["reason"]) == (status, reason)
    assert decode(head["raw_headers"])[: len(fields)] == fields
    assert rest == [*([body] if body else []), (END_OF_MESSAGE, ())]


@given(NAMES | st.text(max_size=5), st.text(max_size=30))
def test_both_wires_write_alike_or_refuse_alike(name: str, value: str) -> None:
    outcomes = [_write(wire, name, value) for wire in WIRES.values()]
    assert outcomes[0] == outcomes[1]


def _write(wire: ModuleType, name: str, value: str) -> Any:
    try:
        plain = wire.serialize_plain_response(b"", {name: value}, value, b"", b"12345")
        return wire.serialize_response_head(b"", {name: value}, value, 5, b""), plain
    except ValueError as error:
        return type(error), str(error)


@given(st.binary(max_size=60), PLACES, SETTINGS)
def test_arbitrary_bytes_are_read_alike(data: bytes, places: list[int], setting: Setting) -> None:
    pieces = cut(data, sorted(place % (len(data) + 1) for place in places))
    assert find_disagreement(data, pieces, setting) is None


@given(ALMOST, SETTINGS, st.sampled_from([b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.1 200 OK\r\n"]))
def test_bytes_close_to_a_message_are_read_alike(data: bytes, setting: Setting, start: bytes) -> None:
    assert find_disagreement(start + data, cut_at_every_byte(start + data), setting) is None


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_mutated_messages_are_read_alike(seed: int) -> None:
    mutator = Mutator(seed)
    for _ in range(50):
        data, setting = mutator.make()
        assert find_disagreement(data, mutator.cut(data), setting) is None
