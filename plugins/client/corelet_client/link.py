"""The Link field. Source: RFC 8288 section 3."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

#: "<" target ">", then parameters; a string keeps its commas and semicolons.
_LINK: Final = re.compile(r'<([^<>]*+)>((?:\s*+;\s*+[^\s=;,"]++(?:\s*+=\s*+(?:"(?:[^"\\]++|\\.)*+"|[^\s;,"]*+))?)*+)')
_PARAMETER: Final = re.compile(r';\s*+([^\s=;,"]++)(?:\s*+=\s*+(?:"((?:[^"\\]++|\\.)*+)"|([^\s;,"]*+)))?')
_ESCAPE: Final = re.compile(r"\\(.)")


def parse_links(values: Iterable[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Read Link fields: each link's target and its parameters, names in lower case."""
    for value in values:
        for target, rest in _LINK.findall(value):
            parameters = _PARAMETER.findall(rest)
            yield target, [(name.lower(), _ESCAPE.sub(r"\1", quoted) or plain) for name, quoted, plain in parameters]
