"""The compression plugin: registers the content codings, and wraps the routes that have a mark of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corelet import hookimpl
from corelet.abc import Handler

from .registration import describe_codings, make_codings
from .route_mark import find_wrapper


@hookimpl
def corelet_register_codings(codings: Any) -> None:
    """Register the codings that can be had here, the dearest first."""
    for coding in make_codings():
        codings.add(coding)


@hookimpl
def corelet_wrap_handler(app: Any, route: Any) -> Callable[[Handler], Handler] | None:
    """Wrap a route whose handler was marked by ``compressed`` or ``uncompressed``."""
    return find_wrapper(app.handler if route is None else getattr(route, "handler", None))


@hookimpl
def corelet_report(app: Any) -> list[str]:
    """Tell which codings there are, and by which libraries."""
    return list(describe_codings())
