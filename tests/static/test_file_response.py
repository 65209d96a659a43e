from __future__ import annotations

import asyncio
import logging
import os
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from corelet import web
from corelet_static import FileResponse
from tests.conftest import Connect, Serve, Tls
from tests.static.tree import LARGE


def make_handler(path: Path, *arguments: Any, **kwargs: Any) -> Any:
    async def handler(request: web.BaseRequest) -> FileResponse:
        return FileResponse(path, *arguments, **kwargs)

    return handler


async def test_small_file_is_the_body(get: Any, root: Path) -> None:
    answer = await get(make_handler(root / "a.txt"))
    facts = (root / "a.txt").stat()
    assert (answer.status, answer.body) == (200, b"0123456789")
    assert answer.field("content-length") == "10"
    assert answer.field("content-type") == "text/plain"
    assert answer.field("accept-ranges") == "bytes"
    assert answer.field("etag") == f'"{facts.st_mtime_ns:x}-a"'
    assert answer.field("last-modified") == formatdate(-(-facts.st_mtime_ns // 10**9), usegmt=True)
    assert answer.field("vary") is None


@pytest.mark.parametrize("is_tls", [False, True])
async def test_large_file_is_the_body(serve: Serve, connect: Connect, root: Path, tls: Tls, is_tls: bool) -> None:
    served = await serve(make_handler(root / "large.bin", 1000), ssl_context=tls.server if is_tls else None)
    client = await connect(served, **({"ssl": tls.client} if is_tls else {}))
    for _ in range(2):
        assert (await client.get()).body == LARGE


@pytest.mark.parametrize(("name", "size"), [("a.txt", 10), ("large.bin", len(LARGE)), ("empty", 0)])
async def test_head_has_the_fields_alone(serve: Serve, connect: Connect, root: Path, name: str, size: int) -> None:
    client = await connect(await serve(make_handler(root / name)))
    head, whole = await client.get(method="HEAD"), await client.get()
    ignored = {"date"}
    assert [f for f in head.fields if f[0] not in ignored] == [f for f in whole.fields if f[0] not in ignored]
    assert head.field("content-length") == str(size) == str(len(whole.body))


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.html", "text/html"),
        ("a.JPG", "image/jpeg"),
        ("a.tar.gz", "application/gzip"),
        ("a.svgz", "application/gzip"),
        ("a.txt.bz2", "application/x-bzip2"),
        ("a", "application/octet-stream"),
        ("data:,a.png", "image/png"),
    ],
)
async def test_media_type_follows_from_the_name(get: Any, tmp_path: Path, name: str, media_type: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    answer = await get(make_handler(tmp_path / name))
    assert answer.field("content-type") == media_type
    assert answer.field("content-encoding") is None


@pytest.mark.parametrize("headers", [{"content-type": "x/y"}, [("Content-Type", "x/y")]])
async def test_media_type_can_be_given(get: Any, root: Path, headers: Any) -> None:
    answer = await get(make_handler(root / "a.txt", headers=headers))
    assert answer.field("content-type") == "x/y"


async def test_status_can_be_given_and_conditions_are_of_no_matter_then(get: Any, root: Path) -> None:
    answer = await get(
        make_handler(root / "a.txt", status=404, reason="Lost"), "/", "If-None-Match: *\r\nRange: bytes=0-1\r\n"
    )
    assert (answer.status, answer.reason, answer.body) == (404, "Lost", b"0123456789")


async def test_file_that_is_not_there_is_a_404(get: Any, root: Path) -> None:
    assert (await get(make_handler(root / "missing"))).status == 404
    assert (await get(make_handler(root / "a\0b"))).status == 404
    assert (await get(make_handler(root / "a.txt" / "b"))).status == 404


@pytest.mark.parametrize("name", ["sub", "fifo", "socket"])
async def test_what_is_no_plain_file_is_a_403(get: Any, root: Path, name: str) -> None:
    assert (await asyncio.wait_for(get(make_handler(root / name)), 5)).status == 403


async def test_path_is_trusted_with_its_links(get: Any, root: Path) -> None:
    assert (await get(make_handler(root / "inside"))).body == b"0123456789"


# Conditions.

TAG = "TAG"
OTHER = '"other"'

CONDITIONS = [
    ("If-Match: *", 200),
    ("If-Match: TAG", 200),
    ('If-Match: "other", TAG', 200),
    ('If-Match: "other"', 412),
    ("If-Match: W/TAG", 412),
    ("If-Match: bad", 412),
    ("If-None-Match: *", 304),
    ("If-None-Match: TAG", 304),
    ("If-None-Match: W/TAG", 304),
    ('If-None-Match: "other"', 200),
    ("If-Modified-Since: SAME", 304),
    ("If-Modified-Since: LATER", 304),
    ("If-Modified-Since: EARLIER", 200),
    ("If-Modified-Since: bad", 200),
    ("If-Unmodified-Since: SAME", 200),
    ("If-Unmodified-Since: EARLIER", 412),
    ("If-Unmodified-Since: bad", 200),
    # Tags win over dates.
    ('If-None-Match: "other"\r\nIf-Modified-Since: SAME', 200),
    ("If-None-Match: TAG\r\nIf-Modified-Since: EARLIER", 304),
    ("If-Match: TAG\r\nIf-Unmodified-Since: EARLIER", 200),
    ("If-Match: TAG\r\nIf-None-Match: TAG", 304),
    ('If-Match: "other"\r\nIf-None-Match: TAG', 412),
    # What is not sent has no range either.
    ("If-None-Match: TAG\r\nRange: bytes=0-1", 304),
    ('If-Match: "other"\r\nRange: bytes=0-1', 412),
]


def fill(fields: str, path: Path) -> str:
    facts = path.stat()
    second = -(-facts.st_mtime_ns // 10**9)
    for name, shift in (("SAME", 0), ("LATER", 10), ("EARLIER", -10)):
        fields = fields.replace(name, formatdate(second + shift, usegmt=True))
    return fields.replace(TAG, f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"') + "\r\n"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("fields", "status"), CONDITIONS)
async def test_conditions_are_followed(get: Any, root: Path, fields: str, status: int, method: str) -> None:
    path = root / "a.txt"
    answer = await get(make_handler(path), "/", fill(fields, path), method)
    assert answer.status == status
    assert answer.field("etag")
    if status == 304:
        assert (answer.field("content-length"), answer.field("content-type"), answer.body) == (None, None, b"")
    if status == 412:
        assert answer.body == b""


async def test_method_other_than_get_gets_the_file_whatever_it_knows(get: Any, root: Path) -> None:
    path = root / "a.txt"
    answer = await get(make_handler(path), "/", fill("If-None-Match: TAG\r\nContent-Length: 0", path), "POST")
    assert (answer.status, answer.body) == (200, b"0123456789")


# Ranges.

RANGES = [
    ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    ("bytes=4-", 206, b"456789", "bytes 4-9/10"),
    ("bytes=-3", 206, b"789", "bytes 7-9/10"),
    ("bytes=-30", 206, b"0123456789", "bytes 0-9/10"),
    ("bytes=9-100", 206, b"9", "bytes 9-9/10"),
    ("bytes=0-99999999999999999999999", 206, b"0123456789", "bytes 0-9/10"),
    ("BYTES=0-1", 206, b"01", "bytes 0-1/10"),
    ("bytes=10-", 416, b"", "bytes */10"),
    ("bytes=99-100", 416, b"", "bytes */10"),
    ("bytes=5-3", 416, b"", "bytes */10"),
    ("bytes=-0", 416, b"", "bytes */10"),
    ("bytes=" + "1" * 5000 + "-", 416, b"", "bytes */10"),
    ("items=0-1", 200, b"0123456789", None),
    ("bytes=0-1,3-4", 200, b"0123456789", None),
    ("bytes 0-1", 200, b"0123456789", None),
]


@pytest.mark.parametrize(("value", "status", "body", "content_range"), RANGES)
async def test_cases_a_039_and_a_041_range_is_sent(
    get: Any, root: Path, value: str, status: int, body: bytes, content_range: str | None
) -> None:
    answer = await get(make_handler(root / "a.txt"), "/", f"Range: {value}\r\n")
    assert (answer.status, answer.body, answer.field("content-range")) == (status, body, content_range)
    assert answer.field("content-length") == str(len(body))


async def test_case_a_038_advisory_cve_2025_62727_many_ranges_are_the_whole_at_once(get: Any, root: Path) -> None:
    started = time.process_time()
    answer = await get(make_handler(root / "a.txt"), "/", f"Range: bytes={'0-,' * 1300}0-\r\n")
    assert (answer.status, answer.body) == (200, b"0123456789")
    assert time.process_time() - started < 1


async def test_case_a_040_advisory_cve_2025_69225_other_digits_are_none(get: Any, root: Path) -> None:
    answer = await get(make_handler(root / "a.txt"), "/", "Range: bytes=\u0661-\r\n".encode().decode("latin-1"))
    assert (answer.status, answer.body) == (416, b"")


async def test_range_of_a_large_file_is_sent(get: Any, root: Path) -> None:
    answer = await get(make_handler(root / "large.bin"), "/", "Range: bytes=70000-1000000\r\n")
    assert answer.body == LARGE[70000:1000001]


async def test_range_of_nothing_is_a_416(get: Any, root: Path) -> None:
    answer = await get(make_handler(root / "empty"), "/", "Range: bytes=0-0\r\n")
    assert (answer.status, answer.field("content-range")) == (416, "bytes */0")


@pytest.mark.parametrize("method", ["HEAD", "POST"])
async def test_range_is_for_get_only(get: Any, root: Path, method: str) -> None:
    answer = await get(make_handler(root / "a.txt"), "/", "Range: bytes=0-1\r\nContent-Length: 0\r\n", method)
    assert (answer.status, answer.field("content-length")) == (200, "10")


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (TAG, 206),
        ("W/TAG", 200),
        (OTHER, 200),
        ("*", 200),
        ("SAME", 206),
        ("LATER", 200),
        ("EARLIER", 200),
        ("bad", 200),
    ],
)
async def test_range_is_sent_if_the_file_is_the_same(get: Any, root: Path, value: str, status: int) -> None:
    path = root / "a.txt"
    os.utime(path, (1_600_000_000, 1_600_000_000.5))
    fields = fill(f"Range: bytes=0-1\r\nIf-Range: {value}", path)
    assert (await get(make_handler(path), "/", fields)).status == status


async def test_date_of_this_second_names_no_state(get: Any, root: Path) -> None:
    path = root / "a.txt"
    os.utime(path, (time.time() + 5, time.time() + 5))
    assert (await get(make_handler(path), "/", fill("Range: bytes=0-1\r\nIf-Range: SAME", path))).status == 200


# Precompressed siblings.


@pytest.fixture
def packed(root: Path) -> Path:
    """Give a file with three siblings."""
    for suffix, content in (("", b"as it is"), (".gz", b"gzip"), (".br", b"br"), (".zst", b"zstd")):
        (root / f"page.css{suffix}").write_bytes(content)
    return root / "page.css"


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        ("", None),
        ("identity", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("gzip, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("*", "br"),
        ("*;q=0.1, br;q=0", "zstd"),
        ("identity, gzip;q=0.5", None),
        ("identity, gzip", "gzip"),
        ("deflate", None),
        ("br;q=bad", None),
    ],
)
async def test_sibling_is_sent_to_those_who_accept_it(get: Any, packed: Path, accept: str | None, coding: Any) -> None:
    fields = "" if accept is None else f"Accept-Encoding: {accept}\r\n"
    answer = await get(make_handler(packed), "/", fields)
    assert answer.field("content-encoding") == coding
    assert answer.body == (b"as it is" if coding is None else coding.encode())
    assert answer.field("content-type") == "text/css"
    assert answer.field("vary") == "Accept-Encoding"
    assert (answer.field("etag") or "").endswith("-8" + '"' if coding is None else f'-{coding}"')


async def test_each_coding_has_its_tag_and_its_ranges(get: Any, packed: Path) -> None:
    handler = make_handler(packed)
    gzip = "Accept-Encoding: gzip\r\n"
    tag = (await get(handler, "/", gzip)).field("etag")
    assert (await get(handler, "/", f"{gzip}If-None-Match: {tag}\r\n")).status == 304
    assert (await get(handler, "/", f"If-None-Match: {tag}\r\n")).status == 200
    answer = await get(handler, "/", f"{gzip}Range: bytes=1-2\r\n")
    assert (answer.body, answer.field("content-range"), answer.field("content-encoding")) == (
        b"zi",
        "bytes 1-2/4",
        "gzip",
    )


async def test_file_that_is_coded_already_has_no_sibling(get: Any, packed: Path) -> None:
    handler = make_handler(packed, headers={"Content-Encoding": "x"})
    answer = await get(handler, "/", "Accept-Encoding: br\r\n")
    assert (answer.body, answer.field("content-encoding")) == (b"as it is", "x")


async def test_sibling_that_is_no_plain_file_is_none(get: Any, root: Path) -> None:
    (root / "a.txt.br").mkdir()
    os.mkfifo(root / "a.txt.gz")
    answer = await get(make_handler(root / "a.txt"), "/", "Accept-Encoding: br, gzip\r\n")
    assert (answer.body, answer.field("vary")) == (b"0123456789", None)


# With other parts of a response.


async def test_coding_on_the_way_has_no_ranges(serve: Serve, connect: Connect, root: Path) -> None:
    from corelet import hookimpl
    from corelet.abc import AbstractEncoder, ContentCoding

    class Encoder(AbstractEncoder):
        def encode(self, data: bytes) -> bytes:
            return data[::-1]

        def flush(self) -> bytes:
            return b""

        def finish(self) -> bytes:
            return b"."

    class Reversed(ContentCoding):
        name = "x"

        def make_encoder(self, level: int | None = None) -> Encoder:
            return Encoder()

        def make_decoder(self, max_bytes: int) -> Any:
            raise NotImplementedError

    class Plugin:
        @hookimpl
        def corelet_register_codings(self, codings: Any) -> None:
            codings.add(Reversed())

    async def handler(request: web.BaseRequest) -> FileResponse:
        response = FileResponse(root / "a.txt")
        response.enable_compression("x")
        return response

    client = await connect(await serve(web.Application(handler=handler, plugins=[Plugin()])))
    answer = await client.get(fields="Range: bytes=0-1\r\n")
    assert (answer.status, answer.body, answer.field("accept-ranges")) == (200, b"9876543210.", None)


async def test_part_of_a_file_is_not_coded_later(serve: Serve, connect: Connect, root: Path) -> None:
    async def compress(request: Any, response: Any) -> None:
        response.enable_compression("x")

    app = web.Application(handler=make_handler(root / "a.txt"), plugins=[])
    app.on_response_prepare.append(compress)
    client = await connect(await serve(app))
    assert (await client.get(fields="Range: bytes=0-1\r\n")).body == b"01"


@pytest.mark.parametrize("name", ["a.txt", "large.bin"])
async def test_file_may_be_chunked(get: Any, root: Path, name: str) -> None:
    async def handler(request: web.BaseRequest) -> FileResponse:
        response = FileResponse(root / name)
        response.enable_chunked_encoding()
        return response

    answer = await get(handler)
    assert answer.field("transfer-encoding") == "chunked"
    assert answer.body == (root / name).read_bytes()


async def test_response_may_be_prepared_by_hand(get: Any, root: Path) -> None:
    async def handler(request: web.BaseRequest) -> FileResponse:
        response = FileResponse(root / "large.bin")
        await response.prepare(request)
        assert response.prepared
        await response.write_eof()
        await response.write_eof()
        return response

    assert (await get(handler)).body == LARGE


async def test_response_that_is_never_sent_leaves_no_file_open(get: Any, root: Path) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        opened = len(os.listdir("/proc/self/fd"))
        response = FileResponse(root / "large.bin")

        async def refuse(request: Any, response: Any) -> None:
            raise web.HTTPConflict

        request.connection.prepare_response = refuse
        with pytest.raises(web.HTTPConflict):
            await response.prepare(request)
        request.connection.prepare_response = None
        assert len(os.listdir("/proc/self/fd")) == opened
        return web.Response(text="left")

    assert (await get(handler)).text == "left"


async def test_used_twice_is_an_error(get: Any, root: Path, expect_error_log: list[logging.LogRecord]) -> None:
    response = FileResponse(root / "a.txt")

    async def handler(request: web.BaseRequest) -> FileResponse:
        return response

    assert (await get(handler)).status == 200
    assert (await get(handler)).status == 500


# Files that change while they are sent.


async def test_file_that_shrinks_ends_the_connection(
    serve: Serve, connect: Connect, root: Path, expect_error_log: list[logging.LogRecord]
) -> None:
    path = root / "large.bin"

    class Shrinking(FileResponse):
        async def write_eof(self, data: bytes = b"") -> None:
            os.truncate(path, 70_000)
            await super().write_eof(data)

    async def handler(request: web.BaseRequest) -> FileResponse:
        return Shrinking(path)

    client = await connect(await serve(handler))
    with pytest.raises(EOFError):
        await client.get()
    assert "before its Content-Length" in str(expect_error_log[0].exc_info)


@pytest.mark.parametrize("name", ["a.txt", "large.bin"])
async def test_file_that_grows_or_is_replaced_is_sent_as_it_was_opened(get: Any, root: Path, name: str) -> None:
    content = (root / name).read_bytes()

    class Growing(FileResponse):
        async def write_eof(self, data: bytes = b"") -> None:
            with (root / name).open("ab") as file:
                file.write(b"more")
            os.replace(root / name, root / "other")
            await super().write_eof(data)

    async def handler(request: web.BaseRequest) -> FileResponse:
        return Growing(root / name)

    assert (await get(handler)).body == content


async def test_file_is_opened_off_the_event_loop(get: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from corelet_static import file_response

    threads: set[Any] = set()

    def note(*arguments: Any, **kwargs: Any) -> Any:
        threads.add(threading.current_thread())
        return open_file(*arguments, **kwargs)

    open_file = file_response.open_file
    monkeypatch.setattr(file_response, "open_file", note)
    assert (await get(make_handler(root / "large.bin"))).body == LARGE
    assert threads
    assert threading.main_thread() not in threads
