"""Which media types are coded."""

from __future__ import annotations

import pytest

from corelet_compression.media_type import DEFAULT_MEDIA_TYPES, make_matcher

FIELDS = {
    "text/html; charset=utf-8": True,
    "TEXT/CSS": True,
    "text/event-stream": True,
    "application/json": True,
    "application/problem+json": True,
    "application/atom+xml;charset=utf-8": True,
    "image/svg+xml": True,
    "application/wasm": True,
    "font/ttf": True,
    "font/woff2": False,
    "image/png": False,
    "video/mp4": False,
    "application/zip": False,
    "application/octet-stream": False,
    "": False,
    "nonsense": False,
}


@pytest.mark.parametrize("field", FIELDS)
def test_text_of_all_kinds_is_coded_by_default(field: str) -> None:
    matches = make_matcher(DEFAULT_MEDIA_TYPES)
    assert matches(field) is matches(field) is FIELDS[field]


def test_any_type_can_be_asked_for() -> None:
    assert make_matcher(["*/*"])("image/png")
    assert make_matcher(["image/*+xml"])("image/svg+xml")
    assert not make_matcher(["image/*+xml"])("text/x+xml")


def test_what_is_remembered_is_bounded() -> None:
    matches = make_matcher(["text/*"])
    assert all(matches(f"text/plain; number={number}") for number in range(3000))
    assert len(matches.__closure__[0].cell_contents) <= 1024  # type: ignore[index]


@pytest.mark.parametrize("media_type", ["html", "text/html; charset=utf-8", "a/b/c", "text/ html"])
def test_what_is_no_media_type_is_refused(media_type: str) -> None:
    with pytest.raises(ValueError, match="is no media type: expected one like text/html"):
        make_matcher([media_type])
