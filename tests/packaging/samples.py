"""The samples of pages: their fenced blocks, as steps that run one after another.

The info string of a block says what is done with it:

- ``python``: a program of its own. Its ``app`` is served when the page asks, its ``main()`` is awaited, its tests run.
- ``python continued`` goes on with the names of the block before; ``python skip: why`` is not run.
- ``html a/b.html``, any language with a name: a file for commands that come later.
- ``console``: commands behind ``$ ``, each with what it prints, where ``...`` stands for anything.

Programs and commands may say http://127.0.0.1:8080: that is where the page's application is, or what its
``corelet run`` has started.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import doctest
import inspect
import os
import re
import subprocess
import sys
import types
import unittest
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from corelet import web
from corelet.app import AppState
from tests.conftest import Serve

ROOT: Final = Path(__file__).resolve().parents[2]
PAGES: Final = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("plugins/*/README.md")),
    # Those of examples/plugins, whole distributions, are run by tests of their own.
    *sorted(ROOT.glob("examples/*/README.md")),
    *sorted(page for page in ROOT.glob("docs/**/*.md") if "_build" not in page.parts),
]

#: Where samples say that servers listen.
ADDRESS: Final = "127.0.0.1:8080"
READY: Final = "(Press CTRL+C to quit)\n"
COMMAND_SECONDS: Final = 60

_FENCE: Final = re.compile(r"^(`{3,})([^\n`]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_MAIN: Final = re.compile(r"^async def main\(\)", re.MULTILINE)
_LOOKS_EQUAL: Final = doctest.OutputChecker().check_output
_FLAGS: Final = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: what stands behind its fence, what it holds, and in which line of the page it starts."""

    page: Path
    line: int
    info: str
    body: str
    before: str = field(repr=False)

    @property
    def where(self) -> str:
        """Where it stands."""
        return f"{name_page(self.page)}:{self.line}"

    @property
    def language(self) -> str:
        """Its language."""
        return self.info.split(maxsplit=1)[0] if self.info else ""

    @property
    def rest(self) -> str:
        """What the info string says behind the language."""
        return self.info.removeprefix(self.language).strip()

    @property
    def skip_reason(self) -> str | None:
        """Why it is not run; None where it is."""
        return self.rest.removeprefix("skip:").strip() if self.rest.startswith("skip:") else None

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        is_name = re.fullmatch(r"[\w/-]*\.?[\w-]+\.\w+", self.rest) and not self.language.startswith("{")
        return self.rest if is_name else None

    def check(self) -> None:
        """Fail where the info string of a Python block says something unknown, or a reader sees no file name."""
        if self.language == "python" and self.rest not in ("", "continued") and not self.file:
            assert self.skip_reason, f"{self.where}: unknown words behind python: {self.rest!r}"
        if self.file:
            assert f"`{self.file}`" in self.before, f"{self.where}: what stands before does not name `{self.file}`"


def name_page(page: Path) -> str:
    """Name a page by its path from the root."""
    return str(page.relative_to(ROOT))


def read_blocks(page: Path) -> list[Block]:
    """Read the fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in _FENCE.finditer(text):
        above = text[: match.start()]
        before = above.rstrip().rpartition("\n\n")[2]
        blocks.append(Block(page, above.count("\n") + 1, match[2].strip(), match[3], before))
    return blocks


def read_commands(body: str) -> Iterator[tuple[str, str]]:
    """Read the commands of a console block, each with what it prints."""
    assert body.startswith("$ "), f"a console block starts with a command: {body!r}"
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, expected = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", part, re.DOTALL).groups()  # type: ignore[union-attr]
        yield command, expected


class Run:
    """One run of a page, or of pages that build on each other, in the current folder, which is theirs alone."""

    def __init__(self, serve: Serve, fixtures: Mapping[str, Any]) -> None:
        self._serve = serve
        self._fixtures = fixtures
        self._module = types.ModuleType("sample")
        self._address = ""
        self._process: subprocess.Popen[str] | None = None
        self._files: list[str] = []
        #: Where applications were made, with them.
        self.apps: list[tuple[str, web.Application]] = []
        #: Where a ``main()`` was defined that had nothing to ask.
        self.unrun: list[str] = []

    async def run(self, page: Path) -> None:
        """Run the blocks of a page."""
        try:
            for block in read_blocks(page):
                block.check()
                if block.skip_reason is None:
                    await self._run_block(block)
            assert not self._files, f"{name_page(page)}: no command uses {self._files}"
        finally:
            self._end_process()

    @property
    def unasked(self) -> list[str]:
        """List where an application was made, or a ``main()`` defined, that nobody has asked or awaited."""
        return sorted([where for where, app in self.apps if app.state is AppState.OPEN] + self.unrun)

    async def _run_block(self, block: Block) -> None:
        if block.file:
            self._write_file(block.file, block.body)
        elif block.language == "python":
            await self._run_python(block)
        elif block.language == "console":
            for command, expected in read_commands(block.body):
                await self._run_command(block, command, expected)

    def _write_file(self, name: str, text: str) -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self._files.append(name)

    # Python

    async def _run_python(self, block: Block) -> None:
        if block.rest != "continued":
            self._module = types.ModuleType("sample")
        names = find_names(block.body)
        needs_server = bool(_MAIN.search(block.body))
        if needs_server and self._find_unserved() is not None:
            await self._serve_app()
        source = "\n" * block.line + block.body
        if self._address:
            source = source.replace(ADDRESS, self._address)
        exec(compile(source, str(block.page), "exec"), self._module.__dict__)
        app = vars(self._module).get("app")
        if "app" in names and isinstance(app, web.Application):
            self.apps.append((block.where, app))
            self._address = ""
        if needs_server:
            await self._await_main(block)
        for name in names:
            await self._run_tests(vars(self._module)[name], name)

    async def _await_main(self, block: Block) -> None:
        if not self._address:
            self.unrun.append(block.where)
            return
        with contextlib.redirect_stdout(None):
            await vars(self._module)["main"]()

    async def _run_tests(self, value: Any, name: str) -> None:
        if name.startswith("test_"):
            await self._run_test(value)
        elif isinstance(value, type) and issubclass(value, unittest.TestCase):
            tests = unittest.defaultTestLoader.loadTestsFromTestCase(value)
            result = await asyncio.to_thread(tests.run, unittest.TestResult())
            assert result.testsRun
            assert result.wasSuccessful(), [*result.errors, *result.failures]
        elif isinstance(value, type) and name.startswith("Test"):
            tests_of_class = [each for each in dir(value) if each.startswith("test_")]
            assert tests_of_class
            for test in tests_of_class:
                await self._run_test(getattr(value(), test))

    async def _run_test(self, test: Any) -> None:
        result = test(**{each: self._fixtures[each] for each in inspect.signature(test).parameters})
        if inspect.isawaitable(result):
            await result

    # Commands

    def _find_unserved(self) -> web.Application | None:
        app = self.apps[-1][1] if self.apps else None
        return app if app is not None and app.state is AppState.OPEN else None

    async def _serve_app(self) -> None:
        app = self._find_unserved()
        assert app is not None
        self._address = (await self._serve(app)).url.authority

    async def _run_command(self, block: Block, command: str, expected: str) -> None:
        if command.startswith("corelet run "):
            printed = await asyncio.to_thread(self._start_process, command)
        else:
            if "curl " in command:
                if self._process is None and self._find_unserved() is not None:
                    await self._serve_app()
                assert self._address, f"{block.where}: nothing is served that `{command}` could ask"
            printed = await asyncio.to_thread(self._run_shell, command)
        self._files.clear()
        # What a reader can't see, a page can't show: the ends of lines, and spaces before them.
        printed = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
        assert _LOOKS_EQUAL(expected.rstrip() + "\n", printed.rstrip() + "\n", _FLAGS), (
            f"{block.where}: $ {command}\nprints\n{printed}\nand the page says\n{expected}"
        )

    @property
    def _environment(self) -> dict[str, str]:
        programs = str(Path(sys.executable).parent)
        return {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}

    def _run_shell(self, command: str) -> str:
        command = re.sub(r"\bcurl ", "curl --silent --show-error ", command.replace(ADDRESS, self._address or ADDRESS))
        done = subprocess.run(
            command,
            shell=True,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        return done.stdout.replace(self._address or ADDRESS, ADDRESS)

    def _start_process(self, command: str) -> str:
        self._end_process()
        self._process = subprocess.Popen(
            [*command.split(), "--port", "0"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        printed = ""
        while not printed.endswith(READY):
            line = self._process.stdout.readline()
            assert line, f"{command} has ended:\n{printed}"
            printed += line
        address = re.search(r"Running on http://(\S+)", printed)
        assert address, printed
        self._address = address[1]
        return printed.replace(self._address, ADDRESS)

    def _end_process(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=COMMAND_SECONDS)
            self._process = None
            self._address = ""


def find_names(source: str) -> list[str]:
    """Find what a program binds at its top level."""
    names: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [target.id for target in targets if isinstance(target, ast.Name)]
    return names


class Sample:
    """A Python block that a test asks by itself, since no command can.

    Args:
        page: its page, from the root.
        number: how many Python blocks come before it there.
    """

    #: The places of all of them.
    known: ClassVar[set[str]] = set()

    def __init__(self, page: str, number: int) -> None:
        blocks = [block for block in read_blocks(ROOT / page) if block.language == "python"]
        self._block = blocks[number]
        self.known.add(self._block.where)

    def run(self, address: str = ADDRESS) -> types.ModuleType:
        """Run it; host and port of the server that it asks."""
        module = types.ModuleType("sample")
        source = "\n" * self._block.line + self._block.body.replace(ADDRESS, address)
        exec(compile(source, self._block.page, "exec"), module.__dict__)
        return module
