"""What an application's WebSockets share: the extensions that it accepts, and the sockets that are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from corelet import web

from .deflate import PermessageDeflate
from .extension import WebSocketExtensionRegistry
from .message import WSCloseCode

if TYPE_CHECKING:
    from .connection import WebSocketConnection

_SHUTDOWN_REASON: Final = b"the server is stopping"


class WebSockets:
    """The WebSockets of one application."""

    def __init__(self) -> None:
        #: Accepted beside permessage-deflate, which ``compress`` switches.
        self.extensions = WebSocketExtensionRegistry()
        self.deflate = PermessageDeflate()
        self._open: set[WebSocketConnection] = set()

    def add(self, connection: WebSocketConnection) -> None:
        """Take an open socket."""
        self._open.add(connection)

    def discard(self, connection: WebSocketConnection) -> None:
        """Forget a socket that is gone."""
        self._open.discard(connection)

    def __len__(self) -> int:
        return len(self._open)

    def start_close(self) -> None:
        """Tell every peer that the server goes away; handlers that receive come to their end."""
        for connection in tuple(self._open):
            connection.start_close(WSCloseCode.GOING_AWAY, _SHUTDOWN_REASON)


#: Where an application keeps them.
WEBSOCKETS: Final = web.AppKey("corelet_websocket.websockets", WebSockets)

#: For applications that were made without this plugin, and bare handlers: nobody tells these that the server stops.
_UNATTENDED: Final = WebSockets()


def find_websockets(app: Any) -> WebSockets:
    """Find what belongs to the application that a connection serves; ``app`` is None for a bare handler."""
    return _UNATTENDED if app is None else app.get(WEBSOCKETS, _UNATTENDED)
