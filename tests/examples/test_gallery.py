"""examples/gallery: by plain requests, and by a person's browser."""

from __future__ import annotations

import asyncio
import importlib.util
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import aiohttp
import pytest

from tests.chromium import Page, keeping_screenshots, open_browser
from tests.conftest import Connect, Serve

ROOT: Final = Path(__file__).resolve().parents[2]


def make_png(width: int, height: int, color: bytes) -> bytes:
    """Make a picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)

    rows = (b"\0" + color * width) * height
    head = width.to_bytes(4) + height.to_bytes(4) + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 0)) + chunk(b"IEND", b"")


PICTURE: Final = make_png(600, 500, b"\x10\x80\xf0")


@pytest.fixture
def gallery() -> ModuleType:
    """Give the example's module."""
    path = ROOT / "examples" / "gallery" / "gallery.py"
    spec = importlib.util.spec_from_file_location("gallery_example", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def send(peer: aiohttp.ClientSession, url: Any, *files: bytes) -> tuple[int, str]:
    form = aiohttp.FormData({"note": "no file"})
    for content in files:
        form.add_field("files", content, filename="../../evil.html", content_type="image/png")
    async with peer.post(url / "pictures", data=form) as answer:
        return answer.status, await answer.text()


async def test_pictures_are_kept_under_names_of_our_own(
    serve: Serve, peer: aiohttp.ClientSession, gallery: ModuleType, tmp_path: Path
) -> None:
    folder = tmp_path / "kept" / "pictures"
    served = await serve(gallery.make_app(folder))
    status, _ = await send(peer, served.url, PICTURE, b"\xff\xd8\xff" + b"x" * 300_000)
    assert status == 201
    async with peer.get(served.url / "pictures") as answer:
        addresses = await answer.json()
    assert {address.rpartition(".")[2] for address in addresses} == {"png", "jpg"}
    for address in addresses:
        async with peer.get(served.url.with_path(address)) as answer:
            assert answer.content_type.startswith("image/")
            assert len(await answer.read()) in (len(PICTURE), 300_003)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["pictures"]


async def test_picture_is_known_though_its_first_bytes_come_one_by_one(
    serve: Serve, connect: Connect, gallery: ModuleType, tmp_path: Path
) -> None:
    client = await connect(await serve(gallery.make_app(tmp_path / "kept" / "pictures")))
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + PICTURE[:40] + b"\r\n--x--\r\n"
    fields = f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}"
    await client.send(f"POST /pictures HTTP/1.1\r\nHost: a\r\n{fields}\r\nExpect: 100-continue\r\n\r\n")
    # The handler is at work, and reads what is there.
    await client.reader.readuntil(b"100 Continue\r\n\r\n")
    for at in range(len(body)):
        await client.send(body[at : at + 1])
        await asyncio.sleep(0.001)
    assert (await client.read_answer()).status == 201


async def test_what_is_no_picture_is_refused_and_nothing_is_left(
    serve: Serve, peer: aiohttp.ClientSession, gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "kept" / "pictures"
    served = await serve(gallery.make_app(folder))
    assert await send(peer, served.url, b"<script>") == (415, "only PNG, JPEG, GIF and WebP pictures are taken")
    monkeypatch.setattr(gallery, "MAX_BYTES", 1000)
    assert (await send(peer, served.url, PICTURE))[0] == 413
    assert [path.name for path in (tmp_path / "kept").rglob("*")] == ["pictures"]


async def test_person_uploads_pictures_and_sees_them(serve: Serve, gallery: ModuleType, tmp_path: Path) -> None:
    served = await serve(gallery.make_app(tmp_path / "kept" / "pictures"))
    paths = [tmp_path / "first.png", tmp_path / "second.png"]
    for path in paths:
        path.write_bytes(PICTURE)
    (tmp_path / "note.txt").write_bytes(b"no picture")
    async with open_browser(tmp_path / "profile") as browser:
        page = await browser.open(str(served.url))
        async with keeping_screenshots("gallery", page):
            await upload_and_look(page, paths, tmp_path / "note.txt")


async def upload_and_look(page: Page, paths: list[Path], note: Path) -> None:
    await page.wait_for("document.title === 'Gallery'")
    await page.run(
        "window.steps = []; new MutationObserver(() => steps.push(progress.value)).observe("
        "progress, {attributes: true, attributeFilter: ['value']})"
    )
    await page.choose_files("#files", paths)
    await page.run("form.requestSubmit()")
    await page.wait_for("state.textContent === 'done'")
    await page.wait_for("document.images.length === 2")
    await page.wait_for("[...document.images].every(image => image.complete && image.naturalWidth === 600)")
    assert await page.run("Math.max(...steps)") == 1
    await page.choose_files("#files", [note])
    await page.run("form.requestSubmit()")
    await page.wait_for("state.textContent.startsWith('only PNG')")
