"""ClientResponse: what it says of its head, and the ways to read its body."""

from __future__ import annotations

import asyncio

import pytest
from yarl import URL

import corelet
from tests.client.conftest import Peer, has_plugin


def answer(body: bytes = b"", fields: str = "", status: str = "200 OK"):
    async def script(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer(body, fields=fields, status=status)

    return script


def send(data: bytes):
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(data)

    return script


async def test_the_head(raw, client) -> None:
    server = await raw(
        answer(b"{}", "Content-Type: Text/HTML; charset=ISO-8859-1\r\nX-Two: 1\r\nX-Two: 2\r\n", "201 Made")
    )
    async with client.get(server.url / "a?b=1".replace("?", "%3F")) as response:
        assert (response.status, response.reason, response.ok) == (201, "Made", True)
        assert response.version == corelet.HttpVersion11
        assert (response.content_type, response.charset, response.content_length) == ("text/html", "ISO-8859-1", 2)
        assert response.headers.getall("x-two") == ["1", "2"]
        assert (b"X-Two", b"2") in response.raw_headers
        assert response.method == "GET"
        assert response.host == "127.0.0.1"
        assert response.history == ()
        assert response.request_info.headers["Accept"] == "*/*"
        assert response.get_encoding() == "iso8859-1"
        assert repr(response).startswith("<ClientResponse(http://127.0.0.1")


async def test_the_body_is_kept_once_it_is_read(raw, client) -> None:
    server = await raw(answer("ä".encode()))
    response = await client.get(server.url)
    assert await response.read() == "ä".encode()
    assert await response.text() == "ä"
    assert response.closed


async def test_text_by_the_charset_of_the_answer_or_the_caller_or_the_session(raw) -> None:
    server = await raw(answer("ä".encode("latin-1"), "Content-Type: text/plain; charset=latin-1\r\n"))
    bare = await raw(answer("ä".encode("cp1251", "replace"), ""))
    async with corelet.ClientSession(fallback_charset_resolver=lambda response, body: "cp1251") as session:
        async with session.get(server.url) as response:
            assert await response.text() == "ä"
        async with session.get(bare.url) as response:
            assert await response.text() == "?"
        async with session.get(server.url) as response:
            assert await response.text(encoding="cp1252") == "ä"


@pytest.mark.parametrize(
    "charset", ["hex", "no-such-charset", "utf-8" + "x" * 1000, "rot13", "zlib", "punycode", "idna"]
)
async def test_a_charset_that_is_none_of_text_counts_as_none(raw, client, charset: str) -> None:
    server = await raw(answer(b"text", f"Content-Type: text/plain; charset={charset}\r\n"))
    async with client.get(server.url) as response:
        assert await response.text() == "text"


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "application/problem+json"]
)
async def test_json(raw, client, media_type: str) -> None:
    server = await raw(answer(b'{"a": 1}', f"Content-Type: {media_type}\r\n"))
    async with client.get(server.url) as response:
        assert await response.json() == {"a": 1}


async def test_json_of_another_media_type_is_refused_unless_the_caller_does_not_mind(raw, client) -> None:
    server = await raw(answer(b"[1]", "Content-Type: text/html\r\n"))
    async with client.get(server.url) as response:
        with pytest.raises(corelet.ContentTypeError, match="text/html") as caught:
            await response.json()
        assert caught.value.status == 200
        assert await response.json(content_type=None) == [1]
        assert await response.json(content_type="text/html") == [1]


async def test_json_of_nothing_is_none(raw, client) -> None:
    server = await raw(answer(b" ", "Content-Type: application/json\r\n"))
    async with client.get(server.url) as response:
        assert await response.json() is None


async def test_links(raw, client) -> None:
    value = '</next?a=1,2>; rel="next"; title="a, \\"b\\"; c", <http://b.test/>; rel=other'
    server = await raw(answer(b"", f"Link: {value}\r\nLink: <x>\r\n"))
    async with client.get(server.url / "dir/") as response:
        links = response.links
    assert links["next"]["url"] == URL(f"{server.url}/next?a=1,2")
    assert links["next"]["title"] == 'a, "b"; c'
    assert links["other"]["url"] == URL("http://b.test/")
    assert links["x"]["url"] == server.url / "dir/x"


async def test_cookies(raw, client) -> None:
    server = await raw(answer(b"", 'Set-Cookie: a="b c"; Path=/\r\nSet-Cookie: d=e\r\nSet-Cookie: ;;=\r\n'))
    async with client.get(server.url) as response:
        assert {name: morsel.value for name, morsel in response.cookies.items()} == {"a": "b c", "d": "e"}


async def test_raise_for_status(raw, client) -> None:
    server = await raw(answer(b"no", status="404 Not Here"))
    async with client.get(server.url) as response:
        with pytest.raises(corelet.ClientResponseError, match="404, message='Not Here'") as caught:
            response.raise_for_status()
    assert (caught.value.status, caught.value.code, caught.value.message) == (404, 404, "Not Here")
    assert caught.value.request_info.real_url == server.url
    with pytest.raises(corelet.ClientResponseError):
        await client.get(server.url, raise_for_status=True)


async def test_raise_for_status_of_the_session(raw) -> None:
    server = await raw(answer(b"no", status="500 Oops"))
    seen = []

    async def check(response: corelet.ClientResponse) -> None:
        seen.append(response.status)
        if response.status == 500:
            raise RuntimeError("checked")

    async with corelet.ClientSession(raise_for_status=True) as session:
        with pytest.raises(corelet.ClientResponseError):
            await session.get(server.url)
        async with session.get(server.url, raise_for_status=False) as response:
            assert response.status == 500
    async with corelet.ClientSession(raise_for_status=check) as session:
        with pytest.raises(RuntimeError, match="checked"):
            await session.get(server.url)
    assert seen == [500]


@pytest.mark.parametrize("framing", ["length", "chunked", "until close"])
async def test_streams_of_each_framing(raw, client, framing: str) -> None:
    body = bytes(range(256)) * 2000
    heads = {
        "length": b"Content-Length: %d\r\n\r\n" % len(body) + body,
        "chunked": b"Transfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (len(body[i : i + 5000]), body[i : i + 5000]) for i in range(0, len(body), 5000))
        + b"0\r\nX-Trailer: a\r\n\r\n",
        "until close": b"\r\n" + body,
    }
    server = await raw(send(b"HTTP/1.1 200 OK\r\n" + heads[framing]))
    async with client.get(server.url) as response:
        pieces = [piece async for piece in response.content.iter_chunked(7777)]
        assert b"".join(pieces) == body
        assert max(map(len, pieces)) == 7777
    async with client.get(server.url) as response:
        assert await response.read() == body


async def test_lines(raw, client) -> None:
    server = await raw(answer(b"one\ntwo\nthree"))
    async with client.get(server.url) as response:
        assert [line async for line in response.content] == [b"one\n", b"two\n", b"three"]


async def test_an_answer_without_a_body(raw, client) -> None:
    for head in (b"204 No Content\r\n\r\n", b"304 Not Modified\r\nContent-Length: 7\r\n\r\n"):
        server = await raw(send(b"HTTP/1.1 " + head))
        async with client.get(server.url) as response:
            assert await response.read() == b""
            assert response.content.at_eof()
    server = await raw(send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"))
    async with client.head(server.url) as response:
        assert (await response.read(), response.content_length) == (b"", 7)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZ\r\n",
    ],
)
async def test_a_body_that_is_cut_short_or_malformed_is_a_payload_error(raw, client, data: bytes) -> None:
    server = await raw(send(data))
    async with client.get(server.url) as response:
        with pytest.raises(corelet.ClientPayloadError, match=r"127\.0\.0\.1"):
            await response.read()
    async with client.get(server.url) as response:
        with pytest.raises(corelet.ClientPayloadError):
            async for _ in response.content.iter_any():
                pass


async def test_interim_answers_are_passed_over(raw, client) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    server = await raw(send(interim + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    async with client.get(server.url) as response:
        assert await response.text() == "ok"


async def test_a_malformed_head_is_a_response_error_that_names_the_url(raw, client) -> None:
    server = await raw(send(b"HTTP/1.1 2x0 OK\r\n\r\n"))
    with pytest.raises(corelet.ClientResponseError, match=r"127\.0\.0\.1"):
        await client.get(server.url)


async def test_the_head_has_limits_of_the_session_and_of_the_request(raw) -> None:
    server = await raw(answer(b"ok", "X: " + "y" * 5000 + "\r\n"))
    async with corelet.ClientSession(max_field_size=1000) as session:
        with pytest.raises(corelet.ClientResponseError, match="max_field_bytes"):
            await session.get(server.url)
        async with session.get(server.url, max_field_size=10_000) as response:
            assert await response.text() == "ok"
        with pytest.raises(corelet.ClientResponseError, match="max_fields"):
            await session.get(server.url, max_headers=1, max_field_size=10_000)
        with pytest.raises(corelet.ClientResponseError, match="max_line_bytes"):
            await session.get(server.url, max_line_size=10, max_field_size=10_000)


async def test_a_reader_gets_what_has_come_before_the_rest_is_there(raw, client) -> None:
    gate = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
        await gate.wait()
        await peer.send(b"def")

    server = await raw(script)
    async with client.get(server.url) as response:
        assert await response.content.readany() == b"abc"
        assert not response.closed
        gate.set()
        assert await response.content.read() == b"def"
        assert response.closed


async def test_content_disposition_wants_the_multipart_plugin_or_is_read(raw, client) -> None:
    server = await raw(answer(b"", 'Content-Disposition: attachment; filename="a b.txt"\r\n'))
    async with client.get(server.url) as response:
        if not has_plugin("multipart"):
            with pytest.raises(corelet.MissingPluginError, match="corelet-multipart"):
                response.content_disposition  # noqa: B018
        else:
            disposition = response.content_disposition
            assert (disposition.type, disposition.filename) == ("attachment", "a b.txt")
    bare = await raw(answer())
    async with client.get(bare.url) as response:
        assert response.content_disposition is None


@pytest.mark.parametrize("head", ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"])
async def test_a_body_that_only_the_end_of_the_connection_ends_can_be_left(raw, client, head) -> None:
    """aiohttp's ``read_until_eof=False``."""

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(head.encode() + b"without an end")
        await peer.wait_closed()

    server = await raw(script)
    for _ in range(2):
        async with client.get(server.url, read_until_eof=False) as response:
            assert (response.status, await response.read(), response.closed) == (200, b"", True)
    assert server.connections == 2
    await server.wait_for(lambda: server.closed == 2)


async def test_a_body_with_an_end_is_read_whoever_wants_to_leave_the_others(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(b"ok")
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")

    server = await raw(script)
    for _ in range(2):
        async with client.get(server.url, read_until_eof=False) as response:
            assert await response.read() == b"ok"
    assert server.connections == 1
