"""Redirects: where they lead, what goes along, and what never reaches another origin."""

from __future__ import annotations

import pytest
from yarl import URL

import corelet
from tests.client.conftest import Peer, StartRaw, assert_at_rest, serve_ok


def redirect(location: str, status: int = 302):
    async def script(peer: Peer) -> None:
        while True:
            head, body = await peer.read_request()
            if head.split(b" ")[1] == b"/start":
                await peer.answer(b"gone", status=f"{status} Moved", fields=f"Location: {location}\r\n")
            else:
                await peer.answer(body or b"end")

    return script


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "GET", "GET"), (301, "POST", "GET"), (301, "PUT", "PUT"), (301, "HEAD", "HEAD"),
        (302, "POST", "GET"), (302, "DELETE", "DELETE"),
        (303, "POST", "GET"), (303, "PUT", "GET"), (303, "HEAD", "HEAD"),
        (307, "POST", "POST"), (307, "GET", "GET"), (308, "POST", "POST"), (308, "PUT", "PUT"),
    ],
)  # fmt: skip
async def test_the_method_and_the_body_of_the_next_request(
    raw, client, status: int, method: str, expected: str
) -> None:
    server = await raw(redirect("/end", status))
    data = b"body" if method in {"POST", "PUT"} else None
    async with client.request(method, server.url / "start", data=data, allow_redirects=True) as response:
        await response.read()
    assert [line.split()[0].decode() for line in server.lines] == [method, expected]
    (_, _), (head, body) = server.requests
    assert (body == b"body") == (data is not None and expected == method)
    assert (b"Content-Type" in head) == (body == b"body")
    assert response.history[0].status == status
    assert response.url == server.url / "end"


async def test_one_connection_serves_a_redirect_and_what_it_leads_to(raw, client) -> None:
    server = await raw(redirect("/end"))
    async with client.get(server.url / "start") as response:
        assert await response.text() == "end"
    assert server.connections == 1


async def test_a_redirect_is_given_where_it_is_not_followed(raw, client) -> None:
    server = await raw(redirect("/end"))
    async with client.get(server.url / "start", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, "/end")
    async with client.head(server.url / "start") as response:
        assert response.status == 302


async def test_the_fragment_is_kept_unless_the_redirect_has_its_own(raw, client) -> None:
    server = await raw(redirect("/end"))
    async with client.get((server.url / "start").with_fragment("part")) as response:
        assert response.real_url.fragment == "part"
        assert response.url.fragment == ""
    assert b"#" not in b"".join(server.heads)
    other = await raw(redirect("/end#other"))
    async with client.get((other.url / "start").with_fragment("part")) as response:
        assert response.real_url.fragment == "other"


SECRETS = {
    "Authorization": "Bearer secret",
    "Proxy-Authorization": "Basic secret",
    "Cookie": "a=secret",
}


async def lead_to(raw: StartRaw, url: str):
    return await raw(redirect(url))


@pytest.mark.parametrize("name", SECRETS)
async def test_a_secret_field_never_reaches_another_origin(raw, client, name: str) -> None:
    end = await raw(serve_ok)
    start = await raw(redirect(f"{end.url}/end"))
    headers = [(name, SECRETS[name]), (name.lower(), SECRETS[name]), ("X-Plain", "yes")]
    async with client.get(start.url / "start", headers=headers) as response:
        assert response.status == 200
    assert b"secret" in start.heads[0]
    assert b"secret" not in end.heads[0]
    assert b"X-Plain: yes" in end.heads[0]


async def test_fields_of_the_session_do_not_either(raw) -> None:
    end = await raw(serve_ok)
    start = await raw(redirect(f"{end.url}/end"))
    async with (
        corelet.ClientSession(headers=SECRETS) as session,
        session.get(start.url / "start", headers={"X-Plain": "yes"}) as response,
    ):
        await response.read()
    assert b"secret" in start.heads[0]
    assert b"secret" not in end.heads[0]


async def test_auth_of_the_request_and_of_the_session_does_not_either(raw) -> None:
    end = await raw(serve_ok)
    start = await raw(redirect(f"{end.url}/end"))
    auth = corelet.BasicAuth("me", "secret")
    async with corelet.ClientSession() as session, session.get(start.url / "start", auth=auth) as response:
        await response.read()
    async with corelet.ClientSession(auth=auth) as session, session.get(start.url / "start") as response:
        await response.read()
    assert all(b"Authorization" in head for head in start.heads)
    assert not any(b"Authorization" in head for head in end.heads)


async def test_cookies_of_one_request_do_not_either(raw, client) -> None:
    end = await raw(serve_ok)
    start = await raw(redirect(f"{end.url}/end"))
    async with client.get(start.url / "start", cookies={"s": "secret"}) as response:
        await response.read()
    assert b"Cookie: s=secret" in start.heads[0]
    assert b"Cookie" not in end.heads[0]


async def test_secrets_stay_on_the_way_within_one_origin(raw, client) -> None:
    server = await raw(redirect("/end"))
    async with client.get(server.url / "start", headers=SECRETS, cookies={"s": "1"}) as response:
        await response.read()
    assert all(b"Bearer secret" in head and b"s=1" in head for head in server.heads)


async def test_a_step_from_https_to_http_leaves_secrets_behind(raw, tls) -> None:
    end = await raw(serve_ok)
    start = await raw(redirect(f"{end.url}/end"), ssl=tls.server)
    async with (
        corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session,
        session.get(start.url / "start", headers=SECRETS) as response,
    ):
        await response.read()
    assert b"secret" not in end.heads[0]


async def test_the_host_field_of_the_caller_stays_with_its_origin(raw, client) -> None:
    end = await raw(serve_ok)
    start = await raw(redirect(f"{end.url}/end"))
    async with client.get(start.url / "start", headers={"Host": "inner.test"}) as response:
        await response.read()
    assert b"Host: inner.test" in start.heads[0]
    assert b"inner.test" not in end.heads[0]


async def test_a_loop_ends(raw, client) -> None:
    server = await raw(redirect("/start"))
    with pytest.raises(corelet.TooManyRedirects, match="3 redirects") as caught:
        await client.get(server.url / "start", max_redirects=3)
    assert len(caught.value.history) == 4
    assert len(server.requests) == 4


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://a.test/", "javascript:alert(1)", "data:,x"])
async def test_a_redirect_to_another_scheme_is_refused(raw, client, location: str) -> None:
    server = await raw(redirect(location))
    with pytest.raises(corelet.NonHttpUrlRedirectClientError):
        await client.get(server.url / "start")


@pytest.mark.parametrize(
    "location", ["http:///x", "http://", "http://[::1/", "http://a:99999/", "http://2130706433/", "http://a\xff/\xff"]
)
async def test_a_redirect_to_nowhere_is_refused(raw, client, location: str) -> None:
    server = await raw(redirect(location))
    with pytest.raises(corelet.InvalidUrlRedirectClientError):
        await client.get(server.url / "start")


async def test_a_redirect_without_a_location_is_an_answer(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(status="302 Found")

    server = await raw(script)
    async with client.get(server.url) as response:
        assert response.status == 302


async def test_a_location_is_quoted_where_it_needs_it_and_left_alone_where_that_is_wanted(raw) -> None:
    server = await raw(redirect("/a%2Fb?x=%7E"))
    async with (
        corelet.ClientSession(requote_redirect_url=False) as session,
        session.get(server.url / "start") as response,
    ):
        await response.read()
    assert server.lines[1] == b"GET /a%2Fb?x=%7E HTTP/1.1"


@pytest.mark.parametrize("requote", [True, False])
async def test_bytes_of_a_location_that_are_no_utf_8_are_kept(raw, requote: bool) -> None:
    server = await raw(redirect("/caf\xe9?\xff"))
    async with (
        corelet.ClientSession(requote_redirect_url=requote) as session,
        session.get(server.url / "start") as response,
    ):
        assert await response.read() == b"end"
    assert server.lines[1] == b"GET /caf%E9?%FF HTTP/1.1"


async def test_a_body_from_an_iterator_can_not_follow(raw, client) -> None:
    async def body():
        yield b"once"

    server = await raw(redirect("/end", 307))
    with pytest.raises(corelet.RedirectClientError, match="307"):
        await client.post(server.url / "start", data=body())


async def test_a_file_follows_and_is_closed_at_the_end(raw, client, tmp_path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content" * 20_000)
    server = await raw(redirect("/end", 308))
    file = path.open("rb")
    async with client.post(server.url / "start", data=file) as response:
        assert await response.read() == path.read_bytes()
    assert file.closed
    assert [body for _, body in server.requests] == [path.read_bytes()] * 2


async def test_a_long_body_of_a_redirect_is_not_read(raw, client) -> None:
    end = await raw(serve_ok)

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 302 Found\r\nLocation: %b\r\n\r\nendless" % str(end.url).encode())
        await peer.wait_closed()

    start = await raw(script)
    async with client.get(start.url) as response:
        assert await response.read() == b"ok"
    await start.wait_for(lambda: start.closed == 1)


async def test_cookies_set_on_the_way_are_sent_on(raw, client) -> None:
    async def script(peer: Peer) -> None:
        while True:
            head, _ = await peer.read_request()
            if b"/start" in head:
                await peer.answer(status="302 Found", fields="Location: /end\r\nSet-Cookie: way=1\r\n")
            else:
                await peer.answer()

    server = await raw(script)
    client.cookie_jar.update_cookies({"given": "2"}, URL(server.url))
    jar = corelet.CookieJar(unsafe=True)
    async with corelet.ClientSession(cookie_jar=jar) as session, session.get(server.url / "start") as response:
        await response.read()
        assert response.history[0].cookies["way"].value == "1"
    assert b"Cookie: way=1" in server.heads[1]


async def test_cookies_of_one_request_that_can_be_read_once_are_sent_on(raw, client) -> None:
    server = await raw(redirect("/end"))
    async with client.get(server.url / "start", cookies=(pair for pair in [("a", "b")])) as response:
        assert await response.read() == b"end"
    assert all(b"Cookie: a=b" in head for head in server.heads)


@pytest.mark.parametrize("user", ["a%3Ab:c", "%E2%82%AC:c"], ids=["a colon", "beyond Latin-1"])
async def test_a_redirect_with_a_name_that_can_not_be_sent_is_refused(raw, client, user: str) -> None:
    server = await raw(redirect(f"http://{user}@127.0.0.1:1/"))
    with pytest.raises(corelet.InvalidUrlRedirectClientError, match="name and password") as caught:
        await client.get(server.url / "start")
    assert "a:c" not in str(caught.value)


@pytest.mark.parametrize("location", ["/a b", "/\xc3\xa9"])
async def test_a_redirect_that_needs_quoting_is_refused_where_that_is_not_wanted(raw, location: str) -> None:
    server = await raw(redirect(location))
    async with corelet.ClientSession(requote_redirect_url=False) as session:
        with pytest.raises(corelet.InvalidUrlRedirectClientError, match="requote_redirect_url"):
            await session.get(server.url / "start")
        assert_at_rest(session)
