"""What a WebSocket carries: message types, messages, close codes."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple


class WSMsgType(enum.IntEnum):
    """Kinds of messages: opcodes of RFC 6455 section 5.2, and states of the connection above 255."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    PING = 0x9
    PONG = 0xA
    CLOSE = 0x8
    #: This side has begun to close.
    CLOSING = 0x100
    #: The connection is closed.
    CLOSED = 0x101
    #: The connection has failed; the message's data is the exception.
    ERROR = 0x102

    text = TEXT
    binary = BINARY
    ping = PING
    pong = PONG
    close = CLOSE
    closing = CLOSING
    closed = CLOSED
    error = ERROR


#: What a loop over messages ends with.
ENDS: Final = frozenset((WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED))


class WSCloseCode(enum.IntEnum):
    """Why a connection was closed. Source: RFC 6455 section 7.4.1 and the registry that it founded."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    #: Never on the wire: the connection was lost without a close frame.
    ABNORMAL_CLOSURE = 1006
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


class WSMessage(NamedTuple):
    """One message.

    ``data`` is a str for TEXT (bytes with ``decode_text=False``), bytes for BINARY, PING and PONG, the close code for
    CLOSE (0 where the peer gave none), an exception for ERROR. ``extra`` is the reason of a CLOSE.
    """

    type: WSMsgType
    data: Any
    extra: str | None

    def json(self, *, loads: Callable[[Any], Any] = json.loads) -> Any:
        """Decode :attr:`data` as JSON.

        Args:
            loads: the decoder.
        """
        return loads(self.data)


#: What ``receive()`` gives while this side closes, and afterwards.
CLOSING_MESSAGE: Final = WSMessage(WSMsgType.CLOSING, None, None)
CLOSED_MESSAGE: Final = WSMessage(WSMsgType.CLOSED, None, None)


def is_close_code(code: int) -> bool:
    """Whether a close code may be on the wire. Source: RFC 6455 section 7.4; IANA's registry for 1012 to 1014."""
    return 3000 <= code <= 4999 or 1000 <= code <= 1003 or 1007 <= code <= 1014
