"""What is known of one plugin, and how the form of its hook implementations is examined."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import pluggy

from . import hookspecs
from .distribution import find_hook_api_problem
from .hookspecs import PROJECT_NAME
from .version import HOOK_API

if TYPE_CHECKING:
    from pluggy import HookimplOpts

#: The attribute of a plugin that says which hook API it needs at least; read where no metadata can say it.
HOOK_API_ATTRIBUTE: Final = "corelet_hook_api"

#: Reads pluggy's marks; nothing is registered with it.
_MARKS: Final = pluggy.PluginManager(PROJECT_NAME)
_KERNEL_HOOKS: Final = frozenset(name for name in vars(hookspecs) if _MARKS.parse_hookspec_opts(hookspecs, name))


class PluginState(enum.StrEnum):
    """How far a plugin came."""

    #: Imported and verified; its hooks are asked.
    READY = "ready"
    #: Named by ``CORELET_BLOCK``; not imported.
    BLOCKED = "blocked"
    #: Not usable; the record's reason says why.
    FAILED = "failed"
    #: A distribution without a plugin, which exports public names; imported when one of them is touched.
    NAMES = "names only"


@dataclasses.dataclass(frozen=True, slots=True)
class Implementation:
    """One hook implementation of a plugin.

    Args:
        name: the function's name in its plugin.
        hook: the hook's name; the same, unless ``@hookimpl(specname=...)`` says another.
        function: the implementation, bound to its plugin.
        arguments: what it wants to get.
        is_wrapper: it runs around the other implementations.
        is_optional: the hook may be unknown, since the plugin that defines it may be missing.
    """

    name: str
    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    is_wrapper: bool
    is_optional: bool


@dataclasses.dataclass(frozen=True, slots=True)
class PluginRecord:
    """What is known of one plugin.

    Args:
        name: the entry point's name; for a plugin given as an object its module's or class's name.
        state: how far it came.
        distribution: the distribution that brings it; None for a plugin given as an object.
        version: the distribution's version; None likewise.
        exports: the public names that its distribution exports, sorted.
        reason: why it is blocked or failed, for people; else "".
        plugin: the module or object; None where it was not imported.
        implementations: its hook implementations.
        error: the exception behind the reason, if there is one.
    """

    name: str
    state: PluginState = PluginState.READY
    distribution: str | None = None
    version: str | None = None
    exports: tuple[str, ...] = ()
    reason: str = ""
    plugin: object = dataclasses.field(default=None, repr=False)
    implementations: tuple[Implementation, ...] = dataclasses.field(default=(), repr=False)
    error: BaseException | None = dataclasses.field(default=None, repr=False)

    def __str__(self) -> str:
        """Name plugin and distribution: ``routing (corelet-routing 0.1.0)``."""
        return f"{self.name} ({self.distribution} {self.version})" if self.distribution else self.name

    @property
    def hooks(self) -> tuple[str, ...]:
        """The hooks that it implements, sorted."""
        return tuple(sorted(each.hook for each in self.implementations))

    @property
    def is_ready(self) -> bool:
        """Whether its hooks are asked."""
        return self.state is PluginState.READY

    def fail(self, reason: str, error: BaseException | None = None) -> PluginRecord:
        """Make the record of the same plugin, failed."""
        return dataclasses.replace(self, state=PluginState.FAILED, reason=reason, error=error)


def examine(record: PluginRecord, plugin: object) -> PluginRecord:
    """Find a plugin's hook implementations, and check what can be checked before all hooks are known.

    Args:
        record: what is known so far.
        plugin: the module or object.

    Returns:
        The record with the plugin and its implementations, or failed with a reason.
    """
    if inspect.isclass(plugin):
        return record.fail(f"it is a class; give an instance: {plugin.__name__}()")
    if problem := find_hook_api_problem(getattr(plugin, HOOK_API_ATTRIBUTE, HOOK_API)):
        return record.fail(problem)
    names = [name for name in dir(plugin) if not name.startswith("__")]
    marked = [(name, options) for name in names if (options := _MARKS.parse_hookimpl_opts(plugin, name))]
    problems = [problem for name, options in marked if (problem := _find_form_problem(plugin, name, options))]
    problems += [f"{name} is not marked: @hookimpl" for name in _find_unmarked(plugin, marked)]
    if problems:
        return record.fail("; ".join(problems))
    if not marked:
        return record.fail("it has no hook implementation: mark its functions with @corelet.hookimpl")
    implementations = tuple(_make_implementation(plugin, name, options) for name, options in marked)
    return dataclasses.replace(record, plugin=plugin, implementations=implementations)


def _make_implementation(plugin: object, name: str, options: HookimplOpts) -> Implementation:
    function = getattr(plugin, name)
    return Implementation(
        name=name,
        hook=options.get("specname") or name,
        function=function,
        arguments=tuple(inspect.signature(function).parameters),
        is_wrapper=options.get("wrapper", False),
        is_optional=options.get("optionalhook", False),
    )


def _find_form_problem(plugin: object, name: str, options: HookimplOpts) -> str:
    """Say what is wrong with a function as a hook implementation, whichever hook it is; "" for nothing."""
    function = getattr(plugin, name)
    is_wrapper = options.get("wrapper", False)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return f"{name} is async; a hook is a plain function, which may return an async one or an async context manager"
    if options.get("hookwrapper"):
        return f"{name} is a wrapper of the old style: @hookimpl(wrapper=True)"
    if is_wrapper and not inspect.isgeneratorfunction(function):
        return f"{name} is marked as a wrapper, and does not yield"
    if inspect.isgeneratorfunction(function) and not is_wrapper:
        return f"{name} yields; a hook returns; around other implementations: @hookimpl(wrapper=True)"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            return f"{name} takes {parameter}; a hook passes plain arguments only"
        if parameter.default is not parameter.empty:
            return f"{name} has a default for {parameter.name}; a hook passes every argument: remove it"
    return ""


def _find_unmarked(plugin: object, marked: Iterable[tuple[str, Any]]) -> list[str]:
    """Find functions that are called like one of the kernel's hooks and were not marked: a decorator was forgotten."""
    names = _KERNEL_HOOKS.difference(name for name, _ in marked)
    return sorted(name for name in names if inspect.isroutine(getattr(plugin, name, None)))
