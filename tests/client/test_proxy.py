"""HTTP proxies: forwarding, tunnels, TLS in TLS, who asks."""

from __future__ import annotations

import asyncio
import ssl

import pytest

import corelet
from tests.client.conftest import Peer, StartRaw, assert_at_rest, serve_ok, tunnel


async def fetch(session: corelet.ClientSession, url, **kwargs) -> bytes:
    async with session.get(url, **kwargs) as response:
        return await response.read()


async def forward(peer: Peer) -> None:
    """Answer like a proxy that was asked for a whole URL."""
    while True:
        head, _ = await peer.read_request()
        await peer.answer(head.split(b" ")[1])


async def test_a_request_is_forwarded(raw, client) -> None:
    proxy = await raw(forward)
    auth = corelet.BasicAuth("me", "pass")
    for url in ("http://a.test/x?y=z", "http://b.test:81/"):
        body = await fetch(client, url, proxy=proxy.url, proxy_auth=auth, proxy_headers={"X-Proxy": "1"})
        assert body.decode() == url
    assert b"Host: a.test\r\n" in proxy.heads[0]
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in proxy.heads[0]
    assert b"X-Proxy: 1" in proxy.heads[0]
    assert proxy.connections == 1


async def test_name_and_password_in_the_proxy_s_url(raw, client) -> None:
    proxy = await raw(forward)
    await fetch(client, "http://a.test/", proxy=proxy.url.with_user("me").with_password("pass"))
    assert b"Proxy-Authorization: Basic bWU6cGFzcw==" in proxy.heads[0]


async def test_a_proxy_of_the_session_and_of_the_environment(raw, monkeypatch) -> None:
    proxy = await raw(forward)
    async with corelet.ClientSession(proxy=proxy.url) as session:
        assert await fetch(session, "http://a.test/") == b"http://a.test/"
    monkeypatch.setenv("http_proxy", str(proxy.url))
    async with corelet.ClientSession(trust_env=True) as session:
        assert await fetch(session, "http://b.test/") == b"http://b.test/"


async def start_tunnelled(raw: StartRaw, tls) -> tuple:
    return await raw(serve_ok, ssl=tls.server), await raw(tunnel)


async def test_tls_goes_through_a_tunnel(raw, tls) -> None:
    server, proxy = await start_tunnelled(raw, tls)
    auth = corelet.BasicAuth("me", "pass")
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session:
        for _ in range(2):
            assert await fetch(session, server.url, proxy=proxy.url, proxy_auth=auth) == b"ok"
    assert proxy.lines == [f"CONNECT 127.0.0.1:{server.url.port} HTTP/1.1".encode()]
    assert b"Proxy-Authorization" in proxy.heads[0]
    assert b"Proxy-Authorization" not in server.heads[0]
    assert server.lines[0] == b"GET / HTTP/1.1"


async def test_tls_goes_through_a_tunnel_within_tls(raw, tls) -> None:
    server = await raw(serve_ok, ssl=tls.server)
    proxy = await raw(tunnel, ssl=tls.server)
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session:
        assert await fetch(session, server.url, proxy=proxy.url) == b"ok"
        async with session.post(server.url, data=b"x" * 300_000, proxy=proxy.url) as response:
            assert len(await response.read()) == 300_000
        assert_at_rest(session)


async def test_the_name_of_the_host_is_not_asked_of_the_proxy(raw, tls) -> None:
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_path, tls.key_path)
    context.sni_callback = lambda _, name, __: names.append(name)
    server = await raw(serve_ok, ssl=tls.server)
    proxy = await raw(tunnel, ssl=context)
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session:
        assert await fetch(session, server.url, proxy=proxy.url, server_hostname="localhost") == b"ok"
    assert names == [None]


async def test_the_name_of_the_host_is_not_asked_of_a_proxy_that_forwards(raw, tls) -> None:
    proxy = await raw(forward, ssl=tls.server)
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session:
        body = await fetch(session, "http://a.test/", proxy=proxy.url, server_hostname="host.test")
    assert body == b"http://a.test/"


async def test_the_fingerprint_of_the_host_is_not_asked_of_the_proxy(raw, tls, other_tls) -> None:
    server = await raw(serve_ok, ssl=tls.server)
    proxy = await raw(tunnel, ssl=other_tls.server)
    fingerprint = corelet.Fingerprint(tls.digest)
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=other_tls.client)) as session:
        assert await fetch(session, server.url, proxy=proxy.url, ssl=fingerprint) == b"ok"
    async with corelet.ClientSession() as session:
        with pytest.raises(corelet.ClientConnectorCertificateError):
            await session.get(server.url, proxy=proxy.url, ssl=fingerprint)


async def test_the_certificate_behind_a_tunnel_is_checked(raw, tls) -> None:
    server, proxy = await start_tunnelled(raw, tls)
    async with corelet.ClientSession() as session:
        with pytest.raises(corelet.ClientConnectorCertificateError):
            await session.get(server.url, proxy=proxy.url)
        with pytest.raises(corelet.ServerFingerprintMismatch):
            await session.get(server.url, proxy=proxy.url, ssl=corelet.Fingerprint(bytes(32)))
        assert_at_rest(session)


async def test_the_certificate_behind_a_tunnel_within_tls_is_checked(raw, tls, other_tls) -> None:
    server = await raw(serve_ok, ssl=other_tls.server)
    proxy = await raw(tunnel, ssl=tls.server)
    # Before Python 3.13 asyncio reports a mistake of its own there.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session:
        with pytest.raises(corelet.ClientConnectorCertificateError):
            await session.get(server.url, proxy=proxy.url)
        assert_at_rest(session)


@pytest.mark.parametrize("status", ["407 Who Are You", "502 Bad Gateway", "302 Found"])
async def test_a_refused_tunnel_is_an_error(raw, client, status: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer(b"no", status=status, fields="Proxy-Authenticate: Basic\r\n")

    proxy = await raw(script)
    with pytest.raises(corelet.ClientHttpProxyError, match=status.partition(" ")[2]) as caught:
        await client.get("https://a.test/", proxy=proxy.url)
    assert caught.value.status == int(status.partition(" ")[0])
    assert caught.value.headers["Proxy-Authenticate"] == "Basic"
    assert_at_rest(client)


async def test_bytes_of_a_proxy_before_tls_are_refused(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.send(b"HTTP/1.1 200 OK\r\n\r\ninjected")
        await peer.wait_closed()

    proxy = await raw(script)
    with pytest.raises(corelet.ClientConnectionError):
        await client.get("https://a.test/", proxy=proxy.url)
    assert_at_rest(client)


async def test_a_proxy_that_is_not_there(client) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(corelet.ClientProxyConnectionError):
            await client.get(f"{scheme}://a.test/", proxy="http://127.0.0.1:1/")
    assert_at_rest(client)


async def test_a_proxy_that_hangs_up(raw, client) -> None:
    async def script(peer: Peer) -> None:
        await peer.read_request()

    proxy = await raw(script)
    with pytest.raises(corelet.ClientConnectionError):
        await client.get("https://a.test/", proxy=proxy.url)
    assert_at_rest(client)
