"""The content codings that a session decodes and codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corelet import PluginConflictError

if TYPE_CHECKING:
    from corelet.abc import ContentCoding


class Codings(dict[str, "ContentCoding"]):
    """Content codings by name; what ``corelet_register_codings`` gets."""

    def add(self, coding: ContentCoding) -> None:
        """Register a coding under its name.

        Raises:
            PluginConflictError: the name is taken.
        """
        taken = self.setdefault(coding.name, coding)
        if taken is not coding:
            raise PluginConflictError(f"content coding {coding.name!r} is registered twice: {taken!r} and {coding!r}")
