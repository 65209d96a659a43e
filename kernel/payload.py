"""Payloads: what writes itself as the body of a message; and the registry that finds one for an object.

Files are read in a thread, in pieces; large bytes are written in pieces too, so that others have their turn
while the peer is behind. Where the source can be read again, a payload can be written again: it starts where the
source stood when the payload was made.
"""

from __future__ import annotations

import asyncio
import codecs
import enum
import io
import json
import mimetypes
import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from typing import IO, Any, Final, TextIO, TypeVar

from multidict import CIMultiDict

from . import hdrs
from .abc import FILE_PIECE_BYTES, AbstractStreamWriter
from .fields import DEFAULT_CONTENT_TYPE, format_content_disposition, parse_content_type
from .streams import StreamReader

_T = TypeVar("_T")

#: Bytes of a file that are read at once.
READ_BYTES: Final = FILE_PIECE_BYTES
#: Bytes that are written in one piece; more than that in pieces of ``READ_BYTES``.
ONE_PIECE_BYTES: Final = 1_048_576

_NOT_GIVEN: Final[Any] = object()

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


class Order(enum.Enum):
    """When a registered payload class is tried: of two that take an object, the earlier one gets it."""

    normal = "normal"
    try_first = "try_first"
    try_last = "try_last"


class Payload(ABC):
    """Write an object as a body.

    Args:
        value: the object.
        headers: fields for the head of the message, or of the part of a multipart one; they win over the arguments.
        content_type: of the body; guessed by ``filename``, else ``application/octet-stream``, unless given.
        filename: the name of the file, without a directory.
        encoding: of text.
    """

    _default_content_type: str = DEFAULT_CONTENT_TYPE

    def __init__(
        self,
        value: Any,
        headers: Headers | None = None,
        content_type: str | None = _NOT_GIVEN,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        self._value = value
        self._filename = filename
        self._encoding = encoding
        self._headers: CIMultiDict[str] = CIMultiDict()
        if content_type is not None:
            self._headers[hdrs.CONTENT_TYPE] = self._guess_type() if content_type is _NOT_GIVEN else content_type
        if headers is not None:
            self._headers.update(headers)

    def _guess_type(self) -> str:
        if self._filename is None:
            return self._default_content_type
        return mimetypes.guess_type(self._filename)[0] or self._default_content_type

    @property
    def size(self) -> int | None:
        """Bytes that will be written; None where nobody knows before."""
        return None

    @property
    def filename(self) -> str | None:
        """The name of the file."""
        return self._filename

    @property
    def headers(self) -> CIMultiDict[str]:
        """Fields for the head: Content-Type, and what was given or set."""
        return self._headers

    @property
    def encoding(self) -> str | None:
        """The encoding of text."""
        return self._encoding

    @property
    def content_type(self) -> str:
        """The media type with its parameters."""
        return self._headers.get(hdrs.CONTENT_TYPE) or self._guess_type()

    @property
    def consumed(self) -> bool:
        """Whether it was written and can't be written again."""
        return False

    @property
    def autoclose(self) -> bool:
        """Whether there is nothing to close."""
        return False

    def set_content_disposition(
        self, disptype: str, quote_fields: bool = True, _charset: str = "utf-8", **params: Any
    ) -> None:
        """Set Content-Disposition, such as ``attachment`` with ``filename="x.txt"``.

        Args:
            disptype: ``attachment``, ``inline`` or ``form-data``.
            quote_fields: escape what needs it.
            _charset: of text beyond ASCII, where it is escaped.
            params: parameters.

        Raises:
            ValueError: a type or a parameter that can't be sent.

        Source: RFC 6266 section 4.1.
        """
        parameters = [(name, str(value)) for name, value in params.items()]
        self._headers[hdrs.CONTENT_DISPOSITION] = format_content_disposition(
            disptype, parameters, quote_fields=quote_fields, charset=_charset
        )

    @abstractmethod
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Get the content as text, at once; a file is read while everything waits.

        Raises:
            TypeError: the content comes bit by bit.
        """

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Get the content as it would be written; text by ``encoding``, unless the payload has one of its own."""
        return self.decode(encoding, errors).encode(self._encoding or encoding, errors)

    @abstractmethod
    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the whole content.

        Raises:
            RuntimeError: it was written before and can't be read again.
        """

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the content, at most ``content_length`` bytes of it where that is not None.

        A subclass that can't stop early leaves it at this, which writes everything.
        """
        await self.write(writer)

    async def close(self) -> None:  # noqa: B027  # most payloads hold nothing
        """Give back what the payload holds; a second call does nothing."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.content_type} size={self.size}>"


async def _write_pieces(writer: AbstractStreamWriter, data: memoryview) -> None:
    """Write bytes, large ones in pieces so that others have their turn where nobody has to wait for the peer."""
    if len(data) <= ONE_PIECE_BYTES:
        await writer.write(data)
        return
    for start in range(0, len(data), READ_BYTES):
        await writer.write(data[start : start + READ_BYTES])
        await asyncio.sleep(0)


class BytesPayload(Payload):
    """Write bytes, a bytearray or a memoryview."""

    def __init__(self, value: bytes | bytearray | memoryview, *args: Any, **kwargs: Any) -> None:
        if not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"value is bytes, a bytearray or a memoryview, not {type(value).__name__}")
        super().__init__(value.cast("B") if isinstance(value, memoryview) else value, *args, **kwargs)

    @property
    def size(self) -> int:
        """The number of bytes."""
        return len(self._value)

    @property
    def autoclose(self) -> bool:
        """True: bytes hold nothing."""
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Decode the bytes."""
        return bytes(self._value).decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Get the bytes as they are."""
        return bytes(self._value)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the bytes."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the first ``content_length`` bytes, or all."""
        if type(self._value) is bytes and content_length is None and len(self._value) <= ONE_PIECE_BYTES:
            await writer.write(self._value)
        else:
            await _write_pieces(writer, memoryview(self._value)[:content_length])


class StringPayload(BytesPayload):
    """Write text.

    Args:
        value: the text.
        encoding: how it is encoded; that of ``content_type`` or utf-8 unless given.
        content_type: ``text/plain`` with the encoding unless given.
    """

    def __init__(
        self, value: str, *args: Any, encoding: str | None = None, content_type: str | None = None, **kwargs: Any
    ) -> None:
        encoding, content_type = _complete_text_type(encoding, content_type)
        super().__init__(value.encode(encoding), *args, encoding=encoding, content_type=content_type, **kwargs)


def _complete_text_type(encoding: str | None, content_type: str | None) -> tuple[str, str]:
    """Fill in encoding by type, and type by encoding."""
    if content_type is None:
        encoding = encoding or "utf-8"
        return encoding, f"text/plain; charset={encoding}"
    if encoding is None:
        encoding = parse_content_type(content_type)[1].get("charset", "utf-8")
    return encoding, content_type


class StringIOPayload(StringPayload):
    """Write the rest of an ``io.StringIO``."""

    def __init__(self, value: IO[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(value.read(), *args, **kwargs)


class JsonPayload(BytesPayload):
    """Write an object as JSON.

    Args:
        value: the object.
        encoding: of the text. Source: RFC 8259 section 8.1 asks for utf-8.
        content_type: of the body.
        dumps: makes the text.
    """

    def __init__(
        self,
        value: Any,
        encoding: str = "utf-8",
        content_type: str = "application/json",
        dumps: Callable[[Any], str] = json.dumps,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(dumps(value).encode(encoding), *args, content_type=content_type, encoding=encoding, **kwargs)


class IOBasePayload(Payload):
    """Write the rest of a file, read in a thread.

    Closed by :meth:`close`, not by writing: where it can be sought, it is written from where it stood when the payload
    was made, and can be written again. Who begins to write it again has it alone: who was still writing it gets a
    RuntimeError.

    Args:
        value: the file; what it reads is bytes, or text for :class:`TextIOPayload`.
        disposition: the type of Content-Disposition where there is a file name; None for no such field.
    """

    def __init__(
        self,
        value: IO[Any],
        disposition: str | None = "attachment",
        *,
        headers: Headers | None = None,
        content_type: str | None = _NOT_GIVEN,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__(value, headers, content_type, filename or _find_filename(value), encoding)
        self._start = _find_position(value)
        self._size: int | None = None
        self._is_written = False
        self._is_closed = False
        self._lock = threading.Lock()
        self._turn = 0
        if self._filename is not None and disposition is not None and hdrs.CONTENT_DISPOSITION not in self._headers:
            self.set_content_disposition(disposition, filename=self._filename)

    @property
    def size(self) -> int | None:
        """Bytes from where the file stood to its end, as of the first call; None for what is no plain file.

        It stays so where the file grows: heads that have told it are right.
        """
        if self._size is None:
            self._size = self._find_size()
        return self._size

    def _find_size(self) -> int | None:
        raw = getattr(self._value, "raw", self._value)
        if not isinstance(raw, io.FileIO) or self._start is None or raw.closed:
            return None
        facts = os.fstat(raw.fileno())
        return max(facts.st_size - self._start, 0) if stat.S_ISREG(facts.st_mode) else None

    @property
    def consumed(self) -> bool:
        """Whether the file was written and can't be sought, or is closed."""
        return self._is_closed or (self._is_written and self._start is None)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Read the file while everything waits, and decode it."""
        return self._read(self._take_turn(), -1, is_first=True).decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Read the whole file."""
        return await _run_in_thread(partial(self._read, self._take_turn(), -1, is_first=True))

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write the file to its end."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the file to its end, or the next ``content_length`` bytes."""
        left = content_length
        turn = self._take_turn()
        is_first = True
        while left is None or left > 0:
            size = READ_BYTES if left is None else min(left, READ_BYTES)
            piece = await _run_in_thread(partial(self._read, turn, size, is_first=is_first))
            if not piece:
                break
            # What was encoded may be longer than what was read.
            piece = piece if left is None else piece[:left]
            await writer.write(piece)
            left = None if left is None else left - len(piece)
            is_first = False

    def _take_turn(self) -> int:
        self._turn += 1
        return self._turn

    def _read(self, turn: int, size: int, *, is_first: bool) -> bytes:
        """Read for who has begun last; where a task was cancelled its thread goes on, and would take a piece away."""
        try:
            with self._lock:
                if turn != self._turn:
                    raise RuntimeError(f"{self!r} is being written again: who wrote it before can't go on")
                if self._is_closed:
                    raise RuntimeError(f"{self!r} was closed before and can't be read")
                return self._read_first(size) if is_first else self._read_next(size)
        finally:
            if self._is_closed:  # close() may have left it to who was reading
                self._close()

    def _read_first(self, size: int) -> bytes:
        if self._is_written and self._start is None:
            raise RuntimeError(f"{self!r} was written before and can't be read again")
        if self._start is not None:
            self._value.seek(self._start)
        self._is_written = True
        return self._read_next(size)

    def _read_next(self, size: int) -> bytes:
        data: bytes = self._value.read(size)
        return data

    async def close(self) -> None:
        """Close the file, in a thread; a second call does nothing.

        A pipe that somebody reads is closed when that is over: it may take as long as its other end likes.
        """
        if self._is_closed:
            return
        self._is_closed = True
        if self._start is not None or not self._lock.locked():
            await _run_in_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            self._value.close()


class TextIOPayload(IOBasePayload):
    """Write the rest of a file that is open for text.

    Args:
        value: the file.
        encoding: how the text is encoded; that of ``content_type`` or utf-8 unless given.
        content_type: ``text/plain`` with the encoding unless given.
    """

    def __init__(
        self,
        value: TextIO,
        disposition: str | None = "attachment",
        *,
        headers: Headers | None = None,
        content_type: str | None = None,
        filename: str | None = None,
        encoding: str | None = None,
    ) -> None:
        self._text_encoding, content_type = _complete_text_type(encoding, content_type)
        super().__init__(
            value,
            disposition,
            headers=headers,
            content_type=content_type,
            filename=filename,
            encoding=self._text_encoding,
        )
        self._encoder = codecs.getincrementalencoder(self._text_encoding)()

    @property
    def size(self) -> int | None:
        """None: newlines and encoding may differ from the file's."""
        return None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Read the text while everything waits."""
        return super().decode(self._text_encoding, errors)

    def _read_first(self, size: int) -> bytes:
        self._encoder.reset()
        return super()._read_first(size)

    def _read_next(self, size: int) -> bytes:
        text: str = self._value.read(size)
        return self._encoder.encode(text, final=not text or size < 0)


class BytesIOPayload(IOBasePayload):
    """Write the rest of an ``io.BytesIO``; closing leaves it open, since it holds nothing but memory."""

    @property
    def size(self) -> int:
        """Bytes from where it stood to its end."""
        return max(len(self._value.getbuffer()) - (self._start or 0), 0)

    @property
    def autoclose(self) -> bool:
        """True: nothing has to be closed."""
        return True

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Decode the bytes."""
        return self._get_rest().decode(encoding, errors)

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Get the bytes."""
        return self._get_rest()

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write the next ``content_length`` bytes, or all."""
        await _write_pieces(writer, memoryview(self._get_rest())[:content_length])

    def _get_rest(self) -> bytes:
        value: io.BytesIO = self._value
        return value.getvalue()[self._start or 0 :]

    async def close(self) -> None:
        """Do nothing."""


class BufferedReaderPayload(IOBasePayload):
    """Write the rest of a file that is open for bytes."""


class AsyncIterablePayload(Payload):
    """Write what an async iterable gives, piece by piece; once, unless :meth:`as_bytes` has kept it."""

    def __init__(self, value: AsyncIterable[bytes], *args: Any, **kwargs: Any) -> None:
        if not isinstance(value, AsyncIterable):
            raise TypeError(f"value is an async iterable of bytes, not {type(value).__name__}")
        super().__init__(value, *args, **kwargs)
        self._iterator: AsyncIterator[bytes] | None = aiter(value)
        self._kept: bytes | None = None

    @property
    def consumed(self) -> bool:
        """Whether it was written and nothing was kept."""
        return self._iterator is None and self._kept is None

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """Decode what :meth:`as_bytes` has kept.

        Raises:
            TypeError: it wasn't called before; what comes bit by bit can't be had at once.
        """
        if self._kept is not None:
            return self._kept.decode(encoding, errors)
        raise TypeError("the content of an async iterable can't be decoded at once: await as_bytes() first")

    async def as_bytes(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Read the iterable to its end, and keep that: it can be written as often as needed then."""
        if self._kept is None:
            self._kept = b"".join([piece async for piece in self._take_iterator()])
        return self._kept

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write to the end of the iterable."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Write to the end of the iterable, or the first ``content_length`` bytes; the rest is not asked for then."""
        if self._kept is not None:
            await _write_pieces(writer, memoryview(self._kept)[:content_length])
            return
        left = content_length
        iterator = self._take_iterator()
        try:
            async for piece in iterator:
                await writer.write(piece if left is None else piece[:left])
                left = None if left is None else left - len(piece)
                if left is not None and left <= 0:
                    break
        finally:
            await _close_iterator(iterator)

    def _take_iterator(self) -> AsyncIterator[bytes]:
        iterator, self._iterator = self._iterator, None
        if iterator is None:
            raise RuntimeError(f"{self!r} was written or closed before and can't be read again")
        return iterator

    async def close(self) -> None:
        """Close the iterable, if it was never written."""
        iterator, self._iterator = self._iterator, None
        if iterator is not None:
            await _close_iterator(iterator)


class StreamReaderPayload(AsyncIterablePayload):
    """Write what a stream receives, as it comes."""

    def __init__(self, value: StreamReader, *args: Any, **kwargs: Any) -> None:
        super().__init__(value.iter_any(), *args, **kwargs)


async def _close_iterator(iterator: AsyncIterator[bytes]) -> None:
    """Let an async generator run its ``finally`` now instead of whenever it is collected."""
    aclose = getattr(iterator, "aclose", None)
    if aclose is not None:
        await aclose()


async def _run_in_thread(function: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(None, function)


def _find_filename(value: Any) -> str | None:
    """Take the name of an open file; ``<stdin>`` and file descriptors have none."""
    name = getattr(value, "name", None)
    if isinstance(name, str) and name and name[0] != "<" and name[-1] != ">":
        return os.path.basename(name)
    return None


def _find_position(value: IO[Any]) -> int | None:
    """Find where a file stands; None where it can't be sought."""
    try:
        return value.tell() if value.seekable() else None
    except (AttributeError, OSError):
        return None


PayloadFactory = Callable[..., Payload]


class PayloadRegistry:
    """Find the payload class for an object."""

    def __init__(self) -> None:
        self._entries: dict[Order, list[tuple[Any, PayloadFactory]]] = {order: [] for order in Order}

    def register(self, factory: PayloadFactory, types: Any, *, order: Order = Order.normal) -> None:
        """Have objects of a type written by a payload class.

        Args:
            factory: called with the object and what else is known of it.
            types: a class or a tuple of classes, as for ``isinstance``.
            order: before or after others that take such objects too; among equals the first one registered counts.
        """
        self._entries[order].append((types, factory))

    def get(self, data: Any, *args: Any, **kwargs: Any) -> Payload:
        """Make the payload for an object; a Payload is its own.

        Raises:
            PayloadLookupError: no class is registered for it.
        """
        if isinstance(data, Payload):
            return data
        for order in (Order.try_first, Order.normal, Order.try_last):
            for types, factory in self._entries[order]:
                if isinstance(data, types):
                    return factory(data, *args, **kwargs)
        raise PayloadLookupError(
            f"no payload class is registered for {type(data).__qualname__}: a body is bytes, a str, a file, an async "
            "iterable of bytes or a Payload; json_response() takes what JSON knows"
        )


class PayloadLookupError(LookupError):
    """Report an object that no registered payload class takes."""


#: What makes payloads of objects, for responses and requests; :class:`payload_type` adds to it.
PAYLOAD_REGISTRY: Final = PayloadRegistry()


def get_payload(data: Any, *args: Any, **kwargs: Any) -> Payload:
    """Make the payload for an object, by the registry; see :meth:`PayloadRegistry.get`."""
    return PAYLOAD_REGISTRY.get(data, *args, **kwargs)


_F = TypeVar("_F", bound=PayloadFactory)


class payload_type:  # noqa: N801  # a decorator, by the field's name for it
    """Decorate a payload class to register it.

    Args:
        type: what it takes, as for ``isinstance``.
        order: before or after others that take it too.
    """

    def __init__(self, type: Any, *, order: Order = Order.normal) -> None:  # noqa: A002  # the field's name for it
        self._type = type
        self._order = order

    def __call__(self, factory: _F) -> _F:
        PAYLOAD_REGISTRY.register(factory, self._type, order=self._order)
        return factory


for _factory, _types in (
    (BytesPayload, (bytes, bytearray, memoryview)),
    (StringPayload, str),
    (StringIOPayload, io.StringIO),
    (BytesIOPayload, io.BytesIO),
    (BufferedReaderPayload, (io.BufferedReader, io.BufferedRandom)),
    (TextIOPayload, io.TextIOBase),
    (IOBasePayload, io.IOBase),
    (StreamReaderPayload, StreamReader),
):
    PAYLOAD_REGISTRY.register(_factory, _types)
# Last, since files and streams may be async iterables as well.
PAYLOAD_REGISTRY.register(AsyncIterablePayload, AsyncIterable, order=Order.try_last)
