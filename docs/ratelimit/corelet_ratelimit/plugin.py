"""The hooks of corelet that this plugin takes part in."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

from corelet import hookimpl, web

from . import hookspecs
from .limiter import LIMITER, is_free


@hookimpl
def corelet_add_hookspecs(manager: Any) -> None:
    """Add the hooks of hookspecs.py."""
    manager.add_hookspecs(hookspecs)


@hookimpl
def corelet_wrap_handler(app: web.Application, route: Any) -> Callable[[web.Handler], web.Handler] | None:
    """Count before the handler runs, where the application is limited and the handler is not free."""
    limiter = app.get(LIMITER)
    if limiter is None or is_free(getattr(route, "handler", None)):
        return None
    find_peer = app.plugins.call_one("corelet_ratelimit_peer", app=app) or _find_address

    def wrap(handler: web.Handler) -> web.Handler:
        async def count(request: web.Request) -> web.StreamResponse:
            if wait := limiter.take(find_peer(request)):
                raise web.HTTPTooManyRequests(headers={"Retry-After": str(ceil(wait))})
            response: web.StreamResponse = await handler(request)
            return response

        return count

    return wrap


def _find_address(request: web.Request) -> str:
    return request.remote or ""


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell the limit, and how many requests were over it."""
    limiter = app.get(LIMITER)
    if limiter is None:
        return []
    return [f"{limiter.requests} requests in {limiter.seconds:g} s for each peer; {limiter.refused} refused so far"]
