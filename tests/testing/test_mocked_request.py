from __future__ import annotations

import asyncio
import ssl
from typing import Any
from unittest import mock

import pytest

import corelet_multipart.plugin
from corelet import HttpVersion10, StreamReader, web
from corelet.test_utils import make_mocked_coro, make_mocked_request


def test_request_is_what_was_asked_for() -> None:
    request = make_mocked_request("POST", "/a%20b?c=d", {"X-A": "b", "Cookie": "e=f"})
    assert isinstance(request, web.Request)
    assert (request.method, request.path, request.query["c"]) == ("POST", "/a b", "d")
    assert (request.headers["x-a"], request.cookies["e"]) == ("b", "f")
    assert (request.host, request.scheme, request.remote) == ("127.0.0.1", "http", "127.0.0.1")
    assert (request.keep_alive, request.version.minor) == (True, 1)
    assert not request.can_read_body
    assert request.task is None or isinstance(request.task, asyncio.Task)


def test_request_may_be_another() -> None:
    app = web.Application(plugins=[])
    transport = object()
    request = make_mocked_request(
        "GET", "/", [("A", "1"), ("A", "2")], version=HttpVersion10, closing=True, app=app, transport=transport
    )
    assert request.headers.getall("A") == ["1", "2"]
    assert request.version == HttpVersion10
    assert not request.keep_alive
    assert request.app is app
    assert request.transport is transport
    assert make_mocked_request("GET", "/", sslcontext=ssl.create_default_context()).scheme == "https"
    connection = make_mocked_request("GET", "/").connection
    assert make_mocked_request("GET", "/", protocol=connection).connection is connection


@pytest.mark.parametrize(("method", "path"), [("G T", "/"), ("GET", "/a b"), ("GET", "x"), ("GET", "/ HTTP/1.1\r\n")])
def test_what_no_peer_could_send_is_refused(method: str, path: str) -> None:
    with pytest.raises(ValueError, match="no head of a request"):
        make_mocked_request(method, path)


def test_match_may_be_given() -> None:
    request = make_mocked_request("GET", "/", match_info={"name": "x"})
    assert request.match_info["name"] == "x"
    assert request.app is request.connection.app
    match = request.match_info
    assert make_mocked_request("GET", "/", match_info=match).match_info is match


async def test_body_may_be_given() -> None:
    payload = StreamReader(mock.Mock(), 2**16)
    payload.feed_data(b"a=b")
    payload.feed_eof()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = make_mocked_request("POST", "/", headers, payload=payload, client_max_fields=1)
    assert await request.read() == b"a=b"
    assert dict(await request.post()) == {"a": "b"}
    payload = StreamReader(mock.Mock(), 2**16)
    payload.feed_data(b"abc")
    payload.feed_eof()
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await make_mocked_request("POST", "/", payload=payload, client_max_size=2).read()


async def test_forms_are_read_by_the_plugins_of_a_frozen_application() -> None:
    async def handler(request: Any) -> Any: ...

    def make(app: web.Application) -> web.Request:
        payload = StreamReader(mock.Mock(), 2**16)
        payload.feed_data(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n')
        payload.feed_eof()
        return make_mocked_request(
            "POST", "/", {"Content-Type": "multipart/form-data; boundary=x"}, payload=payload, app=app
        )

    app = web.Application(handler=handler, plugins=[corelet_multipart.plugin])
    with pytest.raises(ImportError, match="corelet-multipart"):
        await make(app).post()
    app.freeze()
    assert dict(await make(app).post()) == {"a": "1"}
    assert await (await (await make(app).multipart()).next()).text() == "1"
    assert make(app).connection.codings == {}


async def test_what_is_sent_is_kept() -> None:
    request = make_mocked_request("GET", "/")
    response = web.StreamResponse()
    response.content_length = 3
    await response.prepare(request)
    await response.write(b"abc")
    await response.drain()
    await response.write_eof()
    sent = bytes(request.connection.sent)  # type: ignore[attr-defined]
    assert sent.startswith(b"HTTP/1.1 200 OK\r\n")
    assert sent.endswith(b"\r\n\r\nabc")


async def test_connection_takes_what_real_ones_take() -> None:
    request = make_mocked_request("GET", "/", {"Connection": "upgrade", "Upgrade": "x"})
    connection = request.connection
    connection.send_continue()
    assert not connection.is_writing_paused
    protocol = mock.Mock()
    connection.take_over(protocol)
    protocol.connection_made.assert_called_once_with(request.transport)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(request.wait_for_disconnection(), 0.01)


async def test_mocked_coroutine_returns_or_raises() -> None:
    function = make_mocked_coro(5)
    assert await function("a") == 5
    function.assert_called_once_with("a")
    assert await make_mocked_coro()() is mock.sentinel.RETURNED
    with pytest.raises(KeyError):
        await make_mocked_coro(raise_exception=KeyError)()
