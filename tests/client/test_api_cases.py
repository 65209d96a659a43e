"""Attacks above the wire, each named by its case; cookies' and digest's are in their own tests as well."""

from __future__ import annotations

import asyncio
import gc
import os
import time

import pytest
from multidict import CIMultiDict
from yarl import URL

import corelet
from corelet import (
    BasicAuth,
    ClientError,
    ClientSession,
    CookieJar,
    DigestAuthMiddleware,
    InvalidURL,
    TCPConnector,
    abc,
)
from corelet_client.dns_cache import DnsCache
from corelet_client.link import parse_links
from tests.client.conftest import Peer, serve_ok

# Injection: nothing is sent.


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nX: y", "a\rX: y", "a\0b"], ids=["a-002", "a-004", "a-006", "a-008"])
async def test_bad_value_of_a_field_is_never_sent(raw, client, value):
    server = await raw(serve_ok)
    with pytest.raises(ValueError, match="X-A"):
        await client.get(server.url, headers={"X-A": value})
    assert server.connections == 0


@pytest.mark.parametrize("name", ["X\r\nA", "X A", "X:A", "", "X\0"])
async def test_bad_name_of_a_field_is_never_sent(raw, client, name):
    server = await raw(serve_ok)
    with pytest.raises(ValueError):  # noqa: PT011 -- whichever check comes first
        await client.get(server.url, headers={name: "v"})
    assert server.connections == 0


@pytest.mark.parametrize("method", ["GET /x HTTP/1.1\r\nX: y", "GET\n", "G T", "", "GET\0"])
async def test_bad_method_is_never_sent(raw, client, method):  # a-016, CVE-2023-49082
    server = await raw(serve_ok)
    with pytest.raises(ValueError):  # noqa: PT011 -- whichever check comes first
        await client.request(method, server.url)
    assert server.connections == 0


async def test_bad_version_is_refused(raw, client):  # a-017, CVE-2023-49081
    server = await raw(serve_ok)
    with pytest.raises(TypeError):
        await client.get(server.url, version="1.1\r\nX: y")
    for version in ("1.1\r\nX: y", ["1", "1"], "1.1"):
        with pytest.raises(TypeError, match="version is an HttpVersion"):
            ClientSession(version=version)
    assert server.connections == 0


@pytest.mark.parametrize("path", ["/a b\r\nX: y", "/a\nb", "/a?b\r\nX: y", "/a#b\r\nX: y"])
async def test_path_is_quoted(raw, client, path):  # a-018, CVE-2019-12387
    server = await raw(serve_ok)
    try:
        async with client.get(f"{server.url}{path}") as response:
            await response.read()
    except InvalidURL:
        assert server.connections == 0
        return
    (head,) = server.heads
    assert b"X: y" not in head.replace(b"%0D%0AX:%20y", b"")
    assert head.count(b"\r\n") == len(head.split(b"\r\n")) - 1
    assert b" " not in head.split(b"\r\n")[0][4:-9]


async def test_encoded_path_with_controls_is_refused(raw, client):  # a-018
    server = await raw(serve_ok)
    url = URL(f"{server.url}/a b\r\nX: y", encoded=True)
    with pytest.raises(ValueError):  # noqa: PT011 -- whichever check comes first
        await client.get(url)
    assert server.connections == 0


@pytest.mark.parametrize("cookies", [{"a": "b\r\nX: y"}, {"a\r\nX": "y"}, {"a;b": "c"}])
async def test_bad_cookie_is_never_sent(raw, client, cookies):
    server = await raw(serve_ok)
    with pytest.raises(ValueError, match="cookie"):
        await client.get(server.url, cookies=cookies)
    assert server.connections == 0


# Redirects: what is for one origin stays there.


@pytest.fixture
async def two_servers(raw):
    """Give two servers: the first one redirects to whatever its ``location`` is."""
    second = await raw(serve_ok)

    async def redirect(peer: Peer) -> None:
        while True:
            await peer.read_request()
            if peer.server.location is None:
                await peer.answer()
            else:
                await peer.answer(status="302 Found", fields=f"Location: {peer.server.location}\r\n")

    first = await raw(redirect)
    first.location = second.url / "there"
    return first, second


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"headers": {"Authorization": "secret"}}, id="a-044-header"),
        pytest.param({"auth": BasicAuth("me", "secret")}, id="a-044-auth"),
        pytest.param({"headers": {"Cookie": "s=secret", "Proxy-Authorization": "secret"}}, id="a-045"),
        pytest.param(
            {"headers": CIMultiDict([("Authorization", "secret"), ("authorization", "other secret")])}, id="a-046"
        ),
        pytest.param({"cookies": {"s": "secret"}}, id="a-047"),
    ],
)
@pytest.mark.parametrize("of_session", [False, True])
async def test_secret_is_not_sent_to_another_port(two_servers, arguments, of_session):  # a-049: the port differs
    first, second = two_servers
    if of_session and "cookies" in arguments:
        pytest.skip("a session's own cookies are for every host")
    session_arguments, arguments = (arguments, {}) if of_session else ({}, arguments)
    async with ClientSession(**session_arguments) as session, session.get(first.url, **arguments) as response:
        assert response.url == second.url / "there"
    (told,), (untold,) = first.heads, second.heads
    shown = told.lower()
    assert b"secret" in shown or b"authorization: basic" in shown
    for name in (b"secret", b"authorization", b"cookie", b"basic"):
        assert name not in untold.lower()


async def test_secret_in_an_url_is_not_sent_on(two_servers):
    first, second = two_servers
    async with ClientSession() as session, session.get(first.url.with_user("me").with_password("secret")):
        pass
    assert b"Authorization: Basic" in first.heads[0]
    assert b"uthorization" not in second.heads[0]


async def test_secret_stays_gone_after_the_way_back(two_servers, raw):
    first, _ = two_servers

    async def send_back(peer: Peer) -> None:
        await peer.read_request()
        first.location = None
        await peer.answer(status="302 Found", fields=f"Location: {first.url}\r\n")

    middle = await raw(send_back)
    first.location = middle.url
    async with ClientSession() as session, session.get(first.url, headers={"Authorization": "secret"}):
        pass
    assert [b"secret" in head for head in first.heads] == [True, False]


async def test_downgrade_drops_authorization_and_secure_cookies(raw, tls):  # a-048
    plain = await raw(serve_ok)

    async def redirect(peer: Peer) -> None:
        await peer.read_request()
        location = plain.url.with_host("localhost")
        await peer.answer(status="302 Found", fields=f"Location: {location}\r\nSet-Cookie: s=secret; Secure\r\n")

    secure = await raw(redirect, ssl=tls.server)
    async with ClientSession() as session:
        url = secure.url.with_host("localhost")
        async with session.get(url, headers={"Authorization": "secret"}, ssl=tls.client) as response:
            assert response.url.scheme == "http"
        assert len(session.cookie_jar) == 1
    assert b"secret" not in plain.heads[0]


async def test_digest_is_not_told_to_where_a_redirect_leads(raw, two_servers):  # a-050, CVE-2026-54276
    first, _ = two_servers

    async def challenge(peer: Peer) -> None:
        while True:
            await peer.read_request()
            fields = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n'
            await peer.answer(status="401 Unauthorized", fields=fields)

    thief = await raw(challenge)
    first.location = thief.url
    async with ClientSession(middlewares=[DigestAuthMiddleware("me", "secret")]) as session:
        async with session.get(first.url) as response:
            assert response.status == 401
        assert len(thief.heads) == 1
        assert b"uthorization" not in thief.heads[0]
        async with session.get(thief.url) as response:  # but to who asks as itself
            assert response.status == 401
        assert b"Authorization: Digest" in thief.heads[-1]


# Cookies.


async def test_cookie_field_of_a_generous_server_is_bounded(raw):  # a-055, PYSEC-2026-4392
    async def give(peer: Peer) -> None:
        while True:
            number = len((await peer.read_request())[0]) and len(peer.server.requests)
            fields = "".join(f"Set-Cookie: c{number}x{n}={'v' * 300}\r\n" for n in range(100))
            await peer.answer(fields=fields)

    server = await raw(give)
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        for _ in range(5):
            async with session.get(server.url) as response:
                await response.read()
        assert len(session.cookie_jar) <= 180
    (line,) = [line for line in server.heads[-1].split(b"\r\n") if line.startswith(b"Cookie: ")]
    assert 4000 < len(line) <= 8192


async def test_attributes_are_no_cookies(raw):  # a-054
    async def give(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer(fields="Set-Cookie: a=b; c=d; c=d; c=d; \r\n")

    server = await raw(give)
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as session:
        async with session.get(server.url) as response:
            assert list(response.cookies) == ["a"]
        async with session.get(server.url):
            pass
    assert b"\r\nCookie: a=b\r\n" in server.heads[1]


async def test_enormous_max_age_and_odd_cookies_break_nothing(raw):  # a-059
    async def give(peer: Peer) -> None:
        await peer.read_request()
        lines = ["a=b; Max-Age=9999999999999999999999999999999999999999", "=x", "expires=1", 'q="\\012"', "\xff=\xfe"]
        await peer.answer(fields="".join(f"Set-Cookie: {line}\r\n" for line in lines))

    server = await raw(give)
    jar = CookieJar(unsafe=True)
    async with ClientSession(cookie_jar=jar) as session, session.get(server.url) as response:
        assert {"a", "expires", "q"} <= response.cookies.keys()
        assert {"a", "expires", "q"} <= {morsel.key for morsel in jar}


# The pool.


async def test_request_cancelled_while_it_waits_for_100_is_never_reused(raw, client):  # a-093
    async def be_silent(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.server.requests.append((b"", b""))
        peer.server.changed.set()
        await peer.wait_closed()

    server = await raw(be_silent)
    sending = asyncio.create_task(client.post(server.url, data=b"x" * 100, expect100=True).__aenter__())
    await server.wait_for(lambda: bool(server.requests))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await server.wait_for(lambda: server.closed == 1)
    assert client.connector.pool.connections == []


async def test_request_cancelled_within_its_body_is_never_reused(raw, client):  # a-093
    half_sent = asyncio.Event()

    async def body():
        yield b"x" * 10
        half_sent.set()
        await asyncio.get_running_loop().create_future()

    server = await raw(lambda peer: peer.wait_closed())
    sending = asyncio.create_task(client.post(server.url, data=body()).__aenter__())
    await half_sent.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await server.wait_for(lambda: server.closed == 1)
    assert client.connector.pool.connections == []


async def test_tls_connection_is_shared_by_equal_settings_only(raw, tls):  # a-094, CVE-2026-54275
    server = await raw(serve_ok, ssl=tls.server)
    other = corelet.Fingerprint(b"x" * 32)

    async def get(session: ClientSession, **arguments) -> None:
        async with session.get(server.url, **arguments) as response:
            await response.read()

    async with ClientSession() as session:
        for _ in range(2):
            await get(session, ssl=tls.client)
        assert server.connections == 1
        for _ in range(2):
            await get(session, ssl=False)
        assert server.connections == 2
        for _ in range(2):
            await get(session, ssl=tls.client, server_hostname="localhost")
        assert server.connections == 3
        with pytest.raises(ClientError):
            await get(session, ssl=tls.client, server_hostname="other.test")
        with pytest.raises(corelet.ServerFingerprintMismatch):
            await get(session, ssl=other)
        with pytest.raises(ClientError):  # the system's certificates don't know it
            await get(session)


async def test_tunnel_is_shared_by_equal_credentials_only(raw, tls):  # a-094
    async def tunnel(peer: Peer) -> None:
        """Say who asks, as a proxy that opens no tunnel."""
        await peer.read_request()
        await peer.answer(status="403 Forbidden")

    proxy = await raw(tunnel)
    async with ClientSession() as session:
        for login in ("a", "b"):
            with pytest.raises(corelet.ClientHttpProxyError):
                await session.get("https://x.test/", proxy=proxy.url, proxy_auth=BasicAuth(login, "p"))
    assert proxy.connections == 2
    assert len({head.split(b"Authorization: ")[1] for head in proxy.heads}) == 2


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "0x7f000001", "127.0.0.1.", "1.2.3.4.5", "0"]
)
async def test_number_is_never_taken_for_an_address(raw, client, host):  # a-095
    server = await raw(serve_ok)
    with pytest.raises(InvalidURL, match="a number, and no address"):
        await client.get(f"http://{host}:{server.url.port}/")
    assert server.connections == 0


async def test_redirect_to_a_number_is_refused(two_servers):  # a-095
    first, second = two_servers
    first.location = f"http://2130706433:{second.url.port}/"
    async with ClientSession() as session:
        with pytest.raises(corelet.InvalidUrlRedirectClientError):
            await session.get(first.url)
    assert second.connections == 0


@pytest.mark.parametrize(
    "location", ["http://[::1", "http://[::1]x/", "http://x:99999/", "http://", "http:///x", "http://\xff\xfe/"]
)
async def test_redirect_to_no_url_is_an_error_of_the_client(two_servers, location):  # CVE-2022-33124 and others
    first, _ = two_servers
    first.location = location
    async with ClientSession() as session:
        with pytest.raises(ClientError):
            await session.get(first.url)


class OneAddress(abc.AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[abc.ResolveResult]:
        return [abc.ResolveResult(hostname=host, host="192.0.2.1", port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        pass


async def test_names_that_are_remembered_are_bounded():  # a-096, CVE-2026-34513
    cache = DnsCache(OneAddress(), family=2, seconds=None, max_size=50)
    gc.collect()
    before = len(gc.get_objects())
    for number in range(2000):
        await cache.resolve(f"h{number}.test", 80, None)
    gc.collect()
    assert len(gc.get_objects()) - before < 1000


def test_connector_bounds_the_names_it_remembers():  # a-096
    assert TCPConnector().use_dns_cache
    assert TCPConnector(dns_cache_max_size=5).use_dns_cache


# Leaks.


async def test_file_is_closed_when_the_server_leaves(raw, tmp_path):  # CVE-2026-54280
    async def leave(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.transport.abort()

    server = await raw(leave)
    path = tmp_path / "large"
    path.write_bytes(bytes(4_000_000))
    before = len(os.listdir("/proc/self/fd"))
    async with ClientSession() as session:
        for _ in range(5):
            file = path.open("rb")
            with pytest.raises(ClientError):
                await session.post(server.url, data=file)
            assert file.closed
    await server.wait_for(lambda: server.closed == server.connections)
    assert len(os.listdir("/proc/self/fd")) <= before + 2


# Time.


def measure(work, size: int) -> float:
    best = 1e9
    for _ in range(3):
        start = time.process_time()
        work(size)
        best = min(best, time.process_time() - start)
    return best


@pytest.mark.parametrize(
    "piece", [" ", ";", "\\", '"', "<", ">", "<>", "<a>;", "<a>;b=", '<a>;b="', "<a>;b=\\", "<a>; ", "=,"]
)
def test_link_is_read_in_linear_time(piece):  # a-106
    def work(size: int) -> None:
        list(parse_links([piece * (size // len(piece)), f"<x>{piece * (size // len(piece))}"]))

    assert measure(work, 32_000) < 10 * max(measure(work, 8000), 0.001)


@pytest.mark.parametrize("name", ["Content-Type", "Link", "WWW-Authenticate", "Set-Cookie", "Location"])
@pytest.mark.parametrize("piece", [" ", ";", "\\", '"', "<", "=", "a=", "application/", "+"])
async def test_long_field_of_an_answer_costs_little(raw, client, name, piece):  # a-106
    value = piece * (8000 // len(piece))

    async def answer(peer: Peer) -> None:
        while True:
            await peer.read_request()
            await peer.answer(fields=f"{name}: x{value}x\r\n")

    server = await raw(answer)
    async with client.get(server.url) as response:
        await response.read()
        start = time.process_time()
        assert response.content_type
        assert response.charset is None or response.charset
        assert len(response.cookies) <= 1
        assert len(response.links) <= 1
        with pytest.raises(corelet.ContentTypeError):
            await response.json()
        # A wide bound: 5 ms are allowed, a quadratic reader takes half a second.
        assert time.process_time() - start < 0.2


# WebSockets.


@pytest.mark.parametrize("protocol", ["a\r\nX: y", "a\nX: y", "a\0"])
async def test_bad_subprotocol_is_never_offered(raw, client, protocol):  # a-022, CVE-2026-1527
    server = await raw(serve_ok)
    with pytest.raises(ValueError):  # noqa: PT011 -- the websocket plugin's words
        await client.ws_connect(server.url, protocols=[protocol])
    assert server.connections == 0


@pytest.mark.parametrize("arguments", [{"origin": "http://x\r\nX: y"}, {"headers": {"X-A": "a\r\nX: y"}}])
async def test_bad_field_of_a_handshake_is_never_sent(raw, client, arguments):  # a-022
    server = await raw(serve_ok)
    with pytest.raises(ValueError):  # noqa: PT011 -- whichever check comes first
        await client.ws_connect(server.url, **arguments)
    assert server.connections == 0


async def test_handshake_that_is_redirected_tells_no_secret(two_servers):
    first, second = two_servers
    async with ClientSession() as session:
        with pytest.raises(corelet.WSServerHandshakeError):
            await session.ws_connect(first.url, headers={"Authorization": "secret", "Cookie": "s=secret"})
    assert b"secret" in first.heads[0]
    assert not any(b"secret" in head for head in second.heads)
