"""The multipart plugin: reads multipart bodies for requests."""

from __future__ import annotations

from typing import Any

from corelet import hookimpl

from .form_reader import MultipartFormReader


@hookimpl
def corelet_register_form_readers(readers: Any) -> None:
    """Register for every multipart media type. Source: RFC 2046 section 5.1.7, unknown ones are as mixed."""
    readers.add("multipart/*", MultipartFormReader())
