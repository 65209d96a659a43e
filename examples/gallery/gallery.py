"""A gallery: pictures are uploaded with progress, kept in a folder and served as static files.

``python examples/gallery/gallery.py`` serves it; PICTURES names the folder.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from pathlib import Path

from corelet import BodyPartReader, web

HERE = Path(__file__).parent
PICTURES = web.AppKey("pictures", Path)
MAX_BYTES = 32 * 2**20
#: What a file begins with -> the suffix that it gets: what the peer calls it decides nothing.
KINDS = {b"\x89PNG\r\n\x1a\n": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp"}
MAGIC_BYTES = max(map(len, KINDS))

routes = web.RouteTableDef()


@routes.get("/")
async def show_page(request: web.Request) -> web.FileResponse:
    return web.FileResponse(HERE / "page.html")


@routes.get("/pictures")
async def list_pictures(request: web.Request) -> web.Response:
    folder = request.app[PICTURES]
    names = await asyncio.to_thread(lambda: sorted(path.name for path in folder.iterdir()))
    files = request.app.router["pictures"]
    return web.json_response([str(files.url_for(filename=name)) for name in names])


@routes.post("/pictures")
async def receive(request: web.Request) -> web.Response:
    """Take pictures piece by piece: none is ever held whole in memory."""
    folder = request.app[PICTURES]
    kept = [
        await keep_picture(part, folder)
        async for part in await request.multipart()
        if isinstance(part, BodyPartReader) and part.filename
    ]
    return web.json_response(kept, status=201)


async def keep_picture(part: BodyPartReader, folder: Path) -> str:
    """Write a picture to the folder, under a name of our own."""
    begin = await read_begin(part)
    suffix = next((suffix for magic, suffix in KINDS.items() if begin.startswith(magic)), None)
    if suffix is None:
        raise web.HTTPUnsupportedMediaType(text="only PNG, JPEG, GIF and WebP pictures are taken")
    name = secrets.token_hex(8) + suffix
    # Whole or not at all: it gets its name when it is complete.
    unfinished_folder = await asyncio.to_thread(tempfile.TemporaryDirectory, dir=folder.parent)
    try:
        unfinished = Path(unfinished_folder.name) / name
        await write_pieces(part, begin, unfinished)
        await asyncio.to_thread(unfinished.rename, folder / name)
    finally:
        await asyncio.to_thread(unfinished_folder.cleanup)
    return name


async def read_begin(part: BodyPartReader) -> bytes:
    """Read what tells the kind: a piece ends where the network has cut it."""
    begin = b""
    while len(begin) < MAGIC_BYTES and (piece := await part.read_chunk()):
        begin += piece
    return begin


async def write_pieces(part: BodyPartReader, piece: bytes, path: Path) -> None:
    size = 0
    with await asyncio.to_thread(path.open, "xb") as file:
        while piece:
            size += len(piece)
            if size > MAX_BYTES:
                raise web.HTTPRequestEntityTooLarge(MAX_BYTES, size)
            await asyncio.to_thread(file.write, piece)
            piece = await part.read_chunk(262_144)


def make_app(pictures: Path) -> web.Application:
    """Put the application together.

    Args:
        pictures: the folder of the pictures; made where it is not there.
    """
    pictures.mkdir(parents=True, exist_ok=True)
    app = web.Application()
    app[PICTURES] = pictures
    app.add_routes(routes)
    app.router.add_static("/pictures/files", pictures, name="pictures")
    app.router.add_static("/static", HERE / "static")
    return app


if __name__ == "__main__":
    folder = Path(os.environ.get("PICTURES", tempfile.gettempdir() + "/corelet-gallery/pictures"))
    web.run_app(make_app(folder), host=os.environ.get("HOST", "127.0.0.1"), port=int(os.environ.get("PORT", "8080")))
