"""The plugin of server-sent events: streams end when the server stops, which would wait for them otherwise."""

from __future__ import annotations

from corelet import hookimpl, web

from .open_sources import OPEN_SOURCES, OpenSources


@hookimpl
def corelet_configure(app: web.Application) -> None:
    """Give the application a place for its event sources."""
    sources = app[OPEN_SOURCES] = OpenSources()
    app.on_shutdown.append(sources.stop)


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell how many streams are open."""
    return [f"open event sources: {len(app[OPEN_SOURCES])}"]
