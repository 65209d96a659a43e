"""The library behind gzip and deflate: what is taken, and what can be chosen."""

from __future__ import annotations

import sys
import zlib
from typing import Any

import pytest

import corelet
from corelet_compression import zlib_backend
from corelet_compression.zlib_backend import get_zlib_backend, scale_level, set_zlib_backend
from tests.compression.coded import encode
from tests.compression.conftest import CODINGS


@pytest.mark.parametrize(
    ("missing", "expected"),
    [((), "isal.isal_zlib"), (("isal",), "zlib_ng.zlib_ng"), (("zlib_ng", "isal"), "zlib")],
)
def test_the_fastest_that_is_installed_is_taken(
    monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...], expected: str
) -> None:
    for package in missing:
        for module in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(zlib_backend._Choice, "backend", None)
    assert get_zlib_backend().__name__ == expected  # type: ignore[attr-defined]


def test_another_can_be_chosen(keep_backend: None) -> None:
    asked: list[Any] = []

    class Counting:
        error = zlib.error
        decompressobj = staticmethod(zlib.decompressobj)

        @staticmethod
        def compressobj(*arguments: int) -> Any:
            asked.append(arguments)
            return zlib.compressobj(*arguments)

    corelet.set_zlib_backend(Counting)  # type: ignore[arg-type]
    encode(CODINGS["gzip"], b"content", 7)
    assert asked == [(7, zlib.DEFLATED, 31)]


def test_what_is_no_zlib_is_refused() -> None:
    with pytest.raises(TypeError, match="is no zlib: it has no compressobj, decompressobj, error"):
        set_zlib_backend(object())  # type: ignore[arg-type]


def test_levels_are_scaled_to_what_the_library_has() -> None:
    class Short:
        Z_BEST_COMPRESSION = 3

    assert [scale_level(Short, level) for level in range(10)] == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]  # type: ignore[arg-type]
    assert [scale_level(zlib, level) for level in range(10)] == list(range(10))
