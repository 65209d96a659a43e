"""The page that lists a directory."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from .root import Entry

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<h1>{title}</h1>
<ul>
{items}
</ul>
</body>
</html>
"""


def make_listing(base: str, shown: str, entries: Iterable[Entry], *, has_parent: bool) -> str:
    """Make the page; what comes from names of files is escaped, in text and in addresses.

    Args:
        base: the address of the directory, percent-encoded, with a slash at its end.
        shown: the directory's path for people.
        entries: what is in it.
        has_parent: whether to show the way up.
    """
    parent = base.rstrip("/").rpartition("/")[0] + "/"
    items = [f'<li><a href="{html.escape(parent)}">../</a></li>'] if has_parent else []
    for entry in entries:
        end = "/" if entry.is_directory else ""
        address = base + quote(os.fsencode(entry.name), safe="") + end
        text = os.fsencode(entry.name).decode("utf-8", "replace") + end
        items.append(f'<li><a href="{html.escape(address)}">{html.escape(text)}</a></li>')
    return _PAGE.format(title=html.escape(f"Index of {shown}"), items="\n".join(items))
