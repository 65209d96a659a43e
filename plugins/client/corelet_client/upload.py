"""Send the body of a request while its answer may come already."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from corelet import Payload
from corelet.writer import BodyWriter

from .errors import UploadAbortedError
from .tracing import TraceRequestChunkSentParams

if TYPE_CHECKING:
    from .connection import Connection
    from .exchange import Exchange
    from .request import ClientRequest

#: Seconds until a body is sent that the server was asked about and has not said a word. Source: RFC 9110
#: section 10.1.1 asks not to wait for ever; 1 second is curl's.
CONTINUE_SECONDS: Final = 1.0


class TracedBodyWriter(BodyWriter):
    """Tell a request's tracer about each part of its body."""

    request: ClientRequest

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Send a part of the body."""
        await super().write(chunk)
        request = self.request
        assert request.tracer is not None
        params = TraceRequestChunkSentParams(request.method, request.url, bytes(chunk))
        await request.tracer.send("on_request_chunk_sent", params)


def start_upload(exchange: Exchange, connection: Connection) -> None:
    """Begin to send the body, in a task of its own."""
    exchange.is_sending = True
    exchange.upload = asyncio.get_running_loop().create_task(_upload(exchange, connection))


async def _upload(exchange: Exchange, connection: Connection) -> None:
    try:
        if exchange.continued is None or await _may_go_on(exchange):
            await _write_body(exchange, connection)
            exchange.is_sent = True
    except (Exception, asyncio.CancelledError) as cause:  # the source of a body may raise anything
        # Where it was the connection, or who waits for the answer has given up, the exchange has ended already.
        exchange.is_sending = False
        connection.fail_upload(exchange, _make_source_error(exchange, cause))
        if isinstance(cause, asyncio.CancelledError):
            raise
    finally:
        exchange.is_sending = False
        connection.end_upload(exchange)
        if exchange.is_last:
            await _end_last(exchange)


async def _end_last(exchange: Exchange) -> None:
    """Give back what the body holds, and tell its tracker; nobody else will."""
    request = exchange.request
    if request.upload_tracker is not None:
        cut = None if exchange.is_sent else UploadAbortedError("the body was given up")
        request.upload_tracker.settle(cut)
    await request.close()


async def _may_go_on(exchange: Exchange) -> bool:
    """Wait for an interim answer 100; False where a final answer came instead."""
    assert exchange.continued is not None
    await asyncio.wait([exchange.continued], timeout=CONTINUE_SECONDS)
    return exchange.head is None


async def _write_body(exchange: Exchange, connection: Connection) -> None:
    request = exchange.request
    body = request.body
    assert isinstance(body, Payload)
    encoder = None
    if request.compress is not None:
        encoder = request.session.find_coding(request.compress).make_encoder()
    kind = BodyWriter if request.tracer is None else TracedBodyWriter
    writer = kind(connection, length=request.content_length, chunked=request.chunked, encoder=encoder)
    if isinstance(writer, TracedBodyWriter):
        writer.request = request
    if request.upload_tracker is not None:
        request.upload_tracker.begin(writer, connection)
    await body.write_with_length(writer, body.size)
    await writer.write_eof()


def _make_source_error(exchange: Exchange, cause: BaseException) -> UploadAbortedError:
    request = exchange.request
    message = f"the body of {request.method} {request.url.with_user(None)} could not be made: {cause!r}"
    error = UploadAbortedError(message)
    error.__cause__ = cause
    return error
