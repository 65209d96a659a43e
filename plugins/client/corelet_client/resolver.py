"""Find the addresses of hosts: by the system's resolver in a thread, or by aiodns."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from corelet.abc import AbstractResolver, ResolveResult

if TYPE_CHECKING:
    import aiodns


class ThreadedResolver(AbstractResolver):
    """Ask the system's resolver, ``getaddrinfo``, in a thread: it knows the hosts file and all that is set up there.

    Families that this machine has no address of are not asked for.

    Args:
        loop: taken for compatibility.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        pass

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        # Loopback addresses don't count for AI_ADDRCONFIG, and are all that localhost has.
        flags = 0 if _is_localhost(host) else socket.AI_ADDRCONFIG
        try:
            found = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=flags)
        except ValueError as error:  # from the idna codec, or a NUL
            raise _make_bad_name(host, error) from error
        results = [_make_result(host, family, address) for family, _, _, _, address in found]
        return _check_found(host, [result for result in results if result is not None])

    async def close(self) -> None:
        """Do nothing: the threads are the loop's."""


#: What connectors use that were given no resolver.
DefaultResolver = ThreadedResolver


class AsyncResolver(AbstractResolver):
    """Ask DNS servers without a thread, by aiodns: ``pip install "corelet-client[speedups]"``.

    Args:
        loop: taken for compatibility.
        args: of ``aiodns.DNSResolver``; the first is the list of name servers, by default the system's.
        kwargs: of ``aiodns.DNSResolver``, such as ``timeout`` in seconds and ``tries``.

    Raises:
        ImportError: aiodns is not installed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None, *args: Any, **kwargs: Any) -> None:
        try:
            import aiodns
        except ImportError as error:
            raise ImportError('AsyncResolver needs aiodns: pip install "corelet-client[speedups]"') from error
        self._make_resolver: Callable[[], aiodns.DNSResolver] = partial(aiodns.DNSResolver, *args, **kwargs)
        # It belongs to the loop that it is made in, which is there when the first host is asked for.
        self._resolver: aiodns.DNSResolver | None = None

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:
        from aiodns.error import DNSError

        if self._resolver is None:
            self._resolver = self._make_resolver()
        flags = 0 if _is_localhost(host) else socket.AI_ADDRCONFIG
        try:
            found = await self._resolver.getaddrinfo(
                host, port=port, family=socket.AddressFamily(family), type=socket.SOCK_STREAM, flags=flags
            )
        except DNSError as error:
            code, reason = (*error.args, "")[:2]
            raise OSError(code, f"host {host!r} can't be resolved: {reason}") from error
        except (ValueError, RuntimeError) as error:  # from pycares, for names that no question can hold
            raise _make_bad_name(host, error) from error
        results = [_make_result(host, node.family, node.addr) for node in found.nodes]
        return _check_found(host, [result for result in results if result is not None])

    async def close(self) -> None:
        """End look-ups in progress, and close the sockets."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()


def _is_localhost(host: str) -> bool:
    """Whether a name is one of those for this machine. Source: RFC 6761 section 6.3."""
    name = host.lower().removesuffix(".")
    return name == "localhost" or name.endswith(".localhost")


def _make_result(host: str, family: int, address: Any) -> ResolveResult | None:
    """Make a result from what ``getaddrinfo`` gives; None for a family that is not the internet's."""
    if family not in (socket.AF_INET, socket.AF_INET6):
        return None
    name, port, *rest = address
    text = name.decode("ascii") if isinstance(name, bytes) else name
    if len(rest) == 2 and rest[1] and "%" not in text:  # the scope of a link-local address
        text = f"{text}%{rest[1]}"
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=text, port=port, family=int(family), proto=0, flags=flags)


def _check_found(host: str, results: list[ResolveResult]) -> list[ResolveResult]:
    if not results:
        raise OSError(None, f"host {host!r} has no address")
    return results


def _make_bad_name(host: str, error: Exception) -> OSError:
    return OSError(None, f"host {host[:80]!r} can't be resolved, it is no name of a host: {error}")
