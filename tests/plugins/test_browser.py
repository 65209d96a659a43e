"""A real browser as the peer of the plugins that are for browsers; their applications run in processes of their own."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from tests.chromium import PATIENCE, keeping_screenshots, open_browser
from tests.plugins.conftest import Installed

EVENTS: Final = '''
from corelet import web
from corelet_sse import event_source

PAGE = """<!doctype html><link rel="icon" href="data:,"><title>events</title><script>
const log = [];
const source = new EventSource("/events");
const note = event => log.push([event.type, event.data, event.lastEventId]);
source.addEventListener("tick", note);
source.onmessage = note;
</script>"""
ended = []

async def show(request):
    return web.Response(text=PAGE, content_type="text/html")

async def feed(request):
    async with event_source(request, retry=20) as events:
        if events.last_event_id is None:
            await events.send("one\\ntwo\\r\\n\\u00e4 \\u2028", event="tick", id="a1")
            await events.send_comment("nobody sees this")
            await events.send_json({"n": 1}, id="a2")
        else:
            await events.send(f"again after {events.last_event_id}")
            await events.wait()
    ended.append("left")
    return events

async def tell(request):
    return web.json_response(ended)

app = web.Application(middlewares=[web.compression_middleware()])
app.add_routes([web.get("/", show), web.get("/events", feed), web.get("/ended", tell)])
web.run_app(app, host="127.0.0.1", port=0, access_log=None)
'''

SHARING: Final = """
from corelet import web
from corelet_cors import CorsPolicy, setup_cors

async def show(request):
    return web.Response(text="<!doctype html><title>page</title>", content_type="text/html")

async def store(request):
    return web.json_response(await request.json(), headers={"X-Version": "7", "X-Secret": "8"})

app = web.Application()
policy = CorsPolicy(
    lambda origin: origin.startswith("http://127.0.0.1:"),
    credentials=True, headers=["Content-Type", "X-Token"], expose_headers=["X-Version"],
)
setup_cors(app, policy)
app.add_routes([web.get("/", show), web.put("/store", store)])
web.run_app(app, host="127.0.0.1", port=0, access_log=None)
"""

#: Asks the other origin as scripts do; what came of it.
ASK: Final = """(async other => {
  const ask = async (path, options) => {
    try {
      const answer = await fetch(other + path, options);
      return [answer.status, answer.headers.get("X-Version"), answer.headers.get("X-Secret"), await answer.text()];
    } catch (error) { return [error.name]; }
  };
  const put = {method: "PUT", credentials: "include", body: "[1]"};
  const json = {"Content-Type": "application/json"};
  return [
    await ask("/store", {...put, headers: {...json, "X-Token": "t"}}),
    await ask("/store", {...put, headers: {...json, "X-Other": "o"}}),
    (await ask("/none", {}))[0],
    (await ask("/store", {method: "DELETE"}))[0],
  ];
})"""


@asynccontextmanager
async def serve_program(installed: Installed, plugin: str, source: str) -> AsyncIterator[URL]:
    """Run a program that serves an application with a plugin; where it is served."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-u", "-W", "error", "-c", source,
        env=installed.make_environment(plugin), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    said = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while (found := re.search(rb"http://\S+:\d+", said)) is None:
                line = await process.stdout.readline()
                assert line, said.decode()
                said += line
        yield URL(found[0].decode())
    finally:
        process.terminate()
        said += await process.stdout.read()
        await process.wait()
    assert process.returncode == 0, said.decode()
    assert b"Traceback" not in said, said.decode()


async def test_a_page_receives_events_and_connects_again(
    installed: Installed, tmp_path: Path, peer: aiohttp.ClientSession
) -> None:
    async with serve_program(installed, "corelet-sse", EVENTS) as url, open_browser(tmp_path / "profile") as browser:
        page = await browser.open(str(url))
        async with keeping_screenshots("events", page):
            await page.wait_for("log.length === 3")
            assert await page.run("log") == [
                ["tick", "one\ntwo\nä \u2028", "a1"],
                ["message", '{"n": 1}', "a2"],
                ["message", "again after a2", "a2"],
            ]
            await page.run("source.close()")
            ended: list[str] = []
            async with asyncio.timeout(PATIENCE):
                while len(ended) < 2:
                    async with peer.get(url / "ended") as answer:
                        ended = await answer.json()
            assert page.errors == []


async def test_a_page_of_another_origin_may_do_what_its_policy_says(installed: Installed, tmp_path: Path) -> None:
    async with serve_program(installed, "corelet-cors", SHARING) as url, open_browser(tmp_path / "profile") as browser:
        # Two names of one server are two origins.
        other = str(url.with_host("localhost").origin())
        page = await browser.open(str(url))
        await page.wait_for("document.title === 'page'")
        assert await page.run(f"{ASK}('{other}')") == [[200, "7", None, "[1]"], ["TypeError"], 404, "TypeError"]
        stranger = await browser.open(f"{other}/")
        await stranger.wait_for("document.title === 'page'")
        assert await stranger.run(f"{ASK}('{url.origin()}')") == [
            ["TypeError"],
            ["TypeError"],
            "TypeError",
            "TypeError",
        ]
