"""The lookup tree: from a path to the few resources that may match it, in the order of their registration.

Each level of the tree is one segment of the path. A node leads on by a segment's text, by any text where a whole
segment is one variable, or by how the segment starts and ends. The tree only sorts out: a candidate's expression has
the last word. So only patterns that differ in nothing but an expression, or in text between two variables of a
segment, are tried one after the other. A lookup visits a node at most once and stops at the depth of the tree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from .match_info import UrlMappingMatchInfo
from .method_route import METH_ANY, ResourceRoute
from .pattern import WILD, Ends, Pattern, Segment
from .resource import AbstractResource

_T = TypeVar("_T")

_NO_MATCH: Final = (None, ())
_ANY_ENDS: Final = Ends("", "")
_BY_ORDER: Final = attrgetter("order")


class Candidate:
    """A resource that may match a path.

    Args:
        order: its rank; the lowest is tried first.
        resource: the resource.
        pattern: decides whether a path matches; None: only the resource itself can.
        routes: the resource's routes by method, if there is a pattern.
    """

    __slots__ = ("_positions", "order", "pattern", "resource", "routes")

    def __init__(
        self,
        order: int,
        resource: AbstractResource,
        pattern: Pattern | None = None,
        routes: Mapping[str, ResourceRoute] | None = None,
    ) -> None:
        self.order = order
        self.resource = resource
        self.pattern = pattern
        self.routes = routes or {}
        self._positions = None if pattern is None else pattern.positions

    def find(
        self, method: str, path: str, segments: Sequence[str], apps: tuple[Any, ...]
    ) -> tuple[UrlMappingMatchInfo | None, Collection[str]]:
        """Find the match for a path that the tree has found this candidate for, by its pattern.

        Returns:
            As of :meth:`AbstractResource.find`; the match belongs to ``apps``.
        """
        if self._positions is None or "%" in path or "{" in path or "}" in path:
            values = None if self.pattern is None else self.pattern.match(path)
            if values is None:
                return _NO_MATCH
        else:  # Whole segments: the tree has checked all but the three signs above.
            values = {name: segments[place] for name, place in self._positions}
        route = self.routes.get(method) or self.routes.get(METH_ANY)
        return (None, self.routes) if route is None else (UrlMappingMatchInfo(values, route, apps), ())


class _ByEnds(Generic[_T]):
    """Things by the fixed ends of a text; one look for each pair of lengths, however many things there are."""

    __slots__ = ("_tables",)

    def __init__(self) -> None:
        self._tables: dict[tuple[int, int], dict[tuple[str, str], _T]] = {}

    def setdefault(self, ends: Ends, new: _T) -> _T:
        return self._tables.setdefault((len(ends.start), len(ends.end)), {}).setdefault(ends, new)

    def find(self, started: str, ended: str) -> list[_T]:
        """Find the things whose start one text has, and whose end the other."""
        found = []
        for (start, end), table in self._tables.items():
            thing = table.get((started[:start], ended[-end:] if end else ""))
            if thing is not None:
                found.append(thing)
        return found


class _Node:
    """What is known after some segments of a path."""

    __slots__ = ("by_ends", "by_text", "is_end", "is_straight", "leaves", "tails", "wild")

    def __init__(self) -> None:
        #: Whether only text and whole segments lead on from here.
        self.is_straight = True
        #: Whether nothing but prefixes end here, and nothing leads on: the leaves have every path below.
        self.is_end = False
        self.by_text: dict[str, _Node] = {}
        self.wild: _Node | None = None
        self.by_ends: _ByEnds[_Node] | None = None
        #: Those whose last segment led here.
        self.leaves: list[Candidate] = []
        #: Those that take all the rest, at least one segment.
        self.tails: _ByEnds[list[Candidate]] | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing ends here or leads on."""
        return not (self.leaves or self.by_text or self.wild or self.by_ends or self.tails)

    def enter(self, segment: Segment) -> _Node:
        """Get the node that a segment of a pattern leads to; make it if need be."""
        self.is_end = False
        if isinstance(segment, str):
            return self.by_text.setdefault(segment, _Node())
        if segment is WILD:
            self.wild = self.wild or _Node()
            return self.wild
        self.is_straight = False
        self.by_ends = self.by_ends or _ByEnds()
        return self.by_ends.setdefault(segment, _Node())

    def add_tail(self, ends: Ends, candidate: Candidate) -> None:
        self.is_straight = False
        self.is_end = False
        self.tails = self.tails or _ByEnds()
        self.tails.setdefault(ends, []).append(candidate)


class Tree:
    """Resources by what is known of their paths."""

    __slots__ = ("_root",)

    def __init__(self) -> None:
        self._root = _Node()

    def add_pattern(self, candidate: Candidate, pattern: Pattern) -> None:
        """Add a candidate for the paths that a pattern matches."""
        node = self._descend(("", *pattern.segments))
        if pattern.tail is None:
            node.leaves.append(candidate)
            node.is_end = False
        else:
            node.add_tail(pattern.tail, candidate)

    def add_prefix(self, candidate: Candidate, segments: Sequence[str]) -> None:
        """Add a candidate for the path of these segments and all below it; without segments for every path."""
        node = self._descend(segments)
        is_end = node.is_end or node.is_empty
        node.leaves.append(candidate)
        node.add_tail(_ANY_ENDS, candidate)
        node.is_end = is_end

    def find(self, path: str, segments: Sequence[str]) -> Sequence[Candidate]:
        """Find the candidates for a path, in their order.

        Args:
            path: what :func:`decode_path` made of it.
            segments: ``path.split("/")``.
        """
        node = self._root
        for segment in segments:
            if not node.is_straight:
                if node.is_end:
                    return node.leaves
                break
            child = node.by_text.get(segment)
            if child is None:
                if node.wild is None or not segment:
                    return ()
                node = node.wild
            elif node.wild is None:
                node = child
            else:
                break
        else:
            return node.leaves
        return self._find_branching(path, segments)

    def _find_branching(self, path: str, segments: Sequence[str]) -> Sequence[Candidate]:
        found: list[Candidate] = []
        _collect(self._root, path, segments, 0, found)
        if len(found) > 1:
            found.sort(key=_BY_ORDER)
        return found

    def _descend(self, segments: Sequence[Segment]) -> _Node:
        node = self._root
        for segment in segments:
            node = node.enter(segment)
        return node


def _collect(node: _Node, path: str, segments: Sequence[str], start: int, found: list[Candidate]) -> None:
    """Walk down from the segment at ``start``; call itself only where the way branches."""
    for place in range(start, len(segments)):
        segment = segments[place]
        if node.tails is not None:
            for tail in node.tails.find(segment, path):
                found += tail
        if node.by_ends is not None:
            for branch in node.by_ends.find(segment, segment):
                _collect(branch, path, segments, place + 1, found)
        wild = node.wild if segment else None
        child = node.by_text.get(segment, wild)
        if child is None:
            return
        if wild is not None and wild is not child:
            _collect(wild, path, segments, place + 1, found)
        node = child
    found += node.leaves
