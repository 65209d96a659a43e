from __future__ import annotations

import gzip
import io
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corelet
from corelet import BytesPayload, MultipartWriter, get_payload
from tests.multipart.body import make_reader, parse


class Collector:
    """What a payload writes to: keeps the pieces."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes) -> None:
        self.pieces.append(bytes(chunk))


async def write(writer: MultipartWriter) -> bytes:
    collector = Collector()
    await writer.write(collector)  # type: ignore[arg-type]  # all that it needs
    return b"".join(collector.pieces)


async def test_parts_are_written_one_after_another() -> None:
    writer = MultipartWriter(boundary=":")
    writer.append(b"bytes")
    writer.append("é", {"X-A": "b"})
    writer.append_json({"a": 1})
    writer.append_form([("a", "b c"), ("d", "é")])
    assert writer.content_type == 'multipart/mixed; boundary=":"'
    assert await write(writer) == (
        b"--:\r\nContent-Type: application/octet-stream\r\n\r\nbytes\r\n"
        b"--:\r\nContent-Type: text/plain; charset=utf-8\r\nX-A: b\r\n\r\n\xc3\xa9\r\n"
        b'--:\r\nContent-Type: application/json\r\n\r\n{"a": 1}\r\n'
        b"--:\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=b+c&d=%C3%A9\r\n"
        b"--:--\r\n"
    )


async def test_no_part_is_a_body_too() -> None:
    writer = MultipartWriter("related", boundary="a")
    assert (await write(writer), writer.content_type) == (b"--a--\r\n", "multipart/related; boundary=a")
    assert (len(writer), bool(writer), list(writer)) == (0, True, [])


async def test_body_may_go_on() -> None:
    writer = MultipartWriter(boundary="a")
    writer.append(BytesPayload(b"1", content_type=None))
    collector = Collector()
    await writer.write(collector, close_boundary=False)  # type: ignore[arg-type]
    assert collector.pieces == [b"--a\r\n\r\n1\r\n"]


def test_boundaries_are_random_and_allowed() -> None:
    first, second = MultipartWriter(), MultipartWriter()
    assert first.boundary != second.boundary
    assert re.fullmatch("[0-9a-f]{32}", first.boundary)


@pytest.mark.parametrize("boundary", ["", "a" * 71, "a\r\nb", "é"])
def test_boundary_that_can_not_be_is_refused(boundary: str) -> None:
    with pytest.raises(ValueError, match="a boundary has 1 to 70"):
        MultipartWriter(boundary=boundary)


def test_subtype_is_a_token() -> None:
    with pytest.raises(ValueError, match="a token, not 'a; b'"):
        MultipartWriter("a; b")


@pytest.mark.parametrize("headers", [{"X\r\nY": "a"}, {"X": "a\r\nY: b"}, {"X": "a\nb"}, {"X": "\0"}, {"X Y": "a"}])
def test_case_a_021_advisory_ghsa_m6qw_4cw2_hm4m_fields_of_a_part_can_not_break_out(headers: dict[str, str]) -> None:
    writer = MultipartWriter()
    with pytest.raises(ValueError, match=r"the name of a field is a token|can't have control characters"):
        writer.append("a", headers)
    assert len(writer) == 0


async def test_fields_that_were_changed_later_can_not_break_out_either() -> None:
    writer = MultipartWriter()
    writer.append("a").headers["X"] = "a\r\nY: b"
    with pytest.raises(ValueError, match="can't have control characters"):
        await write(writer)


def test_what_no_payload_takes_is_refused() -> None:
    with pytest.raises(LookupError, match="no payload class is registered for int"):
        MultipartWriter().append(5)


async def test_part_of_a_form_needs_a_name() -> None:
    writer = MultipartWriter("form-data")
    payload = writer.append("a")
    with pytest.raises(ValueError, match="is a field without a name"):
        await write(writer)
    payload.set_content_disposition("form-data", name="b")
    assert b'\r\nContent-Disposition: form-data; name="b"\r\n\r\na\r\n' in await write(writer)


@pytest.mark.parametrize("size", [1, 300_000])
async def test_size_is_what_is_written(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"x" * size)
    with path.open("rb") as file:
        writer = MultipartWriter()
        writer.append(file)
        writer.append("é", {"X-A": "ö"})
        writer.append(io.BytesIO(b"abc"))
        assert writer.size == len(await write(writer))


async def _give() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"


async def test_size_is_unknown_where_a_part_comes_bit_by_bit_or_is_encoded() -> None:
    writer = MultipartWriter(boundary="a")
    writer.append(_give())
    assert writer.size is None
    assert not writer.consumed
    assert b"\r\n\r\nab\r\n" in await write(writer)
    assert writer.consumed
    with pytest.raises(RuntimeError, match="was written or closed before"):
        await write(writer)
    encoded = MultipartWriter()
    encoded.append("a", {"Content-Encoding": "gzip"})
    assert encoded.size is None


async def test_file_that_grows_does_not_make_the_body_longer(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 300_000)

    class Growing(Collector):
        async def write(self, chunk: bytes) -> None:
            await super().write(chunk)
            with path.open("ab") as file:
                file.write(b"y" * 1000)

    with path.open("rb") as file:
        writer = MultipartWriter()
        writer.append(file)
        size = writer.size
        collector = Growing()
        await writer.write(collector)  # type: ignore[arg-type]
    assert sum(map(len, collector.pieces)) == size


async def test_small_parts_are_one_write_and_large_ones_are_not_joined() -> None:
    writer = MultipartWriter()
    for number in range(20):
        writer.append(str(number))
    collector = Collector()
    await writer.write(collector)  # type: ignore[arg-type]
    assert len(collector.pieces) == 1
    writer.append(b"x" * 200_000)
    collector = Collector()
    await writer.write(collector)  # type: ignore[arg-type]
    assert [len(piece) for piece in collector.pieces][1:2] == [200_000]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "identity"])
@pytest.mark.parametrize("transfer", ["base64", "quoted-printable", "binary"])
@pytest.mark.parametrize("content", [b"", b"a", b"line\r\nline\n = \t\x00\xff" * 500])
async def test_codings_are_applied_and_undone(coding: str, transfer: str, content: bytes) -> None:
    writer = MultipartWriter(boundary="bound")
    part = writer.append(content, {"Content-Encoding": coding, "Content-Transfer-Encoding": transfer})
    found = (part, "" if coding == "identity" else coding, "" if transfer == "binary" else transfer)
    assert list(writer) == [found]
    data = await write(writer)
    [(_, sent)] = parse([data])
    if transfer != "binary":
        assert max(map(len, sent.split(b"\r\n"))) <= 76
    if coding == "gzip" and transfer == "binary":
        assert gzip.decompress(sent) == content
    reader = make_reader(data, step=11)
    assert await (await reader.fetch_next_part()).read(decode=True) == content


@pytest.mark.parametrize("header", ["Content-Encoding", "Content-Transfer-Encoding"])
def test_unknown_coding_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match=f"a part can't be written with {header} 'x'"):
        MultipartWriter().append("a", {header: "x"})


async def test_body_can_be_had_whole() -> None:
    writer = MultipartWriter(boundary="bound")
    writer.append("é")
    assert (await writer.as_bytes()).decode() == writer.decode()
    assert parse([await writer.as_bytes()])[0][1] == "é".encode()
    writer.append("x", {"Content-Encoding": "gzip"})
    with pytest.raises(TypeError, match="encoded can't be had as text"):
        writer.decode()


async def test_writer_in_a_writer() -> None:
    outer, inner = MultipartWriter(boundary="bound"), MultipartWriter("alternative", boundary="inner")
    inner.append("1")
    outer.append(inner)
    outer.append("2")
    assert outer.size == len(await write(outer))
    [(head, content), (_, last)] = parse([await write(outer)])
    assert dict(head)["Content-Type"] == "multipart/alternative; boundary=inner"
    assert parse([content], "inner")[0][1] == b"1"
    assert last == b"2"


async def test_closing_closes_every_part(tmp_path: Path) -> None:
    class Failing(BytesPayload):
        async def close(self) -> None:
            raise OSError("can't")

    path = tmp_path / "file"
    path.write_bytes(b"x")
    file = path.open("rb")
    writer = MultipartWriter()
    writer.append(Failing(b""))
    assert writer.autoclose
    writer.append(file)
    assert not writer.autoclose
    with pytest.raises(OSError, match="can't"):
        await writer.close()
    assert file.closed


def test_writer_is_a_payload_of_its_own() -> None:
    writer = MultipartWriter()
    assert get_payload(writer) is writer
    with writer as entered:
        assert entered is writer
    assert isinstance(writer, corelet.Payload)


async def test_part_can_not_frame_itself() -> None:
    class Framing(BytesPayload):
        def __init__(self, call: str, *arguments: Any) -> None:
            super().__init__(b"")
            self.call = (call, arguments)

        async def write_with_length(self, writer: Any, content_length: int | None) -> None:
            result = getattr(writer, self.call[0])(*self.call[1])
            if result is not None:
                await result

    for call, arguments in (("write_headers", ("", {})), ("enable_chunking", ())):
        writer = MultipartWriter()
        writer.append(Framing(call, *arguments))
        with pytest.raises(RuntimeError, match="a part has no"):
            await writer.as_bytes()


@given(st.lists(st.tuples(st.binary(max_size=60), st.sampled_from(["", "base64", "quoted-printable"])), max_size=5))
async def test_what_was_written_is_read(parts: list[tuple[bytes, str]]) -> None:
    writer = MultipartWriter()
    for content, transfer in parts:
        writer.append(content, {"Content-Transfer-Encoding": transfer} if transfer else None)
    reader = make_reader(await writer.as_bytes(), step=13, content_type=writer.content_type)
    assert [await part.read(decode=True) async for part in reader] == [content for content, _ in parts]  # type: ignore[union-attr]


async def test_a_body_that_was_had_as_bytes_can_be_written_still() -> None:
    async def bits() -> AsyncIterator[bytes]:
        yield b"bit"
        yield b" by bit"

    inner = MultipartWriter(boundary="b")
    inner.append(bits())
    writer = MultipartWriter(boundary="a")
    writer.append(bits())
    writer.append(inner)
    content = await writer.as_bytes()
    assert content.count(b"bit by bit") == 2
    assert not writer.consumed
    assert await write(writer) == content


async def test_the_name_of_a_file_is_no_name_of_a_field(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    writer = MultipartWriter("form-data", boundary="a")
    with (tmp_path / "a").open("rb") as file:
        part = writer.append(file)
        with pytest.raises(ValueError, match="is a field without a name"):
            await writer.as_bytes()
        part.set_content_disposition("form-data", filename="a", name="b")
        assert b'name="b"' in await writer.as_bytes()
