"""The plugin: ASGI applications start and stop with the application that they are mounted in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from corelet import hookimpl, web

from .mount import ASGI_MOUNTS, AsgiMounts


@hookimpl
def corelet_configure(app: web.Application) -> None:
    """Give the application a place for what is mounted in it."""
    app[ASGI_MOUNTS] = AsgiMounts()


@hookimpl
@asynccontextmanager
async def corelet_lifespan(app: web.Application) -> AsyncIterator[None]:
    """Start what is mounted; a start that fails stops the server's."""
    async with AsyncExitStack() as leaving:
        await app[ASGI_MOUNTS].start(leaving)
        yield


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell what is mounted where."""
    return [mount.describe() for mount in app[ASGI_MOUNTS]]
