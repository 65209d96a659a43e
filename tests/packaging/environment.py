"""Fresh virtual environments that take distributions from folders of built wheels, and from nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.packaging.process import run


class Environment:
    """A virtual environment, made now.

    Args:
        python: the interpreter that it is of.
        pip: an interpreter with pip, which installs into it: its own has none.
        folder: where it is to be; must not exist.
        links: folders with the wheels that may be installed.
        log: what its commands print is added to this file.
    """

    def __init__(self, python: Path, pip: Path, folder: Path, links: Sequence[Path], log: Path) -> None:
        self.python = folder / "bin" / "python"
        self.folder = folder
        self._log = log
        self._pip = pip
        self._links = [option for link in links for option in ("--find-links", str(link))]
        run(python, "-m", "venv", "--without-pip", folder, log=log)

    @property
    def packages(self) -> Path:
        """Where its distributions are."""
        (found,) = self.folder.glob("lib/python3*/site-packages")
        return found

    def install(self, *requirements: str | Path) -> None:
        """Install requirements with all that they require, from the folders of wheels."""
        self._run_pip("install", "--no-index", *self._links, *requirements)

    def uninstall(self, *distributions: str) -> None:
        """Uninstall distributions; what requires them stays."""
        self._run_pip("uninstall", "--yes", *distributions)

    def lend(self, packages: Path) -> None:
        """Let it import what is installed in another folder too, behind its own distributions."""
        (self.packages / "lent.pth").write_text(f"{packages}\n", encoding="utf-8")

    def run(self, *arguments: str | Path, cwd: Path | None = None, seconds: float = 900, **environment: str) -> str:
        """Run its interpreter, and give what that prints."""
        return run(
            self.python, *arguments, log=self._log, cwd=cwd or self.folder, seconds=seconds, **environment
        )  # fmt: skip

    def _run_pip(self, *arguments: str | Path) -> None:
        pip = (self._pip, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", self.python)
        run(*pip, *arguments, log=self._log)
