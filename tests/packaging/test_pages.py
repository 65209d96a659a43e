"""The pages that are made of docstrings and help are up to date, and every hook has one with its exact signature."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

from docs import pages

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
