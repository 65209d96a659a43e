"""Build sdists and wheels by ``python -m build``, and look into them."""

from __future__ import annotations

import dataclasses
import email
import re
import tarfile
import zipfile
from collections.abc import Iterable
from email.message import Message
from pathlib import Path
from typing import Final

from tests.packaging.process import StepError, run
from tests.packaging.project import Project

#: What a distribution's own folder has beside its package; an sdist has all of it.
PAPERS: Final = ("LICENSE", "README.md", "pyproject.toml")
#: What no distribution has: what Cython wrote, what a compiler wrote on this machine, tests.
STRANGERS: Final = re.compile(r"\.(c|cpp|o)$|(^|/)tests?/|(^|/)(test_(?!utils\b|case\b)\w+|conftest)\.py$|__pycache__")
COMPILED: Final = re.compile(r"\.(so|pyd)$")


@dataclasses.dataclass(frozen=True)
class Builder:
    """Runs ``python -m build``.

    Args:
        python: the interpreter that wheels are for; it has the package ``build``.
        links: a folder with wheels of what builds require: nothing is fetched.
        is_isolated: whether each build has an environment of its own, with just what its pyproject.toml requires;
            quicker without one.
    """

    python: Path
    links: Path
    is_isolated: bool

    def build_both(self, project: Project, target: Path) -> None:
        """Build the sdist of a project, and of that the wheel."""
        self._run(project.folder, target)

    def build_wheel(self, sdist: Path, target: Path, **environment: str) -> Path:
        """Build the wheel of an sdist."""
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(sdist) as archive:
            archive.extractall(target / "source", filter="data")
        self._run(target / "source" / sdist.name.removesuffix(".tar.gz"), target, "--wheel", **environment)
        return find_wheel(target, sdist.name.partition("-")[0])

    def _run(self, folder: Path, target: Path, *options: str, **environment: str) -> None:
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.links)}
        options = (*options, *([] if self.is_isolated else ["--no-isolation"]))
        command = (self.python, "-m", "build", "--outdir", target, *options, folder)
        run(*command, log=target / "build.log", **offline, **environment)


def find_wheel(folder: Path, package: str) -> Path:
    """Find the one wheel of a package in a folder."""
    (wheel,) = folder.glob(f"{package}-*.whl")
    return wheel


def find_sdist(folder: Path, package: str) -> Path:
    """Find the one sdist of a package in a folder."""
    (sdist,) = folder.glob(f"{package}-*.tar.gz")
    return sdist


def read_names(path: Path) -> list[str]:
    """List the files of a wheel, or of an sdist below its one folder."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return wheel.namelist()
    with tarfile.open(path) as archive:
        return [each.name.partition("/")[2] for each in archive.getmembers() if each.isfile()]


def check_sdist(project: Project, path: Path) -> None:
    """Check that an sdist has all that a build needs, and nothing that was made here."""
    names = set(read_names(path))
    _refuse(path, names)
    source = project.source.relative_to(project.folder).as_posix()
    wanted = {member.replace(project.package, source, 1) for member in project.members}
    wanted |= {*PAPERS, *([f"{source}/_fast.pyx"] if project.is_compiled else [])}
    if missing := wanted - names:
        raise StepError(f"{path.name} lacks {sorted(missing)}")
    if compiled := [name for name in names if COMPILED.search(name)]:
        raise StepError(f"{path.name} has {compiled}, which was compiled on this machine")


def check_wheel(project: Project, path: Path, *, compiled: bool) -> None:
    """Check that a wheel has its package, its metadata and nothing else.

    Args:
        project: whose it is.
        path: where it is.
        compiled: whether a compiler was there.

    Raises:
        StepError: something is missing or too much.
    """
    names = set(read_names(path))
    _refuse(path, names)
    package = {name for name in names if ".dist-info/" not in name}
    parts = {name for name in package if COMPILED.search(name)}
    if package - parts != project.members:
        raise StepError(f"{path.name} differs from its package by {sorted(package - parts ^ project.members)}")
    if bool(parts) is not (compiled and project.is_compiled):
        raise StepError(f"{path.name} has the compiled parts {sorted(parts)}")
    if f"{project.package}/py.typed" not in names:
        raise StepError(f"{path.name} has no py.typed")
    _check_metadata(project, path, names)


def _refuse(path: Path, names: Iterable[str]) -> None:
    if found := [name for name in names if STRANGERS.search(name)]:
        raise StepError(f"{path.name} has {found}")


def _check_metadata(project: Project, path: Path, names: set[str]) -> None:
    folder = f"{project.package}-{project.version}.dist-info"
    with zipfile.ZipFile(path) as wheel:
        said = email.message_from_string(wheel.read(f"{folder}/METADATA").decode())
        tags = email.message_from_string(wheel.read(f"{folder}/WHEEL").decode()).get_all("Tag", [])
    stated = project.pyproject["project"]
    expected = {
        "Name": [stated["name"]],
        "Version": [stated["version"]],
        "Summary": [stated["description"]],
        "Requires-Python": [stated["requires-python"]],
        "License-Expression": [stated["license"]],
        "License-File": ["LICENSE"],
        "Description-Content-Type": ["text/markdown"],
        "Classifier": stated["classifiers"],
        "Provides-Extra": [*stated.get("optional-dependencies", {})],
    }
    wrong = {field: said.get_all(field, []) for field in expected if said.get_all(field, []) != expected[field]}
    if wrong:
        raise StepError(f"{path.name} says {wrong}, expected { {field: expected[field] for field in wrong} }")
    _check_papers(project, path, names, said)
    # A project with a compiled part has a platform's tags even where nothing was compiled.
    if any(tag.endswith("-none-any") for tag in tags) is project.is_compiled:
        raise StepError(f"{path.name} is tagged {tags}")


def _check_papers(project: Project, path: Path, names: set[str], said: Message) -> None:
    if f"{project.package}-{project.version}.dist-info/licenses/LICENSE" not in names:
        raise StepError(f"{path.name} has no licence")
    readme = (project.folder / "README.md").read_text(encoding="utf-8")
    if str(said.get_payload()).strip() != readme.strip():
        raise StepError(f"{path.name} describes itself otherwise than README.md")
