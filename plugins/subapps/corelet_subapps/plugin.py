"""The plugin of mounted applications: fills the kernel's ports ``app.add_subapp`` and ``app.add_domain``."""

from __future__ import annotations

from typing import Any

from corelet import hookimpl

from .domain_resource import MatchedSubAppResource
from .prefix_resource import PrefixedSubAppResource


@hookimpl
def corelet_mount(app: Any, where: str, subapp: Any) -> PrefixedSubAppResource | MatchedSubAppResource:
    """Mount an application below a prefix, which starts with a slash, or at a domain."""
    kind = PrefixedSubAppResource if where.startswith("/") else MatchedSubAppResource
    return kind.mount(app, where, subapp)
