"""What goes out: head, body, framing; and what is refused before anything does."""

from __future__ import annotations

import asyncio
import io

import pytest
from multidict import CIMultiDict
from yarl import URL

import corelet
from tests.client.conftest import Peer, serve_ok


def fields_of(head: bytes) -> CIMultiDict[str]:
    lines = head.decode("latin-1").split("\r\n")[1:-2]
    return CIMultiDict(line.split(": ", 1) for line in lines)


async def sent(server, client, method: str = "GET", **kwargs) -> tuple[bytes, CIMultiDict[str], bytes]:
    """Send a request and give its line, its fields and its body."""
    async with client.request(method, kwargs.pop("url", server.url), **kwargs) as response:
        await response.read()
    head, body = server.requests[-1]
    return head.split(b"\r\n")[0], fields_of(head), body


async def test_the_head_of_a_plain_request(raw, client) -> None:
    server = await raw(serve_ok)
    line, fields, body = await sent(server, client)
    assert line == b"GET / HTTP/1.1"
    assert next(iter(fields)) == "Host"
    assert fields["Host"] == f"127.0.0.1:{server.url.port}"
    assert fields["Accept"] == "*/*"
    assert fields["User-Agent"].startswith("Python/")
    assert "Content-Length" not in fields
    assert body == b""


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_method_that_means_a_body_says_that_there_is_none(raw, client, method: str) -> None:
    server = await raw(serve_ok)
    _, fields, _ = await sent(server, client, method)
    assert fields["Content-Length"] == "0"


class Given:
    """A body, what it is sent as, and its type."""

    def __init__(self, data, body: bytes, content_type: str | None, *, chunked: bool = False) -> None:
        self.data, self.body, self.content_type, self.chunked = data, body, content_type, chunked


async def _iterate():
    yield b"one"
    yield b"two"


@pytest.mark.parametrize(
    "given",
    [
        Given(b"bytes", b"bytes", "application/octet-stream"),
        Given(bytearray(b"bytes"), b"bytes", "application/octet-stream"),
        Given(memoryview(b"bytes"), b"bytes", "application/octet-stream"),
        Given("tëxt", "tëxt".encode(), "text/plain; charset=utf-8"),
        Given({"a": "b c", "d": 1}, b"a=b+c&d=1", "application/x-www-form-urlencoded"),
        Given([("a", "1"), ("a", "2")], b"a=1&a=2", "application/x-www-form-urlencoded"),
        Given(io.BytesIO(b"file"), b"file", "application/octet-stream"),
        Given(io.StringIO("text"), b"text", "text/plain; charset=utf-8"),
        Given(b"x" * 200_000, b"x" * 200_000, "application/octet-stream"),
        Given(corelet.BytesPayload(b"p", content_type="a/b"), b"p", "a/b"),
    ],
    ids=lambda given: type(given.data).__name__,
)
async def test_bodies(raw, client, given: Given) -> None:
    server = await raw(serve_ok)
    _, fields, body = await sent(server, client, "POST", data=given.data)
    assert body == given.body
    assert fields["Content-Type"] == given.content_type
    assert fields["Content-Length"] == str(len(body))


async def test_a_body_of_unknown_length_is_chunked(raw, client) -> None:
    server = await raw(serve_ok)
    _, fields, body = await sent(server, client, "POST", data=_iterate())
    assert body == b"onetwo"
    assert fields["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in fields


async def test_a_body_is_chunked_where_that_is_wanted(raw, client) -> None:
    server = await raw(serve_ok)
    _, fields, body = await sent(server, client, "POST", data=b"body", chunked=True)
    assert (body, fields["Transfer-Encoding"]) == (b"body", "chunked")


async def test_a_body_from_an_iterator_with_a_length_of_the_caller(raw, client) -> None:
    server = await raw(serve_ok)
    _, fields, body = await sent(server, client, "POST", data=_iterate(), headers={"Content-Length": "6"})
    assert (body, fields["Content-Length"]) == (b"onetwo", "6")
    assert "Transfer-Encoding" not in fields


async def test_json(raw, client) -> None:
    server = await raw(serve_ok)
    _, fields, body = await sent(server, client, "POST", json={"ä": [1, None]})
    assert body == b'{"\\u00e4": [1, null]}'
    assert fields["Content-Type"] == "application/json"
    async with corelet.ClientSession(json_serialize=lambda value: "text") as session:
        assert (await sent(server, session, "POST", json=1))[2] == b"text"
    async with corelet.ClientSession(json_serialize_bytes=lambda value: b"bytes") as session:
        assert (await sent(server, session, "POST", json=1))[2] == b"bytes"


async def test_falsy_json_is_sent(raw, client) -> None:
    server = await raw(serve_ok)
    assert (await sent(server, client, "POST", json=0))[2] == b"0"
    assert (await sent(server, client, "POST", json={}))[2] == b"{}"


async def test_a_file_is_sent_from_where_it_stands_and_closed(raw, client, tmp_path) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes(b"0123456789")
    file = path.open("rb")
    file.seek(4)
    server = await raw(serve_ok)
    _, fields, body = await sent(server, client, "POST", data=file)
    assert body == b"456789"
    assert fields["Content-Type"] == "text/plain"
    assert "Content-Disposition" not in fields
    assert file.closed


async def test_fields_of_the_request_replace_those_of_the_session(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(headers={"A": "1", "b": "1", "User-Agent": "me"}) as session:
        _, fields, _ = await sent(server, session, headers=[("B", "2"), ("B", "3"), ("Accept", "text/html")])
    assert fields.getall("B") == ["2", "3"]
    assert fields.getall("A") == ["1"]
    assert fields.getall("Accept") == ["text/html"]
    assert fields["User-Agent"] == "me"


async def test_automatic_fields_can_be_left_out(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(skip_auto_headers=["user-agent"]) as session:
        _, fields, _ = await sent(server, session, "POST", data=b"x", skip_auto_headers=["Accept", "Content-Type"])
    assert not {"User-Agent", "Accept", "Content-Type"} & set(fields)


async def test_parameters_of_the_query(raw, client) -> None:
    server = await raw(serve_ok)
    for params, target in (
        ({"a": "b c", "d": 1}, b"/?a=b+c&d=1"),
        ([("a", "1"), ("a", "2")], b"/?a=1&a=2"),
        ({"a": ["1", "2"]}, b"/?a=1&a=2"),
        ("x=a+b&y", b"/?x=a+b&y"),
        ("x=%20#y\n\tz", b"/?x=%20%23y%0A%09z"),
    ):
        line, _, _ = await sent(server, client, params=params)
        assert line == b"GET " + target + b" HTTP/1.1", params
    line, _, _ = await sent(server, client, url=server.url.with_query("a=1"), params={"b": "2"})
    assert line == b"GET /?a=1&b=2 HTTP/1.1"


@pytest.mark.parametrize(
    "target", ["/a%2Fb%7E?x=%2b%20y&sig=A%2fB%3D", "/%e4?%E4", "/a+b?c+d=%2B", "/a;b=c?d;e", "/?a=b?c"]
)
async def test_an_encoded_url_goes_out_byte_for_byte(raw, client, target: str) -> None:
    server = await raw(serve_ok)
    line, _, _ = await sent(server, client, url=URL(f"{server.url.origin()}{target}", encoded=True))
    assert line == f"GET {target} HTTP/1.1".encode()


async def test_parameters_change_no_byte_of_an_encoded_url(raw, client) -> None:
    server = await raw(serve_ok)
    url = URL(f"{server.url.origin()}/a%7Eb?sig=A%2fB%3D", encoded=True)
    line, _, _ = await sent(server, client, url=url, params={"c": "d"})
    assert line == b"GET /a%7Eb?sig=A%2fB%3D&c=d HTTP/1.1"


async def test_the_fragment_is_not_sent(raw, client) -> None:
    server = await raw(serve_ok)
    line, _, _ = await sent(server, client, url=f"{server.url}/a#b")
    assert line == b"GET /a HTTP/1.1"


async def test_http_1_0(raw) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.0 200 OK\r\n\r\nuntil close")

    server = await raw(script)
    async with corelet.ClientSession(version=corelet.HttpVersion10) as session:
        async with session.get(server.url) as response:
            assert await response.text() == "until close"
            assert response.version == corelet.HttpVersion10
        with pytest.raises(ValueError, match=r"HTTP/1\.0"):
            await session.post(server.url, data=_iterate())
    assert server.lines == [b"GET / HTTP/1.0"]


async def test_auth(raw, client) -> None:
    server = await raw(serve_ok)
    auth = corelet.BasicAuth("me", "pass")
    assert (await sent(server, client, auth=auth))[1]["Authorization"] == "Basic bWU6cGFzcw=="
    url = server.url.with_user("me").with_password("pass")
    line, fields, _ = await sent(server, client, url=url)
    assert fields["Authorization"] == "Basic bWU6cGFzcw=="
    assert b"me" not in line
    with pytest.raises(ValueError, match="auth"):
        await client.get(url, auth=auth)
    with pytest.raises(ValueError, match="auth"):
        await client.get(server.url, auth=auth, headers={"Authorization": "x"})


async def test_cookies_of_the_caller_the_jar_and_the_session(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(cookies={"a": "1", "b": "1"}) as session:
        _, fields, _ = await sent(server, session, cookies={"b": "2", "c": "3"}, headers={"Cookie": "d=4"})
        assert fields.getall("Cookie") == ["d=4; a=1; b=2; c=3"]
        assert (await sent(server, session))[1]["Cookie"] == "a=1; b=1"


async def test_a_base_url(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.ClientSession(server.url / "api/") as session:
        assert (await sent(server, session, url="users"))[0] == b"GET /api/users HTTP/1.1"
        assert (await sent(server, session, url="/root"))[0] == b"GET /root HTTP/1.1"
    with pytest.raises(ValueError, match="slash"):
        corelet.ClientSession("http://a.test/api")
    with pytest.raises(ValueError, match="absolute"):
        corelet.ClientSession("/api/")


INJECTIONS = ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\0b"]


@pytest.mark.parametrize("value", INJECTIONS)
async def test_a_field_can_not_inject_another(raw, client, value: str) -> None:
    """a-002, a-004, a-006, a-008."""
    server = await raw(serve_ok)
    with pytest.raises(ValueError, match="control character"):
        await client.get(server.url, headers={"X-A": value})
    with pytest.raises(ValueError, match="token"):
        await client.get(server.url, headers={value: "x"})
    with pytest.raises(ValueError, match="cookie"):
        await client.get(server.url, cookies={"a": value})
    assert server.connections == 0


async def test_a_method_can_not_inject(raw, client) -> None:
    """a-016."""
    server = await raw(serve_ok)
    with pytest.raises(ValueError, match="method"):
        await client.request("GET /x HTTP/1.1\r\nX: y", server.url)
    assert server.connections == 0


@pytest.mark.parametrize("version", ["1.1\r\nX: y", ["1", "1"], (1, 1), "1.1", corelet.HttpVersion(2, 0)])
def test_a_version_can_not_inject(version) -> None:
    """a-017."""
    with pytest.raises((TypeError, ValueError), match="version"):
        corelet.ClientSession(version=version)


async def test_a_path_can_not_inject(raw, client) -> None:
    """a-018."""
    server = await raw(serve_ok)
    async with client.get(f"{server.url}/a b\r\nX: y") as response:
        await response.read()
    assert server.heads[0].split(b"\r\n")[1].startswith(b"Host")
    with pytest.raises(ValueError, match="target"):
        await client.get(URL(f"{server.url}/a b\r\nX: y", encoded=True))


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0x7f000001", "1.2.3.4.5", "256.1.1.1"])
async def test_a_host_that_is_a_number_and_no_address_is_refused(client, host: str) -> None:
    """a-095."""
    with pytest.raises(corelet.InvalidURL, match="address"):
        await client.get(f"http://{host}/")


@pytest.mark.parametrize("url", ["/relative", "http:///x", "http://a:99999/", "http://[::1/", 5, None])
async def test_what_is_no_url_is_refused(client, url) -> None:
    with pytest.raises((corelet.InvalidURL, corelet.NonHttpUrlClientError)) as caught:
        await client.get(url)
    assert isinstance(caught.value, corelet.ClientError)


@pytest.mark.parametrize("url", ["ftp://a.test/", "file:///etc/passwd", "unix://a/"])
async def test_another_scheme_is_refused(client, url: str) -> None:
    with pytest.raises(corelet.NonHttpUrlClientError, match=url):
        await client.get(url)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"data": b"x", "json": 1}, "choose one"),
        ({"headers": {"Content-Length": "5"}}, "no body"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "no body"),
        ({"data": b"x", "headers": {"Transfer-Encoding": "gzip"}}, "chunked"),
        ({"data": b"x", "headers": {"Transfer-Encoding": "chunked", "Content-Length": "1"}}, "only one"),
        ({"data": b"x", "chunked": True, "headers": {"Content-Length": "1"}}, "chunked"),
        ({"data": b"x", "headers": {"Content-Length": "+1"}}, "number"),
        ({"proxy": "ftp://a.test"}, "proxy"),
    ],
)
async def test_contradictions_are_refused_before_anything_is_sent(raw, client, kwargs, message: str) -> None:
    server = await raw(serve_ok)
    with pytest.raises(ValueError, match=message):
        await client.get(server.url, **kwargs)
    assert server.requests == []


async def test_what_makes_no_body_is_refused(raw, client) -> None:
    server = await raw(serve_ok)
    with pytest.raises(TypeError, match="object"):
        await client.post(server.url, data=object())
    with pytest.raises(TypeError, match="'a'"):
        await client.post(server.url, data={"a": None})


async def test_a_body_that_differs_from_its_length_is_an_error_and_no_poison(raw, client) -> None:
    server = await raw(serve_ok)
    with pytest.raises(corelet.UploadAbortedError, match="3 bytes before"):
        await client.post(server.url, data=_iterate(), headers={"Content-Length": "9"})
    assert client.connector.pool.connections == []


async def test_a_body_that_is_longer_than_its_length_is_an_error(raw, client) -> None:
    server = await raw(serve_ok)
    with pytest.raises(corelet.UploadAbortedError, match="left by Content-Length"):
        await client.post(server.url, data=_iterate(), headers={"Content-Length": "4"})
    with pytest.raises(ValueError, match="the body has 5 bytes"):
        await client.post(server.url, data=b"bytes", headers={"Content-Length": "4"})


async def test_expect_100_waits_for_the_server(raw, client) -> None:
    seen = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.reader.readuntil(b"\r\n\r\n"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(peer.reader.read(1), 0.05)
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        seen.append(await peer.reader.readexactly(4))
        await peer.answer()

    server = await raw(script)
    async with client.post(server.url, data=b"body", expect100=True) as response:
        assert response.status == 200
    assert b"Expect: 100-continue" in seen[0]
    assert seen[1] == b"body"


async def test_expect_100_sends_no_body_where_the_server_refuses(raw, client) -> None:
    rest = []

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(status="417 No")
        rest.append(await peer.reader.read())

    server = await raw(script)
    async with client.post(server.url, data=b"body", expect100=True) as response:
        assert response.status == 417
    await server.wait_for(lambda: server.closed == 1)
    assert rest == [b""]


async def test_request_as_a_function(raw) -> None:
    server = await raw(serve_ok)
    async with corelet.request("POST", server.url, data=b"x") as response:
        assert await response.read() == b"x"
    await server.wait_for(lambda: server.closed == 1)


async def test_two_lengths_of_one_body_are_refused(raw, client) -> None:
    server = await raw(serve_ok)
    for second in ("5", "4"):
        with pytest.raises(ValueError, match="Content-Length is '5, "):
            await client.post(server.url, data=b"bytes", headers=[("Content-Length", "5"), ("Content-Length", second)])
    assert server.connections == 0
