"""One connection to a server or a proxy: its socket, parser and deadlines, one exchange at a time.

A connection is *idle* in its connector's pool, *busy* with one exchange, handed over to another protocol, or closed.
Whatever is received while it is idle was not asked for: the connection is closed, so that it never becomes the next
answer.

Two deadlines watch an exchange: ``ClientTimeout.total`` and ``sock_read``. The timer for them is set once and looks,
when it fires, whether there is anything to wait for; an exchange in time costs no timer.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, cast

from corelet import RemoteProtocolError
from corelet.abc import END_OF_MESSAGE, PAUSED
from corelet.wire import ResponseParser

from .errors import (
    ClientConnectionResetError,
    ClientOSError,
    ClientPayloadError,
    ClientResponseError,
    ServerDisconnectedError,
)
from .timeouts import NEVER, make_read_error, make_total_error

if TYPE_CHECKING:
    from corelet import Limits
    from corelet.wire import ResponseHead

    from .connection_key import ConnectionKey
    from .exchange import Exchange
    from .request import ClientRequest

#: Seconds that a timer may come too early: uvloop counts milliseconds.
_TIMER_STEP: Final = 0.002
#: Seconds that a connection which is being closed waits for a server that does not take the rest of a request.
_LINGER_SECONDS: Final = 5.0


class Connection(asyncio.Protocol):
    """One connection to a server or a proxy; made by a connector.

    Args:
        loop: the connector's.
        key: which requests it can take.
        on_free: called with the connection once an exchange is complete and another one may follow.
        on_lost: called with the connection once no exchange may follow.
        limits: of the heads of answers.
        says_farewell: TLS is ended by its farewell, and not just by the socket's end.
    """

    __slots__ = (
        "__weakref__",
        "_aborts",
        "_closed",
        "_deadline",
        "_drain_waiters",
        "_exchange",
        "_is_reading_paused",
        "_is_writing_paused",
        "_last_read",
        "_limits",
        "_loop",
        "_on_free",
        "_on_lost",
        "_parser",
        "_poll",
        "_read_seconds",
        "_timer",
        "_timer_at",
        "_transport",
        "_uploading",
        "is_lost",
        "is_reused",
        "key",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        key: ConnectionKey,
        on_free: Callable[[Connection], None],
        on_lost: Callable[[Connection], None],
        limits: Limits,
        *,
        says_farewell: bool = False,
    ) -> None:
        self._aborts = key.is_ssl and not says_farewell
        self._loop = loop
        self.key = key
        self._on_free = on_free
        self._on_lost = on_lost
        self._limits = limits
        self._parser = ResponseParser(limits)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        # Whose answer is complete and whose request is not yet.
        self._uploading: Exchange | None = None
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._drain_waiters: set[asyncio.Future[None]] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._poll: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER
        self._deadline = NEVER
        self._read_seconds: float | None = None
        self._last_read = 0.0
        #: Whether no exchange may follow.
        self.is_lost = False
        #: Whether it has served an exchange before.
        self.is_reused = False

    def __repr__(self) -> str:
        state = "closed" if self.is_lost else "idle" if self._exchange is None else "busy"
        return f"<{type(self).__name__} {self.key.host}:{self.key.port} {state}>"

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; None before the connection is open and after it is closed."""
        return self._transport

    @property
    def is_writing_paused(self) -> bool:
        """Whether the server is behind, so that :meth:`drain` would wait."""
        return self._is_writing_paused

    # An exchange.

    def begin(self, exchange: Exchange) -> None:
        """Take an exchange: what is received next is its answer. Its request is to be sent now."""
        request = exchange.request
        settings = request.settings
        if settings.limits is not self._limits:
            self._limits = settings.limits
            self._parser = ResponseParser(settings.limits)
        self._exchange = exchange
        exchange.connection = self
        self._parser.expect(exchange.method)
        self._deadline = request.deadline
        self._read_seconds = settings.timeout.sock_read or None
        if self._read_seconds is not None:
            self._last_read = self._loop.time()
            self._watch(self._next_deadline())
        elif request.deadline < self._timer_at:
            self._watch(request.deadline)

    def is_fit(self) -> bool:
        """Tell whether an idle connection can take another exchange.

        The system is asked, too: what the loop has not seen yet may be the server's farewell, or bytes that nobody
        asked for. On TLS it may be a harmless record; the connection is given up all the same, which costs another.
        """
        transport = self._transport
        if self.is_lost or transport is None or transport.is_closing():
            return False
        if self._poll is None:
            self._poll = _make_poll(transport.get_extra_info("socket"))
        return not self._poll(0)

    def fail(self, error: BaseException) -> None:
        """End the exchange by an error, and the connection with it."""
        exchange, self._exchange = self._exchange, None
        self._lose(abort=True)
        if exchange is not None:
            exchange.fail(error)

    def _complete(self, exchange: Exchange) -> None:
        """End the exchange; another one may follow where nothing is left of this one.

        A request that is still on its way is sent to its end, unless the server has refused it. Source: RFC 9112
        section 9.3.
        """
        head = exchange.head
        assert head is not None
        self._exchange = None
        exchange.complete()
        if self._is_reading_paused:
            self.resume_reading()
        if not (head.keep_alive and self._parser.is_idle) or self.is_lost:
            self._lose(abort=False)
            exchange.stop_upload()
        elif exchange.is_sent:
            self._free()
        elif exchange.is_sending and head.status < 400:
            self._uploading = exchange
        else:
            exchange.stop_upload()
            self._lose(abort=True)

    def _free(self) -> None:
        self._deadline = NEVER
        self.is_reused = True
        self._on_free(self)

    def fail_upload(self, exchange: Exchange, error: Exception) -> None:
        """Take note that the body of the request could not be made."""
        if self._exchange is exchange:
            self.fail(error)

    def end_upload(self, exchange: Exchange) -> None:
        """Take note that no more of the request's body will be sent."""
        if self._exchange is exchange and self._read_seconds is not None:
            self._last_read = self._loop.time()
            self._watch(self._next_deadline())
        if self._uploading is not exchange:
            return
        self._uploading = None
        if exchange.is_sent and not self.is_lost:
            self._free()
        else:
            self._lose(abort=True)

    def close(self) -> None:
        """Close the connection; an exchange ends by an error."""
        self.fail(ServerDisconnectedError("the connection was closed"))

    def close_idle(self, *, abort: bool = False) -> None:
        """Close the connection, which has no exchange; by a reset where ``abort`` is given, without TLS's farewell."""
        self._lose(abort=abort)

    def _lose(self, *, abort: bool) -> None:
        transport = self._transport
        if transport is not None:
            if abort or self._aborts:
                transport.abort()
            else:
                if transport.get_write_buffer_size():
                    self._loop.call_later(_LINGER_SECONDS, transport.abort)
                transport.close()
        self._forget()

    def _forget(self) -> None:
        """Take note that no exchange may follow; the place in the pool is free then."""
        if self.is_lost:
            return
        self.is_lost = True
        self._stop_watching()
        if self._uploading is not None:
            self._uploading.stop_upload()
        self._on_lost(self)

    async def wait_closed(self) -> None:
        """Return once the socket is closed."""
        if self._transport is None:
            return
        if self._closed is None:
            self._closed = self._loop.create_future()
        await asyncio.shield(self._closed)

    # An upgraded connection.

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """Give the transport to another protocol, after an answer 101 or a 2xx to CONNECT.

        The connection keeps its place in the pool until :meth:`forget`: whoever takes the transport calls that once it
        is gone. Reading is paused.

        Returns:
            The transport, for ``set_protocol``, and the bytes that came behind the answer's head.

        Raises:
            ClientConnectionResetError: the connection is closed.
            RuntimeError: the answer is none of these, somebody else has the connection, or the request's body is still
                being sent, whose end an ``UploadTracker`` tells. Source: RFC 9110 section 7.8.
        """
        exchange = self._exchange
        if self._transport is None or self.is_lost:
            raise ClientConnectionResetError("the connection is closed")
        if exchange is None or not exchange.is_upgraded:
            raise RuntimeError("hand_over() of a connection that was not upgraded")
        if exchange.is_sending:
            raise RuntimeError("hand_over() of a connection on which the request's body is still being sent")
        rest = self._parser.take_rest()
        self._exchange = None
        self._stop_watching()
        exchange.complete()
        return self._transport, rest

    def forget(self) -> None:
        """Take note that the transport is gone that was handed over; the place in the pool is free then."""
        self.connection_lost(None)

    def detach(self) -> asyncio.Transport:
        """Give the transport away, for TLS inside of it; the connection counts as lost, without a word to the pool.

        Raises:
            ClientConnectionResetError: the connection is closed, or bytes have come already.
        """
        transport, exchange = self._transport, self._exchange
        if transport is None or exchange is None or self._parser.take_rest():
            raise ClientConnectionResetError("the proxy sent bytes before TLS was set up")
        self._transport = self._exchange = None
        self.is_lost = True
        self._stop_watching()
        exchange.complete()
        return transport

    # Writing.

    def send(self, data: bytes) -> None:
        """Hand bytes to the transport; ClientConnectionResetError once the connection is closed."""
        transport = self._transport
        if transport is None or self.is_lost:
            raise ClientConnectionResetError("the connection is closed")
        transport.write(data)

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Hand several bytes over; ClientConnectionResetError once the connection is closed."""
        for piece in pieces:
            self.send(piece)

    async def drain(self) -> None:
        """Wait until the server has taken enough; ClientConnectionResetError once the connection is closed."""
        if self._transport is None or self.is_lost:
            raise ClientConnectionResetError("the connection is closed")
        if not self._is_writing_paused:
            return
        if self._drain_waiters is None:
            self._drain_waiters = set()
        waiter = self._loop.create_future()
        self._drain_waiters.add(waiter)
        try:
            await waiter
        finally:
            self._drain_waiters.discard(waiter)
        if self.is_lost:
            raise ClientConnectionResetError("the connection is closed")

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._is_writing_paused = True

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._is_writing_paused = False
        self._wake_drain()

    def _wake_drain(self) -> None:
        for waiter in self._drain_waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    # Reading.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer; what nobody has asked for ends the connection."""
        exchange = self._exchange
        if exchange is None:
            self._lose(abort=True)
            return
        exchange.has_answered = True
        if self._read_seconds is not None:
            self._last_read = self._loop.time()
        try:
            self._parser.feed_data(data)
            self._read_events(exchange)
        except RemoteProtocolError as error:
            self.fail(_make_protocol_error(exchange, error))

    def _read_events(self, exchange: Exchange) -> None:
        next_event = self._parser.next_event
        while (event := next_event()) is not None:
            if type(event) is bytes:
                exchange.feed_data(event)
            elif event is END_OF_MESSAGE:
                if not exchange.is_upgraded:
                    self._complete(exchange)
                    return
            elif event is PAUSED:
                self.pause_reading()  # what follows is not HTTP: it is for whoever takes over
                return
            else:
                exchange.take_head(cast("ResponseHead", event))
                if exchange.leaves_body:
                    self._complete(exchange)
                    return
        if exchange.head is not None and exchange.stream is None:
            exchange.open_stream()

    def eof_received(self) -> bool:
        """Take the end of what the server sends."""
        exchange = self._exchange
        if exchange is None:
            return False
        self._end_answer(exchange)
        if exchange.head is None:  # it might never take the rest of the request, which the transport waits for
            self.fail(_make_loss_error(exchange, None))
        return False

    def _end_answer(self, exchange: Exchange) -> None:
        """Let the parser say whether the end of the connection ends the body."""
        try:
            self._parser.feed_eof()
            self._read_events(exchange)
        except RemoteProtocolError as error:
            if exchange.head is not None:
                self.fail(_make_protocol_error(exchange, error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end of the connection."""
        self._transport = None
        if exc is None and self._exchange is not None and self._exchange.head is not None:
            self._end_answer(self._exchange)
        exchange, self._exchange = self._exchange, None
        self._forget()
        if exchange is not None:
            exchange.fail(_make_loss_error(exchange, exc))
        self._wake_drain()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def pause_reading(self) -> None:
        """Read no more; the reader of the body is behind."""
        if not self._is_reading_paused and self._transport is not None and not self._transport.is_closing():
            self._is_reading_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._is_reading_paused:
            self._is_reading_paused = False
            if self._read_seconds is not None:
                self._last_read = self._loop.time()
                self._watch(self._next_deadline())
            if self._transport is not None and not self._transport.is_closing():
                self._transport.resume_reading()

    # Deadlines.

    def _next_deadline(self) -> float:
        exchange = self._exchange
        if exchange is None:
            return NEVER if self._uploading is None else self._deadline
        if self._read_seconds is None or self._is_reading_paused or exchange.is_sending:
            return self._deadline
        return min(self._deadline, self._last_read + self._read_seconds)

    def _watch(self, when: float) -> None:
        """Have the deadlines looked at by then; a timer that comes earlier sets the next one itself."""
        if when >= self._timer_at or when == NEVER:
            return
        self._stop_watching()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._expire)

    def _stop_watching(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = NEVER

    def _expire(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        when = self._next_deadline()
        exchange = self._exchange
        if self._loop.time() + _TIMER_STEP < when:
            self._watch(when)
        elif exchange is None:
            self._lose(abort=True)
        elif when == self._deadline:
            self.fail(make_total_error(exchange.request))
        else:
            self.fail(make_read_error(exchange.request))


def _make_poll(sock: Any) -> Callable[[int], Any]:
    """Make what tells, without waiting, whether the system has something to read for us."""
    if sock is None:  # a named pipe
        return lambda wait: False
    if not hasattr(select, "poll"):  # Windows
        return lambda wait: select.select([sock], [], [], wait)[0]
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return poll.poll


def _make_protocol_error(exchange: Exchange, error: RemoteProtocolError) -> Exception:
    request = exchange.request
    where = f"{request.method} {request.url.with_user(None)}"
    made: Exception
    if exchange.head is None:
        made = ClientResponseError(
            request.request_info, (), status=0, message=f"malformed response to {where}: {error}"
        )
    else:
        made = ClientPayloadError(f"the body of the response to {where} is malformed or cut short: {error}")
    made.__cause__ = error
    return made


def _make_loss_error(exchange: Exchange, exc: Exception | None) -> Exception:
    request: ClientRequest = exchange.request
    where = f"{request.method} {request.url.with_user(None)}"
    made: Exception
    if exchange.head is not None:
        made = ClientPayloadError(f"the connection ended within the body of the response to {where}")
    elif isinstance(exc, OSError):
        made = ClientOSError(exc.errno, f"{exc.strerror or exc}: {where}")
    else:
        made = ServerDisconnectedError(f"the server closed the connection without a response: {where}")
    made.__cause__ = exc
    return made
