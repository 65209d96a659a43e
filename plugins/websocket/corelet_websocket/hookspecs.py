"""The hooks that this plugin defines. A docstring here is that hook's page in the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corelet import hookspec

if TYPE_CHECKING:
    from .extension import WebSocketExtensionRegistry


@hookspec
def corelet_websocket_extensions(registry: WebSocketExtensionRegistry) -> None:
    """Register WebSocket extensions that servers accept, beside permessage-deflate.

    When: the application starts.

    Order: as all hooks; a client's order of preference decides among what it offers.

    Args:
        registry: call ``registry.add(factory)`` with a ``WebSocketExtensionFactory``.

    Returns: None.

    Raises: PluginConflictError where two plugins register one name; any exception stops the start.

    Since: hook API 1.
    """
