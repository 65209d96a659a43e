"""The hooks of the routing plugin. A docstring here is that hook's page in the documentation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from corelet import hookspec

from .definition import AbstractRouteDef


@hookspec
def corelet_routing_routes(app: Any) -> Iterable[AbstractRouteDef] | None:
    """Give an application routes of the plugin's own.

    What answers requests is switched on by a visible line in the application: give routes only where a key of the
    application's state, or a setting, asks for them.

    When: once for each application, when its router is made or is given to it; the application's own routes come
    after, so that none of its patterns hides these.

    Order: as all hooks; routes are added in this order.

    Args:
        app: the Application that the router is for.

    Returns: route definitions, such as a RouteTableDef or ``[web.get("/health", handler)]``; or None.

    Raises: any exception leaves ``app.router``, also those of ``router.add_routes``.

    Since: hook API 1.
    """
