"""What others write we read, and what we write others read: curl, httpx, aiohttp, python-multipart, email."""

from __future__ import annotations

import asyncio
import email
import email.policy
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import FormParser

from corelet import FormData, MultipartReader, MultipartWriter, web
from corelet_multipart import plugin
from tests.conftest import Serve

Shown = list[Any]


async def show_form(request: Any) -> Shown:
    """Show a form alike on both servers."""
    shown = []
    for name, value in (await request.post()).items():
        if hasattr(value, "file"):
            shown.append([name, value.filename, value.content_type, value.file.read().decode("latin-1")])
        else:
            shown.append([name, value])
    return shown


async def show_parts(request: Any) -> Shown:
    """Show the parts of a body alike on both servers."""

    async def show(reader: Any) -> Shown:
        shown: Shown = []
        async for part in reader:
            if isinstance(part, MultipartReader | aiohttp.MultipartReader):
                shown.append(await show(part))
            else:
                shown.append([part.headers.get("X-A"), (await part.read(decode=True)).decode("latin-1")])
        return shown

    return await show(await request.multipart())


SHOW: dict[str, Callable[[Any], Awaitable[Shown]]] = {"/form": show_form, "/parts": show_parts}


@pytest.fixture
async def url(serve: Serve) -> str:
    """Give the address of our server."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(await SHOW[request.path](request))

    served = await serve(web.Application(handler=handler, plugins=[plugin], client_max_size=10**7))
    return str(served.url).rstrip("/")


@pytest.fixture
async def peer_url() -> AsyncIterator[str]:
    """Give the address of aiohttp's server."""

    async def handler(request: aiohttp.web.BaseRequest) -> aiohttp.web.Response:
        return aiohttp.web.json_response(await SHOW[request.path](request))

    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(handler))
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


# What others write.


async def test_curl_sends_forms_and_files(url: str, tmp_path: Path) -> None:
    path = tmp_path / "é b.txt"
    path.write_bytes(b"content\r\n--x")
    command = ["curl", "-sS", "-F", "a=é", "-F", 'b="q;"; type=text/html', "-F", f"f=@{path}", "-F", f"g=<{path}"]
    command += ["-F", f'h=@{path};filename=x\\\\y"z;type=image/png', f"{url}/form"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert json.loads(output) == [
        ["a", "é"],
        ["b", "q;"],
        ["f", "é b.txt", "text/plain", "content\r\n--x"],
        ["g", "content\r\n--x"],
        ["h", 'x\\y"z', "image/png", "content\r\n--x"],
    ]


async def test_httpx_sends_forms_and_files(url: str) -> None:
    files = {"f": ('é"\\.txt', io.BytesIO(b"1" * 300_000), "text/x")}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/form", data={"a": ["1", "é"]}, files=files)
    assert answer.json() == [["a", "1"], ["a", "é"], ["f", 'é"\\.txt', "text/x", "1" * 300_000]]


async def test_aiohttp_sends_forms_and_files(url: str, peer: aiohttp.ClientSession) -> None:
    form = aiohttp.FormData({"a": "é"})
    form.add_field("f", b"1" * 300_000, filename="x.png", content_type="image/png")
    form.add_field("g", "text", content_type="text/plain")
    async with peer.post(f"{url}/form", data=form) as answer:
        shown = await answer.json()
    assert shown == [["a", "é"], ["f", "x.png", "image/png", "1" * 300_000], ["g", "text"]]


async def test_aiohttp_sends_parts_with_codings(url: str, peer: aiohttp.ClientSession) -> None:
    with aiohttp.MultipartWriter("mixed", boundary="a b") as writer:
        writer.append("plain", {"X-A": "1"})
        writer.append("packed" * 100, {"Content-Encoding": "gzip", "X-A": "2"})
        writer.append("base" * 100, {"Content-Transfer-Encoding": "base64", "X-A": "3"})
        writer.append("quoted = é\n" * 50, {"Content-Transfer-Encoding": "quoted-printable", "X-A": "4"})
        inner = aiohttp.MultipartWriter("related")
        inner.append("inside")
        writer.append(inner)
    async with peer.post(f"{url}/parts", data=writer) as answer:
        shown = await answer.json()
    assert shown[:3] == [["1", "plain"], ["2", "packed" * 100], ["3", "base" * 100]]
    assert shown[3][1].encode("latin-1").decode().replace("\r\n", "\n").rstrip() == ("quoted = é\n" * 50).rstrip()
    assert shown[4] == [[None, "inside"]]


async def test_email_package_writes_what_we_read(url: str, peer: aiohttp.ClientSession) -> None:
    message = email.message_from_string("")
    message.add_header("Content-Type", "multipart/mixed", boundary="===x==")
    text = email.message_from_string("X-A: a\n folded\n\ncontent\n")
    message.set_payload([text])
    data = message.as_bytes(policy=email.policy.HTTP).partition(b"\r\n\r\n")[2]
    headers = {"Content-Type": 'multipart/mixed; boundary="===x=="'}
    async with peer.post(f"{url}/parts", data=data, headers=headers) as answer:
        assert await answer.json() == [["a folded", "content\r\n"]]


# What we write.


def make_form() -> FormData:
    form = FormData({"a": "é"})
    form.add_field("f", b"1" * 300_000, filename='x "y".png', content_type="image/png")
    form.add_field("g", "text", content_type="text/plain")
    form.add_field("b\\c", io.BytesIO(b"\0\xff\r\n"), filename="x\\y")
    return form


async def send(peer: aiohttp.ClientSession, url: str, payload: Any) -> Any:
    async with peer.post(url, data=await payload.as_bytes(), headers={"Content-Type": payload.content_type}) as answer:
        assert answer.status == 200
        return await answer.json()


async def test_aiohttp_reads_our_forms(peer: aiohttp.ClientSession, url: str, peer_url: str) -> None:
    form = FormData({"a": "é"}, default_to_multipart=True)
    form.add_field("f", b"1" * 3000, filename="x.png", content_type="image/png")
    form.add_field("b\\c", io.BytesIO(b"\0\xff\r\n"), filename="x\\y", content_type="x/y")
    theirs = await send(peer, f"{peer_url}/form", form())
    assert theirs == await send(peer, f"{url}/form", form())
    assert theirs == [["a", "é"], ["f", "x.png", "image/png", "1" * 3000], ["b\\c", "x\\y", "x/y", "\0\xff\r\n"]]


async def test_aiohttp_reads_our_parts(peer: aiohttp.ClientSession, url: str, peer_url: str) -> None:
    writer = MultipartWriter("mixed", boundary="a b")
    writer.append("plain", {"X-A": "1"})
    writer.append("packed" * 100, {"Content-Encoding": "gzip", "X-A": "2"})
    writer.append("base" * 100, {"Content-Transfer-Encoding": "base64", "X-A": "3"})
    writer.append("quoted = é\n" * 50, {"Content-Transfer-Encoding": "quoted-printable", "X-A": "4"})
    inner = MultipartWriter("related")
    inner.append("inside")
    writer.append(inner)
    theirs = await send(peer, f"{peer_url}/parts", writer)
    assert theirs == await send(peer, f"{url}/parts", writer)
    assert theirs[3] == ["4", ("quoted = é\n" * 50).encode().decode("latin-1")]
    assert theirs[4] == [[None, "inside"]]


def read_by_python_multipart(data: bytes, content_type: str) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []

    def take_field(field: Any) -> None:
        found.append((field.field_name, field.value or b""))

    def take_file(file: Any) -> None:
        file.file_object.seek(0)
        found.append((file.field_name, file.file_object.read()))

    boundary = content_type.partition("boundary=")[2]
    parser = FormParser("multipart/form-data", take_field, take_file, boundary=boundary)
    parser.write(data)
    parser.finalize()
    return found


async def test_python_multipart_reads_our_forms() -> None:
    payload = make_form()()
    assert read_by_python_multipart(await payload.as_bytes(), payload.content_type) == [
        (b"a", "é".encode()),
        (b"f", b"1" * 300_000),
        (b"g", b"text"),
        (b"b\\c", b"\0\xff\r\n"),
    ]


@given(st.lists(st.tuples(st.text("abc é\\", min_size=1, max_size=5), st.binary(max_size=50)), min_size=1, max_size=5))
async def test_python_multipart_reads_any_of_our_forms(fields: list[tuple[str, bytes]]) -> None:
    form = FormData(default_to_multipart=True)
    for name, content in fields:
        form.add_field(name, content)
    payload = form()
    sent = [(name.encode(), content) for name, content in fields]
    assert read_by_python_multipart(await payload.as_bytes(), payload.content_type) == sent


async def test_email_package_reads_our_parts() -> None:
    writer = MultipartWriter("mixed")
    writer.append(b"\0\xff" * 100, {"Content-Transfer-Encoding": "base64"})
    writer.append("é = \n", {"Content-Transfer-Encoding": "quoted-printable"})
    head = f"Content-Type: {writer.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + await writer.as_bytes())
    assert [part.get_payload(decode=True) for part in message.get_payload()] == [b"\0\xff" * 100, "é = \n".encode()]  # type: ignore[union-attr]
