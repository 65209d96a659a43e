"""Every size and time limit of the kernel: default, unit and source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Limits:
    """Bound what one peer can make us hold, in bytes or pieces.

    Args:
        max_line_bytes: a request or status line without its CRLF. 8,190 is Apache's LimitRequestLine
            and aiohttp's ``max_line_size``; RFC 9112 section 3 asks for at least 8,000.
        max_field_bytes: one field line, name and value, without its CRLF. 8,190 is Apache's
            LimitRequestFieldSize and aiohttp's ``max_field_size``.
        max_fields: field lines in one head, and in one trailer section. 128 is aiohttp's ``max_headers``.
        max_head_bytes: a whole head, and a whole trailer section. 65,536 is four times nginx's and Node's default.
        max_chunk_line_bytes: a chunk size with its extensions. 4,096; RFC 9112 section 7.1.1 asks for a limit.
    """

    max_line_bytes: int = 8190
    max_field_bytes: int = 8190
    max_fields: int = 128
    max_head_bytes: int = 65536
    max_chunk_line_bytes: int = 4096


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Bound every wait of a server connection, in seconds; each ends within 1 second of its time.

    Args:
        head_seconds: from the connection's start, or the first byte of a later head, to its blank line; a TLS
            handshake has as long before it, 60 at most.
            30 as gunicorn's and Apache's (RequestReadTimeout 20 to 40).
        keepalive_seconds: from an answer to the first byte of the next request. 75 is nginx's.
        body_bytes_per_second: the least rate of a body, once ``body_grace_seconds`` have gone.
            240 is Kestrel's MinRequestBodyDataRate.
        body_grace_seconds: how long a body may be slower. 5 is Kestrel's.
        linger_seconds: how long the rest of an unread body is read and dropped before the connection is
            closed. 10 is aiohttp's ``lingering_time``; RFC 9112 section 9.6 says why.
        write_seconds: how long a peer may take no byte at all of an answer. 60 is nginx's ``send_timeout``.
    """

    head_seconds: float = 30.0
    keepalive_seconds: float = 75.0
    body_bytes_per_second: int = 240
    body_grace_seconds: float = 5.0
    linger_seconds: float = 10.0
    write_seconds: float = 60.0


DEFAULT_LIMITS: Final = Limits()
DEFAULT_DEADLINES: Final = Deadlines()

#: Bytes of a body held for the application before reading stops. aiohttp's ``read_bufsize``.
READ_BUFFER_BYTES: Final = 262_144
#: Body of a request that ``read()`` takes, in bytes. aiohttp's ``client_max_size``.
CLIENT_MAX_SIZE: Final = 1_048_576
#: Fields that ``post()`` takes. aiohttp's ``client_max_fields``.
CLIENT_MAX_FIELDS: Final = 1000
#: Seconds that answers in progress get after a stop was asked for. aiohttp's ``shutdown_timeout``.
SHUTDOWN_SECONDS: Final = 60.0

#: Files that connections leave at least to the rest of the process, of those that it may open (RLIMIT_NOFILE); a tenth
#: where that is more, a half where there are fewer than 1,024. Two turns of a loop may accept 256 before any is closed.
RESERVED_FILES: Final = 512
#: Seconds that a connection has been idle before it makes room for another where all places are taken.
MIN_IDLE_SECONDS: Final = 1.0
#: Idle connections that make room between two looks at all deadlines.
MAX_EVICTED: Final = 256
#: Connections beyond ``max_connections`` that are being refused or closed, at one time; more are cut off.
MAX_LEAVING: Final = 64

#: Bytes of a method before the answer is 501 (RFC 9112 section 3). The longest registered one has 17
#: (UPDATEREDIRECTREF, RFC 4437).
MAX_METHOD_BYTES: Final = 32
#: Digits of a Content-Length, leading zeros apart: what fits 64 bits with a sign.
MAX_CONTENT_LENGTH_DIGITS: Final = 18
#: Hexadecimal digits of a chunk's size, leading zeros apart: what fits 64 bits with a sign.
MAX_CHUNK_SIZE_DIGITS: Final = 15
#: Reads that wait in a parser are joined up to this many bytes: one by one they would cost 33 bytes each.
JOINED_READ_BYTES: Final = 4096
#: A deadline that doesn't come.
NEVER: Final = float("inf")
#: Answers of a pipelined burst that are joined into one write.
BURST: Final = 16
#: Interim responses before one final response. Enough for 100, 102 and some 103; curl bounds heads in bytes only.
MAX_INTERIM_RESPONSES: Final = 16
