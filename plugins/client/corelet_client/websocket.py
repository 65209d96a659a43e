"""WebSockets of a session: the handshake goes as a request, the rest is the websocket plugin's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict

from corelet import hdrs

from .errors import ClientConnectionResetError, WSServerHandshakeError
from .other_plugin import names

if TYPE_CHECKING:
    from yarl import URL

    from .request import HeaderFields
    from .response import ClientResponse
    from .session import ClientSession

#: Bytes of a message, after decompression. aiohttp's ``max_msg_size``.
MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
#: Seconds that a server gets to answer a close frame. aiohttp's ``ws_close``.
CLOSE_SECONDS: Final = 10.0


async def connect(
    session: ClientSession,
    url: str | URL,
    *,
    method: str = hdrs.METH_GET,
    protocols: Iterable[str] = (),
    timeout: Any = None,
    receive_timeout: float | None = None,
    autoclose: bool = True,
    autoping: bool = True,
    heartbeat: float | None = None,
    origin: str | None = None,
    headers: HeaderFields | None = None,
    compress: int = 0,
    max_msg_size: int = MAX_MESSAGE_BYTES,
    decode_text: bool = True,
    **kwargs: Any,
) -> Any:
    """Open a WebSocket; ``session.ws_connect`` is this.

    Args:
        session: that sends the handshake.
        url: of http, https, ws or wss.
        method: GET by RFC 6455.
        protocols: subprotocols to offer, in order of preference.
        timeout: waits of the WebSocket; for the handshake the session's count.
        receive_timeout: instead of ``timeout.ws_receive``.
        autoclose: answer a close frame when it is received.
        autoping: answer pings and drop pongs.
        heartbeat: seconds of silence until a ping is sent.
        origin: the value of Origin.
        headers: more fields of the handshake.
        compress: window bits of permessage-deflate to offer, 9 to 15; 0 to offer no compression.
        max_msg_size: bytes of a message after decompression; 0 for no limit.
        decode_text: whether text messages are str.
        kwargs: ``auth``, ``params``, ``proxy``, ``proxy_auth``, ``proxy_headers``, ``ssl``, ``server_hostname``: as for
            a request.

    Raises:
        MissingPluginError: no websocket plugin is installed.
        WSServerHandshakeError: the server does not agree.
        ClientError: as for a request.
        TypeError: ``timeout`` is no ClientWSTimeout.
    """
    waits = _make_timeout(timeout, receive_timeout)
    extensions = [names.PermessageDeflate(max_window_bits=compress)] if compress else []
    handshake = names.WebSocketClientHandshake(protocols=protocols, extensions=extensions, origin=origin)
    fields = CIMultiDict(headers or ())
    fields.update(handshake.headers)
    response = await session.request(method, url, headers=fields, raise_for_status=False, **kwargs)
    try:
        _check(handshake, response)
        connection = response.connection
        if connection is None:
            raise ClientConnectionResetError("the server closed the connection after the handshake")
        transport, rest = connection.hand_over()
    except BaseException:
        response.close()
        raise
    try:
        websocket = names.open_client_websocket(
            transport,
            handshake,
            rest=rest,
            response=response,
            timeout=waits,
            autoclose=autoclose,
            autoping=autoping,
            heartbeat=heartbeat,
            max_msg_size=max_msg_size,
            decode_text=decode_text,
            reset_error=ClientConnectionResetError,
            on_lost=connection.forget,
        )
    except BaseException:
        connection.close_idle(abort=True)
        raise
    return websocket


def _make_timeout(timeout: Any, receive: float | None) -> Any:
    if timeout is not None and not isinstance(timeout, names.ClientWSTimeout):
        raise TypeError(f"timeout is {timeout!r}, expected ClientWSTimeout(ws_receive=seconds, ws_close=seconds)")
    if receive is None:
        return timeout
    default = names.ClientWSTimeout(ws_close=CLOSE_SECONDS) if timeout is None else timeout
    return names.ClientWSTimeout(ws_receive=receive, ws_close=default.ws_close)


def _check(handshake: Any, response: ClientResponse) -> None:
    """Refuse an answer that opens no WebSocket, or chooses what was not offered."""
    try:
        handshake.check(response.status, response.headers)
    except names.WebSocketHandshakeError as error:
        raise WSServerHandshakeError(
            response.request_info,
            response.history,
            status=response.status,
            message=str(error),
            headers=response.headers,
        ) from error
