"""A server: its settings, its connections and the one timer that holds their deadlines."""

from __future__ import annotations

import asyncio
import heapq
import logging
import operator
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from .access_logger import DEFAULT_FORMAT, AccessLogger
from .connection import Connection, Service, choose_task_maker
from .fields import format_http_date
from .limits import (
    CLIENT_MAX_FIELDS,
    CLIENT_MAX_SIZE,
    DEFAULT_DEADLINES,
    DEFAULT_LIMITS,
    MAX_EVICTED,
    MAX_LEAVING,
    MIN_IDLE_SECONDS,
    READ_BUFFER_BYTES,
    RESERVED_FILES,
)
from .negotiation import Negotiation
from .pipeline import Slots
from .request import BaseRequest, Request
from .streams import EMPTY_PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable

    from .abc import AbstractAccessLogger, Handler, NegotiatedConnection
    from .app import Application
    from .limits import Deadlines, Limits

_logger: Final = logging.getLogger("corelet.server")
_access_logger: Final = logging.getLogger("corelet.access")
#: Seconds between two looks at all deadlines; a deadline ends within this of its time.
TICK_SECONDS: Final = 0.5
#: Seconds that idle connections are kept after a stop has begun: a client in mid-loop is answered once more.
STOP_GRACE_SECONDS: Final = 0.25
#: Seconds between two looks at what has become idle in a stop.
STOP_STEP_SECONDS: Final = 0.05
#: Seconds that cancelled handlers get to end.
CANCEL_SECONDS: Final = 1.0


class Server(Service):
    """Make a connection for each peer; an event loop's ``create_server`` takes it as its protocol factory.

    Args:
        handler: answers a request: ``async (request) -> response``.
        request_factory: makes the request of head, body and connection; default BaseRequest.
        handler_cancellation: cancel a handler whose peer has gone; default False, it goes on.
        limits: sizes that a peer may reach.
        deadlines: times that a peer may take.
        keepalive_timeout: seconds, in place of ``deadlines.keepalive_seconds``.
        lingering_time: seconds, in place of ``deadlines.linger_seconds``.
        max_line_size: bytes, in place of ``limits.max_line_bytes``.
        max_field_size: bytes, in place of ``limits.max_field_bytes``.
        max_headers: fields, in place of ``limits.max_fields``.
        read_bufsize: bytes of a body, or of requests to come, held before reading stops; default 262,144.
        max_connections: that are open at one time; 0 for no limit, by default a tenth of the files that the process
            may open is left to others, 512 at least. One more closes what has been idle for longest; where nothing has
            been for a second, it is answered by 503. TLS handshakes in progress are not counted.
        tcp_keepalive: ask the kernel to probe silent peers; default True.
        logger: where errors go, default "corelet.server".
        access_log: where lines for answers go, default "corelet.access"; None for none.
        access_log_class: makes the lines; default AccessLogger, or what a plugin makes.
        access_log_format: its format.
        debug: show tracebacks to peers.
        slots: what an application's plugins handed over.
        app: the application served.
        client_max_size: bytes that ``request.read()`` takes, default 1,048,576.
        client_max_fields: fields that ``request.post()`` takes, default 1,000.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        request_factory: Callable[..., BaseRequest] | None = None,
        handler_cancellation: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        deadlines: Deadlines = DEFAULT_DEADLINES,
        keepalive_timeout: float | None = None,
        lingering_time: float | None = None,
        max_line_size: int | None = None,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        read_bufsize: int = READ_BUFFER_BYTES,
        max_connections: int | None = None,
        tcp_keepalive: bool = True,
        logger: logging.Logger = _logger,
        access_log: logging.Logger | None = _access_logger,
        access_log_class: type[AbstractAccessLogger] | None = None,
        access_log_format: str | None = None,
        debug: bool = False,
        slots: Slots | None = None,
        app: Any = None,
        client_max_size: int = CLIENT_MAX_SIZE,
        client_max_fields: int = CLIENT_MAX_FIELDS,
    ) -> None:
        self.handler = handler
        self.empty_content = EMPTY_PAYLOAD
        self.request_factory = request_factory or BaseRequest
        self.handler_cancellation = handler_cancellation
        self.limits = _replace(
            limits, max_line_bytes=max_line_size, max_field_bytes=max_field_size, max_fields=max_headers
        )
        self.deadlines = _replace(deadlines, keepalive_seconds=keepalive_timeout, linger_seconds=lingering_time)
        self.keepalive_seconds = self.deadlines.keepalive_seconds
        self.read_bufsize = read_bufsize
        self.max_connections = _take_max_connections(max_connections)
        self.tcp_keepalive = tcp_keepalive
        self.logger = logger
        self.slots = slots or Slots(debug)
        self.prepare_response = self.slots.prepare_response
        self.request_started = self.slots.request_started
        self.request_finished = self.slots.request_finished
        self.app = app
        self.sends_continue = app is None or app.handler is not None
        self.client_max_size = client_max_size
        self.client_max_fields = client_max_fields
        self.access_logger = self._make_access_logger(access_log, access_log_class, access_log_format)
        self.now = 0.0
        self.automatic_fields = b""
        self.is_stopping = False
        self._is_stopped = False
        self._connections: set[Connection | NegotiatedConnection] = set()
        # Of these, what was closed or refused for want of places, and is still open.
        self._leaving: set[Connection | NegotiatedConnection] = set()
        # Of handlers that go on though their connections are lost.
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refused_count = 0
        # What may make room until the next tick, that which has been idle for longest at the end; None before a look.
        self._idle: list[Connection | NegotiatedConnection] | None = None
        self.stalled: set[Connection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    def _make_access_logger(
        self,
        logger: logging.Logger | None,
        access_log_class: type[AbstractAccessLogger] | None,
        access_log_format: str | None,
    ) -> AbstractAccessLogger | None:
        if logger is None:
            return None
        access_logger = self.slots.access_logger
        if access_logger is None or access_log_class not in (None, AccessLogger):
            access_logger = (access_log_class or AccessLogger)(logger, access_log_format or DEFAULT_FORMAT)
        return access_logger if access_logger.enabled else None

    def __call__(self) -> Connection:
        """Make the connection of one peer."""
        return Connection(self, self._loop or self._start_clock())

    def negotiate(self) -> Negotiation:
        """Make what takes a TLS peer, and gives it to the protocol that it has chosen; a protocol factory too."""
        if self._loop is None:
            self._start_clock()
        return Negotiation(self)

    def _start_clock(self) -> asyncio.AbstractEventLoop:
        loop = self._loop = asyncio.get_running_loop()
        self.make_task = choose_task_maker(loop)
        self._tick()
        return loop

    @property
    def connections(self) -> list[Connection | NegotiatedConnection]:
        """The open connections."""
        return list(self._connections)

    def add(self, connection: Connection | NegotiatedConnection) -> None:
        """Take a connection that has been made."""
        self._connections.add(connection)
        if self._timer is None:
            self._tick()
        if self._is_stopped:  # its TLS handshake has outlasted the server
            connection.abort()

    def admit(self, connection: Connection | NegotiatedConnection) -> None:
        """Give a new connection its place; where all are taken, an idle one's, and where none is idle, refuse it."""
        if not self.max_connections or len(self._connections) - len(self._leaving) <= self.max_connections:
            return
        if self._make_room():
            return
        self._refused_count += 1
        self._dismiss(connection, connection.refuse_place if isinstance(connection, Connection) else connection.abort)

    def _make_room(self) -> bool:
        """Close what has been idle for longest; idle connections are looked for once between two ticks."""
        if self._idle is None:
            self._idle = self._find_idle()
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since <= self.now - MIN_IDLE_SECONDS:
                self._dismiss(connection, connection.close_idle)
                return True
        return False

    def _find_idle(self) -> list[Connection | NegotiatedConnection]:
        """Find what has been idle for longest, that at the end."""
        latest = self.now - MIN_IDLE_SECONDS
        idle = [each for each in self._connections if each.idle_since <= latest and each not in self._leaving]
        return heapq.nsmallest(MAX_EVICTED, idle, key=operator.attrgetter("idle_since"))[::-1]

    def _dismiss(self, connection: Connection | NegotiatedConnection, end: Callable[[], object]) -> None:
        """End a connection, which may take its peer's time; at once where many do."""
        self._leaving.add(connection)
        if len(self._leaving) > MAX_LEAVING:
            connection.abort()
            return
        end()
        connection.deadline = min(connection.deadline, self.now + self.deadlines.linger_seconds)

    def discard(self, connection: Connection | NegotiatedConnection) -> None:
        """Forget a connection that has been lost."""
        self._connections.discard(connection)
        self._leaving.discard(connection)
        if isinstance(connection, Connection):
            self.stalled.discard(connection)
        self._note_end()

    def keep_task(self, task: asyncio.Task[Any]) -> None:
        """Take a handler that goes on though its connection is lost: a stop waits for it, and cancels it."""
        if not self._is_stopped:
            self._tasks.add(task)
            task.add_done_callback(self._discard_task)

    def _discard_task(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._note_end()

    def _note_end(self) -> None:
        if self._is_empty:
            self._emptied.set()

    @property
    def _is_empty(self) -> bool:
        return not self._connections and not self._tasks

    def _tick(self) -> None:
        """Set the clock and look at all deadlines; the timer stops while there is no connection."""
        loop = self._loop
        assert loop is not None
        now = self.now = loop.time()
        self.automatic_fields = f"Date: {format_http_date(time.time())}\r\nServer: corelet\r\n".encode("ascii")
        # First of all the next look: whatever goes wrong in this one, deadlines hold.
        self._timer = loop.call_later(TICK_SECONDS, self._tick) if self._connections else None
        for connection in [connection for connection in self._connections if connection.deadline <= now]:
            connection.expire()
        for connection in tuple(self.stalled):
            connection.check_writing()
        self._idle = None
        if self._refused_count:
            count, self._refused_count = self._refused_count, 0
            self.logger.warning("Refused %d connections: %d are open, none idle", count, self.max_connections)

    def pre_shutdown(self) -> None:
        """Begin to stop: answers say ``Connection: close`` from now on."""
        self.is_stopping = True
        for connection in self._connections:
            connection.stop()

    async def shutdown(self, timeout: float | None = None) -> None:
        """Stop: idle connections close after a short grace, answers in progress end within a time, then are cancelled.

        Handlers whose peers have gone, a WebSocket's for example, end in the same way.

        Args:
            timeout: seconds for answers in progress; None for no limit.
        """
        self.pre_shutdown()
        end = float("inf") if timeout is None else time.monotonic() + timeout
        idle_since: dict[Connection | NegotiatedConnection, float] = {}
        while not await self._wait_until_empty(STOP_STEP_SECONDS):
            now = time.monotonic()
            if now >= end:
                await self._cancel_answers()
                break
            self._close_idle(idle_since, now)
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close_idle(self, idle_since: dict[Connection | NegotiatedConnection, float], now: float) -> None:
        """Close what has been idle for the grace; an answer may end at any time of a stop, and be kept alive."""
        for connection in self.connections:
            if not connection.is_idle:
                idle_since.pop(connection, None)
            elif now - idle_since.setdefault(connection, now) >= STOP_GRACE_SECONDS:
                connection.close_idle()

    async def _cancel_answers(self) -> None:
        for connection in self.connections:
            connection.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await self._wait_until_empty(CANCEL_SECONDS)
        # Handlers that go on all the same have had their time.
        self._is_stopped = True
        self._tasks.clear()
        for connection in self.connections:
            connection.abort()
        # Transports tell their connections in the loop's next turn.
        await self._wait_until_empty(CANCEL_SECONDS)

    async def _wait_until_empty(self, seconds: float | None) -> bool:
        self._emptied.clear()
        if self._is_empty:
            return True
        try:
            await asyncio.wait_for(self._emptied.wait(), seconds)
        except TimeoutError:
            return False
        return True


def make_server(app: Application, **arguments: Any) -> Server:
    """Make the server of an application that has started.

    Args:
        app: the application.
        **arguments: for the :class:`Server`; they win over the application's ``handler_args``.
    """
    pipeline = app.pipeline
    settings = {"logger": app.logger, "debug": app.debug, **app.handler_args, **arguments}
    return Server(
        pipeline.handle,
        request_factory=Request,
        slots=pipeline,
        app=app,
        client_max_size=app.client_max_size,
        client_max_fields=app.client_max_fields,
        **settings,
    )


def _take_max_connections(given: int | None) -> int:
    if given is None:
        return _find_max_connections()
    if given < 0:
        raise ValueError(f"max_connections is {given}, expected a number of connections, or 0 for no limit")
    return given


def _find_max_connections() -> int:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return 0
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 0
    return soft - min(max(RESERVED_FILES, soft // 10), soft // 2)


def _replace(settings: Any, **given: Any) -> Any:
    changed = {name: value for name, value in given.items() if value is not None}
    return replace(settings, **changed) if changed else settings
