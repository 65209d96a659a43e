"""The client's side: a WebSocket on a connection that somebody else has opened.

A client makes a :class:`WebSocketClientHandshake`, sends its headers with a GET, lets it check the answer, and
hands the transport to :func:`open_client_websocket`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from .connection import WebSocketConnection, check_heartbeat
from .deflate import Deflate
from .endpoint import WebSocketEndpoint
from .limits import CLOSE_SECONDS, MAX_MSG_SIZE, WRITER_LIMIT
from .message import WSCloseCode

if TYPE_CHECKING:
    from types import TracebackType

    from .handshake import WebSocketClientHandshake


@dataclass(frozen=True)
class ClientWSTimeout:
    """Waits of a client's WebSocket, in seconds.

    Args:
        ws_receive: how long ``receive`` waits where it is not told; None for no limit.
        ws_close: how long the server gets to answer a close frame, and to close the connection; None for no limit.
    """

    ws_receive: float | None = None
    ws_close: float | None = None


class ClientWebSocketResponse(WebSocketEndpoint):
    """A client's open WebSocket; made by :func:`open_client_websocket`, left by ``async with``.

    Args:
        connection: the connection, which has taken a transport over.
        protocol: the subprotocol that the server has chosen.
        response: the answer to the handshake, for :attr:`response`.
        receive_timeout: seconds that ``receive`` waits where it is not told; None for no limit.
        deflate: how messages are compressed; None where they are not.
        reset_error: what a send on a closed socket raises.
    """

    def __init__(
        self,
        connection: WebSocketConnection,
        *,
        protocol: str | None = None,
        response: Any = None,
        receive_timeout: float | None = None,
        deflate: Deflate | None = None,
        reset_error: type[ConnectionResetError] = ConnectionResetError,
    ) -> None:
        self._connection = connection
        self._protocol = protocol
        #: The answer to the handshake, as the client's library has it.
        self.response = response
        self._receive_timeout = receive_timeout
        self._deflate = deflate
        self._reset_error = reset_error

    @property
    def protocol(self) -> str | None:
        """The subprotocol that the server has chosen; None for none."""
        return self._protocol

    @property
    def compress(self) -> int:
        """The window bits of what is sent, 9 to 15; 0 where messages are not compressed."""
        return 0 if self._deflate is None else self._deflate.own_bits

    @property
    def client_notakeover(self) -> bool:
        """Whether each message is compressed for itself."""
        return self._deflate is not None and self._deflate.own_reset

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes | str = b"") -> bool:
        """Close: send a close frame, wait for the server's, and until the connection has ended.

        Messages that were not received yet are dropped; a task that waits in ``receive`` gets CLOSING.

        Args:
            code: why, a :class:`WSCloseCode` or 3000 to 4999.
            message: the reason, at most 123 bytes.

        Returns:
            Whether this call has closed; False where the socket was closed or closing already.

        Raises:
            ValueError: a code that is never sent, or a reason that is too long.
        """
        has_sent = await self.close_handshake(code, message)
        await self.require_connection("close()").wait_lost()
        return has_sent

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def open_client_websocket(
    transport: asyncio.Transport,
    handshake: WebSocketClientHandshake,
    *,
    rest: bytes = b"",
    response: Any = None,
    timeout: ClientWSTimeout | None = None,
    autoclose: bool = True,
    autoping: bool = True,
    heartbeat: float | None = None,
    max_msg_size: int = MAX_MSG_SIZE,
    writer_limit: int = WRITER_LIMIT,
    decode_text: bool = True,
    reset_error: type[ConnectionResetError] = ConnectionResetError,
    on_lost: Callable[[], object] | None = None,
) -> ClientWebSocketResponse:
    """Take a transport over after a handshake, by ``transport.set_protocol``.

    Args:
        transport: the connection's; reading may be paused, nothing else may use it from now on.
        handshake: what was sent, after :meth:`WebSocketClientHandshake.check`.
        rest: bytes that were read behind the answer's head.
        response: the answer, for :attr:`ClientWebSocketResponse.response`.
        timeout: waits; default no limit to receive, 10 seconds to close.
        autoclose: whether a close frame is answered when it is received.
        autoping: whether pings are answered and pongs dropped.
        heartbeat: seconds of silence until a ping is sent; half as long again, and the server is dead.
        max_msg_size: bytes of a message after decompression; 0 for no limit.
        writer_limit: bytes that may wait for the socket before senders wait.
        decode_text: whether text messages are str.
        reset_error: what a send on a closed socket raises, a ConnectionResetError of the client's own.
        on_lost: called once, when the transport is gone.

    Raises:
        ConnectionResetError: the server has gone meanwhile.
        ValueError: the heartbeat is not more than 0.
    """
    if transport.is_closing():
        raise reset_error("the server has gone before the WebSocket was open")
    waits = timeout or ClientWSTimeout(ws_close=CLOSE_SECONDS)
    connection = WebSocketConnection(
        asyncio.get_running_loop(),
        is_client=True,
        extensions=handshake.extensions,
        max_msg_size=max_msg_size,
        writer_limit=writer_limit,
        decode_text=decode_text,
        autoclose=autoclose,
        autoping=autoping,
        heartbeat=check_heartbeat(heartbeat),
        close_seconds=waits.ws_close,
        on_lost=None if on_lost is None else lambda connection: on_lost(),
    )
    transport.set_protocol(connection)
    connection.connection_made(transport)
    if rest:
        connection.data_received(rest)
    if not connection.is_reading_paused:
        transport.resume_reading()
    return ClientWebSocketResponse(
        connection,
        protocol=handshake.protocol,
        response=response,
        receive_timeout=waits.ws_receive,
        deflate=next((each for each in handshake.extensions if isinstance(each, Deflate)), None),
        reset_error=reset_error,
    )
