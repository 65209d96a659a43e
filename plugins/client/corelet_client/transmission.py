"""Send one request on a connection, and wait for the head of its answer.

A request on a connection that was used before may find that the server has closed it just then. It is sent again, once
and on a new connection, where that does no harm: nothing of an answer has come, and the method is idempotent or nothing
was sent. Source: RFC 9110 section 9.2.2, RFC 9112 section 9.3.1.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from corelet import BytesPayload

from .connector import trace_reuse
from .errors import ClientConnectionResetError, ClientOSError, ServerDisconnectedError
from .exchange import Exchange
from .request import IDEMPOTENT_METHODS
from .tracing import TraceRequestHeadersSentParams
from .upload import start_upload

if TYPE_CHECKING:
    from .connection import Connection
    from .connector import BaseConnector
    from .request import ClientRequest

#: A body up to this size goes out with its head, in one write.
_JOIN_BYTES = 65_536


async def transmit(request: ClientRequest, connector: BaseConnector) -> Exchange:
    """Send a request over a connection of a connector.

    Returns:
        The exchange, whose head is there; what goes wrong behind it is for whoever reads the body.

    Raises:
        LocalProtocolError: the head can't be sent; nothing was opened for it.
        ClientError: what prevented an answer.
        BaseException: who sends is cancelled; the connection is closed then.
    """
    head = request.make_head()
    connection = connector.take_idle(request.choose_connection())
    if connection is None:
        connection = await connector.connect(request)
    elif request.tracer is not None:
        await trace_reuse(request, connection)
    while True:
        exchange = Exchange(request, asyncio.get_running_loop().create_future())
        connection.begin(exchange)
        try:
            if type(request.body) is bytes:
                exchange.is_sent = True
                connection.send(head)
                exchange.is_begun = True
            else:
                await _send_body(exchange, head, connection)
            if request.tracer is not None:
                await _trace_head(request)
            await exchange.waiter
        except ClientConnectionResetError as error:
            connection.fail(error)
            if exchange.error is None:
                exchange.fail(error)
        except BaseException:
            exchange.stop_upload()
            exchange.close()
            raise
        if exchange.head is not None or exchange.error is None:
            return exchange
        if not _may_send_again(exchange, connection):
            raise exchange.error
        connection = await connector.connect(request, fresh=True)


def _may_send_again(exchange: Exchange, connection: Connection) -> bool:
    """Tell whether another attempt does no harm; there is one at most, as its connection is a new one."""
    if not connection.is_reused or exchange.has_answered:
        return False
    if not isinstance(exchange.error, ServerDisconnectedError | ClientOSError | ClientConnectionResetError):
        return False
    is_harmless = not exchange.is_begun or exchange.method in IDEMPOTENT_METHODS
    return is_harmless and exchange.request.is_repeatable


async def _send_body(exchange: Exchange, head: bytes, connection: Connection) -> None:
    """Send the request with its body, or begin to, where that may take a while."""
    body = exchange.request.body
    if isinstance(body, BytesPayload) and _is_simple(exchange.request, body):
        exchange.is_sent = True
        connection.send(head + await body.as_bytes())
        exchange.is_begun = True
        return
    if exchange.request.expect100:
        exchange.continued = asyncio.get_running_loop().create_future()
    connection.send(head)
    exchange.is_begun = True
    start_upload(exchange, connection)


def _is_simple(request: ClientRequest, body: BytesPayload) -> bool:
    """Tell whether the body can go out with the head, as it is."""
    return (
        request.content_length == body.size <= _JOIN_BYTES
        and not request.expect100
        and request.compress is None
        and request.tracer is None
        and request.upload_tracker is None
    )


async def _trace_head(request: ClientRequest) -> None:
    tracer: Any = request.tracer
    params = TraceRequestHeadersSentParams(request.method, request.url, request.headers)
    await tracer.send("on_request_headers_sent", params)
