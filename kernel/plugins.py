"""Plugins: check them, register them, ask them, and report on each.

A plugin comes with an installed distribution, by an entry point, or is given to the application as a module or an
object. Every one goes the same way, and each step can end it with a reason in its :class:`PluginRecord`:

1. discover: entry points of the group ``corelet.plugins``, sorted by name
2. block: what ``CORELET_BLOCK`` names, by entry point or by distribution, is not imported
3. check, before anything is imported: the distribution's requirement on corelet, and the hook API that it declares
4. import, and examine the form of its hook implementations
5. add the hooks that the plugin itself defines, so that plugins can have plugins
6. verify every implementation against all hooks
7. register with pluggy

Steps 1 to 4 are done once for the process. Steps 5 to 7 are done for each application and each client session: they
have a :class:`PluginManager` of their own.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pluggy
from importlib_metadata import EntryPoint

from . import hookspecs
from .distribution import (
    Distribution,
    is_blockable,
    read_blockable,
    read_blocked,
    read_distributions,
    read_plugins,
)
from .errors import PluginConflictError, PluginLoadError
from .hookspecs import EXCLUSIVE_MARK, PROJECT_NAME
from .names import BLOCK_VARIABLE, suggest
from .plugin_record import PluginRecord, PluginState, examine

if TYPE_CHECKING:
    from types import ModuleType

    from .plugin_record import Implementation

_ADD_HOOKSPECS: Final = "corelet_add_hookspecs"
#: What the names of hooks begin with.
_PREFIX: Final = f"{PROJECT_NAME}_"
#: Hooks of which each plugin is asked alone, so that one that fails keeps no other from answering.
_ASKED_ALONE: Final = (_ADD_HOOKSPECS, "corelet_add_commands", "corelet_report")


class PluginManager:
    """The plugins of one application or session, and the hooks they are asked by.

    Made by :func:`make_manager`. Used from one thread, while its owner is put together.
    """

    def __init__(self) -> None:
        #: The manager below, for inspection; register and ask by the methods here.
        self.pluggy: Final = pluggy.PluginManager(PROJECT_NAME)
        self._records: list[PluginRecord] = []
        self._joining: list[PluginRecord] | None = None
        self._answered: dict[str, list[PluginRecord]] = {}
        self.add_hookspecs(hookspecs)

    @property
    def records(self) -> tuple[PluginRecord, ...]:
        """Every plugin that was to join, ready or not, in the order in which they came."""
        return tuple(self._records)

    def add_hookspecs(self, namespace: ModuleType | type) -> None:
        """Add the hooks that a module or a class defines by ``@corelet.hookspec``.

        Raises:
            ValueError: it defines none, or one that is defined already.
        """
        self.pluggy.add_hookspecs(namespace)

    def register(self, plugin: object, name: str | None = None) -> None:
        """Let a further plugin join.

        Within ``corelet_add_hookspecs`` it joins together with the plugin that registers it.

        Args:
            plugin: a module or an object with hook implementations.
            name: what records and messages call it; its module's or class's name unless given.

        Raises:
            PluginLoadError: it does not pass the checks.
        """
        record = _record_object(plugin, name)
        if self._joining is not None:
            self._joining.append(record)
            return
        _refuse_failed(self.join([record]))

    def join(self, records: Iterable[PluginRecord]) -> tuple[PluginRecord, ...]:
        """Let plugins join whose records were made and whose form was examined.

        Returns:
            Their records as they are afterwards, and those of the plugins that they registered.
        """
        joining = self._joining = list(records)
        try:
            for index, record in enumerate(joining):  # grows where a plugin registers another one
                joining[index] = self._take_hookspecs(self._tell_apart(record, joining[:index]))
        finally:
            self._joining = None
        joined = tuple(self._verify(record) for record in joining)
        for record in reversed(joined):  # pluggy asks the last one first
            if record.is_ready:
                self.pluggy.register(_Connection(self._guard_all(record)), record.name)
        self._records += joined
        return joined

    def call_all(self, name: str, /, **arguments: Any) -> list[Any]:
        """Ask every plugin, and take every answer that is not None.

        Args:
            name: a hook of the kind "all".
            **arguments: all arguments of the hook.

        Raises:
            LookupError: there is no such hook.
            TypeError: the hook is exclusive, or the arguments are not the hook's.
            Exception: what an implementation raised, with a note naming hook, plugin and distribution.
        """
        answers: list[Any] = self._find_hook(name, False, arguments)(**arguments)
        return answers

    def call_each(self, name: str, /, **arguments: Any) -> Iterator[tuple[PluginRecord, Any]]:
        """Ask plugins one after another, for a report: one that fails keeps no other from answering.

        Args:
            name: a hook of the kind "all" that takes no wrappers: ``corelet_add_commands`` or ``corelet_report``.
            **arguments: all arguments of the hook.

        Yields:
            Each plugin with its answer, which may be None, or with the exception that it raised.

        Raises:
            LookupError: there is no such hook.
            TypeError: the hook is exclusive, or the arguments are not the hook's.
        """
        hook = self._find_hook(name, False, arguments)
        records = {record.name: record for record in self._records if record.is_ready}
        for implementation in reversed(hook.get_hookimpls()):  # pluggy asks the last one first
            try:
                answer = implementation.function(*(arguments[each] for each in implementation.argnames))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
                answer = error
            yield records[implementation.plugin_name], answer

    def report(self, app: Any) -> Iterator[tuple[str, list[str]]]:
        """Collect what plugins report of themselves for an application; never fails.

        Yields:
            The name of each plugin that has something to say, and its lines.
        """
        for record, answer in self.call_each("corelet_report", app=app):
            try:
                if isinstance(answer, BaseException):
                    raise answer
                lines = [answer] if isinstance(answer, str) else [str(line) for line in answer or ()]
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
                lines = [f"corelet_report raised {_describe(error)}"]
            if lines:
                yield record.name, lines

    def call_one(self, name: str, /, **arguments: Any) -> Any:
        """Ask every plugin about an exclusive role, and take the one answer that is not None.

        Args:
            name: a hook of the kind "one".
            **arguments: all arguments of the hook.

        Returns:
            The answer; None where no plugin fills the role.

        Raises:
            PluginConflictError: two plugins answered; it names both.
            LookupError: there is no such hook.
            TypeError: the hook is not exclusive, or the arguments are not the hook's.
            Exception: what an implementation raised, with a note naming hook, plugin and distribution.
        """
        hook = self._find_hook(name, True, arguments)
        outer = self._answered.get(name, [])
        answered = self._answered[name] = []
        try:
            answers = hook(**arguments)
        finally:
            self._answered[name] = outer
        if len(answered) > 1:
            raise PluginConflictError(_describe_conflict(name, answered))
        return answers[0] if answers else None

    def _find_hook(self, name: str, exclusive: bool, arguments: Mapping[str, Any]) -> pluggy.HookCaller:
        spec = self._find_spec(name)
        if spec is None:
            raise LookupError(f"there is no hook {name}{self._suggest_hook(name)}")
        if _is_exclusive(spec) is not exclusive:
            way = "not exclusive: ask by call_all" if exclusive else "exclusive: ask by call_one"
            raise TypeError(f"{name} is {way}")
        if arguments.keys() != {*spec.argnames}:
            raise TypeError(f"{name} takes {_enumerate(spec.argnames)}; given: {_enumerate(arguments)}")
        hook: pluggy.HookCaller = getattr(self.pluggy.hook, name)
        return hook

    def _find_spec(self, name: str) -> Any:
        hook = getattr(self.pluggy.hook, name, None)
        return None if hook is None else hook.spec

    def _suggest_hook(self, name: str) -> str:
        names = [each for each in vars(self.pluggy.hook) if self._find_spec(each) is not None]
        # What all names begin with would make any two of them near.
        near = suggest(name.removeprefix(_PREFIX), (each.removeprefix(_PREFIX) for each in names))
        return near.replace("mean ", f"mean {_PREFIX}")

    def _tell_apart(self, record: PluginRecord, joining: Iterable[PluginRecord]) -> PluginRecord:
        """Fail a plugin that is there already; number one that only has another one's name."""
        earlier = [*self._records, *joining]
        if record.plugin is not None and any(record.plugin is other.plugin for other in earlier):
            return record.fail("it is given twice")
        names = {other.name for other in earlier if other.is_ready}
        if not record.is_ready or record.name not in names:
            return record
        number = next(number for number in range(2, len(names) + 3) if f"{record.name}-{number}" not in names)
        return dataclasses.replace(record, name=f"{record.name}-{number}")

    def _take_hookspecs(self, record: PluginRecord) -> PluginRecord:
        """Ask a plugin, first of all, for the hooks that it defines."""
        own = [each for each in record.implementations if each.hook == _ADD_HOOKSPECS and record.is_ready]
        for implementation in own:
            if problem := self._find_problem(implementation):
                return record.fail(problem)
            try:
                implementation.function(*([self] if implementation.arguments else []))
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
                return record.fail(f"{_ADD_HOOKSPECS} raised {_describe(error)}", error)
        return record

    def _verify(self, record: PluginRecord) -> PluginRecord:
        if not record.is_ready:
            return record
        problems = [problem for each in record.implementations if (problem := self._find_problem(each))]
        return record.fail("; ".join(problems)) if problems else record

    def _find_problem(self, implementation: Implementation) -> str:
        spec = self._find_spec(implementation.hook)
        if spec is None:
            return "" if implementation.is_optional else self._describe_unknown(implementation.hook)
        if implementation.is_wrapper and implementation.hook in _ASKED_ALONE:
            return f"{implementation.hook} can't be a wrapper: each plugin is asked alone"
        for argument in implementation.arguments:
            if argument not in spec.argnames:
                hint = suggest(argument, spec.argnames) or f"; it has {_enumerate(spec.argnames)}"
                return f"{implementation.hook} has no argument {argument}{hint}"
        return ""

    def _describe_unknown(self, hook: str) -> str:
        hint = self._suggest_hook(hook)
        return f"unknown hook {hook}{hint or '; if the plugin with it may be missing: @hookimpl(optionalhook=True)'}"

    def _guard_all(self, record: PluginRecord) -> Iterator[tuple[str, Callable[..., Any]]]:
        for each in record.implementations:
            note = f"in hook {each.hook}, plugin {record}"
            guard = _guard_wrapper(each, note) if each.is_wrapper else self._guard(each, note, record)
            yield each.name, guard

    def _guard(self, implementation: Implementation, note: str, record: PluginRecord) -> Callable[..., Any]:
        """Make the function that pluggy calls: it notes who raised, and who answered an exclusive hook."""
        hook, function = implementation.hook, implementation.function
        spec = self._find_spec(hook)
        is_exclusive = spec is not None and _is_exclusive(spec)

        @functools.wraps(function)
        def ask(*arguments: Any) -> Any:
            try:
                answer = function(*arguments)
            except (Exception, SystemExit) as error:
                error.add_note(note)
                raise
            if is_exclusive and answer is not None:
                self._answered[hook].append(record)
            return answer

        return ask


class _Connection:
    """What pluggy looks through to find a plugin's implementations: these, each under a guard, and nothing else."""

    def __init__(self, guards: Iterable[tuple[str, Callable[..., Any]]]) -> None:
        self.__dict__.update(guards)

    def __dir__(self) -> Iterable[str]:
        return self.__dict__


def make_manager(plugins: Iterable[object] | None = None) -> PluginManager:
    """Make the manager of a new application or session, and let its plugins join.

    The process's first discovery reads the metadata of all distributions; what follows is cheap.

    Args:
        plugins: modules, objects, or entry points' names; just those join, and nothing is discovered. None: every
            installed plugin joins that is not blocked.

    Raises:
        PluginLoadError: a plugin failed; it names each one that did, the reason, and the way out.
        TypeError: one name was given where a list is expected.
    """
    if isinstance(plugins, str):
        raise TypeError(f"plugins is {plugins!r}, expected a list: [{plugins!r}]")
    manager = PluginManager()
    _refuse_failed(manager.join(_load_installed() if plugins is None else map(_record_given, plugins)))
    return manager


@functools.cache
def survey() -> PluginManager:
    """Make a manager of everything installed, with what can be used; its records tell the rest. Never fails."""
    manager = PluginManager()
    try:
        loaded = _load_installed()
    except Exception as error:  # noqa: BLE001  # metadata may be anything
        unreadable = PluginRecord("installed distributions")
        loaded = (unreadable.fail(f"their metadata can't be read: {_describe(error)}", error),)
    manager.join(loaded)
    return manager


def records() -> tuple[PluginRecord, ...]:
    """Report on everything installed, imported and verified as for a new application. Never fails."""
    return survey().records


@functools.cache
def _load_installed() -> tuple[PluginRecord, ...]:
    """Load every installed plugin; report each word of ``CORELET_BLOCK`` that blocks nothing."""
    names = dict.fromkeys(entry_point.name for _, entry_point in read_plugins())
    loaded = [record for name in names for record in _load_named(name)]
    loaded += [_record_names(each) for each in read_distributions() if each.exports and not each.plugins]
    return (*loaded, *(_record_idle_block(word) for word in read_blocked() if not is_blockable(word)))


@functools.cache
def _load_named(name: str) -> tuple[PluginRecord, ...]:
    """Load the installed plugin that an entry point names; more than one is an error, unless the others are blocked."""
    found = [(distribution, entry_point) for distribution, entry_point in read_plugins() if entry_point.name == name]
    namesakes = [distribution for distribution, _ in found if not distribution.find_block(name)]
    return tuple(_load(distribution, entry_point, namesakes) for distribution, entry_point in found)


def _load(distribution: Distribution, entry_point: EntryPoint, namesakes: Sequence[Distribution]) -> PluginRecord:
    record = _make_record(distribution, entry_point.name)
    if not record.is_ready:
        return record
    if len(namesakes) > 1:
        words = " or ".join(f"{BLOCK_VARIABLE}={each.name}" for each in namesakes)
        return record.fail(
            f"{_enumerate(map(str, namesakes))} each have a plugin of this name; block all but one: {words}"
        )
    if reason := distribution.find_problem(entry_point):
        return record.fail(reason)
    try:
        return examine(record, entry_point.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
        return record.fail(distribution.describe_failure(error), error)


def _make_record(distribution: Distribution, name: str) -> PluginRecord:
    """Make the record of something installed: blocked, or to be looked at further."""
    word = distribution.find_block(name)
    return PluginRecord(
        name,
        PluginState.BLOCKED if word else PluginState.READY,
        distribution.name,
        distribution.version,
        distribution.export_names,
        f"{BLOCK_VARIABLE}={word}" if word else "",
    )


def _record_given(plugin: object) -> PluginRecord:
    if not isinstance(plugin, str):
        return _record_object(plugin, None)
    found = _load_named(plugin)
    if not found:
        names = [entry_point.name for _, entry_point in read_plugins()]
        return PluginRecord(plugin).fail(f"no installed plugin has this name{suggest(plugin, names)}")
    return next((record for record in found if record.state is not PluginState.BLOCKED), found[0])


def _record_object(plugin: object, name: str | None) -> PluginRecord:
    if name is None:
        name = getattr(plugin, "__name__", None) or type(plugin).__name__
    return examine(PluginRecord(name), plugin)


def _record_names(distribution: Distribution) -> PluginRecord:
    """Make the record of a distribution without a plugin; nothing of it is imported before a name is touched."""
    record = _make_record(distribution, distribution.name)
    if not record.is_ready:
        return record
    if reason := distribution.find_problem(None):
        return record.fail(reason)
    return dataclasses.replace(record, state=PluginState.NAMES)


def _record_idle_block(word: str) -> PluginRecord:
    near = suggest(word, read_blockable())
    return PluginRecord(f"{BLOCK_VARIABLE}={word}").fail(f"no installed plugin or distribution has this name{near}")


def _guard_wrapper(implementation: Implementation, note: str) -> Callable[..., Any]:
    """Make the generator function that pluggy calls: it notes who raised, unless that was an implementation within."""
    hook, function = implementation.hook, implementation.function

    @functools.wraps(function)
    def wrap(*arguments: Any) -> Generator[None, Any, Any]:
        try:
            return (yield from function(*arguments))
        except Exception as error:
            if not any(earlier.startswith(f"in hook {hook},") for earlier in getattr(error, "__notes__", ())):
                error.add_note(note)
            raise

    return wrap


def _is_exclusive(spec: Any) -> bool:
    return bool(getattr(spec.function, EXCLUSIVE_MARK, False))


def _refuse_failed(records: Iterable[PluginRecord]) -> None:
    failed = [record for record in records if record.state is PluginState.FAILED]
    if not failed:
        return
    lines = ["cannot load every plugin:", *(f"  {record}: {record.reason}" for record in failed)]
    if names := [record.name for record in failed if record.distribution]:
        words = ",".join(dict.fromkeys((*filter(is_blockable, read_blocked()), *names)))
        lines.append(f"to go on without: {BLOCK_VARIABLE}={words}")
    raise PluginLoadError("\n".join(lines)) from next((each.error for each in failed if each.error), None)


def _describe_conflict(hook: str, claimants: Sequence[PluginRecord]) -> str:
    ways = [f"{BLOCK_VARIABLE}={record.name}" for record in claimants if record.distribution]
    ways.append("name those that you want: plugins=[...]")
    return f"{hook} is a role for one plugin, and {_enumerate(map(str, claimants))} claim it; {' or '.join(ways)}"


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _enumerate(words: Iterable[str]) -> str:
    *rest, last = [*words] or ["nothing"]
    return f"{', '.join(rest)} and {last}" if rest else last
