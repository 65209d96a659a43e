"""The hook implementations: an application's WebSockets are closed when it stops, and know its extensions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from corelet import hookimpl, web

from . import hookspecs
from .registry import find_websockets, make_websockets


@hookimpl
def corelet_add_hookspecs(manager: Any) -> None:
    """Add the hook for extensions."""
    manager.add_hookspecs(hookspecs)


@hookimpl
def corelet_configure(app: web.Application) -> None:
    """Give the application a place for its WebSockets, which end when it is told to stop."""
    websockets = make_websockets(app)

    async def start_close(app: web.Application) -> None:
        websockets.start_close()

    app.on_shutdown.append(start_close)


@hookimpl
@asynccontextmanager
async def corelet_lifespan(app: web.Application) -> AsyncIterator[None]:
    """Ask other plugins for extensions."""
    app.plugins.call_all("corelet_websocket_extensions", registry=find_websockets(app).extensions)
    yield


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell the operator how many WebSockets are open, and which extensions are accepted."""
    websockets = find_websockets(app)
    names = [websockets.deflate.name, *(factory.name for factory in websockets.extensions)]
    return [f"open WebSockets: {len(websockets)}", f"extensions: {', '.join(names)}"]
