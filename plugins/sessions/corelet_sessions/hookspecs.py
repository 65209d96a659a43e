"""The hooks of the sessions plugin. A docstring here is that hook's page in the documentation."""

from __future__ import annotations

from typing import Any

from corelet import hookspec


@hookspec
def corelet_sessions_storages(registry: Any) -> None:
    """Register storages of sessions by the scheme of a URL.

    When: ``setup_sessions(app, url)`` is given a URL.

    Order: as all hooks; a scheme is registered once.

    Args:
        registry: call ``registry.add(scheme, factory)``; ``factory(url)`` returns an AbstractStorage. Import what it
            needs in the factory.

    Returns: None.

    Raises: PluginConflictError where two plugins register one scheme.

    Since: hook API 1.
    """
