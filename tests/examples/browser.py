"""A page in headless Chromium, driven by its own protocol over a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
PATIENCE: Final = 60.0


class Page:
    """One page: what it shows, and what is done to it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the browser's protocol."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = await asyncio.wait_for(self._socket.receive_json(), PATIENCE)
            if message.get("id") == number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def run(self, source: str) -> Any:
        """Run JavaScript in the page; its value."""
        result = await self.call("Runtime.evaluate", expression=source, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def wait_for(self, condition: str) -> None:
        """Wait until a condition in JavaScript holds."""
        async with asyncio.timeout(PATIENCE):
            while not await self.run(f"Boolean({condition})"):  # noqa: ASYNC110 -- a page has no event for it
                await asyncio.sleep(0.05)

    async def open(self, url: str) -> None:
        """Open an address, and wait for its page."""
        await self.call("Page.navigate", url=url)
        await self.wait_for(f"location.href.startsWith({url!r}) && document.readyState === 'complete'")

    async def choose_files(self, selector: str, paths: list[Path]) -> None:
        """Choose files in an input, as a person does."""
        document = await self.call("DOM.getDocument")
        found = await self.call("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector)
        await self.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(path) for path in paths])

    async def take_screenshot(self, path: Path) -> None:
        """Write what the page looks like."""
        data = (await self.call("Page.captureScreenshot"))["data"]
        await asyncio.to_thread(path.write_bytes, base64.b64decode(data))


@contextlib.asynccontextmanager
async def open_page(folder: Path) -> AsyncIterator[Page]:
    """Start a browser with a profile of its own, and give its page; a picture of it is left where a test fails."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    assert program is not None, "the tests need a browser: apt-get install chromium"
    profile = folder / "profile"
    with (folder / "browser.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, *OPTIONS, f"--user-data-dir={profile}", "about:blank", stdout=log, stderr=log
        )
    try:
        async with aiohttp.ClientSession() as session:
            port = await _find_port(profile / "DevToolsActivePort")
            address = await _find_page(session, port)
            async with session.ws_connect(address, max_msg_size=0) as socket:
                page = Page(socket)
                try:
                    yield page
                except BaseException:
                    with contextlib.suppress(Exception):
                        await page.take_screenshot(folder / "failed.png")
                    raise
    finally:
        process.terminate()
        await process.wait()


async def _find_port(path: Path) -> int:
    async with asyncio.timeout(PATIENCE):
        while not (path.exists() and path.read_text().count("\n")):  # noqa: ASYNC110, ASYNC240 -- another process writes it
            await asyncio.sleep(0.05)
    return int(path.read_text().splitlines()[0])  # noqa: ASYNC240


async def _find_page(session: aiohttp.ClientSession, port: int) -> str:
    async with asyncio.timeout(PATIENCE):
        while True:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [each for each in json.loads(await answer.text()) if each["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)
