"""A real browser: Chromium without a window, driven by its DevTools protocol over a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

#: How long a page gets for anything, on a slow machine too.
PATIENCE: Final = 60.0
SCREENSHOTS: Final = Path(__file__).with_name("screenshots")
FLAGS: Final = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--disable-extensions", "--no-proxy-server", "--remote-debugging-port=0", "--window-size=1100,720",
)  # fmt: skip


class Browser:
    """The DevTools of one browser: commands and their answers, and what pages complain about."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._pages: dict[str, Page] = {}

    async def read(self) -> None:
        """Take what the browser says, until it is closed."""
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            elif said.get("sessionId") in self._pages:
                self._pages[said["sessionId"]].take_event(said["method"], said["params"])

    async def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Call a method of the DevTools; its result."""
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(
            {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        )
        said = await asyncio.wait_for(answer, PATIENCE)
        assert "error" not in said, f"{method}: {said['error']}"
        return said["result"]

    async def open(self, url: str) -> Page:
        """Open a page with cookies of its own."""
        context = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = (await self.call("Target.createTarget", url="about:blank", browserContextId=context))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        await page.call("Page.navigate", url=url)
        return page


class Page:
    """One page."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        #: Errors of scripts, and what the console shows as errors: requests that failed, content that was blocked.
        self.errors: list[str] = []

    def take_event(self, method: str, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        if method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    async def call(self, method: str, **params: Any) -> Any:
        return await self._browser.call(method, self._session, **params)

    async def run(self, expression: str) -> Any:
        """Run JavaScript; the value of the expression, or of its promise."""
        result = await self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def wait_for(self, expression: str) -> None:
        """Wait until an expression is true."""
        check = f"document.readyState === 'complete' && Boolean({expression})"
        async with asyncio.timeout(PATIENCE):
            while not await self.run(check):  # noqa: ASYNC110 -- what happens in the page has no event here
                await asyncio.sleep(0.02)

    async def type(self, selector: str, text: str, *, key: str = "Enter") -> None:
        """Type into a field as a person does, and press a key."""
        await self.wait_for(f"(document.querySelector({selector!r})?.checkVisibility())")
        await self.run(f"document.querySelector({selector!r}).focus()")
        await self.call("Input.insertText", text=text)
        for kind in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, text="\r", windowsVirtualKeyCode=13)

    async def choose_files(self, selector: str, paths: list[Path]) -> None:
        """Choose files in a field, as a person does."""
        document = await self.call("DOM.getDocument")
        found = await self.call("DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector)
        await self.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(path) for path in paths])

    async def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        place = await self.run(
            f"(r => ({{x: r.x + r.width / 2, y: r.y + r.height / 2}}))"
            f"(document.querySelector({selector!r}).getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    async def screenshot(self, path: Path) -> None:
        """Write a PNG of what is seen."""
        image = base64.b64decode((await self.call("Page.captureScreenshot"))["data"])
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(image)  # noqa: ASYNC240 -- a test may wait for the disk


@asynccontextmanager
async def open_browser(folder: Path) -> AsyncIterator[Browser]:
    """Start a browser with a profile in a folder, and end it."""
    program = shutil.which("chromium") or pytest.fail("this test needs Chromium: apt-get install chromium")
    process = await asyncio.create_subprocess_exec(
        program, *FLAGS, f"--user-data-dir={folder}", stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    assert process.stderr is not None
    draining = None
    try:
        async with asyncio.timeout(PATIENCE):
            said: list[str] = []
            while not said or not said[-1].startswith("DevTools listening on "):
                line = (await process.stderr.readline()).decode(errors="replace")
                assert line, f"Chromium did not start: {''.join(said)}"
                said.append(line)
        draining = asyncio.create_task(process.stderr.read())
        address = said[-1].removeprefix("DevTools listening on ").strip()
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            browser = Browser(socket)
            reading = asyncio.create_task(browser.read())
            try:
                yield browser
            finally:
                with suppress(TimeoutError):
                    await browser.call("Browser.close")
                await reading
    finally:
        if process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
            await process.wait()
        if draining is not None:
            await draining


@asynccontextmanager
async def keeping_screenshots(name: str, *pages: Page) -> AsyncIterator[None]:
    """Keep what the pages show where the block fails; the failure says where."""
    try:
        yield
    except BaseException as error:
        for number, page in enumerate(pages, 1):
            path = SCREENSHOTS / f"{name}-{number}.png"
            try:
                await page.screenshot(path)
            except (AssertionError, TimeoutError, ConnectionError) as second:  # the first error is what counts
                error.add_note(f"no picture of page {number}: {second!r}")
            error.add_note(f"{path}; errors on that page: {page.errors}")
        raise
