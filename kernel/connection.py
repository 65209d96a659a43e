"""One server connection: the order of answers, keep-alive, back-pressure, deadlines, upgrade.

The connection pulls one message at a time out of its parser, so that answers leave in the order of the requests
and no more than one handler runs. What was read beyond that waits in the parser, and reading stops where it is much.

``deadline`` is when the connection is looked at next: the server's one timer compares it with its clock and calls
:meth:`Connection.expire`. What it stands for follows from the state:

    head of the first request, from the start      Deadlines.head_seconds
    between requests                               Deadlines.keepalive_seconds
    head of a later request                        Deadlines.head_seconds
    body, while reading isn't paused               the bucket of _receive()
    body whose peer still waits for 100            never
    rest of a body that nobody reads               Deadlines.linger_seconds
    closed for writing, the peer may still send    Deadlines.linger_seconds
    handler at work, or after an upgrade           never

What is written has a watch of its own, while any of it waits for the peer: :meth:`Connection.check_writing`.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from .abc import (
    END_OF_MESSAGE,
    FILE_PIECE_BYTES,
    AbstractConnection,
    ContentCoding,
    FormReader,
    UpgradedProtocol,
)
from .error_renderer import make_error_renderer
from .errors import RemoteProtocolError, RequestPayloadError
from .exceptions import HTTPException
from .hdrs import CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, HttpVersion11
from .limits import NEVER
from .response import Stage
from .streams import StreamReader
from .wire import ConnectionBase, RequestParser, ServiceBase, make_status_line, serialize_response_head
from .writer import JOIN_BYTES

if TYPE_CHECKING:
    import io
    import logging

    from .abc import AbstractAccessLogger, Handler
    from .limits import Deadlines, Limits
    from .pipeline import Slots
    from .request import BaseRequest
    from .response import Response, StreamResponse
    from .wire import RequestHead

#: Bytes of a streamed body that are collected for one write: the system takes them for three quarters of the CPU that
#: it needs for pieces of 64 KiB.
CORK_BYTES: Final = 262_144
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_INTERNET: Final = (socket.AF_INET, socket.AF_INET6)
_CLOSE_FIELD: Final = b"Connection: close\r\n"
#: What a response says in vain where the connection frames it. Source: RFC 9112 section 6.
_FRAMING_FIELDS: Final = (CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING)
#: For a peer whose deadline has come, and for one that finds no place. Source: RFC 9110 sections 15.5.9 and 15.6.4.
_TOO_SLOW: Final = 408
_NO_PLACE: Final = 503
#: Renders errors where a plugin's renderer fails.
_render_plainly: Final = make_error_renderer(debug=False)
#: Bytes of a file that the system is asked to send at once: reading them from a disk holds up everybody.
_SENDFILE_BYTES: Final = 1_048_576
#: Whether asyncio's ``writelines()`` asks to pause like ``write()`` does. Source: CVE-2024-12254.
_WRITELINES_PAUSES: Final = not ((3, 12) <= sys.version_info < (3, 12, 9) or (3, 13) <= sys.version_info < (3, 13, 2))


class Service(ServiceBase):
    """What the connections of one server share: the handler, settings, the clock and each other.

    Attributes:
        stalled: those whose peer is behind with reading.
    """

    app: Any
    slots: Slots
    limits: Limits
    deadlines: Deadlines
    logger: logging.Logger
    client_max_size: int
    client_max_fields: int
    read_bufsize: int
    max_connections: int
    sends_continue: bool
    handler_cancellation: bool
    tcp_keepalive: bool
    stalled: set[Connection]

    def add(self, connection: Connection) -> None:
        """Take a connection that has been made."""

    def admit(self, connection: Connection) -> None:
        """Give a new connection its place, or refuse it."""

    def discard(self, connection: Connection) -> None:
        """Forget a connection that has been lost."""


def choose_task_maker(loop: asyncio.AbstractEventLoop) -> Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]:
    """Choose how tasks are made: started at once, from Python 3.12 on and where nobody asked for a task factory."""
    if sys.version_info >= (3, 12) and loop.get_task_factory() is None:
        return partial(asyncio.Task, loop=loop, eager_start=True)
    return loop.create_task


def _raise(exc: BaseException) -> None:
    raise exc


def _set_done(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _probe_silence(sock: Any) -> None:
    """Have the system find out that a peer is gone which sends no more."""
    if sock is not None and sock.family in _INTERNET:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


class Connection(ConnectionBase, AbstractConnection, asyncio.Protocol):  # type: ignore[misc, override]  # see AbstractConnection.__slots__
    """One server connection; made by a Server for each peer."""

    __slots__ = (
        "_content",
        "_continue_sent",
        "_drain_waiters",
        "_error",
        "_gone_waiters",
        "_is_deaf",
        "_loop",
        "_on_failure",
        "_out_bytes",
        "_stall_deadline",
        "_stall_size",
    )

    # What the base has, with the types that it doesn't know.
    _service: Service
    _transport: asyncio.Transport | None
    _request: BaseRequest | None
    _task: asyncio.Task[Any] | None
    _upgraded: UpgradedProtocol | None

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(service)
        self._loop = loop
        # What an upgraded connection does where its handler fails.
        self._on_failure: Callable[[BaseException], object] | None = None
        # The body being received for a handler; None once it is complete, or where nobody wants the rest.
        self._content: StreamReader | None = None
        self._continue_sent = False
        # Why the body of the current request is broken.
        self._error: RemoteProtocolError | None = None
        self._is_deaf = False
        self._out_bytes = 0  # of what is collected in _out, apart from the answers of a burst
        self._drain_waiters: set[asyncio.Future[None]] | None = None
        self._gone_waiters: set[asyncio.Future[None]] | None = None
        self._stall_size = 0
        self._stall_deadline = NEVER

    # What requests and responses ask.

    @property
    def app(self) -> Any:
        """The application served; None for a bare handler."""
        return self._service.app

    @property
    def client_max_size(self) -> int:  # type: ignore[override]  # read-only here
        """Bytes that ``request.read()`` takes."""
        return self._service.client_max_size

    @property
    def client_max_fields(self) -> int:  # type: ignore[override]  # read-only here
        """Fields that ``request.post()`` takes."""
        return self._service.client_max_fields

    @property
    def transport(self) -> asyncio.Transport | None:
        """The socket's transport; None once the connection is lost."""
        return self._transport

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that runs the handler of the current request."""
        return asyncio.current_task() if self._task is None else self._task

    @property
    def codings(self) -> Mapping[str, ContentCoding]:
        """The content codings that plugins have registered, by name."""
        return self._service.slots.codings

    @property
    def is_writing_paused(self) -> bool:
        """Whether the peer is behind, so that :meth:`drain` would wait."""
        return self._is_writing_paused

    def send_continue(self) -> None:
        """Send ``100 Continue``, where the current request waits for it and its body is not here yet."""
        if self._is_receiving and not self._continue_sent:
            self._continue_sent = True
            if self._request is not None:
                self.keep_alive = self._request.head.keep_alive and self._may_keep_alive()
            self.deadline = self._service.now + self._service.deadlines.body_grace_seconds
            self.send(_CONTINUE)

    async def read_form(self, request: Any) -> Iterable[tuple[str, Any]] | None:
        """Read a body by the form reader of its media type; None where no plugin has one."""
        reader = self._find_form_reader(request.content_type)
        return None if reader is None else await reader.read(request)

    def open_multipart(self, request: Any) -> Any | None:
        """Open a multipart body for reading part by part; None where no plugin does."""
        reader = self._find_form_reader(request.content_type)
        return None if reader is None else reader.open(request)

    def _find_form_reader(self, media_type: str) -> FormReader | None:
        readers = self._service.slots.form_readers
        return readers.get(media_type) or readers.get(f"{media_type.partition('/')[0]}/*")

    async def wait_for_disconnection(self) -> None:
        """Return once the peer has gone or has closed its sending side."""
        if self._transport is None or self._has_eof:
            return
        if self._gone_waiters is None:
            self._gone_waiters = set()
        await self._wait(self._gone_waiters)

    def take_over(
        self, protocol: UpgradedProtocol, on_failure: Callable[[BaseException], object] | None = None
    ) -> None:
        """Give the connection to another protocol, with the bytes that were read beyond the request.

        ``on_failure`` is called with what the handler raises later on, and the protocol closes the transport then;
        without it the transport is cut off.

        Raises:
            ConnectionResetError: the peer has gone.
            RuntimeError: the request's body is still on its way.
        """
        if self._transport is None or self._parser is None:
            raise ConnectionResetError("the peer has gone")
        if self._is_receiving:
            raise RuntimeError("take_over() before the end of the request's body: await request.read() first")
        rest = self._parser.take_rest()
        self._uncork()
        self._parser = None
        self._upgraded = protocol
        self._on_failure = on_failure
        self.deadline = NEVER
        if self._is_reading_paused:
            self.resume_reading()
        protocol.connection_made(self._transport)
        if self._is_writing_paused:
            protocol.pause_writing()
        if rest:
            protocol.data_received(rest)
        if self._has_eof and not protocol.eof_received() and self._transport is not None:
            self._transport.close()

    # Writing.

    def send(self, data: bytes) -> None:
        """Hand bytes over; they leave with what follows them in this turn of the loop, or when they are many."""
        self.send_pieces((data,))

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Hand several bytes over, as :meth:`send`."""
        if self._transport is None:
            raise ConnectionResetError("the peer has gone")
        out = self._out
        if out is None:
            out = self._out = []
            self._loop.call_soon(self._uncork)
        for piece in pieces:
            out.append(piece)
            self._out_bytes += len(piece)
        # A body that is written on and on has to find out that its peer is behind.
        if self._out_bytes >= CORK_BYTES:
            self._uncork()

    def _uncork(self) -> None:
        """Write what was collected, and collect no more."""
        out, self._out = self._out, None
        size, self._out_bytes = self._out_bytes, 0
        transport = self._transport
        if not out or transport is None:
            return
        if len(out) == 1:
            transport.write(out[0])
        elif size <= JOIN_BYTES or (isinstance(transport, asyncio.Transport) and not _WRITELINES_PAUSES):
            transport.write(b"".join(out))
        else:
            transport.writelines(out)

    async def drain(self) -> None:
        """Wait until the peer has taken enough; ConnectionResetError once it is gone."""
        if self._transport is None:
            raise ConnectionResetError("the peer has gone")
        self._uncork()
        if not self._is_writing_paused:
            return
        if self._drain_waiters is None:
            self._drain_waiters = set()
        await self._wait(self._drain_waiters)

    async def send_file(
        self, file: io.RawIOBase, offset: int, count: int, *, piece_bytes: int = FILE_PIECE_BYTES
    ) -> int:
        """Send a part of a file: by the system's own copying, and over TLS read in a thread.

        The event loops' ``sendfile()`` is not asked: uvloop has none, and asyncio's doesn't tell whether the peer takes
        anything.
        """
        self._uncork()
        transport = self._transport
        if transport is None:
            raise ConnectionResetError("the peer has gone")
        sock = transport.get_extra_info("socket")
        if sock is None or not hasattr(os, "sendfile") or transport.get_extra_info("sslcontext") is not None:
            return await super().send_file(file, offset, count, piece_bytes=piece_bytes)
        await self._wait_until_written(transport)
        # Another number for the same socket: that of the transport is the loop's own.
        descriptor = os.dup(sock.fileno())
        try:
            return await self._send_by_system(descriptor, file.fileno(), offset, count)
        finally:
            os.close(descriptor)

    async def _send_by_system(self, descriptor: int, source: int, offset: int, count: int) -> int:
        sent = 0
        while sent < count:
            try:
                size = os.sendfile(descriptor, source, offset + sent, min(count - sent, _SENDFILE_BYTES))
            except BlockingIOError:
                await self._wait_until_writable(descriptor)
                continue
            except ConnectionError:
                await self._lose()
                raise
            if not size:
                break
            sent += size
            if sent < count:
                await asyncio.sleep(0)
                if self._transport is None:
                    raise ConnectionResetError("the peer has gone")
        return sent

    async def _lose(self) -> None:
        """End a connection whose peer has gone before its transport knows it."""
        self.abort()
        while self._transport is not None:  # noqa: ASYNC110  # connection_lost() is the loop's next step
            await asyncio.sleep(0)

    async def _wait_until_writable(self, descriptor: int) -> None:
        """Wait until the socket has room; the watch on writing ends the connection where that takes too long."""
        waiter = self._loop.create_future()
        if self._drain_waiters is None:
            self._drain_waiters = set()
        self._drain_waiters.add(waiter)
        self._watch_writing()
        self._loop.add_writer(descriptor, _set_done, waiter)
        try:
            await waiter
        finally:
            self._loop.remove_writer(descriptor)
            self._service.stalled.discard(self)
            if self._drain_waiters is not None:
                self._drain_waiters.discard(waiter)

    async def _wait_until_written(self, transport: asyncio.Transport) -> None:
        """Wait until the transport holds nothing, so that what goes past it comes after."""
        if not transport.get_write_buffer_size():
            return
        transport.set_write_buffer_limits(high=0)
        try:
            while transport.get_write_buffer_size():
                await (self.drain() if self._is_writing_paused else asyncio.sleep(0))
        finally:
            transport.set_write_buffer_limits()

    async def _wait(self, waiters: set[asyncio.Future[None]]) -> None:
        waiter = self._loop.create_future()
        waiters.add(waiter)
        try:
            await waiter
        finally:
            waiters.discard(waiter)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        self._is_writing_paused = True
        self._watch_writing()
        if self._upgraded is not None:
            self._upgraded.pause_writing()

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        self._is_writing_paused = False
        # What is left of a last answer below the buffer's low mark has no other bound.
        if self._request is not None or not self._is_deaf:
            self._service.stalled.discard(self)
        self._wake_drain(None)
        if self._upgraded is not None:
            self._upgraded.resume_writing()
        elif self._parser is not None and self._request is None and not self._is_receiving:
            self.serve()

    def _wake_drain(self, exc: Exception | None) -> None:
        waiters, self._drain_waiters = self._drain_waiters, None
        for waiter in waiters or ():
            if waiter.done():
                continue
            if exc is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(exc)

    def _has_unsent(self) -> bool:
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def _watch_writing(self) -> None:
        assert self._transport is not None
        self._stall_size = self._transport.get_write_buffer_size()
        self._stall_deadline = self._service.now + self._service.deadlines.write_seconds
        self._service.stalled.add(self)

    def check_writing(self) -> None:
        """End the connection where the peer has taken no byte for ``Deadlines.write_seconds``; the timer calls it."""
        transport = self._transport
        if transport is None:
            return
        size = transport.get_write_buffer_size()
        if not size and self._request is None:
            self._service.stalled.discard(self)
        elif size < self._stall_size:
            self._stall_deadline = self._service.now + self._service.deadlines.write_seconds
        elif self._service.now >= self._stall_deadline:
            self._service.logger.debug("peer took no byte for %s s", self._service.deadlines.write_seconds)
            transport.abort()
        self._stall_size = size

    # Reading.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: the peer has time for its first head from now on."""
        self._transport = cast("asyncio.Transport", transport)
        self._service.add(self)
        if self._service.tcp_keepalive:
            _probe_silence(transport.get_extra_info("socket"))
        self.deadline = self._service.now + self._service.deadlines.head_seconds
        notify = self._service.slots.connection_made
        if notify is not None:
            notify(self)
        self._service.admit(self)

    def _make_parser(self) -> RequestParser | None:
        """Begin with the first bytes; None where they are for nobody any more."""
        if not self._is_deaf:
            self._parser = RequestParser(self._service.limits)
        return self._parser

    def _bound_backlog(self, parser: RequestParser) -> None:
        """Read no more while much waits behind a handler or a slow reader; _wait_for_head() reads on."""
        if parser.buffered > self._service.read_bufsize:
            self.pause_reading()

    def eof_received(self) -> bool | None:
        """Take the end of what the peer sends; it may still wait for an answer. Source: RFC 9112 section 9.6."""
        transport = self._transport
        if transport is None:
            return None
        self._has_eof = True
        self._wake_gone()
        if self._upgraded is not None:
            return self._upgraded.eof_received()
        parser = self._parser
        if parser is not None:
            parser.feed_eof()
            # What came before is still answered.
            if not parser.buffered:
                self.keep_alive = False
            if self._is_receiving:
                self._receive(parser)
        if self._service.handler_cancellation and self._task is not None:
            self._task.cancel()
        elif self._has_waiting_head():
            self.serve()
        # Requests that wait until the peer has taken earlier answers are answered too.
        if self._request is None and not self._is_writing_paused:
            return None
        # A TLS transport can't be open in one direction.
        return transport.get_extra_info("sslcontext") is None

    def _has_waiting_head(self) -> bool:
        """Whether the next request is here, and its turn has not come since a handler has just ended."""
        parser = self._parser
        is_free = self._request is None and not self._is_receiving
        return is_free and not self._in_head and parser is not None and not parser.is_idle

    def connection_lost(self, exc: Exception | None) -> None:
        """End: wake everybody who waits for the peer."""
        self._service.discard(self)
        self._transport = None
        self._parser = None
        self._is_deaf = True
        self._out = None
        self.deadline = NEVER
        gone = ConnectionResetError("the peer has gone")
        self._fail_content(gone)
        self._wake_drain(gone)
        self._wake_gone()
        if self._upgraded is not None:
            self._upgraded.connection_lost(exc)
        elif self._service.handler_cancellation and self._task is not None:
            self._task.cancel()
        notify = self._service.slots.connection_lost
        if notify is not None:
            notify(self, exc)

    def _wake_gone(self) -> None:
        waiters, self._gone_waiters = self._gone_waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def pause_reading(self) -> None:
        """Read no more: the handler is behind. The peer can't be slow meanwhile."""
        if self._is_reading_paused or self._transport is None:
            return
        self._is_reading_paused = True
        self._transport.pause_reading()
        if self._is_receiving:
            self.deadline = NEVER

    def resume_reading(self) -> None:
        """Read on."""
        if not self._is_reading_paused or self._transport is None:
            return
        self._is_reading_paused = False
        self._transport.resume_reading()
        if self._is_receiving:
            self.deadline = self._service.now + self._service.deadlines.body_grace_seconds

    # Serving.

    def _wait_for_head(self, parser: RequestParser) -> None:
        if self._has_eof:
            self._close()
            return
        if self._is_reading_paused:
            self.resume_reading()
        if not self._in_head and not parser.is_idle:
            self._in_head = True
            self.deadline = self._service.now + self._service.deadlines.head_seconds

    def _start_content(self, parser: RequestParser, head: RequestHead) -> StreamReader | None:
        """Receive what is here of a body, before its handler starts; None where it is broken already."""
        service = self._service
        content = self._content = StreamReader(self, service.read_bufsize)
        self._is_receiving = True
        self._continue_sent = not head.expect_continue
        self.deadline = service.now + service.deadlines.body_grace_seconds
        # It may have stopped for the requests before this one.
        self.resume_reading()
        self._receive(parser)
        if head.expect_continue and self._is_receiving:
            if service.sends_continue:
                self.send_continue()
            else:
                # A peer that waits for 100 may send its body or not: nobody can tell. Source: RFC 9110 section 10.1.1.
                self.keep_alive = False
                self.deadline = NEVER
        if self._error is None:
            return content
        self._refuse(self._error)
        return None

    def _end_without_request(self, exc: Exception) -> None:
        """End where ``request_factory`` has failed; what was answered before is still sent."""
        self._service.logger.error("Error making a request", exc_info=exc)
        self._close()

    def _ask_to_stop(self, exc: BaseException) -> None:
        """Hand on to the loop by what a handler asks to stop.

        Raised in the callback that has read its request it would end asyncio's loop with the connection left at work;
        uvloop takes it for an error of the protocol and goes on.
        """
        self.abort()
        self._loop.call_soon(_raise, exc)

    def _may_keep_alive(self) -> bool:
        return not self._service.is_stopping and not self._has_eof and self._error is None

    def _receive(self, parser: RequestParser) -> None:
        """Hand on what has come of the body. Each byte buys the peer time: the least rate is a leaking bucket."""
        service = self._service
        try:
            while True:
                event = parser.next_event()
                if event is None:
                    return
                if event is END_OF_MESSAGE:
                    break
                assert isinstance(event, bytes)
                if self._content is None:
                    continue
                if self.deadline != NEVER:
                    earned = self.deadline + len(event) / service.deadlines.body_bytes_per_second
                    self.deadline = min(earned, service.now + service.deadlines.body_grace_seconds)
                self._content.feed_data(event)
        except RemoteProtocolError as exc:
            self._break_body(exc)
            return
        content, self._content = self._content, None
        self._is_receiving = False
        self.deadline = NEVER
        if content is not None:
            content.feed_eof()
        else:  # the handler has left it and ended
            self.deadline = service.now + service.keepalive_seconds
            self.serve()

    def _break_body(self, error: RemoteProtocolError) -> None:
        """The body can't be received any more: whoever reads it gets an error, and the connection ends."""
        self._error = error
        self.keep_alive = False
        self._is_deaf = True
        self._parser = None
        self._is_receiving = False
        self.deadline = NEVER
        if self._content is None:
            self._close()
            return
        failure = RequestPayloadError(str(error))
        failure.__cause__ = error
        self._fail_content(failure)

    def _fail_content(self, exc: Exception) -> None:
        content, self._content = self._content, None
        self._is_receiving = False
        if content is not None:
            content.set_exception(exc)

    async def _answer(self, request: BaseRequest, handler: Handler, access_logger: AbstractAccessLogger | None) -> None:
        """Run the handler and send what it gives; the whole of one request's task."""
        started = 0.0 if access_logger is None else self._loop.time()
        data = None
        response: StreamResponse | None = None
        try:
            response = await handler(request)
            try:
                render = response.render
            except AttributeError:
                raise self._make_type_error(request, response) from None
            data = render(request)
        except BaseException as exc:  # noqa: BLE001  # however a handler ends, its peer is answered
            # A class has the method, but is no response. No name of ours keeps the error: it holds this frame.
            is_class = isinstance(response, type)
            response = self._make_response(request, self._make_type_error(request, response) if is_class else exc)
        if data is not None:
            self.send_answer(data)
        elif response is not None:
            response = await self._send(request, response)
        if access_logger is not None and response is not None:
            access_logger.log(request, response, self._loop.time() - started)
        self.finish(request, response)

    def _make_type_error(self, request: BaseRequest, response: object) -> TypeError:
        match = request.match_info
        handler = getattr(self.app, "handler", None) or self._service.handler if match is None else match.handler
        name = getattr(handler, "__qualname__", repr(handler))
        suspects = ", or a middleware around it," if getattr(self.app, "middlewares", ()) else ","
        expected = f"expected a response{_advise(response)}"
        return TypeError(f"{name}, the handler of {request!r}{suspects} returned {response!r}, {expected}")

    def _make_response(self, request: BaseRequest, exc: BaseException) -> StreamResponse | None:
        """Make an answer of an exception from a handler; None where the connection has to end instead."""
        if isinstance(exc, asyncio.CancelledError):
            if self._has_cancelled():
                self._fail_upgraded(exc)
                return None
        elif not isinstance(exc, Exception):
            raise exc
        logger = self._service.logger
        if self._transport is None:
            logger.debug("%r ended after the peer had gone", request, exc_info=exc)
            return None
        begun = request.response
        if begun is None and isinstance(exc, HTTPException):
            # It lives on as a response; the frames that it came through hold the request, which holds it.
            exc.__traceback__ = exc.__context__ = exc.__cause__ = None
            return exc
        if self._error is not None and isinstance(exc, RequestPayloadError):
            exc = self._error
        else:
            logger.error("Error handling request %r", request, exc_info=exc)
        if begun is not None:
            # Work after a whole answer may fail without harm to it; one that was begun can only be cut off.
            if begun.stage is Stage.ENDED:
                return begun
            self._fail_upgraded(exc)
            return None
        return self._render_error(exc, request)

    def _fail_upgraded(self, exc: BaseException) -> None:
        """Let the protocol that has taken over say that the handler has failed."""
        if self._on_failure is not None and self._transport is not None:
            self.deadline = self._service.now + self._service.deadlines.linger_seconds
            self._on_failure(exc)

    def _has_cancelled(self) -> bool:
        """Whether it was we who cancelled the running handler, for the peer has gone or the server stops."""
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            return False
        service = self._service
        return self._transport is None or service.is_stopping or (service.handler_cancellation and self._has_eof)

    def _render_error(self, error: BaseException, request: BaseRequest | None) -> Response:
        try:
            return self._service.slots.render_error(error, request)
        except Exception as exc:  # a plugin may raise anything
            self._service.logger.error("Error rendering %r", error, exc_info=exc)
            return _render_plainly(error, request)

    async def _send(self, request: BaseRequest, response: StreamResponse) -> StreamResponse | None:
        """Send a response step by step; what was sent at last, or None where the connection has to end."""
        try:
            await response.prepare(request)
            await response.write_eof()
        except BaseException as exc:  # noqa: BLE001  # however a handler ends, its peer is answered
            return self._send_instead(request, exc)
        return response

    def _send_instead(self, request: BaseRequest, exc: BaseException) -> StreamResponse | None:
        """Send an error where nothing has been sent yet."""
        response = self._make_response(request, exc)
        if response is None or request.response is not None:
            return response
        # Without what runs before each head: that may be what has failed.
        prepare_response, self.prepare_response = self.prepare_response, None
        request.prepare_hooks = None
        try:
            data = response.render(request)
            if data is None:
                raise TypeError(f"{response!r} takes several steps to send, where one is left")
        except Exception as error:  # what a plugin has made may be anything
            self._service.logger.error("Error sending %r", response, exc_info=error)
            response = _render_plainly(error, request)
            data = response.render(request) or b""
        finally:
            self.prepare_response = prepare_response
        self.send(data)
        return response

    def _end_specially(self, response: StreamResponse | None) -> None:
        """End the connection after an answer, or make it fit for another request."""
        if self._transport is None:
            return
        if self._upgraded is not None:
            if response is not None or self._on_failure is None:
                self._close(lingers=False)
        elif response is None:
            self._transport.abort()
        elif not self.keep_alive:
            self._close()
        else:
            self._drop_rest()

    def _drop_rest(self) -> None:
        """Read the rest of a body that its handler left, within bounds, so that the next request can be read."""
        self._abandon_content()
        self.resume_reading()
        self.deadline = self._service.now + self._service.deadlines.linger_seconds

    def _abandon_content(self) -> None:
        """Receive no more for the handler's sake; what it has left behind to read the body gets an error."""
        content, self._content = self._content, None
        if content is not None:
            content.set_exception(RequestPayloadError("the handler has ended before the whole body was here"))

    def _end_task(self, task: asyncio.Task[Any]) -> None:
        """Go on after a handler that waited."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):  # what asks to stop has gone through the loop
            self._service.logger.error("Unhandled error of a connection", exc_info=error)
        if task.cancelled() or error is not None:
            if self._request is not None:  # cancelled before its first step, or nobody could log it
                self.finish(self._request, None)
            self.abort()
        elif self._parser is not None and self._request is None and not self._is_receiving:
            self.serve()

    # Ending.

    def expire(self) -> None:
        """The deadline has come; the timer calls it."""
        deadlines = self._service.deadlines
        if self._is_writing_paused or (self._is_deaf and self._has_unsent()):
            # The peer is at reading; check_writing() ends it where it isn't.
            self.deadline = self._service.now + deadlines.linger_seconds
        elif self._is_deaf:
            self.abort()
        elif self._is_receiving and self._content is not None:
            rate = deadlines.body_bytes_per_second
            self._break_body(RemoteProtocolError(f"the body came slower than {rate} bytes a second", _TOO_SLOW))
        elif self._is_receiving or self._parser is None or self._parser.is_idle:
            self._close(lingers=False)
        elif not self._in_head:
            self.serve()  # the next request is here, it only has not been looked at
        else:
            self._refuse(RemoteProtocolError(f"the head took longer than {deadlines.head_seconds} s", _TOO_SLOW))

    def refuse_place(self) -> None:
        """Answer that all places are taken, and end."""
        limit = self._service.max_connections
        self._refuse(RemoteProtocolError(f"{limit} connections are open, none idle", _NO_PLACE))

    def _refuse(self, error: RemoteProtocolError) -> None:
        """Answer bytes that are no request, and end. What was read before them has been answered."""
        response = self._render_error(error, None)
        try:
            data = self._serialize_refusal(response)
        except Exception as exc:  # what a plugin renders may be anything
            self._service.logger.error("Error sending %r", response, exc_info=exc)
            response = _render_plainly(error, None)
            data = self._serialize_refusal(response)
        self.send(data)
        peername = None if self._transport is None else self._transport.get_extra_info("peername")
        self._service.logger.debug("Refused what %s sent by %d: %s", peername, response.status, error)
        notify = self._service.slots.request_refused
        if notify is not None:
            notify(response.status, str(error))
        self._close(lingers=error.status_hint != _TOO_SLOW)

    def _serialize_refusal(self, response: Response) -> bytes:
        if response.status < 400:
            raise ValueError(f"{response!r} refuses nothing: bytes that are no request are answered by 4xx or 5xx")
        body = response.body if isinstance(response.body, bytes) else b""
        headers = response.headers
        for name in _FRAMING_FIELDS:
            headers.popall(name, None)
        automatic = self._service.automatic_fields.splitlines(keepends=True)
        fields = [line for line in automatic if line.partition(b":")[0].decode() not in headers]
        status_line = make_status_line(HttpVersion11, response.status, response.reason)
        return serialize_response_head(status_line, headers, None, len(body), b"".join([*fields, _CLOSE_FIELD]), body)

    def _close(self, lingers: bool | None = None) -> None:
        """Close when everything has been written; a peer that may still be sending is let finish for a while.

        Closing with unread bytes would reset the connection and could destroy the answer. Source: RFC 9112 section 9.6.
        """
        transport = self._transport
        if transport is None:
            return
        if lingers is None:
            parser = self._parser
            lingers = self._is_receiving or (parser is not None and parser.buffered > 0)
            if self._error is not None:
                # Who was too slow has had its time.
                lingers = self._error.status_hint != _TOO_SLOW
        self._parser = None
        self._is_receiving = False
        self._is_deaf = True
        self._abandon_content()
        self._uncork()
        if self._has_unsent():
            self._watch_writing()
        if self._has_eof or not lingers or not transport.can_write_eof():
            self.deadline = NEVER
            transport.close()
            return
        self.deadline = self._service.now + self._service.deadlines.linger_seconds
        transport.write_eof()
        if self._is_reading_paused:
            self.resume_reading()

    @property
    def is_idle(self) -> bool:
        """Whether no request is being read or answered."""
        return self._request is None and not self._is_receiving and (self._parser is None or self._parser.is_idle)

    @property
    def idle_since(self) -> float:
        """Since when, by the server's clock, nothing was read, answered or left to send; NEVER while anything is."""
        if self._transport is None or self._is_deaf or not self.is_idle or self._has_unsent():
            return NEVER
        deadlines = self._service.deadlines
        allowed = deadlines.head_seconds if self._parser is None else self._service.keepalive_seconds
        return self.deadline - allowed if self.deadline < NEVER else 0.0

    def close_idle(self) -> None:
        """Close unless a request is being read or answered."""
        if self.is_idle:
            self._close(lingers=False)

    def stop(self) -> None:
        """Serve no request after the one at work; a new one is still answered, and told so."""
        self.keep_alive = False

    def cancel(self) -> None:
        """Cancel the handler at work; the connection ends with it."""
        if self._task is not None:
            self._task.cancel()

    def abort(self) -> None:
        """End at once; what hasn't been written is lost."""
        if self._transport is not None:
            self._transport.abort()


def _advise(response: object) -> str:
    if response is None:
        return "; is a 'return' missing?"
    if inspect.isawaitable(response):
        return "; is an 'await' missing?"
    if isinstance(response, str):
        return ", as web.Response(text=...)"
    if isinstance(response, (dict, list)):
        return ", as web.json_response(...)"
    return ""
