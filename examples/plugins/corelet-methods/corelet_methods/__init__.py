"""A router without decorators: tables of handlers, method first."""

from __future__ import annotations

from .match import MethodMatch
from .route import MethodRoute
from .router import MethodRouter

__all__ = ["MethodMatch", "MethodRoute", "MethodRouter"]
