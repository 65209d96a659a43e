"""The plugin: environments of applications in each other are joined when the outermost one starts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from corelet import hookimpl, web

from . import hookspecs
from .environment import TEMPLATES, join_environments


@hookimpl
def corelet_add_hookspecs(manager: Any) -> None:
    """Add the hook of hookspecs.py."""
    manager.add_hookspecs(hookspecs)


@hookimpl
def corelet_configure(app: web.Application) -> None:
    """Give the application a place for its templates."""
    app[TEMPLATES] = None


@hookimpl
@asynccontextmanager
async def corelet_lifespan(app: web.Application) -> AsyncIterator[None]:
    """Ask other plugins for what templates can use; have inner applications fall back to the outer ones' templates."""
    templates = app[TEMPLATES]
    if templates is not None:
        app.plugins.call_all("corelet_jinja2_environment", app=app, environment=templates.environment)
    if not app.is_mounted:
        join_environments(app)
    yield


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell where templates come from."""
    templates = app[TEMPLATES]
    if templates is None:
        return ["not set up here"]
    loaders = ", ".join(type(loader).__name__ for loader in templates.loader.loaders)
    return [f"templates by {loaders}", f"auto_reload: {templates.environment.auto_reload}"]
