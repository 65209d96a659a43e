"""Routes that go their own way, with the middleware and without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from corelet import web
from tests.conftest import Connect, Serve

TEXT = "a text that is worth coding. " * 100


@web.uncompressed
async def never(request: web.Request) -> web.Response:
    return web.Response(text=TEXT)


@web.compressed(minimum_size=1, media_types=["image/*"])
async def images(request: web.Request) -> web.Response:
    return web.Response(body=b"abc", content_type=request.query["type"])


@web.compressed(codings=["deflate"])
async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write_eof(TEXT.encode())
    return response


@web.uncompressed
class View(web.View):
    async def get(self) -> web.Response:
        return web.Response(text=TEXT)


async def plain(request: web.Request) -> web.Response:
    return web.Response(text=TEXT)


@pytest.mark.parametrize(
    ("path", "without", "with_it"),
    [
        ("/plain", None, "gzip"),
        ("/never", None, None),
        ("/view", None, None),
        ("/images?type=image/png", "gzip", "gzip"),
        ("/images?type=text/plain", None, None),
        ("/stream", "deflate", "deflate"),
        ("/none", None, None),
    ],
)
async def test_marks_count_with_the_middleware_and_without(
    serve: Serve, connect: Connect, path: str, without: str | None, with_it: str | None
) -> None:
    async def ask(middlewares: Iterable[Any]) -> str | None:
        app = web.Application(middlewares=middlewares)
        for handler in (plain, never, images, stream):
            app.router.add_get(f"/{handler.__name__}", handler)
        app.router.add_view("/view", View)
        client = await connect(await serve(app))
        answer = await client.get(path, fields="Accept-Encoding: gzip, deflate\r\n")
        return answer.field("content-encoding")

    assert await ask(()) == without
    assert await ask([web.compression_middleware()]) == with_it


async def test_the_one_handler_of_an_application_can_be_marked(serve: Serve, connect: Connect) -> None:
    app = web.Application(handler=never, middlewares=[web.compression_middleware()])
    client = await connect(await serve(app))
    answer = await client.get(fields="Accept-Encoding: gzip\r\n")
    assert (answer.field("content-encoding"), answer.text) == (None, TEXT)
