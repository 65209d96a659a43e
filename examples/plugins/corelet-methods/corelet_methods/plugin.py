"""The plugin: fills the role of the router."""

from __future__ import annotations

from corelet import hookimpl, web

from .router import MethodRouter


@hookimpl
def corelet_make_router(app: web.Application) -> MethodRouter:
    """Make the router of an application."""
    return MethodRouter()
