"""Public names come from the kernel or from plugins, when they are touched; a missing one says what to do."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

import corelet
from corelet import web
from corelet.errors import missing_plugin
from corelet.names import KERNEL_NAMES, PLUGIN_OF, find_kernel_module
from tests.kernel.fake_site import FakeSite

ROOT: Final = Path(__file__).parents[2]
MODULES: Final = {"": "corelet", "web": "corelet.web", "test_utils": "corelet.test_utils"}

#: Names of aiohttp that corelet has not, and why.
NOT_WANTED: Final = {
    "GunicornUVLoopWebWorker": "a part of another server program; a plugin's matter",
    "GunicornWebWorker": "a part of another server program; a plugin's matter",
    "streamer": "deprecated there; an async generator as a body does it",
    "web.RequestHandler": "serves the insides: nobody makes a connection by hand",
}


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    """Give a place to install distributions in."""
    return FakeSite(tmp_path)


def read_parity() -> list[str]:
    """Read the names of aiohttp as ours would be: ``ClientSession``, ``web.View``, ``abc.AbstractRouter``."""
    names: list[str] = []
    scope = ""
    for line in (ROOT / "tests/data/parity.txt").read_text().splitlines():
        if section := re.match(r"## aiohttp(?:\.(\w+))?  \((\d+) names\)", line):
            scope = f"{section[1]}." if section[1] else ""
        elif scope or names or line.startswith("def AddrInfoType"):
            names += [scope + found[1] for found in [re.match(r"(?:class |def )?(\w+)", line)] if found]
    return names


def has(name: str) -> bool:
    scope, _, plain = name.rpartition(".")
    if scope == "abc":
        return hasattr(corelet.abc, plain)
    return bool(find_kernel_module(name))


def read_typed_names(path: str) -> dict[str, str]:
    """Read which names a type checker sees in a module, and where they come from."""
    tree = ast.parse((ROOT / path).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or "": node.module or alias.name
        for node in imports
        for alias in node.names
        if alias.asname == alias.name
    }


# What an import costs


def test_importing_corelet_imports_no_plugin_machinery_and_no_plugin() -> None:
    source = "import sys, corelet, corelet.web, corelet.test_utils; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    refused = {"pluggy", "importlib_metadata", "importlib.metadata", "asyncio", "packaging", "email", "multidict"}
    assert not refused.intersection(loaded)
    assert not [name for name in loaded if name.startswith("corelet_")]


def test_importing_corelet_costs_less_than_a_third_of_the_peer() -> None:
    def measure(package: str) -> tuple[float, int]:
        source = (
            "import time\n"
            "def count_pages(): return int(open('/proc/self/statm').read().split()[1])\n"
            "pages, start = count_pages(), time.perf_counter()\n"
            f"import {package}\n"
            "print(time.perf_counter() - start, count_pages() - pages)"
        )
        command = [sys.executable, "-c", source]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
        return min(float(seconds) for seconds, _ in runs), min(int(pages) for _, pages in runs)

    (seconds, pages), (peer_seconds, peer_pages) = measure("corelet"), measure("aiohttp")
    assert seconds < peer_seconds / 3
    assert pages < peer_pages / 3


def test_private_names_read_no_metadata(site: FakeSite) -> None:
    source = "import sys, corelet; print(hasattr(corelet, '_fast'), 'importlib_metadata' in sys.modules)"
    assert site.run(source) == "False False"


# The kernel's names


def test_every_name_of_the_kernel_is_there_under_its_own_name() -> None:
    for scope, names in KERNEL_NAMES.items():
        for name in names:
            value = getattr(importlib.import_module(MODULES[scope]), name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert value.__name__ == name


def test_a_touched_name_stays_in_the_module() -> None:
    assert web.Response is vars(web)["Response"]


def test_the_version_is_the_one_of_the_installed_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert corelet.__version__ == project["version"]


def test_the_version_module_has_no_other_lazy_name() -> None:
    with pytest.raises(AttributeError, match=r"module 'corelet\.version' has no attribute 'version'"):
        corelet.version.version  # noqa: B018


def test_modules_of_the_kernel_can_be_touched_as_attributes(site: FakeSite) -> None:
    source = (
        "import corelet; print(corelet.limits.Limits.__name__, corelet.hdrs.HOST, corelet.abc.AbstractRouter.__name__)"
    )
    assert site.run(source) == "Limits Host AbstractRouter"


def test_a_module_that_fails_at_import_shows_its_own_error(site: FakeSite) -> None:
    source = "import sys, corelet; sys.modules['pluggy'] = None\ntry: corelet.plugins\nexcept ImportError as e: "
    assert site.run(f"{source}print(e.name)") == "pluggy"


@pytest.mark.parametrize(
    ("path", "scope"), [("kernel/web.py", "web"), ("kernel/__init__.py", ""), ("kernel/test_utils.py", "test_utils")]
)
def test_type_checkers_see_every_name(path: str, scope: str) -> None:
    seen = read_typed_names(path)
    kernel = {name: module for name, module in KERNEL_NAMES[scope].items() if name != "__version__"}
    plugins = {
        name.rpartition(".")[2]: target.partition(":")[0]
        for pyproject in ROOT.glob("plugins/*/pyproject.toml")
        for name, target in read_exports(pyproject).items()
        if name.rpartition(".")[0] == scope
    }
    assert seen == {**kernel, **plugins}


def read_exports(pyproject: Path) -> dict[str, str]:
    exports: dict[str, str] = tomllib.loads(pyproject.read_text())["project"]["entry-points"].get("corelet.exports", {})
    return exports


# Names of plugins


def test_a_plugin_is_imported_when_one_of_its_names_is_touched(site: FakeSite) -> None:
    site.add(
        "corelet-hello",
        exports={"web.Hello": "hello:Hello", "greet": "hello:greet", "test_utils.shout": "hello:Hello.shout"},
        modules={"hello": "print('imported')\nclass Hello:\n  shout = 'HI'\ndef greet(): return 'hello'"},
    )
    source = (
        "import corelet; from corelet import web, test_utils\n"
        "print(len([web.Response, web.AppKey]))\n"
        "print(web.Hello.__name__)\n"
        "print(corelet.greet(), test_utils.shout, 'Hello' in vars(web))\n"
        "from corelet.web import Hello"
    )
    assert site.run(source).splitlines() == ["2", "imported", "Hello", "hello HI True"]


def test_modules_list_what_is_installed(site: FakeSite) -> None:
    site.add("corelet-hello", exports={"web.Hello": "nowhere:Hello", "ClientSession": "nowhere:ClientSession"})
    source = "import corelet; from corelet import web; print('Hello' in dir(web), 'ClientSession' in dir(corelet))"
    assert site.run(source) == "True True"
    assert site.run(source, CORELET_BLOCK="corelet-hello") == "False False"
    assert site.run("from corelet import web; print(*dir(web))") == " ".join(sorted({*KERNEL_NAMES["web"], "Hello"}))


def test_a_star_import_takes_what_is_installed(site: FakeSite) -> None:
    site.add("corelet-hello", exports={"web.Hello": "hello:Hello"}, modules={"hello": "Hello = 'hello'"})
    assert site.run("from corelet.web import *; print(Hello, Response.__name__)") == "hello Response"


def test_a_blocked_plugin_exports_nothing_and_the_error_says_why(site: FakeSite) -> None:
    site.add(
        "corelet-routing", version="0.1", plugins={"routing": "nowhere"}, exports={"web.View": "nowhere:View"}
    )  # fmt: skip
    for word in ("routing", "corelet-routing"):
        assert site.fail("from corelet.web import View", CORELET_BLOCK=word) == (
            f"MissingPluginError: web.View comes with corelet-routing 0.1, which is blocked: CORELET_BLOCK={word}"
        )


def test_names_stay_while_one_plugin_of_their_distribution_is_not_blocked(site: FakeSite) -> None:
    site.add("acme", plugins={"a": "acme", "b": "acme"}, exports={"web.A": "acme:A"}, modules={"acme": "A = 1"})
    source = "from corelet import web; print(web.A)"
    assert site.run(source, CORELET_BLOCK="a") == "1"
    assert site.fail(source, CORELET_BLOCK="a,b") == (
        "MissingPluginError: web.A comes with acme 1.0, which is blocked: CORELET_BLOCK=a,b"
    )


def test_two_distributions_with_one_name_are_a_conflict_that_names_both(site: FakeSite) -> None:
    for name in ("acme", "wonder"):
        site.add(name, exports={"web.View": f"{name}:View"}, modules={name: f"View = '{name}'"})
    source = "from corelet import web; print(web.View)"
    assert site.fail(source) == (
        "PluginConflictError: web.View is exported by acme and wonder; "
        "block one: CORELET_BLOCK=acme or CORELET_BLOCK=wonder"
    )
    assert site.run(source, CORELET_BLOCK="acme") == "wonder"


def test_a_distribution_that_exports_a_name_of_the_kernel_too_is_a_conflict(site: FakeSite) -> None:
    site.add("acme", exports={"web.View": "acme:View", "web.Response": "acme:Response"})
    assert site.fail("from corelet import web; web.View") == (
        "PluginConflictError: web.View comes with acme 1.0, which can't be used: it exports web.Response, "
        "a name of the kernel"
    )


def test_a_name_of_a_plugin_for_another_version_is_refused_before_it_is_imported(site: FakeSite) -> None:
    site.add("acme", requires=["corelet>=99"], exports={"web.View": "nowhere:View"})
    assert site.fail("from corelet import web; web.View") == (
        "PluginLoadError: web.View comes with acme 1.0, which can't be used: it requires corelet>=99, "
        f"and corelet {corelet.__version__} is installed"
    )


def test_a_name_of_a_plugin_that_fails_at_import_names_it(site: FakeSite) -> None:
    site.add("acme", exports={"web.View": "acme:View"}, modules={"acme": "import nowhere"})
    assert site.fail("from corelet.web import View") == (
        "PluginLoadError: web.View comes with acme 1.0, which can't be imported: "
        "ModuleNotFoundError: No module named 'nowhere'"
    )


def test_a_name_of_a_plugin_whose_own_requirement_was_uninstalled_says_what_to_type(site: FakeSite) -> None:
    requires = [
        "corelet>=0.1",
        "nowhere-extra; extra == 'more'",
        "nowhere-old; python_version < '3'",
        "nowhere-http>=1",
    ]
    site.add("acme", requires=requires, exports={"web.View": "acme:View"}, modules={"acme": "import nowhere"})
    assert site.fail("from corelet.web import View") == (
        "PluginLoadError: web.View comes with acme 1.0, which can't be imported: "
        "ModuleNotFoundError: No module named 'nowhere'; it requires nowhere-http, which is not installed: "
        "pip install nowhere-http"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("from corelet.web import View", "web.View comes with a routing plugin: pip install corelet-routing"),
        ("from corelet import web; web.static", "web.static comes with a static plugin: pip install corelet-static"),
        (
            "import corelet; corelet.ClientSession()",
            "corelet.ClientSession comes with a client plugin: pip install corelet-client",
        ),
        (
            "from corelet.test_utils import TestClient",
            "test_utils.TestClient comes with a testing plugin: pip install corelet-testing",
        ),
    ],
)
def test_a_missing_plugin_says_what_to_type(site: FakeSite, source: str, message: str) -> None:
    assert site.fail(source) == f"MissingPluginError: {message}"


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("app.router", "app.router comes with a routing plugin: pip install corelet-routing"),
        ("app.add_subapp", "app.add_subapp comes with a subapps plugin: pip install corelet-subapps"),
        ("request.multipart()", "request.multipart() comes with a multipart plugin: pip install corelet-multipart"),
        (
            "response.enable_compression()",
            "response.enable_compression() comes with a compression plugin: pip install corelet-compression",
        ),
    ],
)
def test_ports_fail_in_the_same_words(port: str, message: str) -> None:
    assert str(missing_plugin(port)) == message


@pytest.mark.parametrize("word", ["routing", " Corelet_Routing"])
def test_ports_of_a_blocked_plugin_say_so(monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setenv("CORELET_BLOCK", f"static,{word}")
    assert str(missing_plugin("app.router")) == (
        f"app.router comes with a routing plugin, which is blocked: CORELET_BLOCK={word.strip()}"
    )


@pytest.mark.parametrize(
    ("module", "name", "message"),
    [
        (web, "Aplication", "module 'corelet.web' has no attribute 'Aplication'; did you mean Application?"),
        (web, "RouteTableDeff", "module 'corelet.web' has no attribute 'RouteTableDeff'; did you mean RouteTableDef?"),
        (corelet, "ClientSesion", "module 'corelet' has no attribute 'ClientSesion'; did you mean ClientSession?"),
        (web, "qqqq", "module 'corelet.web' has no attribute 'qqqq'"),
        (web, "_private", "module 'corelet.web' has no attribute '_private'"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_near_name(module: Any, name: str, message: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    assert str(caught.value) == message


def test_an_unknown_name_can_not_be_imported() -> None:
    with pytest.raises(ImportError, match=r"cannot import name 'qqqq' from 'corelet\.web'"):
        from corelet.web import qqqq  # type: ignore[attr-defined]  # noqa: F401


# Parity


def test_the_list_of_the_peers_names_is_whole() -> None:
    counted = re.findall(r"^## aiohttp.*\((\d+) names\)", (ROOT / "tests/data/parity.txt").read_text(), re.MULTILINE)
    assert len(read_parity()) == sum(map(int, counted)) == 251


def test_every_name_of_the_peer_is_ours_or_a_plugins_or_not_wanted_with_a_reason() -> None:
    assert [name for name in read_parity() if has(name) + (name in PLUGIN_OF) + (name in NOT_WANTED) != 1] == []


def test_what_is_not_wanted_is_on_the_peers_list() -> None:
    assert set(NOT_WANTED) <= set(read_parity())


def test_the_page_on_moving_lists_what_is_not_wanted() -> None:
    page = (ROOT / "docs" / "moving-from-aiohttp.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^## What is missing\n.*?\|---\|---\|\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    listed = [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(NOT_WANTED)


def test_no_name_is_both_the_kernels_and_a_plugins() -> None:
    assert not [name for name in PLUGIN_OF if find_kernel_module(name)]


@pytest.mark.parametrize("pyproject", sorted(ROOT.glob("plugins/*/pyproject.toml")), ids=lambda path: path.parent.name)
def test_first_party_plugins_export_what_is_said_of_them(pyproject: Path) -> None:
    plugin = pyproject.parent.name
    promised = {name for name, owner in PLUGIN_OF.items() if owner == plugin}
    ports = {name for name in promised if name.startswith(("app.", "request.", "response."))}
    exports = read_exports(pyproject)
    assert set(exports) == promised - ports
    for name in exports:
        scope, _, plain = name.rpartition(".")
        value = getattr(importlib.import_module(MODULES[scope]), plain)
        assert not inspect.ismodule(value), f"{name} is a module of {plugin}, not what has its name there"
