"""The routing plugin: fills the kernel's port for a router."""

from __future__ import annotations

from typing import Any

from corelet import hookimpl

from . import hookspecs
from .dispatcher import UrlDispatcher


@hookimpl
def corelet_add_hookspecs(manager: Any) -> None:
    """Add the hooks of hookspecs.py."""
    manager.add_hookspecs(hookspecs)


@hookimpl
def corelet_make_router(app: Any) -> UrlDispatcher:
    """Make a dispatcher; it asks for the routes of plugins once it has its application."""
    return UrlDispatcher()
