from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelet_multipart.limits import MultipartLimits
from corelet_multipart.parser import MultipartError, MultipartParser, check_boundary
from tests.multipart.body import BOUNDARY, body, parse, part, split

GOOD = {
    "one part": (body(part(b"abc", "A: b")), [([("A", "b")], b"abc")]),
    "no part": (b"--bound--", []),
    "a part without fields": (b"--bound\r\n\r\nabc\r\n--bound--", [([], b"abc")]),
    "an empty part": (body(part(b"", "A: b")), [([("A", "b")], b"")]),
    "a part that ends with its head": (b"--bound\r\nA: b\r\n\r\n--bound--", [([("A", "b")], b"")]),
    "a part that is nothing": (b"--bound\r\n\r\n--bound--", [([], b"")]),
    "several parts": (body(part(b"1"), part(b"2"), part(b"")), [([], b"1"), ([], b"2"), ([], b"")]),
    "a preamble and an epilogue": (b"before\r\n" + body(part(b"1")) + b"after --bound", [([], b"1")]),
    "white space behind boundaries": (b"--bound \t\r\n\r\n1\r\n--bound--  \r\n", [([], b"1")]),
    "line ends in the content": (body(part(b"\r\n\r\n1\r\n\r")), [([], b"\r\n\r\n1\r\n\r")]),
    "almost a boundary": (body(part(b"\r\n--boun\r\n-bound --bound")), [([], b"\r\n--boun\r\n-bound --bound")]),
    "a folded field": (body(part(b"1", "A: b\r\n c\r\n\td")), [([("A", "b c d")], b"1")]),
    "a field without a value": (body(part(b"1", "A:", "B: ")), [([("A", ""), ("B", "")], b"1")]),
    "a field beyond ascii": (body(part(b"1", "A: é\udcff")), [([("A", "é\udcff")], b"1")]),
    "a true length": (body(part(b"abc", "Content-Length: 3")), [([("Content-Length", "3")], b"abc")]),
}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("name", GOOD)
def test_body_is_read_in_any_split(name: str, step: int) -> None:
    data, parts = GOOD[name]
    assert parse(split(data, step)) == parts


BAD = {
    "nothing": (b"", "before its closing boundary"),
    "no boundary": (b"abc", "before its closing boundary"),
    "no end": (body(part(b"abc"))[:-4], "before its closing boundary"),
    "half an end": (body(part(b"abc"))[:-3], "before its closing boundary"),
    "a part without an end": (b"--bound\r\n\r\nabc", "before its closing boundary"),
    "no content": (b"--bound\r\nA: b", "before its closing boundary"),
    "a longer boundary": (b"--boundary\r\n\r\n1\r\n--boundary--", "other than white space follows a boundary"),
    "a boundary behind one dash": (b"--bound-\r\n\r\n", "other than white space follows a boundary"),
    "a boundary and a dash that is no end": (b"--bound-x", "other than white space follows a boundary"),
    "a boundary that ends by LF": (b"--bound\n\r\n1", "other than white space follows a boundary"),
    "a field without a colon": (body(part(b"1", "A")), "a field of a part has no name"),
    "a field without a name": (body(part(b"1", ": b")), "a field of a part has no name"),
    "a space before the colon": (body(part(b"1", "A : b")), "a field of a part has no name"),
    "a field that ends by LF": (body(part(b"1", "A: b\nB: c")), "field A of a part has a control character"),
    "a NUL in a field": (body(part(b"1", "A: b\0")), "field A of a part has a control character"),
    "a part without a blank line": (b"--bound\r\n--bound--\r\n\r\n", "a field of a part has no name"),
    "a signed length": (body(part(b"12345", "Content-Length: +5")), r"Content-Length of a part is '\+5'"),
    "an underscored length": (body(part(b"1", "Content-Length: 1_0")), "Content-Length of a part is '1_0'"),
    "a negative length": (body(part(b"1", "Content-Length: -1")), "Content-Length of a part is '-1'"),
    "a length of other digits": (body(part(b"1", "Content-Length: \u0661")), "Content-Length of a part"),
    "two lengths": (body(part(b"1", "Content-Length: 1", "Content-Length: 1")), "Content-Length of a part is '1, 1'"),
    "a wrong length": (body(part(b"abc", "Content-Length: 2")), "has 3 bytes, and says 2"),
}


@pytest.mark.parametrize("step", [1, 1000])
@pytest.mark.parametrize("name", BAD)
def test_malformed_body_is_refused_in_any_split(name: str, step: int) -> None:
    data, message = BAD[name]
    with pytest.raises(MultipartError, match=message):
        parse(split(data, step))


@pytest.mark.parametrize("name", [name for name in BAD if "before its closing" not in BAD[name][1]])
def test_malformed_body_is_refused_before_its_end(name: str) -> None:
    parser = MultipartParser(b"\r\n--bound")
    parser.feed_data(BAD[name][0])
    with pytest.raises(MultipartError):
        list(iter(parser.next_event, None))


@pytest.mark.parametrize(
    ("limits", "lines", "message"),
    [
        (MultipartLimits(max_headers=2), ["A: 1", "B: 2", "C: 3"], r"has 3 fields, limit 2 \(max_headers\)"),
        (MultipartLimits(max_field_size=9), ["A: 1234567"], r"has 10 bytes, limit 9 \(max_field_size\)"),
        (MultipartLimits(max_head_bytes=20), ["A: 123456789", "B: 123456789"], r"over 20 bytes \(max_head_bytes\)"),
    ],
)
def test_head_is_bounded(limits: MultipartLimits, lines: list[str], message: str) -> None:
    with pytest.raises(MultipartError, match=message):
        parse([body(part(b"", *lines))], limits=limits)
    assert len(parse([body(part(b"", *lines[:-1]))], limits=limits)) == 1


def test_head_without_an_end_is_refused_when_it_is_too_long() -> None:
    parser = MultipartParser(b"\r\n--bound", MultipartLimits(max_head_bytes=100))
    parser.feed_data(b"--bound\r\n" + b"A" * 90)
    assert parser.next_event() is None
    parser.feed_data(b"A" * 20)
    with pytest.raises(MultipartError, match="over 100 bytes"):
        parser.next_event()


def test_white_space_behind_a_boundary_is_bounded() -> None:
    with pytest.raises(MultipartError, match="white space behind a boundary is over 8,190 bytes"):
        parse([b"--bound" + b" " * 10_000, b"\r\n\r\n\r\n--bound--"])


@pytest.mark.parametrize("boundary", ["a", "a" * 70, "a b", "'()+_,-./:=?", "----WebKitFormBoundary7MA4YWxkTrZu0gW"])
def test_boundary_may_be_what_the_rfc_allows(boundary: str) -> None:
    assert check_boundary(boundary) == boundary
    assert parse([body(part(b"1"), boundary=boundary)], boundary) == [([], b"1")]


@pytest.mark.parametrize("boundary", ["", "a" * 71, "a ", " ", 'a"b', "a\r\nb", "a\tb", "é", "a;b", "a*b"])
def test_boundary_can_not_be_anything_else(boundary: str) -> None:
    with pytest.raises(MultipartError, match="a boundary has 1 to 70"):
        check_boundary(boundary)


# Properties.

TOKENS = st.text(st.sampled_from("abcXYZ019-_"), min_size=1, max_size=8)
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12).map(str.strip)
CONTENTS = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--boun", b"x", b"\0"]), max_size=12).map(b"".join)
PARTS = st.lists(st.tuples(st.lists(st.tuples(TOKENS, VALUES), max_size=3), CONTENTS), max_size=4)


@given(PARTS, st.integers(1, 40))
def test_what_was_joined_is_parsed_in_any_split(parts: list[tuple[list[tuple[str, str]], bytes]], step: int) -> None:
    heads = [part(content, *(f"{name}: {value}" for name, value in fields)) for fields, content in parts]
    assert parse(split(body(*heads), step)) == parts


@given(
    st.lists(
        st.sampled_from([b"\r\n", b"--bound", b"--", b"A: b", b":", b" ", b"x", b"\r", b"\n", b"\xff"]), max_size=20
    ),
    st.integers(1, 10),
)
def test_a_split_changes_no_verdict(pieces: list[bytes], step: int) -> None:
    data = b"".join(pieces)

    def judge(step: int) -> object:
        try:
            return parse(split(data, step))
        except MultipartError:
            return "refused"

    assert judge(step) == judge(len(data) + 1)


# Growth: twice the input takes about twice the time, whatever it is.

ATTACKS: dict[str, Callable[[int], bytes]] = {
    "CR LF and then no line end": lambda size: b"--bound\r\n\r\n\r\n" + b"x" * size,
    "half a boundary, again and again": lambda size: b"--bound\r\n\r\n" + b"\r\n--boun" * (size // 8),
    "only CR": lambda size: b"--bound\r\n\r\n" + b"\r" * size,
    "a preamble of half boundaries": lambda size: b"\r\n--boun" * (size // 8),
    "many small parts": lambda size: body(*[part(b"")] * (size // 13)),
    "an epilogue": lambda size: body() + b"x" * size,
}


def measure(data: bytes, step: int) -> float:
    """Measure the CPU seconds of a parse, the least of three; a malformed end is no matter."""

    def run() -> float:
        parser = MultipartParser(b"\r\n--bound")
        started = time.process_time()
        for piece in split(data, step):
            parser.feed_data(piece)
            while parser.next_event() is not None:
                pass
        return time.process_time() - started

    return min(run() for _ in range(3))


@pytest.mark.parametrize("step", [64, 1 << 30])
@pytest.mark.parametrize("name", ATTACKS)
def test_case_a_062_advisory_cve_2023_46136_time_grows_with_the_size_and_no_faster(name: str, step: int) -> None:
    size = 100_000 if step == 64 else 400_000
    small, large = (measure(ATTACKS[name](count), step) for count in (size, size * 8))
    # Quadratic would be 64 times.
    assert large < max(small, 0.001) * 24, f"{BOUNDARY}: {small:.4f} s, then {large:.4f} s"
