"""Advisories of other servers about forms and limits, each by a test that names it.

Those about files are in tests/static, those about parts that have a case of their own in test_form.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from corelet import web
from corelet_multipart import plugin
from tests.conftest import Connect, Serve
from tests.multipart.body import body, field, part
from tests.multipart.test_form import FORM, post

URLENCODED = "application/x-www-form-urlencoded"


async def show_size(request: web.Request) -> web.Response:
    """Answer how many fields a form has."""
    return web.Response(text=str(len(await request.post())))


async def count_bytes(request: web.Request) -> web.Response:
    """Answer how long a body is."""
    return web.Response(text=str(len(await request.read())))


async def judge(serve: Serve, connect: Connect, request: bytes, handler: Any = show_size, **kwargs: Any) -> int:
    client = await connect(await serve(web.Application(handler=handler, plugins=[plugin], **kwargs)))
    await client.send(request)
    return (await client.read_answer()).status


@pytest.mark.parametrize(
    "advisory", ["CVE-2023-30798", "CVE-2023-25577", "CVE-2026-31958", "GHSA-xgw8-8ccx-rmqh", "CVE-2026-54282"]
)
async def test_fields_of_a_form_are_counted(serve: Serve, connect: Connect, advisory: str) -> None:
    assert await judge(serve, connect, post(body(*[field("a")] * 1001))) == 413
    assert await judge(serve, connect, post(b"a=1&" * 100_000, URLENCODED)) == 413
    assert await judge(serve, connect, post(body(*[field("a", filename="f")] * 1001))) == 413


@pytest.mark.parametrize("advisory", ["CVE-2024-47874", "CVE-2024-49767", "CVE-2026-34517", "CVE-2025-69228"])
async def test_text_and_files_count_for_the_size_of_a_form(serve: Serve, connect: Connect, advisory: str) -> None:
    for data in (
        body(field("a", b"x" * 2_000_000)),
        body(field("a", b"x" * 2_000_000, filename="f")),
        body(*[field("a", b"x" * 2_000)] * 900),
    ):
        assert await judge(serve, connect, post(data)) == 413


@pytest.mark.parametrize("advisory", ["CVE-2024-24762", "CVE-2020-5236"])
async def test_fields_with_many_special_signs_cost_little(serve: Serve, connect: Connect, advisory: str) -> None:
    for sign in (";", "\\", '"', "=", " ", "'"):
        started = time.process_time()
        status = await judge(serve, connect, post(body(field("a")), f"{FORM}; x={sign * 7000}"))
        assert status in (200, 400)
        data = body(part(b"", f"Content-Disposition: form-data; name=a; filename={sign * 7000}"))
        assert await judge(serve, connect, post(data)) in (200, 400)
        assert time.process_time() - started < 5


def measure(read: Callable[[bytes], object], count: int) -> float:
    names = "&".join(f"name{number}=" for number in range(count)).encode()
    started = time.process_time()
    read(names)
    return time.process_time() - started


def test_case_a_105_cve_2011_4885_table_of_many_names_grows_with_their_number() -> None:
    """Names can't be made to collide: their hashes are keyed. What is left is that a table of many is no slower."""
    from multidict import MultiDict

    from corelet.fields import parse_urlencoded

    def read(data: bytes) -> object:
        return MultiDict(parse_urlencoded(data))

    small, large = (min(measure(read, count) for _ in range(3)) for count in (2_500, 20_000))
    assert large < max(small, 0.002) * 24


async def test_case_a_105_names_of_one_request_are_few(serve: Serve, connect: Connect) -> None:
    data = "&".join(f"name{number}=" for number in range(10_000)).encode()
    assert await judge(serve, connect, post(data, URLENCODED)) == 413
    client = await connect(await serve(show_size))
    await client.send("GET /?" + data.decode() + " HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.read_answer()).status == 414
    await client.close()
    fields = "".join(f"name{number}: x\r\n" for number in range(200))
    client = await connect(await serve(show_size))
    await client.send(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    assert (await client.read_answer()).status == 431


# Limits.


async def test_cve_2026_22815_trailers_are_bounded(serve: Serve, connect: Connect) -> None:
    trailers = b"".join(b"X-%d: y\r\n" % number for number in range(200))
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + trailers + b"\r\n"
    assert await judge(serve, connect, data, count_bytes) == 431


async def test_cve_2024_22019_chunk_extensions_are_bounded(serve: Serve, connect: Connect) -> None:
    line = b"1;" + b"x" * 10_000 + b"\r\na\r\n0\r\n\r\n"
    data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + line
    assert await judge(serve, connect, data, count_bytes) == 400


async def test_cve_2026_54277_request_line_is_bounded_over_several_reads(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(show_size))
    await client.send_split(b"GET /" + b"a" * 20_000, 500)
    assert (await client.read_answer()).status == 414


async def test_ghsa_g84x_mcqj_x9qq_small_chunks_are_linear(serve: Serve, connect: Connect) -> None:
    async def send(count: int) -> float:
        data = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        data += b"1\r\na\r\n" * count + b"0\r\n\r\n"
        started = time.process_time()
        assert await judge(serve, connect, data, count_bytes) == 200
        return time.process_time() - started

    await send(100)
    small, large = [await send(count) for count in (10_000, 80_000)]
    assert large < max(small, 0.05) * 24


async def test_ghsa_2g87_pp6c_29x5_head_is_bounded_as_a_whole(serve: Serve, connect: Connect) -> None:
    fields = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 8000) for number in range(20))
    assert await judge(serve, connect, b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n") == 431


async def test_cve_2026_34516_and_cve_2024_30251_at_once_are_refused(serve: Serve, connect: Connect) -> None:
    """Many fields, and a length that is not true; each alone is a case in test_form.py."""
    data = body(field("a", b"12345", *["X: y"] * 200, "Content-Length: 100"))
    assert await judge(serve, connect, post(data)) == 400
