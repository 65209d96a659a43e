"""The event sources that are open: they end when the server is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from corelet import web

if TYPE_CHECKING:
    from .response import EventSourceResponse


class OpenSources:
    """The open event sources of one application."""

    def __init__(self) -> None:
        self._open: set[EventSourceResponse] = set()
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, source: EventSourceResponse) -> None:
        """Take an event source; while the application stops, it ends at once."""
        self._open.add(source)
        if self._is_stopping:
            source.stop()

    def discard(self, source: EventSourceResponse) -> None:
        """Forget one that has ended."""
        self._open.discard(source)

    async def stop(self, app: Any) -> None:
        """End all, and those that are still to come."""
        self._is_stopping = True
        for source in tuple(self._open):
            source.stop()


OPEN_SOURCES: Final = web.AppKey("open_sources", OpenSources)


def find_open_sources(app: web.Application | None) -> OpenSources:
    """Find those of the served application; for one that was made without the plugin nobody says when to stop."""
    return OpenSources() if app is None else app.get(OPEN_SOURCES, OpenSources())
