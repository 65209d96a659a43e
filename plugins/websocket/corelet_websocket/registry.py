"""What an application's WebSockets share: the extensions that it accepts, and the sockets that are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

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
        self._is_stopping = False

    def add(self, connection: WebSocketConnection) -> None:
        """Take an open socket; while the application stops, it is closed at once."""
        self._open.add(connection)
        if self._is_stopping:
            _start_shutdown(connection)

    def discard(self, connection: WebSocketConnection) -> None:
        """Forget a socket that is gone."""
        self._open.discard(connection)

    def __len__(self) -> int:
        return len(self._open)

    def start_close(self) -> None:
        """Tell every peer that the server goes away; handlers that receive come to their end."""
        self._is_stopping = True
        for connection in tuple(self._open):
            _start_shutdown(connection)


def _start_shutdown(connection: WebSocketConnection) -> None:
    connection.start_close(WSCloseCode.GOING_AWAY, _SHUTDOWN_REASON)


# Beside the applications, whose mappings are their authors'.
_WEBSOCKETS: Final[WeakKeyDictionary[web.Application, WebSockets]] = WeakKeyDictionary()

#: For applications made without this plugin, and bare handlers: when the server stops, these end with their handlers.
_UNATTENDED: Final = WebSockets()


def make_websockets(app: web.Application) -> WebSockets:
    """Make what belongs to an application."""
    websockets = _WEBSOCKETS[app] = WebSockets()
    return websockets


def find_websockets(app: Any) -> WebSockets:
    """Find what belongs to the application that a connection serves; ``app`` is None for a bare handler."""
    return _UNATTENDED if app is None else _WEBSOCKETS.get(app, _UNATTENDED)
