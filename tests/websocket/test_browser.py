"""A real browser as the peer: a page opens a WebSocket, sends every kind of message and writes down what comes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from corelet import web
from tests.chromium import PATIENCE, open_browser
from tests.conftest import Serve, Served
from tests.websocket.conftest import echo

PAGE = """<!doctype html><title>echo</title><pre id="log"></pre><script>
const log = [];
const sent = ["", "short", "\u00e9".repeat(3000), "x".repeat(100000)];
const bytes = new Uint8Array([0, 255, 128]);
const ws = new WebSocket(`ws://${location.host}/ws`, ["other", "chat"]);
ws.binaryType = "arraybuffer";
ws.onopen = () => { for (const text of sent) ws.send(text); ws.send(bytes); };
ws.onmessage = event => {
  log.push(typeof event.data === "string" ? sent.indexOf(event.data) : [...new Uint8Array(event.data)]);
  if (log.length === sent.length + 1) ws.close(4000, "done");
};
ws.onclose = async event => {
  const end = [ws.protocol, ws.extensions, event.code, event.wasClean];
  await fetch("/log", {method: "POST", body: JSON.stringify({log, end})});
};
</script>"""


async def run_page(serve: Serve, folder: Path, page: str, talk: Any = None) -> tuple[dict[str, Any], Served]:
    """Show a page to the browser until it posts JSON to /log; that, and where the page came from."""
    reported: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    async def take_log(request: web.Request) -> web.Response:
        reported.set_result(json.loads(await request.text()))
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.get("/", show), web.post("/log", take_log)])
    if talk is not None:
        app.router.add_get("/ws", talk)
    served = await serve(app, access_log=None)
    async with open_browser(folder / "profile") as browser:
        await browser.open(str(served.url))
        return await asyncio.wait_for(reported, PATIENCE), served


@pytest.mark.parametrize("origins", [None, ["self"]])
async def test_a_page_talks_to_our_server(serve: Serve, tmp_path: Path, origins: Any) -> None:
    seen: list[Any] = []

    async def talk(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(protocols=["chat"], heartbeat=30, origins=origins)
        await ws.prepare(request)
        await echo(ws)
        seen.append((ws.close_code, request.headers["Origin"]))
        return ws

    report, served = await run_page(serve, tmp_path, PAGE, talk)
    assert report["log"] == [0, 1, 2, 3, [0, 255, 128]]
    assert report["end"] == ["chat", "permessage-deflate", 4000, True]
    assert seen == [(4000, str(served.url.origin()))]


async def test_a_page_of_a_stranger_is_kept_out(serve: Serve, tmp_path: Path) -> None:
    """The page comes from one server and asks another one, as a hostile site would."""

    async def talk(request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse(origins=["self"])
        await ws.prepare(request)
        return ws

    victim = await serve(web.Application(handler=talk), access_log=None)
    page = f"""<!doctype html><script>
        const tell = what => fetch("/log", {{method: "POST", body: JSON.stringify({{what}})}});
        const ws = new WebSocket("ws://127.0.0.1:{victim.port}/");
        ws.onopen = () => tell("opened"); ws.onerror = () => tell("refused");
    </script>"""
    assert (await run_page(serve, tmp_path, page))[0] == {"what": "refused"}
