"""The plugins of examples/plugins, built as distributions and installed each into a folder of its own.

They are no part of the environment of development, where tests list exactly the plugins that are there: an interpreter
finds those whose folders are on its path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from tests.distributions.conftest import BUILD, run

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = ROOT / "examples" / "plugins"
#: Names of the distributions.
PLUGINS: Final = sorted(path.parent.name for path in FOLDER.glob("*/pyproject.toml"))


class Installed:
    """The plugins, built and installed.

    Args:
        folder: an empty folder, for all of this.
    """

    def __init__(self, folder: Path) -> None:
        self.projects = folder / "projects"
        self.wheels = folder / "wheels"
        self._folder = folder / "installed"
        self.wheels.mkdir()
        shutil.copytree(FOLDER, self.projects, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
        projects = [self.projects / name for name in PLUGINS]
        run(sys.executable, "-W", "ignore", "-c", BUILD, self.wheels, *projects)
        # Wheels of plain Python are installed by unpacking them.
        for name in PLUGINS:
            zipfile.ZipFile(self.find_wheel(name)).extractall(self.find(name))

    def find_wheel(self, name: str) -> Path:
        """Find the wheel of a plugin."""
        (wheel,) = self.wheels.glob(f"{name.replace('-', '_')}-*.whl")
        return wheel

    def find(self, name: str) -> Path:
        """Find the folder that a plugin is installed in."""
        return self._folder / name

    def make_environment(self, *names: str) -> dict[str, str]:
        """Make the environment of an interpreter that finds some plugins, and counts no coverage."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("CORELET_", "COVERAGE_"))
        }
        return inherited | {"PYTHONPATH": os.pathsep.join(str(self.find(name)) for name in names)}

    def run(self, *arguments: str, plugins: tuple[str, ...], cwd: Path) -> str:
        """Run Python with some plugins; what it printed. It must succeed."""
        done = subprocess.run(
            [sys.executable, "-P", "-W", "error", *arguments],
            env=self.make_environment(*plugins), cwd=cwd, capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Give the plugins, installed."""
    return Installed(tmp_path_factory.mktemp("plugins"))
