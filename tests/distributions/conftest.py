"""Distributions that are built in a temporary folder, and installed beside a kernel in a fresh environment.

The environment has the kernel's wheel and what it requires, and no plugin. Every other distribution is installed into a
folder of its own once for the session; a test names those that its interpreter finds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.distributions.projects import ASKING, PROJECTS, ROOT, copy_whole_project, write_project, write_readme_project

#: The least version of pluggy that the kernel's pyproject allows.
LOWEST_PLUGGY: Final = "pluggy==1.5.0"
#: Builds the wheels of several projects in one process: arguments are the target and the folders.
BUILD: Final = """
import os, sys
from setuptools import build_meta
target, *folders = sys.argv[1:]
for folder in folders:
    os.chdir(folder)
    build_meta.build_wheel(target)
"""


def run(*command: str | Path, **environment: str) -> str:
    """Run a program that must succeed; what it printed."""
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def pip(*arguments: str | Path, **environment: str) -> None:
    """Run pip without its remarks about versions of itself."""
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments, **environment)


class Environment:
    """A fresh virtual environment with the kernel, and folders of further distributions.

    Args:
        folder: an empty folder, for all of this.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wheels = folder / "wheels"
        self.python = folder / "env" / "bin" / "python"
        self._installed: dict[str, Path] = {}
        (folder / "asking").mkdir()
        (folder / "asking" / "asking.py").write_text(ASKING)
        (folder / "empty").mkdir()
        self._build()
        venv.create(folder / "env", symlinks=True)
        pip("--python", self.python, "install", *self.wheels.glob("corelet-0*.whl"))

    def _build(self) -> None:
        """Build all wheels; the kernel's without a compiler, which others test."""
        kernel = self.folder / "corelet"
        kernel.mkdir()
        shutil.copytree(ROOT / "kernel", kernel / "kernel", ignore=shutil.ignore_patterns("*.so", "*.c", "__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
            shutil.copy(ROOT / name, kernel)
        routing = self.folder / "routing"
        ignored = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT / "plugins" / "routing", routing, ignore=ignored)
        others = [write_project(self.folder / "projects", name) for name in PROJECTS]
        others += [write_readme_project(self.folder), copy_whole_project(self.folder)]
        self.wheels.mkdir()
        run(sys.executable, "-W", "ignore", "-c", BUILD, self.wheels, kernel, routing, *others, CC="/bin/false")

    def install(self, distribution: str) -> Path:
        """Install a distribution that was built here, or one from the index, and give its folder."""
        if distribution not in self._installed:
            folder = self._installed[distribution] = self.folder / "installed" / distribution
            built = list(self.wheels.glob(f"{distribution.replace('-', '_')}-*.whl"))
            pip("install", "--no-deps", "--target", folder, *(["--no-index", *built] if built else [distribution]))
        return self._installed[distribution]

    def find_program(self, name: str) -> Path:
        """Give the path of an installed command."""
        return self.python.with_name(name)


class Interpreter:
    """Interpreters of an environment that find some distributions.

    Args:
        environment: where the kernel is.
        folders: where further distributions are.
    """

    def __init__(self, environment: Environment, folders: Iterable[Path]) -> None:
        self.environment = environment
        self.folders = (environment.folder / "asking", *folders)

    def run(self, source: str, **environment: str) -> str:
        """Run a program that must succeed, and give what it printed; ``asking`` is imported."""
        done = self._execute("-c", f"from asking import *\n{source}", environment)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout.rstrip("\n")

    def fail(self, source: str, **environment: str) -> str:
        """Run a program that ends by an error, and give the error as a person reads it."""
        done = self._execute("-c", f"from asking import *\n{source}", environment)
        assert done.returncode == 1, done.stdout
        _, mark, message = done.stderr.rpartition("\ncorelet.errors.")
        assert mark, done.stderr
        return message.rstrip("\n")

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the installed ``corelet`` command."""
        program = self.environment.find_program("corelet")
        return self._run([str(program), *arguments], environment)

    def _execute(self, option: str, source: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return self._run([str(self.environment.python), "-W", "error", option, source], environment)

    def _run(self, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("CORELET_", "PYTHON", "COVERAGE_"))
        }
        path = os.pathsep.join(map(str, self.folders))
        return subprocess.run(
            command, cwd=self.environment.folder / "empty", env={**inherited, "PYTHONPATH": path, **environment},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Give the environment with the kernel."""
    return Environment(tmp_path_factory.mktemp("distributions"))


class With:
    """Makes interpreters: ``with_("corelet-routing")`` is one that finds the kernel and routing."""

    def __init__(self, environment: Environment, *always: str) -> None:
        self.environment = environment
        self.always = always

    def __call__(self, *distributions: str) -> Interpreter:
        return Interpreter(self.environment, map(self.environment.install, (*self.always, *distributions)))


@pytest.fixture(params=["newest", "lowest"])
def with_(request: pytest.FixtureRequest, environment: Environment) -> With:
    """Give what makes an interpreter that finds some distributions, with either pluggy."""
    return With(environment, *([LOWEST_PLUGGY] if request.param == "lowest" else []))
