"""Every sample of every page runs: programs are served and asked, commands print what the page says."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

import tests.packaging.test_readme  # noqa: F401  # has samples that it asks
from tests.conftest import Serve
from tests.packaging.samples import PAGES, ROOT, Run, Sample, name_page, read_blocks, read_commands

TUTORIAL: Final = ROOT / "docs" / "tutorial"
#: Pages that run together, in one folder: those of the tutorial build on each other.
RUNS: Final = [
    *([page] for page in PAGES if page.parent != TUTORIAL),
    [page for page in PAGES if page.parent == TUTORIAL],
]

#: The blocks that are not run: page and reason. ```` ```python skip: why ```` asks for a line here.
SKIPPED: Final[list[tuple[str, str]]] = []
#: Pages that have a test of their own: it looks at ```` ```py ```` blocks, and asks what is not asked on the page.
TESTED_BY: Final = {
    "docs/example-plugins.md": "tests/plugins/test_examples.py",
    "docs/hooks.md": "tests/packaging/test_pages.py",
}


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("pages", RUNS, ids=lambda pages: name_page(pages[0]))
@pytest.mark.usefixtures("empty_folder")
async def test_samples_run(
    pages: list[Path], serve: Serve, client_for: Callable[..., Any], server_for: Callable[..., Any]
) -> None:
    run = Run(serve, {"client_for": client_for, "server_for": server_for})
    for page in pages:
        await run.run(page)
    if not {name_page(page) for page in pages} & TESTED_BY.keys():
        assert not set(run.unasked) - Sample.known, "ask it in a console block behind it, or in test_readme.py"


def test_the_tutorial_ends_with_the_program_that_stands_in_examples() -> None:
    """What its tests have tested is what the last chapter shows."""
    written = {block.file: block.body for page in RUNS[-1] for block in read_blocks(page) if block.file}
    folder = ROOT / "examples" / "tutorial"
    caches = {".pytest_cache", "__pycache__"}
    files = [path for path in folder.rglob("*.*") if path.is_file() and caches.isdisjoint(path.parts)]
    assert written == {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files}


def test_skipped_blocks_are_listed_with_their_reasons() -> None:
    blocks = [block for page in PAGES for block in read_blocks(page) if block.skip_reason is not None]
    assert [(name_page(block.page), block.skip_reason) for block in blocks] == SKIPPED


def test_no_block_has_a_form_that_would_not_be_found() -> None:
    """Indented fences, other fences, and other names of the language."""
    names = "code|sourcecode|python3|py3|pycon|ipython|doctest|testcode"
    hidden = re.compile(rf"^(?:[ \t]+```|[ \t]*~~~|[`:]{{3,}}\s*\{{?(?:{names}))", re.MULTILINE)
    assert not [f"{name_page(page)}: {found}" for page in PAGES for found in hidden.findall(page.read_text())]


def test_blocks_that_are_not_run_here_are_on_pages_with_a_test_of_their_own() -> None:
    """```` ```py ```` is shown like ```` ```python ````, and left to that test."""
    pages = {name_page(page) for page in PAGES for block in read_blocks(page) if block.language == "py"}
    assert pages <= TESTED_BY.keys()


@pytest.mark.parametrize(("page", "test"), TESTED_BY.items())
def test_the_test_of_a_page_is_there(page: str, test: str) -> None:
    assert Path(page).name in (ROOT / test).read_text(encoding="utf-8")


def test_every_fence_is_read_as_a_block() -> None:
    for page in PAGES:
        fences = re.findall(r"^```", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(read_blocks(page)), name_page(page)


def test_commands_are_read_with_what_they_print() -> None:
    body = "$ curl one \\\n    -d x\nfirst\nsecond\n$ curl two\n"
    assert list(read_commands(body)) == [("curl one \\\n    -d x", "first\nsecond\n"), ("curl two", "")]


# That they run means that they can fail.

HELLO: Final = """\
```python
from corelet import web

async def hello(request):
    return web.Response(text="hello")

app = web.Application(handler=hello)
```
"""


RunText = Callable[[str], Awaitable[Run]]


@pytest.fixture
def run_text(empty_folder: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> RunText:
    """Give what runs a page that has just this text."""
    monkeypatch.setattr("tests.packaging.samples.ROOT", empty_folder)

    async def run_page(text: str) -> Run:
        page = empty_folder / "page.md"
        page.write_text(text)
        run = Run(serve, {})
        await run.run(page)
        return run

    return run_page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\n1 / 0\n```\n", "division by zero"),
        ("```python continue\n1\n```\n", "unknown words behind python: 'continue'"),
        ("```python skip:\n1\n```\n", "unknown words behind python"),
        ("`b.py`:\n```python a.py\n1\n```\n", "does not name `a.py`"),
        ("`a.py`:\n```python a.py\n1\n```\n", r"no command uses \['a.py'\]"),
        ("```python\ndef test_it(): assert False, 'no'\n```\n", "no"),
        ("```python\nimport unittest\nclass T(unittest.TestCase):\n    def test_it(self): 1 / 0\n```\n", "1 / 0"),
        ("```python\nclass TestIt:\n    async def test_it(self): 1 / 0\n```\n", "division by zero"),
        ("```console\n$ echo one\ntwo\n```\n", "prints\none"),
        ("```console\n$ curl http://127.0.0.1:8080/\nx\n```\n", "nothing is served"),
        (HELLO + "```console\n$ curl http://127.0.0.1:8080/\nhi\n```\n", "prints\nhello"),
        ("```console\n$ corelet run nowhere:app\n```\n", "has ended"),
    ],
)
async def test_a_sample_that_is_wrong_fails(text: str, message: str, run_text: RunText) -> None:
    with pytest.raises((AssertionError, ZeroDivisionError), match=message):
        await run_text(text)


async def test_an_application_that_nobody_asks_is_found(run_text: RunText) -> None:
    assert (await run_text(HELLO)).unasked == ["page.md:1"]
    main = "```python\nasync def main(): pass\n```\n"
    assert (await run_text(main)).unasked == ["page.md:1"]
    assert (await run_text(HELLO + main)).unasked == []
    assert (await run_text("```python\ndef main(app): pass\n```\n")).unasked == []
    assert (await run_text(f"{HELLO}```console\n$ curl http://127.0.0.1:8080/\nhello\n```\n")).unasked == []
