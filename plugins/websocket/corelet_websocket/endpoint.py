"""What applications do with an open WebSocket, on either side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from .connection import check_control_payload
from .errors import WSMessageTypeError
from .frame import MessageIterator
from .message import ENDS, WSCloseCode, WSMessage, WSMsgType

if TYPE_CHECKING:
    from .connection import WebSocketConnection

_TEXT = WSMsgType.TEXT
_BINARY = WSMsgType.BINARY


class WebSocketEndpoint:
    """Send and receive messages; the base of both sides' classes.

    One task may receive, any number may send: frames never interleave. A ``send_*`` waits while the peer is behind by
    more than the limit of bytes; cancelled while it waits, it has sent its message all the same. A ``receive`` that is
    cancelled loses none.
    """

    # Subclasses' constructors set these. No defaults here: a class attribute of the same name would take CPython's
    # short way to an instance's attribute from every message.
    _connection: WebSocketConnection | None
    _receive_timeout: float | None
    #: What a send on a closed socket raises.
    _reset_error: type[ConnectionResetError] = ConnectionResetError

    def require_connection(self, what: str) -> WebSocketConnection:
        """Give the connection; RuntimeError where there is none yet."""
        if self._connection is None:
            raise RuntimeError(f"{what} before prepare(): await ws.prepare(request) first")
        return self._connection

    # State.

    @property
    def closed(self) -> bool:
        """Whether the connection is closing or closed, from either side."""
        return self._connection is not None and self._connection.is_closing

    @property
    def close_code(self) -> int | None:
        """The peer's close code: 1005 where it gave none, 1006 where the connection was lost; None while it is open."""
        return None if self._connection is None else self._connection.close_code

    def exception(self) -> BaseException | None:
        """Why the connection failed; None where it has not."""
        return None if self._connection is None else self._connection.exception

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Ask the transport, as ``asyncio.BaseTransport.get_extra_info`` does.

        Args:
            name: "peername", "ssl_object", ...
            default: what is returned where the transport does not know, or is gone.
        """
        transport = None if self._connection is None else self._connection.transport
        return default if transport is None else transport.get_extra_info(name, default)

    # Receiving.

    async def receive(self, timeout: float | None = None) -> WSMessage:
        """Wait for the next message.

        Args:
            timeout: seconds to wait; default ``receive_timeout``.

        Returns:
            TEXT or BINARY; PING or PONG with ``autoping=False``; CLOSE when the peer closes, which with ``autoclose``
            is answered at once; CLOSING while another task of ours closes; CLOSED at the end; ERROR where the peer
            broke the protocol or is dead.

        Raises:
            TimeoutError: nothing came in time; the connection stays open.
            RuntimeError: another task is in ``receive()``, or a loop goes on receiving after CLOSED.
        """
        if timeout is None:
            timeout = self._receive_timeout
        connection = self.require_connection("receive()")
        if timeout:
            async with asyncio.timeout(timeout):
                return await connection.next_message(stops=False)
        return await connection.next_message(stops=False)

    async def receive_str(self, *, timeout: float | None = None) -> Any:
        """Wait for a TEXT message and give its data: a str, or bytes with ``decode_text=False``.

        Raises:
            WSMessageTypeError: another message came.
        """
        message = await self.receive(timeout)
        if message.type is not _TEXT:
            raise _make_type_error(message, _TEXT)
        return message.data

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Wait for a BINARY message and give its data.

        Raises:
            WSMessageTypeError: another message came.
        """
        message = await self.receive(timeout)
        if message.type is not _BINARY:
            raise _make_type_error(message, _BINARY)
        data: bytes = message.data
        return data

    async def receive_json(self, *, loads: Callable[[Any], Any] = json.loads, timeout: float | None = None) -> Any:
        """Wait for a TEXT message and decode it.

        Args:
            loads: the decoder.
            timeout: seconds to wait; default ``receive_timeout``.

        Raises:
            WSMessageTypeError: another message came.
        """
        return loads(await self.receive_str(timeout=timeout))

    def __aiter__(self) -> AsyncIterator[WSMessage]:
        # Most messages come this way: without frames of receive(), where it has no time to keep.
        if self._connection is None or self._receive_timeout:
            return self
        return MessageIterator(self._connection)

    async def __anext__(self) -> WSMessage:
        message = await self.receive()
        if message.type in ENDS:
            raise StopAsyncIteration
        return message

    # Sending.

    async def _send(self, opcode: int, data: Any, compress: int | None) -> None:
        connection = self._connection
        if connection is None:
            connection = self.require_connection("sending")
        try:
            if connection.send(opcode, data, compress):
                await connection.drain()
        except ConnectionResetError as exc:
            if self._reset_error is ConnectionResetError:
                raise
            raise self._reset_error(str(exc)) from None

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a TEXT message.

        Args:
            data: text.
            compress: zlib's level for this message, 0 to send it as it is; default the connection's setting.

        Raises:
            ConnectionResetError: the socket is closing or closed.
            TypeError: data that is no str.
            RuntimeError: before :meth:`prepare`.
        """
        if not isinstance(data, str):
            raise TypeError(f"send_str() takes a str, not {type(data).__name__}")
        connection = self._connection
        if connection is None or self._reset_error is not ConnectionResetError:
            await self._send(_TEXT, data, compress)
            return
        if connection.send(_TEXT, data, compress):
            await connection.drain()

    async def send_bytes(self, data: bytes | bytearray | memoryview, compress: int | None = None) -> None:
        """Send a BINARY message.

        Args:
            data: bytes.
            compress: as in :meth:`send_str`.

        Raises:
            ConnectionResetError: the socket is closing or closed.
            TypeError: data that is no bytes, bytearray or memoryview.
            RuntimeError: before :meth:`prepare`.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"send_bytes() takes bytes, bytearray or memoryview, not {type(data).__name__}")
        if isinstance(data, memoryview):
            data = data.cast("B") if data.c_contiguous else data.tobytes()
        connection = self._connection
        if connection is None or self._reset_error is not ConnectionResetError:
            await self._send(_BINARY, data, compress)
            return
        if connection.send(_BINARY, data, compress):
            await connection.drain()

    async def send_json(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], str] = json.dumps
    ) -> None:
        """Send data as JSON in a TEXT message.

        Args:
            data: anything that ``dumps`` takes.
            compress: as in :meth:`send_str`.
            dumps: the encoder.
        """
        await self.send_str(dumps(data), compress)

    async def send_json_bytes(self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], bytes]) -> None:
        """Send data as JSON in a BINARY message, by an encoder that gives bytes.

        Args:
            data: anything that ``dumps`` takes.
            compress: as in :meth:`send_str`.
            dumps: the encoder, like ``orjson.dumps``.
        """
        await self.send_bytes(dumps(data), compress)

    async def send_frame(self, message: bytes, opcode: WSMsgType, compress: int | None = None) -> None:
        """Send one whole message or control frame of any type, as it is.

        Args:
            message: the payload; TEXT must be UTF-8, which is not checked.
            opcode: TEXT, BINARY, PING or PONG; close by :meth:`close`.
            compress: as in :meth:`send_str`.

        Raises:
            ValueError: another opcode, or a control frame that is too long.
        """
        if opcode in (WSMsgType.PING, WSMsgType.PONG):
            message = check_control_payload(message)
        elif opcode not in (_TEXT, _BINARY):
            raise ValueError(f"opcode is {opcode!r}, expected TEXT, BINARY, PING or PONG")
        await self._send(opcode, message, compress)

    async def ping(self, message: bytes | str = b"") -> None:
        """Send a ping; the peer answers with a pong.

        Args:
            message: at most 125 bytes.

        Raises:
            ValueError: a longer one.
            ConnectionResetError: the socket is closing or closed.
        """
        await self._send(WSMsgType.PING, check_control_payload(message), None)

    async def pong(self, message: bytes | str = b"") -> None:
        """Send a pong nobody asked for; pings are answered by themselves.

        Args:
            message: at most 125 bytes.

        Raises:
            ValueError: a longer one.
            ConnectionResetError: the socket is closing or closed.
        """
        await self._send(WSMsgType.PONG, check_control_payload(message), None)

    # Ending.

    async def close_handshake(self, code: int, message: bytes | str) -> bool:
        """Send a close frame and wait for the peer's; False where the socket was closed or closing already."""
        connection = self.require_connection("close()")
        has_sent = connection.start_close(code, message.encode() if isinstance(message, str) else bytes(message))
        if has_sent:
            await connection.wait_handshake()
        return has_sent


def _make_type_error(message: WSMessage, expected: WSMsgType) -> WSMessageTypeError:
    return WSMessageTypeError(f"received {message.type!r} with {message.data!r:.100}, expected {expected!r}")


__all__ = ("WSCloseCode", "WebSocketEndpoint")
