"""Cross-origin resource sharing for corelet, by the Fetch standard."""

from __future__ import annotations

from .place import Cors, setup_cors
from .policy import CorsPolicy
from .route_mark import cors

__all__ = ["Cors", "CorsPolicy", "cors", "setup_cors"]
