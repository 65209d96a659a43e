"""WebSockets for corelet: RFC 6455 and permessage-deflate, for servers and clients."""

from __future__ import annotations

from .client import ClientWebSocketResponse, ClientWSTimeout, open_client_websocket
from .deflate import PermessageDeflate
from .errors import WebSocketError, WebSocketHandshakeError, WSMessageTypeError
from .extension import WebSocketExtension, WebSocketExtensionFactory, WebSocketExtensionRegistry
from .handshake import WebSocketClientHandshake
from .message import WSCloseCode, WSMessage, WSMsgType
from .response import WebSocketReady, WebSocketResponse

__all__ = [
    "ClientWSTimeout",
    "ClientWebSocketResponse",
    "PermessageDeflate",
    "WSCloseCode",
    "WSMessage",
    "WSMessageTypeError",
    "WSMsgType",
    "WebSocketClientHandshake",
    "WebSocketError",
    "WebSocketExtension",
    "WebSocketExtensionFactory",
    "WebSocketExtensionRegistry",
    "WebSocketHandshakeError",
    "WebSocketReady",
    "WebSocketResponse",
    "open_client_websocket",
]
