"""Every hook is what the plan of the house says, and its docstring is a whole page."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Final

import pytest

import corelet
from corelet import hookspecs
from corelet.hookspecs import EXCLUSIVE_MARK, hookspec
from corelet.plugins import PluginManager

#: Hook -> its arguments and its kind.
HOOKS: Final = {
    "corelet_add_hookspecs": ("manager", "historic"),
    "corelet_add_commands": ("commands", "all"),
    "corelet_configure": ("app", "all"),
    "corelet_make_router": ("app", "one"),
    "corelet_mount": ("app, where, subapp", "one"),
    "corelet_register_codings": ("codings", "all"),
    "corelet_register_form_readers": ("readers", "all"),
    "corelet_register_protocols": ("protocols, app", "all"),
    "corelet_wrap_handler": ("app, route", "all"),
    "corelet_prepare_response": ("app", "all"),
    "corelet_make_error_renderer": ("app", "one"),
    "corelet_make_access_logger": ("app", "one"),
    "corelet_instrument": ("app", "all"),
    "corelet_lifespan": ("app", "all"),
    "corelet_report": ("app", "all"),
}
#: The parts of a page, in their order.
PARTS: Final = ("When", "Order", "Args", "Returns", "Raises", "Since")


def give_hook(name: str) -> Callable[..., Any]:
    hook: Callable[..., Any] = getattr(hookspecs, name)
    return hook


def give_kind(name: str) -> str:
    spec = getattr(PluginManager().pluggy.hook, name).spec
    if spec.opts["historic"]:
        return "historic"
    return "one" if getattr(spec.function, EXCLUSIVE_MARK) else "all"


def test_these_hooks_are_there_and_no_others() -> None:
    assert sorted(vars(PluginManager().pluggy.hook)) == sorted(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_has_its_arguments_and_kind(name: str) -> None:
    assert (", ".join(inspect.signature(give_hook(name)).parameters), give_kind(name)) == HOOKS[name]


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_says_what_it_is_for_and_all_else_in_one_form(name: str) -> None:
    page = inspect.getdoc(give_hook(name))
    assert page is not None
    summary, *rest = page.splitlines()
    assert summary.endswith(".")
    assert rest[0] == ""
    assert tuple(re.findall(r"^(\w+):", page, re.MULTILINE)) == PARTS


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_explains_each_of_its_arguments(name: str) -> None:
    page = inspect.getdoc(give_hook(name)) or ""
    explained = re.findall(r"^    (\w+): ", page[page.index("Args:") : page.index("Returns:")], re.MULTILINE)
    assert ", ".join(explained) == HOOKS[name][0]


def test_the_hook_api_is_the_one_that_the_newest_hook_came_with() -> None:
    since = [int(number) for name in HOOKS for number in re.findall(r"hook API (\d+)", give_hook(name).__doc__ or "")]
    assert len(since) == len(HOOKS)
    assert max(since) == corelet.HOOK_API


def test_hooks_are_plain_functions_without_defaults() -> None:
    for name in HOOKS:
        hook = give_hook(name)
        assert not inspect.iscoroutinefunction(hook)
        assert all(each.default is each.empty for each in inspect.signature(hook).parameters.values())
        assert hook(**dict.fromkeys(inspect.signature(hook).parameters)) is None


def test_a_mark_stands_with_and_without_arguments() -> None:
    def corelet_acme_words(app: object) -> None: ...

    assert hookspec(corelet_acme_words) is corelet_acme_words
    assert vars(corelet_acme_words)[EXCLUSIVE_MARK] is False
    assert hookspec(exclusive=True)(corelet_acme_words) is corelet_acme_words
    assert vars(corelet_acme_words)[EXCLUSIVE_MARK] is True
