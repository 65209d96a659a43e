"""The pages that are made of docstrings and help are up to date, and every hook has one with its exact signature."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

import corelet
from corelet import abc, web
from corelet.names import PLUGIN_OF
from docs import docstring, limits, pages, ports, reference_pages

#: Every hook, the kernel's and those of the plugins here.
HOOKS: Final = {hook.__name__: hook for _, module in pages.find_hookspecs() for hook in pages.find_hooks(module)}
PARTS: Final = ["When", "Order", "Args", "Returns", "Raises", "Since"]


@pytest.mark.parametrize("name", pages.PAGES)
def test_a_page_is_what_would_be_made_now(name: str) -> None:
    assert (pages.FOLDER / name).read_text(encoding="utf-8") == pages.PAGES[name](), "run `make pages`"


def read_section(name: str) -> str:
    page = (pages.FOLDER / "hooks.md").read_text(encoding="utf-8")
    found = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"hooks.md has no section on {name}"
    return found[1]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_documented_with_its_exact_signature(name: str) -> None:
    shown = re.search(r"^```py\n(def .*)\n```$", read_section(name), re.MULTILINE)
    assert shown
    namespace: dict[str, Any] = {}
    exec(f"from __future__ import annotations\n{shown[1]}: ...", namespace)
    assert inspect.signature(namespace[name]) == inspect.signature(HOOKS[name])


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_documented_in_all_its_parts_and_arguments(name: str) -> None:
    section = read_section(name)
    assert re.findall(r"^\*\*(\w+):\*\*", section, re.MULTILINE) == PARTS
    arguments = section[section.index("**Args:**") : section.index("**Returns:**")]
    assert re.findall(r"^- `(\w+)`: ", arguments, re.MULTILINE) == list(inspect.signature(HOOKS[name]).parameters)
    assert re.search(r"^Kind: (historic|all|one)\. \w", section, re.MULTILINE)


def test_a_hook_without_a_section_would_be_found() -> None:
    with pytest.raises(AssertionError, match=r"hooks\.md has no section on corelet_do_nothing"):
        read_section("corelet_do_nothing")


def test_every_command_and_option_is_documented() -> None:
    page = (pages.FOLDER / "command-line.md").read_text(encoding="utf-8")
    _, commands = pages.make_parser()
    assert re.findall(r"^## corelet ?([\w-]*)$", page, re.MULTILINE) == ["", *commands.parsers]
    for parser in commands.parsers.values():
        for option in re.findall(r"--[\w-]+", parser.format_usage()):
            assert option in page


def find_options(parser: Any) -> dict[str, Callable[..., Any]]:
    return {action.dest: action.help for action in parser._actions}


def test_every_option_says_what_it_does() -> None:
    _, commands = pages.make_parser()
    for parser in commands.parsers.values():
        assert [name for name, text in find_options(parser).items() if not text] == []


def test_the_index_links_to_every_page_and_has_each_once_in_its_tree() -> None:
    text = (pages.FOLDER / "index.md").read_text(encoding="utf-8")
    trees = re.findall(r"^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    there = {path.stem for path in pages.FOLDER.glob("*.md")} - {"index"} | {"tutorial/index", "reference/index"}
    assert sorted(" ".join(trees).split()) == sorted(there)
    assert set(re.findall(r"\]\(([\w/-]+)\.(?:md|rst)\)", text)) == there


# Ports

PORTS: Final = [name for names in ports.SECTIONS.values() for name in names]
#: Abstract, and no port: what is abstract in them is their own affair.
NO_PORTS: Final = {"web.BaseRunner", "web.BaseSite"}


def find_public_classes() -> Iterator[tuple[str, type]]:
    """Find the classes of ``corelet.abc``, and those elsewhere that can't be used as they are."""
    for name, value in vars(abc).items():
        if inspect.isclass(value) and value.__module__ == "corelet.abc":
            yield name, value
    for scope in (corelet, web):
        for name in dir(scope):
            value = getattr(scope, name)
            if inspect.isabstract(value) or value is corelet.BaseConnector:
                yield f"{scope.__name__.removeprefix('corelet.')}.{name}", value


def test_every_port_is_on_the_page_once() -> None:
    assert sorted(PORTS) == sorted({name for name, _ in find_public_classes()} - NO_PORTS)


@pytest.mark.parametrize("name", PORTS)
def test_a_port_is_documented_with_its_exact_methods(name: str) -> None:
    page = (pages.FOLDER / "ports.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {name.rpartition('.')[2]}\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL)
    assert section
    port = ports.find_port(name)
    shown = dict(re.findall(r"^- `((?:async )?def (\w+)\(.*?)`(?:, \*\*required\*\*)?$", section[1], re.MULTILINE))
    shown = {method: signature for signature, method in shown.items()}
    methods = {each: value for each, value in vars(port).items() if inspect.isfunction(value) and each[0] != "_"}
    assert methods.keys() <= shown.keys()
    for method, function in methods.items():
        namespace: dict[str, Any] = dict(vars(inspect.getmodule(port)))
        exec(f"from __future__ import annotations\n{shown[method]}: ...", namespace)
        assert inspect.signature(namespace[method]) == inspect.signature(function)


@pytest.mark.parametrize("name", PORTS)
def test_a_port_explains_itself_and_whatever_it_has(name: str) -> None:
    port = ports.find_port(name)
    assert docstring.find_docstring(port)
    assert [each.name for each in docstring.list_members(port) if not each.text and each.name[:2] != "__"] == []


def test_every_method_that_a_plugin_fills_is_on_the_page() -> None:
    filled = {name for name in PLUGIN_OF if name.startswith(("app.", "request.", "response."))}
    assert filled == ports.METHODS.keys()
    assert set(ports.METHODS.values()) | ports.REGISTRIES.keys() <= HOOKS.keys()


def test_every_hook_that_hands_a_registry_over_is_among_them() -> None:
    registries = {"registry", "codings", "readers", "protocols", "commands", "manager"}
    with_registry = {name for name, hook in HOOKS.items() if registries & set(inspect.signature(hook).parameters)}
    assert with_registry == ports.REGISTRIES.keys()


def test_an_argument_is_written_as_people_write_it() -> None:
    (function,) = ast.parse("async def f(a, /, b: int = 1, *c: str, d: int | None = None, e=2, **g): ...").body
    assert isinstance(function, ast.AsyncFunctionDef)
    assert docstring.write_definition(function) == (
        "async def f(a, /, b: int = 1, *c: str, d: int | None = None, e=2, **g) -> None"
    )


def test_the_sections_of_a_docstring_become_lists() -> None:
    text = "Do ``it``.\n\nArgs:\n    a: first,\n        more.\n    **b: rest.\n\nReturns:\n    What :meth:`X.y` gives."
    assert docstring.write_docstring(text) == (
        "Do `it`.\n\n**Args:**\n\n- `a`: first,\n  more.\n- `**b`: rest.\n\n**Returns:** What `X.y` gives."
    )


# Limits

PACKAGES: Final = ["corelet", *(f"corelet_{path.parent.name}" for path in pages.ROOT.glob("plugins/*/pyproject.toml"))]
SCOPES: Final = {"corelet": "corelet", "web": "corelet.web"}
#: Where an argument stands that a public method only hands on.
DECLARED_AT: Final = {
    "corelet.ClientSession.get": "corelet_client.options:Options",
    "corelet.ClientSession.ws_connect": "corelet_client.websocket:connect",
    "corelet.TCPConnector": "corelet_client.connector:BaseConnector",
}


def load(path: str) -> Any:
    module, _, attributes = path.partition(":")
    found: Any = importlib.import_module(module)
    for attribute in attributes.split("."):
        found = getattr(found, attribute)
    return found


@pytest.mark.parametrize("name", limits.SET_BY)
def test_a_limit_is_set_by_the_argument_that_the_page_names(name: str) -> None:
    callee, argument = limits.SET_BY[name]
    scope, _, path = callee.partition(".")
    parameters = inspect.signature(load(f"{SCOPES[scope]}:{path}")).parameters
    if argument not in parameters:
        parameters = inspect.signature(load(DECLARED_AT[callee])).parameters
    default = parameters[argument].default
    assert default == load(":".join(name.rsplit(".", 1))) or default is load("corelet_client.connector:_NOT_GIVEN")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_limit_says_what_it_bounds(package: str) -> None:
    assert [limit.name for limit in limits.find_limits(package) if len(limit.text) < 10] == []


def test_what_is_no_limit_is_there() -> None:
    for path in limits.NO_LIMITS | limits.SET_BY.keys() | limits.SET_OTHERWISE.keys():
        assert isinstance(load(":".join(path.rsplit(".", 1))), int | float)


# Reference

DIRECTIVE: Final = re.compile(r"^\.\. (?:auto|py:)\w+:: (\S+)$", re.MULTILINE)


def find_documented() -> list[str]:
    return [path for text in reference_pages.make_reference().values() for path in DIRECTIVE.findall(text)]


def find_public_names() -> set[str]:
    """Give every name that the facade has, modules apart."""
    scopes = (corelet, web, corelet.test_utils)
    names = {f"{scope.__name__}.{name}" for scope in scopes for name in scope.__all__}
    return names - {f"corelet.{name}" for name in reference_pages.MODULES}


def test_every_public_name_is_in_the_reference_once() -> None:
    documented = find_documented()
    assert len(documented) == len(set(documented))
    assert find_public_names() - set(documented) == set()


def test_every_page_of_the_reference_is_made_and_listed() -> None:
    files = {f"reference/{path.name}" for path in (pages.FOLDER / "reference").iterdir()}
    assert files == reference_pages.make_reference().keys()


def test_every_class_and_function_of_the_reference_says_what_it_is_for() -> None:
    found = {path: reference_pages.find_object(path) for path in find_documented()}
    documented = {path: thing for path, thing in found.items() if inspect.isclass(thing) or inspect.isroutine(thing)}
    assert [path for path, thing in documented.items() if not (thing.__doc__ or "").strip()] == []


def test_every_method_of_the_reference_says_what_it_is_for() -> None:
    silent = []
    for path in find_documented():
        thing = reference_pages.find_object(path)
        if not inspect.isclass(thing) or not thing.__module__.startswith("corelet"):
            continue
        for name, value in vars(thing).items():
            is_member = inspect.isroutine(value) or isinstance(value, property | classmethod | staticmethod)
            if name[0] != "_" and is_member and not inspect.getdoc(getattr(thing, name)):
                silent.append(f"{path}.{name}")
    assert silent == []
