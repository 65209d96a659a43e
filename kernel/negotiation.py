"""The first moment of a TLS connection: it goes to the protocol that the peer has chosen by ALPN.

Used only where a plugin has registered a protocol by ``corelet_register_protocols``; every other connection is made
by the server at once. Source: RFC 7301.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from .abc import ConnectionFactory
    from .pipeline import Slots

#: The ALPN id of what the kernel speaks, offered after all others. Source: RFC 7301 section 6.
HTTP_1_1: Final = "http/1.1"


def offer_protocols(context: ssl.SSLContext, protocols: Iterable[str]) -> None:
    """Have a TLS context offer protocols, the kernel's last; what it offered before is forgotten."""
    context.set_alpn_protocols([*protocols, HTTP_1_1])


class Negotiation(asyncio.Protocol):
    """Takes a transport once its handshake is done, and gives it to the connection that the peer has chosen.

    Args:
        server: what the connection is made for.
    """

    __slots__ = ("_server",)

    def __init__(self, server: Any) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make the connection and leave the transport to it."""
        slots: Slots = self._server.slots
        chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol()
        factory: ConnectionFactory | None = slots.protocols.get(chosen)
        try:
            connection: Any = self._server() if factory is None else factory(self._server)
            cast("asyncio.Transport", transport).set_protocol(connection)
            connection.connection_made(transport)
        except Exception:  # a plugin may raise anything
            self._server.logger.exception("Error making the connection of a peer that has chosen %s", chosen)
            cast("asyncio.Transport", transport).abort()
