"""Bodies that come coded: decoded as they are read, and no more."""

from __future__ import annotations

import asyncio
import bz2
import gzip
import itertools
import random
import tracemalloc
import zlib

import brotli
import pytest

from corelet import ClientError, ClientPayloadError, ClientSession
from tests.client.conftest import Peer, serve_ok

TEXT = b"".join(b"%d lines of text, more or less the same\n" % number for number in range(20_000))


def compress_brotli(data: bytes) -> bytes:
    return brotli.compress(data, quality=4)


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": compress_brotli,
    "identity": lambda data: data,
    "gzip, identity": gzip.compress,
    "": lambda data: data,
}


def make_raw_deflate(data: bytes) -> bytes:
    """Make deflate without zlib's frame, as some servers send it."""
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


async def serve_coded(raw, coding: str, content: bytes, *, status: str = "200 OK"):
    async def answer(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer(content, status=status, fields=f"Content-Encoding: {coding}\r\n")

    return await raw(answer)


async def read_again(client: ClientSession, server) -> int:
    """Read another answer of the server, and give how many connections it has seen."""
    async with client.get(server.url, auto_decompress=False) as response:
        await response.read()
    return server.connections


@pytest.mark.parametrize("coding", ENCODERS)
async def test_coding_is_undone(raw, client, coding):
    server = await serve_coded(raw, coding, ENCODERS[coding](TEXT))
    async with client.get(server.url) as response:
        assert await response.read() == TEXT
        assert response.headers["Content-Encoding"] == coding
    assert await read_again(client, server) == 1


async def test_deflate_without_a_frame_is_undone(raw, client):
    server = await serve_coded(raw, "deflate", make_raw_deflate(TEXT))
    async with client.get(server.url) as response:
        assert await response.read() == TEXT


async def test_name_of_a_coding_has_any_case(raw, client):
    server = await serve_coded(raw, "GZip", gzip.compress(TEXT))
    async with client.get(server.url) as response:
        assert await response.read() == TEXT


async def test_two_codings_are_undone_in_their_order(raw, client):
    server = await serve_coded(raw, "br, gzip", gzip.compress(compress_brotli(TEXT)))
    async with client.get(server.url) as response:
        assert await response.read() == TEXT


async def test_three_codings_are_refused(raw, client):  # a-072, CVE-2025-66418
    content = gzip.compress(gzip.compress(gzip.compress(TEXT)))
    server = await serve_coded(raw, "gzip, gzip, gzip", content)
    async with client.get(server.url) as response:
        with pytest.raises(ClientPayloadError, match="3 codings, limit 2"):
            await response.read()


async def test_hundred_codings_are_refused(raw, client):  # a-072
    server = await serve_coded(raw, ", ".join(["gzip"] * 100), gzip.compress(TEXT))
    async with client.get(server.url) as response:
        with pytest.raises(ClientPayloadError, match="100 codings, limit 2"):
            await response.text()


async def test_unknown_coding_is_left_as_it_is(raw, client):
    content = bz2.compress(TEXT)
    server = await serve_coded(raw, "bzip2", content)
    async with client.get(server.url) as response:
        assert await response.read() == content
    assert await read_again(client, server) == 1


async def test_decoding_can_be_left_to_the_caller(raw, client):
    content = gzip.compress(TEXT)
    server = await serve_coded(raw, "gzip", content)
    async with client.get(server.url, auto_decompress=False) as response:
        assert await response.read() == content
    async with ClientSession(auto_decompress=False) as session:
        left, undone = await session.get(server.url), await session.get(server.url, auto_decompress=True)
        assert (await left.read(), await undone.read()) == (content, TEXT)


async def test_what_can_be_undone_is_asked_for(raw, client):
    server = await raw(serve_ok)
    async with client.get(server.url):
        pass
    (field,) = [line for line in server.heads[0].split(b"\r\n") if line.startswith(b"Accept-Encoding: ")]
    assert {b"gzip", b"deflate", b"br"} <= set(field.partition(b": ")[2].split(b", "))


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_answer_without_a_body_has_nothing_to_undo(raw, client, status):
    async def answer(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.send(f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\n\r\n".encode())

    server = await raw(answer)
    async with client.get(server.url) as response:
        assert await response.read() == b""
    assert await read_again(client, server) == 1


async def test_empty_body_is_empty(raw, client):
    server = await serve_coded(raw, "gzip", b"")
    async with client.get(server.url) as response:
        assert await response.read() == b""


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_head_has_nothing_to_undo(raw, client, method):
    content = gzip.compress(TEXT)

    async def answer(peer: Peer) -> None:
        await peer.read_request()
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(content)}\r\n\r\n"
        await peer.send(head.encode() + (b"" if method == "HEAD" else content))
        await peer.wait_closed()

    server = await raw(answer)
    async with client.request(method, server.url) as response:
        assert await response.read() == (b"" if method == "HEAD" else TEXT)


# Damage.


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "noise"])
async def test_damaged_body_is_an_error_however_often_it_is_read(raw, client, coding, damage):
    whole = ENCODERS[coding](TEXT)
    content = {
        "cut": whole[: len(whole) // 2],
        "garbage": b"this is no compressed data at all",
        "noise": whole[:100] + bytes(byte ^ 0x5A for byte in whole[100:200]) + whole[200:],
    }[damage]
    server = await serve_coded(raw, coding, content)
    async with client.get(server.url) as response:
        with pytest.raises(ClientPayloadError, match="can't be decoded"):
            await response.read()
        with pytest.raises(ClientPayloadError):
            await response.read()


async def test_damaged_body_is_an_error_of_the_stream(raw, client):
    whole = gzip.compress(TEXT)
    server = await serve_coded(raw, "gzip", whole[: len(whole) // 2])
    sizes = []

    async def read_all(response) -> None:
        async for piece in response.content.iter_any():
            sizes.append(len(piece))  # noqa: PERF401 -- what comes before the error counts

    async with client.get(server.url) as response:
        with pytest.raises(ClientPayloadError, match="can't be decoded"):
            await read_all(response)
    assert 0 < sum(sizes) < len(TEXT)


async def test_connection_that_ends_within_a_coded_body_is_an_error(raw, client):
    whole = gzip.compress(TEXT)

    async def leave(peer: Peer) -> None:
        await peer.read_request()
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(whole)}\r\n\r\n"
        await peer.send(head.encode() + whole[:500])

    server = await raw(leave)
    async with client.get(server.url) as response:
        with pytest.raises(ClientPayloadError):
            await response.read()


# Bombs.


def make_bomb(size: int) -> bytes:
    """Make gzip of zeros: a thousandth of its size."""
    coder = zlib.compressobj(9, wbits=31)
    step = bytes(1_000_000)
    return b"".join([*(coder.compress(step) for _ in range(size // len(step))), coder.flush()])


async def test_bomb_read_in_blocks_costs_little(raw, client):
    size = 200_000_000
    server = await serve_coded(raw, "gzip", make_bomb(size))
    async with client.get(server.url) as response:
        assert (response.content_length or 0) < size // 900
        await response.content.read(65536)
        tracemalloc.start()
        try:
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            # A part of it: what one block costs, every block costs.
            for _ in range(300):
                assert len(await response.content.read(65536)) <= 65536
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak - before < 2 * 1024 * 1024


async def test_bomb_is_not_decoded_when_nobody_reads(raw, client):
    server = await serve_coded(raw, "gzip", make_bomb(200_000_000))
    tracemalloc.start()
    try:
        async with client.get(server.url) as response:
            assert response.status == 200
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * 1024 * 1024


async def test_read_has_a_limit_that_streams_have_not(raw):
    server = await serve_coded(raw, "gzip", make_bomb(3_000_000))
    async with ClientSession(max_decoded_size=1_000_000) as session:
        async with session.get(server.url) as response:
            with pytest.raises(ClientPayloadError, match=r"over 1,000,000 bytes when decoded \(max_decoded_size\)"):
                await response.read()
        async with session.get(server.url) as response:
            size = 0
            async for piece in response.content.iter_chunked(65536):
                size += len(piece)
            assert size == 3_000_000
        async with session.get(server.url, auto_decompress=False) as response:
            assert len(await response.read()) < 10_000


async def test_body_over_the_limit_is_over_it_however_often_it_is_read(raw):
    server = await serve_coded(raw, "gzip", make_bomb(3_000_000))
    async with ClientSession(max_decoded_size=1_000_000) as session, session.get(server.url) as response:
        for _ in range(3):
            with pytest.raises(ClientPayloadError):
                await response.read()


@pytest.mark.parametrize("turns", [1, 2, 5, 9])
async def test_reading_that_was_cancelled_begins_anew(raw, client, turns):
    content = random.Random(1).randbytes(300_000)
    server = await serve_coded(raw, "gzip", gzip.compress(content))
    async with client.get(server.url) as response:
        while not response.closed:  # noqa: ASYNC110  # the whole answer is there then
            await asyncio.sleep(0.001)
        reading = asyncio.create_task(response.read())
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        assert await response.read() == content


async def test_bomb_in_a_redirect_that_nobody_wants_to_read_is_not_decoded(raw, client):
    has_head = asyncio.Event()
    bomb = make_bomb(20_000_000)

    async def answer(peer: Peer) -> None:
        if peer.number > 1:
            await serve_ok(peer)
        await peer.read_request()
        fields = f"Location: /end\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        await peer.send(f"HTTP/1.1 302 Found\r\n{fields}".encode() + bomb[:100])
        await has_head.wait()
        await peer.send(bomb[100:])
        await serve_ok(peer)

    async def look_at_the_head(request, send):
        response = await send(request)
        has_head.set()
        return response

    server = await raw(answer)
    async with client.get(server.url, middlewares=[look_at_the_head]) as response:
        assert await response.read() == b"ok"
        with pytest.raises(ClientError):
            await response.history[0].read()


async def test_body_of_just_the_limit_is_read(raw):
    server = await serve_coded(raw, "gzip", gzip.compress(bytes(1000)))
    async with ClientSession(max_decoded_size=1000) as session, session.get(server.url) as response:
        assert len(await response.read()) == 1000


async def test_many_empty_members_cost_little(raw, client):  # CVE-2026-128131
    server = await serve_coded(raw, "gzip", gzip.compress(b"") * 20_000 + gzip.compress(b"end"))
    async with client.get(server.url) as response:
        assert await response.read() == b"end"


async def test_brotli_bomb_is_bounded_and_leaves_no_trace(raw):  # a-104
    server = await serve_coded(raw, "br", compress_brotli(bytes(30_000_000)))
    async with ClientSession(max_decoded_size=1_000_000) as session:
        for _ in range(3):
            async with session.get(server.url) as response:
                with pytest.raises(ClientPayloadError, match="max_decoded_size"):
                    await response.read()
            async with session.get(server.url) as response:
                assert len(await response.content.read(100)) == 100


# Ways to read.


async def test_every_way_to_read_decodes(raw, client):
    server = await serve_coded(raw, "gzip", gzip.compress(TEXT))
    lines = TEXT.splitlines(keepends=True)
    async with client.get(server.url) as response:
        assert await response.content.readline() == lines[0]
        assert await response.content.readuntil(b"text") == lines[1][: lines[1].index(b"text") + 4]
        assert await response.content.readexactly(5) == b", mor"
        rest = b"".join([piece async for piece in response.content.iter_chunked(1000)])
        assert TEXT.endswith(rest)
        assert response.content.at_eof()
    async with client.get(server.url) as response:
        found = [line async for line in response.content]
    assert list(itertools.islice(found, 3)) == lines[:3]
    assert len(found) == len(lines)


# Requests.


@pytest.mark.parametrize(
    ("coding", "undo"), [("gzip", gzip.decompress), ("deflate", zlib.decompress), ("br", brotli.decompress)]
)
async def test_body_of_a_request_is_coded(raw, client, coding, undo):
    server = await raw(serve_ok)
    async with client.post(server.url, data=TEXT, compress=coding) as response:
        assert undo(await response.read()) == TEXT
    assert f"\r\nContent-Encoding: {coding}\r\n".encode() in server.heads[0]
    assert b"\r\nTransfer-Encoding: chunked\r\n" in server.heads[0]


async def test_coding_that_nobody_has_is_refused(raw, client):
    server = await raw(serve_ok)
    with pytest.raises(LookupError, match="bzip2"):
        await client.post(server.url, data=TEXT, compress="bzip2")
    assert server.connections == 0
