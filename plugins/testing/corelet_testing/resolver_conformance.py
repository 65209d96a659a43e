"""What every resolver must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from corelet.abc import AbstractResolver, ResolveResult

from .conformance import Conformance


class ResolverConformance(Conformance):
    """Test a resolver: ``abc.AbstractResolver``.

    The default hosts are asked for on this machine alone. A resolver that knows others overrides :attr:`known_host`.
    """

    port = "a resolver"
    #: A name that has an IPv4 address.
    known_host: str = "localhost"
    #: Names that have no address, and can't have one.
    bad_hosts: tuple[str, ...] = ("", "a..b", "a" * 64 + ".test", "a\0b")

    @abstractmethod
    def make_resolver(self) -> AbstractResolver:
        """Make the resolver."""

    @asynccontextmanager
    async def open_resolver(self) -> AsyncIterator[AbstractResolver]:
        """Make a resolver, and close it."""
        resolver = self.make_resolver()
        try:
            yield resolver
        finally:
            await resolver.close()

    async def test_a_known_host_has_addresses(self) -> None:
        """Each result has all that a connection is opened by."""
        async with self.open_resolver() as resolver:
            for family in (socket.AF_INET, socket.AF_UNSPEC):
                results = await resolver.resolve(self.known_host, 8080, family)
                self.expect(results, f"{self.known_host} has an address")
                for result in results:
                    self._check(result, family)

    def _check(self, result: ResolveResult, family: int) -> None:
        names = set(ResolveResult.__annotations__)
        self.expect_equal(set(result), names, "a result has the items of abc.ResolveResult")
        self.expect_equal(result["hostname"], self.known_host, "hostname is the name that was asked for")
        self.expect_equal(result["port"], 8080, "port is the one that was given")
        families = (family,) if family else (socket.AF_INET, socket.AF_INET6)
        self.expect(result["family"] in families, "family is one that was asked for", result["family"])
        address = ipaddress.ip_address(result["host"].partition("%")[0])
        version = {socket.AF_INET: 4, socket.AF_INET6: 6}[socket.AddressFamily(result["family"])]
        self.expect_equal(address.version, version, "host is an address of the family")

    async def test_the_defaults_are_ipv4_and_no_port(self) -> None:
        """As ``resolve(host)`` says."""
        async with self.open_resolver() as resolver:
            results = await resolver.resolve(self.known_host)
        found = {(result["family"], result["port"]) for result in results}
        self.expect_equal(found, {(socket.AF_INET, 0)}, "family is AF_INET and port 0 by default")

    async def test_a_host_without_an_address_is_an_os_error(self) -> None:
        """Whatever its name looks like; no list is empty."""
        async with self.open_resolver() as resolver:
            for host in self.bad_hosts:
                async with self.expect_end(f"the search for {host[:20]!r} ends"):
                    with self.expect_error(OSError, f"the host {host[:20]!r} is an OSError"):
                        await resolver.resolve(host, 80)

    async def test_lookups_go_beside_each_other(self) -> None:
        """And one that is cancelled harms no other."""
        async with self.open_resolver() as resolver, self.expect_end("twenty look-ups at once end"):
            lookups = [asyncio.ensure_future(resolver.resolve(self.known_host, port)) for port in range(1, 21)]
            await asyncio.sleep(0)
            lookups[3].cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await lookups[3]
            others = [lookup for lookup in lookups if lookup is not lookups[3]]
            ports = [result[0]["port"] for result in await asyncio.gather(*others)]
        self.expect_equal(ports, [port for port in range(1, 21) if port != 4], "each look-up has its own results")

    async def test_closing_is_no_error(self) -> None:
        """Unused, used, and once more."""
        unused = self.make_resolver()
        await unused.close()
        async with self.open_resolver() as resolver:
            await resolver.resolve(self.known_host)
            await resolver.close()
