"""Workflows and cibuildwheel's settings name the versions and the cells that the pyproject files promise."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.packaging.cell import make_cells
from tests.packaging.project import ROOT, read_project, read_projects, read_python_versions

WORKFLOWS: Final = ROOT / ".github" / "workflows"
COMPILED: Final = [project.name for project in read_projects() if project.is_compiled]


def read_jobs(name: str) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))["jobs"]
    return jobs


@pytest.mark.parametrize("job", ["everything", "packages"])
def test_ci_runs_on_every_promised_version(job: str) -> None:
    assert read_jobs("ci.yml")[job]["strategy"]["matrix"]["python"] == read_python_versions()


def test_ci_runs_every_cell() -> None:
    cells = read_jobs("ci.yml")["packages"]["strategy"]["matrix"]["cell"]
    assert cells == [cell.name for cell in make_cells()]


@pytest.mark.parametrize("path", sorted(WORKFLOWS.glob("*.yml")), ids=lambda path: path.stem)
def test_every_job_ends_and_writes_nothing_to_the_repository(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 120
        assert all("run" in step or re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in job["steps"])


def test_wheels_of_what_is_compiled_are_built_for_each_platform() -> None:
    matrix = read_jobs("wheels.yml")["compiled"]["strategy"]["matrix"]
    folders = [read_project(name).folder.relative_to(ROOT).as_posix() for name in COMPILED]
    assert matrix["package"] == folders
    assert {each.partition("-")[0] for each in matrix["os"]} == {"ubuntu", "macos", "windows"}


@pytest.mark.parametrize("name", COMPILED)
def test_cibuildwheel_builds_for_every_promised_version_and_tries_each_wheel(name: str) -> None:
    settings = tomllib.loads((read_project(name).folder / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    assert settings["build"].split() == [f"cp{version.replace('.', '')}-*" for version in read_python_versions()]
    assert "assert" in settings["test-command"]
    assert {"linux", "macos", "windows"} < settings.keys()


def test_every_plugin_says_the_kernels_versions() -> None:
    for project in read_projects():
        classifiers = project.pyproject["project"]["classifiers"]
        said = [each.rpartition(" ")[2] for each in classifiers if re.search(r":: 3\.\d+$", each)]
        assert said == read_python_versions(), project.name
