"""examples/chat in a real browser: two people talk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from examples.chat.app import make_app
from examples.chat.settings import Settings
from tests import chromium
from tests.chromium import Page, keeping_screenshots, open_browser
from tests.conftest import Serve

TEXTS = "[...document.querySelectorAll('#messages p')].map(each => each.textContent)"
MARKUP = "<img src=x onerror=document.title='caught'><script>document.title='caught'</script>"
PEOPLE = "[...document.querySelectorAll('#people li')].map(each => each.textContent)"


async def enter(page: Page, name: str) -> None:
    await page.type("#name", name)
    await page.wait_for("document.querySelector('#status').dataset.state === 'open'")


async def see(page: Page, what: str, *values: str) -> None:
    await page.wait_for(f"JSON.stringify({what}) === JSON.stringify({json.dumps(values)})")


async def test_two_people_talk(serve: Serve, tmp_path: Path) -> None:
    served = await serve(make_app(Settings(burst=100)))
    async with open_browser(tmp_path) as started:
        ann, bob = [await started.open(str(served.url)) for _ in "ab"]
        async with keeping_screenshots("chat", ann, bob):
            await enter(ann, "Ann")
            await enter(bob, "Bob <b>")
            # Both are seen, names as they are written.
            await see(ann, PEOPLE, "Ann (you)", "Bob <b>")
            await see(bob, PEOPLE, "Ann", "Bob <b> (you)")

            texts = ("Hello, is anybody here?", MARKUP)
            await ann.type("#text", texts[0])
            await see(ann, TEXTS, texts[0])
            await bob.type("#text", texts[1])
            for page in (ann, bob):
                await see(page, TEXTS, *texts)
                assert (
                    await page.run("document.querySelectorAll('#messages img, #messages script, #people b').length")
                    == 0
                )
                assert await page.run("document.title") == "#lobby · corelet chat"
            assert await ann.run("document.querySelectorAll('#messages .mine').length") == 1

            # Another room is another conversation, and leaving is seen.
            await bob.type("#other-room", "quiet-room")
            await see(bob, PEOPLE, "Bob <b> (you)")
            await see(ann, PEOPLE, "Ann (you)")
            await see(bob, TEXTS)
            await bob.click("#rooms a[href='#lobby']")
            await see(bob, TEXTS, *texts)
            await see(ann, PEOPLE, "Ann (you)", "Bob <b>")

            # A connection that the server ends comes back, and nothing is shown twice.
            for page in (ann, bob):  # so that the state of before is not taken for the one after
                await page.run("document.querySelector('#status').dataset.state = 'old'")
            for connection in [*served.server.connections]:
                connection.transport.abort()
            for page in (ann, bob):
                await page.wait_for("document.querySelector('#status').dataset.state === 'open'")
            await see(ann, PEOPLE, "Ann (you)", "Bob <b>")
            await bob.type("#text", "Still here")
            for page in (ann, bob):
                await see(page, TEXTS, *texts, "Still here")

            # Logging out leads to the door, and is seen by the others.
            await ann.click("#logout")
            await ann.wait_for("document.querySelector('#name').checkVisibility()")
            await see(bob, PEOPLE, "Bob <b> (you)")
            # Nothing was blocked and no script failed; being asked for a name first is a 401.
            for page in (ann, bob):
                assert [each for each in page.errors if "401" not in each] == []


async def test_a_text_that_was_refused_is_not_lost(serve: Serve, tmp_path: Path) -> None:
    served = await serve(make_app(Settings(burst=1, per_second=0.0001)))
    async with open_browser(tmp_path) as started:
        page = await started.open(str(served.url))
        async with keeping_screenshots("chat", page):
            await enter(page, "Ann")
            await page.type("#text", "one")
            await see(page, TEXTS, "one")
            await page.type("#text", "two")
            await page.wait_for("document.querySelector('#say-error').textContent.startsWith('Slow down')")
            assert await page.run("document.querySelector('#text').value") == "two"


async def test_a_list_of_rooms_that_is_looked_up_again_keeps_its_links(serve: Serve, tmp_path: Path) -> None:
    served = await serve(make_app())
    async with open_browser(tmp_path) as started:
        page = await started.open(str(served.url))
        async with keeping_screenshots("chat", page):
            await enter(page, "Ann")
            await see(page, PEOPLE, "Ann (you)")
            await page.run("showRooms()")
            await page.run("document.querySelector('#rooms a').focus()")
            await page.run("showRooms()")
            assert await page.run("document.activeElement.getAttribute('href')") == "#lobby"


async def test_an_address_that_names_no_room_leads_to_the_lobby(serve: Serve, tmp_path: Path) -> None:
    served = await serve(make_app())
    async with open_browser(tmp_path) as started:
        page = await started.open(f"{served.url}#100%")
        async with keeping_screenshots("chat", page):
            await enter(page, "Ann")
            assert await page.run("document.title") == "#lobby · corelet chat"


async def test_a_page_that_is_logged_out_elsewhere_goes_to_the_door(serve: Serve, tmp_path: Path) -> None:
    served = await serve(make_app())
    async with open_browser(tmp_path) as started:
        page = await started.open(str(served.url))
        async with keeping_screenshots("chat-door", page):
            await page.type("#name", "   ")
            await page.wait_for("document.querySelector('#login-error').textContent.includes('1 to 32 characters')")
            await page.run("document.querySelector('#name').value = ''")
            await enter(page, "Ann")
            # Another page of the same browser would do just this.
            await page.run("fetch('/logout', {method: 'POST'}).then(() => true)")
            await page.wait_for("document.querySelector('#name').checkVisibility()")
            assert await page.run("fetch('/me').then(answer => answer.status)") == 401


async def test_a_failure_keeps_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "SCREENSHOTS", tmp_path / "shots")
    async with open_browser(tmp_path / "profile") as started:
        page = await started.open("data:text/html,<h1>seen</h1>")
        await page.wait_for("document.querySelector('h1')")
        with pytest.raises(LookupError) as raised:
            async with keeping_screenshots("kept", page):
                raise LookupError
    assert (tmp_path / "shots" / "kept-1.png").read_bytes().startswith(b"\x89PNG")
    assert "shots/kept-1.png; errors on that page: []" in raised.value.__notes__[0]
