"""One request, as messages to and from an application."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from multidict import CIMultiDict

from corelet import web

from .interface import Message, make_type_error
from .scope import decode_fields

_STATUSES_WITHOUT_BODY: Final = (204, 205, 304)


class HttpExchange:
    """What an application receives of a request, and sends as its answer.

    Args:
        request: the request.

    Attributes:
        response: the answer, once it has begun.
        completed: done when the answer has been sent.
        failure: why no answer may follow, of which the application was told by ``http.disconnect``: the peer has gone,
            or its body is malformed; None for nothing.
    """

    def __init__(self, request: Any) -> None:
        self._request = request
        self._has_whole_body = False
        # One task for all calls of receive(): an application may call it just to look, and cancel it at its first wait.
        self._gone: asyncio.Task[None] | None = None
        self.response: web.StreamResponse | None = None
        self.completed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.failure: Exception | None = None

    async def receive(self) -> Message:
        """Give the next part of the body; after the last one wait until the peer has gone or has its answer."""
        if not (self._has_whole_body or self.failure or self.completed.done()):
            try:
                return await self._read()
            except (web.RequestPayloadError, ConnectionError) as error:  # not HTTP any more, or the peer has gone
                self.failure = error
        await self.wait_for_end()
        return {"type": "http.disconnect"}

    async def _read(self) -> Message:
        content = self._request.content
        body = b"" if content.at_eof() else await content.readany()
        self._has_whole_body = content.at_eof()
        return {"type": "http.request", "body": body, "more_body": not self._has_whole_body}

    async def wait_for_end(self) -> None:
        """Wait until the peer has gone or has its answer."""
        if self.failure or self.completed.done():
            return
        if self._gone is None:
            self._gone = asyncio.create_task(self._request.wait_for_disconnection())
        if not self._gone.done():
            await asyncio.wait({self._gone, self.completed}, return_when=asyncio.FIRST_COMPLETED)
        if not (self.completed.done() or self._gone.cancelled()):
            self.failure = ConnectionResetError("the peer has gone")

    def close(self) -> None:
        """End, when the application has ended."""
        if self._gone is not None:
            self._gone.cancel()

    async def find_failure(self) -> Exception | None:
        """Find the error of an application that has ended before its answer, as it was told to; None where it was not.

        The connection of a peer that has gone is dropped.
        """
        if isinstance(self.failure, ConnectionError):
            while (transport := self._request.transport) is not None:  # one turn of the loop, or two with TLS
                transport.abort()
                await asyncio.sleep(0)
        return self.failure

    async def send(self, message: Message) -> None:
        """Take a part of the answer.

        Raises:
            OSError: the peer has gone.
            RuntimeError: the message may not come now.
            ValueError: a field that can't be sent.
        """
        if self.completed.done():
            raise make_type_error(message, "nothing: the answer has ended")
        if self.response is None:
            if message["type"] != "http.response.start":
                raise make_type_error(message, "'http.response.start'")
            self.response = _make_response(message)
            return
        if message["type"] != "http.response.body":
            raise make_type_error(message, "'http.response.body'")
        await self._send_body(self.response, bytes(message.get("body", b"")), message.get("more_body", False))

    async def _send_body(self, response: web.StreamResponse, body: bytes, has_more: bool) -> None:
        if not response.prepared:
            if not has_more and self._may_tell_length(response):
                response.content_length = len(body)
            await response.prepare(self._request)
        if body:
            await response.write(body)
        if not has_more:
            await response.write_eof()
            self.completed.set_result(None)

    def _may_tell_length(self, response: web.StreamResponse) -> bool:
        """Whether the body that is here is the one that a length would be of."""
        is_empty = self._request.method == "HEAD" or response.status in _STATUSES_WITHOUT_BODY
        return not is_empty and "Content-Length" not in response.headers


def _make_response(message: Message) -> web.StreamResponse:
    fields = CIMultiDict(decode_fields(message.get("headers", ())))
    fields.popall("Transfer-Encoding", None)  # the server's affair. Source: ASGI HTTP message format
    has_type = "Content-Type" in fields
    response = web.StreamResponse(status=message["status"], headers=fields)
    if not has_type:
        del response.headers["Content-Type"]
    return response
