"""The only door to the wire: HTTP/1.1 without any I/O, and the part of a server connection that never waits.

The compiled ``_fast`` where it is built, else ``_pure``, which ``CORELET_NO_EXTENSIONS=1`` selects as well. Both give
the same events, bytes, errors and messages.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("CORELET_NO_EXTENSIONS") == "1":
    from . import _pure as _wire
else:
    try:
        from . import _fast as _wire
    except ImportError:  # built without a compiler
        from . import _pure as _wire

#: "fast" or "pure".
IMPLEMENTATION = _wire.IMPLEMENTATION
LAST_CHUNK = _wire.LAST_CHUNK
ConnectionBase = _wire.ConnectionBase
RequestHead = _wire.RequestHead
RequestParser = _wire.RequestParser
ResponseHead = _wire.ResponseHead
ResponseParser = _wire.ResponseParser
ServiceBase = _wire.ServiceBase
check_field = _wire.check_field
make_chunk_line = _wire.make_chunk_line
make_status_line = _wire.make_status_line
serialize_fields = _wire.serialize_fields
serialize_request_head = _wire.serialize_request_head
serialize_plain_response = _wire.serialize_plain_response
serialize_response_head = _wire.serialize_response_head

__all__ = (
    "IMPLEMENTATION",
    "LAST_CHUNK",
    "ConnectionBase",
    "RequestHead",
    "RequestParser",
    "ResponseHead",
    "ResponseParser",
    "ServiceBase",
    "check_field",
    "make_chunk_line",
    "make_status_line",
    "serialize_fields",
    "serialize_plain_response",
    "serialize_request_head",
    "serialize_response_head",
)
