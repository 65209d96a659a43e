"""The distributions of this repository, as their pyproject files have them."""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]

#: What a package has beside its compiled part: everything else is no part of a wheel.
MEMBERS: Final = ("*.py", "*.pyi", "py.typed")


@dataclasses.dataclass(frozen=True)
class Project:
    """One distribution of this repository.

    Args:
        name: the plugin's; "corelet" for the kernel.
        folder: where its pyproject.toml is.
        source: the folder of its package.
        pyproject: what the file says.
    """

    name: str
    folder: Path
    source: Path
    pyproject: dict[str, Any]

    @property
    def distribution(self) -> str:
        """The name that pip knows: "corelet-routing"."""
        return str(self.pyproject["project"]["name"])

    @property
    def package(self) -> str:
        """The name that is imported, and with which file names of its wheels and sdists begin: "corelet_routing"."""
        return self.distribution.replace("-", "_")

    @property
    def version(self) -> str:
        """The version to be released."""
        return str(self.pyproject["project"]["version"])

    @property
    def is_compiled(self) -> bool:
        """Whether it has a part in Cython, so that each interpreter has a wheel of its own."""
        return (self.source / "_fast.pyx").exists()

    @property
    def members(self) -> set[str]:
        """The files that its package has in a wheel, the compiled part aside: "corelet_routing/plugin.py"."""
        return {f"{self.package}/{path.name}" for pattern in MEMBERS for path in self.source.glob(pattern)}

    @property
    def required(self) -> frozenset[str]:
        """The plugins that it requires, by what they require in turn too."""
        direct = find_plugins(self.pyproject["project"]["dependencies"])
        return direct.union(*(read_project(name).required for name in direct))

    @property
    def test_plugins(self) -> frozenset[str]:
        """The plugins that its tests use beside it: its dependency group ``test``, and what that requires."""
        direct = find_plugins(self.pyproject.get("dependency-groups", {}).get("test", []))
        return direct.union(*(read_project(name).required for name in direct))

    @property
    def outside_requirements(self) -> set[str]:
        """What it requires of others to run with all its extras, and to be built."""
        extras = self.pyproject["project"].get("optional-dependencies", {}).values()
        every = [
            *self.pyproject["project"]["dependencies"], *(each for extra in extras for each in extra),
            *self.pyproject["build-system"]["requires"],
        ]  # fmt: skip
        return {each for each in every if not each.startswith("corelet")}


def find_plugins(requirements: Iterable[str]) -> frozenset[str]:
    """Find the plugins among requirements: ``corelet-routing>=0.1`` is "routing"."""
    return frozenset(match[1] for each in requirements if (match := re.match(r"corelet-(\w+)", each)))


@functools.cache
def read_project(name: str) -> Project:
    """Read a plugin's project, or the kernel's: "corelet"."""
    folder = ROOT if name == "corelet" else ROOT / "plugins" / name
    source = ROOT / "kernel" if name == "corelet" else folder / f"corelet_{name}"
    pyproject = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    return Project(name, folder, source, pyproject)


def read_plugins() -> list[Project]:
    """Read the projects of all plugins, sorted by name."""
    return [read_project(path.parent.name) for path in sorted(ROOT.glob("plugins/*/pyproject.toml"))]


def read_projects() -> list[Project]:
    """Read the projects of all distributions: the kernel's, then the plugins'."""
    return [read_project("corelet"), *read_plugins()]


def read_group(name: str) -> list[str]:
    """Read the requirements of one of the repository's dependency groups, those of included groups among them."""
    entries = read_project("corelet").pyproject["dependency-groups"][name]
    nested = [[each] if isinstance(each, str) else read_group(each["include-group"]) for each in entries]
    return [each for group in nested for each in group]


def read_python_versions() -> list[str]:
    """Read which versions of Python are promised: the kernel's classifiers, the oldest first."""
    classifiers = "\n".join(read_project("corelet").pyproject["project"]["classifiers"])
    return re.findall(r"^Programming Language :: Python :: (3\.\d+)$", classifiers, re.MULTILINE)
