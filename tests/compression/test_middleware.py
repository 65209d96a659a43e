"""compression_middleware over sockets: what is coded, what is left alone, and what the head says."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from multidict import CIMultiDict

from corelet import web
from corelet.abc import AbstractDecoder, AbstractEncoder, ContentCoding
from tests.compression.coded import decode
from tests.compression.conftest import CODINGS
from tests.conftest import Connect, Serve
from tests.raw_client import Answer

TEXT = "".join(f"line {number} of a text that is worth coding\n" for number in range(200))
Ask = Callable[..., Awaitable[Answer]]


@pytest.fixture
def ask(serve: Serve, connect: Connect) -> Ask:
    """Give what serves one answer through the middleware and asks for it."""

    async def send(
        make: Callable[[], Any] | web.Response,
        accept: str | None = "gzip",
        *,
        method: str = "GET",
        fields: str = "",
        **options: Any,
    ) -> Answer:
        async def handler(request: web.Request) -> Any:
            made = make() if callable(make) and not isinstance(make, web.StreamResponse) else make
            return await made if asyncio.iscoroutine(made) else made

        app = web.Application(middlewares=[web.compression_middleware(**options)])
        app.router.add_route("*", "/", handler)
        client = await connect(await serve(app))
        field = "" if accept is None else f"Accept-Encoding: {accept}\r\n"
        await client.send(f"{method} / HTTP/1.1\r\nHost: a\r\n{field}{fields}\r\n")
        return await client.read_answer(is_head=method == "HEAD")

    return send


def make_text(**arguments: Any) -> web.Response:
    return web.Response(text=TEXT, **arguments)


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=1, br;q=0.5", "gzip"),
        ("deflate", "deflate"),
        ("x-gzip", "gzip"),
        ("*", "zstd"),
        ("compress", None),
        ("gzip;q=0", None),
        ("identity", None),
        ("identity;q=0", None),
        ("*;q=0", None),
        ("", None),
        (None, None),
    ],
)
async def test_answers_are_coded_as_the_peer_likes_best(ask: Ask, accept: str | None, coding: str | None) -> None:
    answer = await ask(make_text, accept)

    assert (answer.status, answer.field("content-encoding")) == (200, coding)
    assert answer.field("vary") == "Accept-Encoding"
    assert answer.field("content-length") == str(len(answer.body))
    assert (answer.body if coding is None else decode(CODINGS[coding], answer.body)) == TEXT.encode()


async def test_the_applications_order_decides_among_equals(ask: Ask) -> None:
    accept = "gzip, deflate, br, zstd"
    assert (await ask(make_text, accept, codings=["br", "gzip"])).field("content-encoding") == "br"
    assert (await ask(make_text, "gzip;q=0.5, zstd", codings=["br", "gzip"])).field("content-encoding") == "gzip"


async def test_coding_that_is_not_there_is_said(ask: Ask, expect_error_log: Any) -> None:
    assert (await ask(make_text, codings=["lzma"])).status == 500
    assert "content coding 'lzma' of compression_middleware is not there" in str(expect_error_log[0].exc_info[1])
    assert (await ask(make_text, levels={"brotli": 11})).status == 500
    assert "content coding 'brotli' in levels of compression_middleware" in str(expect_error_log[1].exc_info[1])


async def test_levels_are_taken(ask: Ask) -> None:
    least, most = [len((await ask(make_text, levels={"gzip": level})).body) for level in (0, 9)]
    assert most < least


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"text": "a" * 499}, "small"),
        ({"text": ""}, "empty"),
        ({"body": bytes(5000)}, "of another type"),
        ({"body": bytes(5000), "content_type": "image/png"}, "of another type"),
        ({"text": TEXT, "headers": {"Content-Encoding": "br"}}, "coded"),
        ({"text": TEXT, "status": 206}, "a part"),
        ({"text": TEXT, "headers": {"Content-Range": "bytes 0-1/2"}}, "a part"),
        ({"text": TEXT, "headers": {"Cache-Control": "public, No-Transform"}}, "not to be changed"),
        (
            {"text": TEXT, "headers": CIMultiDict([("Cache-Control", "public"), ("Cache-Control", "no-transform")])},
            "not to be changed",
        ),
        ({"text": TEXT, "headers": {"Content-Digest": "sha-256=:x:"}}, "with a digest"),
    ],
)
async def test_answers_are_left_alone(ask: Ask, arguments: dict[str, Any], why: str) -> None:
    answer = await ask(lambda: web.Response(**arguments))

    given = arguments.get("headers", {}).get("Content-Encoding")
    assert (answer.field("content-encoding"), answer.field("vary")) == (given, None), why
    assert answer.body == (arguments.get("body") or arguments["text"].encode())


async def test_peer_may_forbid_it(ask: Ask) -> None:
    for fields in ("Cache-Control: no-transform\r\n", "Cache-Control: no-cache\r\nCache-Control: No-Transform\r\n"):
        answer = await ask(make_text, fields=fields)
        assert answer.field("content-encoding") is None


async def test_smallest_size_and_types_can_be_set(ask: Ask) -> None:
    small = await ask(lambda: web.Response(text="abc"), minimum_size=3)
    image = await ask(lambda: web.Response(body=bytes(900), content_type="image/png"), media_types=["image/*"])
    assert small.field("content-encoding") == image.field("content-encoding") == "gzip"


async def test_what_a_handler_has_chosen_stands(ask: Ask) -> None:
    def make(force: Any) -> web.Response:
        response = make_text()
        response.enable_compression(force)
        return response

    assert (await ask(lambda: make("deflate"), "gzip")).field("content-encoding") == "deflate"
    assert (await ask(lambda: make(web.ContentCoding.identity), "gzip")).field("content-encoding") is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Cookie", "Cookie, Accept-Encoding"),
        ("Cookie, accept-encoding", "Cookie, accept-encoding"),
        ("*", "*"),
    ],
)
async def test_vary_is_completed(ask: Ask, given: str, expected: str) -> None:
    answer = await ask(lambda: make_text(headers={"Vary": given}))
    assert [value for name, value in answer.fields if name == "vary"] == [expected]


async def test_tag_is_weak_where_the_answer_is_coded(ask: Ask) -> None:
    coded, plain = [await ask(lambda: make_text(headers={"ETag": '"a"'}), accept) for accept in ("gzip", None)]
    assert (coded.field("etag"), plain.field("etag")) == ('W/"a"', '"a"')


async def test_not_modified_says_what_it_varies_by(ask: Ask) -> None:
    answer = await ask(lambda: web.Response(status=304, headers={"ETag": '"a"'}))
    assert (answer.field("vary"), answer.field("content-encoding")) == ("Accept-Encoding", None)


@pytest.mark.parametrize(
    ("stored", "expected"), [('"b", W/"a"', 'W/"a"'), ('"a"', '"a"'), ('W/"b"', '"a"'), ("*", '"a"')]
)
async def test_not_modified_names_the_tag_as_the_peer_has_it(ask: Ask, stored: str, expected: str) -> None:
    answer = await ask(lambda: web.Response(status=304, headers={"ETag": '"a"'}), fields=f"If-None-Match: {stored}\r\n")
    assert answer.field("etag") == expected


async def test_head_has_the_fields_of_get(ask: Ask) -> None:
    get, head = [await ask(make_text, method=method) for method in ("GET", "HEAD")]
    without_date = [[field for field in answer.fields if field[0] != "date"] for answer in (get, head)]
    assert without_date[0] == without_date[1]
    assert head.body == b""


async def test_peer_that_takes_coded_content_only_gets_it(ask: Ask) -> None:
    answer = await ask(lambda: web.Response(text="abc"), "gzip, identity;q=0")
    assert gzip.decompress(answer.body) == b"abc"


async def test_peer_that_takes_nothing_gets_406_where_asked_for(ask: Ask) -> None:
    ran: list[str] = []

    def make() -> web.Response:
        ran.append("handler")
        return make_text()

    refused = await ask(make, "compress, identity;q=0", require_acceptable=True)
    assert (refused.status, ran) == (406, [])
    assert (await ask(make, "compress, identity;q=0")).status == 200
    assert (await ask(make, "compress", require_acceptable=True)).status == 200


async def test_errors_that_handlers_raise_are_coded_too(ask: Ask) -> None:
    async def fail() -> None:
        raise web.HTTPNotFound(text=TEXT)

    answer = await ask(fail)
    assert (answer.status, gzip.decompress(answer.body)) == (404, TEXT.encode())


async def test_padding_changes_the_length_from_answer_to_answer_cve_2014_9720(ask: Ask) -> None:
    answers = [await ask(make_text, "br, gzip", max_random_bytes=100) for _ in range(8)]
    assert {answer.field("content-encoding") for answer in answers} == {"gzip"}
    assert {gzip.decompress(answer.body) for answer in answers} == {TEXT.encode()}
    assert len({len(answer.body) for answer in answers}) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum_size": -1}, "numbers of bytes, from 0"),
        ({"max_random_bytes": -1}, "numbers of bytes, from 0"),
        ({"max_random_bytes": 10, "codings": ["br"]}, "needs gzip, which codings doesn't have: br"),
        ({"media_types": ["html"]}, "is no media type"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        web.compression_middleware(**options)


# Streams and large bodies.


async def test_events_stay_live(serve: Serve, connect: Connect) -> None:
    may_go_on = asyncio.Event()

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "ETag": '"a"'})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await may_go_on.wait()
        await response.write(b"data: two\n\n")
        return response

    app = web.Application(middlewares=[web.compression_middleware()])
    app.router.add_get("/", events)
    served = await serve(app)
    for name in CODINGS:
        may_go_on.clear()
        decoder = CODINGS[name].make_decoder(1000)
        # Raw, so that what came is known to have come.
        reader, writer = await asyncio.open_connection(served.host, served.port)
        writer.write(f"GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: {name}\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Content-Encoding: {name}".encode() in head
        assert b'ETag: W/"a"' in head
        assert b"Vary: Accept-Encoding" in head
        chunk = await reader.readexactly(int(await reader.readline(), 16))
        assert decoder.decode(chunk) == b"data: one\n\n"
        may_go_on.set()
        await reader.readline()
        chunk = await reader.readexactly(int(await reader.readline(), 16))
        assert decoder.decode(chunk) == b"data: two\n\n"
        await reader.read()
        writer.close()
        await writer.wait_closed()


async def _pieces() -> AsyncIterator[bytes]:
    for number in range(100):
        yield b"piece %d\n" % number


@pytest.mark.parametrize("kind", ["async iterable", "large bytes"])
async def test_bodies_that_are_written_bit_by_bit_are_coded(ask: Ask, kind: str) -> None:
    content = b"".join([piece async for piece in _pieces()])

    async def make() -> Any:
        if kind == "async iterable":
            return web.Response(body=_pieces(), content_type="text/plain")
        return web.Response(body=content * 3000, content_type="text/plain")

    answer = await ask(make)
    expected = content if kind == "async iterable" else content * 3000
    assert gzip.decompress(answer.body) == expected
    assert answer.field("content-length") is None


@pytest.mark.parametrize(("size", "coding"), [(499, None), (500, "gzip")])
async def test_stream_of_known_length_is_coded_from_the_least_size_on(
    serve: Serve, connect: Connect, size: int, coding: str | None
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.content_length = size
        await response.prepare(request)
        await response.write_eof(b"a" * size)
        return response

    app = web.Application(middlewares=[web.compression_middleware()])
    app.router.add_get("/", handler)
    client = await connect(await serve(app))
    answer = await client.get(fields="Accept-Encoding: gzip\r\n")
    assert answer.field("content-encoding") == coding
    assert (gzip.decompress(answer.body) if coding else answer.body) == b"a" * size


class WaitingCoding(ContentCoding):
    """Codes nothing before another request has come: for ever, if the loop codes."""

    name = "waiting"

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_go_on = threading.Event()

    def make_encoder(self, level: int | None = None) -> AbstractEncoder:
        return WaitingEncoder(self)

    def make_decoder(self, max_bytes: int) -> AbstractDecoder:
        raise NotImplementedError


class WaitingEncoder(AbstractEncoder):
    def __init__(self, coding: WaitingCoding) -> None:
        self.coding = coding

    def encode(self, data: bytes) -> bytes:
        self.coding.has_begun.set()
        return b"x" if self.coding.may_go_on.wait(20) else b"nobody came"

    def flush(self) -> bytes:
        return b""

    def finish(self) -> bytes:
        return b"."


@pytest.mark.parametrize("size", [70_000, 3_000_000])
async def test_coding_much_does_not_hold_up_others(serve: Serve, connect: Connect, size: int) -> None:
    coding = WaitingCoding()

    async def handler(request: web.Request) -> web.Response:
        if request.path == "/small":
            return web.Response(text="small")
        response = web.Response(body=bytes(size))
        response.enable_compression(coding)
        return response

    served = await serve(web.Application(handler=handler))
    large, small = await connect(served), await connect(served)
    large.patience = 30
    loading = asyncio.ensure_future(large.get("/large"))
    assert await asyncio.to_thread(coding.has_begun.wait, 20)
    assert (await small.get("/small")).text == "small"
    coding.may_go_on.set()
    assert set((await loading).text) == {"x", "."}


async def test_static_files_are_coded_whole_and_ranged_as_they_are(
    serve: Serve, connect: Connect, tmp_path: Path
) -> None:
    for name, content in (("small.txt", TEXT), ("large.txt", TEXT * 500)):
        (tmp_path / name).write_text(content)
    app = web.Application(middlewares=[web.compression_middleware()])
    app.router.add_static("/static", tmp_path)
    client = await connect(await serve(app))
    for name, content in (("small.txt", TEXT), ("large.txt", TEXT * 500)):
        whole = await client.get(f"/static/{name}", fields="Accept-Encoding: gzip\r\n")
        assert (whole.status, whole.field("content-encoding"), whole.field("accept-ranges")) == (200, "gzip", None)
        assert gzip.decompress(whole.body) == content.encode()
        assert (whole.field("etag") or "").startswith('W/"')
        part = await client.get(f"/static/{name}", fields="Accept-Encoding: gzip\r\nRange: bytes=5-9\r\n")
        assert (part.status, part.field("content-encoding"), part.text) == (206, None, content[5:10])


# Real peers.


@pytest.mark.parametrize("accept", ["gzip", "deflate", "br", "zstd", "gzip, deflate, br, zstd"])
async def test_aiohttp_httpx_and_curl_read_what_was_coded(
    serve: Serve, peer: aiohttp.ClientSession, accept: str
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=TEXT * (1 if request.path == "/small" else 300))

    served = await serve(web.Application(handler=handler, middlewares=[web.compression_middleware()]))
    for path, expected in (("small", TEXT), ("large", TEXT * 300)):
        url = served.url / path
        if "zstd" not in accept:  # before Python 3.14 they know it by other packages than ours
            async with peer.get(url, headers={"Accept-Encoding": accept}) as answer:
                assert answer.headers["Content-Encoding"] in accept
                assert await answer.text() == expected
            async with httpx.AsyncClient() as client:
                assert (await client.get(str(url), headers={"Accept-Encoding": accept})).text == expected
        command = ["curl", "-sS", "--compressed", str(url)]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == expected.encode()
