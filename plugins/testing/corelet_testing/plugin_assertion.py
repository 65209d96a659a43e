"""Assertions about a plugin: its hooks, the public names of its distribution, and a manager of its own."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import corelet
from corelet import PluginLoadError, test_utils, web
from corelet.plugins import make_manager

if TYPE_CHECKING:
    from types import ModuleType

    from corelet.plugins import PluginManager

_EXPORT_GROUP: Final = "corelet.exports"
#: What stands before the dot of a public name -> the module that has the name.
_SCOPES: Final[Mapping[str, ModuleType]] = {"": corelet, "web": web, "test_utils": test_utils}


def make_plugin_manager(*plugins: object) -> PluginManager:
    """Make a manager of just these plugins, whatever else is installed: ask their hooks by it.

    ``manager.call_all(name, **arguments)`` asks a hook of all, ``manager.call_one`` an exclusive one, and
    ``manager.records`` tells what became of each plugin. An application with just some plugins is made by
    ``web.Application(plugins=[...])``.

    Args:
        plugins: modules, objects, or names of installed plugins.

    Raises:
        PluginLoadError: a plugin can't be used; the message says why.
    """
    return make_manager(plugins)


def assert_hooks(plugin: object, *hooks: str, beside: Iterable[object] = ()) -> None:
    """Assert that a plugin can be used, and that it implements just these hooks.

    Args:
        plugin: a module, an object, or the name of an installed plugin.
        hooks: names of hooks; one that is implemented twice is named twice.
        beside: plugins that have to be there too, such as ``"routing"`` for one that implements
            ``corelet_routing_routes``.

    Raises:
        AssertionError: it can't be used, lacks a hook or has another one; the message says which, what there is, and
            which name was probably meant.
    """
    others = list(beside)
    try:
        manager = make_manager([*others, plugin])
    except PluginLoadError as error:
        raise AssertionError(str(error)) from error
    record = manager.records[len(others)]
    known = [name for name in dir(manager.pluggy.hook) if name.startswith("corelet_")]
    problems = [f"there is no hook {name}{_suggest(name, known)}" for name in hooks if name not in known]
    if not record.is_ready:
        problems.append(f"it is {record.state}: {record.reason}")
    missing, surplus = _compare(record.hooks, [name for name in hooks if name in known])
    problems += [f"it does not implement {name}" for name in missing]
    problems += [f"it implements {name}, which was not named" for name in surplus]
    _fail_for(problems, f"plugin {record}", f"its hooks: {_enumerate(record.hooks)}")


def assert_exports(distribution: str, exports: Mapping[str, object]) -> None:
    """Assert that an installed distribution exports just these public names, and that each is what it should be.

    Args:
        distribution: its name, such as ``corelet-hello``.
        exports: public name -> the object: ``{"web.setup_hello": setup_hello}``. Before the dot stands ``web`` or
            ``test_utils``; a name without a dot is one of ``corelet`` itself.

    Raises:
        AssertionError: it is not installed, lacks a name, exports another one, or a name stands for something else; the
            message says which, what there is, and which name was probably meant.
    """
    found = _read_exports(distribution)
    missing, surplus = _compare(found, exports)
    problems = [f"it does not export {name}{_suggest(name, surplus)}" for name in missing]
    problems += [f"it exports {name}, which was not named" for name in surplus]
    problems += [_find_wrong(name, exports[name], found[name]) for name in exports if name in found]
    end = f"its exports: {_enumerate(sorted(found))} (read when it was installed: pip install it again after a change)"
    _fail_for(filter(None, problems), f"distribution {distribution}", end)


def _read_exports(distribution: str) -> dict[str, str]:
    """Read the public names of a distribution: name -> where the object is."""
    try:
        found = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        known = {each.metadata["Name"] for each in importlib.metadata.distributions()} - {None}
        raise AssertionError(
            f"distribution {distribution} is not installed{_suggest(distribution, known)}: pip install -e . in its "
            "folder"
        ) from None
    return {each.name: each.value for each in found.entry_points.select(group=_EXPORT_GROUP)}


def _find_wrong(name: str, expected: object, place: str) -> str:
    """Say what is wrong with what a public name stands for; "" for nothing."""
    scope, _, plain = name.rpartition(".")
    if scope not in _SCOPES:
        return (
            f"{name} stands nowhere: a public name is web.{plain}, test_utils.{plain}, or {plain} for corelet.{plain}"
        )
    try:
        value = getattr(_SCOPES[scope], plain)
    except Exception as error:  # noqa: BLE001  # a plugin may raise anything
        return f"{name} ({place}) can't be had: {type(error).__name__}: {error}"
    return "" if value is expected else f"{name} ({place}) is {value!r}, expected {expected!r}"


def _compare(found: Iterable[str], expected: Iterable[str]) -> tuple[list[str], list[str]]:
    """Give what is missing, and what is there without being expected."""
    missing, surplus = list(expected), []
    for name in found:
        if name in missing:
            missing.remove(name)
        else:
            surplus.append(name)
    return missing, surplus


def _fail_for(problems: Iterable[str], what: str, end: str) -> None:
    said = list(problems)
    if said:
        raise AssertionError(f"{what}: {'; '.join(said)}; {end}")


def _suggest(name: str, known: Iterable[Any]) -> str:
    return "".join(f"; did you mean {near}?" for near in get_close_matches(name, list(known), n=1))


def _enumerate(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"
