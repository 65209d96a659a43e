"""The tutorial's chat in a real browser: two people sign up and talk. Its own tests run with the docs."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.chromium import Page, keeping_screenshots, open_browser
from tests.conftest import Serve

FOLDER: Final = Path(__file__).resolve().parents[2] / "examples" / "tutorial"
LINES: Final = "[...document.querySelectorAll('#messages li')].map(each => each.textContent)"
MARKUP: Final = "<img src=x onerror=document.title='caught'>"


@pytest.fixture
def lounge(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Give the tutorial's application."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setenv("LOUNGE_DATABASE", ":memory:")
    return importlib.import_module("lounge.app").make_app()


async def sign_up(page: Page, name: str) -> None:
    await page.wait_for("document.querySelector('[name=password]')")
    for field, value in {"name": name, "password": "secret"}.items():
        await page.run(f"document.querySelector('[name={field}]').value = {json.dumps(value)}")
    await page.click("button[formaction='/signup']")
    await page.wait_for("document.querySelector('#say') && socket.readyState === WebSocket.OPEN")


async def see(page: Page, *lines: str) -> None:
    await page.wait_for(f"JSON.stringify({LINES}) === JSON.stringify({json.dumps(lines)})")


async def test_two_people_talk_until_one_logs_out(lounge: Any, serve: Serve, tmp_path: Path) -> None:
    served = await serve(lounge)
    async with open_browser(tmp_path) as browser:
        ann, bob = [await browser.open(str(served.url)) for _ in "ab"]
        async with keeping_screenshots("tutorial", ann, bob):
            await sign_up(ann, "Ann")
            await sign_up(bob, "<b>Bob</b>")
            await ann.type("#say input", "Hello")
            await see(bob, "Ann: Hello")
            await bob.type("#say input", MARKUP)
            for page in (ann, bob):
                await see(page, "Ann: Hello", f"<b>Bob</b>: {MARKUP}")
                assert await page.run("document.title") == "Lounge"
            # The style is there, by an address that changes with it.
            assert await ann.run("getComputedStyle(document.body).maxWidth") == "640px"
            await bob.click("form[action='/logout'] button")
            await bob.wait_for("document.querySelector('[name=password]')")
            await ann.type("#say input", "Anybody?")
            await see(ann, "Ann: Hello", f"<b>Bob</b>: {MARKUP}", "Ann: Anybody?")
            assert ann.errors == bob.errors == []
