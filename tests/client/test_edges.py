"""What is easily overlooked: arguments that contradict, answers that are odd."""

from __future__ import annotations

import io

import pytest
from yarl import URL

from corelet import BasicAuth, ClientError, ClientSession, ClientTimeout, InvalidURL, UploadAbortedError
from tests.client.conftest import Peer, serve_ok


def find_fields(head: bytes, name: bytes) -> list[bytes]:
    return [line for line in head.split(b"\r\n") if line.lower().startswith(name.lower() + b":")]


async def test_authorization_of_a_session_goes_before_netrc(raw, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = await raw(serve_ok)
    async with ClientSession(headers={"Authorization": "Bearer x"}, trust_env=True) as session:
        async with session.get(server.url):
            pass
        async with session.get(server.url, headers={"authorization": "Bearer y"}):
            pass
    async with ClientSession(trust_env=True) as session, session.get(server.url):
        pass
    found = [find_fields(head, b"Authorization") for head in server.heads]
    assert found == [[b"Authorization: Bearer x"], [b"authorization: Bearer y"], [b"Authorization: Basic bWU6c2VjcmV0"]]


async def test_netrc_is_not_asked_for_where_a_redirect_leads(raw, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    other = await raw(serve_ok)

    async def redirect(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(status="302 Found", fields=f"Location: {other.url}\r\n")

    server = await raw(redirect)
    async with ClientSession(trust_env=True) as session, session.get(server.url):
        pass
    assert find_fields(server.heads[0], b"Authorization")
    assert not find_fields(other.heads[0], b"Authorization")


async def test_auth_beside_an_authorization_field_is_refused(raw):
    server = await raw(serve_ok)
    async with ClientSession(headers={"Authorization": "Bearer x"}) as session:
        with pytest.raises(ValueError, match="Authorization"):
            await session.get(server.url, auth=BasicAuth("me", "p"))
    assert server.connections == 0


async def test_auth_of_another_type_is_refused(raw, client):
    server = await raw(serve_ok)
    with pytest.raises(TypeError, match="BasicAuth"):
        await client.get(server.url, auth=("me", "p"))
    assert server.connections == 0


async def test_malformed_link_is_left_out(raw, client):
    async def answer(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(
            fields='Link: <http://[::1>; rel="bad", </next>; rel="next", <http://x:99999/>; rel="port"\r\n'
        )

    server = await raw(answer)
    async with client.get(server.url) as response:
        assert response.links["next"]["url"] == server.url / "next"
        assert "bad" not in response.links


@pytest.mark.parametrize("url", ["//x/", "x", "/x", ""])
async def test_url_without_a_scheme_is_refused(client, url):
    with pytest.raises(InvalidURL):
        await client.get(url)


async def test_second_host_field_is_refused(raw, client):  # RFC 9112 section 3.2
    server = await raw(serve_ok)
    with pytest.raises(ValueError, match="Host"):
        await client.get(server.url, headers=[("Host", "a"), ("host", "b")])
    assert server.connections == 0


async def test_text_is_a_body_from_any_file(raw, client, tmp_path):
    server = await raw(serve_ok)
    path = tmp_path / "text"
    path.write_text("é", encoding="utf-8")
    async with client.post(server.url, data=io.StringIO("é")) as response:
        assert await response.read() == "é".encode()
    async with client.post(server.url, data=path.open(encoding="utf-8")) as response:
        assert await response.read() == "é".encode()


async def test_body_longer_than_its_content_length_is_an_error(raw, client):
    server = await raw(serve_ok)
    with pytest.raises((ValueError, UploadAbortedError), match="Content-Length"):
        await client.post(server.url, data=b"abc", headers={"Content-Length": "2"})


async def test_method_of_another_type_is_refused(raw, client):
    server = await raw(serve_ok)
    with pytest.raises(TypeError, match="method"):
        await client.request(None, server.url)
    assert server.connections == 0


async def test_connector_of_a_new_session_is_there():
    async with ClientSession() as session:
        assert session.connector is not None
        assert session.connector.limit == 100


async def test_url_that_is_encoded_goes_out_byte_for_byte(raw, client):
    server = await raw(serve_ok)
    target = "/a%2fb/%7e?q=%41+b&c=%zz&d=é".replace("é", "%c3%a9")
    async with client.get(URL(f"{server.url}{target}", encoded=True)) as response:
        assert response.status == 200
    assert server.lines == [f"GET {target} HTTP/1.1".encode()]


async def test_encoded_url_that_is_none_is_an_error_that_can_be_shown(client):
    with pytest.raises(InvalidURL) as caught:
        await client.get(URL("http://127.0.0.1:80x/", encoded=True))
    assert "80x" in str(caught.value)
    assert "80x" in repr(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://me:secret@a.test/",
        "http://me:secret@0x7f.1/",
        "http://me:secret@a.test:99999/",
        URL("ftp://me:secret@b/"),
    ],
)
async def test_error_of_a_url_hides_its_password(client, url):
    with pytest.raises(ClientError) as caught:
        await client.get(url)
    assert "secret" not in str(caught.value) + repr(caught.value)


async def test_timeout_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match=r"ClientTimeout\.sock_read is a number of seconds or None, not '5'"):
        ClientTimeout(sock_read="5")


async def test_middleware_sends_a_request_elsewhere_the_second_time(raw):
    async def answer_busy(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(b"busy", status="503 Busy")

    async def ask_another(request, send):
        response = await send(request)
        await response.read()
        request.url = other.url
        request.headers["Host"] = other.url.host_port_subcomponent
        return await send(request)

    busy, other = await raw(answer_busy), await raw(serve_ok)
    async with ClientSession(middlewares=[ask_another]) as session, session.get(busy.url) as response:
        assert await response.read() == b"ok"
        assert response.url == other.url
    assert (len(busy.requests), len(other.requests)) == (1, 1)
