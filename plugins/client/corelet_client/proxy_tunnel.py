"""Tunnels through HTTP proxies. Source: RFC 9110 section 9.3.6."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from multidict import CIMultiDict

from corelet import HttpVersion11, hdrs
from corelet.wire import serialize_request_head

from .errors import ClientHttpProxyError
from .exchange import Exchange

if TYPE_CHECKING:
    from .connection import Connection
    from .request import ClientRequest


async def open_tunnel(request: ClientRequest, connection: Connection) -> asyncio.Transport:
    """Ask a proxy for a tunnel to the request's host.

    Args:
        request: that is to go through it.
        connection: to the proxy.

    Returns:
        The transport, which is the host's from now on.

    Raises:
        ClientHttpProxyError: the proxy refused.
        ClientConnectionError: the proxy hung up.
    """
    target = f"{request.url.host_subcomponent}:{request.url.port}"  # RFC 9112 section 3.2.3
    fields: CIMultiDict[str] = CIMultiDict({hdrs.HOST: target})
    fields.update(request.make_proxy_fields())
    head = serialize_request_head(hdrs.METH_CONNECT, target, HttpVersion11, fields)
    exchange = Exchange(request, asyncio.get_running_loop().create_future(), method=hdrs.METH_CONNECT)
    connection.begin(exchange)
    connection.send(head)
    await exchange.waiter
    if exchange.error is not None:
        raise exchange.error
    answer = exchange.head
    assert answer is not None
    if not exchange.is_upgraded:
        raise ClientHttpProxyError(
            request.request_info,
            (),
            status=answer.status,
            message=f"the proxy {request.proxy} refused a tunnel to {target}: {answer.reason}",
            headers=answer.headers,
        )
    return connection.detach()
