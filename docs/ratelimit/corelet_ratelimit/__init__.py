"""Answers 429 to peers that ask too often; the public names are here, and arrive through ``corelet.web``."""

from .limiter import setup_rate_limit, unlimited

__all__ = ["setup_rate_limit", "unlimited"]
