"""Server-sent events for corelet, by the HTML standard."""

from __future__ import annotations

from .response import EventSourceResponse, event_source

__all__ = ["EventSourceResponse", "event_source"]
