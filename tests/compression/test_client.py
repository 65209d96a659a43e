"""The client decodes what the codings of this plugin have coded, and what peers make of them."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

import pytest

import corelet
from corelet import web
from tests.compression.coded import encode
from tests.compression.conftest import CODINGS
from tests.conftest import Serve, Served

TEXT = "".join(f"line {number} of a text\n" for number in range(20_000))
GZIP = CODINGS["gzip"]


@pytest.fixture
async def client() -> AsyncIterator[corelet.ClientSession]:
    async with corelet.ClientSession() as session:
        yield session


async def serve_coded(serve: Serve, coded: bytes, encoding: str) -> Served:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=coded, headers={"Content-Encoding": encoding, "Content-Type": "text/plain"})

    return await serve(web.Application(handler=handler))


@pytest.mark.parametrize("name", ["zstd", "br", "gzip", "deflate"])
async def test_client_reads_what_the_middleware_has_coded(
    serve: Serve, client: corelet.ClientSession, name: str
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=TEXT)

    served = await serve(web.Application(handler=handler, middlewares=[web.compression_middleware()]))
    async with client.get(served.url, headers={"Accept-Encoding": name}) as answer:
        assert answer.headers["Content-Encoding"] == name
        assert await answer.text() == TEXT


async def test_client_asks_for_all_that_can_be_decoded_here(serve: Serve, client: corelet.ClientSession) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.headers["Accept-Encoding"])

    served = await serve(web.Application(handler=handler))
    async with client.get(served.url) as answer:
        assert {name.strip() for name in (await answer.text()).split(",")} == {"zstd", "br", "gzip", "deflate"}


async def test_client_sees_events_as_they_come(serve: Serve, client: corelet.ClientSession) -> None:
    may_go_on = asyncio.Event()

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: one\n\n")
        await may_go_on.wait()
        await response.write_eof(b"data: two\n\n")
        return response

    served = await serve(web.Application(handler=events, middlewares=[web.compression_middleware()]))
    async with client.get(served.url) as answer:
        assert answer.headers["Content-Encoding"] == "zstd"
        assert await answer.content.readuntil(b"\n\n") == b"data: one\n\n"
        may_go_on.set()
        assert await answer.content.read() == b"data: two\n\n"


async def test_client_reads_gzip_members_and_raw_deflate(serve: Serve, client: corelet.ClientSession) -> None:
    raw = zlib.compressobj(wbits=-15)
    bodies = {
        "gzip": encode(GZIP, TEXT.encode()[:1000]) + encode(GZIP, TEXT.encode()[1000:]),
        "deflate": raw.compress(TEXT.encode()) + raw.flush(),
    }
    for encoding, coded in bodies.items():
        served = await serve_coded(serve, coded, encoding)
        async with client.get(served.url) as answer:
            assert await answer.text() == TEXT


@pytest.mark.parametrize("name", ["zstd", "br", "gzip", "deflate"])
@pytest.mark.parametrize("damage", ["cut short", "no content of the coding"])
async def test_damaged_content_is_a_clear_error(
    serve: Serve, client: corelet.ClientSession, name: str, damage: str
) -> None:
    coded = encode(CODINGS[name], TEXT.encode())
    broken = coded[: len(coded) // 2] if damage == "cut short" else b"\x07<html>" * 100
    served = await serve_coded(serve, broken, name)
    async with client.get(served.url) as answer:
        with pytest.raises(corelet.ClientPayloadError, match=name):
            await answer.read()
