from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
import zlib
from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from corelet import BodyPartReader, MultipartReader, MultipartWriter
from tests.multipart.body import Source, body, field, make_reader, part, split

FORM = "multipart/form-data; boundary=bound"


async def read_one(content: bytes, *lines: str, step: int | None = None, **kwargs: Any) -> BodyPartReader:
    found = await make_reader(body(part(content, *lines)), step=step, **kwargs).fetch_next_part()
    assert isinstance(found, BodyPartReader)
    return found


async def test_parts_come_in_their_order_with_their_fields() -> None:
    reader = make_reader(body(part(b"1", "A: b"), part(b"2")), step=5)
    found = [(dict(each.headers), await each.read()) async for each in reader]  # type: ignore[union-attr]
    assert found == [({"A": "b"}, b"1"), ({}, b"2")]
    assert reader.at_eof()
    assert await reader.next() is None


async def test_reader_knows_its_boundary_and_subtype() -> None:
    reader = make_reader(b"", content_type='Multipart/Related; type="text/xml"; boundary="a b"')
    assert (reader.boundary, reader.subtype) == ("a b", "related")


async def test_what_was_not_read_of_a_part_is_dropped() -> None:
    reader = make_reader(body(part(b"1" * 100), part(b"2")), step=7)
    first = await reader.fetch_next_part()
    assert isinstance(first, BodyPartReader)
    assert (await first.read_chunk(4)).startswith(b"1")
    second = await reader.fetch_next_part()
    assert isinstance(second, BodyPartReader)
    assert await first.read() == b""
    assert await second.read() == b"2"


@pytest.mark.parametrize("is_nested", [False, True])
async def test_dropping_goes_on_after_a_cancellation(is_nested: bool) -> None:
    dropped = part(b"1" * 100)
    if is_nested:
        dropped = part(body(dropped, boundary="in"), "Content-Type: multipart/mixed; boundary=in")
    data = body(dropped, part(b"2"))
    reader = make_reader(data, step=7)
    await reader.fetch_next_part()
    for _ in range(len(data) // 7):
        # A piece at a time: each is one turn of the loop.
        asking = asyncio.ensure_future(reader.fetch_next_part())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        if asking.done() and not asking.cancelled():
            break
    second = asking.result() if not asking.cancelled() else await reader.fetch_next_part()
    assert isinstance(second, BodyPartReader)
    assert await second.read() == b"2"


async def test_next_part_that_has_to_be_there_is_missing() -> None:
    with pytest.raises(ValueError, match="the body has no further part"):
        await make_reader(body()).fetch_next_part()


async def test_reader_can_be_released() -> None:
    reader = make_reader(body(part(b"1"), part(b"2")), step=3)
    await reader.release()
    assert reader.at_eof()


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("text/plain", "the body is text/plain, expected multipart/"),
        ("", "the body is application/octet-stream, expected multipart/"),
        ("multipart/mixed", "Content-Type has no boundary"),
        ("multipart/mixed; boundary=", "Content-Type has no boundary"),
        ('multipart/mixed; boundary=""', "a boundary has 1 to 70"),
        ("multipart/mixed; boundary=" + "a" * 71, "a boundary has 1 to 70"),
    ],
)
def test_reader_needs_a_boundary(content_type: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_reader(b"", content_type=content_type)


async def test_error_comes_again_whoever_reads() -> None:
    reader = make_reader(b"--bound\r\n\r\nabc", step=4)
    found = await reader.fetch_next_part()
    assert isinstance(found, BodyPartReader)
    for _ in range(2):
        with pytest.raises(ValueError, match="before its closing boundary"):
            await found.read()
    with pytest.raises(ValueError, match="before its closing boundary"):
        await reader.next()


# One part.


async def test_part_is_read_in_pieces() -> None:
    found = await read_one(b"x" * 20_000)
    assert not found.at_eof()
    sizes = [len(piece) async for piece in found]
    assert (sum(sizes), max(sizes)) == (20_000, BodyPartReader.chunk_size)
    assert found.at_eof()
    assert await found.next() is None


@pytest.mark.parametrize("step", [1, 7, None])
async def test_part_is_read_in_pieces_of_a_size(step: int | None) -> None:
    found = await read_one(b"0123456789" * 10, step=step)
    pieces = []
    while piece := await found.read_chunk(8):
        pieces.append(piece)
    assert b"".join(pieces) == b"0123456789" * 10
    assert max(map(len, pieces)) <= 8


async def test_piece_is_no_smaller_than_a_group() -> None:
    with pytest.raises(ValueError, match="4 bytes or more, 3 were asked for"):
        await (await read_one(b"abc")).read_chunk(3)


@pytest.mark.parametrize("step", [1, 3, 1000])
async def test_part_is_read_by_lines(step: int) -> None:
    found = await read_one(b"1\r\n22\n\nlast", step=step)
    lines = []
    while line := await found.readline():
        lines.append(line)
    assert lines == [b"1\r\n", b"22\n", b"\n", b"last"]


async def measure_lines(count: int) -> float:
    """Measure the CPU seconds of reading short lines that have come at once, the least of three."""

    async def run() -> float:
        found = await read_one(b"\n" * count)
        started = time.process_time()
        while await found.readline():
            pass
        return time.process_time() - started

    return min([await run() for _ in range(3)])


async def test_time_of_reading_lines_grows_with_their_number_and_no_faster() -> None:
    small, large = [await measure_lines(count) for count in (60_000, 480_000)]
    # Quadratic would be 64 times.
    assert large < max(small, 0.001) * 24, f"{small:.4f} s, then {large:.4f} s"


async def test_part_is_text_json_or_a_form() -> None:
    assert await (await read_one("é".encode())).text() == "é"
    assert await (await read_one(b"\xe9", "Content-Type: text/plain; charset=latin-1")).text() == "é"
    assert await (await read_one(b"\xe9")).text(encoding="latin-1") == "é"
    assert await (await read_one(b'{"a": 1}')).json() == {"a": 1}
    assert await (await read_one(b" ")).json() is None
    assert await (await read_one(b"a=b+c&d=%C3%A9\r\n")).form() == [("a", "b c"), ("d", "é")]
    with pytest.raises(LookupError, match="unknown charset 'nope'"):
        await (await read_one(b"a", "Content-Type: text/plain; charset=nope")).text()
    with pytest.raises(json.JSONDecodeError):
        await (await read_one(b"{")).json()


async def test_part_knows_its_names() -> None:
    found = await read_one(b"", 'Content-Disposition: form-data; name="a%22"; filename="../../x"')
    assert (found.name, found.filename) == ('a"', "../../x")
    assert ((await read_one(b"")).name, (await read_one(b"")).filename) == (None, None)


@pytest.mark.parametrize("limit", [9, 10])
async def test_part_read_at_once_is_bounded(limit: int) -> None:
    for call in ("read", "text", "json", "form", "readline"):
        found = await read_one(b'"12345678"', step=3, client_max_size=limit)
        if limit == 9:
            with pytest.raises(ValueError, match=r"a part has 1\d bytes or more, limit 9 \(client_max_size\)"):
                await getattr(found, call)()
        else:
            await getattr(found, call)()


async def test_error_of_a_part_that_is_too_large_can_be_chosen() -> None:
    class TooLargeError(Exception):
        pass

    found = await read_one(b"x" * 10, client_max_size=9, max_size_error_cls=TooLargeError)
    with pytest.raises(TooLargeError) as caught:
        await found.read()
    assert caught.value.args == (9, 10)


async def test_part_in_pieces_is_not_bounded() -> None:
    found = await read_one(b"x" * 10, client_max_size=9)
    assert sum([len(piece) async for piece in found]) == 10


async def test_part_may_be_read_without_a_reader() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"A": "b"}))
    found = BodyPartReader(b"--bound", headers, Source(split(b"abc\r\n--bound--", 2)))
    assert await found.read() == b"abc"
    assert found.headers is headers


# Codings.

TEXT = bytes(range(256)) * 30
ENCODED = {
    "base64": (["Content-Transfer-Encoding: base64"], base64.encodebytes(TEXT).replace(b"\n", b"\r\n")),
    "base64 in one line": (["Content-Transfer-Encoding: BASE64"], base64.b64encode(TEXT)),
    "gzip": (["Content-Encoding: gzip"], gzip.compress(TEXT)),
    "deflate": (["Content-Encoding: deflate"], zlib.compress(TEXT)),
    "gzip in base64": (
        ["Content-Encoding: gzip", "Content-Transfer-Encoding: base64"],
        base64.encodebytes(gzip.compress(TEXT)),
    ),
    "binary": (["Content-Transfer-Encoding: binary", "Content-Encoding: identity"], TEXT),
}


@pytest.mark.parametrize("step", [1, 10, 3000])
@pytest.mark.parametrize("name", ENCODED)
async def test_content_is_decoded(name: str, step: int) -> None:
    lines, data = ENCODED[name]
    assert await (await read_one(data, *lines, step=step)).read(decode=True) == TEXT
    assert await (await read_one(data, *lines, step=step)).read() == data
    found = await read_one(b"", *lines)
    assert found.decode(data) == TEXT
    assert b"".join([piece async for piece in found.decode_iter(data)]) == TEXT


@pytest.mark.parametrize("step", [1, 5, None])
@pytest.mark.parametrize("transfer", ["base64", "quoted-printable"])
@pytest.mark.parametrize("size", [4, 7, 100])
async def test_each_piece_of_a_transfer_encoding_can_be_decoded_alone(
    transfer: str, size: int, step: int | None
) -> None:
    writer = MultipartWriter(boundary="bound")
    writer.append(TEXT[:500], {"Content-Transfer-Encoding": transfer})
    reader = make_reader(await writer.as_bytes(), step=step)
    found = await reader.fetch_next_part()
    assert isinstance(found, BodyPartReader)
    decoded = []
    while piece := await found.read_chunk(size):
        assert len(piece) <= size
        decoded.append(found.decode(piece))
    assert b"".join(decoded) == TEXT[:500]


async def test_quoted_printable_that_is_malformed_stands_for_itself() -> None:
    found = await read_one(b"a=b\xff=", "Content-Transfer-Encoding: quoted-printable", step=1)
    assert (await found.read(decode=True)).startswith(b"a=b\xff")


@pytest.mark.parametrize(
    ("lines", "data", "message"),
    [
        (["Content-Transfer-Encoding: base64"], b"YWJ", "base64 of a part is cut off"),
        (["Content-Transfer-Encoding: base64"], b"YQ==YQ==", "goes on after the end of its base64"),
        (["Content-Transfer-Encoding: x"], b"a", "unknown Content-Transfer-Encoding of a part: 'x'"),
        (["Content-Encoding: x"], b"a", "unknown Content-Encoding of a part: 'x'"),
        (["Content-Encoding: gzip"], b"a" * 20, "the compressed data of a part is corrupt"),
        (["Content-Encoding: gzip"], gzip.compress(b"a")[:-1], "the compressed data of a part is cut off"),
        (["Content-Encoding: deflate"], zlib.compress(b"a") + b"b", "goes on after the end of its compressed data"),
    ],
)
async def test_malformed_coding_is_refused(lines: list[str], data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        await (await read_one(data, *lines)).read(decode=True)
    with pytest.raises(ValueError, match=message):
        (await read_one(b"", *lines)).decode(data)


async def test_decompressed_content_is_bounded_and_comes_in_pieces() -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    found = await read_one(bomb, "Content-Encoding: gzip", client_max_size=1_000_000)
    with pytest.raises(ValueError, match="limit 1,000,000"):
        await found.read(decode=True)
    pieces = [piece async for piece in (await read_one(b"", "Content-Encoding: gzip")).decode_iter(bomb)]
    assert sum(map(len, pieces)) == 10_000_000
    assert max(map(len, pieces)) <= 262_144


# Multipart in multipart.


def nest(depth: int) -> bytes:
    inner = b"x"
    for level in reversed(range(depth)):
        inner = body(
            part(inner, *([] if level == depth - 1 else [f"Content-Type: multipart/mixed; boundary=b{level + 1}"])),
            boundary=f"b{level}",
        )
    return inner


async def test_parts_of_a_part_are_read_by_a_reader() -> None:
    data = body(
        part(body(part(b"1"), part(b"2"), boundary="in"), "Content-Type: multipart/mixed; boundary=in"), part(b"3")
    )
    contents = []
    async for found in make_reader(data, step=9):
        if isinstance(found, MultipartReader):
            contents.append([await inner.read() async for inner in found])  # type: ignore[union-attr]
        else:
            contents.append(await found.read())
    assert contents == [[b"1", b"2"], b"3"]


async def test_nested_reader_that_was_left_is_dropped() -> None:
    data = body(
        part(body(part(b"1"), boundary="in") + b"epilogue", "Content-Type: multipart/mixed; boundary=in"), part(b"3")
    )
    reader = make_reader(data, step=9)
    assert isinstance(await reader.next(), MultipartReader)
    last = await reader.next()
    assert isinstance(last, BodyPartReader)
    assert await last.read() == b"3"


async def test_nested_body_is_cut_off_by_the_boundary_around_it() -> None:
    reader = make_reader(body(part(b"--in\r\n\r\n1", "Content-Type: multipart/mixed; boundary=in")))
    inner = await reader.next()
    assert isinstance(inner, MultipartReader)
    with pytest.raises(ValueError, match="before its closing boundary"):
        await inner.release()


async def test_nesting_is_bounded() -> None:
    reader: Any = make_reader(nest(8), content_type="multipart/mixed; boundary=b0")
    while isinstance(reader, MultipartReader):
        reader = await reader.next()
    assert await reader.read() == b"x"
    reader = make_reader(nest(9), content_type="multipart/mixed; boundary=b0")
    for _ in range(7):
        reader = await reader.next()
    with pytest.raises(ValueError, match=r"nested deeper than 8 \(max_depth\)"):
        await reader.next()


async def test_classes_of_parts_can_be_chosen() -> None:
    class Part(BodyPartReader):
        chunk_size = 4

    class Reader(MultipartReader):
        part_reader_cls = Part

    data = body(part(body(part(b"123456789"), boundary="in"), "Content-Type: multipart/mixed; boundary=in"))
    reader: Any = Reader({"Content-Type": "multipart/mixed; boundary=bound"}, Source([data]))
    inner = await reader.next()
    assert type(inner) is Reader
    assert [piece async for piece in await inner.next()] == [b"1234", b"5678", b"9"]


# Forms.


async def test_charset_of_a_form_is_that_of_its_text() -> None:
    data = body(
        field("_charset_", b"latin-1"),
        field("a", b"\xe9"),
        field("b", b"\xc3\xa9", "Content-Type: text/plain; charset=utf-8"),
    )
    reader = make_reader(data, content_type=FORM)
    assert [(found.name, await found.text()) async for found in reader] == [("a", "é"), ("b", "é")]  # type: ignore[union-attr]


async def test_charset_of_a_form_is_bounded() -> None:
    with pytest.raises(ValueError, match="the charset of the form has over 64 bytes"):
        await make_reader(body(field("_charset_", b"x" * 1000)), content_type=FORM).next()


@pytest.mark.parametrize("content_type", [FORM, "multipart/mixed; boundary=bound"])
async def test_charset_that_is_not_first_in_a_form_is_a_part(content_type: str) -> None:
    parts = [field("a"), field("_charset_", b"latin-1")]
    reader = make_reader(body(*(parts if content_type == FORM else parts[1:])), content_type=content_type)
    assert [found.name async for found in reader][-1] == "_charset_"  # type: ignore[union-attr]


# Responses.


class Response:
    """What a client gives: fields, a body and a connection to give back."""

    def __init__(self, data: bytes) -> None:
        self.headers = {"Content-Type": "multipart/mixed; boundary=bound"}
        self.content = self
        self.pieces = split(data, 8)
        self.is_released = False

    async def readany(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def at_eof(self) -> bool:
        return not self.pieces

    def release(self) -> None:
        self.is_released = True


async def test_response_is_released_behind_its_last_part() -> None:
    response = Response(body(part(b"1"), part(b"2")) + b"epilogue" * 10)
    wrapper = MultipartReader.from_response(response)
    assert not wrapper.at_eof()
    assert [await found.read() async for found in wrapper] == [b"1", b"2"]  # type: ignore[union-attr]
    assert response.is_released
    assert wrapper.at_eof()


async def test_response_can_be_released_before() -> None:
    response = Response(body(part(b"1"), part(b"2")))
    wrapper = MultipartReader.from_response(response)
    await wrapper.next()
    await wrapper.release()
    assert response.is_released
    assert wrapper.at_eof()
