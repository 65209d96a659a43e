"""The server side, assembled: the kernel's names and those of installed plugins, each imported when first touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import make_dir, make_getattr

if not TYPE_CHECKING:
    __getattr__ = make_getattr("web", globals())
    __dir__ = make_dir("web")
