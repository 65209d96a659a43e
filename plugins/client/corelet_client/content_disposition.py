"""The Content-Disposition of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from .other_plugin import names


@dataclass(frozen=True, slots=True)
class ContentDisposition:
    """What Content-Disposition says. Source: RFC 6266."""

    type: str | None
    parameters: Mapping[str, str]
    filename: str | None


def parse(value: str) -> ContentDisposition:
    """Read a Content-Disposition.

    Raises:
        MissingPluginError: no multipart plugin is installed, which reads it.
    """
    kind, parameters = names.parse_content_disposition(value)
    filename = names.content_disposition_filename(parameters)
    return ContentDisposition(kind, MappingProxyType(parameters), filename)
