"""Multipart for corelet: bodies in parts, read and written, and forms with files; public in ``corelet``."""

from __future__ import annotations

from .disposition import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition_filename,
    parse_content_disposition,
)
from .form_data import FormData
from .form_reader import FileField
from .limits import MULTIPART_LIMITS, MultipartLimits
from .reader import BodyPartReader, MultipartReader
from .writer import MultipartWriter

__all__ = [
    "MULTIPART_LIMITS",
    "BadContentDispositionHeader",
    "BadContentDispositionParam",
    "BodyPartReader",
    "FileField",
    "FormData",
    "MultipartLimits",
    "MultipartReader",
    "MultipartWriter",
    "content_disposition_filename",
    "parse_content_disposition",
]
