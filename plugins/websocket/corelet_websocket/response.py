"""The server's side: a response that becomes a WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, NamedTuple

from corelet import web

from .connection import WebSocketConnection, check_heartbeat
from .endpoint import WebSocketEndpoint
from .extension import WebSocketExtensionFactory
from .handshake import ServerHandshake, read_protocols, read_strings
from .limits import CLOSE_SECONDS, MAX_MSG_SIZE, WRITER_LIMIT
from .message import WSCloseCode
from .registry import WebSockets, find_websockets


class WebSocketReady(NamedTuple):
    """Whether a request can become a WebSocket, and the subprotocol that it would speak."""

    ok: bool
    protocol: str | None

    def __bool__(self) -> bool:
        return self.ok


class WebSocketResponse(WebSocketEndpoint, web.StreamResponse):
    """A response that becomes a WebSocket: :meth:`prepare` it, receive and send, and return it from the handler.

    Args:
        timeout: seconds that the peer gets to answer a close frame, 10 as in aiohttp.
        receive_timeout: seconds that ``receive`` waits where it is not told; None for no limit.
        autoclose: whether a close frame is answered when it is received.
        autoping: whether pings are answered and pongs dropped; else ``receive`` gives both.
        heartbeat: seconds of silence until a ping is sent; a peer that is silent for half as long again is dead. None
            for no heartbeat.
        protocols: subprotocols of the application; the first one of the client's that is here is chosen.
        compress: whether to accept permessage-deflate.
        max_msg_size: bytes of a message after decompression, 4,194,304 as in aiohttp; 0 for no limit. A larger one ends
            the connection by 1009.
        writer_limit: bytes that may wait for the socket before ``send_*`` waits, 262,144 as in aiohttp.
        decode_text: whether text messages are str; else bytes, which are checked to be UTF-8 all the same.
        origins: origins whose pages may connect, like ``("https://example.org",)``; "self" is the requested host.
            Requests without Origin come from no browser and are let in. None, the default, lets every page connect: set
            it where cookies or the network's place say who somebody is.

    Raises:
        ValueError: a subprotocol is no token or is given twice, or the heartbeat is not more than 0.
        TypeError: one str is given where a list is expected.

    Source: RFC 6455; RFC 7692.
    """

    def __init__(
        self,
        *,
        timeout: float = CLOSE_SECONDS,
        receive_timeout: float | None = None,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        protocols: Iterable[str] = (),
        compress: bool = True,
        max_msg_size: int = MAX_MSG_SIZE,
        writer_limit: int = WRITER_LIMIT,
        decode_text: bool = True,
        origins: Iterable[str] | None = None,
    ) -> None:
        super().__init__(status=101)
        self._protocols = read_protocols(protocols)
        self._origins = None if origins is None else [each.lower() for each in read_strings("origins", origins)]
        self._timeout = timeout
        self._receive_timeout = receive_timeout
        self._autoclose = autoclose
        self._autoping = autoping
        self._heartbeat = check_heartbeat(heartbeat)
        self._compress = compress
        self._max_msg_size = max_msg_size
        self._writer_limit = writer_limit
        self._decode_text = decode_text
        self._ws_protocol: str | None = None
        self._connection: WebSocketConnection | None = None

    @property
    def ws_protocol(self) -> str | None:
        """The subprotocol that was chosen; None for none."""
        return self._ws_protocol

    @property
    def compress(self) -> bool:
        """Whether messages may be compressed: what was asked for, and after :meth:`prepare` what was negotiated."""
        return self._compress

    def can_prepare(self, request: web.BaseRequest) -> WebSocketReady:
        """Tell whether :meth:`prepare` would open a WebSocket, without answering."""
        if self._connection is not None:
            raise RuntimeError("can_prepare() after prepare(): this WebSocket is open already")
        try:
            handshake = self._check(request, ())
        except web.HTTPException:
            return WebSocketReady(False, None)
        return WebSocketReady(True, handshake.protocol)

    def _check(self, request: web.BaseRequest, factories: Iterable[WebSocketExtensionFactory]) -> ServerHandshake:
        return ServerHandshake(request, protocols=self._protocols, origins=self._origins, factories=factories)

    async def prepare(self, request: web.BaseRequest) -> Any:
        """Answer the handshake; afterwards messages can be sent and received.

        Raises:
            HTTPException: the request is no handshake that can be accepted: 400, 403, 405 or 426.
            ConnectionResetError: the peer has gone.
        """
        if self.prepared:
            return await super().prepare(request)
        websockets = find_websockets(request.connection.app)
        handshake = self._check(request, self._find_factories(websockets))
        handshake.write_headers(self.headers)
        writer = await super().prepare(request)
        self._ws_protocol = handshake.protocol
        self._compress = bool(handshake.extensions)
        connection = WebSocketConnection(
            asyncio.get_running_loop(),
            is_client=False,
            extensions=handshake.extensions,
            max_msg_size=self._max_msg_size,
            writer_limit=self._writer_limit,
            decode_text=self._decode_text,
            autoclose=self._autoclose,
            autoping=self._autoping,
            heartbeat=self._heartbeat,
            close_seconds=self._timeout,
            on_lost=websockets.discard,
        )
        request.take_over(connection, on_failure=connection.end_by_failure)
        self._connection = connection
        websockets.add(connection)
        return writer

    def _find_factories(self, websockets: WebSockets) -> list[WebSocketExtensionFactory]:
        return [*websockets.extensions, *([websockets.deflate] if self._compress else [])]

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes | str = b"", drain: bool = True) -> bool:
        """Close: send a close frame, and wait ``timeout`` seconds for the peer's.

        Messages that were not received yet are dropped; a task that waits in ``receive`` gets CLOSING.

        Args:
            code: why, a :class:`WSCloseCode` or 3000 to 4999.
            message: the reason, at most 123 bytes.
            drain: taken for compatibility; what was sent is always written before the connection ends.

        Returns:
            Whether this call has closed; False where the socket was closed or closing already.

        Raises:
            ValueError: a code that is never sent, or a reason that is too long.
            RuntimeError: before :meth:`prepare`.
        """
        return await self.close_handshake(code, message)

    async def write(self, data: Any) -> None:
        """Refuse: a WebSocket has messages.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("write() makes no sense for a WebSocket: send_str() or send_bytes()")

    async def write_eof(self, data: bytes = b"") -> None:
        """Close if nobody has; the server calls it when the handler has returned."""
        connection = self._connection
        if connection is not None:
            await self.close_handshake(WSCloseCode.OK, b"")
            await connection.wait_lost()
        await super().write_eof()
