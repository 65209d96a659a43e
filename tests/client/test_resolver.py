"""Resolvers, asked about this machine and by a name server of our own."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator
from types import SimpleNamespace

import aiodns
import pytest

from corelet.abc import AbstractResolver
from corelet_client.resolver import AsyncResolver, DefaultResolver, ThreadedResolver

#: What the name server knows: type of record -> address.
ZONE = {
    "both.test": {1: "192.0.2.1", 28: "2001:db8::1"},
    "four.test": {1: "192.0.2.4"},
    "silent.test": None,
}


class NameServer(asyncio.DatagramProtocol):
    """Answers A and AAAA questions over UDP. Source: RFC 1035 section 4."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.was_asked = asyncio.Event()

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address) -> None:
        labels, position = [], 12
        while length := data[position]:
            labels.append(data[position + 1 : position + 1 + length].decode())
            position += 1 + length
        name, (kind,) = ".".join(labels), struct.unpack_from("!H", data, position + 1)
        self.asked.append((name, kind))
        self.was_asked.set()
        question = data[12 : position + 5]
        known = ZONE.get(name, {})
        if known is None:
            return
        answer = b""
        if kind in known:
            packed = socket.inet_pton(socket.AF_INET if kind == 1 else socket.AF_INET6, known[kind])
            answer = struct.pack("!HHHIH", 0xC00C, kind, 1, 60, len(packed)) + packed
        code = 0 if name in ZONE else 3
        head = data[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, bool(answer), 0, 0)
        self.transport.sendto(head + question + answer, address)


@pytest.fixture
async def name_server() -> AsyncIterator[tuple[NameServer, dict]]:
    """Give a running name server, and what makes an AsyncResolver ask it."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    yield server, {"nameservers": ["127.0.0.1"], "udp_port": port, "tcp_port": port, "timeout": 0.2, "tries": 1}
    transport.close()


@pytest.fixture
async def async_resolver(name_server):
    resolver = AsyncResolver(**name_server[1])
    yield resolver
    await resolver.close()


@pytest.mark.parametrize("make", [ThreadedResolver, AsyncResolver])
async def test_localhost_is_this_machine(make):
    resolver = make()
    assert isinstance(resolver, AbstractResolver)
    (result,) = await resolver.resolve("localhost", 8080, socket.AF_INET)
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    expected = {"hostname": "localhost", "host": "127.0.0.1", "port": 8080, "family": socket.AF_INET}
    assert result == {**expected, "proto": 0, "flags": flags}
    await resolver.close()


async def test_result_can_be_connected_to(unused_tcp_port_server):
    port = unused_tcp_port_server
    (result,) = await ThreadedResolver().resolve("localhost", port)
    _, writer = await asyncio.open_connection(
        result["host"], result["port"], family=result["family"], proto=result["proto"], flags=result["flags"]
    )
    writer.close()
    await writer.wait_closed()


@pytest.fixture
async def unused_tcp_port_server():
    async def serve(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".test", "a..b", "a\0b", "é" * 300, ""])
async def test_host_without_an_address_is_an_os_error(host):
    with pytest.raises(OSError):  # noqa: PT011 -- the platform's words
        await ThreadedResolver().resolve(host, 80)


def test_the_default_is_the_systems_resolver():
    assert DefaultResolver is ThreadedResolver


async def test_scope_of_a_link_local_address_is_kept(monkeypatch):
    class Loop:
        async def getaddrinfo(self, *args, **kwargs):
            return [
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 3)),
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 80, 0, 0)),
                (socket.AF_UNIX, socket.SOCK_STREAM, 0, "", "/x"),
            ]

    monkeypatch.setattr("corelet_client.resolver.asyncio.get_running_loop", Loop)
    found = await ThreadedResolver().resolve("x", 80, socket.AF_UNSPEC)
    monkeypatch.undo()
    assert [each["host"] for each in found] == ["fe80::1%3", "2001:db8::1"]


# aiodns


async def test_name_server_is_asked(async_resolver, name_server):
    (result,) = await async_resolver.resolve("four.test", 80, socket.AF_INET)
    assert (result["hostname"], result["host"], result["port"]) == ("four.test", "192.0.2.4", 80)
    assert name_server[0].asked == [("four.test", 1)]


async def test_both_families_are_asked_for(name_server, async_resolver):
    (result,) = await async_resolver.resolve("both.test", 80, socket.AF_INET6)
    assert (result["host"], result["family"]) == ("2001:db8::1", socket.AF_INET6)
    assert ("both.test", 28) in name_server[0].asked


async def test_name_that_is_not_there_is_an_os_error(async_resolver):
    with pytest.raises(OSError, match=r"host 'none\.test' can't be resolved"):
        await async_resolver.resolve("none.test", 80)


async def test_silent_name_server_is_an_os_error(async_resolver):
    with pytest.raises(OSError, match=r"host 'silent\.test' can't be resolved"):
        await async_resolver.resolve("silent.test", 80)


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "a..b"])
async def test_bad_name_is_an_os_error_of_aiodns_too(async_resolver, host):
    with pytest.raises(OSError, match="can't be resolved"):
        await async_resolver.resolve(host, 80)


async def test_answer_without_an_address_is_an_os_error(async_resolver, monkeypatch):
    async def getaddrinfo(*args, **kwargs):
        return SimpleNamespace(nodes=[])

    await async_resolver.resolve("four.test", 80)
    monkeypatch.setattr(aiodns.DNSResolver, "getaddrinfo", getaddrinfo)
    with pytest.raises(OSError, match=r"host 'x\.test' has no address"):
        await async_resolver.resolve("x.test", 80)


@pytest.mark.parametrize("host", ["é" * 300, "a\0b.test"])
async def test_name_that_aiodns_cannot_ask_for_is_an_os_error(async_resolver, host):
    with pytest.raises(OSError, match="can't be resolved"):
        await async_resolver.resolve(host, 80)


async def test_closing_ends_a_look_up(name_server):
    server, arguments = name_server
    resolver = AsyncResolver(**{**arguments, "timeout": 60})
    looking = asyncio.create_task(resolver.resolve("silent.test", 80))
    await server.was_asked.wait()
    await resolver.close()
    with pytest.raises((OSError, asyncio.CancelledError)):
        await looking


async def test_cancelled_look_up_leaves_the_resolver_usable(name_server):
    server, arguments = name_server
    resolver = AsyncResolver(**arguments)
    looking = asyncio.create_task(resolver.resolve("silent.test", 80))
    await server.was_asked.wait()
    looking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert await resolver.resolve("four.test", 80)
    await resolver.close()
    await resolver.close()


def test_resolver_can_be_made_without_a_loop():
    resolver = AsyncResolver()
    asyncio.run(resolver.close())


def test_missing_aiodns_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiodns", None)
    with pytest.raises(ImportError, match=r'pip install "corelet-client\[speedups\]"'):
        AsyncResolver()
