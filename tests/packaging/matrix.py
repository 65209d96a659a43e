"""Build every distribution, and try what was built in fresh environments of every interpreter.

``make packages`` is this command. Cells are what is installed together: the kernel, each plugin alone, each pair that
depends, everything, and everything built where nothing compiles. In each, from built wheels alone: every name and port
works or says what to type, a request is answered, plugins are uninstalled in turn, the sample program is type-checked,
and the plugins' own tests run. ``--quick`` takes one interpreter and leaves out what takes long: tests, pairs,
isolated builds, and uninstalling in more than one cell.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.packaging.cell import Cell, choose_cells
from tests.packaging.environment import Environment
from tests.packaging.process import StepError, run
from tests.packaging.project import read_project, read_projects, read_python_versions
from tests.packaging.typing_check import check_types
from tests.packaging.workshop import CACHE, OWN_VERSION, Workshop, copy_checkout, find_python

LOGS: Final = CACHE / "logs"
INSTALLED: Final = Path(__file__).with_name("inside") / "installed.py"
#: How long the tests of one cell may take, in seconds.
TEST_SECONDS: Final = 3600


@dataclasses.dataclass
class Result:
    """What came of one cell on one interpreter."""

    cell: str
    version: str
    seconds: float = 0.0
    steps: list[str] = dataclasses.field(default_factory=list)
    tests: str = ""
    error: str = ""


class Trial:
    """Tries one cell on one interpreter.

    Args:
        cell: what is installed together.
        workshop: what it is made of.
    """

    def __init__(self, cell: Cell, workshop: Workshop) -> None:
        self.cell = cell
        self.workshop = workshop
        self.result = Result(cell.name, workshop.version)
        self.log = LOGS / f"{workshop.version}-{cell.name}.log"
        self._environment: Environment | None = None

    def run(self) -> Result:
        """Go all steps until one fails."""
        start = time.monotonic()
        try:
            for name, step in self._list_steps():
                step()
                self.result.steps.append(name)
        except StepError as error:
            self.result.error = str(error)
        self.result.seconds = time.monotonic() - start
        if self._environment is not None:
            shutil.rmtree(self._environment.folder)
        print(f"{self.result.version} {self.result.cell}: {'FAILED' if self.result.error else 'passed'}", flush=True)
        return self.result

    def _list_steps(self) -> Iterable[tuple[str, Callable[[], None]]]:
        yield "install", self._install
        yield "use", self._use
        if self.cell.uninstalled:
            yield "uninstall", self._uninstall_in_turn
        if self.cell.is_typed:
            yield "types", lambda: check_types(self.environment, self.log)
        if self.cell.test_rooms:
            yield "tests", self._run_tests

    @property
    def environment(self) -> Environment:
        """The fresh environment; made when first used."""
        if self._environment is None:
            shop = self.workshop
            wheels = shop.plain if self.cell.is_plain else shop.compiled
            folder = shop.folder / f"environment-{shop.version}-{self.cell.name}"
            links = [shop.dist, wheels, shop.others]
            self._environment = Environment(shop.python, Path(sys.executable), folder, links, self.log)
        return self._environment

    def _install(self) -> None:
        self.environment.install(*self.cell.requirements)

    def _use(self) -> None:
        self._look(self.cell.plugins)

    def _look(self, ready: Iterable[str], broken: Iterable[str] = (), without: str = "", **environment: str) -> None:
        """Let a program in the environment check all names, ports and a request."""
        options = ["--ready", *sorted(ready), "--broken", *sorted(broken), "--wire", self.cell.wire]
        self.environment.run("-W", "error", INSTALLED, *options, "--without", without, **environment)

    def _uninstall_in_turn(self) -> None:
        """Uninstall each plugin, see that the rest works and that its names say what to type, and install it again."""
        for plugin in self.cell.uninstalled:
            broken = self.cell.find_broken(plugin)
            ready = self.cell.plugins - broken - {plugin}
            self.environment.uninstall(read_project(plugin).distribution)
            self._look(ready, broken, plugin)
            if broken:
                self._look(ready, broken, plugin, CORELET_BLOCK=",".join(sorted(broken)))
            self.environment.install(*self.cell.requirements)

    def _run_tests(self) -> None:
        """Run plugins' own tests in a copy of the checkout, beside the plugins and tools that they use."""
        beside = sorted(read_project(each).distribution for each in self.cell.test_plugins)
        self.environment.install(*self.cell.requirements, *beside)
        self.environment.lend(self.workshop.tool_packages)
        rooms = [f"tests/{room}" for room in self.cell.test_rooms]
        checkout = self.workshop.checkout
        imported = ", ".join(["corelet", *(read_project(each).package for each in sorted(self.cell.plugins))])
        where = f"import {imported}; print(*[each.__file__ for each in ({imported},)], sep='\\n')"
        for path in self.environment.run("-c", where, cwd=checkout).splitlines():
            if not Path(path).is_relative_to(self.environment.packages):
                raise StepError(f"tests would import {path}, which is no installed wheel")
        options = ("-q", "-p", "no:cacheprovider")
        said = self.environment.run("-m", "pytest", *options, *rooms, cwd=checkout, seconds=TEST_SECONDS)
        self.result.tests = find_summary(said)


def find_summary(said: str) -> str:
    """Find what pytest says at its end: "78 passed, 2 skipped".

    Raises:
        StepError: no test ran.
    """
    found = re.findall(r"^(\d+ passed.*) in [\d.]+s", said, re.MULTILINE)
    if not found:
        raise StepError(f"no test passed:\n{said[-2000:]}")
    return str(found[-1])


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Say what begins and how long it took."""
    start = time.monotonic()
    print(f"{name} ...", flush=True)
    yield
    print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)


def build_all(workshops: list[Workshop], pool: ThreadPoolExecutor, *, has_plain: bool) -> None:
    """Build all sdists and wheels: those of the first interpreter, then the compiled ones of the others."""
    compiled = [project for project in read_projects() if project.is_compiled]
    first, *others = workshops
    list(pool.map(first.build, read_projects()))
    jobs = [pool.submit(shop.build_compiled, project) for shop in others for project in compiled]
    jobs += [pool.submit(shop.build_plain, project) for shop in workshops if has_plain for project in compiled]
    for job in jobs:
        job.result()


def find_built(folder: Path) -> list[Path]:
    """Find the sdists and wheels that would be uploaded; those that were built without a compiler would not."""
    return sorted(path for pattern in ("dist/*", "compiled-*/*") for path in folder.glob(pattern))


def check_descriptions(folder: Path) -> None:
    """Have twine look at everything that would be uploaded."""
    built = find_built(folder)
    said = run(sys.executable, "-m", "twine", "check", "--strict", *built, log=LOGS / "twine.log")
    print(f"twine check --strict: {said.count('PASSED')} of {len(built)} files passed")


def show(results: list[Result]) -> None:
    """Print the table, and before it the output of what failed."""
    for result in results:
        if result.error:
            print(f"\n===== {result.version} {result.cell} FAILED\n{result.error}")
    rows = [("PYTHON", "CELL", "SECONDS", "RESULT", "STEPS PASSED", "TESTS")]
    for each in results:
        verdict = "FAILED" if each.error else "passed"
        rows.append((each.version, each.cell, f"{each.seconds:.0f}", verdict, ", ".join(each.steps), each.tests or "-"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        print("  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip())


def find_workshops(options: argparse.Namespace, folder: Path) -> list[Workshop]:
    """Find the interpreters; one that was asked for must be there."""
    known = read_python_versions()
    wanted = options.python or ([OWN_VERSION] if options.quick else known)
    found = {version: find_python(version) for version in wanted}
    missing = [version for version, python in found.items() if python is None]
    if unknown := [version for version in wanted if version not in known]:
        raise SystemExit(f"{', '.join(unknown)} is not promised; pyproject.toml has {', '.join(known)}")
    if missing and options.python:
        raise SystemExit(f"no interpreter here is {', '.join(missing)}")
    for version in missing:
        print(f"no interpreter here is {version}: its cells are left out")
    checkout = folder / "checkout"
    copy_checkout(checkout)
    return [
        Workshop(version, python, checkout, folder, is_quick=options.quick)
        for version, python in found.items()
        if python is not None
    ]


def parse() -> argparse.Namespace:
    """Read what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", metavar="3.X", help="an interpreter; all unless given")
    parser.add_argument("--only", nargs="+", metavar="CELL", help="cells by name: sessions, routing+static, all, plain")
    parser.add_argument("--quick", action="store_true", help="one interpreter, no tests, no pairs")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many cells at once")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="copy what was built, ready for an upload, there")
    return parser.parse_args()


def main() -> int:
    """Build, look, and try every cell."""
    options = parse()
    try:
        cells = choose_cells(options.only, is_quick=options.quick)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(options.jobs) as pool:
        folder = Path(name)
        workshops = find_workshops(options, folder)
        try:
            with timed("fetching what others made"):
                for shop in workshops:
                    shop.prepare()
            with timed("building"):
                build_all(workshops, pool, has_plain=any(cell.is_plain for cell in cells))
            check_descriptions(folder)
        except StepError as error:
            raise SystemExit(str(error)) from error
        if options.keep:
            keep(folder, options.keep)
        trials = [Trial(cell, shop) for cell in cells for shop in workshops]
        results = list(pool.map(Trial.run, trials))
    show(results)
    failed = [result for result in results if result.error]
    print(f"\n{len(results) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def keep(folder: Path, target: Path) -> None:
    """Copy what would be uploaded."""
    target.mkdir(parents=True, exist_ok=True)
    for path in find_built(folder):
        shutil.copy(path, target)


if __name__ == "__main__":
    sys.exit(main())
