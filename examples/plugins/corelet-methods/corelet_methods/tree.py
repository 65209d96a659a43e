"""The paths of one method, as a tree of segments."""

from __future__ import annotations

from collections.abc import Sequence

from .route import MethodRoute


class Tree:
    """The routes below one point of their paths; a word goes before a variable.

    A look-up visits each node of the tree at most once, whatever the path.
    """

    __slots__ = ("_route", "_variable", "_words")

    def __init__(self) -> None:
        self._words: dict[str, Tree] = {}
        self._variable: Tree | None = None
        self._route: MethodRoute | None = None

    def add(self, route: MethodRoute) -> None:
        """Add a route.

        Raises:
            ValueError: another one answers the same requests.
        """
        place = self
        for word in route.words:
            place = place._make_below(word)
        if place._route is not None:
            raise ValueError(f"{route!r} and {place._route!r} answer the same requests")
        place._route = route

    def _make_below(self, word: str | None) -> Tree:
        if word is not None:
            return self._words.setdefault(word, Tree())
        if self._variable is None:
            self._variable = Tree()
        return self._variable

    def find(self, segments: Sequence[str], position: int = 0) -> tuple[MethodRoute, tuple[str, ...]] | None:
        """Find the route of a path, with the values of its variables; None where there is none.

        Args:
            segments: of the path, decoded.
            position: of the first one that counts.
        """
        if position == len(segments):
            return None if self._route is None else (self._route, ())
        segment = segments[position]
        below = self._words.get(segment)
        found = None if below is None else below.find(segments, position + 1)
        if found is not None or self._variable is None or not segment:
            return found
        found = self._variable.find(segments, position + 1)
        return None if found is None else (found[0], (segment, *found[1]))
