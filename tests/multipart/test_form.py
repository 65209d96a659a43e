"""Forms and multipart bodies of requests, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import errno
import gzip
import json
import logging
import os
import sys
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from corelet import BodyPartReader, FormData, MultipartReader, web
from corelet_multipart import plugin
from tests.conftest import Connect, Serve
from tests.multipart.body import body, field, part, split
from tests.raw_client import Answer

Ask = Callable[..., Awaitable[Answer]]

FORM = "multipart/form-data; boundary=bound"


def post(data: bytes, content_type: str = FORM, *, is_chunked: bool = False, fields: str = "") -> bytes:
    framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {len(data)}"
    if is_chunked:
        data = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in split(data, 500)) + b"0\r\n\r\n"
    head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\n{framing}\r\n{fields}\r\n"
    return head.encode("latin-1") + data


@pytest.fixture
def ask(serve: Serve, connect: Connect) -> Ask:
    """Give what sends one request to a handler and reads the answer."""

    async def send(
        handler: Any,
        request: bytes,
        *,
        limits: web.MultipartLimits | None = None,
        is_split: bool = False,
        **kwargs: Any,
    ) -> Answer:
        app = web.Application(handler=handler, plugins=[plugin], **kwargs)
        if limits is not None:
            app[web.MULTIPART_LIMITS] = limits
        client = await connect(await serve(app))
        await (client.send_split(request, 37) if is_split else client.send(request))
        return await client.read_answer()

    return send


async def show_form(request: web.Request) -> web.Response:
    """Answer what a form has; files by their name, type, class and content."""
    form = await request.post()
    assert await request.post() is form
    shown: list[Any] = []
    for name, value in form.items():
        if isinstance(value, web.FileField):
            content = value.file.read().decode("latin-1")
            kind = type(value.file).__name__
            shown.append([name, [value.filename, value.content_type, kind, len(content), content[:10]]])
        elif isinstance(value, bytes):
            shown.append([name, ["bytes", value.decode("latin-1")]])
        else:
            shown.append([name, value])
    return web.json_response(shown)


MIXED = body(
    field("text", "é".encode()),
    field("html", b"<p>", "Content-Type: text/html"),
    field("latin", b"\xe9", "Content-Type: text/plain; charset=latin-1"),
    field("json", b"{}", "Content-Type: application/json"),
    field("small", b"abc", "Content-Type: Image/PNG; x=y", filename="a.png"),
    field("large", b"x" * 5000, filename="é/../b"),
    field("none", b"", "Content-Type: application/octet-stream", filename=""),
    field("text", b"again"),
)
SHOWN = [
    ["text", "é"],
    ["html", "<p>"],
    ["latin", "é"],
    ["json", ["bytes", "{}"]],
    ["small", ["a.png", "image/png", "BytesIO", 3, "abc"]],
    ["large", ["é/../b", "application/octet-stream", "TemporaryFile", 5000, "xxxxxxxxxx"]],
    ["none", ["bytes", ""]],
    ["text", "again"],
]


@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("is_chunked", [False, True])
async def test_form_has_text_bytes_and_files(ask: Ask, is_chunked: bool, is_split: bool) -> None:
    answer = await ask(
        show_form,
        post(MIXED, is_chunked=is_chunked),
        limits=web.MultipartLimits(spool_bytes=1000),
        is_split=is_split,
    )
    assert json.loads(answer.body) == SHOWN


async def test_file_field_knows_all_fields_of_its_part(ask: Ask) -> None:
    async def handler(request: web.Request) -> web.Response:
        file = (await request.post())["a"]
        assert (file.name, file.headers["x-a"]) == ("a", "b")
        return web.Response(text=str(file.file.tell()))

    assert (await ask(handler, post(body(field("a", b"1", "X-A: b", filename="f"))))).text == "0"


async def test_large_file_goes_to_disk_in_steps_and_is_gone_with_the_request(ask: Ask) -> None:
    content = os.urandom(2_000_000)

    async def handler(request: web.Request) -> web.Response:
        file = (await request.post())["a"].file
        same = file.read() == content
        file.seek(0)
        file.write(b"changed")
        links = os.fstat(file.fileno()).st_nlink
        return web.Response(text=f"{same} {links}")

    opened = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    answer = await ask(handler, post(body(field("a", content, filename="f"))), client_max_size=4_000_000)
    assert answer.text == "True 0"
    if sys.platform == "linux":
        # The two sockets of this connection, and its listener.
        assert len(os.listdir("/proc/self/fd")) <= opened + 4


async def test_charset_of_the_form_is_that_of_its_text(ask: Ask) -> None:
    data = body(field("_charset_", b"latin-1"), field("a", b"\xe9"))
    assert json.loads((await ask(show_form, post(data))).body) == [["a", "é"]]


async def test_transfer_encodings_and_codings_are_undone(ask: Ask) -> None:
    data = body(
        field("a", base64.encodebytes(b"text"), "Content-Transfer-Encoding: base64"),
        field("b", b"=C3=A9", "Content-Transfer-Encoding: quoted-printable"),
        field("c", gzip.compress(b"packed"), "Content-Encoding: gzip", filename="f"),
    )
    shown = [["a", "text"], ["b", "é"], ["c", ["f", "application/octet-stream", "BytesIO", 6, "packed"]]]
    assert json.loads((await ask(show_form, post(data))).body) == shown


async def test_form_is_read_also_where_its_body_was_read_before(ask: Ask) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.read()
        return await show_form(request)

    answer = await ask(handler, post(body(field("a", b"1"))))
    assert json.loads(answer.body) == [["a", "1"]]


async def test_form_whose_body_was_streamed_away_says_so(ask: Ask, expect_error_log: list[logging.LogRecord]) -> None:
    async def handler(request: web.Request) -> web.Response:
        await request.release()
        return await show_form(request)

    assert (await ask(handler, post(body(field("a", b"1"))))).status == 500
    assert "was read before, as a stream" in str(expect_error_log[0].exc_info)


@pytest.mark.parametrize("content_type", ["multipart/mixed; boundary=bound", "text/plain"])
async def test_another_media_type_is_no_form(ask: Ask, content_type: str) -> None:
    assert (await ask(show_form, post(body(field("a")), content_type))).text == "[]"


BAD = {
    "no boundary": (b"", "multipart/form-data", "Content-Type has no boundary"),
    "no end": (body(field("a"))[:-6], FORM, "before its closing boundary"),
    "nothing": (b"", FORM, "before its closing boundary"),
    "a part without a name": (body(part(b"1")), FORM, "a part of the form has no name"),
    "a part with two names": (body(part(b"", 'Content-Disposition: form-data; name="a"; name="b"')), FORM, "no name"),
    "a nested part": (
        body(field("a", b"", "Content-Type: multipart/mixed; boundary=x")),
        FORM,
        "is multipart itself: read it by request.multipart()",
    ),
    "bad text": (body(field("a", b"\xff")), FORM, "field 'a' of the form is no text in its charset"),
    "bad base64": (body(field("a", b"YQ", "Content-Transfer-Encoding: base64")), FORM, "is cut off"),
    "bad gzip": (body(field("a", b"YQ", "Content-Encoding: gzip", filename="f")), FORM, "is corrupt"),
    "many fields": (body(field("a", b"", *["X: y"] * 128)), FORM, "has 129 fields, limit 128"),
}


@pytest.mark.parametrize("name", BAD)
async def test_malformed_form_is_a_400(ask: Ask, name: str) -> None:
    data, content_type, message = BAD[name]
    answer = await ask(show_form, post(data, content_type))
    assert answer.status == 400
    assert message in answer.text


async def test_unknown_charset_is_a_415(ask: Ask) -> None:
    data = body(field("a", b"1", "Content-Type: text/plain; charset=nope"))
    assert (await ask(show_form, post(data))).status == 415


async def test_malformed_form_ends_at_once(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(web.Application(handler=show_form, plugins=[plugin])))
    # Most of the body is still to come.
    await client.send(post(b"--bound\r\nno field\r\n\r\n" + b"x" * 900_000)[:300])
    assert (await client.read_answer()).status == 400


async def test_form_after_an_error_gives_no_half(ask: Ask) -> None:
    async def handler(request: web.Request) -> web.Response:
        for _ in range(2):
            with pytest.raises(web.HTTPBadRequest):
                await request.post()
        return web.Response(text="twice")

    data = body(field("a", b"\xff"), field("b", b"1"))
    assert (await ask(handler, post(data))).text == "twice"


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize("filename", [None, "f"])
async def test_form_is_bounded_as_a_whole(ask: Ask, is_chunked: bool, filename: str | None) -> None:
    data = body(*[field("a", b"x" * 400, filename=filename)] * 3)
    answer = await ask(show_form, post(data, is_chunked=is_chunked), client_max_size=1000)
    assert answer.status == 413
    assert (await ask(show_form, post(data, is_chunked=is_chunked), client_max_size=0)).status == 200


async def test_decompressed_form_is_bounded(ask: Ask) -> None:
    data = body(field("a", gzip.compress(b"\0" * 10_000_000), "Content-Encoding: gzip"))
    assert (await ask(show_form, post(data), client_max_size=100_000)).status == 413


async def test_fields_of_a_form_are_bounded(ask: Ask) -> None:
    data = body(*[field("a")] * 4)
    answer = await ask(show_form, post(data), client_max_fields=3)
    assert (answer.status, answer.text) == (413, "the form has more than 3 fields")
    assert (await ask(show_form, post(data), client_max_fields=4)).status == 200
    assert (await ask(show_form, post(data), client_max_fields=0)).status == 200
    data = body(*[field("_charset_", b"utf-8")] * 5)
    assert (await ask(show_form, post(data), client_max_fields=3)).status == 413


async def test_connection_goes_on_after_a_refused_form(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(web.Application(handler=show_form, plugins=[plugin])))
    await client.send(post(body(field("a", b"\xff"))) + post(body(field("a", b"1"))))
    assert [answer.status for answer in await client.read_answers(2)] == [400, 200]


async def test_peer_that_leaves_in_the_middle_leaves_nothing(serve: Serve, connect: Connect) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        begun.set()
        try:
            return await show_form(request)
        finally:
            ended.set()

    limits = web.MultipartLimits(spool_bytes=100)
    app = web.Application(handler=handler, plugins=[plugin])
    app[web.MULTIPART_LIMITS] = limits
    client = await connect(await serve(app))
    await client.send(post(body(field("a", b"x" * 100_000, filename="f")))[:50_000])
    await begun.wait()
    await asyncio.sleep(0.01)
    client.abort()
    await asyncio.wait_for(ended.wait(), 5)


# Part by part.


async def show_parts(request: web.Request) -> web.Response:
    async def show(reader: MultipartReader) -> list[Any]:
        return [
            await show(found) if isinstance(found, MultipartReader) else (await found.read()).decode()
            async for found in reader
        ]

    return web.json_response(await show(await request.multipart()))


@pytest.mark.parametrize("subtype", ["form-data", "mixed", "related", "x-unknown"])
async def test_every_multipart_body_is_read_part_by_part(ask: Ask, subtype: str) -> None:
    inner = part(body(part(b"2"), boundary="in"), "Content-Type: multipart/alternative; boundary=in")
    answer = await ask(show_parts, post(body(part(b"1"), inner), f"multipart/{subtype}; boundary=bound"), is_split=True)
    assert json.loads(answer.body) == ["1", ["2"]]


async def test_parts_are_there_before_the_whole_body(serve: Serve, connect: Connect) -> None:
    seen = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        reader = await request.multipart()
        first = await reader.next()
        text = await first.text()
        seen.set()
        return web.Response(text=text + await (await reader.next()).text())

    client = await connect(await serve(web.Application(handler=handler, plugins=[plugin])))
    request = post(body(part(b"1"), part(b"2")))
    await client.send(request[:-18])
    await asyncio.wait_for(seen.wait(), 5)
    await client.send(request[-18:])
    assert (await client.read_answer()).text == "12"


async def test_malformed_body_is_a_400(ask: Ask) -> None:
    assert (await ask(show_parts, post(b"--bound\r\nbad\r\n\r\n"))).status == 400
    assert (await ask(show_parts, post(body(), "multipart/mixed"))).status == 400
    bad = body(part(b"YQ", "Content-Transfer-Encoding: base64"))

    async def decode(request: web.Request) -> web.Response:
        async for found in await request.multipart():
            assert isinstance(found, BodyPartReader)
            await found.read(decode=True)
        raise AssertionError("read")

    assert (await ask(decode, post(bad))).status == 400


async def test_part_read_at_once_is_a_413_where_it_is_too_large(ask: Ask) -> None:
    answer = await ask(show_parts, post(body(part(b"x" * 2000))), client_max_size=1000)
    assert answer.status == 413


async def test_streamed_body_has_no_bound(ask: Ask) -> None:
    async def handler(request: web.Request) -> web.Response:
        sizes = [sum([len(piece) async for piece in found]) async for found in await request.multipart()]
        return web.json_response(sizes)

    answer = await ask(handler, post(body(part(b"x" * 2000), part(b"y" * 3000))), client_max_size=1000)
    assert json.loads(answer.body) == [2000, 3000]


async def test_parts_of_a_body_are_bounded_with_those_of_parts(ask: Ask) -> None:
    inner = part(body(part(b"2"), part(b"3"), boundary="in"), "Content-Type: multipart/mixed; boundary=in")
    data = post(body(part(b"1"), inner))
    answer = await ask(show_parts, data, client_max_fields=3)
    assert (answer.status, answer.text) == (413, "the body has more than 3 parts (client_max_fields)")
    assert (await ask(show_parts, data, client_max_fields=4)).status == 200


async def test_body_that_is_not_multipart_is_a_415(ask: Ask) -> None:
    answer = await ask(show_parts, post(b"abc", "text/plain"))
    assert (answer.status, answer.text) == (415, "the body is text/plain, expected multipart/*")


async def test_form_is_the_body_of_a_response(ask: Ask) -> None:
    async def handler(request: web.Request) -> web.Response:
        form = FormData({"a": "1"}, default_to_multipart=True)
        return web.Response(body=form)

    answer = await ask(handler, post(b"", "text/plain"))
    assert (answer.field("content-type") or "").startswith("multipart/form-data; boundary=")
    assert b'name="a"\r\n\r\n1\r\n' in answer.body


# Cases.


async def test_case_a_060_parts_are_counted(ask: Ask) -> None:
    data = post(body(*[field("a")] * 10_000))
    assert (await ask(show_form, data)).status == 413
    assert (await ask(show_parts, data)).status == 413
    assert (await ask(show_form, post(body(*[part(b"")] * 100_000)), client_max_size=0)).status == 400


@pytest.mark.parametrize("handler", [show_form, show_parts])
async def test_case_a_061_advisory_ghsa_5m98_qgg9_wh84_ghsa_jj3x_wxrx_4x23_body_without_an_end_ends(
    ask: Ask, handler: Any
) -> None:
    for data in (
        body(field("a", b"1"))[:-8],
        body(field("a", b"12345", "Content-Length: 100")),
        body(field("a", b"12345", "Content-Length: 1")),
        b"--bound\r\n",
        b"\r\n",
    ):
        assert (await ask(handler, post(data))).status == 400


async def test_case_a_063_advisories_ghsa_3wq7_rqq7_wx6j_ghsa_6jhg_hg63_jvvf_text_is_not_read_beyond_its_bound(
    serve: Serve, connect: Connect
) -> None:
    client = await connect(await serve(web.Application(handler=show_form, plugins=[plugin])))
    piece = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    head = post(b"", is_chunked=True).removesuffix(b"0\r\n\r\n")
    begin = field("a").join([b"--bound\r\n", b""])
    await client.send(head + b"%x\r\n%s\r\n" % (len(begin), begin))
    tracemalloc.start()
    try:
        sending = asyncio.create_task(_send_until_refused(client, piece, 1600))
        answer = await client.read_answer()
        peak = tracemalloc.get_traced_memory()[1]
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    finally:
        tracemalloc.stop()
    assert answer.status == 413
    # What is held: the form's 1 MiB, what the connection reads ahead, and the client's own buffers.
    assert peak < 4 * 2**20


async def _send_until_refused(client: Any, piece: bytes, count: int) -> None:
    for _ in range(count):
        await client.send(piece)


@pytest.mark.parametrize("lines", [["X: y"] * 10_000, ["X: " + "y" * 2**20]])
@pytest.mark.parametrize("handler", [show_form, show_parts])
async def test_case_a_064_advisory_ghsa_m5qp_6w8w_w647_head_of_a_part_is_bounded(
    ask: Ask, handler: Any, lines: list[str]
) -> None:
    assert (await ask(handler, post(body(field("a", b"", *lines))), client_max_size=0)).status == 400


async def test_case_a_065_nesting_is_bounded(ask: Ask) -> None:
    data = b"".join(
        f"--b{level}\r\nContent-Type: multipart/mixed; boundary=b{level + 1}\r\n\r\n".encode() for level in range(5000)
    )
    answer = await ask(show_parts, post(data, "multipart/mixed; boundary=b0"))
    assert (answer.status, answer.text) == (400, "multipart parts are nested deeper than 8 (max_depth)")


@pytest.mark.parametrize("length", ["+5", "1_0", "-1"])
@pytest.mark.parametrize("handler", [show_form, show_parts])
async def test_case_a_066_length_of_a_part_is_a_number(ask: Ask, handler: Any, length: str) -> None:
    assert (await ask(handler, post(body(field("a", b"12345", f"Content-Length: {length}"))))).status == 400


@pytest.mark.parametrize(
    ("boundary", "status"),
    [
        ('""', 400),
        ("a", 200),
        ("a" * 70, 200),
        ("a" * 71, 400),
        ('"a b"', 200),
        ('"a\\"b"', 400),
        ('"a "', 400),
        ('"a\tb"', 400),
    ],
)
async def test_case_a_067_boundary_is_what_the_rfc_allows(ask: Ask, boundary: str, status: int) -> None:
    data = body(field("a", b"1"), boundary=boundary.strip('"'))
    assert (await ask(show_form, post(data, f"multipart/form-data; boundary={boundary}"))).status == status


@pytest.mark.parametrize(
    ("parameter", "filename"),
    [
        ('filename="../../x"', "../../x"),
        ("filename*=utf-8''%2e%2e%2fx", "../x"),
        ("filename*=nope''x; filename=y", "y"),
    ],
)
async def test_case_a_068_name_of_a_file_is_data(ask: Ask, parameter: str, filename: str) -> None:
    data = body(part(b"1", f'Content-Disposition: form-data; name="a"; {parameter}'))
    [[_, value]] = json.loads((await ask(show_form, post(data))).body)
    assert value[0] == filename


async def test_advisory_cve_2025_54121_disk_is_written_off_the_event_loop(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    from corelet_multipart import uploaded_file

    threads = set()
    write = uploaded_file._write

    def note(file: Any, pieces: list[bytes]) -> None:
        threads.add(threading.current_thread())
        write(file, pieces)

    monkeypatch.setattr(uploaded_file, "_write", note)
    data = body(field("a", b"x" * 900_000, filename="f"))
    assert (await ask(show_form, post(data))).status == 200
    assert threads
    assert threading.main_thread() not in threads


async def test_disk_that_takes_no_file_is_a_500_and_nothing_more(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, expect_error_log: list[logging.LogRecord]
) -> None:
    from corelet_multipart import uploaded_file

    def fail(descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(uploaded_file.os, "dup", fail)
    data = body(field("a", b"x" * 900_000, filename="f"))
    assert (await ask(show_form, post(data))).status == 500
    assert [record.exc_info[0] for record in expect_error_log if record.exc_info] == [OSError]


async def test_advisory_cve_2025_47287_malformed_parts_log_nothing(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    # Warnings are errors here, too.
    data = body(*[part(b"", "Content-Disposition: form-data; name=a; filename*=x")] * 500)
    assert (await ask(show_form, post(data))).status == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
