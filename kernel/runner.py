"""Runners and sites: where an application listens, and how it stops without losing a request.

A runner owns one server; a site is one place where it accepts connections. A stop goes one way:

    answers say ``Connection: close`` -> sites accept what already waits, then no more -> ``on_shutdown``
    -> idle connections close, answers in progress end or are cancelled after ``shutdown_timeout``, and so do
    handlers whose peers have gone -> ``on_cleanup``
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import errno
import inspect
import os
import signal
import socket
import stat
import sys
from abc import ABC, abstractmethod
from asyncio.constants import SSL_HANDSHAKE_TIMEOUT
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from .access_logger import AccessLogger
from .app import Application
from .errors import ListenError
from .limits import SHUTDOWN_SECONDS
from .negotiation import offer_protocols
from .server import Server, make_server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Sequence

    from .abc import AbstractAccessLogger

#: Connections that wait in the kernel to be accepted. aiohttp's default.
BACKLOG: Final = 128
#: Ports without and with TLS where none is given. aiohttp's defaults.
DEFAULT_PORT: Final = 8080
DEFAULT_TLS_PORT: Final = 8443
#: How a site's name shows that it listens on all addresses.
_EVERY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 -- shown, never bound
#: Turns of the loop after which a connection that it has accepted has its transport: one runs the accepting
#: task, one makes the connection, one to spare.
_ACCEPT_TURNS: Final = 3
#: Arguments of a server that its application decides.
_GIVEN_BY_APP: Final = {"handler", "request_factory", "slots", "app", "client_max_size", "client_max_fields"}
#: Tries to bind one free port on all addresses of a host.
_PORT_TRIES: Final = 16
#: What a TLS handshake in progress gets to end when its site stops, in seconds: a slow round trip.
_HANDSHAKE_SECONDS: Final = 0.25
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
#: What a socket of an address family says that this machine doesn't have.
_MISSING_FAMILY: Final = {errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL}


class GracefulExit(SystemExit):
    """Ask a running server to stop; raised by SIGINT and SIGTERM, and by who likes to."""

    code = 1


def _raise_graceful_exit() -> None:
    raise GracefulExit


class BaseRunner(ABC):
    """Own a server and the sites where it accepts connections.

    Args:
        handle_signals: whether SIGINT and SIGTERM raise :class:`GracefulExit` in the loop, from
            :meth:`setup` to the end of :meth:`cleanup`.
        shutdown_timeout: seconds that answers in progress get to end; then their handlers are cancelled.
            60 is aiohttp's.
        **kwargs: what the server is made with.
    """

    def __init__(
        self, *, handle_signals: bool = False, shutdown_timeout: float = SHUTDOWN_SECONDS, **kwargs: Any
    ) -> None:
        self.shutdown_timeout = shutdown_timeout
        self._handle_signals = handle_signals
        self._kwargs = kwargs
        self._server: Server | None = None
        self._sites: list[BaseSite] = []

    @property
    def server(self) -> Server | None:
        """The server; None before :meth:`setup` and after :meth:`cleanup`."""
        return self._server

    @property
    def sites(self) -> set[BaseSite]:
        """The sites that accept connections now."""
        return set(self._sites)

    @property
    def addresses(self) -> list[Any]:
        """Addresses of all listening sockets, as ``socket.getsockname`` gives them, in the order of start."""
        return [address for site in self._sites for address in site.addresses]

    async def setup(self) -> None:
        """Make the server; sites can be started then.

        What was started is cleaned up again where this fails half-way.

        Raises:
            RuntimeError: it was called already.
        """
        if self._server is not None:
            raise RuntimeError(f"{self!r} is set up already: call setup() once")
        if self._handle_signals:
            _handle_signals(_raise_graceful_exit)
        try:
            self._server = await self._make_server()
        except BaseException:
            self._restore_signals()
            raise

    @abstractmethod
    async def shutdown(self) -> None:
        """Tell the application that the server stops; called while answers are still in progress."""

    async def cleanup(self) -> None:
        """Stop all sites, let answers in progress end within ``shutdown_timeout``, and clean the application up.

        Each step runs even if one before it raised or was cancelled. A second call does nothing.
        """
        server, self._server = self._server, None
        if server is None:
            return
        try:
            await self._stop(server)
        finally:
            try:
                await self._cleanup_server()
            finally:
                self._restore_signals()

    async def _stop(self, server: Server) -> None:
        # First, so that connections that wait to be accepted are answered by Connection: close too.
        server.pre_shutdown()
        timeout = self.shutdown_timeout
        try:
            await asyncio.gather(*[site.stop() for site in self._sites])
            await self.shutdown()
        except asyncio.CancelledError:
            timeout = 0.0
            raise
        finally:
            await self._end_answers(server, timeout)

    async def _end_answers(self, server: Server, timeout: float) -> None:
        try:
            await server.shutdown(timeout)
        except BaseException:
            # Asked to hurry: a second signal came while answers were in progress.
            await server.shutdown(0)
            raise

    def _restore_signals(self) -> None:
        if self._handle_signals:
            _handle_signals(None)

    @abstractmethod
    async def _make_server(self) -> Server: ...

    @abstractmethod
    async def _cleanup_server(self) -> None: ...

    def register_site(self, site: BaseSite) -> None:
        """Take a site that starts, to stop it in :meth:`cleanup`; sites call it themselves."""
        self._sites.append(site)

    def unregister_site(self, site: BaseSite) -> None:
        """Forget a site that stops."""
        self._sites.remove(site)


class AppRunner(BaseRunner):
    """Run an application: start it, serve it, stop it and clean it up.

    Args:
        app: the application.
        handle_signals: as in :class:`BaseRunner`.
        access_log_class: what writes the access log, unless a plugin brings another.
        **kwargs: ``shutdown_timeout``, and what the :class:`~corelet.server.Server` takes.

    Raises:
        TypeError: not an application, or an argument that the server doesn't know.
    """

    def __init__(
        self,
        app: Application,
        *,
        handle_signals: bool = False,
        access_log_class: type[AbstractAccessLogger] = AccessLogger,
        **kwargs: Any,
    ) -> None:
        if not isinstance(app, Application):
            raise TypeError(f"the first argument is an Application, got {app!r}")
        super().__init__(handle_signals=handle_signals, access_log_class=access_log_class, **kwargs)
        _check_server_arguments(self._kwargs)
        self._app = app

    @property
    def app(self) -> Application:
        """The application."""
        return self._app

    async def shutdown(self) -> None:
        """Call the application's ``on_shutdown``."""
        await self._app.shutdown()

    async def _make_server(self) -> Server:
        await self._app.startup()
        try:
            return make_server(self._app, **self._kwargs)
        except BaseException:
            await self._app.cleanup()
            raise

    async def _cleanup_server(self) -> None:
        await self._app.cleanup()


class ServerRunner(BaseRunner):
    """Run a bare server, without an application."""

    def __init__(
        self,
        web_server: Server,
        *,
        handle_signals: bool = False,
        shutdown_timeout: float = SHUTDOWN_SECONDS,
    ) -> None:
        super().__init__(handle_signals=handle_signals, shutdown_timeout=shutdown_timeout)
        self._web_server = web_server

    async def shutdown(self) -> None:
        """Do nothing: there is no application to tell."""

    async def _make_server(self) -> Server:
        return self._web_server

    async def _cleanup_server(self) -> None:
        return


class BaseSite(ABC):
    """Accept connections in one place for the server of a runner.

    Args:
        runner: whose server gets the connections; it must be set up.
        shutdown_timeout: for aiohttp's callers: where given, it becomes the runner's.
        ssl_context: with it, all connections use TLS. Where plugins have registered protocols, it is made to offer
            them by ALPN.
        backlog: connections that wait in the kernel to be accepted.

    Raises:
        RuntimeError: the runner is not set up.
    """

    def __init__(
        self,
        runner: BaseRunner,
        *,
        shutdown_timeout: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = BACKLOG,
    ) -> None:
        if runner.server is None:
            raise RuntimeError("call runner.setup() before making a site")
        if shutdown_timeout is not None:
            runner.shutdown_timeout = shutdown_timeout
        self._runner = runner
        self._factory: Callable[[], asyncio.Protocol] = runner.server
        self._ssl_context = ssl_context
        self._tls: dict[str, Any] = {}
        if ssl_context is not None:
            # No connection is made before its end: it has as long as a head, and never longer than event loops give it.
            seconds = min(runner.server.deadlines.head_seconds, SSL_HANDSHAKE_TIMEOUT)
            self._tls = {"ssl": ssl_context, "ssl_handshake_timeout": seconds}
            if runner.server.slots.protocols:
                offer_protocols(ssl_context, runner.server.slots.protocols)
                self._factory = runner.server.negotiate
        self._backlog = backlog
        self._listeners: list[tuple[socket.socket, asyncio.Server]] = []
        self._addresses: list[Any] = []

    @property
    @abstractmethod
    def name(self) -> str:
        """Where it listens, as a URL."""

    @property
    def addresses(self) -> list[Any]:
        """Addresses of the listening sockets, as ``socket.getsockname`` gives them; empty unless started."""
        return list(self._addresses)

    @property
    def _scheme(self) -> str:
        return "https" if self._ssl_context else "http"

    async def start(self) -> None:
        """Listen, and accept connections from now on.

        Raises:
            RuntimeError: it was started already.
            ListenError: the address can't be listened on, an OSError; the error names it.
        """
        if self in self._runner.sites:
            raise RuntimeError(f"{self.name} is started already in {self._runner!r}")
        self._runner.register_site(self)
        sockets: list[socket.socket] = []
        try:
            sockets = await self._open_sockets()
            await self._listen(sockets)
        except BaseException:
            await self.stop()
            for sock in sockets:
                sock.close()
            raise

    async def _listen(self, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for sock in sockets:
            sock.setblocking(False)
            if sock.family in _INTERNET:
                # Connections take it over. asyncio sets it only where the listening socket was made with a protocol.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            server = await loop.create_server(self._factory, sock=sock, backlog=self._backlog, **self._tls)
            self._listeners.append((sock, server))
            self._addresses.append(sock.getsockname())

    async def stop(self) -> None:
        """Accept what already waits in the kernel, then no more; does nothing where it isn't started.

        Connections go on: only the runner's ``cleanup`` ends them.
        """
        if self not in self._runner.sites:
            return
        self._runner.unregister_site(self)
        listeners, self._listeners = self._listeners, []
        self._addresses = []
        accepted = await _close_listeners(listeners)
        self._close_place()
        if listeners:
            await self._hand_over(accepted)

    @abstractmethod
    async def _open_sockets(self) -> list[socket.socket]: ...

    def _close_place(self) -> None:  # noqa: B027 -- most places need nothing
        """Remove what is left of the place once nobody listens there."""

    async def _hand_over(self, accepted: list[socket.socket]) -> None:
        """Give the server the last connections; peers slow with their TLS handshake are not waited for."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(loop.connect_accepted_socket(self._factory, sock, **self._tls)) for sock in accepted]
        if self._ssl_context is not None:
            # The server doesn't know yet of those in their handshake, and would stop without them.
            await asyncio.sleep(_HANDSHAKE_SECONDS)
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class TCPSite(BaseSite):
    """Listen on a TCP port of one host, on all its addresses.

    Args:
        runner: as in :class:`BaseSite`.
        host: a name or an address; None or "" for every address of this machine, IPv4 and IPv6.
        port: 0 for a free one, the same on all addresses; None for 8080, or 8443 with TLS.
        shutdown_timeout: as in :class:`BaseSite`.
        ssl_context: as in :class:`BaseSite`.
        backlog: as in :class:`BaseSite`.
        reuse_address: whether to listen where connections of an ended process linger. None: where it is safe,
            that is not on Windows.
        reuse_port: whether several processes may listen on the port; the kernel spreads connections among them.

    Raises:
        ValueError: the port is no number from 0 to 65535.
    """

    def __init__(
        self,
        runner: BaseRunner,
        host: str | None = None,
        port: int | None = None,
        *,
        shutdown_timeout: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = BACKLOG,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
    ) -> None:
        super().__init__(runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog)
        self._host = host
        self._port = port if port is not None else DEFAULT_TLS_PORT if ssl_context else DEFAULT_PORT
        # uvloop would take what is left of a larger one by 65536, and a name would fail as a lookup.
        if not isinstance(self._port, int) or not 0 <= self._port <= 65535:
            raise ValueError(f"port is {port!r}, expected a number from 0 to 65535")
        self._reuse_address = reuse_address
        self._reuse_port = reuse_port

    @property
    def name(self) -> str:
        """Where it listens, as a URL; with the real port once started."""
        return str(URL.build(scheme=self._scheme, host=self._host or _EVERY_ADDRESS, port=self.port))

    @property
    def port(self) -> int:
        """The port; the real one once started, where 0 was asked for."""
        return self._addresses[0][1] if self._addresses else self._port

    async def _open_sockets(self) -> list[socket.socket]:
        loop = asyncio.get_running_loop()
        host = self._host or None
        try:
            found = await loop.getaddrinfo(host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise ListenError(error.errno, f"can't listen on host {self._host!r}: {error.strerror}") from error
        places = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
        options = _socket_options(self._reuse_address, self._reuse_port)
        # A port that is free on the first address may be taken on the next one.
        for _ in range(_PORT_TRIES if self._port == 0 else 0):
            try:
                return _bind_all(places, options)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        return _bind_all(places, options)


class UnixSite(BaseSite):
    """Listen on a Unix socket.

    A socket file that a dead process left is replaced; one where somebody listens is an OSError (EADDRINUSE), and
    so is anything that is no socket. The file is removed when the site stops, unless another has taken its place.

    Args:
        runner: as in :class:`BaseSite`.
        path: of the socket file; on Linux, a name that starts with a zero byte is abstract and no file.
        shutdown_timeout: as in :class:`BaseSite`.
        ssl_context: as in :class:`BaseSite`.
        backlog: as in :class:`BaseSite`.
    """

    def __init__(
        self,
        runner: BaseRunner,
        path: str | os.PathLike[str],
        *,
        shutdown_timeout: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = BACKLOG,
    ) -> None:
        super().__init__(runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog)
        self._path = os.fspath(path)
        self._inode: int | None = None

    @property
    def name(self) -> str:
        """Where it listens, as ``http://unix:PATH:``."""
        return f"{self._scheme}://unix:{self._path}:"

    async def _open_sockets(self) -> list[socket.socket]:
        is_file = not self._path.startswith("\0")
        if is_file:
            _remove_stale_socket(self._path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _bind(sock, self._path)
        if is_file:
            self._inode = os.stat(self._path).st_ino
        return [sock]

    def _close_place(self) -> None:
        if self._inode is None:
            return
        with contextlib.suppress(FileNotFoundError):
            if os.stat(self._path).st_ino == self._inode:
                os.unlink(self._path)
        self._inode = None


class SockSite(BaseSite):
    """Listen on a socket that the caller has bound, TCP or Unix; closed when the site stops or can't start.

    Args:
        runner: as in :class:`BaseSite`.
        sock: a bound stream socket, listening or not.
        shutdown_timeout: as in :class:`BaseSite`.
        ssl_context: as in :class:`BaseSite`.
        backlog: as in :class:`BaseSite`.
    """

    def __init__(
        self,
        runner: BaseRunner,
        sock: socket.socket,
        *,
        shutdown_timeout: float | None = None,
        ssl_context: ssl.SSLContext | None = None,
        backlog: int = BACKLOG,
    ) -> None:
        super().__init__(runner, shutdown_timeout=shutdown_timeout, ssl_context=ssl_context, backlog=backlog)
        self._sock = sock
        self._name = _name_socket(self._scheme, sock)

    @property
    def name(self) -> str:
        """Where it listens, as a URL, or as ``http://unix:PATH:``."""
        return self._name

    async def _open_sockets(self) -> list[socket.socket]:
        return [self._sock]


class NamedPipeSite(BaseSite):
    r"""Listen on a named pipe of Windows.

    Args:
        runner: as in :class:`BaseSite`.
        path: such as ``\\.\pipe\name``.
        shutdown_timeout: as in :class:`BaseSite`.

    Raises:
        RuntimeError: the running loop is no ProactorEventLoop, which is Windows' default.
    """

    def __init__(self, runner: BaseRunner, path: str, *, shutdown_timeout: float | None = None) -> None:
        super().__init__(runner, shutdown_timeout=shutdown_timeout)
        loop = asyncio.get_running_loop()
        if not hasattr(loop, "start_serving_pipe"):
            raise RuntimeError(f"named pipes need Windows and its ProactorEventLoop, this is {loop!r}")
        self._start_serving = loop.start_serving_pipe
        self._path = path
        self._pipes: list[Any] = []

    @property
    def name(self) -> str:
        """The path of the pipe."""
        return self._path

    async def _open_sockets(self) -> list[socket.socket]:
        self._pipes = await self._start_serving(self._factory, self._path)
        return []

    def _close_place(self) -> None:
        for pipe in self._pipes:
            pipe.close()
        self._pipes = []


def _handle_signals(callback: Callable[[], None] | None) -> None:
    """Call back on SIGINT and SIGTERM; None for the process's own ways again."""
    loop = asyncio.get_running_loop()
    # Loops of Windows take no signal handlers: there, Ctrl+C is a KeyboardInterrupt.
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGINT, signal.SIGTERM):
            if callback is None:
                loop.remove_signal_handler(number)
            else:
                loop.add_signal_handler(number, callback)


def _check_server_arguments(names: Iterable[str]) -> None:
    known = [name for name in inspect.signature(Server).parameters if name not in _GIVEN_BY_APP]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise TypeError(f"unknown server argument {name!r}, {hint}")


async def _close_listeners(listeners: list[tuple[socket.socket, asyncio.Server]]) -> list[socket.socket]:
    """Close listening sockets and return the connections that waited in the kernel: a close alone resets them."""
    loop = asyncio.get_running_loop()
    spares: list[socket.socket] = []
    with contextlib.suppress(OSError):  # out of descriptors: then those connections are reset
        spares.extend(sock.dup() for sock, _ in listeners)
    for sock, _ in listeners:
        # asyncio's selector loops lose a connection that is accepted shortly before the close; others have no reader.
        with contextlib.suppress(NotImplementedError):
            loop.remove_reader(sock)
    for _ in range(_ACCEPT_TURNS):
        await asyncio.sleep(0)
    for _, server in listeners:
        server.close()
    return [connection for spare in spares for connection in _take_waiting(spare)]


def _take_waiting(listener: socket.socket) -> list[socket.socket]:
    accepted: list[socket.socket] = []
    with listener:
        while True:
            try:
                connection, _ = listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError:  # nobody waits, or the process is out of descriptors
                return accepted
            connection.setblocking(False)
            accepted.append(connection)


def _socket_options(reuse_address: bool | None, reuse_port: bool | None) -> list[int]:
    options = []
    if reuse_address or (reuse_address is None and os.name == "posix" and sys.platform != "cygwin"):
        options.append(socket.SO_REUSEADDR)
    if reuse_port:
        if not hasattr(socket, "SO_REUSEPORT"):
            raise ValueError("reuse_port: this system has no SO_REUSEPORT")
        options.append(socket.SO_REUSEPORT)
    return options


def _bind_all(places: Sequence[tuple[int, Any]], options: list[int]) -> list[socket.socket]:
    """Bind a socket to each address, all to the port that the first one gets.

    An address family that this machine lacks is left out while another one works.
    """
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in places:
            port = bound[0].getsockname()[1] if bound else address[1]
            try:
                bound.append(_bind_tcp(family, (address[0], port, *address[2:]), options))
            except OSError as error:
                if error.errno not in _MISSING_FAMILY:
                    raise
                missing = error
        if missing is not None and not bound:
            raise missing
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind_tcp(family: int, address: Any, options: list[int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    for option in options:
        sock.setsockopt(socket.SOL_SOCKET, option, True)
    if family == socket.AF_INET6:
        # IPv4 has a socket of its own.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, True)
    _bind(sock, address)
    return sock


def _bind(sock: socket.socket, address: Any) -> None:
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise ListenError(error.errno, f"can't listen on {_name(address)}: {error.strerror}") from error


def _name(address: Any) -> str:
    """Name a TCP address as people write it, or the path of a Unix socket."""
    if not isinstance(address, tuple):
        return repr(address)
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _remove_stale_socket(path: str) -> None:
    """Remove a socket file where nobody listens."""
    try:
        is_socket = stat.S_ISSOCK(os.stat(path).st_mode)
    except FileNotFoundError:
        return
    if is_socket and not _is_listening(path):
        os.unlink(path)


def _is_listening(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except OSError:  # its backlog is full, or it isn't ours to connect to
            return True
    return True


def _name_socket(scheme: str, sock: socket.socket) -> str:
    address = sock.getsockname()
    if sock.family == getattr(socket, "AF_UNIX", None):
        return f"{scheme}://unix:{address}:"
    return str(URL.build(scheme=scheme, host=address[0], port=address[1]))
