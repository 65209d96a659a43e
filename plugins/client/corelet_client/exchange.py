"""One request on a connection, and what has come of its answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from corelet import RemoteProtocolError, StreamReader, hdrs

from .errors import ClientConnectionError

if TYPE_CHECKING:
    from corelet.wire import ResponseHead

    from .connection import Connection
    from .request import ClientRequest


class Exchange:
    """One request and its answer, between the connection, which fills it, and the response, which reads it.

    A body that came whole with its head never gets a stream, unless somebody asks for one.

    Attributes:
        request: the request.
        method: of what is sent: a tunnel for the request is asked for by CONNECT.
        is_last: no other attempt will follow: whoever sends the body closes it.
        connection: where the answer comes from; None once it is complete or has failed.
        head: of the final answer; None before it is there.
        pieces: of a body that has no stream yet.
        stream: of the body.
        error: why the answer is not complete, nor ever will be.
        is_complete: the answer is there to its last byte.
        upload: the task that sends the request's body; None where none is needed.
        continued: is set by an interim answer 100; None where nobody waits for one.
        has_answered: a byte of an answer has come.
        is_begun: the request's head was handed to the transport.
        is_sending: ``upload`` may still send something; it is over when it has given back what the body holds.
        is_sent: the request was sent to its last byte.
        is_upgraded: the answer has made another protocol of the connection, or a tunnel.
        leaves_body: the body has no end but the connection's, and is not wanted; ``ClientSession.request`` has said so.
        waiter: is set once there is a head, or an error.
    """

    __slots__ = (
        "connection",
        "continued",
        "error",
        "has_answered",
        "head",
        "is_begun",
        "is_complete",
        "is_last",
        "is_sending",
        "is_sent",
        "is_upgraded",
        "leaves_body",
        "method",
        "pieces",
        "request",
        "stream",
        "upload",
        "waiter",
    )

    def __init__(self, request: ClientRequest, waiter: asyncio.Future[None], method: str = "") -> None:
        self.request = request
        self.method = method or request.method
        self.waiter = waiter
        self.connection: Connection | None = None
        self.head: ResponseHead | None = None
        self.pieces: list[bytes] = []
        self.stream: StreamReader | None = None
        self.error: BaseException | None = None
        self.is_complete = False
        self.upload: asyncio.Task[None] | None = None
        self.continued: asyncio.Future[None] | None = None
        self.has_answered = False
        self.is_begun = False
        self.is_sending = False
        self.is_sent = False
        self.is_last = False
        self.is_upgraded = False
        self.leaves_body = False

    def take_head(self, head: ResponseHead) -> None:
        """Take a head: of the final answer, or of an interim one."""
        if head.is_interim:
            if head.status == 100:
                self._go_on_with_upload()
            return
        request = self.request
        if head.upgrade and hdrs.UPGRADE not in request.headers:
            raise RemoteProtocolError("status 101 to a request that offered no other protocol")
        self.is_upgraded = head.upgrade or (self.method == hdrs.METH_CONNECT and head.status < 300)
        self.head = head
        if not request.settings.read_until_eof:
            self.leaves_body = head.has_body and head.content_length is None and not head.chunked
        self._go_on_with_upload()
        if not self.waiter.done():
            self.waiter.set_result(None)

    def _go_on_with_upload(self) -> None:
        if self.continued is not None and not self.continued.done():
            self.continued.set_result(None)

    def open_stream(self) -> StreamReader:
        """Make the stream of the body, with what has come of it."""
        if self.stream is None:
            stream = self.stream = StreamReader(self.connection, self.request.settings.read_bufsize)
            for piece in self.pieces:
                stream.feed_data(piece)
            self.pieces = []
            if self.error is not None:
                stream.set_exception(self.error)
            elif self.is_complete:
                stream.feed_eof()
        return self.stream

    def feed_data(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self.stream is None:
            self.pieces.append(data)
        else:
            self.stream.feed_data(data)

    def complete(self) -> None:
        """Take note of the end of the answer."""
        self.connection = None
        self.is_complete = True
        if self.stream is not None:
            self.stream.feed_eof()

    def fail(self, error: BaseException) -> None:
        """End the exchange by an error; whoever waits for it, or reads, gets it."""
        self.connection = None
        self.error = error
        self.stop_upload()
        # The waiter's own exception would be lost, and logged, where who waits is cancelled right now.
        if not self.waiter.done():
            self.waiter.set_result(None)
        if self.stream is not None:
            self.stream.set_exception(error)

    def close(self) -> None:
        """Give up what has not come yet, and the connection with it."""
        if self.connection is not None:
            self.connection.fail(ClientConnectionError("the response was closed before its end was read"))

    def stop_upload(self) -> None:
        """Stop sending the request's body, if it is still on its way."""
        if self.upload is not None and self.is_sending:
            self.upload.cancel()
