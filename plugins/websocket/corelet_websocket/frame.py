"""The only door to frames and channels: the compiled ``_fast`` where it is built, else ``_pure``.

``CORELET_NO_EXTENSIONS=1`` selects ``_pure`` as well. Both give the same messages, bytes, errors and words.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("CORELET_NO_EXTENSIONS") == "1":
    from . import _pure as _frames
else:
    try:
        from . import _fast as _frames
    except ImportError:  # built without a compiler
        from . import _pure as _frames

#: "fast" or "pure".
IMPLEMENTATION = _frames.IMPLEMENTATION
Channel = _frames.Channel
FrameReader = _frames.FrameReader
MessageIterator = _frames.MessageIterator
apply_mask = _frames.apply_mask
serialize_frame = _frames.serialize_frame
serialize_head = _frames.serialize_head

__all__ = (
    "IMPLEMENTATION",
    "Channel",
    "FrameReader",
    "MessageIterator",
    "apply_mask",
    "serialize_frame",
    "serialize_head",
)
