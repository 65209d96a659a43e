"""One WebSocket on its transport: frames in and out, the closing handshake, heartbeat, back-pressure.

Both sides use it. An endpoint (:mod:`.endpoint`) is what applications see of it.

    open      frames both ways
    closing   a close frame was sent: what is received is dropped until the peer's comes, or the time is up
    failed    the peer broke the protocol: a close frame was sent, everything received is dropped
    lost      the transport is gone

A message waits in ``_queue`` until it is taken, so that a cancelled receiver loses none. A frame is handed to the
transport in one call that nothing interrupts, so that senders need no lock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, cast

from .errors import WebSocketError
from .frame import FrameReader, serialize_frame, serialize_head
from .limits import (
    CLOSE_SECONDS,
    CLOSED_RECEIVES,
    MAX_CONTROL_BYTES,
    MAX_CONTROL_FRAMES,
    MAX_MSG_SIZE,
    MAX_REASON_BYTES,
    MESSAGE_OVERHEAD,
    READ_LIMIT,
    WRITER_LIMIT,
)
from .message import CLOSED_MESSAGE, CLOSING_MESSAGE, WSCloseCode, WSMessage, WSMsgType, is_close_code
from .receiver import Receiver

if TYPE_CHECKING:
    from .extension import WebSocketExtension

_Waiters = set["asyncio.Future[None]"]

_FIN: Final = 0x80
_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
_CLOSE: Final = WSMsgType.CLOSE
_PING: Final = WSMsgType.PING
_PONG: Final = WSMsgType.PONG
_CONTROL: Final = 0x08
#: Messages that come once.
_WEIGHTLESS: Final = frozenset((WSMsgType.CLOSE, WSMsgType.ERROR))
#: From this size on a payload is handed to the transport without being copied behind its head.
_UNCOPIED: Final = 65_536
#: How much of the heartbeat's interval a peer gets for its pong. aiohttp's.
_PONG_PART: Final = 0.5


class WebSocketConnection(asyncio.Protocol):
    """The protocol that takes a connection over after the handshake.

    Args:
        is_client: whether this side masks.
        extensions: what was negotiated.
        max_msg_size: bytes of a message that is received; 0 for no limit.
        writer_limit: bytes waiting for the socket from which senders wait.
        decode_text: whether text messages are str.
        autoping: whether pings are answered and pongs dropped; else both are messages.
        heartbeat: seconds of silence until a ping is sent; half as long again, and the peer is dead.
        close_seconds: how long the peer gets to answer a close frame, and to read what is left; None for no limit.
        on_lost: called once, when the transport is gone.
    """

    __slots__ = (
        "__weakref__",
        "_autoping",
        "_close_received",
        "_close_seconds",
        "_close_sent",
        "_close_timer",
        "_closed_receives",
        "_control_frames",
        "_control_second",
        "_drain_waiters",
        "_ended",
        "_extensions",
        "_handshake_waiters",
        "_heard_at",
        "_heartbeat",
        "_heartbeat_timer",
        "_is_behind",
        "_is_client",
        "_is_failed",
        "_is_reading_paused",
        "_is_receiving",
        "_late_pong",
        "_loop",
        "_lost_waiters",
        "_on_lost",
        "_ping_sent",
        "_queue",
        "_queued_bytes",
        "_reader",
        "_receiver",
        "_transport",
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
        autoping: bool = True,
        heartbeat: float | None = None,
        close_seconds: float | None = CLOSE_SECONDS,
        on_lost: Callable[[WebSocketConnection], object] | None = None,
    ) -> None:
        self._loop = loop
        self._is_client = is_client
        self._extensions = tuple(extensions)
        self._reader = FrameReader(
            is_client=is_client, max_msg_size=max_msg_size, extensions=extensions, decode_text=decode_text
        )
        self._writer_limit = writer_limit
        self._autoping = autoping
        self._heartbeat = heartbeat
        self._close_seconds = close_seconds
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._receiver = Receiver(loop)
        # Made with the first message that nobody waits for: thousands of silent sockets cost less.
        self._queue: deque[WSMessage] | None = None
        self._queued_bytes = 0
        self._is_reading_paused = False
        self._is_receiving = False
        self._is_behind = False
        self._drain_waiters: _Waiters | None = None
        self._handshake_waiters: _Waiters | None = None
        self._lost_waiters: _Waiters | None = None
        self._late_pong: bytes | None = None
        self._control_second = 0.0
        self._control_frames = 0
        self._close_sent = False
        self._close_received = False
        self._is_failed = False
        #: What receive() gives when the queue is empty for ever.
        self._ended: WSMessage | None = None
        self._closed_receives = 0
        self._close_timer: asyncio.TimerHandle | None = None
        self._heartbeat_timer: asyncio.TimerHandle | None = None
        self._heard_at = 0.0
        self._ping_sent = False
        #: The peer's close code, 1006 where the connection was lost, ours where the peer broke the protocol.
        self.close_code: int | None = None
        #: Why the connection failed.
        self.exception: BaseException | None = None

    # State.

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; None once it is gone."""
        return self._transport

    @property
    def is_closing(self) -> bool:
        """Whether a close frame was sent or received, or the connection is gone."""
        return self._close_sent or self._close_received or self._transport is None

    # What the transport tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=self._writer_limit)
        if self._heartbeat is not None:
            self._heard_at = self._loop.time()
            self._heartbeat_timer = self._loop.call_later(self._heartbeat, self._beat)

    def data_received(self, data: bytes) -> None:
        """Take bytes, and wake who waits for the messages that they complete."""
        if self._is_failed:
            return
        if self._heartbeat is not None:
            self._heard_at = self._loop.time()
            self._ping_sent = False
        reader = self._reader
        for message in reader.feed_data(data):
            if message[0] > 2:
                self._take_control(message)
            elif not self._close_sent and not self._close_received:
                self._enqueue(message, len(message[1]) + MESSAGE_OVERHEAD)
        if self._queue:
            self._receiver.wake()
            if self._queued_bytes > READ_LIMIT and not self._close_sent:
                self._pause_reading()
        if reader.error is not None:
            self._take_error(reader.error)

    def eof_received(self) -> bool | None:
        """Take the end of what the peer sends: it can't finish a closing handshake any more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End: wake everybody."""
        self._transport = None
        for timer in (self._close_timer, self._heartbeat_timer):
            if timer is not None:
                timer.cancel()
        self._close_timer = self._heartbeat_timer = None
        if self.close_code is None:
            self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        if self.exception is None and exc is not None and not self._close_received:
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
        self._is_behind = True

    def resume_writing(self) -> None:
        """The transport has room again."""
        self._is_behind = False
        _wake_all(self._drain_waiters)
        pong, self._late_pong = self._late_pong, None
        if pong is not None and not self.is_closing:
            self._write(_FIN | _PONG, pong)

    # Receiving.

    def _enqueue(self, message: WSMessage, size: int) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append(message)
        self._queued_bytes += size

    def take_message(self) -> WSMessage | None:
        """Take the next message without waiting; None where there is none yet."""
        if self._queue:
            message = self._queue.popleft()
            if message[0] not in _WEIGHTLESS:
                self._queued_bytes -= len(message[1]) + MESSAGE_OVERHEAD
            if self._is_reading_paused and self._queued_bytes <= READ_LIMIT // 2:
                self._resume_reading()
            return message
        if self._reader.error is not None and not self._is_failed and not self._close_received:
            self._fail(self._reader.error)
            return self.take_message()
        return self._ended

    async def wait_message(self) -> WSMessage:
        """Take the next message.

        Raises:
            RuntimeError: another task waits for one, or the connection's end was not noticed.
        """
        if self._is_receiving:
            raise RuntimeError(
                "receive() is called while another task waits in it: let one task receive and hand messages on, "
                "by an asyncio.Queue for example"
            )
        message = self.take_message()
        if message is None:
            self._is_receiving = True
            try:
                while (message := self.take_message()) is None:
                    await self._receiver
            finally:
                self._is_receiving = False
        if message is CLOSED_MESSAGE:
            self._closed_receives += 1
            if self._closed_receives > CLOSED_RECEIVES:
                raise RuntimeError(
                    f"receive() was called {self._closed_receives} times on a closed WebSocket: leave the loop when a "
                    "message's type is WSMsgType.CLOSED"
                )
        return message

    def _pause_reading(self) -> None:
        if not self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_reading_paused and self._transport is not None:
            self._is_reading_paused = False
            self._heard_at = self._loop.time()
            self._transport.resume_reading()

    def _take_control(self, message: WSMessage) -> None:
        if self._close_received or self._is_failed:
            return
        if message.type is _CLOSE:
            self._take_close(message)
            return
        if not self._may_control():
            return
        if not self._autoping:
            self._enqueue(message, len(message.data) + MESSAGE_OVERHEAD)
        elif message.type is _PING and not self._close_sent:
            self._answer_ping(message.data)

    def _may_control(self) -> bool:
        """Bound what a peer can make us do by frames that no application asks for."""
        now = self._loop.time()
        if now - self._control_second >= 1:
            self._control_second = now
            self._control_frames = 0
        self._control_frames += 1
        if self._control_frames > MAX_CONTROL_FRAMES:
            self._fail(WebSocketError(1008, f"more than {MAX_CONTROL_FRAMES} control frames came in a second"))
            return False
        return True

    def _answer_ping(self, payload: bytes) -> None:
        if self._is_behind:
            # A peer that pings and does not read gets one answer, to the last. Source: RFC 6455 section 5.5.3.
            self._late_pong = payload
        else:
            self._write(_FIN | _PONG, payload)

    def _take_close(self, message: WSMessage) -> None:
        self._close_received = True
        self.close_code = message.data or 1005
        if self._close_sent:
            self._finish_handshake()
        else:
            self._enqueue(message, 0)

    def _end(self, message: WSMessage) -> None:
        """Give this message to every receive() from now on, behind those that wait."""
        self._ended = message
        self._receiver.wake()

    # Sending.

    def send(self, opcode: int, data: bytes | bytearray | memoryview | str, level: int | None = None) -> None:
        """Hand a message or a control frame to the transport.

        Raises:
            ConnectionResetError: the connection is closing or closed.
        """
        if self._close_sent or self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the WebSocket is closed: it can't send any more")
        first = _FIN | opcode
        if self._extensions and not opcode & _CONTROL:
            first, data = self._encode(first, data.encode() if isinstance(data, str) else bytes(data), level)
        self._write(first, data)

    def _encode(self, first: int, data: bytes, level: int | None) -> tuple[int, bytes]:
        for extension in self._extensions:
            coded = extension.encode(data, level)
            if coded is not None:
                data = coded
                first |= extension.rsv
        return first, data

    def _write(self, first: int, data: bytes | bytearray | memoryview | str) -> None:
        transport = self._transport
        assert transport is not None
        if self._is_client or len(data) < _UNCOPIED or not isinstance(data, bytes):
            transport.write(serialize_frame(first, data, self._is_client))
        else:
            transport.write(serialize_head(first, len(data), is_masked=False))
            transport.write(data)

    @property
    def is_behind(self) -> bool:
        """Whether the peer is, so that :meth:`drain` would wait."""
        return self._is_behind

    async def drain(self) -> None:
        """Wait until fewer bytes wait for the socket.

        Raises:
            ConnectionResetError: the peer has gone meanwhile.
        """
        if self._transport is None:
            raise ConnectionResetError("the WebSocket's peer has gone")
        if self._is_behind:
            if self._drain_waiters is None:
                self._drain_waiters = set()
            await self._wait(self._drain_waiters)

    async def _wait(self, waiters: _Waiters) -> None:
        waiter = self._loop.create_future()
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
        if self._close_sent or self._transport is None:
            return False
        self._write(_FIN | _CLOSE, payload)
        self._close_sent = True
        if self._queue is not None:
            self._queue.clear()
        self._queued_bytes = 0
        self._resume_reading()
        if self._close_received:
            self._finish_handshake()
        else:
            self._start_close_timer(self._give_up)
        if self._ended is None:
            self._end(CLOSING_MESSAGE)
        return True

    def _finish_handshake(self) -> None:
        """Both close frames are on their way: the server closes the connection. Source: RFC 6455 section 7.1.1."""
        _wake_all(self._handshake_waiters)
        self._end(CLOSED_MESSAGE)
        if self._transport is not None:
            if not self._is_client:
                self._transport.close()
            # A server that leaves the connection open, or a peer that does not read what is left, has had its time.
            self._start_close_timer(self._abort)

    def _start_close_timer(self, callback: Callable[[], None]) -> None:
        if self._close_timer is not None:
            self._close_timer.cancel()
        if self._close_seconds is not None:
            self._close_timer = self._loop.call_later(self._close_seconds, callback)

    def _give_up(self) -> None:
        self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        self.exception = TimeoutError(f"the peer has not answered a close frame for {self._close_seconds} s")
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _take_error(self, error: WebSocketError) -> None:
        """Fail once the messages before the error have been taken, so that they can be answered; or the time is up."""
        if self._is_failed or self._close_received:
            return
        if self._queue:
            self._start_close_timer(lambda: self._fail(error))
        else:
            self._fail(error)

    def _fail(self, error: WebSocketError) -> None:
        """End for what the peer has done. Source: RFC 6455 section 7.1.7."""
        self._is_failed = True
        self.exception = error
        self.close_code = error.code
        self._enqueue(WSMessage(WSMsgType.ERROR, error, None), 0)
        self._ended = CLOSED_MESSAGE
        _wake_all(self._handshake_waiters)
        transport = self._transport
        if transport is None:
            return
        if not self._close_sent:
            self._write(_FIN | _CLOSE, make_close_payload(error.code, _cut(str(error))))
            self._close_sent = True
        # Closing with unread bytes would reset the connection and could destroy the close frame.
        self._resume_reading()
        self._start_close_timer(self._abort)
        if transport.can_write_eof():
            transport.write_eof()
        self._receiver.wake()

    async def wait_handshake(self) -> None:
        """Wait until the closing handshake is done, failed or timed out, once a close frame was sent."""
        if self._close_received or self._is_failed or self._transport is None:
            return
        if self._handshake_waiters is None:
            self._handshake_waiters = set()
        await self._wait(self._handshake_waiters)

    async def wait_lost(self) -> None:
        """Wait until the transport is gone; not longer than ``close_seconds`` once the handshake is done."""
        if self._transport is None:
            return
        if self._lost_waiters is None:
            self._lost_waiters = set()
        await self._wait(self._lost_waiters)

    # Heartbeat.

    def _beat(self) -> None:
        """Look whether the peer lives. One timer a connection: what is received only notes the time."""
        heartbeat = self._heartbeat
        assert heartbeat is not None
        if self._close_sent or self._transport is None:
            return
        now = self._loop.time()
        # While we don't read, a peer can't be heard.
        if self._is_reading_paused:
            self._heard_at = now
            self._ping_sent = False
        wait = heartbeat * _PONG_PART if self._ping_sent else heartbeat
        if not self._ping_sent and now >= self._heard_at + heartbeat:
            self._ping_sent = True
            self._heard_at = now
            self._write(_FIN | _PING, b"")
            wait = heartbeat * _PONG_PART
        elif self._ping_sent and now >= self._heard_at + wait:
            self._lose(TimeoutError(f"the peer sent nothing for {heartbeat + wait} s and no pong for {wait} s"))
            return
        self._heartbeat_timer = self._loop.call_at(self._heard_at + wait, self._beat)

    def _lose(self, error: Exception) -> None:
        self.exception = error
        self.close_code = WSCloseCode.ABNORMAL_CLOSURE
        self._enqueue(WSMessage(WSMsgType.ERROR, error, None), 0)
        self._abort()
        self._receiver.wake()


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
