"""What samples build answers over a socket, where no command of their page asks it: see ``test_samples.py``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from corelet import web
from tests.conftest import Serve
from tests.packaging.samples import PAGES, Sample, name_page

FIRST_APPLICATION: Final = Sample("README.md", 0)
WEBSOCKET_README: Final = Sample("plugins/websocket/README.md", 0)
WEBSOCKET_PAGE: Final = Sample("docs/websocket.md", 0)
ROUTING_README: Final = Sample("plugins/routing/README.md", 0)
COMPRESSION_README: Final = Sample("plugins/compression/README.md", 0)
SESSIONS_README: Final = Sample("plugins/sessions/README.md", 0)
SUBAPPS_README: Final = Sample("plugins/subapps/README.md", 0)
SMALLEST_PLUGIN: Final = Sample("README.md", 1)
CLIENT_README: Final = Sample("plugins/client/README.md", 0)
MULTIPART_README: Final = Sample("plugins/multipart/README.md", 0)
STATIC_README: Final = Sample("plugins/static/README.md", 0)


async def test_the_first_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(FIRST_APPLICATION.run().app)
    async with peer.get(served.url / "hello" / "world") as answer:
        assert await answer.text() == "Hello, world"
    async with peer.get(served.url.with_path("/").with_query(say="hi")) as answer:
        assert await answer.json() == {"path": "/", "say": "hi"}


async def test_the_smallest_plugin_adds_its_header(serve: Serve, peer: aiohttp.ClientSession) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    served = await serve(web.Application(handler=hello, plugins=[SMALLEST_PLUGIN.run()]))
    async with peer.get(served.url) as answer:
        assert answer.headers["X-Served-By"] == "corelet"


async def test_the_websocket_readmes_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(WEBSOCKET_README.run().app)
    async with peer.ws_connect(served.url / "echo") as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == "HELLO"
    async with peer.get(served.url / "echo") as answer:
        assert answer.status == 400
    served = await serve(WEBSOCKET_PAGE.run().app)
    async with peer.ws_connect(served.url / "talk") as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == "you said hello"


async def test_the_routing_readmes_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(ROUTING_README.run().app)
    async with peer.get(served.url / "users" / "alice") as answer:
        assert await answer.text() == "Hello, alice"
    async with peer.get(served.url / "notes" / "42") as answer:
        assert await answer.json() == {"number": 42}
    async with peer.get(served.url / "notes" / "none") as answer:
        assert answer.status == 404


async def test_the_compression_readmes_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(COMPRESSION_README.run().app)
    coded = {"Accept-Encoding": "gzip"}
    async with peer.get(served.url / "report", headers=coded) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len((await answer.json())["rows"]) == 200
    async with peer.get(served.url / "account", headers=coded) as answer:
        assert "Content-Encoding" not in answer.headers
    async with peer.put(served.url / "notes", data="a note", compress="gzip") as answer:
        assert await answer.json() == {"characters": 6}


async def test_the_sessions_readmes_application_answers(serve: Serve) -> None:
    served = await serve(SESSIONS_README.run().app)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as peer:

        async def ask(method: str, path: str, **kwargs: Any) -> str:
            async with peer.request(method, served.url.with_path(path), **kwargs) as answer:
                return await answer.text()

        assert await ask("GET", "/") == "nobody"
        assert await ask("POST", "/login", data={"user": "alice"}) == "welcome"
        assert await ask("GET", "/") == "alice"
        assert await ask("POST", "/logout") == "good bye"
        assert await ask("GET", "/") == "nobody"


async def test_the_subapps_readmes_applications_answer(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(SUBAPPS_README.run().app)
    async with peer.get(served.url / "api" / "users") as answer:
        assert await answer.json() == {"users": [], "next": "/api/users/ann"}
    async with peer.get(served.url / "api" / "users" / "ann") as answer:
        assert await answer.json() == {"name": "ann"}
    async with peer.get(served.url, headers={"Host": "one.example.com"}) as answer:
        assert await answer.text() == "the front of a tenant"


async def test_the_client_readmes_program_asks(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    async def say(request: web.Request) -> web.Response:
        return web.json_response({"say": request.query["say"]})

    served = await serve(web.Application(handler=say))
    await CLIENT_README.run(served.url.authority).main()
    assert capsys.readouterr().out == "200 {'say': 'hello'}\n"


async def test_the_multipart_readmes_application_takes_files(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(MULTIPART_README.run().app)

    def make_form() -> aiohttp.FormData:
        form = aiohttp.FormData({"title": "Holiday"})
        form.add_field("photo", b"a picture", filename="beach.jpg")
        return form

    async with peer.post(served.url / "form", data=make_form()) as answer:
        assert await answer.json() == {"title": "Holiday", "bytes": 9}
    async with peer.post(served.url / "files", data=make_form()) as answer:
        assert await answer.json() == {"beach.jpg": 9}


async def test_the_static_readmes_application_sends_files(
    serve: Serve, peer: aiohttp.ClientSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "report.pdf").write_text("a report")
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "page.css").write_text("body {}")
    program = STATIC_README.run()
    served = await serve(program.app)
    async with peer.get(served.url / "report") as answer:
        assert (answer.headers["Content-Disposition"], await answer.text()) == ("attachment", "a report")
    assert program.address.query["v"]
    async with peer.get(served.url.join(program.address)) as answer:
        assert (answer.content_type, await answer.text()) == ("text/css", "body {}")


def test_links_to_files_lead_somewhere() -> None:
    broken = [
        f"{name_page(page)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken
