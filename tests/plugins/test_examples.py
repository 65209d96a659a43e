"""Each plugin of examples/plugins is a whole distribution, and does what its own tests say."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from tests.plugins.conftest import FOLDER, PLUGINS, ROOT, Installed

PAGE: Final = ROOT / "docs" / "example-plugins.md"


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugins_own_tests_pass(installed: Installed, name: str) -> None:
    tested = installed.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", plugins=(name,), cwd=installed.projects / name
    )
    assert re.search(r"^\d+ passed", tested, re.MULTILINE), tested


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_is_a_whole_distribution(installed: Installed, name: str) -> None:
    package = name.replace("-", "_")
    project = tomllib.loads((FOLDER / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == name
    assert [each for each in project["dependencies"] if re.fullmatch(r"corelet>=\d+\.\d+", each)]
    assert list(project["entry-points"]["corelet.plugins"]) == [name.removeprefix("corelet-")]
    readme = (FOLDER / name / "README.md").read_text(encoding="utf-8")
    assert readme.startswith(f"# {name}\n")
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert [link for link in links if not (FOLDER / name / link).exists()] == []
    packed = {path.partition("/")[2] for path in zipfile.ZipFile(installed.find_wheel(name)).namelist()}
    assert packed >= {"__init__.py", "py.typed", "licenses/LICENSE"}
    assert {path.name for path in installed.find(name).iterdir()} == {
        package,
        f"{package}-{project['version']}.dist-info",
    }


def test_all_plugins_are_found_by_their_entry_points(installed: Installed, tmp_path: Path) -> None:
    said = installed.run("-m", "corelet", "plugins", "--json", plugins=tuple(PLUGINS), cwd=tmp_path)
    records: list[dict[str, Any]] = json.loads(said)["plugins"]
    found = {each["distribution"]: each["state"] for each in records if each["distribution"] in PLUGINS}
    assert found == dict.fromkeys(PLUGINS, "ready")


def read_samples() -> dict[str, list[str]]:
    """Read the program of each section of the documentation's page."""
    sections = re.split(r"^## (corelet-\w+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        name: re.findall(r"^```py\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        for name, text in zip(sections[::2], sections[1::2], strict=True)
    }


@pytest.mark.parametrize("name", PLUGINS)
def test_a_plugin_stands_in_the_documentation_with_a_program_that_starts(
    installed: Installed, tmp_path: Path, name: str
) -> None:
    (sample,) = read_samples()[name]
    start = "\nimport asyncio\nasyncio.run(app.startup())\nprint('started', app.state.value)\n"
    assert installed.run("-c", sample + start, plugins=(name,), cwd=tmp_path) == "started running\n"
