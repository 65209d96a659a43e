"""One WebSocket, as messages to and from an application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from corelet import web

from .http_exchange import HttpExchange
from .interface import Message, Scope, make_type_error
from .scope import decode_fields

#: Close codes. Source: RFC 6455 section 7.4.1.
_OK: Final = 1000
_ABNORMAL: Final = 1006
_DENIAL: Final = "websocket.http.response."


class WebSocketExchange:
    """What an application receives of a WebSocket, and sends.

    Args:
        request: the handshake.
        options: of the ``web.WebSocketResponse``.
        scope: the application's.
    """

    def __init__(self, request: Any, options: Mapping[str, Any], scope: Scope) -> None:
        self._request = request
        self._options = options
        self._scope = scope
        self._has_begun = False
        self._end: Message | None = None
        self._ws: web.WebSocketResponse | None = None
        self._refusal: web.Response | None = None
        #: The answer to the handshake, where it is refused.
        self._denial = HttpExchange(request)

    async def check(self) -> None:
        """Refuse a request that is no handshake, before the application sees it.

        Raises:
            HTTPException: what is wrong with it.
            MissingPluginError: corelet-websocket is not installed.
        """
        ws = web.WebSocketResponse(**self._options)
        if not ws.can_prepare(self._request):
            await ws.prepare(self._request)

    async def receive(self) -> Message:
        """Give ``websocket.connect``, then messages, and at the end ``websocket.disconnect`` as often as asked."""
        if not self._has_begun:
            self._has_begun = True
            return {"type": "websocket.connect"}
        if self._ws is None:
            await self._denial.wait_for_end()
            return {"type": "websocket.disconnect", "code": _ABNORMAL, "reason": ""}
        if self._end is None:
            message = await self._ws.receive()
            while message.type is web.WSMsgType.CLOSING:  # the server stops; the peer has yet to answer
                message = await self._ws.receive()
            if message.type is web.WSMsgType.TEXT:
                return {"type": "websocket.receive", "text": message.data}
            if message.type is web.WSMsgType.BINARY:
                return {"type": "websocket.receive", "bytes": message.data}
            code = _ABNORMAL if self._ws.close_code is None else int(self._ws.close_code)
            self._end = {"type": "websocket.disconnect", "code": code, "reason": message.extra or ""}
        return self._end

    async def send(self, message: Message) -> None:
        """Accept, send, close, or answer the handshake by HTTP.

        Raises:
            OSError: the peer has gone.
            RuntimeError: the message may not come now.
            ValueError: the subprotocol is none of the peer's.
        """
        if self._ws is not None:
            await self._send_open(message, self._ws)
        elif message["type"].startswith(_DENIAL) and self._refusal is None:
            await self._denial.send({**message, "type": message["type"].removeprefix("websocket.")})
        elif self._denial.response is not None or self._refusal is not None:
            raise make_type_error(message, "nothing: the handshake is refused")
        elif message["type"] == "websocket.accept":
            await self._accept(message)
        elif message["type"] == "websocket.close":
            self._refusal = web.Response(status=403)
            self._denial.completed.set_result(None)
        else:
            raise make_type_error(message, "'websocket.accept' or 'websocket.close'")

    async def _accept(self, message: Message) -> None:
        subprotocol = message.get("subprotocol")
        if subprotocol is not None and subprotocol not in self._scope["subprotocols"]:
            raise ValueError(
                f"subprotocol is {subprotocol!r}, the peer offers: {', '.join(self._scope['subprotocols']) or 'none'}"
            )
        ws = web.WebSocketResponse(protocols=() if subprotocol is None else [subprotocol], **self._options)
        ws.headers.extend(decode_fields(message.get("headers", ())))
        await ws.prepare(self._request)
        self._ws = ws

    async def _send_open(self, message: Message, ws: web.WebSocketResponse) -> None:
        if message["type"] == "websocket.close":
            await ws.close(code=message.get("code") or _OK, message=message.get("reason") or "")
        elif message["type"] != "websocket.send":
            raise make_type_error(message, "'websocket.send' or 'websocket.close'")
        elif message.get("text") is not None:
            await ws.send_str(message["text"])
        else:
            await ws.send_bytes(message["bytes"])

    def close(self) -> None:
        """End, when the application has ended."""
        self._denial.close()

    async def find_response(self) -> web.StreamResponse:
        """Give what the handshake was answered by.

        Raises:
            ConnectionResetError: it was not, since the peer has gone.
            RuntimeError: it was not.
        """
        if self._ws is not None:
            return self._ws
        if self._refusal is not None:
            return self._refusal
        if self._denial.response is not None and self._denial.completed.done():
            return self._denial.response
        raise await self._denial.find_failure() or RuntimeError(
            "the ASGI application has returned without an answer to the WebSocket's handshake"
        )
