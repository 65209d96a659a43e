"""Public names: each is resolved, when it is first touched, to the kernel's module or to the plugin that exports it.

``corelet``, ``corelet.web`` and ``corelet.test_utils`` are scopes of names; the tables are in names.py. A kernel's
name costs the import of its module. For any other name the metadata of installed distributions is read once, and only
the plugin that exports the name is imported. A resolved name stays in the module, so it is looked up once.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .errors import MissingPluginError, PluginConflictError, PluginLoadError, missing_plugin
from .names import BLOCK_VARIABLE, KERNEL_NAMES, PLUGIN_OF, show_name, suggest

if TYPE_CHECKING:
    from .distribution import Export

_PACKAGE: Final = __name__.rpartition(".")[0]


def make_getattr(scope: str, namespace: dict[str, Any]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module whose names are lazy.

    Args:
        scope: the module's key in ``names.KERNEL_NAMES``.
        namespace: the module's globals; a resolved name is kept there.
    """

    def get_name(name: str) -> Any:
        value = namespace[name] = list_names(scope) if name == "__all__" else resolve(scope, name)
        return value

    return get_name


def make_dir(scope: str) -> Callable[[], list[str]]:
    """Make the ``__dir__`` of a module whose names are lazy: it lists what is installed."""
    return lambda: list_names(scope)


def list_names(scope: str) -> list[str]:
    """List the kernel's names and those that installed plugins export, sorted; blocked ones are left out."""
    from .distribution import read_exports

    exported = [
        name.rpartition(".")[2]
        for name, claims in read_exports().items()
        if name.rpartition(".")[0] == scope and not all(claim.distribution.find_export_block() for claim in claims)
    ]
    return sorted({*KERNEL_NAMES[scope], *exported})


def resolve(scope: str, name: str) -> Any:
    """Find what a public name stands for.

    Raises:
        MissingPluginError: it comes with a plugin that is not installed, or is blocked; the message says what to do.
        PluginConflictError: two distributions export it, or its distribution exports a name of the kernel too.
        PluginLoadError: the plugin that exports it can't be imported.
        AttributeError: nobody has the name; the message suggests the nearest one.
    """
    if module_name := KERNEL_NAMES[scope].get(name):
        module = importlib.import_module(f"{_PACKAGE}.{module_name}")
        return module if name == module_name else getattr(module, name)
    if name.startswith("_"):  # asked for by every import of a private module; nothing is read for it
        raise AttributeError(_describe_unknown(scope, name, []))
    submodule = None if scope or name in PLUGIN_OF else _import_submodule(name)
    return submodule or _resolve_export(scope, name)


def _import_submodule(name: str) -> Any:
    """Import another module of the kernel that is touched as an attribute; None where there is none."""
    path = f"{_PACKAGE}.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        return None


def _resolve_export(scope: str, name: str) -> Any:
    from .distribution import read_exports

    path = f"{scope}.{name}" if scope else name
    claims = read_exports().get(path, ())
    free = [claim for claim in claims if not claim.distribution.find_export_block()]
    if len(free) > 1:
        names = [each.distribution.name for each in free]
        ways = " or ".join(f"{BLOCK_VARIABLE}={each}" for each in names)
        raise PluginConflictError(f"{show_name(path)} is exported by {' and '.join(names)}; block one: {ways}")
    if free:
        return _load(free[0])
    if claims:
        word = claims[0].distribution.find_export_block()
        raise MissingPluginError(f"{claims[0]}, which is blocked: {BLOCK_VARIABLE}={word}")
    if path in PLUGIN_OF:
        raise missing_plugin(path)
    promised = [each.rpartition(".")[2] for each in PLUGIN_OF if each.rpartition(".")[0] == scope]
    raise AttributeError(_describe_unknown(scope, name, [*list_names(scope), *promised]))


def _load(export: Export) -> Any:
    if taken := export.distribution.find_taken_name():
        raise PluginConflictError(f"{export}, which can't be used: {taken}")
    if reason := export.distribution.find_unmet_requirement():
        raise PluginLoadError(f"{export}, which can't be used: {reason}")
    try:
        return export.entry_point.load()
    except Exception as error:  # a plugin may raise anything
        reason = export.distribution.describe_failure(error)
        raise PluginLoadError(f"{export}, which can't be imported: {reason}") from error


def _describe_unknown(scope: str, name: str, known: list[str]) -> str:
    module = f"{_PACKAGE}.{scope}" if scope else _PACKAGE
    return f"module {module!r} has no attribute {name!r}{suggest(name, known)}"
