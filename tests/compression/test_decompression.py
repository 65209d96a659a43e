"""decompression_middleware over sockets: bodies of requests, their limits, and what peers make up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from corelet import DecodedStreamReader, web
from corelet.abc import ContentCoding
from tests.compression.coded import encode, traced_memory
from tests.compression.conftest import CODINGS
from tests.conftest import Connect, Serve
from tests.raw_client import Answer

GZIP = CODINGS["gzip"]
TEXT = "".join(f"line {number} of a text\n" for number in range(2000))
MIB = 1_048_576
Ask = Callable[..., Awaitable[Answer]]


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


@pytest.fixture
def ask(serve: Serve, connect: Connect) -> Ask:
    """Give what serves a handler behind the middleware and sends it a body."""

    async def send(
        body: bytes, encoding: str | None, handler: Any = echo, *, fields: str = "", app: Any = None, **options: Any
    ) -> Answer:
        app = web.Application(middlewares=[web.decompression_middleware(**options)], **(app or {}))
        app.router.add_post("/", handler)
        client = await connect(await serve(app))
        field = "" if encoding is None else f"Content-Encoding: {encoding}\r\n"
        head = f"POST / HTTP/1.1\r\nHost: a\r\n{field}{fields}Content-Length: {len(body)}\r\n\r\n"
        await client.send(head.encode() + body)
        return await client.read_answer()

    return send


def read_json(answer: Answer) -> Any:
    return json.loads(answer.text)


def make_bomb(size: int) -> bytes:
    """Make gzip of so many zeros, in members of up to 16 MiB."""
    count = max(size // (16 * MIB), 1)
    return gzip.compress(bytes(size // count)) * count


async def test_bodies_are_decoded_by_their_coding(ask: Ask, coding: ContentCoding) -> None:
    answer = await ask(encode(coding, TEXT.encode()), coding.name.upper())
    assert (answer.status, answer.text) == (200, TEXT)


@pytest.mark.parametrize("encoding", [None, "identity", "", "x-gzip", "identity, gzip"])
async def test_other_ways_to_say_it(ask: Ask, encoding: str | None) -> None:
    body = encode(GZIP, TEXT.encode()) if encoding and "gzip" in encoding else TEXT.encode()
    assert (await ask(body, encoding)).text == TEXT


async def test_request_without_a_body_is_let_through(serve: Serve, connect: Connect) -> None:
    app = web.Application(handler=echo, middlewares=[web.decompression_middleware()])
    client = await connect(await serve(app))
    assert (await client.get(fields="Content-Encoding: gzip\r\n")).status == 200


async def test_json_forms_and_streams_read_the_decoded_content(ask: Ask) -> None:
    async def look(request: web.Request) -> web.Response:
        if request.content_type == "application/json":
            return web.json_response(await request.json())
        if request.content_type == "application/x-www-form-urlencoded":
            return web.json_response(dict(await request.post()))
        lines = [line async for line in request.content]
        return web.json_response([len(lines), request.content.total_bytes, request.content_length])

    coded = encode(GZIP, b'{"a": 1}')
    answer = await ask(coded, "gzip", look, fields="Content-Type: application/json\r\n")
    assert read_json(answer) == {"a": 1}
    form = "Content-Type: application/x-www-form-urlencoded\r\n"
    assert read_json(await ask(encode(GZIP, b"a=1&b=2"), "gzip", look, fields=form)) == {"a": "1", "b": "2"}
    coded = encode(GZIP, TEXT.encode())
    assert read_json(await ask(coded, "gzip", look)) == [2000, len(TEXT), len(coded)]


async def test_clients_compressed_upload_arrives(serve: Serve, peer: aiohttp.ClientSession) -> None:
    app = web.Application(middlewares=[web.decompression_middleware()])
    app.router.add_post("/", echo)
    served = await serve(app)
    for compress in ("deflate", "gzip"):
        async with peer.post(served.url, data=TEXT, compress=compress) as answer:
            assert await answer.text() == TEXT


async def test_middleware_of_an_application_within_another_decodes_no_second_time(
    serve: Serve, connect: Connect
) -> None:
    inner = web.Application(middlewares=[web.decompression_middleware()])
    inner.router.add_post("/", echo)
    app = web.Application(middlewares=[web.decompression_middleware()])
    app.add_subapp("/inner", inner)
    client = await connect(await serve(app))
    body = encode(GZIP, TEXT.encode())
    head = f"POST /inner/ HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    await client.send(head.encode() + body)
    answer = await client.read_answer()
    assert (answer.status, answer.text) == (200, TEXT)


async def test_a_070_bomb_ends_in_413_and_little_memory_ghsa_6mq8_rvhq_8wgg(serve: Serve, connect: Connect) -> None:
    bomb = make_bomb(1024 * MIB)
    assert 900_000 < len(bomb) < 1_200_000
    app = web.Application(middlewares=[web.decompression_middleware()])
    app.router.add_post("/", echo)
    client = await connect(await serve(app))
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    with traced_memory() as get_peak:
        await client.send(head + bomb)
        answer = await client.read_answer()
        peak = get_peak()
    assert answer.status == 413
    # The client holds the bomb too, once in its transport, once joined to the head.
    assert peak - 2 * len(bomb) < 2 * app.client_max_size + MIB


@pytest.mark.parametrize("name", ["br", "zstd"])
async def test_a_104_bombs_of_other_codings_end_in_413(ask: Ask, name: str) -> None:
    encoder = CODINGS[name].make_encoder()
    bomb = b"".join(encoder.encode(bytes(MIB)) for _ in range(64)) + encoder.finish()
    assert (await ask(bomb, name)).status == 413


async def test_a_071_body_that_nobody_reads_is_not_decoded_cve_2026_54278(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    make_decoder = type(GZIP).make_decoder

    def watch(self: Any, max_bytes: int) -> Any:
        decoder = make_decoder(self, max_bytes)
        monkeypatch.setattr(type(decoder), "decode", lambda self, data: decoded.append(len(data)))
        return decoder

    monkeypatch.setattr(type(GZIP), "make_decoder", watch)
    seen: list[Any] = []

    async def ignore(request: web.Request) -> web.Response:
        seen.append(request.content)
        return web.Response(text="ignored")

    assert (await ask(make_bomb(100 * MIB), "gzip", ignore)).text == "ignored"
    assert isinstance(seen[0], DecodedStreamReader)
    assert decoded == []


@pytest.mark.parametrize("encoding", [", ".join(["gzip"] * 100), "gzip, br", "lzma"])
async def test_a_072_codings_in_layers_and_unknown_ones_are_415(ask: Ask, encoding: str) -> None:
    answer = await ask(b"abc", encoding)
    assert (answer.status, answer.field("accept-encoding")) == (415, "zstd, br, gzip, deflate")


@pytest.mark.parametrize("body", [b"garbage", encode(GZIP, TEXT.encode())[:-9], encode(GZIP, b"a") + b"garbage"])
async def test_damaged_bodies_are_400_and_no_error_of_ours(ask: Ask, body: bytes) -> None:
    assert (await ask(body, "gzip")).status == 400


async def test_ratio_is_bounded_beyond_the_first_mebibyte(ask: Ask) -> None:
    async def count(request: web.Request) -> web.Response:
        size = 0
        async for piece in request.content.iter_any():
            size += len(piece)
        return web.Response(text=str(size))

    bomb = make_bomb(8 * MIB)
    limits = {"max_size": 0}
    assert (await ask(bomb, "gzip", count, **limits)).status == 413
    assert (await ask(bomb, "gzip", count, max_ratio=0, **limits)).text == str(8 * MIB)
    assert (await ask(bomb, "gzip", count, max_ratio=1100, **limits)).text == str(8 * MIB)
    assert (await ask(make_bomb(MIB), "gzip", count, max_ratio=1, **limits)).text == str(MIB)


@pytest.mark.parametrize(
    ("client_max_size", "max_size", "status"), [(4 * MIB, None, 200), (4 * MIB, MIB, 413), (MIB, None, 413)]
)
async def test_decoded_size_is_bounded_for_streams_too(
    ask: Ask, client_max_size: int, max_size: int | None, status: int
) -> None:
    async def drop(request: web.Request) -> web.Response:
        async for _ in request.content.iter_chunked(10_000):
            pass
        return web.Response()

    options = {"max_size": max_size, "max_ratio": 0, "app": {"client_max_size": client_max_size}}
    assert (await ask(make_bomb(2 * MIB), "gzip", drop, **options)).status == status


async def test_connection_goes_on_after_a_refused_body(serve: Serve, connect: Connect) -> None:
    app = web.Application(middlewares=[web.decompression_middleware()])
    app.router.add_post("/", echo)
    client = await connect(await serve(app))
    for body, status in ((make_bomb(2 * MIB), 413), (b"garbage", 400), (encode(GZIP, b"abc"), 200)):
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"
        await client.send(head.encode() + body)
        assert (await client.read_answer()).status == status


async def test_handler_can_see_what_was_wrong(ask: Ask) -> None:
    async def look(request: web.Request) -> web.Response:
        try:
            await request.read()
        except web.HTTPBadRequest as exc:
            return web.Response(text=repr(exc.__cause__))
        return web.Response(text="no error")

    answer = await ask(b"garbage" * 10, "gzip", look)
    assert answer.text.startswith("ContentDecodingError('the content is no gzip, or damaged: ")


@pytest.mark.parametrize("options", [{"max_size": -1}, {"max_ratio": -1}])
def test_limits_that_make_no_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected a number from 0, which is no limit"):
        web.decompression_middleware(**options)
