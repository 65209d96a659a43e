"""What the parity list says about a class."""

from __future__ import annotations

import re
from pathlib import Path

LIST = Path(__file__).parents[1] / "data" / "parity.txt"


def read_members(name: str) -> set[str]:
    """Read the names of a class's public members, each with a point before."""
    lines = iter(LIST.read_text(encoding="utf-8").splitlines())
    for line in lines:
        if re.match(rf"class {name}\(", line):
            break
    members = set()
    for line in lines:
        if not line.startswith("    "):
            break
        members.add(re.match(r"(?:async )?(\.\w+)", line.strip())[1])
    return members
