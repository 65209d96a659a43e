"""Responses: what is said to one request, once.

A response goes NEW -> STARTED -> ENDED and never back. It starts when its head is made and ends with the
last byte of its body; one that has started can't answer another request.
"""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from http import HTTPStatus
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, Final, cast

from multidict import CIMultiDict

from . import hdrs
from .cookies import format_morsel, make_morsel
from .errors import LocalProtocolError, missing_plugin
from .fields import (
    ETag,
    format_etag,
    format_http_date,
    parse_content_type,
    parse_etags,
    parse_http_date,
)
from .hdrs import HttpVersion11
from .keys import DataMapping
from .payload import ONE_PIECE_BYTES, PAYLOAD_REGISTRY, BytesPayload, Payload
from .wire import check_field, make_status_line, serialize_plain_response, serialize_response_head
from .writer import JOIN_BYTES, BodyWriter

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from .abc import AbstractEncoder
    from .abc import ContentCoding as CodingPort
    from .request import BaseRequest

#: What header fields may be given as.
Headers = Mapping[str, str] | CIMultiDict[str] | Iterable[tuple[str, str]]


class Stage(enum.Enum):
    """How far a response is."""

    NEW = "new"
    STARTED = "started"
    ENDED = "ended"


_NEW: Final = Stage.NEW
_STARTED: Final = Stage.STARTED
_ENDED: Final = Stage.ENDED

_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}
_STATUS_LINES: Final = {status: make_status_line(HttpVersion11, status, phrase) for status, phrase in _PHRASES.items()}
#: RFC 9112 section 6.3: 1xx, 204 and 304 end with the head. RFC 9110 section 15.3.6: 205 has an empty body.
_STATUSES_WITH_BODY: Final = frozenset(range(200, 1000)) - {204, 205, 304}
_PLAIN_STATUSES: Final = _STATUSES_WITH_BODY.intersection(_STATUS_LINES)
_CLOSE_FIELD: Final = b"Connection: close\r\n"
_KEEP_ALIVE_FIELD: Final = b"Connection: keep-alive\r\n"
_CHUNKED_FIELD: Final = b"Transfer-Encoding: chunked\r\n"
_OCTET_STREAM: Final = "application/octet-stream"
_TEXT_TYPE: Final = "text/plain; charset=utf-8"
_NOT_GIVEN: Final[Any] = object()


class ContentCoding(enum.Enum):
    """Names of content codings for :meth:`StreamResponse.enable_compression`."""

    deflate = "deflate"
    gzip = "gzip"
    identity = "identity"


class StreamResponse(DataMapping):
    """A response whose body is written piece by piece; also a mapping for data of its own.

    Call :meth:`prepare` with the request, :meth:`write` as often as needed, :meth:`write_eof`, and return it
    from the handler. The body is framed by Content-Length where that is set, else chunked (HTTP/1.1) or by
    the end of the connection (HTTP/1.0).

    Args:
        status: 100 to 999, default 200.
        reason: the phrase in the status line; default the registered one.
        headers: fields of the head; a value may hold no CR, LF or NUL.

    Raises:
        ValueError: a status or reason that can't be sent.
    """

    # What every answer touches is set when a response is made: an attribute that the class has too is slow to get and
    # to set. The rest is for answers that are not plain.
    _stage: Stage
    # Whether nothing was asked for that changes how the response is sent: status, fields and body are all there is.
    _is_plain: bool
    _status: int
    # The whole Content-Type while there is no header map that could hold it.
    _type_field: str | None
    _headers: CIMultiDict[str] | None
    _reason: str | None = None
    _keep_alive: bool | None = None
    _chunked: bool = False
    _coding: bool | str | ContentCoding | CodingPort = False
    _coding_level: int | None = None
    _cookies: SimpleCookie | None = None
    own_data: dict[Any, Any] | None = None
    _request: BaseRequest | None = None
    _writer: BodyWriter | None = None
    _has_automatic_fields: bool = False

    def __init__(self, *, status: int = 200, reason: str | None = None, headers: Headers | None = None) -> None:
        self._stage = _NEW
        self._is_plain = True
        self._status = 200
        self._headers = None
        self._type_field = _OCTET_STREAM
        if status != 200 or reason is not None:
            self.set_status(status, reason)
        if headers is not None:
            self._set_headers(headers).setdefault(hdrs.CONTENT_TYPE, _OCTET_STREAM)

    def _set_headers(self, headers: Headers) -> CIMultiDict[str]:
        self._headers = CIMultiDict(headers)
        self._type_field = None
        return self._headers

    # The start line and the state.

    @property
    def status(self) -> int:
        """The status code."""
        return self._status

    @property
    def reason(self) -> str:
        """The phrase in the status line."""
        return _PHRASES.get(self._status, "") if self._reason is None else self._reason

    def set_status(self, status: int, reason: str | None = None) -> None:
        """Set status and phrase.

        Raises:
            ValueError: a status outside of 100 to 999, or a phrase with control characters.
            RuntimeError: the head has been sent.
        """
        self._check_is_new("set_status()")
        try:
            code = int(status)
        except ValueError:
            code = 0
        if not 100 <= code <= 999:
            raise ValueError(f"status is {status!r}, expected 100 to 999")
        if reason is not None:
            make_status_line(HttpVersion11, code, reason)
        self._status = code
        self._reason = reason
        if reason is not None or code not in _PLAIN_STATUSES:
            self._is_plain = False

    @property
    def prepared(self) -> bool:
        """Whether the head has been sent."""
        return self._stage is not _NEW

    @property
    def stage(self) -> Stage:
        """How far this response is."""
        return self._stage

    @property
    def task(self) -> Any:
        """The task that runs the handler; None before :meth:`prepare`."""
        return None if self._request is None else self._request.task

    @property
    def keep_alive(self) -> bool | None:
        """Whether the connection stays open; None until it is decided."""
        return True if self._keep_alive is None and self._stage is _ENDED else self._keep_alive

    def force_close(self) -> None:
        """Close the connection after this response."""
        self._is_plain = False
        self._keep_alive = False
        if self._request is not None:
            self._request.connection.keep_alive = False

    @property
    def body_length(self) -> int:
        """Bytes of content sent so far."""
        return 0 if self._writer is None or self._writer.discards else self._writer.buffer_size

    @property
    def output_length(self) -> int:
        """Bytes of the body sent so far, with framing."""
        return self.body_length if self._writer is None else self._writer.output_size

    # Header fields.

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields of the head; change them before the head is sent."""
        if self._headers is None:
            self._headers = CIMultiDict()
            if self._type_field is not None:
                self._headers[hdrs.CONTENT_TYPE] = self._type_field
                self._type_field = None
        return self._headers

    def _get_type_field(self) -> str | None:
        return self._type_field if self._headers is None else self._headers.get(hdrs.CONTENT_TYPE)

    def _set_type_field(self, value: str) -> None:
        check_field(hdrs.CONTENT_TYPE, value)
        if self._headers is None:
            self._type_field = value
        else:
            self._headers[hdrs.CONTENT_TYPE] = value

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case. Source: RFC 9110 section 8.3."""
        field = self._get_type_field()
        return _OCTET_STREAM if field is None else parse_content_type(field)[0]

    @content_type.setter
    def content_type(self, value: str) -> None:
        charset = self.charset
        self._set_type_field(value if charset is None else f"{value}; charset={charset}")

    @property
    def charset(self) -> str | None:
        """The charset parameter of Content-Type."""
        field = self._get_type_field()
        return None if field is None else parse_content_type(field)[1].get("charset")

    @charset.setter
    def charset(self, value: str | None) -> None:
        media_type = self.content_type
        if media_type == _OCTET_STREAM and value is not None:
            raise RuntimeError(f"charset {value!r} makes no sense for {_OCTET_STREAM}: set content_type first")
        self._set_type_field(media_type if value is None else f"{media_type}; charset={value.lower()}")

    @property
    def content_length(self) -> int | None:
        """Bytes of the body by Content-Length; None when not set."""
        if self._headers is None:
            return None
        value = self._headers.get(hdrs.CONTENT_LENGTH)
        return None if value is None else _parse_length(value)

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        if value is None:
            self.headers.popall(hdrs.CONTENT_LENGTH, None)
            return
        if self._chunked:
            raise RuntimeError("a chunked response has no Content-Length")
        self.headers[hdrs.CONTENT_LENGTH] = str(_parse_length(str(int(value))))

    @property
    def last_modified(self) -> datetime | None:
        """When the content changed last; may be set to a datetime, a timestamp or a field value."""
        value = self.headers.get(hdrs.LAST_MODIFIED)
        return None if value is None else parse_http_date(value)

    @last_modified.setter
    def last_modified(self, value: datetime | float | str | None) -> None:
        if value is None:
            self.headers.popall(hdrs.LAST_MODIFIED, None)
        elif isinstance(value, str):
            self.headers[hdrs.LAST_MODIFIED] = value
        else:
            if isinstance(value, datetime):
                value = (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
            self.headers[hdrs.LAST_MODIFIED] = format_http_date(math.ceil(value))

    @property
    def etag(self) -> ETag | None:
        """The entity tag; may be set to an :class:`ETag` or a strong one's value. Source: RFC 9110 section 8.8.3."""
        value = self.headers.get(hdrs.ETAG)
        tags = None if value is None else parse_etags(value)
        return tags[0] if tags else None

    @etag.setter
    def etag(self, value: ETag | str | None) -> None:
        if value is None:
            self.headers.popall(hdrs.ETAG, None)
        else:
            self.headers[hdrs.ETAG] = format_etag(ETag(value) if isinstance(value, str) else value)

    # Cookies.

    @property
    def cookies(self) -> SimpleCookie:
        """Cookies to be set, by name."""
        if self._cookies is None:
            self._is_plain = False
            self._cookies = SimpleCookie()
        return self._cookies

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        expires: str | None = None,
        domain: str | None = None,
        max_age: int | str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        version: str | None = None,
        samesite: str | None = None,
        partitioned: bool | None = None,
    ) -> None:
        """Set a cookie; a later one of the same name replaces it.

        Args:
            name: a token.
            value: any text; quoted where a cookie needs that.
            expires: an HTTP date.
            domain: hosts that get it back; default this host only.
            max_age: seconds to live.
            path: paths that get it back.
            secure: over TLS only.
            httponly: not for scripts.
            version: kept for old callers; RFC 6265 has none.
            samesite: "Strict", "Lax" or "None".
            partitioned: a jar for each top-level site.

        Raises:
            ValueError: a name or an attribute that would break the field.

        Source: RFC 6265 section 4.1.
        """
        self.cookies[name] = make_morsel(
            name,
            value,
            expires=expires,
            domain=domain,
            max_age=max_age,
            path=path,
            secure=secure,
            httponly=httponly,
            version=version,
            samesite=samesite,
            partitioned=partitioned,
        )

    def del_cookie(
        self,
        name: str,
        *,
        domain: str | None = None,
        path: str = "/",
        secure: bool | None = None,
        httponly: bool | None = None,
        samesite: str | None = None,
        partitioned: bool | None = None,
    ) -> None:
        """Make the peer forget a cookie; domain, path and partitioned must be those that it was set with."""
        self.set_cookie(
            name,
            "",
            max_age=0,
            expires="Thu, 01 Jan 1970 00:00:00 GMT",
            domain=domain,
            path=path,
            secure=secure,
            httponly=httponly,
            samesite=samesite,
            partitioned=partitioned,
        )

    # Framing and coding.

    @property
    def chunked(self) -> bool:
        """Whether the chunked coding was asked for."""
        return self._chunked

    def enable_chunked_encoding(self, chunk_size: int | None = None) -> None:
        """Frame the body by the chunked coding, also where its length is known; HTTP/1.0 gets the bare body.

        Args:
            chunk_size: taken for compatibility; chunks are what is written.

        Raises:
            RuntimeError: Content-Length is set.
        """
        if self._headers is not None and hdrs.CONTENT_LENGTH in self._headers:
            raise RuntimeError("a response with Content-Length can't be chunked: set content_length to None first")
        self._is_plain = False
        self._chunked = True

    @property
    def compression(self) -> bool:
        """Whether :meth:`enable_compression` was called."""
        return self._coding is not False

    def enable_compression(
        self,
        force: bool | str | ContentCoding | CodingPort | None = None,
        strategy: int | None = None,
        *,
        level: int | None = None,
    ) -> None:
        """Code the body by a content coding that the peer accepts.

        Args:
            force: a coding to use whatever the peer accepts, by its name or an :class:`corelet.abc.ContentCoding` of
                your own; default by Accept-Encoding.
            strategy: taken for compatibility; the coding's own setting is used.
            level: how hard to try, on the coding's own scale; default the coding's.

        What has a Content-Encoding already is sent as it is. Where the body is coded, a strong entity tag becomes a
        weak one, since other bytes are sent, and Accept-Ranges goes: ranges would be of bytes that nobody keeps. Each
        ``write()`` is flushed. A MissingPluginError stops the response when it is sent and no plugin has registered a
        coding, a LookupError where none has registered the one to use.

        Source: RFC 9110 sections 8.8.1 and 12.5.3.
        """
        self._is_plain = False
        self._coding = True if force is None or isinstance(force, bool) else force
        self._coding_level = level

    def _choose_coding(self, request: BaseRequest) -> CodingPort | None:
        chosen = self._coding.value if isinstance(self._coding, ContentCoding) else self._coding
        if chosen == "identity":
            return None
        if not isinstance(chosen, str | bool):
            return chosen
        codings = request.connection.codings
        if not codings:
            raise missing_plugin("response.enable_compression()")
        if isinstance(chosen, str):
            if chosen not in codings:
                raise LookupError(f"no plugin has content coding {chosen!r}, known: {', '.join(codings)}")
            return codings[chosen]
        self.headers.add(hdrs.VARY, "Accept-Encoding")
        return codings.get(request.choose_coding((*codings, "identity")) or "identity")

    # Sending.

    async def prepare(self, request: BaseRequest) -> BodyWriter | None:
        """Send the head; afterwards only the body can be written.

        Returns:
            What the body is written to; None when this response has ended already.

        Raises:
            RuntimeError: this response has answered another request, or the request has another response.
            ValueError: a field that can't be sent.
        """
        origin = request if request.origin is None else request.origin
        if origin.response is self:
            return None if self._stage is _ENDED else self._writer
        if self._stage is not _NEW or self._request is not None or origin.response is not None:
            self._refuse(origin)
        self._request = request
        connection = request.connection
        for hook in reversed(origin.prepare_hooks or ()):
            await hook(request, self)
        if connection.prepare_response is not None:
            self._show_automatic_fields(connection.automatic_fields)
            await connection.prepare_response(request, self)
        if origin.response is not None:
            self._refuse(origin)
        if self._headers is not None and hdrs.TRANSFER_ENCODING in self._headers:
            self._take_transfer_coding(self._headers)
        encoder = self._start_body(request) if self._coding else None
        length, chunked, discard = self._frame(origin, None if encoder else self._get_length(origin))
        connection.send(self._make_head(origin, length, chunked))
        self._stage = _STARTED
        self._writer = BodyWriter(
            connection, length=None if length < 0 else length, chunked=chunked, discard=discard, encoder=encoder
        )
        origin.response = self
        return self._writer

    def _take_transfer_coding(self, headers: CIMultiDict[str]) -> None:
        """Do what a field of the application's own asks: those who pass an answer on pass it on, too."""
        codings = headers.popall(hdrs.TRANSFER_ENCODING)
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise ValueError(f"Transfer-Encoding is {', '.join(codings)!r}, only 'chunked' can be sent")
        self._chunked = True

    def render(self, request: BaseRequest) -> bytes | None:
        """Make the whole answer in one buffer and end; None, and nothing changed, where it has to be prepared.

        Raises:
            RuntimeError: this response has answered another request.
            ValueError: a field that can't be sent.
        """
        return None

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a part of the body; waits while the peer is behind.

        Raises:
            RuntimeError: before :meth:`prepare` or after :meth:`write_eof`.
            TypeError: data that isn't bytes.
            ConnectionResetError: the peer has gone.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"write() takes bytes, bytearray or memoryview, not {type(data).__name__}")
        await self._get_writer("write()").write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written."""
        await self._get_writer("drain()").drain()

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the last part and end the response; a second call does nothing."""
        if self._stage is _ENDED:
            return
        writer = self._get_writer("write_eof()")
        await writer.write_eof(data)
        self._stage = _ENDED
        self._request = None

    def _refuse(self, request: BaseRequest) -> None:
        if request.response is self:
            return
        if request.response is not None:
            raise RuntimeError(f"{request!r} is being answered by {request.response!r} already, not by {self!r}")
        raise RuntimeError(
            f"{self!r} has answered a request before: a response is used once, make a new one for {request!r}"
        )

    def _get_writer(self, caller: str) -> BodyWriter:
        if self._stage is _ENDED:
            raise RuntimeError(f"{caller} after write_eof(): the response has ended")
        if self._writer is None:
            raise RuntimeError(f"{caller} before prepare(): await response.prepare(request) first")
        return self._writer

    def _check_is_new(self, what: str) -> None:
        if self._stage is not _NEW:
            raise RuntimeError(f"{what} after the head was made: the response is {self._stage.value}")

    def _get_length(self, request: BaseRequest) -> int | None:
        """Bytes that the body will have, where that is known before it is written."""
        return self.content_length

    def _frame(self, request: BaseRequest, length: int | None) -> tuple[int, bool, bool]:
        """Decide by RFC 9112 section 6 how the body is framed.

        Returns:
            Content-Length or -1, whether the body is chunked, and whether it is not sent at all.
        """
        status = self._status
        method = request.head.method
        if status < 200 and not (status == 101 and request.head.upgrade):
            raise RuntimeError(f"status {status} is no answer to {request!r}: its peer would wait for another one")
        if status == 101 or (method == "CONNECT" and 200 <= status < 300):
            # Whoever takes no connection over can't go on with it either.
            self._keep_alive = False
            return -1, False, True
        if status == 205:
            return 0, False, True
        if status not in _STATUSES_WITH_BODY:
            return -1, False, True
        discard = method == "HEAD"
        if length is not None and not self._chunked:
            return length, False, discard
        if request.version >= HttpVersion11:
            return -1, True, discard
        self._keep_alive = False
        return -1, False, discard

    def _make_head(self, request: BaseRequest, length: int, chunked: bool, body: bytes | None = None) -> bytes:
        """Make the head's bytes, with the body behind it where that is given."""
        connection = request.connection
        status = self._status
        type_field = self._type_field
        extra = connection.automatic_fields
        keep_alive = self._keep_alive is not False and connection.keep_alive
        says_close = False
        if self._cookies is not None:
            self._show_cookies(self._cookies)
        headers = self._headers
        if headers is not None:
            type_field = None
            extra = self._reconcile(headers, extra)
            says_close = _asks_close(headers)
            keep_alive = keep_alive and not says_close
        elif status not in _STATUSES_WITH_BODY:
            type_field = None
        if chunked:
            extra += _CHUNKED_FIELD
        if not keep_alive:
            if not says_close and status != 101:
                extra += _CLOSE_FIELD
                if headers is not None:
                    _drop_keep_alive(headers)
        elif request.head.version is not HttpVersion11:
            extra += _KEEP_ALIVE_FIELD
        self._keep_alive = connection.keep_alive = keep_alive
        status_line = _STATUS_LINES.get(status) if self._reason is None else None
        if status_line is None:
            status_line = make_status_line(HttpVersion11, status, self.reason)
        return serialize_response_head(status_line, headers, type_field, length, extra, body)

    def _reconcile(self, headers: CIMultiDict[str], automatic: bytes) -> bytes:
        """Drop fields that framing decides, and keep from the automatic ones what the application hasn't set."""
        status = self._status
        if status != 304 or len(headers.getall(hdrs.CONTENT_LENGTH, ())) > 1:
            headers.popall(hdrs.CONTENT_LENGTH, None)
        if status not in _STATUSES_WITH_BODY:
            headers.popall(hdrs.CONTENT_TYPE, None)
        if self._has_automatic_fields:
            return b""
        if hdrs.DATE not in headers and hdrs.SERVER not in headers:
            return automatic
        date, server = automatic.splitlines(keepends=True)
        return (b"" if hdrs.DATE in headers else date) + (b"" if hdrs.SERVER in headers else server)

    def _show_automatic_fields(self, automatic: bytes) -> None:
        """Put Date and Server into the header map, for those that see or change it before it is sent."""
        headers = self.headers
        for line in automatic.decode("ascii").splitlines():
            name, _, value = line.partition(": ")
            headers.setdefault(name, value)
        self._has_automatic_fields = True

    def _show_cookies(self, cookies: SimpleCookie) -> None:
        for morsel in cookies.values():
            self.headers.add(hdrs.SET_COOKIE, format_morsel(morsel))

    def _start_body(self, request: BaseRequest) -> AbstractEncoder | None:
        """Make what codes the body as it is written; None where it is sent as it is."""
        return self._start_coding(request)

    def _start_coding(self, request: BaseRequest) -> AbstractEncoder | None:
        """Choose a content coding and name it in the head; None where the peer accepts none of ours."""
        headers = self.headers
        if self._status == 304:
            _weaken_stored_tag(headers, request)
        if hdrs.CONTENT_ENCODING in headers or self._status not in _STATUSES_WITH_BODY:
            return None
        coding = self._choose_coding(request)
        if coding is None:
            return None
        encoder = coding.make_encoder(self._coding_level)
        headers[hdrs.CONTENT_ENCODING] = coding.name
        headers.popall(hdrs.CONTENT_LENGTH, None)
        headers.popall(hdrs.ACCEPT_RANGES, None)
        tag = headers.get(hdrs.ETAG, "")
        if tag.startswith('"'):
            headers[hdrs.ETAG] = f"W/{tag}"
        return encoder

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._status} {self.reason} {self._stage.value}>"


class Response(StreamResponse):
    """A response whose body is known when it is made.

    Args:
        body: bytes, or anything that the payload registry takes: str, file, async iterable, Payload.
        status: 100 to 999, default 200.
        reason: the phrase in the status line; default the registered one.
        text: the body as text, instead of ``body``; default Content-Type then is ``text/plain``.
        headers: fields of the head; a value may hold no CR, LF or NUL.
        content_type: media type without parameters.
        charset: how ``text`` is encoded, default utf-8.
        zlib_executor_size, zlib_executor: taken for compatibility; the coding's own setting is used.

    Raises:
        ValueError: both body and text, Content-Type given twice, or something that can't be sent.
    """

    _body: bytes | Payload | None
    # The body as it is sent, where it was coded in one piece.
    _coded_body: bytes | None = None
    # Whether the body was left out of an answer made in one buffer.
    _is_discarded: bool = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Send step by step what takes part in the steps."""
        super().__init_subclass__(**kwargs)
        if {"prepare", "write", "write_eof"} & vars(cls).keys():
            cls.render = StreamResponse.render  # type: ignore[method-assign]  # the same signature, and never a buffer

    def __init__(
        self,
        *,
        body: Any = None,
        status: int = 200,
        reason: str | None = None,
        text: str | None = None,
        headers: Headers | None = None,
        content_type: str | None = None,
        charset: str | None = None,
        zlib_executor_size: int | None = None,
        zlib_executor: Executor | None = None,
    ) -> None:
        self._stage = _NEW
        self._is_plain = True
        self._status = 200
        self._headers = None
        self._type_field = None
        self._body = None
        if status != 200 or reason is not None:
            self.set_status(status, reason)
        if headers is not None:
            self._set_headers(headers)
        if text is not None:
            if body is not None:
                raise ValueError("body and text are both given, one is expected")
            if content_type is None and charset is None and headers is None and type(text) is str:
                self._type_field = _TEXT_TYPE
                self._body = text.encode()
            else:
                self._set_text(text, content_type, charset)
            return
        if content_type is not None or charset is not None:
            self._set_given_type(content_type or _OCTET_STREAM, charset)
        if type(body) is bytes and self._headers is None:
            self._body = body
            if self._type_field is None:
                self._type_field = _OCTET_STREAM
        elif body is not None:
            self.body = body

    def _set_text(self, text: str, content_type: str | None, charset: str | None) -> None:
        if content_type is not None or charset is not None:
            self._set_given_type(content_type or "text/plain", charset or "utf-8")
        elif self._headers is None:
            self._type_field = _TEXT_TYPE
        else:
            field = self._headers.setdefault(hdrs.CONTENT_TYPE, _TEXT_TYPE)
            charset = self.charset
            if charset is None:
                self._headers[hdrs.CONTENT_TYPE] = f"{field}; charset=utf-8"
        try:
            self._body = text.encode(charset or "utf-8")
        except AttributeError:
            raise TypeError(f"text is a str, not {type(text).__name__}") from None

    def _set_given_type(self, content_type: str, charset: str | None) -> None:
        field = _make_type_field(content_type, charset)
        if self._headers is None:
            self._type_field = field
        elif hdrs.CONTENT_TYPE in self._headers:
            raise ValueError("Content-Type is given twice: in headers and by content_type or charset")
        else:
            self._headers[hdrs.CONTENT_TYPE] = field

    @property
    def body(self) -> bytes | Payload | None:
        """The body: bytes, a Payload, or None."""
        return self._body

    @body.setter
    def body(self, value: Any) -> None:
        self._check_is_new("body")
        if value is None:
            self._body = None
        elif isinstance(value, bytes | bytearray | memoryview):
            self._body = value if type(value) is bytes else bytes(value)
            if self._headers is not None:
                self._headers.setdefault(hdrs.CONTENT_TYPE, _OCTET_STREAM)
            elif self._type_field is None:
                self._type_field = _OCTET_STREAM
        else:
            self._take_payload(PAYLOAD_REGISTRY.get(value))

    def _take_payload(self, payload: Payload) -> None:
        self._body = payload
        headers = self.headers
        for name, value in payload.headers.items():
            headers.setdefault(name, value)
        if headers.get(hdrs.CONTENT_TYPE, _OCTET_STREAM) == _OCTET_STREAM and payload.content_type:
            headers[hdrs.CONTENT_TYPE] = payload.content_type

    @property
    def text(self) -> str | None:
        """The body as text by the charset of Content-Type, utf-8 without one; None without a body."""
        return None if self._body is None else self._body.decode(self.charset or "utf-8")

    @text.setter
    def text(self, value: str | None) -> None:
        self._check_is_new("text")
        if value is None:
            self._body = None
            return
        if self.content_type == _OCTET_STREAM:
            self._set_type_field(_TEXT_TYPE)
        if self.charset is None:
            self.charset = "utf-8"
        self._body = value.encode(self.charset or "utf-8")

    @property
    def body_length(self) -> int:
        """Bytes of content sent so far."""
        if self._writer is not None:
            return super().body_length
        if self._stage is not _ENDED or self._is_discarded:
            return 0
        body = self._body if self._coded_body is None else self._coded_body
        return len(body) if isinstance(body, bytes) else 0

    @property
    def content_length(self) -> int | None:
        """Bytes of the body; None when unknown or chunked."""
        if self._chunked:
            return None
        if self._body is None:
            return StreamResponse.content_length.__get__(self) or 0
        return len(self._body) if isinstance(self._body, bytes) else self._body.size

    @content_length.setter
    def content_length(self, value: int | None) -> None:
        raise RuntimeError("Content-Length of a Response follows from its body: use a StreamResponse")

    def _get_length(self, request: BaseRequest) -> int | None:
        if self._coded_body is not None:
            return None if self._chunked else len(self._coded_body)
        # Without a body, an answer to HEAD may tell the length of what GET would give.
        return 0 if self._body is None and request.head.method != "HEAD" else self.content_length

    def render(self, request: BaseRequest) -> bytes | None:
        """Make the whole answer in one buffer and end; None, and nothing changed, where it has to be prepared."""
        connection = request.connection
        is_simple = connection.is_simple
        body = b"" if self._body is None else self._body
        if type(body) is not bytes or len(body) > JOIN_BYTES:
            return None
        if request.prepare_hooks or (not is_simple and connection.prepare_response is not None):
            return None
        if self._stage is not _NEW or request.response is not None:
            self._refuse(request)
            return None
        data = None
        if is_simple and self._is_plain:
            data = serialize_plain_response(
                _STATUS_LINES[self._status], self._headers, self._type_field, connection.automatic_fields, body
            )
        if data is None:
            data = self._render_specially(request, body)
        if data is not None:
            self._stage = _ENDED
            request.response = self
        return data

    def _render_specially(self, request: BaseRequest, body: bytes) -> bytes | None:
        headers = self._headers
        if self._chunked or (headers is not None and hdrs.TRANSFER_ENCODING in headers):
            return None
        if self._coding:
            self._start_body(request)
            body = body if self._coded_body is None else self._coded_body
        length, _, self._is_discarded = self._frame(request, self._get_length(request))
        return self._make_head(request, length, False, b"" if self._is_discarded else body)

    def _start_body(self, request: BaseRequest) -> AbstractEncoder | None:
        """Code a small body at once, so that its length is known; see :meth:`StreamResponse.prepare`."""
        body = self._body
        encoder = self._start_coding(request) if body or self._status == 304 else None
        if encoder is None or type(body) is not bytes or len(body) > JOIN_BYTES:
            return encoder
        self._coded_body = encoder.encode(body) + encoder.finish()
        return None

    async def prepare(self, request: BaseRequest) -> BodyWriter | None:
        """Send the head; see :meth:`StreamResponse.prepare`. Where that fails, the body is closed."""
        try:
            return await super().prepare(request)
        except BaseException:
            if self._request is request and isinstance(self._body, Payload):
                await self._body.close()
            raise

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body and end the response; a second call does nothing."""
        if self._stage is _ENDED:
            return
        body = self._body if self._coded_body is None else self._coded_body
        if type(body) is bytes and (self._is_over_tls() or (self.compression and len(body) > ONE_PIECE_BYTES)):
            # What is coded goes out as it is made, and takes no memory twice. A TLS transport takes any amount and
            # doesn't tell what it still holds: only pieces, with a wait between them, keep a slow peer's answer from
            # being cut off when the connection is closed.
            body = BytesPayload(body)
        if type(body) is bytes:
            await super().write_eof(body + data if data else body)
        elif body is None:
            await super().write_eof(data)
        else:
            await self._write_payload(cast("Payload", body))
            await super().write_eof(data)

    def _is_over_tls(self) -> bool:
        return self._request is not None and self._request.get_extra_info("sslcontext") is not None

    async def _write_payload(self, payload: Payload) -> None:
        writer = self._get_writer("write_eof()")
        try:
            if not writer.discards:
                size = payload.size
                await (payload.write(writer) if size is None else payload.write_with_length(writer, size))
        finally:
            await payload.close()


def json_response(
    data: Any = _NOT_GIVEN,
    *,
    text: str | None = None,
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: Headers | None = None,
    content_type: str = "application/json",
    dumps: Callable[[Any], str] = json.dumps,
) -> Response:
    """Make a response of JSON.

    Args:
        data: what ``dumps`` takes; or give ``text`` or ``body``, serialised already.
        dumps: makes text of data, default :func:`json.dumps`.

    Raises:
        ValueError: more than one of data, text and body.

    Source: RFC 8259.
    """
    if data is not _NOT_GIVEN:
        if text is not None or body is not None:
            raise ValueError("one of data, text and body is expected")
        text = dumps(data)
    return Response(text=text, body=body, status=status, reason=reason, headers=headers, content_type=content_type)


def json_bytes_response(
    data: Any = _NOT_GIVEN,
    *,
    dumps: Callable[[Any], bytes],
    body: bytes | None = None,
    status: int = 200,
    reason: str | None = None,
    headers: Headers | None = None,
    content_type: str = "application/json",
) -> Response:
    """Make a response of JSON by a serialiser that gives bytes, such as orjson's.

    Args:
        data: what ``dumps`` takes; or give ``body``, serialised already.
        dumps: makes bytes of data.

    Raises:
        ValueError: both data and body.
    """
    if data is not _NOT_GIVEN:
        if body is not None:
            raise ValueError("one of data and body is expected")
        body = dumps(data)
    return Response(body=body, status=status, reason=reason, headers=headers, content_type=content_type)


@lru_cache(maxsize=256)
def _make_type_field(content_type: str, charset: str | None) -> str:
    if "charset" in content_type:
        raise ValueError(f"content_type is {content_type!r}: give the charset by its own argument")
    field = content_type if charset is None else f"{content_type}; charset={charset}"
    check_field(hdrs.CONTENT_TYPE, field)
    return field


def _parse_length(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        raise LocalProtocolError(f"Content-Length is {value!r}, expected a whole number from 0")
    return int(value)


def _weaken_stored_tag(headers: CIMultiDict[str], request: BaseRequest) -> None:
    """Name the tag of what was not modified as the peer has it: weak where that was coded. Source: RFC 9110 15.4.5."""
    tag = headers.get(hdrs.ETAG, "")
    if tag.startswith('"') and f"W/{tag}" in ",".join(request.headers.getall(hdrs.IF_NONE_MATCH, ())):
        headers[hdrs.ETAG] = f"W/{tag}"


def _drop_keep_alive(headers: CIMultiDict[str]) -> None:
    """Take back what the application has promised where the connection ends. Source: RFC 9112 section 9.3."""
    for field in headers.popall(hdrs.CONNECTION, ()):
        options = [option.strip() for option in field.split(",") if option.strip().lower() != "keep-alive"]
        if options:
            headers.add(hdrs.CONNECTION, ", ".join(options))


def _asks_close(headers: CIMultiDict[str]) -> bool:
    fields = headers.getall(hdrs.CONNECTION, ())
    return any(option.strip().lower() == "close" for field in fields for option in field.split(","))
