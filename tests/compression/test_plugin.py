"""The plugin: what it registers, and what it reports."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

import corelet_compression.plugin
from corelet import web
from corelet_compression.registration import ZSTD_MODULE, describe_codings, make_codings


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hide the libraries of br and zstd."""
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, ZSTD_MODULE, None)
    return None


def test_all_that_is_installed_is_registered_the_dearest_first() -> None:
    assert [coding.name for coding in make_codings()] == ["zstd", "br", "gzip", "deflate"]
    assert list(describe_codings())[1:] == ["br: brotli", f"zstd: {ZSTD_MODULE}"]


def test_gzip_and_deflate_are_there_without_any_library(hide: None) -> None:
    assert [coding.name for coding in make_codings()] == ["gzip", "deflate"]
    assert list(describe_codings())[1:] == [
        "br: not installed (pip install corelet-compression[br])",
        "zstd: not installed (pip install corelet-compression[zstd])",
    ]


def test_brotli_that_cannot_bound_what_it_decodes_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        class Decompressor: ...

    monkeypatch.setitem(sys.modules, "brotli", Old)
    assert "br" not in [coding.name for coding in make_codings()]
    assert "older than 1.2" in list(describe_codings())[1]


def test_operator_sees_where_codings_come_from() -> None:
    app = web.Application(plugins=[corelet_compression.plugin])
    (lines,) = app.plugins.call_all("corelet_report", app=app)
    assert lines[0].startswith("gzip, deflate: ")
