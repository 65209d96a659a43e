"""Reading a multipart body part by part, as it arrives: of a request or of a response.

A :class:`MultipartReader` gives parts, in their order. A part is a :class:`BodyPartReader`, which is read in pieces or
as a whole, or another reader where it is multipart itself. The next part begins where the last one was left: what was
not read of it is dropped. Nothing is kept, so a body of any size takes the same memory.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from corelet.fields import find_codec, parse_content_type, parse_urlencoded

from .coding import (
    Decoder,
    decode_through,
    find_aligned_end,
    find_codings,
    finish_decoding,
    make_decoders,
    strip_base64,
)
from .disposition import Disposition, find_form_parameter, read_disposition
from .limits import DEFAULT_LIMITS, MultipartLimits
from .parser import END_OF_BODY, Event, MultipartError, MultipartParser, check_boundary

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

#: What ``client_max_size`` is where nothing bounds a part.
UNBOUNDED: Final = 2**63 - 1
#: Bytes of a decompressed piece.
DECOMPRESSED_BYTES: Final = 262_144
#: Bytes of the value of ``_charset_``. The longest charset registered by IANA has 45.
_CHARSET_BYTES: Final = 64


class PartTooLargeError(ValueError):
    """Report a part that is larger than ``client_max_size``."""

    def __init__(self, max_size: int, actual_size: int) -> None:
        super().__init__(f"a part has {actual_size:,} bytes or more, limit {max_size:,} (client_max_size)")


class TooManyPartsError(ValueError):
    """Report a body with more parts than were asked for."""

    def __init__(self, max_parts: int) -> None:
        super().__init__(f"the body has more than {max_parts:,} parts")


class ByteSource(Protocol):
    """What bytes come from: a StreamReader, a part, or what a test has made."""

    async def readany(self) -> bytes: ...


class Terms:
    """What all readers of one body share: bounds, what is left of them, and the errors to raise.

    Args:
        limits: of heads and depth.
        client_max_size: bytes of a part that is read as a whole; 0 for no limit.
        max_size_error_cls: makes the error of a larger one, of the limit and the size.
        malformed_error_cls: makes the error of a malformed body, of a text.
        max_parts: parts of the body, with those of parts; None for any number.
        max_parts_error_cls: makes the error of more, of the limit.
    """

    def __init__(
        self,
        limits: MultipartLimits = DEFAULT_LIMITS,
        *,
        client_max_size: int = UNBOUNDED,
        max_size_error_cls: Callable[[int, int], Exception] = PartTooLargeError,
        malformed_error_cls: Callable[[str], Exception] = MultipartError,
        max_parts: int | None = None,
        max_parts_error_cls: Callable[[int], Exception] = TooManyPartsError,
    ) -> None:
        self.limits = limits
        self.client_max_size = client_max_size
        self.max_size_error_cls = max_size_error_cls
        self.malformed_error_cls = malformed_error_cls
        self.max_parts = max_parts
        self.max_parts_error_cls = max_parts_error_cls
        self._parts = 0

    def count_part(self) -> None:
        """Take note of another part."""
        self._parts += 1
        if self.max_parts and self._parts > self.max_parts:
            raise self.max_parts_error_cls(self.max_parts)

    def check_size(self, size: int) -> None:
        """Refuse a part that is read as a whole and is too large."""
        if self.client_max_size and size > self.client_max_size:
            raise self.max_size_error_cls(self.client_max_size, size)


class PartStream:
    """The events of a multipart body, as its bytes arrive.

    An error ends it: whoever reads again gets the same one, and no half of a part that looks like a whole one.
    """

    def __init__(self, parser: MultipartParser, source: ByteSource, terms: Terms) -> None:
        self._parser = parser
        self._source = source
        self._terms = terms
        self._error: Exception | None = None

    async def next_event(self) -> Event:
        """Get the next event, waiting for what it needs."""
        if self._error is not None:
            raise self._error
        try:
            while (event := self._parser.next_event()) is None:
                data = await self._source.readany()
                if data:
                    self._parser.feed_data(data)
                else:
                    self._parser.feed_eof()
                    return END_OF_BODY
        except MultipartError as exc:
            self._error = self._terms.malformed_error_cls(str(exc))
            raise self._error from exc
        return event

    @property
    def is_at_end(self) -> bool:
        """Whether the last part was read."""
        return self._parser.is_at_end


class BodyPartReader:
    """Read one part.

    Args:
        boundary: two dashes and the boundary; parts are made by a :class:`MultipartReader`, which knows it.
        headers: the fields of the part.
        content: the body that the part is in, behind the head of the part.
        subtype: of the body: ``form-data``, ``mixed``.
        default_charset: of text without a charset; utf-8 unless given.
        max_decompress_size: bytes that a piece of decompressed data has at most.
        client_max_size: bytes that :meth:`read` and what is made of it take.
        max_size_error_cls: makes the error where there are more, of that limit and the size.
    """

    #: Bytes that :meth:`read_chunk` gives at most, unless told otherwise.
    chunk_size = 8192

    def __init__(
        self,
        boundary: bytes,
        headers: CIMultiDictProxy[str],
        content: ByteSource | PartStream,
        *,
        subtype: str = "mixed",
        default_charset: str | None = None,
        max_decompress_size: int = DECOMPRESSED_BYTES,
        client_max_size: int = UNBOUNDED,
        max_size_error_cls: Callable[[int, int], Exception] = PartTooLargeError,
        terms: Terms | None = None,
    ) -> None:
        self.headers = headers
        self._terms = terms or Terms(client_max_size=client_max_size, max_size_error_cls=max_size_error_cls)
        if not isinstance(content, PartStream):
            content = PartStream(MultipartParser(b"\r\n" + boundary, in_part=True), content, self._terms)
        self._stream = content
        self._subtype = subtype
        self._default_charset = default_charset
        self._max_decompress_size = max_decompress_size
        self._disposition: Disposition | None = None
        self._transfer: str | None = None
        # What was received and not read, and whether more will come.
        self._rest = b""
        self._start = 0
        self._is_complete = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await self.next()
        if piece is None:
            raise StopAsyncIteration
        return piece

    # What the head says.

    def _get_disposition(self) -> Disposition:
        if self._disposition is None:
            self._disposition = read_disposition(self.headers.get("Content-Disposition", ""))
        return self._disposition

    @property
    def name(self) -> str | None:
        """The name of the field; None where the part has none."""
        return find_form_parameter(self._get_disposition(), "name")

    @property
    def filename(self) -> str | None:
        """The name of the file, as the peer says: never make a path of it without a check."""
        return find_form_parameter(self._get_disposition(), "filename")

    def get_charset(self, default: str) -> str:
        """Get the charset of Content-Type, or that of the form by its ``_charset_`` field, or ``default``.

        Source: RFC 7578 sections 4.5 and 4.6.
        """
        charset = parse_content_type(self.headers.get("Content-Type", ""))[1].get("charset")
        return charset or self._default_charset or default

    # Its content.

    def at_eof(self) -> bool:
        """Whether everything was read."""
        return self._is_complete and self._start == len(self._rest)

    async def readany(self) -> bytes:
        """Read what has come, as it was sent; empty at the end. The fastest way through a part."""
        if self._start < len(self._rest):
            return self._take(len(self._rest))
        if self._is_complete:
            return b""
        event = await self._stream.next_event()
        if isinstance(event, bytes):
            return event
        self._is_complete = True
        return b""

    def _take(self, size: int) -> bytes:
        """Take of what was received and not read."""
        start = self._start
        end = min(start + size, len(self._rest))
        data = self._rest[start:end]
        if end == len(self._rest):
            self._rest, self._start = b"", 0
        else:
            self._start = end
        return data

    def _put_back(self, data: bytes) -> None:
        self._rest = data + self._rest[self._start :]
        self._start = 0

    async def next(self) -> bytes | None:
        """Read the next piece, or None at the end; what iterating over a part gives."""
        return await self.read_chunk(self.chunk_size) or None

    async def read_chunk(self, size: int = chunk_size) -> bytes:
        """Read a piece; empty at the end.

        A piece of base64 comes without its line ends, and it as one of quoted-printable ends where it can be decoded
        alone, so that :meth:`decode` can be asked of each piece.

        Args:
            size: bytes of it at most, from 4.
        """
        if size < 4:
            raise ValueError(f"a piece has 4 bytes or more, {size} were asked for")
        transfer = self._transfer
        if transfer is None:
            transfer = self._transfer = find_codings(self.headers)[1]
        if not transfer:
            return self._take(size) if self._rest else await self._receive(size)
        data = b""
        while True:
            more = await self._receive(size - len(data))
            data += strip_base64(more) if transfer == "base64" else more
            end = find_aligned_end(transfer, data)
            if end or not more:
                break
        if more and end < len(data):
            self._put_back(data[end:])
            data = data[:end]
        return data

    async def _receive(self, size: int) -> bytes:
        return self._take(size) if await self._has_more() else b""

    async def _has_more(self) -> bool:
        """Whether there is more to read; it is in ``_rest`` then."""
        if self._start == len(self._rest):
            self._rest = await self.readany()
        return bool(self._rest)

    async def read(self, *, decode: bool = False) -> bytes:
        """Read the whole rest.

        Args:
            decode: undo Content-Transfer-Encoding and Content-Encoding.

        Raises:
            ValueError, or what the reader of a request says: it is larger than ``client_max_size``, or malformed.
        """
        pieces: list[bytes] = []
        size = 0
        async for piece in self._iter_decoded() if decode else self._iter_raw():
            size += len(piece)
            self._terms.check_size(size)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _iter_raw(self) -> AsyncIterator[bytes]:
        while data := await self.readany():
            yield data

    async def _iter_decoded(self) -> AsyncIterator[bytes]:
        with self._translated_errors():
            decoders = self._make_decoders()
            while data := await self.readany():
                for piece in decode_through(decoders, data):
                    yield piece
            for piece in finish_decoding(decoders):
                yield piece

    def _make_decoders(self) -> list[Decoder]:
        return make_decoders(self.headers, self._max_decompress_size)

    def _translated_errors(self) -> _ErrorTranslation:
        return _ErrorTranslation(self._terms)

    async def readline(self) -> bytes:
        r"""Read until ``\n``, and with it; empty at the end.

        Raises:
            ValueError, or what the reader of a request says: the line is larger than ``client_max_size``.
        """
        pieces: list[bytes] = []
        size = end = 0
        while not end and await self._has_more():
            end = self._rest.find(b"\n", self._start) + 1
            pieces.append(self._take((end or len(self._rest)) - self._start))
            size += len(pieces[-1])
            self._terms.check_size(size)
        return b"".join(pieces)

    async def release(self) -> None:
        """Read the rest and drop it."""
        while await self.readany():
            pass

    async def text(self, *, encoding: str | None = None) -> str:
        """Read the rest as text, decoded; by ``encoding``, or by what :meth:`get_charset` finds, or by utf-8.

        Raises:
            LookupError: Python doesn't know the charset.
            UnicodeError: the bytes are no text in it.
        """
        data = await self.read(decode=True)
        return data.decode(encoding or find_codec(self.get_charset("utf-8")))

    async def json(self, *, encoding: str | None = None) -> Any:
        """Read the rest as JSON; None where the part is empty."""
        text = await self.text(encoding=encoding)
        return json.loads(text) if text.strip() else None

    async def form(self, *, encoding: str | None = None) -> list[tuple[str, str]]:
        """Read the rest as an urlencoded form."""
        data = await self.read(decode=True)
        return parse_urlencoded(data.strip(), encoding or find_codec(self.get_charset("utf-8")))

    def decode(self, data: bytes) -> bytes:
        """Undo Content-Transfer-Encoding and Content-Encoding of what was read.

        Args:
            data: the whole content; or a piece by :meth:`read_chunk`, where the content is not compressed.

        Raises:
            ValueError, or what the reader of a request says: it is malformed, or larger than ``client_max_size``.
        """
        return b"".join(self._decode_whole(data))

    def _decode_whole(self, data: bytes) -> Iterator[bytes]:
        size = 0
        with self._translated_errors():
            decoders = self._make_decoders()
            for source in (decode_through(decoders, data), finish_decoding(decoders)):
                for piece in source:
                    size += len(piece)
                    self._terms.check_size(size)
                    yield piece

    async def decode_iter(self, data: bytes) -> AsyncIterator[bytes]:
        """Undo the codings as :meth:`decode` does, and give pieces that are at most ``max_decompress_size`` long."""
        for piece in self._decode_whole(data):
            yield piece


class _ErrorTranslation:
    """Let errors of decoders leave as the errors that the reader's owner wants."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, MultipartError) and self._terms.malformed_error_cls is not MultipartError:
            raise self._terms.malformed_error_cls(str(error)) from error


class MultipartResponseWrapper:
    """Read a response's parts, and release its connection after the last one.

    Args:
        resp: the response.
        stream: the reader of its body.
    """

    def __init__(self, resp: Any, stream: MultipartReader) -> None:
        self.resp = resp
        self.stream = stream

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """Whether the whole response was received."""
        done: bool = self.resp.content.at_eof()
        return done

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """Read the next part; None, and the response released, behind the last one."""
        part = await self.stream.next()
        if part is None:
            await self.release()
        return part

    async def release(self) -> None:
        """Read what is left and drop it, and give the connection back."""
        await self.stream.release()
        while await self.resp.content.readany():
            pass
        self.resp.release()


class MultipartReader:
    """Read a multipart body part by part.

    Args:
        headers: of the message; its Content-Type has the boundary.
        content: the body.
        client_max_size: bytes of one part that is read as a whole, or decoded at once.
        max_field_size: bytes of one field of a part's head.
        max_headers: fields of a part's head.
        max_size_error_cls: makes the error for a part that is larger, of the limit and the size.
        terms: all bounds and errors at once, in place of the arguments above.

    Raises:
        ValueError: Content-Type is not multipart, or has no boundary that RFC 2046 allows.
    """

    #: What reads a part that is multipart; None for the reader's own class.
    multipart_reader_cls: type[MultipartReader] | None = None
    #: What reads a part that is not.
    part_reader_cls: type[BodyPartReader] = BodyPartReader
    #: What :meth:`from_response` gives.
    response_wrapper_cls: type[MultipartResponseWrapper] = MultipartResponseWrapper

    def __init__(
        self,
        headers: Mapping[str, str],
        content: ByteSource,
        *,
        client_max_size: int = UNBOUNDED,
        max_field_size: int = DEFAULT_LIMITS.max_field_size,
        max_headers: int = DEFAULT_LIMITS.max_headers,
        max_size_error_cls: Callable[[int, int], Exception] = PartTooLargeError,
        terms: Terms | None = None,
        depth: int = 1,
    ) -> None:
        if terms is None:
            limits = MultipartLimits(max_headers=max_headers, max_field_size=max_field_size)
            terms = Terms(limits, client_max_size=client_max_size, max_size_error_cls=max_size_error_cls)
        self.headers = headers
        self._terms = terms
        self._depth = depth
        try:
            self._subtype, self._boundary = find_boundary(headers.get("Content-Type", ""))
        except MultipartError as exc:
            raise terms.malformed_error_cls(str(exc)) from exc
        parser = MultipartParser(f"\r\n--{self._boundary}".encode("ascii"), terms.limits)
        self._content = content
        self._stream = PartStream(parser, content, terms)
        self._last_part: MultipartReader | BodyPartReader | None = None
        self._default_charset: str | None = None
        self._is_first = True

    @classmethod
    def from_response(cls, response: Any) -> MultipartResponseWrapper:
        """Read the parts of a client's response.

        Args:
            response: has ``headers``, ``content`` and ``release()``, as a ClientResponse has.
        """
        return cls.response_wrapper_cls(response, cls(response.headers, response.content))

    @property
    def boundary(self) -> str:
        """The boundary."""
        return self._boundary

    @property
    def subtype(self) -> str:
        """The media type without ``multipart/``."""
        return self._subtype

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> MultipartReader | BodyPartReader:
        part = await self.next()
        if part is None:
            raise StopAsyncIteration
        return part

    def at_eof(self) -> bool:
        """Whether the last part was read."""
        return self._stream.is_at_end

    async def next(self) -> MultipartReader | BodyPartReader | None:
        """Read on to the next part; None behind the last one.

        What was not read of the part before is dropped. In a form, a first part ``_charset_`` is not given but
        taken as the charset of text that has none. Source: RFC 7578 section 4.6.

        Raises:
            ValueError, or what the reader of a request says: the body is malformed, cut off or over a limit.
        """
        await self._drop_last_part()
        headers = await self._stream.next_event()
        if headers is END_OF_BODY:
            return None
        assert not isinstance(headers, bytes)
        self._terms.count_part()
        part = self._last_part = self._make_part(headers)
        if self._is_first:
            self._is_first = False
            if self._subtype == "form-data" and isinstance(part, BodyPartReader) and part.name == "_charset_":
                await self._take_charset(part)
                return await self.next()
        return part

    async def fetch_next_part(self) -> MultipartReader | BodyPartReader:
        """Read on to the next part, where there has to be one.

        Raises:
            ValueError: there is none; and as :meth:`next`.
        """
        part = await self.next()
        if part is None:
            raise self._terms.malformed_error_cls("the body has no further part")
        return part

    async def release(self) -> None:
        """Read what is left and drop it."""
        while await self.next() is not None:
            pass

    async def _drop_last_part(self) -> None:
        part = self._last_part
        if part is None:
            return
        await part.release()
        if isinstance(part, MultipartReader):
            await part.drop_epilogue()
        # Not before: whoever was cancelled meanwhile and asks again goes on with the same part.
        self._last_part = None

    async def drop_epilogue(self) -> None:
        """Read what follows the last part and drop it; what is around this body goes on behind it."""
        while await self._content.readany():
            pass

    def _make_part(self, headers: Any) -> MultipartReader | BodyPartReader:
        part = self.part_reader_cls(
            f"--{self._boundary}".encode("ascii"),
            headers,
            self._stream,
            subtype=self._subtype,
            default_charset=self._default_charset,
            terms=self._terms,
        )
        media_type = parse_content_type(headers.get("Content-Type", ""))[0]
        if not media_type.startswith("multipart/"):
            return part
        if self._depth >= self._terms.limits.max_depth:
            raise self._terms.malformed_error_cls(
                f"multipart parts are nested deeper than {self._terms.limits.max_depth} (max_depth)"
            )
        reader_cls = self.multipart_reader_cls or type(self)
        return reader_cls(headers, part, terms=self._terms, depth=self._depth + 1)

    async def _take_charset(self, part: BodyPartReader) -> None:
        data = b""
        while len(data) <= _CHARSET_BYTES and (piece := await part.readany()):
            data += piece
        if len(data) > _CHARSET_BYTES:
            raise self._terms.malformed_error_cls(f"the charset of the form has over {_CHARSET_BYTES} bytes")
        self._default_charset = data.decode("ascii", "replace").strip() or None


def find_boundary(content_type: str) -> tuple[str, str]:
    """Find subtype and boundary of a multipart media type.

    Raises:
        MultipartError: it is another type, or the boundary is missing or none.
    """
    media_type, parameters = parse_content_type(content_type)
    kind, _, subtype = media_type.partition("/")
    if kind != "multipart":
        raise MultipartError(f"the body is {media_type}, expected multipart/*")
    if "boundary" not in parameters:
        raise MultipartError("Content-Type has no boundary")
    return subtype, check_boundary(parameters["boundary"])
