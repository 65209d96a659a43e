"""The testing plugin: its names do the work; here it tells the operator that it is there."""

from __future__ import annotations

from typing import Any

from corelet import hookimpl


@hookimpl
def corelet_report(app: Any) -> list[str]:
    """Tell that testing tools are installed, which nobody needs who only serves."""
    return ["testing tools are installed: a server in production needs none"]
