"""The HTTP client of corelet: sessions, connectors and what belongs to them, all public in ``corelet``."""

from __future__ import annotations

__all__: list[str] = []
