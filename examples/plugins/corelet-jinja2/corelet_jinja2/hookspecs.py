"""The hook of this plugin: other plugins give templates what they have."""

from __future__ import annotations

from typing import Any

from corelet import hookspec


@hookspec
def corelet_jinja2_environment(app: Any, environment: Any) -> None:
    """Change an application's environment: add filters, tests, globals.

    When: the application starts, once for each that has called ``setup_jinja2``.

    Order: as all hooks.

    Args:
        app: the Application.
        environment: its ``jinja2.Environment``.

    Returns: None.

    Raises: any exception stops the start.

    Since: corelet-jinja2 0.1.
    """
