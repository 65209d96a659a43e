"""Errors of WebSockets."""

from __future__ import annotations

from typing import Any


class WebSocketError(Exception):
    """Report a peer that broke the protocol, or a limit.

    Args:
        code: the close code that says so to the peer.
        message: what was wrong, the value, the limit or the expectation.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        #: The close code.
        self.code = code

    def __str__(self) -> str:
        return str(self.args[1])


class WSMessageTypeError(TypeError):
    """Report a message of another type than the one that was asked for."""


class WebSocketHandshakeError(Exception):
    """Report a server's answer that opens no WebSocket.

    Args:
        message: what was wrong, the value and the expectation.
        status: the answer's status.
        headers: the answer's fields.
    """

    def __init__(self, message: str, *, status: int, headers: Any) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
