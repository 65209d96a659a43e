"""The static plugin: its names do the work; here it tells the operator what is served."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from corelet import hookimpl

from .resource import StaticResource


@hookimpl
def corelet_report(app: Any) -> list[str]:
    """List the directories that an application serves."""
    return list(_describe(app))


def _describe(app: Any) -> Iterator[str]:
    resources = () if app.handler is not None else app.router.resources()
    for resource in resources:
        if isinstance(resource, StaticResource):
            info = resource.get_info()
            yield f"{info['prefix'] or '/'} serves {info['directory']}"
