"""The cells of the matrix: what is installed together, and what is tested there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from itertools import chain

from tests.packaging.project import Project, read_plugins, read_project


@dataclasses.dataclass(frozen=True)
class Cell:
    """What one fresh environment has.

    Args:
        name: how it is chosen and shown.
        requirements: what pip is asked for.
        plugins: the plugins that are there then, what was asked for and what that requires.
        uninstalled: the plugins that are uninstalled in turn, and installed again.
        test_rooms: folders of tests/ whose tests run there.
        test_plugins: further plugins that these tests use, installed just before them.
        is_plain: whether its wheels were built where nothing compiles.
        is_typed: whether the sample program is type-checked there.
    """

    name: str
    requirements: tuple[str, ...]
    plugins: frozenset[str]
    uninstalled: tuple[str, ...] = ()
    test_rooms: tuple[str, ...] = ()
    test_plugins: frozenset[str] = frozenset()
    is_plain: bool = False
    is_typed: bool = False

    @property
    def wire(self) -> str:
        """Which implementation serves."""
        return "pure" if self.is_plain else "fast"

    def find_broken(self, plugin: str) -> frozenset[str]:
        """Find its plugins that can't work without a plugin."""
        return frozenset(each for each in self.plugins if plugin in read_project(each).required)


def make_cells() -> list[Cell]:
    """Make all cells: the kernel, each plugin alone, each pair that depends, everything, everything without a compiler.

    A plugin alone has with it what it requires, and a pair is a plugin with one that it requires, both asked for.
    """
    plugins = read_plugins()
    names = tuple(each.name for each in plugins)
    pairs = [(read_project(name), each) for each in plugins for name in sorted(each.required)]
    return [
        Cell("kernel", ("corelet",), frozenset()),
        *(_make_cell(each.name, each) for each in plugins),
        *(_make_cell(f"{first.name}+{second.name}", first, second) for first, second in pairs),
        Cell("all", ("corelet[all]",), frozenset(names), names, (*names, "kernel", "examples"), is_typed=True),
        Cell("plain", ("corelet[all]",), frozenset(names), is_plain=True),
    ]


def make_quick_cells() -> list[Cell]:
    """Make the cells that show most in little time: no pairs and no tests, and only ``all`` uninstalls plugins."""
    return [
        dataclasses.replace(cell, uninstalled=cell.uninstalled if cell.name == "all" else (), test_rooms=())
        for cell in make_cells()
        if "+" not in cell.name
    ]


def _make_cell(name: str, *projects: Project) -> Cell:
    names = tuple(each.name for each in projects)
    plugins = frozenset(names).union(*(each.required for each in projects))
    return Cell(
        name,
        tuple(each.distribution for each in projects),
        plugins,
        names,
        names,
        frozenset(chain.from_iterable(each.test_plugins for each in projects)) - plugins,
    )


def choose_cells(only: Iterable[str] | None, *, is_quick: bool) -> list[Cell]:
    """Choose cells by their names; all of them unless given.

    Raises:
        ValueError: there is none of a name.
    """
    cells = {cell.name: cell for cell in (make_quick_cells() if is_quick else make_cells())}
    wanted = list(cells if only is None else only)
    if unknown := [name for name in wanted if name not in cells]:
        raise ValueError(f"there is no cell {', '.join(unknown)}; there are {', '.join(cells)}")
    return [cells[name] for name in wanted]
