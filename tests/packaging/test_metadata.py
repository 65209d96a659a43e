"""What the pyproject files, the README and the documentation say about the distributions is true and agrees."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from pathlib import Path
from typing import Any, Final

import importlib_metadata
import pytest

from tests.packaging.samples import read_blocks

ROOT: Final = Path(__file__).resolve().parents[2]
PLUGINS: Final = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
#: The packages of all plugins that are here, those of examples/plugins too.
PACKAGES: Final = sorted(
    folder.relative_to(ROOT).as_posix()
    for pattern in ("plugins/*/corelet_*/py.typed", "examples/plugins/*/corelet_*/py.typed")
    for folder in (path.parent for path in ROOT.glob(pattern))
    if "build" not in folder.parts
)
#: What a plugin may import, beside ``corelet`` itself.
PUBLIC_MODULES: Final = {f"corelet.{name}" for name in ("abc", "fields", "plugins", "web", "wire", "writer")}
#: A private part of a name; ``corelet.__version__`` is public.
PRIVATE: Final = re.compile(r"\._(?!_version__$)")
#: Names of ``corelet`` that stand for a module.
MODULE_NAMES: Final = {"corelet.hdrs", "corelet.test_utils"}
KERNEL_MODULES: Final = {path.stem for path in ROOT.glob("kernel/[!_]*.py")} | {"_fast", "_pure"}


def read_pyproject(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(params=PLUGINS)
def plugin(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plugin_project(plugin: str) -> dict[str, Any]:
    return read_pyproject(ROOT / "plugins" / plugin)["project"]


@pytest.fixture
def kernel_project() -> dict[str, Any]:
    return read_pyproject(ROOT)["project"]


def test_a_plugin_exports_exactly_its_public_names(plugin: str, plugin_project: dict[str, Any]) -> None:
    package = f"corelet_{plugin}"
    exported = plugin_project["entry-points"]["corelet.exports"]
    assert {name.rpartition(".")[2] for name in exported} == set(importlib.import_module(package).__all__)
    assert exported == {name: f"{package}:{name.rpartition('.')[2]}" for name in exported}


def test_a_plugin_is_known_by_one_name(plugin: str, plugin_project: dict[str, Any]) -> None:
    assert plugin_project["name"] == f"corelet-{plugin}"
    assert plugin_project["entry-points"]["corelet.plugins"] == {plugin: f"corelet_{plugin}.plugin"}


def test_what_is_installed_was_installed_from_these_files(plugin: str, plugin_project: dict[str, Any]) -> None:
    installed = importlib_metadata.distribution(f"corelet-{plugin}").entry_points.select(group="corelet.exports")
    assert {each.name: each.value for each in installed} == plugin_project["entry-points"]["corelet.exports"]


def test_kernel_and_plugins_carry_one_version(plugin_project: dict[str, Any], kernel_project: dict[str, Any]) -> None:
    assert plugin_project["version"] == kernel_project["version"]


def test_a_plugin_requires_a_floor_of_the_kernel_and_no_ceiling(plugin_project: dict[str, Any]) -> None:
    wanted = [each for each in plugin_project["dependencies"] if re.match(r"corelet\b(?!-)", each)]
    assert len(wanted) == 1
    assert re.fullmatch(r"corelet>=\d+\.\d+", wanted[0])


def test_every_plugin_has_an_extra_of_its_name(plugin: str, kernel_project: dict[str, Any]) -> None:
    (requirement,) = kernel_project["optional-dependencies"][plugin]
    assert requirement.partition(">=")[0] == f"corelet-{plugin}"


def test_the_extra_all_takes_every_plugin(kernel_project: dict[str, Any]) -> None:
    extras = kernel_project["optional-dependencies"]

    def expand(name: str) -> set[str]:
        found = {name}
        for requirement in extras[name]:
            if nested := re.fullmatch(r"corelet\[(.*)\]", requirement):
                found = found.union(*(expand(each) for each in nested[1].split(",")))
        return found

    assert expand("all") == set(extras)


def test_the_readme_says_which_plugins_exist() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| \[corelet-(\w+)\]", readme, re.MULTILINE)) == PLUGINS


def test_the_readmes_first_application_and_smallest_plugin_have_fifteen_lines() -> None:
    blocks = read_blocks(ROOT / "README.md")
    application, plugin = (block.body.count("\n") for block in blocks if block.language == "python")
    (metadata,) = (block.body.count("\n") for block in blocks if block.language == "toml")
    assert (application, metadata + plugin) == (15, 15)


def test_the_documented_floors_are_the_enforced_ones() -> None:
    contract = read_pyproject(ROOT)["tool"]["importlinter"]["contracts"][0]
    enforced = [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| (.*) \|$", page, re.MULTILINE)
    documented = [set(re.findall(r"`(\w+)`", row.partition(":")[0])) - {"__init__"} for row in rows]
    assert documented == enforced


def test_a_plugin_stands_among_the_rooms(plugin: str) -> None:
    rooms = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert f"| `plugins/{plugin}/` | the distribution `corelet-{plugin}` |" in rooms


def test_every_kernel_module_stands_on_a_floor() -> None:
    contract = read_pyproject(ROOT)["tool"]["importlinter"]["contracts"][0]
    assert {name for layer in contract["layers"] for name in re.findall(r"\w+", layer)} >= KERNEL_MODULES


def find_imports(tree: ast.AST, *, with_typing: bool) -> set[str]:
    """Find the modules that a module imports; those under ``if TYPE_CHECKING`` only where asked for."""
    found: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not with_typing:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        found |= find_imports(node, with_typing=with_typing)
    return found


def test_the_kernel_imports_no_plugin_where_it_runs() -> None:
    for path in ROOT.glob("kernel/*.py"):
        imports = find_imports(ast.parse(path.read_text(encoding="utf-8")), with_typing=False)
        assert not {name for name in imports if name.startswith("corelet_")}, path.name


@pytest.mark.parametrize("package", PACKAGES)
def test_a_plugin_imports_what_a_stranger_could(package: str) -> None:
    for path in (ROOT / package).glob("*.py"):
        imports = find_imports(ast.parse(path.read_text(encoding="utf-8")), with_typing=True)
        inner = {f"corelet.{module}" for module in KERNEL_MODULES} - PUBLIC_MODULES - MODULE_NAMES
        assert not imports & inner, path.name
        assert not {name for name in imports if name.startswith("corelet.") and PRIVATE.search(name)}, path.name


@pytest.mark.parametrize("package", PACKAGES)
def test_a_plugin_imports_no_other_plugin_that_it_does_not_require(package: str) -> None:
    project = read_pyproject((ROOT / package).parent)["project"]
    required = {re.split(r"[>\[]", each)[0].replace("-", "_") for each in project["dependencies"]}
    for path in (ROOT / package).glob("*.py"):
        imports = find_imports(ast.parse(path.read_text(encoding="utf-8")), with_typing=True)
        others = {name.partition(".")[0] for name in imports if name.startswith("corelet_")}
        assert others <= {*required, path.parent.name}, path.name


def find_reaches(tree: ast.AST) -> set[str]:
    """Find what code reaches of corelet by attributes and by imports of a name in a string: ``corelet.wire.X``."""
    found = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {name for name in found if re.fullmatch(r"corelet(\.\w+)+", name)}


def find_inner(tree: ast.AST) -> set[str]:
    """Find reaches into modules of the kernel that are not public."""
    inner = {f"corelet.{module}" for module in KERNEL_MODULES} - PUBLIC_MODULES - MODULE_NAMES
    return {name for name in find_reaches(tree) if ".".join(name.split(".")[:2]) in inner or PRIVATE.search(name)}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import corelet\ncorelet.app.Application", {"corelet.app", "corelet.app.Application"}),
        ("importlib.import_module('corelet._fast')", {"corelet._fast"}),
        ("corelet.web.Application; 'corelet.abc'; log('corelet.client'); corelet.__version__", set()),
    ],
)
def test_a_reach_into_the_kernel_would_be_found(source: str, found: set[str]) -> None:
    assert find_inner(ast.parse(source)) == found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_plugin_reaches_no_further_than_a_stranger_could(package: str) -> None:
    for path in (ROOT / package).glob("*.py"):
        assert find_inner(ast.parse(path.read_text(encoding="utf-8"))) == set(), path.name


def test_the_kernel_treats_no_plugin_as_its_own() -> None:
    """Only tables of names know first-party plugins: no code asks whether a plugin is one."""
    for path in ROOT.glob("kernel/*.py"):
        if path.stem == "names":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        words = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        own = {f"{prefix}{plugin}" for plugin in PLUGINS for prefix in ("corelet_", "corelet-")}
        assert words.isdisjoint(own), path.name


def find_own_names(tree: ast.AST) -> set[str]:
    """Find what a module defines: functions, classes, variables, attributes of its own objects, slots."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                found.add(node.attr)
            case ast.Name(ctx=ast.Store()):
                found.add(node.id)
            case ast.Constant(value=str(text)):
                found.add(text)
    return found


@pytest.mark.parametrize("pattern", ["kernel/*.py", "plugins/*/corelet_*/*.py", "examples/plugins/*/corelet_*/*.py"])
def test_no_module_reads_anothers_private_attribute(pattern: str) -> None:
    found = []
    for path in ROOT.glob(pattern):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        # Of named tuples and sys: public, whatever their names say.
        known = find_own_names(tree) | {"_asdict", "_fields", "_getframe", "_replace"}
        found += [
            f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr) and node.attr not in known
        ]
    assert found == []
