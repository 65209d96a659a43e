"""The Python blocks of READMEs and documentation run, and what they build answers over a socket."""

from __future__ import annotations

import re
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from corelet import web

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [ROOT / "README.md", *sorted(ROOT.glob("plugins/*/README.md")), *sorted(ROOT.glob("docs/*.md"))]
BLOCK: Final = re.compile(r"^```python[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Serve = Callable[[web.Application], Awaitable[httpx.AsyncClient]]


def read_blocks(path: Path) -> list[str]:
    return [match[1] for match in BLOCK.finditer(path.read_text(encoding="utf-8"))]


def run_block(source: str) -> types.ModuleType:
    module = types.ModuleType("readme_block")
    exec(compile(source, "readme block", "exec"), module.__dict__)
    return module


def run_block_of(page: str, number: int) -> Any:
    return run_block(read_blocks(ROOT / page)[number])


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    runners: list[web.AppRunner] = []
    clients: list[httpx.AsyncClient] = []

    async def start(app: web.Application) -> httpx.AsyncClient:
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        client = httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False)
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.aclose()
    for runner in runners:
        await runner.cleanup()


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


async def test_the_first_application_answers(serve: Serve) -> None:
    client = await serve(run_block_of("README.md", 0).app)
    assert (await client.get("/hello/world")).text == "Hello, world"
    assert (await client.get("/", params={"say": "hi"})).json() == {"path": "/", "say": "hi"}


async def test_the_smallest_plugin_adds_its_header(serve: Serve) -> None:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    client = await serve(web.Application(handler=hello, plugins=[run_block_of("README.md", 1)]))
    assert (await client.get("/")).headers["X-Served-By"] == "corelet"


async def test_the_routing_readmes_application_answers(serve: Serve) -> None:
    client = await serve(run_block_of("plugins/routing/README.md", 0).app)
    assert (await client.get("/users/alice")).text == "Hello, alice"
    assert (await client.get("/notes/42")).json() == {"number": 42}
    assert (await client.get("/notes/none")).status_code == 404


def test_links_to_files_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in [*PAGES, ROOT / "CONTRIBUTING.md"]
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken
