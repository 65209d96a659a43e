"""Codings as they are registered, and each library behind gzip."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import pytest

from corelet.abc import ContentCoding
from corelet_compression import set_zlib_backend
from corelet_compression.registration import make_codings
from corelet_compression.zlib_backend import get_zlib_backend

CODINGS = {coding.name: coding for coding in make_codings()}
BACKENDS = ("zlib", "zlib_ng.zlib_ng", "isal.isal_zlib")


@pytest.fixture(params=["zstd", "br", "gzip", "deflate"])
def coding(request: pytest.FixtureRequest) -> ContentCoding:
    """Give each coding in turn; all of them are needed."""
    return CODINGS[request.param]


@pytest.fixture
def keep_backend() -> Iterator[None]:
    """Put back the library behind gzip."""
    before = get_zlib_backend()
    yield
    set_zlib_backend(before)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, keep_backend: None) -> str:
    """Have gzip and deflate done by each library in turn."""
    set_zlib_backend(importlib.import_module(request.param))
    return str(request.param)
