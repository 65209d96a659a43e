"""Static files for corelet: a response that is a file, and a directory below a prefix; public in ``corelet.web``."""

from __future__ import annotations

from .definition import StaticDef, static
from .file_response import FileResponse
from .resource import StaticResource

__all__ = ["FileResponse", "StaticDef", "StaticResource", "static"]
