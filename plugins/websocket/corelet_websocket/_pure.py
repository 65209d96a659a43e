"""Frames of RFC 6455 and what every message goes through: the plain reference, and what serves where nothing compiles.

A reader is fed bytes as they come and gives messages as they are complete. It checks as early as it can: a head before
its payload, text inside its frame. The first error ends it: :attr:`FrameReader.error`.
"""

from __future__ import annotations

import asyncio
import codecs
import os
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, Self

from .errors import WebSocketError
from .limits import (
    CODED_SLACK,
    FRAGMENT_BYTES,
    MAX_CONTROL_BYTES,
    MAX_FRAGMENTS,
    MESSAGE_OVERHEAD,
    READ_LIMIT,
    UNCOPIED_BYTES,
)
from .message import ENDS, WSMessage, WSMsgType, is_close_code

if TYPE_CHECKING:
    from .extension import WebSocketExtension

IMPLEMENTATION: Final = "pure"

_FIN: Final = 0x80
_RSV: Final = 0x70
_OPCODE: Final = 0x0F
_MASKED: Final = 0x80
_LENGTH: Final = 0x7F
_CONTROL: Final = 0x08
_TYPES: Final = {int(kind): kind for kind in WSMsgType if kind < 256}
_CONTENT: Final = (WSMsgType.TEXT, WSMsgType.BINARY)
_TEXT: Final = int(WSMsgType.TEXT)
_CLOSE: Final = int(WSMsgType.CLOSE)
_INVALID_TEXT: Final = 1007
_NOT_UTF8: Final = "a text message is not UTF-8"


def apply_mask(data: bytes, key: bytes) -> bytes:
    """Mask or unmask bytes by a key of 4 bytes. Source: RFC 6455 section 5.3."""
    size = len(data)
    keys = key * (size // 4) + key[: size % 4]
    return (int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")).to_bytes(size, "little")


def serialize_frame(first: int, payload: bytes | bytearray | memoryview | str, is_masked: bool) -> bytes:
    """Make one frame.

    Args:
        first: its first byte: FIN, reserved bits, opcode.
        payload: bytes, or text to be sent as UTF-8.
        is_masked: whether to mask it by a new key, as clients must.

    Raises:
        UnicodeEncodeError: text with a lone surrogate.

    Source: RFC 6455 section 5.2.
    """
    data = payload.encode() if isinstance(payload, str) else bytes(payload)
    head = serialize_head(first, len(data), is_masked)
    if not is_masked:
        return head + data
    key = os.urandom(4)
    return head + key + apply_mask(data, key)


def serialize_head(first: int, length: int, is_masked: bool) -> bytes:
    """Make the head of a frame, without the key of a masked one."""
    mark = _MASKED if is_masked else 0
    if length < 126:
        return bytes((first, mark | length))
    if length < 65536:
        return bytes((first, mark | 126)) + length.to_bytes(2, "big")
    return bytes((first, mark | 127)) + length.to_bytes(8, "big")


class FrameReader:
    """Turn bytes into messages.

    Args:
        is_client: whether the peer is a server, which must not mask.
        max_msg_size: bytes of a message after extensions have decoded it; 0 for no limit.
        extensions: what was negotiated, in the order of the answer.
        decode_text: whether text messages are str; else they are bytes, checked all the same.
    """

    def __init__(
        self,
        *,
        is_client: bool,
        max_msg_size: int,
        extensions: Sequence[WebSocketExtension] = (),
        decode_text: bool = True,
    ) -> None:
        self._is_client = is_client
        self._max_size = max_msg_size
        self._extensions = tuple(reversed(extensions))
        self._decode_text = decode_text
        self._known_bits = 0
        for extension in extensions:
            self._known_bits |= extension.rsv
        #: What ended the reader: it takes nothing more then.
        self.error: WebSocketError | None = None
        # A head that is not complete.
        self._rest = b""
        # The frame whose payload is being read.
        self._in_payload = False
        self._opcode = 0
        self._is_last = False
        self._left = 0
        self._key = b""
        self._frame = bytearray()
        # The message that it belongs to; opcode 0 between messages.
        self._message_opcode = 0
        self._is_coded = False
        self._coders: tuple[WebSocketExtension, ...] = ()
        self._fragments = 0
        self._message = bytearray()
        self._text: list[str] = []
        self._decoder: codecs.IncrementalDecoder | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no message has begun."""
        return not (self._rest or self._in_payload or self._message_opcode)

    def feed_data(self, data: bytes) -> list[WSMessage]:
        """Give received bytes to the reader and take the messages that they complete; see :attr:`error` afterwards."""
        messages: list[WSMessage] = []
        if self.error is not None:
            return messages
        try:
            self._feed(data, messages)
        except WebSocketError as exc:
            self.error = exc
        return messages

    def _feed(self, data: bytes, messages: list[WSMessage]) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        at = 0
        while True:
            if not self._in_payload:
                start = self._start_frame(data, at)
                if start is None:
                    self._rest = data[at:]
                    return
                at = start
            taken = data[at : at + self._left]
            at += len(taken)
            self._left -= len(taken)
            if taken:
                self._take_payload(taken)
            if self._left:
                return
            self._in_payload = False
            message = self._end_frame()
            if message is not None:
                messages.append(message)

    def _start_frame(self, data: bytes, at: int) -> int | None:
        """Read a head; where its payload begins, None while it is not complete."""
        available = len(data) - at
        if available < 2:
            return None
        first, second = data[at], data[at + 1]
        self._check_head(first, second)
        at += 2
        length = second & _LENGTH
        size = {126: 2, 127: 8}.get(length, 0)
        key_size = 4 if second & _MASKED else 0
        if available < 2 + size:
            return None
        if size:
            length = _read_length(data[at : at + size])
            at += size
        self._check_length(first, length)
        if available < 2 + size + key_size:
            return None
        self._key = data[at : at + key_size]
        self._in_payload = True
        self._opcode = first & _OPCODE
        self._is_last = bool(first & _FIN)
        self._left = length
        if not first & _CONTROL:
            self._start_fragment(first)
        return at + key_size

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & _OPCODE
        if opcode not in _TYPES:
            raise WebSocketError(1002, f"opcode is {opcode:#x}, which is reserved")
        bits = first & _RSV
        if bits and (bits & ~self._known_bits or opcode & _CONTROL or not opcode):
            raise WebSocketError(1002, f"reserved bits are {bits:#04x}, which nothing that was negotiated allows here")
        if opcode & _CONTROL:
            if not first & _FIN:
                raise WebSocketError(1002, "a control frame is fragmented")
            if second & _LENGTH > MAX_CONTROL_BYTES:
                raise WebSocketError(1002, f"a control frame has more than {MAX_CONTROL_BYTES} bytes")
        elif opcode and self._message_opcode:
            raise WebSocketError(1002, "a new message came before the end of a fragmented one")
        elif not opcode and not self._message_opcode:
            raise WebSocketError(1002, "a continuation came without a beginning")
        if bool(second & _MASKED) is self._is_client:
            raise WebSocketError(1002, f"a frame of the {'server is' if self._is_client else 'client is not'} masked")

    def _check_length(self, first: int, length: int) -> None:
        """Refuse what is too long before any of it is read."""
        limit = self._max_size
        if first & _CONTROL or not limit:
            return
        opcode = first & _OPCODE
        is_coded = self._is_coded if not opcode else bool(self._find_coders(first))
        if is_coded:
            if length + len(self._frame) > limit + CODED_SLACK:
                raise WebSocketError(1009, f"a frame has {length} coded bytes, limit for a message {limit}")
        elif (size := length + len(self._message)) > limit:
            raise WebSocketError(1009, f"a message has at least {size} bytes, limit {limit}")

    def _find_coders(self, first: int) -> tuple[WebSocketExtension, ...]:
        return tuple(each for each in self._extensions if not each.rsv or first & each.rsv)

    def _start_fragment(self, first: int) -> None:
        if first & _OPCODE:
            self._message_opcode = first & _OPCODE
            self._coders = self._find_coders(first)
            self._is_coded = bool(self._coders)
            self._fragments = 0
            self._decoder = None
            if self._message_opcode == _TEXT:
                self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS + len(self._message) // FRAGMENT_BYTES:
            raise WebSocketError(1008, f"a message of {len(self._message)} bytes came in {self._fragments} fragments")

    def _take_payload(self, data: bytes) -> None:
        if self._key:
            data = apply_mask(data, self._key)
            turned = len(data) % 4
            self._key = self._key[turned:] + self._key[:turned]
        if self._opcode & _CONTROL or self._is_coded:
            self._frame += data
        else:
            self._take_content(data)

    def _take_content(self, data: bytes) -> None:
        self._message += data
        if self._decoder is not None:
            self._text.append(self._decode(data, is_last=False))

    def _decode(self, data: bytes, is_last: bool) -> str:
        assert self._decoder is not None
        try:
            text = self._decoder.decode(data, is_last)
        except UnicodeDecodeError:
            raise WebSocketError(_INVALID_TEXT, _NOT_UTF8) from None
        # Python's decoder waits for the third byte of a surrogate before it refuses the second.
        pending = self._decoder.getstate()[0]
        if pending[:1] == b"\xed" and pending[1:2] > b"\x9f":
            raise WebSocketError(_INVALID_TEXT, _NOT_UTF8)
        return text

    def _end_frame(self) -> WSMessage | None:
        if self._opcode & _CONTROL:
            payload = bytes(self._frame_of_control())
            return _make_close(payload) if self._opcode == _CLOSE else WSMessage(_TYPES[self._opcode], payload, "")
        if self._is_coded:
            coded = bytes(self._frame)
            self._frame.clear()
            self._take_content(self._decode_coded(coded))
        return self._end_message() if self._is_last else None

    def _frame_of_control(self) -> bytearray:
        payload, self._frame = self._frame, bytearray()
        return payload

    def _decode_coded(self, data: bytes) -> bytes:
        room = self._max_size - len(self._message) if self._max_size else -1
        for extension in self._coders:
            data = extension.decode(data, self._is_last, room)
        return data

    def _end_message(self) -> WSMessage:
        data: Any = bytes(self._message)
        kind = _TYPES[self._message_opcode]
        if self._decoder is not None:
            self._text.append(self._decode(b"", is_last=True))
            if self._decode_text:
                data = "".join(self._text)
        self._message.clear()
        self._text.clear()
        self._message_opcode = 0
        return WSMessage(kind, data, "")


def _read_length(data: bytes) -> int:
    length = int.from_bytes(data, "big")
    if length >> 63:
        raise WebSocketError(1002, "a frame's length has its highest bit set")
    if length < (126 if len(data) == 2 else 65536):
        raise WebSocketError(1002, f"a frame's length {length} is written in {len(data)} bytes, which it does not need")
    return length


def _make_close(payload: bytes) -> WSMessage:
    if not payload:
        return WSMessage(WSMsgType.CLOSE, 0, "")
    if len(payload) == 1:
        raise WebSocketError(1002, "a close frame has half a code")
    code = int.from_bytes(payload[:2], "big")
    if not is_close_code(code):
        raise WebSocketError(1002, f"close code is {code}, which is never sent")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise WebSocketError(_INVALID_TEXT, "the reason in a close frame is not UTF-8") from None
    return WSMessage(WSMsgType.CLOSE, code, reason)


PARALLEL_RECEIVE: Final = (
    "receive() is called while another task waits in it: let one task receive and hand messages on, by an "
    "asyncio.Queue for example"
)


class Receiver:
    """A future-like object, as :func:`asyncio.isfuture` knows them, that one task at a time awaits, again and again.

    An ``asyncio.Future`` for each message would be made, and would wake its task in the loop's next turn. This one
    wakes it in the callback that has read the message, as an eagerly started task runs; where another task is at work
    then, in the next turn.
    """

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_is_cancelled", "_loop", "_reason")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._is_cancelled = False
        self._reason: Any = None

    def wake(self) -> None:
        """Let the task that waits go on, now where no other task runs."""
        callback, self._callback = self._callback, None
        if callback is None:
            return
        context, self._context = self._context, None
        if context is None or asyncio.current_task(self._loop) is not None:
            self._loop.call_soon(callback, self, context=context)
            return
        try:
            context.run(callback, self)
        except (SystemExit, KeyboardInterrupt) as exc:
            # uvloop would take it for an error of the protocol.
            self._loop.call_soon(_raise, exc)

    def __await__(self) -> Generator[Any, None, None]:
        self._is_cancelled = False
        self._asyncio_future_blocking = True
        yield self

    # What a task asks of a future.

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Take what wakes the task."""
        self._callback = callback
        self._context = context

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget what wakes the task."""
        known = int(self._callback is not None and self._callback == callback)
        if known:
            self._callback = None
        return known

    def cancel(self, msg: Any | None = None) -> bool:
        """Wake the task with a CancelledError, in the loop's next turn."""
        callback, self._callback = self._callback, None
        if callback is None:
            return False
        self._is_cancelled = True
        self._reason = msg
        self._loop.call_soon(callback, self, context=self._context)
        return True

    def result(self) -> None:
        """Give None, or raise what the task was woken for."""
        if self._is_cancelled:
            raise asyncio.CancelledError() if self._reason is None else asyncio.CancelledError(self._reason)

    def exception(self) -> None:
        """Give None, or raise CancelledError."""
        self.result()

    def done(self) -> bool:
        """Whether nobody waits."""
        return self._callback is None

    def cancelled(self) -> bool:
        """Whether the wait was cancelled."""
        return self._is_cancelled

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it was made in."""
        return self._loop


def _raise(exc: BaseException) -> None:
    raise exc


class Channel:
    """What every message goes through, in and out: the part of a connection that is worth compiling.

    A subclass has ``take_control``, ``take_error``, ``take_end``, ``react``, ``pause_reading`` and ``resume_reading``.

    Args:
        loop: the loop that it runs in.
        reader: what turns bytes into messages.
        is_client: whether this side masks.
        extensions: what was negotiated.
        has_heartbeat: whether the time of what is received is noted.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reader: FrameReader,
        *,
        is_client: bool,
        extensions: Sequence[WebSocketExtension],
        has_heartbeat: bool,
    ) -> None:
        self.loop: Final = loop
        self.reader: Final = reader
        self.receiver: Final = Receiver(loop)
        self.is_client: Final = is_client
        self.extensions: Final = tuple(extensions)
        self.has_heartbeat: Final = has_heartbeat
        #: The transport; None once it is gone.
        self.transport: asyncio.Transport | None = None
        #: What ``receive()`` gives when no message waits any more.
        self.ended: WSMessage | None = None
        # Messages that wait: one by itself, since most times there is no other; the deque for more is made when needed.
        self._first: WSMessage | None = None
        self._queue: deque[WSMessage] | None = None
        self.queued_bytes = 0
        #: The socket, where the compiled twin may write to it by a system call; -1 where only the transport may.
        self.descriptor = -1
        self.heard_at = 0.0
        self.ping_sent = False
        self.close_sent = False
        self.close_received = False
        self.is_failed = False
        #: Whether the peer is behind, so that senders wait.
        self.is_behind = False
        #: Whether a task waits for a message.
        self.is_receiving = False
        self.is_reading_paused = False

    if TYPE_CHECKING:

        def take_control(self, message: WSMessage) -> None: ...

        def take_error(self, error: WebSocketError) -> None: ...

        def take_end(self) -> WSMessage | None: ...

        def react(self, message: WSMessage) -> None: ...

        def pause_reading(self) -> None: ...

        def resume_reading(self) -> None: ...

    def data_received(self, data: bytes) -> None:
        """Take bytes, and wake who waits for the messages that they complete."""
        if self.is_failed:
            return
        if self.has_heartbeat:
            self.heard_at = self.loop.time()
            self.ping_sent = False
        for message in self.reader.feed_data(data):
            if message.type not in _CONTENT:
                self.take_control(message)
            elif not self.close_sent and not self.close_received:
                self.enqueue(message)
        if self._first is not None:
            self.receiver.wake()
            if self.queued_bytes > READ_LIMIT and not self.close_sent:
                self.pause_reading()
        if self.reader.error is not None:
            self.take_error(self.reader.error)

    def enqueue(self, message: WSMessage) -> None:
        """Let a message wait for :meth:`take_message`."""
        self.queued_bytes += _weigh(message)
        if self._first is None:
            self._first = message
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append(message)

    def take_message(self) -> WSMessage | None:
        """Take the next message without waiting; None where there is none yet."""
        message = self._first
        if message is None:
            return self.take_end()
        self._first = self._queue.popleft() if self._queue else None
        self.queued_bytes -= _weigh(message)
        if self.is_reading_paused and self.queued_bytes <= READ_LIMIT // 2:
            self.resume_reading()
        return message

    async def next_message(self, *, stops: bool) -> WSMessage:
        """Wait for the next message.

        Args:
            stops: whether the end is no message.

        Raises:
            RuntimeError: another task waits.
            StopAsyncIteration: the end has come, and ``stops``.
        """
        if self.is_receiving:
            raise RuntimeError(PARALLEL_RECEIVE)
        message = self.take_message()
        if message is None:
            self.is_receiving = True
            try:
                while message is None:
                    await self.receiver
                    message = self.take_message()
            finally:
                self.is_receiving = False
        if message.type not in _CONTENT:
            self.react(message)
            if stops and message.type in ENDS:
                raise StopAsyncIteration
        return message

    @property
    def has_message(self) -> bool:
        """Whether a message waits."""
        return self._first is not None

    def drop_messages(self) -> None:
        """Forget what waits."""
        self._first = self._queue = None
        self.queued_bytes = 0

    def send(self, opcode: int, data: bytes | bytearray | memoryview | str, level: int | None = None) -> bool:
        """Hand a message or a control frame to the transport.

        Returns:
            Whether the peer is behind, so that the sender waits.

        Raises:
            ConnectionResetError: the connection is closing or closed.
        """
        if self.close_sent or self.transport is None or self.transport.is_closing():
            raise ConnectionResetError("the WebSocket is closed: it can't send any more")
        first = _FIN | opcode
        if self.extensions and not opcode & _CONTROL:
            data = data.encode() if isinstance(data, str) else bytes(data)
            for extension in self.extensions:
                coded = extension.encode(data, level)
                if coded is not None:
                    data = coded
                    first |= extension.rsv
        self.write_frame(first, data)
        return self.is_behind

    def note_queued(self) -> None:
        """Tell the compiled twin that somebody has written to the transport in this turn of the loop."""

    def write_frame(self, first: int, data: bytes | bytearray | memoryview | str) -> None:
        """Hand one frame to the transport."""
        assert self.transport is not None
        if self.is_client or not isinstance(data, bytes) or len(data) < UNCOPIED_BYTES:
            self.transport.write(serialize_frame(first, data, self.is_client))
        else:
            self.transport.write(serialize_head(first, len(data), is_masked=False))
            self.transport.write(data)


class MessageIterator:
    """Give a channel's messages to ``async for``, which ends with the connection."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Awaitable[WSMessage]:
        return self._channel.next_message(stops=True)


def _weigh(message: WSMessage) -> int:
    """What a waiting message counts against the limit; those that come once count nothing."""
    return len(message.data) + MESSAGE_OVERHEAD if isinstance(message.data, str | bytes) else 0
