"""Content codings for corelet: compressed answers and compressed request bodies, public in ``corelet.web``."""

from __future__ import annotations

from .decompression import decompression_middleware
from .middleware import compression_middleware
from .route_mark import compressed, uncompressed
from .zlib_backend import set_zlib_backend

__all__ = [
    "compressed",
    "compression_middleware",
    "decompression_middleware",
    "set_zlib_backend",
    "uncompressed",
]
