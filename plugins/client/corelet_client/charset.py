"""Names of charsets, as servers write them."""

from __future__ import annotations

import codecs
from typing import Final

#: A longer name is none: the interpreter remembers every name that it was ever asked for.
_MAX_NAME: Final = 32


def find_codec(charset: str | None) -> str | None:
    """Find Python's name for a charset; None where it has none, or was not given."""
    if not charset or len(charset) > _MAX_NAME or not charset.isascii():
        return None
    try:
        " ".encode(charset)  # refuses codecs that are none of text
        return codecs.lookup(charset).name
    except (LookupError, ValueError):
        return None
