"""Testing tools, assembled: the names of installed plugins, each imported when first touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import make_dir, make_getattr

if not TYPE_CHECKING:
    __getattr__ = make_getattr("test_utils", globals())
    __dir__ = make_dir("test_utils")
