"""The testing plugin: its names do the work; here are its command, and what it tells the operator."""

from __future__ import annotations

from typing import Any

from corelet import hookimpl

from . import new_plugin


@hookimpl
def corelet_add_commands(commands: Any) -> None:
    """Add ``corelet new-plugin``."""
    new_plugin.add_command(commands)


@hookimpl
def corelet_report(app: Any) -> list[str]:
    """Tell that testing tools are installed, which nobody needs who only serves."""
    return ["testing tools are installed: a server in production needs none"]
