"""What a request takes from its session, unless it was given anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from corelet import Limits

from .timeouts import DEFAULT_TIMEOUT, ClientTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from corelet.abc import ContentCoding

#: Bytes of a body held for the reader before the connection stops reading. aiohttp's ``read_bufsize``.
READ_BUFFER_BYTES: Final = 262_144
#: Bytes that ``read()`` makes of a coded body, before it takes it for a bomb.
MAX_DECODED_BYTES: Final = 268_435_456


@dataclass(frozen=True, slots=True)
class Settings:
    """How a request is sent and its answer is read.

    Args:
        timeout: the waits.
        limits: of heads.
        read_bufsize: bytes of a body that are held before the connection stops reading; twice that at most.
        codings: what decodes a body, by name; None to leave bodies coded.
        max_decoded_size: bytes that ``read()`` makes of a coded body.
        read_until_eof: read a body that only the end of the connection ends; without, it is left, and counts as empty.
    """

    timeout: ClientTimeout = DEFAULT_TIMEOUT
    limits: Limits = field(default_factory=Limits)
    read_bufsize: int = READ_BUFFER_BYTES
    codings: Mapping[str, ContentCoding] | None = None
    max_decoded_size: int = MAX_DECODED_BYTES
    read_until_eof: bool = True
