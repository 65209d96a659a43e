"""Addresses of hosts, remembered for a while, and looked up once for everyone who asks at the same time."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Final

from .tracing import (
    TraceDnsCacheHitParams,
    TraceDnsCacheMissParams,
    TraceDnsResolveHostEndParams,
    TraceDnsResolveHostStartParams,
)

if TYPE_CHECKING:
    from corelet.abc import AbstractResolver, ResolveResult

    from .tracing import Tracer

_Name = tuple[str, int]

#: Names that old programs take for addresses: 2130706433, 0x7f.1, 127.1. Source: WHATWG URL section 3.5, "ends in a
#: number".
_LOOKS_NUMERIC: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?").fullmatch


@functools.lru_cache(maxsize=1024)
def is_ambiguous(host: str) -> bool:
    """Tell whether a host is written like an address, and is none in its one right form."""
    return _LOOKS_NUMERIC(host) is not None and _find_address(host) is None


def _find_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def make_address(host: str, port: int) -> ResolveResult | None:
    """Make the result for a host that is an address itself; None for a name."""
    address = _find_address(host)
    if address is None:
        return None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return {
        "hostname": host,
        "host": host,
        "port": port,
        "family": family,
        "proto": 0,
        "flags": socket.AI_NUMERICHOST,
    }


class DnsCache:
    """Addresses by host and port.

    Args:
        resolver: finds them.
        family: of the addresses wanted.
        seconds: how long they are remembered; None for ever, 0 for not at all.
        max_size: names that are remembered, 0 for none; the oldest one goes first.
    """

    def __init__(self, resolver: AbstractResolver, *, family: int, seconds: float | None, max_size: int) -> None:
        self._resolver = resolver
        self._family = family
        self._seconds = seconds
        self._max_size = max_size
        # With when they end, and how often they were given: the first address changes each time.
        self._known: dict[_Name, tuple[list[ResolveResult], float, int]] = {}
        self._running: dict[_Name, _LookUp] = {}
        self._is_closed = False

    def clear(self, name: _Name | None = None) -> None:
        """Forget the addresses of a name, or of all names."""
        if name is None:
            self._known.clear()
        else:
            self._known.pop(name, None)

    def close(self) -> None:
        """Stop looking up."""
        self._is_closed = True
        for look_up in self._running.values():
            look_up.task.cancel()

    async def resolve(self, host: str, port: int, tracer: Tracer | None) -> list[ResolveResult]:
        """Find the addresses of a host, the first one another each time.

        Raises:
            OSError: there is none.
        """
        address = make_address(host, port)
        if address is not None:
            return [address]
        found = self._recall((host, port))
        if found is not None:
            if tracer is not None:
                await tracer.send("on_dns_cache_hit", TraceDnsCacheHitParams(host))
            return found
        if tracer is None:
            return await self._look_up((host, port))
        await tracer.send("on_dns_cache_miss", TraceDnsCacheMissParams(host))
        await tracer.send("on_dns_resolvehost_start", TraceDnsResolveHostStartParams(host))
        found = await self._look_up((host, port))
        await tracer.send("on_dns_resolvehost_end", TraceDnsResolveHostEndParams(host))
        return found

    def _recall(self, name: _Name) -> list[ResolveResult] | None:
        addresses, end, turn = self._known.get(name, ([], 0.0, 0))
        if not addresses or end < asyncio.get_running_loop().time():
            return None
        self._known[name] = (addresses, end, turn + 1)
        start = turn % len(addresses)
        return addresses[start:] + addresses[:start]

    async def _look_up(self, name: _Name) -> list[ResolveResult]:
        """Wait for the one look-up of this name; who is cancelled leaves it to the others."""
        look_up = self._running.get(name)
        if look_up is None:
            look_up = self._running[name] = _LookUp(asyncio.get_running_loop().create_task(self._ask(name)))
            look_up.task.add_done_callback(_retrieve)
        look_up.waiters += 1
        try:
            return list(await asyncio.shield(look_up.task))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_closed and (task is None or not task.cancelling()):
                raise OSError(None, "the connector was closed during the look-up") from None
            raise
        finally:
            look_up.waiters -= 1
            if not look_up.waiters and not look_up.task.done():
                look_up.task.cancel()
                self._running.pop(name, None)

    async def _ask(self, name: _Name) -> list[ResolveResult]:
        me = asyncio.current_task()
        try:
            addresses = await self._resolver.resolve(*name, self._family)
        finally:
            running = self._running.get(name)
            if running is not None and running.task is me:
                del self._running[name]
        if not addresses:
            raise OSError(None, f"the resolver knows no address of {name[0]!r}")
        self._remember(name, addresses)
        return addresses

    def _remember(self, name: _Name, addresses: list[ResolveResult]) -> None:
        if self._seconds == 0 or self._max_size <= 0:
            return
        self._known.pop(name, None)
        if len(self._known) >= self._max_size:
            del self._known[next(iter(self._known))]
        seconds = float("inf") if self._seconds is None else self._seconds
        self._known[name] = (list(addresses), asyncio.get_running_loop().time() + seconds, 1)


def _retrieve(task: asyncio.Task[list[ResolveResult]]) -> None:
    """Take note of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


class _LookUp:
    """A look-up on its way, and how many wait for it."""

    __slots__ = ("task", "waiters")

    def __init__(self, task: asyncio.Task[list[ResolveResult]]) -> None:
        self.task = task
        self.waiters = 0
