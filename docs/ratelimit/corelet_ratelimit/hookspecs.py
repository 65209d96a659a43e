"""The hook that this plugin defines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corelet import hookspec


@hookspec(exclusive=True)
def corelet_ratelimit_peer(app: Any) -> Callable[[Any], str] | None:
    """Say what counts as one peer: a user, a key, an address that a proxy has told.

    When: the application freezes, for each route.

    Order: one plugin answers; where none does the address of the connection counts.

    Args:
        app: the Application.

    Returns: ``(request) -> name``, or None.

    Raises: PluginConflictError where two plugins answer.

    Since: corelet-ratelimit 1.0.
    """
