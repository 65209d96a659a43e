"""The Python blocks of READMEs and documentation run, and what they build answers over a socket."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from corelet import web
from tests.conftest import Serve

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [ROOT / "README.md", *sorted(ROOT.glob("plugins/*/README.md")), *sorted(ROOT.glob("docs/*.md"))]
BLOCK: Final = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read_blocks(path: Path) -> list[str]:
    return [match[1] for match in BLOCK.finditer(path.read_text(encoding="utf-8"))]


def run_block(source: str) -> types.ModuleType:
    module = types.ModuleType("readme_block")
    exec(compile(source, "readme block", "exec"), module.__dict__)
    return module


def run_block_of(page: str, number: int) -> Any:
    return run_block(read_blocks(ROOT / page)[number])


@pytest.mark.parametrize(
    ("page", "source"),
    [
        pytest.param(path, source, id=f"{path.relative_to(ROOT)}-{number}")
        for path in PAGES
        for number, source in enumerate(read_blocks(path))
    ],
)
def test_every_block_runs(page: Path, source: str) -> None:
    run_block(source)


async def test_the_first_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(run_block_of("README.md", 0).app)
    async with peer.get(served.url / "hello" / "world") as answer:
        assert await answer.text() == "Hello, world"
    async with peer.get(served.url.with_path("/").with_query(say="hi")) as answer:
        assert await answer.json() == {"path": "/", "say": "hi"}


async def test_the_smallest_plugin_adds_its_header(serve: Serve, peer: aiohttp.ClientSession) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    served = await serve(web.Application(handler=hello, plugins=[run_block_of("README.md", 1)]))
    async with peer.get(served.url) as answer:
        assert answer.headers["X-Served-By"] == "corelet"


async def test_the_websocket_readmes_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(run_block_of("plugins/websocket/README.md", 0).app)
    async with peer.ws_connect(served.url / "echo") as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == "HELLO"
    async with peer.get(served.url / "echo") as answer:
        assert answer.status == 400
    served = await serve(run_block_of("docs/websocket.md", 0).app)
    async with peer.ws_connect(served.url / "talk") as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == "you said hello"


async def test_the_routing_readmes_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(run_block_of("plugins/routing/README.md", 0).app)
    async with peer.get(served.url / "users" / "alice") as answer:
        assert await answer.text() == "Hello, alice"
    async with peer.get(served.url / "notes" / "42") as answer:
        assert await answer.json() == {"number": 42}
    async with peer.get(served.url / "notes" / "none") as answer:
        assert answer.status == 404


async def test_the_compression_readmes_application_answers(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(run_block_of("plugins/compression/README.md", 0).app)
    coded = {"Accept-Encoding": "gzip"}
    async with peer.get(served.url / "report", headers=coded) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert len((await answer.json())["rows"]) == 200
    async with peer.get(served.url / "account", headers=coded) as answer:
        assert "Content-Encoding" not in answer.headers
    async with peer.put(served.url / "notes", data="a note", compress="gzip") as answer:
        assert await answer.json() == {"characters": 6}


async def test_the_sessions_readmes_application_answers(serve: Serve) -> None:
    served = await serve(run_block_of("plugins/sessions/README.md", 0).app)
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
    served = await serve(run_block_of("plugins/subapps/README.md", 0).app)
    async with peer.get(served.url / "api" / "users") as answer:
        assert await answer.json() == {"users": [], "next": "/api/users/ann"}
    async with peer.get(served.url / "api" / "users" / "ann") as answer:
        assert await answer.json() == {"name": "ann"}
    async with peer.get(served.url, headers={"Host": "one.example.com"}) as answer:
        assert await answer.text() == "the front of a tenant"


def test_links_to_files_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken
