"""Names of charsets, as servers write them."""

from __future__ import annotations

import codecs

from corelet import fields


def find_codec(charset: str | None) -> str | None:
    """Find Python's name for a charset; None where it has none, or was not given."""
    if not charset:
        return None
    try:
        name = fields.find_codec(charset)
        " ".encode(name)  # refuses codecs that are none of text
        return codecs.lookup(name).name
    except LookupError:
        return None
