"""What installed distributions bring: plugins and public names, read from their metadata, nothing imported."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import importlib_metadata
from importlib_metadata import EntryPoint
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from .names import BLOCK_VARIABLE, find_kernel_module, show_name
from .version import HOOK_API, kernel_version

#: Entry points that are plugins: name -> a module or an object with hook implementations.
PLUGIN_GROUP: Final = "corelet.plugins"
#: Entry points that are public names: ``web.View`` -> ``corelet_routing:View``; no dot for ``corelet.ClientSession``.
EXPORT_GROUP: Final = "corelet.exports"
#: Entry points that say which hook API a plugin needs at least: ``2`` -> what the plugin's own entry point names.
HOOK_API_GROUP: Final = "corelet.hook_api"


@dataclasses.dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution that brings plugins or public names.

    Args:
        name: as its metadata has it.
        version: likewise.
        requires: its requirements, one a string.
        plugins: its entry points of :data:`PLUGIN_GROUP`, sorted by name.
        exports: its entry points of :data:`EXPORT_GROUP`, sorted by name.
        hook_apis: its entry points of :data:`HOOK_API_GROUP`.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    plugins: tuple[EntryPoint, ...]
    exports: tuple[EntryPoint, ...]
    hook_apis: tuple[EntryPoint, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def export_names(self) -> tuple[str, ...]:
        """The public names that it exports."""
        return tuple(entry_point.name for entry_point in self.exports)

    def find_block(self, plugin: str) -> str:
        """Find the word of :data:`BLOCK_VARIABLE` that blocks one of its plugins; "" for none."""
        return find_word((plugin, self.name))

    def find_export_block(self) -> str:
        """Find the word that blocks its public names: its own name, or those of all its plugins; "" for none."""
        if word := find_word((self.name,)):
            return word
        words = [self.find_block(entry_point.name) for entry_point in self.plugins]
        return ",".join(words) if words and all(words) else ""

    def find_problem(self, plugin: EntryPoint | None) -> str:
        """Say why it must not be used, or one of its plugins must not be; "" for nothing."""
        return self.find_taken_name() or self.find_unmet_requirement() or self._find_unmet_hook_api(plugin)

    def find_taken_name(self) -> str:
        """Say which of its public names the kernel has; "" for none."""
        taken = next((name for name in self.export_names if find_kernel_module(name)), "")
        return taken and f"it exports {show_name(taken)}, a name of the kernel"

    def find_unmet_requirement(self) -> str:
        """Say what it requires of corelet that this version does not meet; "" where all is met."""
        for text in self.requires:
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                return f"its requirement {text!r} is malformed"
            if canonicalize_name(requirement.name) != "corelet":
                continue
            applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if applies and not requirement.specifier.contains(kernel_version(), prereleases=True):
                return f"it requires corelet{requirement.specifier}, and corelet {kernel_version()} is installed"
        return ""

    def describe_failure(self, error: BaseException) -> str:
        """Say why it can't be imported: the error, and a requirement that is not installed, where it has one."""
        missing = self._find_missing_requirement() if isinstance(error, ImportError) else ""
        hint = missing and f"; it requires {missing}, which is not installed: pip install {missing}"
        return f"{type(error).__name__}: {error}{hint}"

    def _find_missing_requirement(self) -> str:
        """Find the name of a distribution that it requires and that is not installed; "" for none."""
        for requirement in map(Requirement, self.requires):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                try:
                    importlib_metadata.distribution(requirement.name)
                except importlib_metadata.PackageNotFoundError:
                    return requirement.name
        return ""

    def _find_unmet_hook_api(self, plugin: EntryPoint | None) -> str:
        names = (each.name for each in self.hook_apis if plugin is None or each.value == plugin.value)
        problems = (find_hook_api_problem(int(name) if name.isdecimal() else name) for name in names)
        return next(filter(None, problems), "")


@dataclasses.dataclass(frozen=True, slots=True)
class Export:
    """A public name that a distribution brings.

    Args:
        name: "web.RouteTableDef", or "ClientSession" for ``corelet.ClientSession``.
        distribution: who brings it.
        entry_point: loads the object.
    """

    name: str
    distribution: Distribution
    entry_point: EntryPoint

    def __str__(self) -> str:
        """Name it with its distribution: ``web.View comes with corelet-routing 0.1.0``."""
        return f"{show_name(self.name)} comes with {self.distribution}"


def find_hook_api_problem(needed: object) -> str:
    """Say what is wrong with the hook API that a plugin needs at least; "" for nothing."""
    if not isinstance(needed, int):
        return f"the hook API that it needs is {needed!r}, expected a whole number"
    if needed <= HOOK_API:
        return ""
    return f"it needs hook API {needed}, and corelet {kernel_version()} has {HOOK_API}: pip install --upgrade corelet"


@functools.cache
def read_distributions() -> tuple[Distribution, ...]:
    """Read which installed distributions bring plugins or public names, sorted by name; once for the process."""
    found: dict[str, list[EntryPoint]] = {}
    known: dict[str, importlib_metadata.Distribution] = {}
    for entry_point in importlib_metadata.entry_points():
        if entry_point.group in (PLUGIN_GROUP, EXPORT_GROUP, HOOK_API_GROUP) and entry_point.dist is not None:
            known[entry_point.dist.name] = entry_point.dist
            found.setdefault(entry_point.dist.name, []).append(entry_point)
    return tuple(_make_distribution(known[name], found[name]) for name in sorted(found))


def _make_distribution(source: importlib_metadata.Distribution, entry_points: Iterable[EntryPoint]) -> Distribution:
    groups: dict[str, list[EntryPoint]] = {PLUGIN_GROUP: [], EXPORT_GROUP: [], HOOK_API_GROUP: []}
    for entry_point in sorted(entry_points, key=lambda each: each.name):
        groups[entry_point.group].append(entry_point)
    return Distribution(
        name=source.name,
        version=source.version,
        requires=tuple(source.requires or ()),
        plugins=tuple(groups[PLUGIN_GROUP]),
        exports=tuple(groups[EXPORT_GROUP]),
        hook_apis=tuple(groups[HOOK_API_GROUP]),
    )


def read_plugins() -> Iterator[tuple[Distribution, EntryPoint]]:
    """Give every plugin's entry point with its distribution, sorted by the entry point's name, then by distribution."""
    found = [(distribution, each) for distribution in read_distributions() for each in distribution.plugins]
    return iter(sorted(found, key=lambda pair: pair[1].name))


@functools.cache
def read_exports() -> Mapping[str, tuple[Export, ...]]:
    """Read the public names that distributions export: name -> who does, sorted; blocked ones too."""
    found: dict[str, tuple[Export, ...]] = {}
    for distribution in read_distributions():
        for each in distribution.exports:
            found[each.name] = (*found.get(each.name, ()), Export(each.name, distribution, each))
    return found


@functools.cache
def read_blocked() -> tuple[str, ...]:
    """Read the words of :data:`BLOCK_VARIABLE`; once for the process, as what they block."""
    words = os.environ.get(BLOCK_VARIABLE, "").split(",")
    return tuple(word.strip() for word in words if word.strip())


def find_word(names: Iterable[str]) -> str:
    """Find the first word of :data:`BLOCK_VARIABLE` that is one of the names, however spelt; "" for none."""
    wanted = {canonicalize_name(name) for name in names}
    return next((word for word in read_blocked() if canonicalize_name(word) in wanted), "")


def read_blockable() -> tuple[str, ...]:
    """Give every word that :data:`BLOCK_VARIABLE` may hold: names of plugins and of distributions."""
    names = {name for each in read_distributions() for name in (each.name, *(plugin.name for plugin in each.plugins))}
    return tuple(sorted(names))


def is_blockable(word: str) -> bool:
    """Tell whether a word of :data:`BLOCK_VARIABLE` is the name of anything installed."""
    return canonicalize_name(word) in map(canonicalize_name, read_blockable())
