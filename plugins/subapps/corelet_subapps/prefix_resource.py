"""Applications mounted below a path prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from corelet.web import PrefixResource

from .subapp_resource import SubAppResource, get_dispatcher

if TYPE_CHECKING:
    from corelet.web import Application


class PrefixedSubAppResource(SubAppResource, PrefixResource):
    """An application mounted below a prefix, for the prefix itself and all paths below. Made by ``app.add_subapp``.

    Args:
        prefix: a path without variables; slashes at its end don't count.
        app: the inner application; its routes move below the prefix.
        beside: what was mounted in the same router before, if anything.

    Raises:
        TypeError: the application's router can't be moved below a prefix.
        ValueError: the prefix is empty, ``/`` or starts with two slashes, or it has variables; or the application would
            never be asked, since one mounted before has the prefix, or a part of it.
    """

    def __init__(self, prefix: str, app: Application, *, beside: PrefixedSubAppResource | None = None) -> None:
        super().__init__(_check_prefix(prefix))
        # Shared by all of one router: decoded segments, without what the router itself was moved below.
        self._mounted: dict[tuple[str, ...], PrefixedSubAppResource] = {} if beside is None else beside._mounted
        segments = tuple(self.segments)
        self._check_is_reached(segments)
        self.hold(app, self.canonical)
        self._mounted[segments] = self

    @classmethod
    def mount(cls, outer: Application, prefix: str, app: Application) -> Self:
        """Mount an application in an outer one; raises as the class."""
        router = get_dispatcher(outer)
        beside = next((each for each in router.resources() if isinstance(each, cls)), None)
        resource = cls(prefix, app, beside=beside)
        router.register_resource(resource)
        return resource

    def _check_is_reached(self, segments: Sequence[str]) -> None:
        for length in range(1, len(segments) + 1):
            earlier = self._mounted.get(tuple(segments[:length]))
            if earlier is not None:
                raise ValueError(
                    f"an application at {self.canonical!r} would never be asked: {earlier!r} was mounted before and "
                    "has all paths below it; mount the longer prefix first, or inside that application"
                )

    def add_prefix(self, prefix: str) -> None:
        """Move below a prefix, with all routes of the application."""
        super().add_prefix(prefix)
        self.router.add_prefix(prefix)

    def get_info(self) -> dict[str, Any]:
        """Facts: ``app`` and ``prefix``."""
        return {"app": self.app, **super().get_info()}

    def __repr__(self) -> str:
        return f"<PrefixedSubAppResource {self.canonical} -> {self.app!r}>"


def _check_prefix(prefix: str) -> str:
    stripped = prefix.rstrip("/")
    if not stripped or stripped.startswith("//"):
        raise ValueError(
            f"{prefix!r} is no prefix for an application: expected one slash and more, like '/api'; what is to have "
            "every path is mounted at the domain '*'"
        )
    return stripped
