"""ClientResponse: the answer to one request."""

from __future__ import annotations

import asyncio
import json
import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from http.cookies import SimpleCookie
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from corelet import EMPTY_PAYLOAD, hdrs
from corelet.fields import parse_content_type

from .cookie import make_response_cookies
from .errors import ClientConnectionError, ClientPayloadError, ClientResponseError, ContentTypeError
from .link import parse_links
from .other_plugin import names
from .tracing import TraceResponseChunkReceivedParams

if TYPE_CHECKING:
    from corelet import HttpVersion, StreamReader

    from .connection import Connection
    from .exchange import Exchange
    from .request import ClientRequest
    from .request_info import RequestInfo
    from .tracing import Tracer

_IS_JSON: Final = re.compile(r"application/(?:[\w.+-]+?\+)?json").fullmatch
#: Codings on one body. More are a bomb's.
_MAX_CODINGS: Final = 2
#: Codings that a compression plugin brings.
_KNOWN_CODINGS: Final = frozenset({"gzip", "deflate", "br", "zstd"})
_CODING_ALIASES: Final = {"x-gzip": "gzip"}


class ClientResponse:
    """An answer: its head is here, its body comes as it is read.

    Use it as a context manager, ``async with session.get(url) as response``, or end it by :meth:`read` or
    :meth:`release`: what is not read to its end keeps its connection.
    """

    def __init__(self, request: ClientRequest, exchange: Exchange) -> None:
        head = exchange.head
        assert head is not None
        self._request = request
        self._exchange = exchange
        self._head = head
        self._url = request.url
        self._history: tuple[ClientResponse, ...] = ()
        self._content: StreamReader | None = None
        self._body: bytes | None = None
        self._cookies: SimpleCookie | None = None
        self._is_released = False
        self._request_info: RequestInfo | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._url.with_user(None)}) [{self.status} {self.reason}]>"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        exchange = getattr(self, "_exchange", None)
        if exchange is None or exchange.connection is None:
            return
        _warn(f"Unclosed response {self!r}: its body was not read to the end", ResourceWarning, source=self)
        loop = self._request.session.loop
        if loop is not None and not loop.is_closed():
            exchange.close()

    # The head.

    @property
    def status(self) -> int:
        """The status code."""
        return self._head.status

    @property
    def reason(self) -> str:
        """The reason phrase; may be empty."""
        return self._head.reason

    @property
    def version(self) -> HttpVersion:
        """The HTTP version that the server speaks."""
        return self._head.version

    @property
    def ok(self) -> bool:
        """Whether the status is below 400."""
        return self._head.status < 400

    @property
    def method(self) -> str:
        """The method of the request."""
        return self._request.method

    @property
    def url(self) -> URL:
        """The URL of the request, without its fragment."""
        return self._url.with_fragment(None) if self._url.raw_fragment else self._url

    @property
    def real_url(self) -> URL:
        """The URL of the request, with its fragment."""
        return self._url

    @property
    def host(self) -> str:
        """The host of the URL."""
        return self._url.host or ""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields."""
        return self._head.headers

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The header fields as bytes, as they came."""
        return self._head.raw_headers

    @property
    def request_info(self) -> RequestInfo:
        """The request."""
        if self._request_info is None:
            self._request_info = self._request.request_info
        return self._request_info

    @property
    def history(self) -> tuple[ClientResponse, ...]:
        """The answers that redirected to this one, first to last."""
        return self._history

    @history.setter
    def history(self, history: tuple[ClientResponse, ...]) -> None:
        self._history = history

    @property
    def content_type(self) -> str:
        """The media type in lower case; ``application/octet-stream`` where the answer does not say."""
        return parse_content_type(self.headers.get(hdrs.CONTENT_TYPE, ""))[0]

    @property
    def charset(self) -> str | None:
        """The charset that Content-Type names."""
        return parse_content_type(self.headers.get(hdrs.CONTENT_TYPE, ""))[1].get("charset")

    @property
    def content_length(self) -> int | None:
        """What Content-Length says: bytes of the body as it is sent."""
        return self._head.content_length

    @property
    def content_disposition(self) -> Any:
        """What Content-Disposition says: type, parameters and file name; None where it is missing.

        Raises:
            MissingPluginError: no plugin reads it.
        """
        value = self.headers.get(hdrs.CONTENT_DISPOSITION)
        if value is None:
            return None
        from .content_disposition import parse

        return parse(value)

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies that the answer sets."""
        if self._cookies is None:
            self._cookies = make_response_cookies(self.headers.getall(hdrs.SET_COOKIE, ()))
        return self._cookies

    @property
    def links(self) -> MultiDictProxy[MultiDictProxy[str | URL]]:
        """The Link fields: relation, or target, to parameters; ``url`` among them is resolved. Source: RFC 8288."""
        links: MultiDict[MultiDictProxy[str | URL]] = MultiDict()
        for target, parameters in parse_links(self.headers.getall(hdrs.LINK, ())):
            link: MultiDict[str | URL] = MultiDict(parameters)
            try:
                link["url"] = self.url.join(URL(target))
            except ValueError:  # what is no URL leads nowhere
                continue
            links.add(str(link.get("rel", target)), MultiDictProxy(link))
        return MultiDictProxy(links)

    # The body.

    @property
    def content(self) -> StreamReader:
        """The body, decoded, as a stream."""
        if self._content is None:
            self._content = self._open_content()
        return self._content

    def _open_content(self) -> StreamReader:
        if not self._head.has_body:
            return EMPTY_PAYLOAD
        stream = self._exchange.open_stream()
        codings = self._request.settings.codings
        coded = None if codings is None else self._head.field("Content-Encoding")
        if codings is None or coded is None:
            return stream
        applied = [
            _CODING_ALIASES.get(name, name)
            for part in coded.split(",")
            if (name := part.strip().lower()) not in ("", "identity")
        ]
        if len(applied) > _MAX_CODINGS:
            message = f"Content-Encoding has {len(applied)} codings, limit {_MAX_CODINGS}"
            stream.set_exception(ClientPayloadError(message))
            self.close()
            return stream
        for name in reversed(applied):
            if name not in codings:
                return self._leave_coded(stream, name)
            stream = names.DecodedStreamReader(stream, codings[name], make_error=self._make_coding_error)
        return stream

    def _leave_coded(self, stream: StreamReader, name: str) -> StreamReader:
        """Give what nobody can decode as it is; but what every client is expected to decode is an error."""
        if name in _KNOWN_CODINGS:
            message = f"Content-Encoding is {name!r}: pip install corelet-compression, or auto_decompress=False"
            stream.set_exception(ClientPayloadError(message))
            self.close()
        return stream

    def _make_coding_error(self, error: Exception) -> ClientPayloadError:
        self.close()
        return ClientPayloadError(f"the body of {self._url.with_user(None)} can't be decoded: {error}")

    async def read(self) -> bytes:
        """Read the whole body; it is kept.

        Raises:
            ClientPayloadError: it is malformed, was cut short, or is larger than ``max_decoded_size`` when decoded.
            ClientConnectionError: the response was closed or released before.
            ServerTimeoutError: it took too long.
        """
        if self._body is None:
            exchange = self._exchange
            if exchange.error is not None:
                raise exchange.error
            if self._content is None and exchange.is_complete and exchange.stream is None and not self._is_coded():
                self._body = b"".join(exchange.pieces)
            else:
                self._body = await self._read_stream(self._request.settings.max_decoded_size)
            if self._request.tracer is not None:
                await self._trace_body(self._request.tracer)
        return self._body

    async def drop_rest(self, limit: int) -> None:
        """Close the response; read its rest where that is short, so that the connection can be used again.

        Args:
            limit: bytes that are not short, as they are sent and decoded.
        """
        if not self.closed and (self.content_length or limit) < limit:
            with suppress(ClientPayloadError):
                self._body = await self._read_stream(limit)
                if self._request.tracer is not None:
                    await self._trace_body(self._request.tracer)
        self.close()

    async def _trace_body(self, tracer: Tracer) -> None:
        params = TraceResponseChunkReceivedParams(self.method, self._url, self._body or b"")
        await tracer.send("on_response_chunk_received", params)

    def _is_coded(self) -> bool:
        return self._request.settings.codings is not None and self._head.field("Content-Encoding") is not None

    async def _read_stream(self, max_decoded_size: int) -> bytes:
        if self._is_released and not self._exchange.is_complete:
            raise ClientConnectionError("the response was released before its body was read")
        try:
            if not self._is_coded():
                return await self.content.read()
            return await self._read_decoded(max_decoded_size)
        except BaseException:
            self.close()
            raise

    async def _read_decoded(self, limit: int) -> bytes:
        content = self.content
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await content.readany():
                pieces.append(piece)
                size += len(piece)
                if size > limit:
                    raise self._make_size_error(limit)
        except ClientPayloadError as error:
            content.set_exception(error)  # nobody may take what is left for the whole
            raise
        except asyncio.CancelledError:
            content.unread_data(b"".join(pieces))
            raise
        return b"".join(pieces)

    def _make_size_error(self, limit: int) -> ClientPayloadError:
        return ClientPayloadError(
            f"the body of {self._url.with_user(None)} is over {limit:,} bytes when decoded (max_decoded_size): "
            "read it by response.content"
        )

    def get_encoding(self) -> str:
        """Get the encoding of :meth:`text`: the charset of Content-Type; utf-8 for JSON; else the session's guess.

        Raises:
            RuntimeError: a guess is needed, and the body was not read.
        """
        from .charset import find_codec

        media_type, parameters = parse_content_type(self.headers.get(hdrs.CONTENT_TYPE, ""))
        if (codec := find_codec(parameters.get("charset"))) is not None:
            return codec
        if _IS_JSON(media_type) or media_type == "application/rdap":
            return "utf-8"
        if self._body is None:
            raise RuntimeError("the encoding has to be guessed from the body: await response.read() first")
        return self._request.session.fallback_charset_resolver(self, self._body)

    async def text(self, encoding: str | None = None, errors: str = "strict") -> str:
        """Read the whole body as text.

        Args:
            encoding: instead of what :meth:`get_encoding` finds.
            errors: as for ``bytes.decode``.
        """
        body = await self.read()
        return body.decode(encoding or self.get_encoding(), errors)

    async def json(
        self,
        *,
        encoding: str | None = None,
        loads: Callable[[str], Any] = json.loads,
        content_type: str | None = "application/json",
    ) -> Any:
        """Read the whole body as JSON; None where it is empty.

        Args:
            encoding: instead of what :meth:`get_encoding` finds.
            loads: reads the text.
            content_type: what the answer must be; ``application/json`` takes every ``+json``, None takes anything.

        Raises:
            ContentTypeError: it is something else.
        """
        body = await self.read()
        if content_type is not None:
            self._check_media_type(content_type)
        text = body.decode(encoding or self.get_encoding()).strip()
        return loads(text) if text else None

    def _check_media_type(self, expected: str) -> None:
        found = self.headers.get(hdrs.CONTENT_TYPE, "").lower()
        is_right = _IS_JSON(self.content_type) is not None if expected == "application/json" else expected in found
        if not is_right:
            raise ContentTypeError(
                self.request_info,
                self._history,
                status=self.status,
                message=f"JSON was expected, the media type is {found or 'missing'!r}",
                headers=self.headers,
            )

    # Its end.

    def raise_for_status(self) -> None:
        """Raise ClientResponseError where the status is 400 or above; the response is released then."""
        if self._head.status < 400:
            return
        self.release()
        raise ClientResponseError(
            self.request_info, self._history, status=self.status, message=self.reason, headers=self.headers
        )

    @property
    def connection(self) -> Connection | None:
        """The connection, as long as the answer is not complete."""
        return self._exchange.connection

    @property
    def closed(self) -> bool:
        """Whether the connection was given back or is closed."""
        return self._exchange.connection is None

    def release(self) -> Any:
        """Let go of the response: its connection goes back to the pool, or is closed where the body was not read.

        Returns:
            Something to await, for programs that do.
        """
        self._is_released = True
        self._exchange.close()
        return _DONE

    @property
    def is_request_sent(self) -> bool:
        """Whether the request was sent to the last byte of its body, which the server may not have wanted."""
        return self._exchange.is_sent

    def leave_upload(self) -> bool:
        """Leave the request's body to whoever sends it: no attempt will follow; False where it is sent already."""
        self._exchange.is_last = self._exchange.is_sending
        return self._exchange.is_last

    def close(self) -> None:
        """Close the connection, unless the answer is complete; a body that is still being sent is stopped."""
        self._is_released = True
        self._exchange.close()
        self._exchange.stop_upload()

    async def wait_for_close(self) -> None:
        """Wait until the request's body is sent, or given up, and closed, and release the response."""
        upload = self._exchange.upload
        if upload is not None:
            await asyncio.wait([upload])
        self.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        # Who is cancelled does not wait for a body that may take as long as it likes.
        is_cancelled = exc_type is not None and not issubclass(exc_type, Exception)
        if is_cancelled:
            self.close()
        else:
            self.release()
        upload = self._exchange.upload
        if upload is not None and not upload.done() and exc_type is not GeneratorExit:
            await self.wait_for_close()


class _Done:
    """Nothing to wait for."""

    __slots__ = ()

    def __await__(self) -> Any:
        return
        yield


_DONE: Final = _Done()
