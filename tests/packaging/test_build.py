"""What looks into wheels and sdists finds what is wrong with one; cells are what the pyproject files imply."""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.packaging.build import check_sdist, check_wheel
from tests.packaging.cell import choose_cells, make_cells
from tests.packaging.matrix import find_summary
from tests.packaging.process import StepError, run
from tests.packaging.project import Project, read_group, read_plugins, read_project
from tests.packaging.typing_check import SAMPLE, read_remarks

ROUTING: Final = read_project("routing")
WEBSOCKET: Final = read_project("websocket")
INFO: Final = "{0.package}-{0.version}.dist-info"


def write_metadata(project: Project, **changes: str) -> str:
    said = project.pyproject["project"]
    fields = {
        "Name": said["name"], "Version": said["version"], "Summary": said["description"],
        "Requires-Python": said["requires-python"], "License-Expression": said["license"], "License-File": "LICENSE",
        "Description-Content-Type": "text/markdown", **changes,
    }  # fmt: skip
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines += [f"Classifier: {each}" for each in said["classifiers"]]
    lines += [f"Provides-Extra: {each}" for each in said.get("optional-dependencies", {})]
    return "\n".join(lines) + "\n\n" + (project.folder / "README.md").read_text(encoding="utf-8")


def write_wheel(folder: Path, project: Project, names: Iterable[str], tag: str, **changes: str) -> Path:
    path = folder / f"{project.package}-{project.version}-{tag}.whl"
    info = INFO.format(project)
    with zipfile.ZipFile(path, "w") as wheel:
        for name in names:
            wheel.writestr(name, "")
        wheel.writestr(f"{info}/METADATA", write_metadata(project, **changes))
        wheel.writestr(f"{info}/WHEEL", f"Tag: {tag}\n")
        wheel.writestr(f"{info}/licenses/LICENSE", "")
    return path


def write_sdist(folder: Path, project: Project, names: Iterable[str]) -> Path:
    path = folder / f"{project.package}-{project.version}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.add(project.folder / "LICENSE", f"{project.package}-{project.version}/{name}")
    return path


PURE: Final = "py3-none-any"
LINUX: Final = "cp313-cp313-linux_x86_64"


def test_a_good_wheel_passes(tmp_path: Path) -> None:
    check_wheel(ROUTING, write_wheel(tmp_path, ROUTING, ROUTING.members, PURE), compiled=True)
    names = {*WEBSOCKET.members, "corelet_websocket/_fast.cpython-313.so"}
    check_wheel(WEBSOCKET, write_wheel(tmp_path, WEBSOCKET, names, LINUX), compiled=True)


@pytest.mark.parametrize(
    ("more", "less", "tag", "changes", "message"),
    [
        ("corelet_routing/test_view.py", "", PURE, {}, "test_view"),
        ("tests/view.py", "", PURE, {}, "tests/view"),
        ("corelet_routing/_fast.c", "", PURE, {}, r"_fast\.c"),
        ("corelet_routing/_fast.pyx", "", PURE, {}, r"_fast\.pyx"),
        ("other/__init__.py", "", PURE, {}, "other"),
        ("", "corelet_routing/py.typed", PURE, {}, "py.typed"),
        ("", "corelet_routing/plugin.py", PURE, {}, r"plugin\.py"),
        ("corelet_routing/_fast.so", "", PURE, {}, r"compiled parts \['corelet_routing/_fast.so'\]"),
        ("", "", LINUX, {}, "tagged"),
        ("", "", PURE, {"License-Expression": "BSD"}, "License-Expression.*expected.*MIT"),
        ("", "", PURE, {"Requires-Python": ">=3.9"}, "Requires-Python"),
    ],
)
def test_what_is_wrong_with_a_wheel_is_found(
    tmp_path: Path, more: str, less: str, tag: str, changes: dict[str, str], message: str
) -> None:
    names = {*ROUTING.members, more} - {less, ""}
    with pytest.raises(StepError, match=message):
        check_wheel(ROUTING, write_wheel(tmp_path, ROUTING, names, tag, **changes), compiled=True)


def test_a_wheel_that_was_not_compiled_is_found(tmp_path: Path) -> None:
    plain = write_wheel(tmp_path, WEBSOCKET, WEBSOCKET.members, LINUX)
    check_wheel(WEBSOCKET, plain, compiled=False)
    with pytest.raises(StepError, match="compiled parts"):
        check_wheel(WEBSOCKET, plain, compiled=True)


def test_an_sdist_has_what_a_build_needs_and_nothing_made_here(tmp_path: Path) -> None:
    good = {*WEBSOCKET.members, "corelet_websocket/_fast.pyx", "LICENSE", "README.md", "pyproject.toml"}
    check_sdist(WEBSOCKET, write_sdist(tmp_path, WEBSOCKET, good))
    for bad in (good - {"corelet_websocket/_fast.pyx"}, good | {"corelet_websocket/_fast.c"}, good | {"a/_fast.so"}):
        with pytest.raises(StepError, match="_fast"):
            check_sdist(WEBSOCKET, write_sdist(tmp_path, WEBSOCKET, bad))


def test_cells_follow_from_what_plugins_require() -> None:
    cells = {cell.name: cell for cell in make_cells()}
    assert cells["subapps"].plugins == cells["routing+subapps"].plugins == {"routing", "subapps"}
    assert cells["routing+subapps"].test_rooms == ("routing", "subapps")
    assert cells["routing+subapps"].find_broken("routing") == {"subapps"}
    assert cells["testing"].plugins == {"client", "testing"}
    assert {"testing", "client"} <= cells["sessions"].test_plugins
    assert cells["all"].find_broken("client") == {"testing"}
    assert (cells["all"].wire, cells["plain"].wire) == ("fast", "pure")


def test_quick_cells_still_have_each_plugin_alone_and_uninstall_each() -> None:
    cells = {cell.name: cell for cell in choose_cells(None, is_quick=True)}
    names = {each.name for each in read_plugins()}
    assert cells.keys() == names | {"kernel", "all", "plain"}
    assert set(cells["all"].uninstalled) == names
    assert not any(cell.test_rooms for cell in cells.values())


def test_a_cell_that_is_not_there_is_an_error() -> None:
    assert [cell.name for cell in choose_cells(["all", "kernel"], is_quick=False)] == ["all", "kernel"]
    with pytest.raises(ValueError, match="no cell session; there are kernel, client"):
        choose_cells(["session"], is_quick=True)


def test_a_group_has_what_its_included_groups_have() -> None:
    group = read_group("test")
    assert any(each.startswith("pytest>=") for each in group)
    assert any(each.startswith("redis>=") for each in group)


def test_a_run_without_a_test_that_passed_is_a_failure() -> None:
    assert find_summary("...\n78 passed, 2 skipped in 3.21s (0:00:03)\n") == "78 passed, 2 skipped"
    with pytest.raises(StepError, match="no test passed"):
        find_summary("no tests ran in 0.01s\n")


def test_a_program_that_fails_shows_its_output(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run("sh", "-c", "echo $WORD", log=log, WORD="hello") == "hello\n"
    with pytest.raises(StepError, match="ended by 3:\nbye"):
        run("sh", "-c", "echo bye; exit 3", log=log)
    assert log.read_text().count("$ sh -c") == 2


def test_the_samples_remarks_are_read() -> None:
    assert read_remarks(SAMPLE / "program.py", "mypy") == set()
    assert ("misuse.py", 10, "arg-type") in read_remarks(SAMPLE / "misuse.py", "mypy")
    for checker in ("mypy", "pyright"):
        lines = {number for _, number, _ in read_remarks(SAMPLE / "misuse.py", checker)}
        assert len(lines) == 13, checker
