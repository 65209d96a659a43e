"""One WebSocket on its transport: frames in and out, the closing handshake, heartbeat, back-pressure.

Both sides use it. An endpoint (:mod:`.endpoint`) is what applications see of it.

    open      frames both ways
    closing   a close frame was sent: what is received is dropped until the peer's comes, or the time is up
    failed    the peer broke the protocol: a close frame was sent, everything received is dropped
    lost      the transport is gone

A message waits until it is taken, so that a cancelled receiver loses none. A frame is handed to the transport in one
call that nothing interrupts, so that senders need no lock. What every message goes through is a
:class:`~._pure.Channel`, which is compiled; here is the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from .errors import WebSocketError
from .frame import Channel, FrameReader
from .limits import (
    CLOSE_SECONDS,
    CLOSED_RECEIVES,
    LINGER_SECONDS,
    MAX_CONTROL_BYTES,
    MAX_CONTROL_FRAMES,
    MAX_MSG_SIZE,
    MAX_REASON_BYTES,
    WRITER_LIMIT,
)
from .message import CLOSED_MESSAGE, CLOSING_MESSAGE, WSCloseCode, WSMessage, WSMsgType, is_close_code

if TYPE_CHECKING:
    from .extension import WebSocketExtension

_Waiters = set["asyncio.Future[None]"]

_FIN: Final = 0x80
_CLOSE: Final = WSMsgType.CLOSE
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG
#: How much of the heartbeat's interval a peer gets for its pong. aiohttp's.
_PONG_PART: Final = 0.5


class WebSocketConnection(Channel, asyncio.Protocol):
    """The protocol that takes a connection over after the handshake.

    Args:
        is_client: whether this side masks.
        extensions: what was negotiated.
        max_msg_size: bytes of a message that is received; 0 for no limit.
        writer_limit: bytes waiting for the socket from which senders wait.
        decode_text: whether text messages are str.
        autoclose: whether the peer's close frame is answered when it is received as a message.
        autoping: whether pings are answered and pongs dropped; else both are messages.
        heartbeat: seconds of silence until a ping is sent; half as long again, and the peer is dead.
        close_seconds: how long the peer gets to answer a close frame, and to read what is left; None for no limit.
        on_lost: called once, when the transport is gone.
    """

    __slots__ = (
        "_autoclose",
        "_autoping",
        "_close_seconds",
        "_close_timer",
        "_closed_receives",
        "_control_frames",
        "_control_second",
        "_drain_waiters",
        "_handshake_waiters",
        "_heartbeat",
        "_heartbeat_timer",
        "_late_pong",
        "_linger_timer",
        "_lost_waiters",
        "_on_lost",
        "_writer_limit",
        "close_code",
        "exception",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        is_client: bool,
        extensions: Sequence[WebSocketExtension] = (),
        max_msg_size: int = MAX_MSG_SIZE,
        writer_limit: int = WRITER_LIMIT,
        decode_text: bool = True,
        autoclose: bool = True,
        autoping: bool = True,
        heartbeat: float | None = None,
        close_seconds: float | None = CLOSE_SECONDS,
        on_lost: Callable[[WebSocketConnection], object] | None = None,
    ) -> None:
        reader = FrameReader(
            is_client=is_client, max_msg_size=max_msg_size, extensions=extensions, decode_text=decode_text
        )
        super().__init__(loop, reader, is_client=is_client, extensions=extensions, has_heartbeat=heartbeat is not None)
        self._writer_limit = writer_limit
        self._autoclose = autoclose
        self._autoping = autoping
        self._heartbeat = heartbeat
        self._close_seconds = close_seconds
        self._on_lost = on_lost
        self._drain_waiters: _Waiters | None = None
        self._handshake_waiters: _Waiters | None = None
        self._lost_waiters: _Waiters | None = None
        self._late_pong: bytes | None = None
        self._control_second = 0.0
        self._control_frames = 0
        self._closed_receives = 0
        self._close_timer: asyncio.TimerHandle | None = None
        self._heartbeat_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        #: The peer's close code, 1006 where the connection was lost, ours where the peer broke the protocol.
        self.close_code: int | None = None
        #: Why the connection failed.
        self.exception: BaseException | None = None

    # State.

    @property
    def is_closing(self) -> bool:
        """Whether a close frame was sent or received, or the connection is gone."""
        return self.close_sent or self.close_received or self.transport is None

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=self._writer_limit)
        sock = transport.get_extra_info("socket")
        if _collects_writes(self.loop) and sock is not None and transport.get_extra_info("sslcontext") is None:
            self.descriptor = sock.fileno()
            # The handshake's answer, perhaps.
            self.note_queued()
        if self._heartbeat is not None:
            self.heard_at = self.loop.time()
            self._heartbeat_timer = self.loop.call_later(self._heartbeat, self._beat)

    def eof_received(self) -> bool | None:
        """Take the end of what the peer sends: it can't finish a closing handshake any more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End: wake everybody."""
        self.transport = None
        for timer in (self._close_timer, self._heartbeat_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        self._close_timer = self._heartbeat_timer = self._linger_timer = None
        if self.close_code is None:
            self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        if self.exception is None and exc is not None and not self.close_received:
            self.exception = exc
        self._end(CLOSED_MESSAGE)
        gone = ConnectionResetError("the WebSocket's peer has gone")
        _wake_all(self._drain_waiters, gone)
        _wake_all(self._handshake_waiters)
        _wake_all(self._lost_waiters)
        if self._on_lost is not None:
            on_lost, self._on_lost = self._on_lost, None
            on_lost(self)

    def pause_writing(self) -> None:
        """The transport holds more than ``writer_limit`` bytes."""
        self.is_behind = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self.is_behind = False
        _wake_all(self._drain_waiters)
        pong, self._late_pong = self._late_pong, None
        if pong is not None and not self.is_closing:
            self.write_frame(_FIN | _PONG, pong)

    # Receiving.

    def take_end(self) -> WSMessage | None:
        """Take what comes behind all messages: the peer's error, then the connection's end; None while it is open."""
        error = self.reader.error
        if error is not None and not self.is_failed and not self.close_received:
            self._fail(error)
            return self.take_message()
        ended = self.ended
        if ended is CLOSING_MESSAGE:
            # Said once; the next receive() waits for the end, or a loop that doesn't look would hold up all others.
            self.ended = None
        return ended

    def react(self, message: WSMessage) -> None:
        """Do what a message that is no content asks for, once it is received.

        Raises:
            RuntimeError: CLOSED was received again and again: nobody looks at it.
        """
        if message.type is _CLOSE and self._autoclose:
            # Echo the code. Source: RFC 6455 section 5.5.1.
            self.start_close(message.data)
        elif message.type is WSMsgType.CLOSED:
            self._count_closed()

    def _count_closed(self) -> None:
        self._closed_receives += 1
        if self._closed_receives > CLOSED_RECEIVES:
            raise RuntimeError(
                f"receive() was called {self._closed_receives} times on a closed WebSocket: leave the loop when a "
                "message's type is WSMsgType.CLOSED"
            )

    def pause_reading(self) -> None:
        if not self.is_reading_paused and self.transport is not None:
            self.is_reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        if self.is_reading_paused and self.transport is not None:
            self.is_reading_paused = False
            self.heard_at = self.loop.time()
            self.transport.resume_reading()

    def take_control(self, message: WSMessage) -> None:
        if self.close_received or self.is_failed:
            return
        if message.type is _CLOSE:
            self._take_close(message)
            return
        if not self._may_control():
            return
        if not self._autoping:
            self.enqueue(message)
        elif message.type is _PING and not self.close_sent:
            self._answer_ping(message.data)

    def _may_control(self) -> bool:
        """Bound what a peer can make us do by frames that no application asks for."""
        now = self.loop.time()
        if now - self._control_second >= 1:
            self._control_second = now
            self._control_frames = 0
        self._control_frames += 1
        if self._control_frames > MAX_CONTROL_FRAMES:
            self._fail(WebSocketError(1008, f"more than {MAX_CONTROL_FRAMES} control frames came in a second"))
            return False
        return True

    def _answer_ping(self, payload: bytes) -> None:
        if self.is_behind:
            # A peer that pings and does not read gets one answer, to the last. Source: RFC 6455 section 5.5.3.
            self._late_pong = payload
        else:
            self.write_frame(_FIN | _PONG, payload)

    def _take_close(self, message: WSMessage) -> None:
        self.close_received = True
        self.close_code = message.data or 1005
        if self.close_sent:
            self._finish_handshake()
        else:
            self.enqueue(message)

    def _end(self, message: WSMessage) -> None:
        """Give this message to receive() from now on, behind those that wait; CLOSING once, CLOSED again and again."""
        self.ended = message
        self.receiver.wake()

    # Sending.

    async def drain(self) -> None:
        """Wait until fewer bytes wait for the socket.

        Raises:
            ConnectionResetError: the peer has gone meanwhile.
        """
        if self.transport is None:
            raise ConnectionResetError("the WebSocket's peer has gone")
        if self.is_behind:
            if self._drain_waiters is None:
                self._drain_waiters = set()
            await self._wait(self._drain_waiters)

    async def _wait(self, waiters: _Waiters) -> None:
        waiter = self.loop.create_future()
        waiters.add(waiter)
        try:
            await waiter
        finally:
            waiters.discard(waiter)

    # Ending.

    def start_close(self, code: int = WSCloseCode.OK, reason: bytes = b"") -> bool:
        """Send a close frame and drop what is received from now on.

        Args:
            code: the close code; 0 for a frame without one.
            reason: UTF-8, at most 123 bytes.

        Returns:
            Whether this call has sent it; False where the connection was closing from this side, or is gone.
        """
        payload = make_close_payload(code, reason)
        if self.close_sent or self.transport is None:
            return False
        self.write_frame(_FIN | _CLOSE, payload)
        self.close_sent = True
        self.drop_messages()
        self.resume_reading()
        if self.close_received:
            self._finish_handshake()
        else:
            self._start_close_timer(self._give_up)
        if self.ended is None:
            self._end(CLOSING_MESSAGE)
        return True

    def _finish_handshake(self) -> None:
        """Both close frames are on their way: the server closes the connection. Source: RFC 6455 section 7.1.1."""
        _wake_all(self._handshake_waiters)
        self._end(CLOSED_MESSAGE)
        if self.transport is not None:
            if not self.is_client:
                self.transport.close()
            # A server that leaves the connection open, or a peer that does not read what is left, has had its time.
            self._start_close_timer(self._abort)

    def _start_close_timer(self, callback: Callable[[], None]) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._close_seconds is not None:
            self._close_timer = self.loop.call_later(self._close_seconds, callback)

    def _give_up(self) -> None:
        self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        self.exception = TimeoutError(f"the peer has not answered a close frame for {self._close_seconds} s")
        self._abort()

    def _abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def take_error(self, error: WebSocketError) -> None:
        """Fail once the messages before the error have been taken, so that they can be answered; or the time is up."""
        if self.is_failed or self.close_received:
            return
        if not self.has_message:
            self._fail(error)
        elif self._close_timer is None:  # else its time runs already, whatever else comes
            self._start_close_timer(lambda: self._fail(error))

    def end_by_failure(self, error: BaseException) -> None:
        """End because the handler has raised this, or was cancelled because the server stops.

        Where the transport is closed already, the end stays as it was.
        """
        if self.transport is None or self.transport.is_closing():
            return
        is_stopping = isinstance(error, asyncio.CancelledError)
        code = WSCloseCode.GOING_AWAY if is_stopping else WSCloseCode.INTERNAL_ERROR
        self._fail(WebSocketError(code, "the server is stopping" if is_stopping else "the handler has failed"))

    def _fail(self, error: WebSocketError) -> None:
        """End for what the peer has done, or the handler has not. Source: RFC 6455 section 7.1.7."""
        if self.is_failed:
            return
        self.is_failed = True
        self.exception = error
        self.close_code = error.code
        self.enqueue(WSMessage(WSMsgType.ERROR, error, None))
        self.ended = CLOSED_MESSAGE
        _wake_all(self._handshake_waiters)
        transport = self.transport
        if transport is None:
            return
        if not self.close_sent:
            self.write_frame(_FIN | _CLOSE, make_close_payload(error.code, _cut(str(error))))
            self.close_sent = True
        # Closing with unread bytes would reset the connection and could destroy the close frame.
        self.resume_reading()
        self._start_close_timer(self._abort)
        if transport.can_write_eof():
            transport.write_eof()
        elif self._close_seconds is None or self._close_seconds > LINGER_SECONDS:
            self._linger_timer = self.loop.call_later(LINGER_SECONDS, transport.close)
        self.receiver.wake()

    async def wait_handshake(self) -> None:
        """Wait until the closing handshake is done, failed or timed out, once a close frame was sent."""
        if self.close_received or self.is_failed or self.transport is None:
            return
        if self._handshake_waiters is None:
            self._handshake_waiters = set()
        await self._wait(self._handshake_waiters)

    async def wait_lost(self) -> None:
        """Wait until the transport is gone; not longer than ``close_seconds`` once the handshake is done."""
        if self.transport is None:
            return
        if self._lost_waiters is None:
            self._lost_waiters = set()
        await self._wait(self._lost_waiters)

    # Heartbeat.

    def _beat(self) -> None:
        """Look whether the peer lives. One timer a connection: what is received only notes the time."""
        heartbeat = self._heartbeat
        assert heartbeat is not None
        if self.is_closing:
            return
        now = self.loop.time()
        # While we don't read, a peer can't be heard.
        if self.is_reading_paused:
            self.heard_at = now
            self.ping_sent = False
        wait = heartbeat * _PONG_PART if self.ping_sent else heartbeat
        if not self.ping_sent and now >= self.heard_at + heartbeat:
            self.ping_sent = True
            self.heard_at = now
            self.write_frame(_FIN | _PING, b"")
            wait = heartbeat * _PONG_PART
        elif self.ping_sent and now >= self.heard_at + wait:
            self._lose(TimeoutError(f"the peer sent nothing for {heartbeat + wait} s and no pong for {wait} s"))
            return
        self._heartbeat_timer = self.loop.call_at(self.heard_at + wait, self._beat)

    def _lose(self, error: Exception) -> None:
        self.exception = error
        self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        self.enqueue(WSMessage(WSMsgType.ERROR, error, None))
        self._abort()
        self.receiver.wake()


def _collects_writes(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether a write waits for the end of the loop's turn, so that a single one is better off at once."""
    return type(loop).__module__.partition(".")[0] == "uvloop"


def make_close_payload(code: int, reason: bytes) -> bytes:
    """Make what is in a close frame.

    Raises:
        ValueError: a code that is never sent, or a reason that is too long or not UTF-8.

    Source: RFC 6455 section 5.5.1.
    """
    if code == 0 and not reason:
        return b""
    if not is_close_code(code):
        raise ValueError(f"close code is {code}, expected 1000 to 1003, 1007 to 1014 or 3000 to 4999")
    if len(reason) > MAX_REASON_BYTES:
        raise ValueError(f"the reason of a close has {len(reason)} bytes, limit {MAX_REASON_BYTES}")
    reason.decode()
    return code.to_bytes(2, "big") + reason


def check_heartbeat(heartbeat: float | None) -> float | None:
    """Take seconds of silence, None for no heartbeat.

    Raises:
        ValueError: not more than 0, which would take every peer for dead at once.
    """
    if heartbeat is not None and heartbeat <= 0:
        raise ValueError(f"heartbeat is {heartbeat}, expected seconds, more than 0; None for no heartbeat")
    return heartbeat


def check_control_payload(message: bytes | str) -> bytes:
    """Make the payload of a ping or pong.

    Raises:
        ValueError: more than 125 bytes.
    """
    payload = message.encode() if isinstance(message, str) else bytes(message)
    if len(payload) > MAX_CONTROL_BYTES:
        raise ValueError(f"a ping or pong has {len(payload)} bytes, limit {MAX_CONTROL_BYTES}")
    return payload


def _cut(text: str) -> bytes:
    return text.encode()[:MAX_REASON_BYTES].decode(errors="ignore").encode()


def _wake_all(waiters: _Waiters | None, exc: Exception | None = None) -> None:
    """Let everybody go on; each takes itself out of the set."""
    for waiter in waiters or ():
        if waiter.done():
            continue
        if exc is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(exc)
