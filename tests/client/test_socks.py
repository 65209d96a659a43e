"""SOCKS proxies: the socket that is opened, and requests of a session through them."""

from __future__ import annotations

import asyncio
import sys

import pytest
from yarl import URL

from corelet import BasicAuth, ClientProxyConnectionError, ClientSession, ClientTimeout, ConnectionTimeoutError, web
from corelet_client.socks import open_socks_socket
from tests.client.socks_server import SocksServer


@pytest.fixture
async def target(serve):
    """Give a server whose answer says what was asked of it."""

    async def handler(request):
        return web.Response(text=f"{request.method} {request.host} {request.path}")

    return await serve(handler)


async def fetch(proxy_url: str, url, **kwargs) -> str:
    async with ClientSession() as session, session.get(url, proxy=proxy_url, **kwargs) as response:
        return await response.text()


@pytest.mark.parametrize(
    ("scheme", "version", "host"),
    [("socks5", 5, "127.0.0.1"), ("socks5h", 5, "localhost"), ("socks4", 4, "127.0.0.1"), ("socks4a", 4, "localhost")],
)
async def test_scheme_says_who_finds_the_address(target, scheme, version, host):
    async with SocksServer() as proxy:
        url = target.url.with_host("localhost").with_path("/x")
        text = await fetch(f"{scheme}://127.0.0.1:{proxy.port}", url)
        assert text == f"GET localhost:{target.port} /x"
        assert proxy.asked == [(version, host, target.port)]


async def test_name_that_only_the_proxy_knows(target):
    async with SocksServer(names={"only.there.test": "127.0.0.1"}) as proxy:
        url = URL(f"http://only.there.test:{target.port}/")
        assert "only.there.test" in await fetch(f"socks5h://127.0.0.1:{proxy.port}", url)


async def test_tls_is_spoken_with_the_host(serve, tls):
    async def handler(request):
        return web.Response(text=request.scheme)

    served = await serve(handler, ssl_context=tls.server)
    async with SocksServer() as proxy:
        url = f"https://localhost:{served.port}/"
        assert await fetch(f"socks5h://127.0.0.1:{proxy.port}", url, ssl=tls.client) == "https"


@pytest.mark.parametrize("in_url", [True, False])
async def test_login_is_given(target, in_url):
    async with SocksServer(login=("me", "secret")) as proxy:
        url = URL(f"socks5://127.0.0.1:{proxy.port}")
        if in_url:
            await fetch(str(url.with_user("me").with_password("secret")), target.url)
        else:
            await fetch(str(url), target.url, proxy_auth=BasicAuth("me", "secret"))
        assert proxy.logins == ["me"]


async def test_login_of_version_4_is_a_name(target):
    async with SocksServer() as proxy:
        await fetch(f"socks4://me@127.0.0.1:{proxy.port}", target.url)
        assert proxy.logins == ["me"]


async def test_proxy_from_the_environment(target, monkeypatch):
    async with SocksServer() as proxy, ClientSession(trust_env=True) as session:
        monkeypatch.setenv("all_proxy", f"socks5://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        async with session.get(target.url) as response:
            assert response.status == 200
        assert len(proxy.asked) == 1


async def test_connection_through_a_proxy_is_used_again_for_the_same_proxy_only(target):
    async with SocksServer() as first, SocksServer() as second, ClientSession() as session:
        for proxy in (first, first, second, first):
            async with session.get(target.url, proxy=f"socks5://127.0.0.1:{proxy.port}") as response:
                await response.read()
        async with session.get(target.url) as response:
            await response.read()
        assert (len(first.asked), len(second.asked)) == (1, 1)


# What fails.


async def expect_refusal(proxy_url: str, target) -> str:
    with pytest.raises(ClientProxyConnectionError) as caught:
        await fetch(proxy_url, target.url)
    return str(caught.value)


@pytest.mark.parametrize("scheme", ["socks4", "socks5"])
async def test_refusal_names_the_proxy(target, scheme):
    async with SocksServer(reply=5) as proxy:
        message = await expect_refusal(f"{scheme}://127.0.0.1:{proxy.port}", target)
        assert f"the proxy {scheme}://127.0.0.1:{proxy.port} refused 127.0.0.1:{target.port}" in message


async def test_wrong_password_is_a_refusal_that_hides_it(target):
    async with SocksServer(login=("me", "right")) as proxy:
        message = await expect_refusal(f"socks5://me:wrong@127.0.0.1:{proxy.port}", target)
        assert "wrong" not in message


@pytest.mark.parametrize("auth", [BasicAuth("mé", "x"), BasicAuth("me", "x" * 256)])
async def test_login_that_socks_cannot_send_is_an_error(auth):
    with pytest.raises(ValueError, match="at most 255 characters of ASCII") as caught:
        await open_socks_socket(URL("socks5://127.0.0.1:1"), auth, "x.test", 80)
    assert "xxx" not in str(caught.value)


async def test_missing_password_is_a_refusal(target):
    async with SocksServer(login=("me", "right")) as proxy:
        await expect_refusal(f"socks5://127.0.0.1:{proxy.port}", target)


async def test_proxy_that_is_not_there(target, unused_tcp_port):
    await expect_refusal(f"socks5://127.0.0.1:{unused_tcp_port}", target)


async def test_proxy_that_hangs_up(target):
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        await expect_refusal(f"socks5://127.0.0.1:{server.sockets[0].getsockname()[1]}", target)


async def test_silent_proxy_ends_in_a_timeout(target):
    async with SocksServer(is_silent=True) as proxy:
        with pytest.raises(ConnectionTimeoutError):
            await fetch(
                f"socks5://127.0.0.1:{proxy.port}", target.url, timeout=ClientTimeout(sock_connect=0.2, total=10)
            )


async def test_cancelling_closes_the_connection():
    async with SocksServer(is_silent=True) as proxy:
        url = URL(f"socks5h://127.0.0.1:{proxy.port}")
        opening = asyncio.create_task(open_socks_socket(url, None, "x.test", 80))
        await proxy.was_asked.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening


async def test_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "python_socks", None)
    with pytest.raises(ImportError, match=r'a socks5 proxy needs python-socks: pip install "corelet-client\[socks\]"'):
        await open_socks_socket(URL("socks5://h"), None, "x", 80)


async def test_other_scheme_is_refused():
    with pytest.raises(ValueError, match="not 'http'"):
        await open_socks_socket(URL("http://h"), None, "x", 80)
