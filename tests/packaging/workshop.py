"""What the cells of one interpreter are made of: its interpreter, wheels of others, built wheels, tools for tests."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.packaging.build import Builder, check_sdist, check_wheel, find_sdist, find_wheel
from tests.packaging.process import run
from tests.packaging.project import ROOT, Project, read_group, read_projects

#: Kept from run to run: wheels of others, and tools.
CACHE: Final = ROOT / "build" / "packages"
OWN_VERSION: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"


def find_python(version: str) -> Path | None:
    """Find an interpreter of a version, "3.13", that can make environments."""
    if version == OWN_VERSION:
        return Path(sys.executable)
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (f"python{version}", *installed):
        check = "import ensurepip, venv, sys; print('%d.%d' % sys.version_info[:2], sys.executable)"
        try:
            done = subprocess.run([candidate, "-c", check], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if done.returncode == 0 and done.stdout.split(maxsplit=1)[0] == version:
            return Path(done.stdout.split(maxsplit=1)[1].strip())
    return None


def copy_checkout(target: Path) -> None:
    """Copy the files that are under version control, as they are now: nothing that was built here is among them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_symlink() or not path.exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target / name)


class Workshop:
    """One interpreter, and what its cells take from.

    Args:
        version: "3.13".
        python: the interpreter.
        checkout: a clean copy of this repository.
        folder: where things are built; the same for all workshops of a run.
        is_quick: whether no tests will run, which need tools, and nothing is built in an environment of its own.
    """

    def __init__(self, version: str, python: Path, checkout: Path, folder: Path, *, is_quick: bool) -> None:
        self.version = version
        self.python = python
        self.checkout = checkout
        self.folder = folder
        self.dist = folder / "dist"
        self.compiled = folder / f"compiled-{version}"
        self.plain = folder / f"plain-{version}"
        self.others = CACHE / f"others-{version}"
        self._tools = CACHE / f"tools-{version}"
        self._has_tools = not is_quick or version != OWN_VERSION
        self._builder = Builder(self.tool_python, self.others, is_isolated=not is_quick)
        self._log = folder / f"prepare-{version}.log"

    @property
    def tool_python(self) -> Path:
        """An interpreter of this version with what building takes."""
        return self._tools / "bin" / "python" if self._has_tools else self.python

    @property
    def tool_packages(self) -> Path:
        """The folder of packages that tests import."""
        (found,) = self._tools.glob("lib/python3*/site-packages")
        return found

    def prepare(self) -> None:
        """Fetch what others made; nothing is fetched after that, nor by another run until a requirement changes."""
        if self._has_tools:
            self._prepare_tools()
        wanted = sorted(set().union(*(each.outside_requirements for each in read_projects())))
        stamp = self.others / f"{_digest([self.version, *wanted])}.complete"
        if stamp.exists():
            return
        shutil.rmtree(self.others, ignore_errors=True)
        command = (self.tool_python, "-m", "pip", "wheel", "--quiet", "--wheel-dir", self.others)
        run(*command, *wanted, log=self._log)
        stamp.touch()

    def _prepare_tools(self) -> None:
        stamp = self._tools / f"{_digest([str(self.python), *read_group('test')])}.complete"
        if stamp.exists():
            return
        run(self.python, "-m", "venv", "--clear", self._tools, log=self._log)
        pip = (self.tool_python, "-m", "pip", "install", "--quiet")
        run(*pip, "--upgrade", "pip", log=self._log)
        run(*pip, "--group", f"{ROOT / 'pyproject.toml'}:test", log=self._log)
        stamp.touch()

    def build(self, project: Project) -> None:
        """Build a project's sdist and wheel, and look into both."""
        here = Project(
            project.name,
            self.checkout / project.folder.relative_to(ROOT),
            self.checkout / project.source.relative_to(ROOT),
            project.pyproject,
        )
        target = self.folder / "building" / project.package
        target.mkdir(parents=True)
        self._builder.build_both(here, target)
        self.dist.mkdir(exist_ok=True)
        check_sdist(here, Path(shutil.move(find_sdist(target, project.package), self.dist)))
        self._take_wheel(project, find_wheel(target, project.package))

    def build_compiled(self, project: Project) -> None:
        """Build the wheel of another interpreter's sdist."""
        target = self.folder / "building" / f"{project.package}-{self.version}"
        sdist = find_sdist(self.dist, project.package)
        self._take_wheel(project, self._builder.build_wheel(sdist, target))

    def build_plain(self, project: Project) -> None:
        """Build the wheel of an sdist where nothing compiles."""
        target = self.folder / "building" / f"{project.package}-{self.version}-plain"
        sdist = find_sdist(self.dist, project.package)
        wheel = self._builder.build_wheel(sdist, target, CC="/bin/false")
        check_wheel(project, wheel, compiled=False)
        self.plain.mkdir(exist_ok=True)
        shutil.move(wheel, self.plain)

    def _take_wheel(self, project: Project, wheel: Path) -> None:
        check_wheel(project, wheel, compiled=True)
        target = self.compiled if project.is_compiled else self.dist
        target.mkdir(exist_ok=True)
        shutil.move(wheel, target)


def _digest(words: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:16]
