"""Every size and time limit of WebSockets: default, unit and source."""

from __future__ import annotations

from typing import Final

#: Bytes of a message after decompression; a larger one is refused by 1009. aiohttp's ``max_msg_size``.
MAX_MSG_SIZE: Final = 4 * 1024 * 1024
#: Bytes that may wait for the socket before senders wait. aiohttp's ``writer_limit``.
WRITER_LIMIT: Final = 262_144
#: Bytes of messages that wait for ``receive()`` before reading stops. The kernel's read buffer.
READ_LIMIT: Final = 262_144
#: What a waiting message counts beside its bytes: about what the objects take.
MESSAGE_OVERHEAD: Final = 128
#: Bytes of a payload that is handed to the transport without being copied behind its head.
UNCOPIED_BYTES: Final = 65_536
#: Fragments of a message; it may have one more for each FRAGMENT_BYTES of it. A peer that streams sends larger ones.
MAX_FRAGMENTS: Final = 1024
#: Bytes of a message for which it may have one more fragment than MAX_FRAGMENTS.
FRAGMENT_BYTES: Final = 32
#: Control frames that a peer may send in one second; nobody's heartbeat comes near.
MAX_CONTROL_FRAMES: Final = 1000
#: Seconds that a peer gets to answer a close frame. aiohttp's ``timeout``.
CLOSE_SECONDS: Final = 10.0
#: Seconds that a peer that broke the protocol gets to read why, over TLS, which can't be closed for writing alone.
LINGER_SECONDS: Final = 1.0
#: Bytes of a control frame's payload. Source: RFC 6455 section 5.5.
MAX_CONTROL_BYTES: Final = 125
#: Bytes of the reason in a close frame, beside the code. Source: RFC 6455 section 5.5.1.
MAX_REASON_BYTES: Final = 123
#: Bytes that a message's coded form may be longer than ``max_msg_size``: deflate grows what can't be compressed by 5
#: bytes for each stored block. Source: RFC 1951 section 3.2.4.
CODED_SLACK: Final = 65_536
#: How often ``receive()`` says CLOSED before it raises: a loop that doesn't look would spin for ever.
CLOSED_RECEIVES: Final = 5
