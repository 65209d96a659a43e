"""The client plugin: adds the client's own hooks."""

from __future__ import annotations

from typing import Any

from corelet import hookimpl

from . import hookspecs


@hookimpl
def corelet_add_hookspecs(manager: Any) -> None:
    """Add the hooks of hookspecs.py."""
    manager.add_hookspecs(hookspecs)
