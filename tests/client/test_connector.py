"""Connectors: names, addresses, TLS, Unix sockets."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import sys

import pytest

import corelet
from corelet.abc import AbstractResolver
from corelet_client.connection_key import ConnectionKey
from tests.client.conftest import Peer, assert_at_rest, serve_ok, tunnel


async def fetch(session: corelet.ClientSession, url, **kwargs) -> bytes:
    async with session.get(url, **kwargs) as response:
        return await response.read()


class Resolver(AbstractResolver):
    """Give addresses that a test chooses, and count who asks."""

    def __init__(self, *addresses: str, error: OSError | None = None) -> None:
        self.addresses = addresses or ("127.0.0.1",)
        self.error = error
        self.asked: list[tuple[str, int]] = []
        self.gate: asyncio.Event | None = None
        self.is_asked = asyncio.Event()
        self.is_closed = False

    async def resolve(self, host: str, port: int = 0, family: int = 2):
        self.asked.append((host, port))
        self.is_asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in self.addresses]
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address, family in zip(self.addresses, families, strict=True)
        ]

    async def close(self) -> None:
        self.is_closed = True


# Names.


async def test_addresses_are_remembered_for_a_while(raw) -> None:
    server = await raw(serve_ok)
    url = server.url.with_host("a.test")
    resolver = Resolver()
    connector = corelet.TCPConnector(resolver=resolver, force_close=True)
    async with corelet.ClientSession(connector=connector) as session:
        await fetch(session, url)
        await fetch(session, url)
        assert resolver.asked == [("a.test", url.port)]
        connector.clear_dns_cache("a.test", url.port)
        await fetch(session, url)
        assert len(resolver.asked) == 2
        connector.clear_dns_cache()
        await fetch(session, url)
        assert len(resolver.asked) == 3
        with pytest.raises(ValueError, match="host and port"):
            connector.clear_dns_cache("a.test")
    assert not resolver.is_closed


async def test_addresses_are_forgotten_after_their_time(raw) -> None:
    server = await raw(serve_ok)
    resolver = Resolver()
    connector = corelet.TCPConnector(resolver=resolver, force_close=True, ttl_dns_cache=0.01)
    async with corelet.ClientSession(connector=connector) as session:
        await fetch(session, server.url.with_host("a.test"))
        await asyncio.sleep(0.02)
        await fetch(session, server.url.with_host("a.test"))
    assert len(resolver.asked) == 2


@pytest.mark.parametrize("option", [{"use_dns_cache": False}, {"ttl_dns_cache": 0}, {"dns_cache_max_size": 0}])
async def test_addresses_are_not_remembered_where_that_is_not_wanted(raw, option) -> None:
    server = await raw(serve_ok)
    resolver = Resolver()
    connector = corelet.TCPConnector(resolver=resolver, force_close=True, **option)
    async with corelet.ClientSession(connector=connector) as session:
        for _ in range(2):
            await fetch(session, server.url.with_host("a.test"))
    assert len(resolver.asked) == 2


async def test_requests_at_one_time_share_a_look_up_that_outlives_who_began_it(raw) -> None:
    server = await raw(serve_ok)
    resolver = Resolver()
    resolver.gate = asyncio.Event()
    connector = corelet.TCPConnector(resolver=resolver)
    async with corelet.ClientSession(connector=connector) as session:
        tasks = [asyncio.ensure_future(fetch(session, server.url.with_host("a.test"))) for _ in range(5)]
        await resolver.is_asked.wait()
        tasks[0].cancel()
        await asyncio.wait([tasks[0]])
        resolver.gate.set()
        assert await asyncio.gather(*tasks[1:]) == [b"ok"] * 4
        assert_at_rest(session)
    assert len(resolver.asked) == 1


async def test_a_look_up_that_nobody_waits_for_ends(raw) -> None:
    resolver = Resolver()
    resolver.gate = asyncio.Event()
    async with corelet.ClientSession(connector=corelet.TCPConnector(resolver=resolver)) as session:
        task = asyncio.ensure_future(fetch(session, "http://a.test/"))
        await resolver.is_asked.wait()
        task.cancel()
        await asyncio.wait([task])
        assert_at_rest(session)


async def test_closing_ends_a_look_up_by_an_error(raw) -> None:
    resolver = Resolver()
    resolver.gate = asyncio.Event()
    session = corelet.ClientSession(connector=corelet.TCPConnector(resolver=resolver))
    task = asyncio.ensure_future(fetch(session, "http://a.test/"))
    await resolver.is_asked.wait()
    await session.close()
    with pytest.raises(corelet.ClientConnectionError):
        await task


async def test_a_million_names_are_not_remembered() -> None:
    """a-096."""
    resolver = Resolver(error=None)
    connector = corelet.TCPConnector(resolver=resolver, dns_cache_max_size=10)
    async with corelet.ClientSession(connector=connector) as session:
        for number in range(30):
            with pytest.raises(corelet.ClientConnectorError):
                await session.get(f"http://host{number}.test:1/")
        resolver.asked.clear()
        for number in (29, 20, 19):
            with pytest.raises(corelet.ClientConnectorError):
                await session.get(f"http://host{number}.test:1/")
    assert [host for host, _ in resolver.asked] == ["host19.test"]


async def test_a_name_without_an_address_is_a_dns_error(client) -> None:
    resolver = Resolver(error=OSError(None, "nobody knows"))
    async with corelet.ClientSession(connector=corelet.TCPConnector(resolver=resolver)) as session:
        with pytest.raises(corelet.ClientConnectorDNSError, match=r"a\.test:80 .*nobody knows"):
            await session.get("http://a.test/")
        with pytest.raises(corelet.ClientProxyConnectionError):
            await session.get("http://a.test/", proxy="http://proxy.test/")


async def test_an_address_is_not_looked_up(raw) -> None:
    server = await raw(serve_ok)
    resolver = Resolver()
    async with corelet.ClientSession(connector=corelet.TCPConnector(resolver=resolver)) as session:
        await fetch(session, server.url)
    assert resolver.asked == []


async def test_a_dot_at_the_end_of_a_name_says_nothing(raw) -> None:
    server = await raw(serve_ok)
    resolver = Resolver()
    async with corelet.ClientSession(connector=corelet.TCPConnector(resolver=resolver)) as session:
        await fetch(session, server.url.with_host("a.test."))
    assert resolver.asked[0][0] == "a.test"
    assert b"Host: a.test:" in server.heads[0]


async def test_the_next_address_is_tried_where_one_refuses(raw) -> None:
    server = await raw(serve_ok)
    resolver = Resolver("127.0.0.2", "127.0.0.1")
    async with corelet.ClientSession(connector=corelet.TCPConnector(resolver=resolver)) as session:
        assert await fetch(session, server.url.with_host("a.test")) == b"ok"


async def test_an_address_of_the_other_family_is_tried_beside_one_that_is_silent(raw) -> None:
    """RFC 8305: the first address never answers; its listener's queue is full."""
    server = await raw(serve_ok)
    with socket.socket() as silent:
        silent.bind(("127.0.0.3", server.url.port))
        silent.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.3", server.url.port))
            fillers.append(filler)
        resolver = Resolver("127.0.0.3", "127.0.0.1")
        connector = corelet.TCPConnector(resolver=resolver, happy_eyeballs_delay=0.02)
        async with corelet.ClientSession(connector=connector) as session:
            assert await fetch(session, server.url.with_host("a.test"), timeout=5) == b"ok"
        for filler in fillers:
            filler.close()


async def test_ipv6(client) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    heads: list[bytes] = []
    try:
        server = await asyncio.start_server(answer, "::1", 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    port = server.sockets[0].getsockname()[1]
    assert await fetch(client, f"http://[::1]:{port}/") == b"ok"
    assert f"Host: [::1]:{port}".encode() in heads[0]
    server.close()


async def test_where_to_connect_from_and_by_which_socket(raw) -> None:
    server = await raw(serve_ok)
    made = []

    def make_socket(info) -> socket.socket:
        sock = socket.socket(info[0], info[1], info[2])
        made.append(info)
        return sock

    connector = corelet.TCPConnector(local_addr=("127.0.0.5", 0), socket_factory=make_socket)
    async with corelet.ClientSession(connector=connector) as session:
        await fetch(session, server.url)
        (connection,) = connector.pool.connections
        assert connection.transport.get_extra_info("sockname")[0] == "127.0.0.5"
    assert made[0][4][:2] == ("127.0.0.1", server.url.port)


# TLS.


async def test_a_trusted_certificate(raw, tls) -> None:
    server = await raw(serve_ok, ssl=tls.server)
    async with corelet.ClientSession() as session:
        assert await fetch(session, server.url, ssl=tls.client) == b"ok"
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session:
        assert await fetch(session, server.url) == b"ok"
        (connection,) = session.connector.pool.connections
        assert connection.transport.get_extra_info("ssl_object") is not None


async def test_a_certificate_that_nobody_vouches_for(raw, tls) -> None:
    server = await raw(serve_ok, ssl=tls.server)
    async with corelet.ClientSession() as session:
        with pytest.raises(corelet.ClientConnectorCertificateError, match=r"127\.0\.0\.1") as caught:
            await session.get(server.url)
        assert isinstance(caught.value.certificate_error, ssl.SSLCertVerificationError)
        assert isinstance(caught.value, ssl.SSLCertVerificationError | corelet.ClientSSLError)
        assert await fetch(session, server.url, ssl=False) == b"ok"
        assert_at_rest(session)


async def test_a_certificate_of_another_name(raw, tls) -> None:
    server = await raw(serve_ok, ssl=tls.server)
    async with corelet.ClientSession(connector=corelet.TCPConnector(ssl=tls.client)) as session:
        with pytest.raises(corelet.ClientConnectorCertificateError, match=r"other\.test"):
            await session.get(server.url, server_hostname="other.test")
        assert await fetch(session, server.url, server_hostname="localhost") == b"ok"


async def test_a_certificate_that_has_expired(raw, tls) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    then = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    issued = tls.authority.issue_cert("127.0.0.1", not_before=then, not_after=then + datetime.timedelta(days=90))
    issued.configure_cert(context)
    server = await raw(serve_ok, ssl=context)
    async with corelet.ClientSession() as session:
        with pytest.raises(corelet.ClientConnectorCertificateError, match="expired"):
            await session.get(server.url, ssl=tls.client)
        assert_at_rest(session)


async def test_a_certificate_of_the_client(raw, tls) -> None:
    issued = tls.authority.issue_cert("localhost", "127.0.0.1")
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(server_context)
    tls.authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.create_default_context(cafile=tls.authority_path)
    tls.authority.issue_cert("me@a.test").configure_cert(client_context)
    names: list[str] = []

    async def script(peer: Peer) -> None:
        await peer.read_request()
        names.append(peer.writer.get_extra_info("peercert")["subjectAltName"][0][1])
        await peer.answer()

    server = await raw(script, ssl=server_context)
    async with corelet.ClientSession() as session:
        assert await fetch(session, server.url, ssl=client_context) == b"ok"
        # By TLS 1.3 a client learns that it is refused when it reads.
        with pytest.raises((corelet.ClientOSError, corelet.ServerDisconnectedError)):
            await session.get(server.url, ssl=tls.client)
        assert_at_rest(session)
    assert names == ["me@a.test"]


async def test_a_server_without_tls(raw) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await raw(script)
    async with corelet.ClientSession() as session:
        with pytest.raises(corelet.ClientConnectorSSLError):
            await session.get(server.url.with_scheme("https"))
        assert_at_rest(session)


@pytest.mark.parametrize("name", [".test", "a" * 64, "a..test", "a\0.test"])
async def test_a_name_that_no_certificate_has_is_refused_before_anything_is_opened(raw, tls, tmp_path, name) -> None:
    path = str(tmp_path / "socket")
    server, other = await raw(serve_ok, ssl=tls.server), await raw(serve_ok, path=path, ssl=tls.server)
    for connector in (corelet.TCPConnector(), corelet.UnixConnector(path)):
        async with corelet.ClientSession(connector=connector) as session:
            with pytest.raises(corelet.InvalidUrlClientError, match="certificate"):
                await session.get(server.url, server_hostname=name)
            assert_at_rest(session)
    assert server.connections == other.connections == 0


async def test_a_fingerprint(raw, tls) -> None:
    server = await raw(serve_ok, ssl=tls.server)
    async with corelet.ClientSession() as session:
        assert await fetch(session, server.url, ssl=corelet.Fingerprint(tls.digest)) == b"ok"
        wrong = corelet.Fingerprint(bytes(32))
        with pytest.raises(corelet.ServerFingerprintMismatch) as caught:
            await session.get(server.url, ssl=wrong)
        assert (caught.value.expected, caught.value.got) == (bytes(32), tls.digest)
        assert_at_rest(session)


@pytest.mark.parametrize(("size", "message"), [(16, "forged"), (20, "forged"), (31, "32 bytes")])
def test_a_fingerprint_that_can_be_forged_is_refused(size: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corelet.Fingerprint(bytes(size))


async def test_what_says_nothing_about_tls_is_refused(client) -> None:
    with pytest.raises(TypeError, match="ssl"):
        await client.get("https://a.test/", ssl="yes")
    with pytest.raises(TypeError, match="ssl"):
        corelet.TCPConnector(ssl=1.5)


# Other connectors.


async def test_a_unix_socket(raw, tmp_path) -> None:
    path = str(tmp_path / "socket")
    server = await raw(serve_ok, path=path)
    async with corelet.ClientSession(connector=corelet.UnixConnector(path)) as session:
        for _ in range(2):
            assert await fetch(session, "http://any.test/a") == b"ok"
    assert server.connections == 1
    assert b"Host: any.test" in server.heads[0]


async def test_a_unix_socket_with_tls(raw, tmp_path, tls) -> None:
    path = str(tmp_path / "socket")
    await raw(serve_ok, path=path, ssl=tls.server)
    async with corelet.ClientSession(connector=corelet.UnixConnector(path)) as session:
        assert await fetch(session, "https://localhost/", ssl=tls.client) == b"ok"
        with pytest.raises(corelet.ClientConnectorCertificateError):
            await session.get("https://localhost/")


async def test_a_unix_socket_that_is_not_there(tmp_path) -> None:
    path = str(tmp_path / "missing")
    async with corelet.ClientSession(connector=corelet.UnixConnector(path)) as session:
        with pytest.raises(corelet.UnixClientConnectorError, match=path) as caught:
            await session.get("http://any.test/")
        assert caught.value.path == path
        assert_at_rest(session)


@pytest.mark.skipif(sys.platform == "win32", reason="for the others")
async def test_named_pipes_want_windows() -> None:
    async with corelet.ClientSession(connector=corelet.NamedPipeConnector(r"\\.\pipe\x")) as session:
        with pytest.raises(RuntimeError, match="Windows"):
            await session.get("http://any.test/")
        assert_at_rest(session)


async def test_a_connection_that_is_no_socket_can_be_used_again() -> None:
    class PipeTransport(asyncio.Transport):
        def is_closing(self) -> bool:
            return False

    async with corelet.NamedPipeConnector(r"\\.\pipe\x") as connector:
        connection = connector.make_connection(ConnectionKey("any.test", 80, False, True))
        connection.connection_made(PipeTransport())
        assert connection.is_fit()


async def test_a_connector_of_ones_own_must_open_connections() -> None:
    async with corelet.ClientSession(connector=corelet.BaseConnector()) as session:
        with pytest.raises(NotImplementedError, match="TCPConnector"):
            await session.get("http://any.test/")


async def test_a_closed_connector_refuses_requests() -> None:
    connector = corelet.TCPConnector()
    await connector.close()
    async with corelet.ClientSession(connector=connector, connector_owner=False) as session:
        with pytest.raises(RuntimeError, match="closed"):
            await session.get("http://any.test/")


async def test_tls_ends_by_its_farewell_where_time_is_given_for_it(raw, tls) -> None:
    ends: list[BaseException | None] = []

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()
        try:
            ends.append(None if await peer.reader.read(1) == b"" else ValueError())
        except (ConnectionError, ssl.SSLError) as error:
            ends.append(error)

    server = await raw(script, ssl=tls.server)
    connector = corelet.TCPConnector(ssl=tls.client, ssl_shutdown_timeout=2)
    async with corelet.ClientSession(connector=connector) as session:
        assert await fetch(session, server.url) == b"ok"
    await server.wait_for(lambda: server.closed == 1)
    assert ends == [None]


async def test_tls_waits_for_the_farewell_as_long_as_it_was_told(raw, tls, tmp_path) -> None:
    proxy = await raw(tunnel)
    path = str(tmp_path / "socket")

    async def script(peer: Peer) -> None:
        await peer.read_request()
        await peer.answer()
        peer.writer.transport.pause_reading()
        try:
            await asyncio.Event().wait()
        finally:
            peer.writer.transport.abort()

    server = await raw(script, ssl=tls.server)
    await raw(script, path=path, ssl=tls.server)
    ways = [
        (corelet.TCPConnector(ssl_shutdown_timeout=0.05), server.url, None),
        (corelet.TCPConnector(ssl_shutdown_timeout=0.05), server.url, proxy.url),
        (corelet.UnixConnector(path, ssl_shutdown_timeout=0.05), "https://localhost/", None),
    ]
    for connector, url, way in ways:
        async with corelet.ClientSession(connector=connector) as session:
            assert await fetch(session, url, ssl=tls.client, proxy=way) == b"ok"
            async with asyncio.timeout(10):
                await session.close()
