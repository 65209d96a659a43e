"""Connectors: they open connections and keep them for the next request.

A connector belongs to the loop that first uses it. One connector may serve several sessions.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import sys
import warnings
from collections.abc import Awaitable, Callable, Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import aiohappyeyeballs

from corelet import Limits

from .caller import find_caller
from .connection import Connection
from .dns_cache import DnsCache
from .errors import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientProxyConnectionError,
    InvalidUrlClientError,
    ServerDisconnectedError,
    UnixClientConnectorError,
)
from .pool import Pool
from .proxy_tunnel import open_tunnel
from .timeouts import make_connect_error
from .tls import Fingerprint, check_ssl, choose_context
from .tracing import (
    TraceConnectionCreateEndParams,
    TraceConnectionCreateStartParams,
    TraceConnectionQueuedEndParams,
    TraceConnectionQueuedStartParams,
    TraceConnectionReuseconnParams,
)

if TYPE_CHECKING:
    from corelet.abc import AbstractResolver, ResolveResult

    from .connection_key import ConnectionKey
    from .request import ClientRequest

#: What ``getaddrinfo`` gives for one address.
AddrInfoType: TypeAlias = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]
#: Makes the socket for an address.
SocketFactoryType: TypeAlias = Callable[[AddrInfoType], socket.socket]

#: Connections of a connector, all together. aiohttp's ``limit``.
LIMIT: Final = 100
#: Seconds that an idle connection is kept. aiohttp's ``keepalive_timeout``.
KEEPALIVE_SECONDS: Final = 15.0
#: Seconds that an address is remembered. aiohttp's ``ttl_dns_cache``.
DNS_SECONDS: Final = 10
#: Names whose addresses are remembered. aiohttp's ``dns_cache_max_size``.
DNS_NAMES: Final = 1000
#: Seconds until the next address is tried beside one that does not answer. Source: RFC 8305 section 5.
HAPPY_EYEBALLS_SECONDS: Final = 0.25

_NOT_GIVEN: Final[Any] = object()
_LIMITS: Final = Limits()
_CLOSED_MEANWHILE: Final = "the connector was closed while a connection was opened"


class BaseConnector:
    """Keep connections and bound their number; a subclass opens them.

    Args:
        keepalive_timeout: seconds that an idle connection is kept; None for as long as the server keeps it.
        force_close: keep none.
        limit: connections that are busy or being opened; 0 for no limit. Who finds none free waits, in order.
        limit_per_host: the same for each host, port and way to it.
        ssl_shutdown_timeout: seconds for TLS's farewell when a connection is closed; none unless given.
        enable_cleanup_closed: taken and not needed, as the next two: connections are closed for good at once.
        timeout_ceil_threshold: taken and not needed: no deadline is rounded.
        loop: taken and not needed: the loop that first uses it counts.

    Raises:
        ValueError: a limit below 0, or ``force_close`` with ``keepalive_timeout``.
    """

    #: Schemes of URLs that it takes, beside those of the subclass.
    allowed_protocol_schema_set: frozenset[str] = frozenset({"", "http", "https", "ws", "wss"})

    def __init__(
        self,
        *,
        keepalive_timeout: float | None = _NOT_GIVEN,
        force_close: bool = False,
        limit: int = LIMIT,
        limit_per_host: int = 0,
        ssl_shutdown_timeout: float | None = None,
        enable_cleanup_closed: bool = False,
        timeout_ceil_threshold: float = 5,
        loop: Any = None,
    ) -> None:
        if force_close and keepalive_timeout not in {_NOT_GIVEN, None}:
            raise ValueError("keepalive_timeout is given, and force_close, which keeps no connection")
        for name, given in (("limit", limit), ("limit_per_host", limit_per_host)):
            if (given or 0) < 0:
                raise ValueError(f"{name} is a number of connections, 0 for no limit, not {given!r}")
        self._force_close = force_close
        self._keepalive_timeout = KEEPALIVE_SECONDS if keepalive_timeout is _NOT_GIVEN else keepalive_timeout
        self._limit = limit
        self._limit_per_host = limit_per_host
        self._ssl_shutdown_timeout = ssl_shutdown_timeout
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: Pool | None = None
        self._opening: set[_Bound] = set()
        self._is_closed = False
        self._made_at = find_caller()

    def __del__(self, _warn: Any = warnings.warn) -> None:
        pool = getattr(self, "_pool", None)
        if pool is None or self._is_closed or not pool.connections:
            return
        _warn(f"Unclosed connector {self!r}, made at {self._made_at}", ResourceWarning, source=self)
        if self._loop is not None and not self._loop.is_closed():
            self._close_now(abort_ssl=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._is_closed else 'open'}>"

    @property
    def force_close(self) -> bool:
        """Whether a connection is closed after each request."""
        return self._force_close

    @property
    def limit(self) -> int:
        """Connections that may be busy; 0 for no limit."""
        return self._limit

    @property
    def limit_per_host(self) -> int:
        """Connections to one host that may be busy; 0 for no limit."""
        return self._limit_per_host

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._is_closed

    @property
    def pool(self) -> Pool:
        """The connections, for inspection; made when first used.

        Raises:
            RuntimeError: there is no running loop, it is another one than before, or the connector is closed.
        """
        return self._bind()

    def _bind(self) -> Pool:
        """Belong to the loop that runs, from the first use on."""
        loop = asyncio.get_running_loop()
        if self._is_closed:
            raise ClientConnectionError(f"{type(self).__name__} is closed, made at {self._made_at}")
        if self._pool is None:
            self._loop = loop
            seconds = 0 if self._force_close else self._keepalive_timeout
            self._pool = Pool(loop, limit=self._limit, limit_per_key=self._limit_per_host, idle_seconds=seconds)
        elif loop is not self._loop:
            raise RuntimeError(
                f"{type(self).__name__} (made at {self._made_at}) belongs to the event loop that first used it: "
                "make one in each loop"
            )
        return self._pool

    def take_idle(self, key: ConnectionKey) -> Connection | None:
        """Take an idle connection at once, if there is one and its turn has come."""
        return self._bind().take_idle(key)

    async def connect(self, request: ClientRequest, *, fresh: bool = False) -> Connection:
        """Get a connection for a request: an idle one, or a new one; wait for a place where all are taken.

        Args:
            request: that is to be sent.
            fresh: take no idle one.

        Raises:
            ClientConnectorError: it can't be opened.
            ConnectionTimeoutError: it took too long, by ``connect`` or ``sock_connect``.
            ServerTimeoutError: it took too long, by ``total``.
        """
        pool = self._bind()
        key = request.connection_key
        loop = asyncio.get_running_loop()
        timeout = request.settings.timeout
        connect_end = loop.time() + timeout.connect if timeout.connect else None
        if not pool.take_place(key):
            await self._wait_for_place(pool, request, connect_end)
        connection = None if fresh else pool.pop_idle(key)
        if connection is not None:
            await trace_reuse(request, connection)
            return connection
        try:
            return await self._open_on_place(pool, request, connect_end)
        except BaseException:
            pool.free_place(key)
            raise

    async def _wait_for_place(self, pool: Pool, request: ClientRequest, connect_end: float | None) -> None:
        tracer = request.tracer
        if tracer is not None:
            await tracer.send("on_connection_queued_start", TraceConnectionQueuedStartParams())
        async with _Bound(request, connect_end, None):
            await pool.wait(request.connection_key)
        if tracer is None:
            return
        try:
            await tracer.send("on_connection_queued_end", TraceConnectionQueuedEndParams())
        except BaseException:
            pool.free_place(request.connection_key)
            raise

    async def _open_on_place(self, pool: Pool, request: ClientRequest, connect_end: float | None) -> Connection:
        tracer = request.tracer
        if tracer is not None:
            await tracer.send("on_connection_create_start", TraceConnectionCreateStartParams())
        self._check_open()
        seconds = request.settings.timeout.sock_connect
        sock_connect_end = asyncio.get_running_loop().time() + seconds if seconds else None
        if request.connection_key.is_ssl:
            _check_hostname(request)
        bound = _Bound(request, connect_end, sock_connect_end)
        self._opening.add(bound)
        try:
            async with bound:
                connection = await self.open_connection(request)
        finally:
            self._opening.discard(bound)
        try:
            self._check_open()
            if tracer is not None:
                await tracer.send("on_connection_create_end", TraceConnectionCreateEndParams())
                self._check_open()
        except BaseException:
            connection.close_idle(abort=True)
            raise
        if connection.is_lost:
            raise ServerDisconnectedError(f"{connection!r} was closed as soon as it was open")
        pool.add(connection)
        return connection

    def _check_open(self) -> None:
        """Open nothing, and keep nothing, where the connector was closed while something was waited for."""
        if self._is_closed:
            raise ClientConnectionError(_CLOSED_MEANWHILE)

    async def open_connection(self, request: ClientRequest) -> Connection:
        """Open a connection, with TLS where the request wants it; what a connector of one's own overrides.

        Give ``loop.create_connection`` or the like ``partial(self.make_connection, key, request.settings.limits)`` as
        its protocol factory, where ``key`` is ``request.connection_key``; the connection is the protocol that it gives.
        The place within the limits is taken and given back by :meth:`connect`, which also bounds the time.
        ``test_utils.ConnectorConformance``, of corelet-testing, tests a connector.

        Args:
            request: that is to be sent.

        Raises:
            ClientConnectorError: it can't be opened.
        """
        raise NotImplementedError(
            f"{type(self).__name__} opens no connections: override open_connection(), or use TCPConnector"
        )

    def make_connection(self, key: ConnectionKey, limits: Limits = _LIMITS) -> Connection:
        """Make a connection without a socket yet: the protocol for ``loop.create_connection``.

        Also once the connector is closed: an error here would leave the loop with a socket that nobody closes. What is
        opened then is closed at once.
        """
        pool = self._bind() if self._pool is None else self._pool
        farewell = bool(self._ssl_shutdown_timeout)
        return Connection(asyncio.get_running_loop(), key, pool.free, pool.lose, limits, says_farewell=farewell)

    def _make_tls_options(self, hostname: str) -> dict[str, Any]:
        """Say how TLS is set up, in keywords of the loop's methods."""
        options: dict[str, Any] = {"server_hostname": hostname}
        if self._ssl_shutdown_timeout:
            options["ssl_shutdown_timeout"] = self._ssl_shutdown_timeout
        return options

    def release(self, connection: Connection) -> None:
        """Give a connection back that was not used; one that was closed meanwhile has no place any more."""
        if not connection.is_lost:
            self._bind().free(connection)

    def close(self, *, abort_ssl: bool = False) -> Awaitable[None]:
        """Close every connection, those being opened too; who uses, opens or awaits one gets a ClientConnectionError.

        Args:
            abort_ssl: without TLS's farewell.

        Returns:
            Something to await: until every socket is closed. Closing is begun at once, awaited or not.
        """
        return _Closing(self._close_now(abort_ssl=abort_ssl))

    def _close_now(self, *, abort_ssl: bool) -> list[Connection]:
        if self._is_closed or self._pool is None:
            self._is_closed = True
            return []
        self._is_closed = True
        if self._opening and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon(self._end_opening)
        return self._pool.close(abort_ssl=abort_ssl)

    def _end_opening(self) -> None:
        for bound in self._opening:
            bound.end()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        exc_traceback: TracebackType | None = None,
    ) -> None:
        await self.close()


class _Closing:
    """Wait until connections are closed."""

    __slots__ = ("_connections",)

    def __init__(self, connections: Iterable[Connection]) -> None:
        self._connections = connections

    def __await__(self) -> Generator[Any, None, None]:
        for connection in self._connections:
            yield from connection.wait_closed().__await__()


async def trace_reuse(request: ClientRequest, connection: Connection) -> None:
    """Tell the tracer that a connection is used once more."""
    if request.tracer is None:
        return
    try:
        await request.tracer.send("on_connection_reuseconn", TraceConnectionReuseconnParams())
    except BaseException:
        connection.close_idle(abort=True)
        raise


class _Bound:
    """Bound a wait for a connection by whatever ends first, and name that in the error.

    The connector's own end is such a bound, too: :meth:`end`.
    """

    __slots__ = ("_is_ended", "_name", "_request", "_timeout")

    def __init__(self, request: ClientRequest, connect_end: float | None, sock_connect_end: float | None) -> None:
        ends = {"sock_connect": sock_connect_end, "connect": connect_end, "total": request.deadline}
        given = {name: end for name, end in ends.items() if end is not None}
        self._request = request
        self._name = min(given, key=lambda name: given[name])
        end = given[self._name]
        self._timeout = asyncio.timeout_at(None if end == float("inf") else end)
        self._is_ended = False

    def end(self) -> None:
        """End the wait now, as the connector is closed; who waits must be within it."""
        if not self._timeout.expired():
            self._is_ended = True
            self._timeout.reschedule(asyncio.get_running_loop().time())

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError as timeout:
            if self._is_ended:
                raise ClientConnectionError(_CLOSED_MEANWHILE) from None
            raise make_connect_error(self._request, self._name) from timeout


class TCPConnector(BaseConnector):
    """Open connections over TCP, with TLS and through proxies.

    Args:
        use_dns_cache: remember addresses.
        ttl_dns_cache: seconds that they are remembered; None for ever.
        dns_cache_max_size: names that are remembered.
        family: of addresses: ``socket.AF_INET``, ``AF_INET6``, or both.
        ssl: how servers' certificates are checked, unless a request says otherwise.
        local_addr: host and port to connect from.
        resolver: finds addresses; the default one is closed with the connector, a given one is not.
        happy_eyeballs_delay: seconds until the next address is tried beside one that does not answer; None to try
            one after the other.
        interleave: addresses of one family before the other's turn comes.
        socket_factory: makes the sockets.
        kwargs: as for :class:`BaseConnector`.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"tcp"}

    def __init__(
        self,
        *,
        use_dns_cache: bool = True,
        ttl_dns_cache: float | None = DNS_SECONDS,
        dns_cache_max_size: int = DNS_NAMES,
        family: int = socket.AF_UNSPEC,
        ssl: ssl.SSLContext | bool | Fingerprint = True,
        local_addr: tuple[str, int] | None = None,
        resolver: AbstractResolver | None = None,
        happy_eyeballs_delay: float | None = HAPPY_EYEBALLS_SECONDS,
        interleave: int | None = None,
        socket_factory: SocketFactoryType | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._use_dns_cache = use_dns_cache
        self._dns_seconds = ttl_dns_cache if use_dns_cache else 0
        self._dns_names = dns_cache_max_size
        self._family = family
        self._ssl = check_ssl(ssl)
        self._local_addr = local_addr
        self._resolver = resolver
        self._own_resolver: AbstractResolver | None = None
        self._dns: DnsCache | None = None
        self._happy_eyeballs_delay = happy_eyeballs_delay
        self._interleave = interleave
        self._socket_factory = socket_factory

    @property
    def family(self) -> int:
        """The family of addresses."""
        return self._family

    @property
    def use_dns_cache(self) -> bool:
        """Whether addresses are remembered."""
        return self._use_dns_cache

    def clear_dns_cache(self, host: str | None = None, port: int | None = None) -> None:
        """Forget the addresses of a host and port, or all.

        Raises:
            ValueError: only one of them is given.
        """
        if (host is None) != (port is None):
            raise ValueError("give host and port, or none of them")
        if self._dns is not None:
            self._dns.clear(None if host is None or port is None else (host, port))

    def close(self, *, abort_ssl: bool = False) -> Awaitable[None]:
        """Close every connection, and the resolver if it is the connector's own."""
        closing = super().close(abort_ssl=abort_ssl)
        if self._dns is not None:
            self._dns.close()
        resolver, self._own_resolver = self._own_resolver, None
        return closing if resolver is None else _ClosingAll(closing, resolver)

    def _open_dns(self) -> DnsCache:
        if self._dns is None:
            resolver = self._resolver
            if resolver is None:
                from .resolver import DefaultResolver

                resolver = self._own_resolver = DefaultResolver()
            self._dns = DnsCache(resolver, family=self._family, seconds=self._dns_seconds, max_size=self._dns_names)
        return self._dns

    async def open_connection(self, request: ClientRequest) -> Connection:
        key = request.connection_key
        proxy = request.proxy
        if proxy is None:
            sock = await self._connect_socket(request, key.host, key.port or 0)
            return await self._start(request, sock, key, self.choose_ssl(request))
        if proxy.scheme.startswith("socks"):
            from .socks import open_socks_socket

            try:
                sock = await open_socks_socket(proxy, request.proxy_auth, key.host, key.port or 0)
            except OSError as error:
                raise ClientProxyConnectionError(key, error) from error
            return await self._start(request, sock, key, self.choose_ssl(request))
        sock = await self._connect_socket(request, proxy.raw_host or "", proxy.port or 0)
        if request.is_forwarded:
            return await self._start(request, sock, key, self.choose_ssl(request))
        return await self._open_tunnel(request, sock)

    async def _connect_socket(self, request: ClientRequest, host: str, port: int) -> socket.socket:
        """Connect to whichever address of a host answers first. Source: RFC 8305."""
        key = request.connection_key
        try:
            addresses = await self._open_dns().resolve(host.rstrip("."), port, request.tracer)
        except OSError as error:
            is_proxy = request.proxy is not None
            raise (ClientProxyConnectionError if is_proxy else ClientConnectorDNSError)(key, error) from error
        factory = self._socket_factory
        try:
            return await aiohappyeyeballs.start_connection(
                [_make_addr_info(address) for address in addresses],
                local_addr_infos=self._make_local_infos(addresses),
                happy_eyeballs_delay=self._happy_eyeballs_delay,
                interleave=self._interleave,
                loop=asyncio.get_running_loop(),
                **({} if factory is None else {"socket_factory": factory}),
            )
        except OSError as error:
            is_proxy = request.proxy is not None
            raise (ClientProxyConnectionError if is_proxy else ClientConnectorError)(key, error) from error

    def _make_local_infos(self, addresses: list[ResolveResult]) -> list[Any] | None:
        if self._local_addr is None:
            return None
        host, port = self._local_addr
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE)
        families = {address["family"] for address in addresses}
        return [info for info in infos if info[0] in families]

    async def _start(self, request: ClientRequest, sock: socket.socket, key: ConnectionKey, value: Any) -> Connection:
        """Make a connection of a socket, with TLS if wanted; the loop closes the socket where that fails."""
        options: dict[str, Any] = {}
        if key.is_ssl:
            options = {"ssl": choose_context(value), **self._make_tls_options(_choose_hostname(key))}
        loop = asyncio.get_running_loop()
        make = functools.partial(self.make_connection, key, request.settings.limits)
        try:
            transport, connection = await loop.create_connection(make, sock=sock, **options)
        except (OSError, ssl.CertificateError) as error:
            raise make_open_error(request, error) from error
        if key.is_ssl:
            check_fingerprint(value, transport, connection)
        return connection

    def choose_ssl(self, request: ClientRequest) -> Any:
        """Choose how the certificate is checked: as the request says, else as the connector does."""
        return self._ssl if request.ssl is True else request.ssl

    async def _open_tunnel(self, request: ClientRequest, sock: socket.socket) -> Connection:
        proxy = request.proxy
        assert proxy is not None
        key = request.connection_key
        outer = await self._start_to_proxy(request, sock)
        try:
            transport = await open_tunnel(request, outer)
        except BaseException:
            outer.close_idle(abort=True)
            raise
        value = self.choose_ssl(request)
        connection = self.make_connection(key, request.settings.limits)
        options = self._make_tls_options(_choose_hostname(key))
        loop = asyncio.get_running_loop()
        try:
            inner = await loop.start_tls(transport, connection, choose_context(value), **options)
        except (OSError, ssl.CertificateError) as error:
            transport.abort()
            raise make_open_error(request, error) from error
        except TypeError as error:
            transport.abort()
            # Within the TLS of a proxy, asyncio before Python 3.13 fails on its way to tell what is wrong.
            if not isinstance(error.__context__, OSError):
                raise
            raise make_open_error(request, error.__context__) from error
        except BaseException:
            transport.abort()
            raise
        if inner is None:
            raise ClientProxyConnectionError(key, ConnectionResetError("the proxy closed the tunnel"))
        connection.connection_made(inner)
        check_fingerprint(value, inner, connection)
        return connection

    async def _start_to_proxy(self, request: ClientRequest, sock: socket.socket) -> Connection:
        proxy = request.proxy
        assert proxy is not None
        is_ssl = proxy.scheme == "https"
        key = request.connection_key._replace(
            host=proxy.raw_host or "", port=proxy.port, is_ssl=is_ssl, server_hostname=None
        )
        return await self._start(request, sock, key, self._choose_proxy_ssl(request))

    def _choose_proxy_ssl(self, request: ClientRequest) -> Any:
        """Choose how the certificate of a proxy is checked that opens a tunnel: a Fingerprint is the host's."""
        values = (self.choose_ssl(request), self._ssl, True)
        return next(value for value in values if not isinstance(value, Fingerprint))


class _ClosingAll:
    """Wait until connections and a resolver are closed."""

    __slots__ = ("_closing", "_resolver")

    def __init__(self, closing: Awaitable[None], resolver: AbstractResolver) -> None:
        self._closing = closing
        self._resolver = resolver

    def __await__(self) -> Generator[Any, None, None]:
        yield from self._closing.__await__()
        yield from self._resolver.close().__await__()


def _choose_hostname(key: ConnectionKey) -> str:
    """Choose the name that a certificate must have."""
    return key.server_hostname or key.host.rstrip(".")


def _check_hostname(request: ClientRequest) -> None:
    """Refuse a name that no certificate can have, before there is a socket: the loop would leave it open."""
    name = _choose_hostname(request.connection_key)
    try:
        is_name = "\0" not in name and bool(name.encode("idna"))
    except UnicodeError:
        is_name = False
    if not is_name:
        raise InvalidUrlClientError(request.url.with_user(None), f"no certificate can have the name {name!r}")


def _make_addr_info(address: ResolveResult) -> AddrInfoType:
    family, host, port = address["family"], address["host"], address["port"]
    place: tuple[Any, ...] = (host, port)
    if family == socket.AF_INET6:
        host, _, scope = host.partition("%")
        place = (host, port, 0, _find_scope(scope))
    return family, socket.SOCK_STREAM, address["proto"] or socket.IPPROTO_TCP, "", place


def _find_scope(scope: str) -> int:
    if not scope:
        return 0
    return int(scope) if scope.isdigit() else socket.if_nametoindex(scope)


def make_open_error(request: ClientRequest, error: Exception) -> ClientConnectorError:
    """Make the client's error for what has failed while a connection was begun, or TLS set up."""
    key = request.connection_key
    if isinstance(error, ssl.CertificateError):
        return ClientConnectorCertificateError(key, error)
    if isinstance(error, ssl.SSLError):
        return ClientConnectorSSLError(key, error)
    return ClientConnectorError(key, error if isinstance(error, OSError) else OSError(None, str(error)))


def check_fingerprint(value: Any, transport: asyncio.BaseTransport, connection: Connection) -> None:
    """Compare the certificate where a Fingerprint is wanted; the connection is closed where it is another one."""
    if not isinstance(value, Fingerprint):
        return
    try:
        value.check(transport)
    except BaseException:
        connection.close_idle(abort=True)
        raise


class _PathConnector(BaseConnector):
    """Open connections to one place of this machine, whatever host the URL names."""

    def __init__(self, path: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._path = path

    @property
    def path(self) -> str:
        """Where connections go."""
        return self._path


class UnixConnector(_PathConnector):
    """Open connections over a Unix socket, whatever host the URL names.

    Args:
        path: of the socket.
        kwargs: as for :class:`BaseConnector`.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"unix"}

    async def open_connection(self, request: ClientRequest) -> Connection:
        key = request.connection_key
        options: dict[str, Any] = {}
        if key.is_ssl:
            options = {"ssl": choose_context(request.ssl), **self._make_tls_options(_choose_hostname(key))}
        loop = asyncio.get_running_loop()
        make = functools.partial(self.make_connection, key, request.settings.limits)
        try:
            transport, connection = await loop.create_unix_connection(make, self._path, **options)
        except ssl.SSLError as error:
            raise make_open_error(request, error) from error
        except OSError as error:
            raise UnixClientConnectorError(self._path, key, error) from error
        if key.is_ssl:
            check_fingerprint(request.ssl, transport, connection)
        return connection


class NamedPipeConnector(_PathConnector):
    r"""Open connections over a named pipe of Windows; the loop must be a ProactorEventLoop.

    Args:
        path: of the pipe, like ``\\.\pipe\name``.
        kwargs: as for :class:`BaseConnector`.
    """

    allowed_protocol_schema_set = BaseConnector.allowed_protocol_schema_set | {"npipe"}

    async def open_connection(self, request: ClientRequest) -> Connection:
        key = request.connection_key
        loop: Any = asyncio.get_running_loop()
        if not hasattr(loop, "create_pipe_connection"):
            raise RuntimeError(f"named pipes need Windows and a ProactorEventLoop; this is {sys.platform}")
        make = functools.partial(self.make_connection, key, request.settings.limits)
        try:
            _, connection = await loop.create_pipe_connection(make, self._path)
        except OSError as error:
            raise ClientConnectorError(key, error) from error
        opened: Connection = connection
        return opened
