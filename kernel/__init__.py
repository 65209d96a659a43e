"""corelet: a microkernel HTTP framework for asyncio.

``from corelet import web`` is the server side; this module has the client side and what both need. Names are imported
when first touched, from the kernel or from the plugin that is installed for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import make_dir, make_getattr

if not TYPE_CHECKING:
    __getattr__ = make_getattr("", globals())
    __dir__ = make_dir("")
