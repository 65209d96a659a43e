"""``ws_connect``: the handshake goes as a request of the session, with all that belongs to one."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

import corelet
from corelet import web
from tests.client.conftest import Peer, assert_at_rest


async def echo(request: web.BaseRequest) -> web.StreamResponse:
    websocket = web.WebSocketResponse(protocols=["chat"])
    await websocket.prepare(request)
    async for message in websocket:
        await websocket.send_str(f"{request.headers.get('X-Name')} {message.data}")
    return websocket


async def test_messages_go_both_ways_and_the_place_is_free_at_the_end(serve, client) -> None:
    served = await serve(web.Application(handler=echo))
    headers = {"X-Name": "me"}
    async with client.ws_connect(served.url, protocols=["chat"], headers=headers, compress=15) as websocket:
        assert (websocket.protocol, websocket.compress) == ("chat", 15)
        assert client.connector.pool.places == 1
        await websocket.send_str("hello")
        assert await websocket.receive_str() == "me hello"
    assert websocket.closed
    assert_at_rest(client)
    assert client.connector.pool.connections == []


async def test_ws_urls_and_receive_timeouts(serve, client) -> None:
    served = await serve(web.Application(handler=echo))
    url = served.url.with_scheme("ws")
    async with client.ws_connect(url, receive_timeout=0.05) as websocket:
        with pytest.raises(TimeoutError):
            await websocket.receive()


async def test_seconds_are_no_timeout_of_a_websocket(client) -> None:
    with pytest.raises(TypeError, match=r"timeout is 5, expected ClientWSTimeout\(ws_receive=seconds"):
        await client.ws_connect("http://127.0.0.1:1/", timeout=5)


async def test_middlewares_see_the_handshake(serve, client) -> None:
    served = await serve(web.Application(handler=echo))

    async def middleware(request, send):
        request.headers["X-Name"] = "middleware"
        return await send(request)

    async with client.ws_connect(served.url, middlewares=[middleware]) as websocket:
        await websocket.send_str("x")
        assert await websocket.receive_str() == "middleware x"


async def test_a_server_that_does_not_agree(raw, client) -> None:
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer(b"no", status="403 Forbidden")

    server = await raw(script)
    with pytest.raises(corelet.WSServerHandshakeError, match="403") as caught:
        await client.ws_connect(server.url)
    assert caught.value.status == 403
    assert_at_rest(client)


async def accept(peer: Peer, *, fields: str = "", behind: bytes = b"") -> None:
    head, _ = await peer.read_request()
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")).split(b": ")[1]
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    await peer.send(
        b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + base64.b64encode(digest)
        + f"\r\n{fields}\r\n".encode()
        + behind
    )


async def test_a_frame_in_one_piece_with_the_head_is_not_lost(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await accept(peer, behind=b"\x81\x02hi")
        await peer.wait_closed()

    server = await raw(script)
    timeout = corelet.ClientWSTimeout(ws_close=0.05)
    async with client.ws_connect(server.url, timeout=timeout) as websocket:
        assert await websocket.receive_str() == "hi"


@pytest.mark.parametrize(
    "fields", ["Sec-WebSocket-Protocol: other\r\n", "Sec-WebSocket-Extensions: permessage-deflate\r\n"]
)
async def test_what_was_not_offered_is_refused(raw, client, fields: str) -> None:
    async def script(peer: Peer) -> None:
        await accept(peer, fields=fields)
        await peer.wait_closed()

    server = await raw(script)
    with pytest.raises(corelet.WSServerHandshakeError):
        await client.ws_connect(server.url)
    assert_at_rest(client)
    await server.wait_for(lambda: server.closed == 1)


async def test_closing_the_session_closes_the_websocket(serve) -> None:
    served = await serve(web.Application(handler=echo))
    session = corelet.ClientSession()
    websocket = await session.ws_connect(served.url)
    receiving = asyncio.ensure_future(websocket.receive())
    await asyncio.sleep(0)
    await session.close()
    message = await receiving
    assert message.type in {corelet.WSMsgType.CLOSED, corelet.WSMsgType.ERROR, corelet.WSMsgType.CLOSE}
    with pytest.raises(corelet.ClientConnectionResetError):
        await websocket.send_str("x")


async def test_an_upgraded_connection_is_handed_over_once(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 101 Switching\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\nrest")
        await peer.wait_closed()

    server = await raw(script)
    headers = {"Upgrade": "other", "Connection": "Upgrade"}
    async with client.get(server.url, headers=headers) as response:
        connection = response.connection
        transport, rest = connection.hand_over()
        assert rest == b"rest"
        with pytest.raises(RuntimeError, match="hand_over"):
            connection.hand_over()
    transport.abort()
    connection.forget()
    assert_at_rest(client)


async def test_an_upgraded_connection_that_nobody_takes_is_closed(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 101 Switching\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n")
        await peer.wait_closed()

    server = await raw(script)
    async with client.get(server.url, headers={"Upgrade": "other", "Connection": "Upgrade"}):
        pass
    await server.wait_for(lambda: server.closed == 1)


async def test_a_handshake_follows_a_redirect_within_its_origin(raw, serve, client) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path != "/end":
            raise web.HTTPFound("/end")
        return await echo(request)

    served = await serve(web.Application(handler=handler))
    async with client.ws_connect(served.url.with_scheme("ws")) as websocket:
        await websocket.send_str("x")
        assert await websocket.receive_str() == "None x"


async def test_a_connection_is_not_handed_over_before_the_request_is_sent(raw, client) -> None:
    may_end = asyncio.Event()

    async def body():
        yield b"one"
        await may_end.wait()
        yield b"two"

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 101 Switching\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n")
        await peer.wait_closed()

    server = await raw(script)
    headers = {"Upgrade": "other", "Connection": "Upgrade"}
    tracker = corelet.UploadTracker()
    async with client.post(server.url, data=body(), headers=headers, upload_tracker=tracker) as response:
        connection = response.connection
        with pytest.raises(RuntimeError, match="still being sent"):
            connection.hand_over()
        may_end.set()
        await tracker.upload_complete
        transport, _ = connection.hand_over()
    transport.abort()
    connection.forget()
    assert_at_rest(client)
