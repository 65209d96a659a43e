"""The limits of multipart bodies: default, unit and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from corelet import web


@dataclass(frozen=True, slots=True)
class MultipartLimits:
    """Bound what one multipart body can make us hold.

    An application sets its own by ``app[web.MULTIPART_LIMITS] = web.MultipartLimits(...)``. How large a form may be and
    how many parts it may have, says the application: ``client_max_size`` and ``client_max_fields``.

    Args:
        max_headers: header fields of one part. 128 is aiohttp's ``max_headers``, and the kernel's.
        max_field_size: one field of a part, name and value, in bytes. 8,190 is aiohttp's, and the kernel's.
        max_head_bytes: all fields of a part. 16,384: browsers send less than 1,000.
        max_depth: multipart in multipart. 8; RFC 2046 has examples of 2.
        spool_bytes: a file of a form that is larger is kept on disk, a smaller one in memory. 262,144 is what a
            connection holds of any body.
    """

    max_headers: int = 128
    max_field_size: int = 8190
    max_head_bytes: int = 16_384
    max_depth: int = 8
    spool_bytes: int = 262_144


DEFAULT_LIMITS: Final = MultipartLimits()

#: The key of an application's state that sets its limits.
MULTIPART_LIMITS: Final = web.AppKey("MULTIPART_LIMITS", MultipartLimits)
