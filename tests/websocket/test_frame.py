"""Frames, on both twins: what is written, what is read however it is cut, and what is refused as early as it can be."""

from __future__ import annotations

import importlib
import itertools
import struct
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corelet_websocket import WebSocketError, WSMessage, WSMsgType, _pure, frame
from corelet_websocket.deflate import Deflate
from corelet_websocket.limits import FRAGMENT_BYTES, MAX_FRAGMENTS

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
LIMIT = 1000

try:
    TWINS: list[Any] = [_pure, importlib.import_module("corelet_websocket._fast")]
except ImportError:
    TWINS = [_pure]


def make_frame(first: int, payload: bytes = b"", *, mask: bytes | None = b"\x12\x34\x56\x78") -> bytes:
    """Make a frame by hand, as a client would, or without a mask."""
    size = len(payload)
    mark = 0 if mask is None else 0x80
    if size < 126:
        head = bytes((first, mark | size))
    elif size < 65536:
        head = struct.pack("!BBH", first, mark | 126, size)
    else:
        head = struct.pack("!BBQ", first, mark | 127, size)
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def make_reader(frames: ModuleType, **options: Any) -> Any:
    return frames.FrameReader(**{"is_client": False, "max_msg_size": LIMIT, **options})


def read(frames: ModuleType, *pieces: bytes, **options: Any) -> tuple[list[WSMessage], WebSocketError | None]:
    reader = make_reader(frames, **options)
    messages = [message for piece in pieces for message in reader.feed_data(piece)]
    return messages, reader.error


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def test_the_door_leads_to_the_twin_that_was_asked_for() -> None:
    import os

    wanted = "pure" if os.environ.get("CORELET_NO_EXTENSIONS") == "1" or len(TWINS) == 1 else "fast"
    assert wanted == frame.IMPLEMENTATION


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_masking_is_a_xor_by_the_key_in_turn(data: bytes, key: bytes) -> None:
    expected = bytes(byte ^ key[at % 4] for at, byte in enumerate(data))
    for twin in TWINS:
        assert twin.apply_mask(data, key) == expected
        assert twin.apply_mask(expected, key) == data


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
def test_a_frame_says_its_length_in_as_few_bytes_as_possible(frames: ModuleType, size: int) -> None:
    payload = bytes(size)
    written = frames.serialize_frame(BINARY, payload, False)
    assert written == make_frame(BINARY, payload, mask=None)
    assert frames.serialize_head(BINARY, size, False) + payload == written


@pytest.mark.parametrize("payload", [b"bytes", bytearray(b"array"), memoryview(b"view"), "text \u20ac \U0001f600"])
def test_a_masked_frame_has_a_new_key_each_time(frames: ModuleType, payload: Any) -> None:
    plain = payload.encode() if isinstance(payload, str) else bytes(payload)
    written = {frames.serialize_frame(BINARY, payload, True) for _ in range(2000)}
    assert len({each[2:6] for each in written}) > 1990
    for each in written:
        assert (each[0], each[1]) == (BINARY, 0x80 | len(plain))
        assert frames.apply_mask(each[6:], each[2:6]) == plain


def test_text_that_is_no_unicode_cant_be_sent(frames: ModuleType) -> None:
    with pytest.raises(UnicodeEncodeError):
        frames.serialize_frame(TEXT, "\ud800", False)


messages = st.lists(
    st.one_of(
        st.tuples(st.just(TEXT), st.text(max_size=80).map(str.encode)),
        st.tuples(st.just(BINARY), st.binary(max_size=200)),
        st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125)),
    ),
    max_size=5,
)
places = st.lists(st.integers(0, 2000), max_size=6)


@given(messages, places, st.booleans())
def test_messages_come_as_they_were_sent_however_they_are_cut(sent: Any, places: list[int], is_client: bool) -> None:
    mask = None if is_client else b"\xa1\x02\xff\x04"
    data = b"".join(make_frame(first, payload, mask=mask) for first, payload in sent)
    expected = [(WSMsgType(first & 15), payload.decode() if first == TEXT else payload, "") for first, payload in sent]
    for twin in TWINS:
        found, error = read(twin, *cut(data, places), is_client=is_client)
        assert (found, error) == (expected, None)


@given(st.text(max_size=60), places, places)
def test_fragments_are_joined_with_control_frames_between(text: str, edges: list[int], places: list[int]) -> None:
    pieces = cut(text.encode(), edges)
    data = b""
    for number, piece in enumerate(pieces):
        first = (0x01 if number == 0 else 0x00) | (0x80 if number == len(pieces) - 1 else 0)
        data += make_frame(first, piece) + make_frame(PING, b"between")
    for twin in TWINS:
        found, error = read(twin, *cut(data, places))
        assert error is None
        assert [message.data for message in found if message.type is WSMsgType.TEXT] == [text]
        assert sum(message.type is WSMsgType.PING for message in found) == len(pieces)


#: Bytes that are frames often enough: heads of all kinds, with short payloads.
hostile = st.lists(
    st.one_of(
        st.builds(
            make_frame,
            st.integers(0, 255),
            st.one_of(st.binary(max_size=140), st.text(max_size=30).map(str.encode)),
            mask=st.sampled_from([None, b"\x01\x02\x03\x04"]),
        ),
        st.binary(max_size=12),
    ),
    max_size=6,
).map(b"".join)


@settings(max_examples=400)
@given(hostile, places, st.booleans(), st.booleans(), st.booleans())
def test_both_twins_read_the_same_in_anything(
    data: bytes, places: list[int], is_client: bool, decode_text: bool, is_compressed: bool
) -> None:
    outcomes = []
    for twin in TWINS:
        deflate = Deflate(15, 15, own_reset=False, peer_reset=False, level=1)
        extensions = [deflate] if is_compressed else []
        for pieces in ([data], cut(data, places), [data[at : at + 1] for at in range(len(data))]):
            found, error = read(
                twin, *pieces, is_client=is_client, decode_text=decode_text, extensions=extensions, max_msg_size=90
            )
            if is_compressed:
                extensions[:] = [Deflate(15, 15, own_reset=False, peer_reset=False, level=1)]
            outcomes.append((found, None if error is None else error.code))
    assert all(outcome == outcomes[0] for outcome in outcomes)


@given(hostile, places)
def test_both_twins_say_the_same(data: bytes, places: list[int]) -> None:
    errors = [str(read(twin, *cut(data, places))[1]) for twin in TWINS]
    assert len(set(errors)) == 1


HEAD = (
    (b"\xb1\x80", 1002, "reserved bits"),
    (b"\xc1\x80", 1002, "reserved bits"),
    (b"\x83\x80", 1002, "opcode is 0x3"),
    (b"\x8b\x80", 1002, "opcode is 0xb"),
    (b"\x09\x80", 1002, "fragmented"),
    (b"\x89\xfe", 1002, "more than 125 bytes"),
    (b"\x80\x80", 1002, "continuation came without"),
    (b"\x81\x05", 1002, "client is not masked"),
    (b"\x82\xfe\x00\x7d", 1002, "does not need"),
    (b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff", 1002, "does not need"),
    (b"\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00", 1002, "highest bit"),
    (b"\x82\xfe\x03\xe9", 1009, "at least 1001 bytes, limit 1000"),
    (b"\x82\xff\x00\x00\x00\x00\x7f\xff\xff\xff", 1009, "limit 1000"),
)


@pytest.mark.parametrize(("head", "code", "words"), HEAD)
def test_a_bad_head_is_refused_before_its_payload(frames: ModuleType, head: bytes, code: int, words: str) -> None:
    for pieces in ([head], [head[at : at + 1] for at in range(len(head))]):
        found, error = read(frames, *pieces)
        assert found == []
        assert error is not None
        assert error.code == code
        assert words in str(error)


def test_a_masked_frame_of_a_server_is_refused(frames: ModuleType) -> None:
    error = read(frames, make_frame(TEXT, b"hi"), is_client=True)[1]
    assert error is not None
    assert (error.code, "server is masked" in str(error)) == (1002, True)


def test_a_new_message_within_a_fragmented_one_is_refused(frames: ModuleType) -> None:
    error = read(frames, make_frame(0x01, b"a") + make_frame(TEXT, b"b"))[1]
    assert error is not None
    assert error.code == 1002


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"\x03", 1002),
        *((struct.pack("!H", number), 1002) for number in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)),
        (b"\x03\xe8\xc3(", 1007),
    ],
)
def test_a_bad_close_frame_is_refused(frames: ModuleType, payload: bytes, code: int) -> None:
    found, error = read(frames, make_frame(CLOSE, payload))
    assert (found, error and error.code) == ([], code)


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_a_close_frame_has_code_and_reason(frames: ModuleType, code: int) -> None:
    found, _ = read(frames, make_frame(CLOSE, struct.pack("!H", code) + "früh".encode()))
    assert found == [(WSMsgType.CLOSE, code, "früh")]
    assert read(frames, make_frame(CLOSE))[0] == [(WSMsgType.CLOSE, 0, "")]


BAD_UTF8 = (b"\xff", b"\xc0\x80", b"\xe0\x80", b"\xed\xa0", b"\xf4\x90", b"\xf5", b"\x80", b"a\xe2\x28")


@pytest.mark.parametrize("bad", BAD_UTF8)
@pytest.mark.parametrize("decode_text", [True, False])
def test_bad_text_is_refused_inside_its_frame(frames: ModuleType, bad: bytes, decode_text: bool) -> None:
    begun = make_frame(TEXT, b"x" * 20 + bad + b"y" * 500)[: 8 + 20 + len(bad)]
    found, error = read(frames, begun, decode_text=decode_text)
    assert (found, error and error.code) == ([], 1007)


@pytest.mark.parametrize("pieces", [[b"\xe2\x82"], [b"a", b"\xe2\x82"], [b"\xe2", b""]])
def test_text_may_not_end_inside_a_character(frames: ModuleType, pieces: list[bytes]) -> None:
    last = len(pieces) - 1
    data = b"".join(
        make_frame((0 if number else 1) | (0x80 if number == last else 0), piece) for number, piece in enumerate(pieces)
    )
    for decode_text in (True, False):
        found, error = read(frames, data, decode_text=decode_text)
        assert (found, error and error.code) == ([], 1007)


@given(st.binary(max_size=40))
def test_what_is_text_is_what_python_decodes(data: bytes) -> None:
    try:
        expected: Any = data.decode()
    except UnicodeDecodeError:
        expected = None
    for twin in TWINS:
        for pieces in ([make_frame(TEXT, data)], [bytes([each]) for each in make_frame(TEXT, data)]):
            found, error = read(twin, *pieces)
            assert (found[0].data if found else None) == expected
            assert (error is None) == (expected is not None)


def test_text_can_be_had_as_bytes(frames: ModuleType) -> None:
    found, _ = read(frames, make_frame(TEXT, "é".encode()), decode_text=False)
    assert found == [(WSMsgType.TEXT, "é".encode(), "")]


def test_fragments_may_not_add_up_to_more_than_the_limit(frames: ModuleType) -> None:
    fragment = make_frame(0x00, bytes(300))
    found, error = read(frames, make_frame(0x02, bytes(300)), fragment, fragment, fragment[:8])
    assert (found, error and error.code) == ([], 1009)
    assert read(frames, make_frame(0x02, bytes(300)), make_frame(0x80, bytes(700)))[0][0].data == bytes(1000)


def test_a_limit_of_zero_is_none(frames: ModuleType) -> None:
    assert len(read(frames, make_frame(BINARY, bytes(100_000)), max_msg_size=0)[0][0].data) == 100_000


def test_fragments_that_bring_nothing_are_counted(frames: ModuleType) -> None:
    error = read(frames, make_frame(0x01), make_frame(0x00) * (MAX_FRAGMENTS - 1))[1]
    assert error is None
    error = read(frames, make_frame(0x01), make_frame(0x00) * MAX_FRAGMENTS)[1]
    assert error is not None
    assert error.code == 1008


def test_a_long_message_may_come_in_many_fragments(frames: ModuleType) -> None:
    count = 4 * MAX_FRAGMENTS
    fragment = make_frame(0x00, bytes(FRAGMENT_BYTES))
    found, error = read(frames, make_frame(0x02), fragment * count, make_frame(0x80), max_msg_size=0)
    assert error is None
    assert len(found[0].data) == count * FRAGMENT_BYTES


def test_nothing_is_read_after_an_error(frames: ModuleType) -> None:
    reader = make_reader(frames)
    assert reader.feed_data(make_frame(TEXT, b"a") + b"\xff\xff" + make_frame(TEXT, b"b"))[0].data == "a"
    assert reader.feed_data(make_frame(TEXT, b"c")) == []


def test_a_reader_knows_whether_a_message_has_begun(frames: ModuleType) -> None:
    reader = make_reader(frames)
    data = make_frame(0x01, b"ab") + make_frame(0x80, b"c")
    states = []
    for at in range(len(data)):
        reader.feed_data(data[at : at + 1])
        states.append(reader.is_idle)
    assert states == [False] * (len(data) - 1) + [True]
