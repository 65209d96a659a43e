"""Distributions that are there for one test: real metadata in a folder, read by a fresh interpreter."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import importlib_metadata

GROUPS: Final = ("corelet.plugins", "corelet.exports", "corelet.hook_api")


class FakeSite:
    """A folder of distributions, first on the path of the interpreters that it runs; others' plugins are hidden.

    Args:
        path: an empty folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in {entry.dist.name for entry in importlib_metadata.entry_points() if entry.group in GROUPS}:
            self.add(name)

    def add(
        self,
        distribution: str,
        *,
        version: str = "1.0",
        plugins: Mapping[str, str] = {},
        exports: Mapping[str, str] = {},
        hook_api: Mapping[str, str] = {},
        requires: Iterable[str] = (),
        modules: Mapping[str, str] = {},
    ) -> None:
        """Install a distribution: its metadata, and the source of its modules."""
        stem = distribution.replace("-", "_")
        for hidden in self.path.glob(f"{stem}-*.dist-info"):
            shutil.rmtree(hidden)
        folder = self.path / f"{stem}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in requires]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        groups = zip(GROUPS, (plugins, exports, hook_api), strict=True)
        sections = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
            for group, entries in groups
        ]
        (folder / "entry_points.txt").write_text("\n".join(sections))
        for module, source in modules.items():
            (self.path / f"{module}.py").write_text(source)

    def run(self, source: str, **environment: str) -> str:
        """Run a program, and give what it printed; it must succeed."""
        done = self._execute(source, environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.rstrip("\n")

    def fail(self, source: str, **environment: str) -> str:
        """Run a program that ends by an error of corelet's, and give the error as a person reads it."""
        done = self._execute(source, environment)
        assert done.returncode == 1, done.stdout
        _, mark, message = done.stderr.rpartition("\ncorelet.errors.")
        assert mark, done.stderr
        return message.rstrip("\n")

    def _execute(self, source: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name != "CORELET_BLOCK"}
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", source],
            env={**inherited, "PYTHONPATH": str(self.path), **environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
