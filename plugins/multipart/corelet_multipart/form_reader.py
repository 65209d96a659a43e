"""What ``request.multipart()`` and, for forms, ``request.post()`` do: the kernel's port for bodies of a media type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from corelet import web
from corelet.abc import FormReader
from corelet.fields import find_codec, parse_content_type

from .coding import Decoder, decode_through, find_codings, finish_decoding, make_decoders
from .disposition import find_form_parameter, read_disposition
from .limits import DEFAULT_LIMITS, MULTIPART_LIMITS, MultipartLimits
from .parser import END_OF_BODY, END_OF_PART, MultipartError, MultipartParser
from .reader import DECOMPRESSED_BYTES, MultipartReader, Terms, find_boundary
from .uploaded_file import FileSpool

if TYPE_CHECKING:
    from multidict import CIMultiDictProxy

_OCTET_STREAM: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class FileField:
    """A file of a form.

    Args:
        name: of the field.
        filename: of the file, as the peer says: never make a path of it without a check.
        file: the content, at its beginning; in memory or, where it is large, on disk without a name. It is there as
            long as somebody holds it, and need not be closed.
        content_type: as the peer says, without parameters; "application/octet-stream" where it says nothing.
        headers: all fields of the part.
    """

    name: str
    filename: str
    file: IO[bytes]
    content_type: str
    headers: CIMultiDictProxy[str]


class MultipartFormReader(FormReader):
    """Read multipart bodies for requests."""

    async def read(self, request: web.BaseRequest) -> Iterable[tuple[str, Any]]:
        """Read a form whole: text as str, other content as bytes, files as :class:`FileField`.

        Nothing but ``multipart/form-data`` is a form; other multipart bodies have no fields.

        Raises:
            HTTPRequestEntityTooLarge: over ``client_max_size`` bytes or ``client_max_fields`` parts.
            HTTPBadRequest: malformed, or over the :class:`MultipartLimits`.
            HTTPUnsupportedMediaType: a charset that Python doesn't know.
        """
        if request.content_type != "multipart/form-data":
            return ()
        form = None
        try:
            form = _Form(request)
            await form.read()
        except MultipartError as exc:
            error = web.HTTPBadRequest(text=str(exc))
            request.content.set_exception(error)
            raise error from exc
        except web.HTTPException as exc:
            request.content.set_exception(exc)
            raise
        finally:
            if form is not None:
                form.close()
        return form.fields

    def open(self, request: web.BaseRequest) -> MultipartReader:
        """Open a body for reading part by part.

        Raises:
            HTTPBadRequest: no boundary, or one that RFC 2046 doesn't allow.
        """
        terms = Terms(
            _find_limits(request),
            client_max_size=request.client_max_size,
            max_size_error_cls=web.HTTPRequestEntityTooLarge,
            malformed_error_cls=_make_bad_request,
            max_parts=request.client_max_fields,
            max_parts_error_cls=_make_too_many,
        )
        return MultipartReader(request.headers, _Content(request), terms=terms)


def _make_bad_request(text: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=text)


def _make_too_many(limit: int) -> web.HTTPRequestEntityTooLarge:
    return web.HTTPRequestEntityTooLarge(limit, text=f"the body has more than {limit:,} parts (client_max_fields)")


def _find_limits(request: web.BaseRequest) -> MultipartLimits:
    limits: MultipartLimits = request.connection.app.get(MULTIPART_LIMITS, DEFAULT_LIMITS)
    return limits


class _Content:
    """The body of a request, also where ``request.read()`` has taken and kept it."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._is_kept = request.body_exists and not request.can_read_body

    async def readany(self) -> bytes:
        if not self._is_kept:
            return await self._request.content.readany()
        self._is_kept = False
        data = await self._request.read()
        if not data:
            raise RuntimeError(f"the body of {self._request!r} was read before, as a stream: nothing is left of it")
        return data


class _Form:
    """The fields of a form as they are received.

    Args:
        request: whose body it is.
    """

    def __init__(self, request: web.BaseRequest) -> None:
        self.fields: list[tuple[str, Any]] = []
        self._request = request
        self._limits = _find_limits(request)
        _, boundary = find_boundary(request.headers.get("Content-Type", ""))
        self._parser = MultipartParser(f"\r\n--{boundary}".encode("ascii"), self._limits)
        self._size = 0
        self._decoded_size = 0
        self._charset: str | None = None
        self._part: _Part | None = None
        self._is_first = True

    async def read(self) -> None:
        """Read the whole form."""
        request, parser = self._request, self._parser
        content = _Content(request)
        self._check_size(request.content_length or 0)
        while data := await content.readany():
            self._size += len(data)
            self._check_size(self._size)
            parser.feed_data(data)
            await self._take_events()
        parser.feed_eof()

    async def _take_events(self) -> None:
        while (event := self._parser.next_event()) is not None:
            if isinstance(event, bytes):
                await self._take_data(event)
            elif event is END_OF_PART:
                await self._end_part()
            elif event is not END_OF_BODY:
                self._begin_part(event)

    def _check_size(self, size: int) -> None:
        limit = self._request.client_max_size
        if limit and size > limit:
            raise web.HTTPRequestEntityTooLarge(limit, size)

    def _begin_part(self, headers: Any) -> None:
        limit = self._request.client_max_fields
        if limit and len(self.fields) >= limit:
            raise web.HTTPRequestEntityTooLarge(limit, text=f"the form has more than {limit:,} fields")
        self._part = _Part(headers, self._limits)

    async def _take_data(self, data: bytes) -> None:
        part = self._part
        assert part is not None
        if not part.decoders:
            await part.take(data)
            return
        for piece in decode_through(part.decoders, data):
            self._count_decoded(piece)
            await part.take(piece)

    def _count_decoded(self, piece: bytes) -> None:
        self._decoded_size += len(piece)
        self._check_size(self._decoded_size)

    async def _end_part(self) -> None:
        part, self._part = self._part, None
        assert part is not None
        try:
            for piece in finish_decoding(part.decoders):
                self._count_decoded(piece)
                await part.take(piece)
            value = await part.finish(self._charset)
        finally:
            part.close()
        is_first, self._is_first = self._is_first, False
        # The charset of the form is no field of it. Source: RFC 7578 section 4.6.
        if is_first and part.name == "_charset_" and isinstance(value, str):
            self._charset = value.strip() or None
        else:
            self.fields.append((part.name, value))

    def close(self) -> None:
        """Drop a part that is not complete."""
        if self._part is not None:
            self._part.close()


class _Part:
    """One part of a form while it is received."""

    def __init__(self, headers: CIMultiDictProxy[str], limits: MultipartLimits) -> None:
        self._headers = headers
        disposition = read_disposition(headers.get("Content-Disposition", ""))
        name = find_form_parameter(disposition, "name")
        if name is None:
            raise MultipartError("a part of the form has no name")
        self.name = name
        self._filename = find_form_parameter(disposition, "filename")
        field = headers.get("Content-Type")
        self._media_type, parameters = ("", {}) if field is None else parse_content_type(field)
        if self._media_type.startswith("multipart/"):
            raise MultipartError(f"field {name!r} of the form is multipart itself: read it by request.multipart()")
        self._charset = parameters.get("charset")
        self._has_type = field is not None
        self.decoders: list[Decoder] = (
            make_decoders(headers, DECOMPRESSED_BYTES) if find_codings(headers) != ("", "") else []
        )
        self._pieces: list[bytes] = []
        # A browser sends an empty file name where no file was chosen.
        self._spool = FileSpool(limits.spool_bytes) if self._filename else None

    async def take(self, data: bytes) -> None:
        """Take a piece of its content."""
        if self._spool is None:
            self._pieces.append(data)
            return
        self._spool.feed_data(data)
        if self._spool.is_full:
            await self._spool.flush()

    async def finish(self, charset: str | None) -> str | bytes | FileField:
        """Make the field's value.

        Args:
            charset: of text that has none of its own.
        """
        if self._spool is not None:
            content_type = self._media_type or _OCTET_STREAM
            file = await self._spool.finish()
            return FileField(self.name, self._filename or "", file, content_type, self._headers)
        data = b"".join(self._pieces)
        if self._has_type and not self._media_type.startswith("text/"):
            return data
        try:
            return data.decode(find_codec(self._charset or charset))
        except LookupError as exc:
            raise web.HTTPUnsupportedMediaType(text="the charset of the form is unknown") from exc
        except UnicodeError as exc:
            raise MultipartError(f"field {self.name!r} of the form is no text in its charset") from exc

    def close(self) -> None:
        """Drop what is held."""
        if self._spool is not None:
            self._spool.close()
