"""What docs/plugin-guide.md shows works, and what it says is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any, Final

import aiohttp
import pytest

import corelet
from corelet import PluginLoadError, cli, hookimpl, hookspecs, web
from corelet.plugins import make_manager
from docs.pages import find_hooks
from tests.conftest import Serve
from tests.packaging.samples import ROOT, Sample

PAGE: Final = ROOT / "docs" / "plugin-guide.md"
SMALLEST, COUNTING, SWITCHED_ON, EXTENDED, COMMAND = (Sample("docs/plugin-guide.md", number) for number in range(5))


class Misspelt:
    @hookimpl
    def corelet_prepare_respons(self, app: Any) -> None: ...


class OtherArgument:
    @hookimpl
    def corelet_prepare_response(self, application: Any) -> None: ...


class Asynchronous:
    @hookimpl
    async def corelet_configure(self, app: Any) -> None: ...


class Unmarked:
    def corelet_configure(self, app: Any) -> None: ...


class WithDefault:
    @hookimpl
    def corelet_configure(self, app: Any = None) -> None: ...


class Yielding:
    @hookimpl
    def corelet_lifespan(self, app: Any) -> Any:
        yield


class Empty: ...


class Newer:
    corelet_hook_api = 99

    @hookimpl
    def corelet_configure(self, app: Any) -> None: ...


class Greeting:
    @hookimpl
    def corelet_configure(self, app: Any) -> None: ...


#: Row of the table -> a plugin of which it is true.
WRONG: Final = {
    "a hook's name is misspelt": Misspelt(),
    "an argument's name is": OtherArgument(),
    "the function is async": Asynchronous(),
    "the mark is missing": Unmarked(),
    "an argument has a default": WithDefault(),
    "it yields, and is no wrapper": Yielding(),
    "it has no hook at all": Empty(),
    "it needs a newer corelet": Newer(),
    "a class is given in place of an object": Greeting,
}


def read_messages() -> dict[str, str]:
    table = PAGE.read_text(encoding="utf-8").partition("| what is wrong |")[2].partition("\n\n")[0]
    return dict(re.findall(r"^\| (.*?) \| `(.*)` \|$", table, re.MULTILINE))


def test_every_hook_of_the_kernel_has_its_moment() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("| moment |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(corelet_\w+)`", table)) == sorted(hook.__name__ for hook in find_hooks(hookspecs))


def test_every_mistake_of_the_table_is_made_here() -> None:
    assert read_messages().keys() == WRONG.keys()


@pytest.mark.parametrize("what", WRONG)
def test_a_mistake_is_said_as_the_page_says(what: str) -> None:
    with pytest.raises(PluginLoadError) as error:
        make_manager([WRONG[what]])
    said = str(error.value).splitlines()[1].replace(corelet.__version__, "0.1.0")
    assert said.endswith(f": {read_messages()[what]}")


async def test_the_smallest_plugin_and_the_switched_on_one_change_answers(
    serve: Serve, peer: aiohttp.ClientSession
) -> None:
    smallest, greeting = SMALLEST.run(), SWITCHED_ON.run()
    hello = COUNTING.run().hello

    async def ask(app: web.Application) -> list[str | None]:
        served = await serve(app)
        async with peer.get(served.url) as answer:
            return [answer.headers.get(name) for name in ("X-Served-By", "X-Greeting")]

    plugins = [smallest, greeting]
    silent, greeted = (web.Application(handler=hello, plugins=plugins) for _ in range(2))
    greeting.setup_greeting(greeted, "hi")
    assert [await ask(silent), await ask(greeted)] == [["corelet", None], ["corelet", "hi"]]


async def test_a_wrapper_sees_the_answers(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    module: Any = COUNTING.run()
    await serve(web.Application(handler=module.hello, plugins=[module.Counting(), SMALLEST.run()]))
    assert capsys.readouterr().out == "1 plugins prepare responses\n"


async def test_a_plugin_is_extended_by_another_one(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(EXTENDED.run().app)
    async with peer.get(served.url) as answer:
        assert await answer.json() == ["Menu", "soup"]


def test_the_command_greets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "survey", lambda: make_manager([COMMAND.run()]))
    assert cli.main(["greet", "Ann"]) == 0
    assert capsys.readouterr().out == "Hello, Ann\n"


def test_the_tests_of_the_whole_plugin_pass() -> None:
    folder = ROOT / "docs" / "ratelimit"
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        command, cwd=folder, env=environment | {"PYTHONPATH": str(folder)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^4 passed", done.stdout, re.MULTILINE)


def test_every_file_of_the_whole_plugin_is_shown() -> None:
    shown = re.findall(r"^```\{literalinclude\} ratelimit/(\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    folder = ROOT / "docs" / "ratelimit"
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*.*") if path.suffix in (".py", ".toml")]
    assert sorted(shown) == sorted(files)
