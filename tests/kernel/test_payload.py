"""Payloads: what writes itself as a body, and the registry that finds one."""

from __future__ import annotations

import array
import asyncio
import gzip
import io
import json
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import IO, Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from corelet.abc import AbstractStreamWriter
from corelet.payload import (
    ONE_PIECE_BYTES,
    PAYLOAD_REGISTRY,
    READ_BYTES,
    AsyncIterablePayload,
    BufferedReaderPayload,
    BytesIOPayload,
    BytesPayload,
    IOBasePayload,
    JsonPayload,
    Order,
    Payload,
    PayloadLookupError,
    PayloadRegistry,
    StreamReaderPayload,
    StringIOPayload,
    StringPayload,
    TextIOPayload,
    get_payload,
    payload_type,
)
from corelet.streams import StreamReader


class Collector(AbstractStreamWriter):
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        assert isinstance(chunk, bytes | bytearray | memoryview)
        self.pieces.append(bytes(chunk))

    async def write_eof(self, chunk: bytes = b"") -> None:
        raise AssertionError("a payload doesn't end the body")

    async def drain(self) -> None: ...

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        raise AssertionError("a payload writes no head")

    def enable_chunking(self) -> None:
        raise AssertionError("a payload doesn't frame the body")


async def write(payload: Payload, length: int | None = None) -> bytes:
    """Give what a payload writes."""
    writer = Collector()
    if length is None:
        await payload.write(writer)
    else:
        await payload.write_with_length(writer, length)
    return b"".join(writer.pieces)


async def generate(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_bytes("größe\n".encode())
    return path


# The registry

MADE: list[tuple[Callable[[Path], Any], type[Payload], str, bytes]] = [
    (lambda path: b"ab", BytesPayload, "application/octet-stream", b"ab"),
    (lambda path: bytearray(b"ab"), BytesPayload, "application/octet-stream", b"ab"),
    (lambda path: memoryview(b"ab"), BytesPayload, "application/octet-stream", b"ab"),
    (lambda path: memoryview(array.array("H", [0x6161])), BytesPayload, "application/octet-stream", b"aa"),
    (lambda path: "ä", StringPayload, "text/plain; charset=utf-8", "ä".encode()),
    (lambda path: io.StringIO("ä"), StringIOPayload, "text/plain; charset=utf-8", "ä".encode()),
    (lambda path: io.BytesIO(b"ab"), BytesIOPayload, "application/octet-stream", b"ab"),
    (lambda path: path.open("rb"), BufferedReaderPayload, "text/html", "größe\n".encode()),
    (lambda path: path.open("r+b"), BufferedReaderPayload, "text/html", "größe\n".encode()),
    (lambda path: path.open("rb", buffering=0), IOBasePayload, "text/html", "größe\n".encode()),
    (lambda path: path.open(encoding="utf-8"), TextIOPayload, "text/plain; charset=utf-8", "größe\n".encode()),
    (lambda path: generate(b"a", b"b"), AsyncIterablePayload, "application/octet-stream", b"ab"),
]


@pytest.mark.parametrize(("make", "kind", "content_type", "content"), MADE)
async def test_an_object_finds_its_payload(
    path: Path, make: Callable[[Path], Any], kind: type[Payload], content_type: str, content: bytes
) -> None:
    payload = get_payload(make(path))
    assert type(payload) is kind
    assert payload.content_type == payload.headers["Content-Type"] == content_type
    assert payload.size in (len(content), None)
    assert await write(payload) == content
    await payload.close()


@pytest.mark.parametrize(("make", "kind", "content_type", "content"), MADE)
async def test_no_more_is_written_than_asked_for(
    path: Path, make: Callable[[Path], Any], kind: type[Payload], content_type: str, content: bytes
) -> None:
    payload = get_payload(make(path))
    assert await write(payload, 1) == content[:1]
    await payload.close()
    await payload.close()


@pytest.mark.parametrize(("make", "kind", "content_type", "content"), MADE)
async def test_the_content_can_be_had_as_bytes(
    path: Path, make: Callable[[Path], Any], kind: type[Payload], content_type: str, content: bytes
) -> None:
    payload = get_payload(make(path))
    assert await payload.as_bytes() == content
    await payload.close()


@pytest.mark.parametrize(("make", "kind", "content_type", "content"), MADE[:-1])
async def test_the_content_can_be_had_as_text(
    path: Path, make: Callable[[Path], Any], kind: type[Payload], content_type: str, content: bytes
) -> None:
    payload = get_payload(make(path))
    assert payload.decode() == content.decode()
    await payload.close()


@pytest.mark.parametrize(("make", "kind", "content_type", "content"), MADE[:-1])
async def test_the_content_can_be_written_again(
    path: Path, make: Callable[[Path], Any], kind: type[Payload], content_type: str, content: bytes
) -> None:
    payload = get_payload(make(path))
    for _ in range(3):
        assert not payload.consumed
        assert await write(payload) == content
    assert await write(payload, 1) == content[:1]
    assert await write(payload) == content
    await payload.close()


async def test_a_stream_is_written_as_it_comes() -> None:
    stream = StreamReader(None)
    payload = get_payload(stream)
    assert type(payload) is StreamReaderPayload
    for piece in (b"ab\n", b"cd"):
        stream.feed_data(piece)
    stream.feed_eof()
    assert await write(payload) == b"ab\ncd"


def test_a_payload_is_its_own() -> None:
    payload = BytesPayload(b"ab")
    assert get_payload(payload) is payload


def test_an_object_that_nothing_takes_is_named() -> None:
    with pytest.raises(PayloadLookupError, match=r"no payload class is registered for complex: .* json_response\(\)"):
        get_payload(1j)


class Point:
    pass


@payload_type(Point, order=Order.try_first)
class PointPayload(Payload):
    """A payload of somebody else's: it only writes and decodes."""

    _default_content_type = "application/x-point"

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return "·"

    async def write(self, writer: AbstractStreamWriter) -> None:
        await writer.write("·".encode())


async def test_a_class_can_be_registered_by_a_decorator() -> None:
    payload = get_payload(Point(), filename="p")
    assert type(payload) is PointPayload
    assert (payload.content_type, payload.filename, payload.size) == ("application/x-point", "p", None)
    assert (payload.consumed, payload.autoclose, payload.encoding) == (False, False, None)
    assert await payload.as_bytes() == await write(payload) == await write(payload, 1) == "·".encode()
    assert await payload.as_bytes("latin-1") == b"\xb7"
    await payload.close()


@pytest.mark.parametrize(
    ("orders", "winner"),
    [
        ([Order.normal, Order.normal], 0),
        ([Order.normal, Order.try_first], 1),
        ([Order.try_last, Order.normal], 1),
        ([Order.try_last, Order.try_first], 1),
    ],
)
def test_order_decides_between_classes_that_take_the_same(orders: list[Order], winner: int) -> None:
    registry = PayloadRegistry()
    kinds: list[type[Payload]] = [BytesPayload, type("Other", (BytesPayload,), {})]
    for kind, order in zip(kinds, orders, strict=True):
        registry.register(kind, bytes, order=order)
    assert type(registry.get(b"ab")) is kinds[winner]


def test_arguments_go_to_the_class() -> None:
    payload = PAYLOAD_REGISTRY.get("a", content_type="text/x", headers={"X-A": "b"}, encoding="utf-16")
    assert payload.headers == {"Content-Type": "text/x", "X-A": "b"}
    assert payload.size == 4


# Head fields


def test_the_type_is_guessed_by_the_file_name() -> None:
    assert BytesPayload(b"", filename="a.png").content_type == "image/png"
    assert BytesPayload(b"", filename="a.unheard-of").content_type == "application/octet-stream"


def test_a_type_that_is_given_wins_over_the_file_name_and_one_in_headers_over_both() -> None:
    assert BytesPayload(b"", filename="a.png", content_type="a/b").content_type == "a/b"
    headers = [("content-type", "c/d")]
    assert BytesPayload(b"", headers, filename="a.png", content_type="a/b").content_type == "c/d"


def test_no_type_is_sent_where_none_is_wanted() -> None:
    payload = BytesPayload(b"", content_type=None, filename="a.png")
    assert not payload.headers
    assert payload.content_type == "image/png"


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="colour"):
        BytesPayload(b"", colour="red")


def test_content_disposition_is_set() -> None:
    payload = BytesPayload(b"")
    payload.set_content_disposition("attachment", filename="é.txt")
    assert payload.headers["Content-Disposition"] == "attachment; filename=\"_.txt\"; filename*=utf-8''%C3%A9.txt"
    payload.set_content_disposition("form-data", name="a", size=3)
    assert payload.headers["Content-Disposition"] == 'form-data; name="a"; size="3"'


def test_a_file_is_an_attachment_of_its_name(path: Path) -> None:
    with path.open("rb") as file:
        assert IOBasePayload(file).headers["Content-Disposition"] == 'attachment; filename="page.html"'
        assert IOBasePayload(file, "inline", filename="x").headers["Content-Disposition"] == 'inline; filename="x"'
        assert "Content-Disposition" not in IOBasePayload(file, None).headers
        given = {"Content-Disposition": "inline"}
        assert IOBasePayload(file, headers=given).headers["Content-Disposition"] == "inline"


def test_a_file_without_a_name_is_sent_without_one(path: Path) -> None:
    with os.fdopen(os.open(path, os.O_RDONLY), "rb") as file:
        payload = get_payload(file)
        assert payload.filename is None
        assert payload.headers == {"Content-Type": "application/octet-stream"}


def test_a_payload_shows_its_type_and_size() -> None:
    assert repr(StringPayload("ab")) == "<StringPayload text/plain; charset=utf-8 size=2>"


# Bytes, text, JSON


@pytest.mark.parametrize("value", ["text", 1, None])
def test_bytes_are_asked_for(value: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(value).__name__}"):
        BytesPayload(value)


async def test_large_bytes_are_written_in_pieces_and_others_have_their_turn() -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.ensure_future(take_turns())
    content = os.urandom(ONE_PIECE_BYTES * 4)
    writer = Collector()
    await BytesPayload(content).write(writer)
    other.cancel()
    assert b"".join(writer.pieces) == content
    assert len(writer.pieces) == 16
    assert turns >= 15


async def test_bytes_up_to_a_mebibyte_are_one_piece() -> None:
    writer = Collector()
    await BytesPayload(bytes(ONE_PIECE_BYTES)).write(writer)
    await BytesPayload(bytearray(ONE_PIECE_BYTES)).write(writer)
    assert len(writer.pieces) == 2


@pytest.mark.parametrize(
    ("arguments", "content_type", "content"),
    [
        ({}, "text/plain; charset=utf-8", "é".encode()),
        ({"encoding": "latin-1"}, "text/plain; charset=latin-1", b"\xe9"),
        ({"content_type": "text/html"}, "text/html", "é".encode()),
        ({"content_type": "text/html; charset=latin-1"}, "text/html; charset=latin-1", b"\xe9"),
        ({"content_type": "text/html", "encoding": "latin-1"}, "text/html", b"\xe9"),
    ],
)
@pytest.mark.parametrize("text_file", [False, True])
async def test_text_is_encoded_as_its_type_says(
    arguments: dict[str, str], content_type: str, content: bytes, text_file: bool, tmp_path: Path
) -> None:
    (tmp_path / "a").write_text("é", encoding="utf-8")
    source: Any = (tmp_path / "a").open(encoding="utf-8") if text_file else "é"
    payload = get_payload(source, **arguments)
    assert payload.content_type == content_type
    assert await write(payload) == content
    assert payload.decode("latin-1" if content == b"\xe9" else "utf-8") == "é"
    await payload.close()


async def test_json_is_written_by_any_serialiser() -> None:
    payload = JsonPayload({"a": ["ü", 1]})
    assert payload.content_type == "application/json"
    assert json.loads(await write(payload)) == {"a": ["ü", 1]}
    assert await write(JsonPayload(1, dumps=lambda value: f"<{value}>")) == b"<1>"


def test_closing_is_no_matter_for_what_holds_nothing() -> None:
    assert BytesPayload(b"").autoclose
    assert BytesIOPayload(io.BytesIO()).autoclose
    with open(os.devnull, "rb") as file:
        assert not get_payload(file).autoclose


# Files


async def test_a_file_is_written_from_where_it_stood(path: Path) -> None:
    for file in (path.open("rb"), path.open(encoding="utf-8"), io.BytesIO("größe\n".encode())):
        file.seek(2)
        payload = get_payload(file)
        assert payload.size in (6, None)
        for _ in range(2):
            assert await write(payload) == "größe\n".encode()[2:]
        await payload.close()


@pytest.mark.parametrize("mode", ["rb", "r"])
async def test_a_large_file_is_read_in_pieces_in_a_thread(tmp_path: Path, mode: str) -> None:
    content = os.urandom(500_000).hex().encode()
    (tmp_path / "a").write_bytes(content)
    payload = get_payload((tmp_path / "a").open(mode))
    readers: set[int] = set()
    read = payload._value.read

    class Watched:
        """The same file, noting who reads."""

        def __getattr__(self, name: str) -> Any:
            return getattr(payload_file, name)

        def read(self, size: int) -> Any:
            readers.add(threading.get_ident())
            return read(size)

    payload_file, payload._value = payload._value, Watched()
    writer = Collector()
    await payload.write(writer)
    assert b"".join(writer.pieces) == content
    assert len(writer.pieces) == 4
    assert threading.get_ident() not in readers
    await payload.close()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "iso2022_jp"])
async def test_text_with_a_state_is_encoded_as_one(tmp_path: Path, encoding: str) -> None:
    text = "日本" * 200_000
    (tmp_path / "a").write_text(text, encoding="utf-8")
    payload = get_payload((tmp_path / "a").open(encoding="utf-8"), encoding=encoding)
    for _ in range(2):
        assert await write(payload) == text.encode(encoding)
    assert await payload.as_bytes() == text.encode(encoding)
    await payload.close()


async def test_a_pipe_is_written_once() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"ab")
    os.close(writer)
    payload = get_payload(os.fdopen(reader, "rb"))
    assert payload.size is None
    assert await write(payload) == b"ab"
    assert payload.consumed
    with pytest.raises(RuntimeError, match="can't be read again"):
        await write(payload)
    await payload.close()


async def test_a_compressed_file_has_no_size_since_it_reads_as_something_longer(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.gz", "wb") as file:
        file.write(bytes(1000))
    with gzip.open(tmp_path / "a.gz") as compressed:
        payload = get_payload(compressed)
        assert payload.size is None
        assert await write(payload) == bytes(1000)


async def test_a_spooled_file_can_be_written() -> None:
    with tempfile.SpooledTemporaryFile() as file:
        file.write(b"ab")
        file.seek(0)
        assert await write(IOBasePayload(file, None)) == b"ab"


class Bare:
    """What reads, and can do nothing else."""

    def __init__(self, content: bytes) -> None:
        self.read = io.BytesIO(content).read


async def test_what_only_reads_can_be_written_once() -> None:
    bare: IO[Any] = Bare(b"ab")  # type: ignore[assignment]  # that it is no whole file is the point
    payload = IOBasePayload(bare)
    assert (payload.size, payload.filename) == (None, None)
    assert await write(payload) == b"ab"
    assert payload.consumed


async def test_closing_closes_the_file_and_ends_the_payload(path: Path) -> None:
    file = path.open("rb")
    payload = get_payload(file)
    await payload.close()
    await payload.close()
    assert file.closed
    assert payload.consumed
    assert payload.size is None
    with pytest.raises(RuntimeError, match="closed before"):
        await write(payload)


class Gate(Collector):
    """A writer that waits after each piece."""

    def __init__(self) -> None:
        super().__init__()
        self.has_piece = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        await super().write(chunk)
        self.has_piece.set()
        await self.may_go_on.wait()


async def test_who_writes_a_file_again_has_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "large"
    content = os.urandom(3 * READ_BYTES)
    path.write_bytes(content)
    payload = get_payload(path.open("rb"))
    former = Gate()
    task = asyncio.create_task(payload.write(former))
    await former.has_piece.wait()
    former.may_go_on.set()
    assert await write(payload) == content
    with pytest.raises(RuntimeError, match="being written again"):
        await task
    await payload.close()


async def test_closing_leaves_memory_open() -> None:
    file = io.BytesIO(b"ab")
    payload = get_payload(file)
    await payload.close()
    assert await write(payload) == b"ab"
    assert not file.closed


async def test_a_file_that_grew_is_written_as_far_as_was_promised(path: Path) -> None:
    payload = get_payload(path.open("rb"))
    size = payload.size
    with path.open("ab") as file:
        file.write(b"more")
    assert payload.size == size
    assert await write(payload, size) == "größe\n".encode()
    await payload.close()


@pytest.mark.parametrize("mode", ["rb", "r"])
async def test_a_file_is_written_from_where_it_stood_when_it_was_moved_since(path: Path, mode: str) -> None:
    with path.open(mode, **({} if mode == "rb" else {"encoding": "utf-8"})) as file:
        payload = get_payload(file)
        file.read()
        assert await write(payload) == "größe\n".encode()


class Pipe(io.RawIOBase):
    """What is read when its other end wants."""

    def __init__(self) -> None:
        self.is_read = threading.Event()
        self.other_end = threading.Event()
        self.is_at_end = threading.Event()

    def read(self, size: int = -1) -> bytes:
        self.is_read.set()
        self.other_end.wait(10)
        return b""

    def close(self) -> None:
        super().close()
        self.is_at_end.set()


async def test_closing_does_not_wait_for_the_other_end_of_a_pipe() -> None:
    pipe = Pipe()
    payload = get_payload(pipe)
    task = asyncio.create_task(write(payload))
    await asyncio.to_thread(pipe.is_read.wait)
    task.cancel()
    await asyncio.wait_for(payload.close(), 5)
    assert not pipe.closed
    pipe.other_end.set()
    assert await asyncio.to_thread(pipe.is_at_end.wait, 5)


async def test_who_waits_to_read_a_file_that_is_closed_reads_nothing(path: Path) -> None:
    payload = get_payload(path.open("rb"))
    gate = Gate()
    task = asyncio.create_task(payload.write(gate))
    await gate.has_piece.wait()
    await payload.close()
    gate.may_go_on.set()
    with pytest.raises(RuntimeError, match="closed before"):
        await task


# Async iterables


async def test_an_async_iterable_is_written_once() -> None:
    payload = get_payload(generate(b"ab", b"cd"))
    assert not payload.consumed
    await write(payload)
    assert payload.consumed
    with pytest.raises(RuntimeError, match="can't be read again"):
        await write(payload)


async def test_an_async_iterable_that_was_kept_is_written_as_often_as_needed() -> None:
    payload = get_payload(generate(b"ab", b"cd"))
    with pytest.raises(TypeError, match="await as_bytes"):
        payload.decode()
    assert await payload.as_bytes() == b"abcd"
    assert await write(payload) == await write(payload) == await payload.as_bytes() == b"abcd"
    assert await write(payload, 3) == b"abc"
    assert payload.decode() == "abcd"
    assert not payload.consumed


@pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5])
async def test_an_async_generator_that_is_cut_short_is_closed(length: int) -> None:
    closed = []

    async def generate_and_note() -> AsyncIterator[bytes]:
        try:
            yield b"ab"
            yield b"cd"
        finally:
            closed.append(True)

    assert await write(get_payload(generate_and_note()), length) == b"abcd"[:length]
    assert closed


async def test_closing_closes_what_was_never_written() -> None:
    closed = []

    async def generate_and_note() -> AsyncIterator[bytes]:
        try:
            yield b"ab"
        finally:
            closed.append(True)

    generator = generate_and_note()
    await anext(generator)
    payload = get_payload(generator)
    await payload.close()
    await payload.close()
    assert closed
    assert payload.consumed


class Countdown:
    """An async iterable that is no generator."""

    def __init__(self) -> None:
        self.left = 3

    def __aiter__(self) -> Countdown:
        return self

    async def __anext__(self) -> bytes:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return b"x"


async def test_an_iterable_that_is_no_generator_is_written_too() -> None:
    assert await write(get_payload(Countdown())) == b"xxx"


def test_an_async_iterable_is_asked_for() -> None:
    with pytest.raises(TypeError, match="not list"):
        AsyncIterablePayload([b"ab"])  # type: ignore[arg-type]  # that it is refused is the point


# As the peer does


@given(st.binary() | st.text())
def test_size_and_type_are_those_of_the_peer(value: bytes | str) -> None:
    try:
        peer = aiohttp.get_payload(value)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            get_payload(value)
        return
    payload = get_payload(value)
    assert (payload.size, payload.content_type) == (peer.size, peer.content_type)


@pytest.mark.parametrize(
    "kind",
    [
        "AsyncIterablePayload",
        "BufferedReaderPayload",
        "BytesIOPayload",
        "BytesPayload",
        "IOBasePayload",
        "JsonPayload",
        "Payload",
        "StringIOPayload",
        "StringPayload",
        "TextIOPayload",
    ],
)
def test_every_public_name_of_the_peers_payload_is_here(kind: str) -> None:
    import corelet.payload

    names = {name for name in dir(getattr(aiohttp, kind)) if name[0] != "_"}
    assert names <= set(dir(getattr(corelet.payload, kind)))
