"""Where in the user's program something was made."""

from __future__ import annotations

import sys
from typing import Final

_PACKAGE: Final = __name__.partition(".")[0]


def find_caller() -> str:
    """Find the line that has called into this package: ``app.py:12``."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
