"""Which codings can be had here: gzip and deflate always, br and zstd where their libraries are installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

from corelet.abc import ContentCoding

from .brotli_coding import BrotliCoding, is_usable
from .zlib_backend import get_zlib_backend
from .zlib_coding import DeflateCoding, GzipCoding
from .zstd_coding import ZSTD_MODULE, ZstdCoding


def make_codings() -> Iterator[ContentCoding]:
    """Make the codings, the dearest first: zstd takes the least time for its size, br gives the least bytes."""
    zstd, brotli = _find_module(ZSTD_MODULE), _find_module("brotli")
    if zstd is not None:
        yield ZstdCoding(zstd)
    if brotli is not None and is_usable(brotli):
        yield BrotliCoding(brotli)
    yield GzipCoding()
    yield DeflateCoding()


def describe_codings() -> Iterator[str]:
    """Say for each coding where it comes from, or what to install."""
    backend = get_zlib_backend()
    yield f"gzip, deflate: {getattr(backend, '__name__', repr(backend))}"
    brotli = _find_module("brotli")
    if brotli is None:
        yield "br: not installed (pip install corelet-compression[br])"
    elif not is_usable(brotli):
        yield "br: brotli is older than 1.2 and can't bound what it decodes (pip install --upgrade brotli)"
    else:
        yield "br: brotli"
    has_zstd = _find_module(ZSTD_MODULE) is not None
    yield f"zstd: {ZSTD_MODULE}" if has_zstd else "zstd: not installed (pip install corelet-compression[zstd])"


def _find_module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        return None
