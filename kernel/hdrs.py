"""Names of header fields and methods, and the HTTP version.

Each field name is a ``multidict.istr``: a lookup by it in a header map hashes nothing anew.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from multidict import istr


class HttpVersion(NamedTuple):
    """The version in a start line. Source: RFC 9112 section 2.3."""

    major: int
    minor: int


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)
