"""The fenced blocks of a page, for tests that ask them one by one."""

from __future__ import annotations

import re
import types
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
_BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read_blocks(page: Path, language: str = "python") -> list[str]:
    """Read the blocks of one language, in their order."""
    return [match[2] for match in _BLOCK.finditer(page.read_text(encoding="utf-8")) if match[1] == language]


def run_block(source: str) -> Any:
    """Run a Python block; its names."""
    module = types.ModuleType("block")
    exec(compile(source, "block", "exec"), module.__dict__)
    return module
