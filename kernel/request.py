"""Requests: a lazy view of one parsed head and of the body behind it.

Making a request touches nothing but the head; header map, URL, query and cookies are made when first asked for.
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

from . import hdrs
from .cookies import parse_cookie_header
from .errors import RemoteProtocolError, missing_plugin
from .exceptions import HTTPBadRequest, HTTPRequestEntityTooLarge, HTTPUnsupportedMediaType
from .fields import (
    ETag,
    choose_coding,
    find_codec,
    parse_content_type,
    parse_etags,
    parse_forwarded,
    parse_http_date,
    parse_range,
    parse_urlencoded,
)
from .keys import DataMapping
from .limits import DEFAULT_LIMITS
from .wire import RequestHead, RequestParser

if TYPE_CHECKING:
    from datetime import datetime

    from .abc import AbstractConnection, PrepareHook, UpgradedProtocol
    from .hdrs import HttpVersion
    from .keys import AppKey
    from .response import StreamResponse
    from .streams import StreamReader

_OCTET_STREAM: Final = "application/octet-stream"
_URLENCODED: Final = "application/x-www-form-urlencoded"
_PERCENT: Final = re.compile("%[0-9A-Fa-f]{2}")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NOT_GIVEN: Final[Any] = object()


class ChainMapProxy(Mapping["str | AppKey[Any]", Any]):
    """A read-only view of several mappings, the first one that has a key wins."""

    __slots__ = ("_maps",)

    def __init__(self, maps: Iterable[Mapping[Any, Any]]) -> None:
        self._maps = tuple(maps)

    def __getitem__(self, key: str | AppKey[Any]) -> Any:
        for mapping in self._maps:
            if key in mapping:
                return mapping[key]
        raise KeyError(key)

    def __len__(self) -> int:
        return len(set().union(*self._maps))

    def __iter__(self) -> Iterator[str | AppKey[Any]]:
        return iter(set().union(*self._maps))

    def __bool__(self) -> bool:
        return any(self._maps)

    def __repr__(self) -> str:
        return f"ChainMapProxy({', '.join(map(repr, self._maps))})"


class BaseRequest(DataMapping):
    """One request as a handler sees it; also a mapping for data that middlewares leave for handlers.

    Args:
        head: the parsed head.
        content: the body.
        connection: where it came from.
    """

    POST_METHODS: Final = frozenset({"PATCH", "POST", "PUT", "TRACE", "DELETE"})

    __slots__ = (
        "__weakref__",
        "_client_max_fields",
        "_client_max_size",
        "_cookies",
        "_headers",
        "_host",
        "_post",
        "_query",
        "_raw_path",
        "_read_bytes",
        "_rel_url",
        "_remote",
        "_scheme",
        "connection",
        "content",
        "head",
        "match_info",
        "match_path",
        "method",
        "origin",
        "own_data",
        "prepare_hooks",
        "response",
    )

    #: The parsed head.
    head: RequestHead
    #: The body as a stream; empty where there is none.
    content: StreamReader
    #: The connection that the request came by.
    connection: AbstractConnection
    #: The method, as sent.
    method: str
    #: The path that routers match, without query: percent-encoded, normalised by RFC 3986 section 6.2.2.
    match_path: str
    #: What the router found, an AbstractMatchInfo; None where nobody routes: a bare handler, an application's own one.
    #: Any, since a router's own match has more than the port: ``match_info["name"]`` comes with routing.
    match_info: Any
    #: The request that the connection is answering, where this one is a clone of it; else None.
    origin: BaseRequest | None
    #: The response that has been started for this request; a clone's is its origin's.
    response: StreamResponse | None
    #: What :meth:`add_prepare_hook` has added, in that order; None at first.
    prepare_hooks: list[PrepareHook] | None

    def __init__(self, head: RequestHead, content: StreamReader, connection: AbstractConnection) -> None:
        self.head = head
        self.content = content
        self.connection = connection
        self.method = head.method
        self.match_path = head.path if head.is_plain else _normalize_path(head.path)
        self.match_info = None
        self.origin = None
        self.response = None
        self.prepare_hooks = None
        # What is made when first asked for.
        self.own_data: dict[Any, Any] | None = None
        self._headers: CIMultiDictProxy[str] | None = None
        self._rel_url: URL | None = None
        self._query: MultiDictProxy[str] | None = None
        self._cookies: Mapping[str, str] | None = None
        self._read_bytes: bytes | None = None
        self._post: MultiDictProxy[Any] | None = None
        # What clone() sets.
        self._scheme: str | None = None
        self._host: str | None = None
        self._remote: str | None = None
        self._client_max_size: int | None = None
        self._client_max_fields: int | None = None
        self._raw_path: str | None = None

    @classmethod
    def from_head(cls, head: bytes, content: StreamReader, connection: AbstractConnection) -> Self:
        """Make a request of the bytes of a head, as tests of handlers do that need no socket.

        Args:
            head: start line and fields, with the blank line.
            content: the body.
            connection: where it is said to come from.

        Raises:
            ValueError: the bytes are no whole head.
        """
        parser = RequestParser(DEFAULT_LIMITS)
        parser.feed_data(head)
        try:
            parsed = parser.next_event()
        except RemoteProtocolError as exc:
            raise ValueError(f"the bytes are no head of a request: {exc}") from exc
        if not isinstance(parsed, RequestHead):
            raise ValueError("the bytes are no whole head of a request: a blank line ends it")
        return cls(parsed, content, connection)

    def clone(
        self,
        *,
        method: str = _NOT_GIVEN,
        rel_url: str | URL = _NOT_GIVEN,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = _NOT_GIVEN,
        scheme: str = _NOT_GIVEN,
        host: str = _NOT_GIVEN,
        remote: str = _NOT_GIVEN,
        client_max_size: int = _NOT_GIVEN,
        client_max_fields: int = _NOT_GIVEN,
    ) -> Self:
        """Make a request like this one with some parts replaced.

        Both share the body and the answer. The clone begins with the same data; what one gets later, the other hasn't.
        How the answer is framed, and whether the connection stays open, follows from what the peer has sent.

        Raises:
            RuntimeError: the body has been read.
        """
        if self._read_bytes is not None:
            raise RuntimeError("clone() after the body was read: clone the request before that")
        new = copy.copy(self)
        new.origin = self if self.origin is None else self.origin
        new.own_data = None if self.own_data is None else dict(self.own_data)
        if method is not _NOT_GIVEN:
            new.method = method
        if rel_url is not _NOT_GIVEN:
            new._set_rel_url(URL(rel_url))
        if headers is not _NOT_GIVEN:
            new._headers = CIMultiDictProxy(CIMultiDict(headers))
            new._cookies = None
        replaced = {
            "_scheme": scheme,
            "_host": host,
            "_remote": remote,
            "_client_max_size": client_max_size,
            "_client_max_fields": client_max_fields,
        }
        for name, value in replaced.items():
            if value is not _NOT_GIVEN:
                setattr(new, name, value)
        return new

    def _set_rel_url(self, url: URL) -> None:
        self._rel_url = url
        self._query = None
        self._raw_path = url.raw_path_qs
        self.match_path = _normalize_path(url.raw_path)

    # Where it came from.

    @property
    def protocol(self) -> AbstractConnection:
        """The connection, under aiohttp's name."""
        return self.connection

    @property
    def transport(self) -> asyncio.Transport | None:
        """The socket's transport; None once the peer has gone."""
        return self.connection.transport

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that runs the handler."""
        return self.connection.task

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running event loop."""
        return asyncio.get_running_loop()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Get a fact about the transport: "peername", "sockname", "ssl_object", ...; or else ``default``."""
        transport = self.connection.transport
        return default if transport is None else transport.get_extra_info(name, default)

    @property
    def remote(self) -> str | None:
        """The peer's address; a proxy's where one is between. None on a Unix socket."""
        if self._remote is not None:
            return self._remote
        peername = self.get_extra_info("peername")
        return str(peername[0]) if isinstance(peername, tuple) else None

    @property
    def secure(self) -> bool:
        """Whether :attr:`scheme` is "https"."""
        return self.scheme == "https"

    @property
    def scheme(self) -> str:
        """What the connection speaks: "https" over TLS, else "http"; what the peer claims has no say."""
        if self._scheme is not None:
            return self._scheme
        return "http" if self.get_extra_info("sslcontext") is None else "https"

    @property
    def host(self) -> str:
        """Host and port that the peer asked for: of an absolute target, else of Host, else our own address.

        Source: RFC 9112 section 3.2.2.
        """
        return self._host or self.head.authority or self.head.host or self._get_own_address()

    def _get_own_address(self) -> str:
        sockname = self.get_extra_info("sockname")
        if not isinstance(sockname, tuple):
            return "localhost"
        name = f"[{sockname[0]}]" if ":" in sockname[0] else sockname[0]
        return f"{name}:{sockname[1]}"

    async def wait_for_disconnection(self) -> None:
        """Return once the peer has gone or has closed its sending side; also where no handler cancellation is on."""
        await self.connection.wait_for_disconnection()

    def add_prepare_hook(self, hook: PrepareHook) -> None:
        """Have ``async (request, response) -> None`` called before the head of this request's answer is made.

        For middlewares: an answer that its handler prepares, a stream, comes back to them when its head has gone. A
        hook may change status, fields, cookies and coding. Hooks run the last added first, as middlewares return, and
        before ``on_response_prepare``; what one raises is the handler's error. A clone's hooks are its origin's.
        """
        origin = self if self.origin is None else self.origin
        if origin.prepare_hooks is None:
            origin.prepare_hooks = []
        origin.prepare_hooks.append(hook)

    def remove_prepare_hook(self, hook: PrepareHook) -> None:
        """Take a hook back that has nothing to do any more: answers without hooks are sent faster.

        Raises:
            ValueError: it isn't there.
        """
        origin = self if self.origin is None else self.origin
        if origin.prepare_hooks is None:
            raise ValueError(f"{hook!r} was not added to {self!r}")
        origin.prepare_hooks.remove(hook)

    def take_over(
        self, protocol: UpgradedProtocol, *, on_failure: Callable[[BaseException], object] | None = None
    ) -> None:
        """Give the connection to another protocol, after a 101 or a 2xx to CONNECT was prepared.

        ``protocol.connection_made`` is called with the transport, then ``data_received`` with bytes that were
        read beyond the request. When the handler returns, the connection is closed.

        Args:
            protocol: an ``asyncio.Protocol``.
            on_failure: called with the exception where the handler raises one, or is cancelled because the server
                stops; the protocol says so in its own words then, and closes the transport within
                ``linger_seconds``. None, the default, has the connection cut off.

        Raises:
            RuntimeError: the request offers no upgrade, or its answer has not been prepared.

        Source: RFC 9110 sections 7.8 and 9.3.6.
        """
        if not (self.head.upgrade or self.method == hdrs.METH_CONNECT):
            raise RuntimeError(f"{self!r} offers no upgrade")
        if (self if self.origin is None else self.origin).response is None:
            raise RuntimeError("take_over() before the answer: await response.prepare(request) first")
        self.connection.take_over(protocol, on_failure)

    # The start line.

    @property
    def version(self) -> HttpVersion:
        """The peer's HTTP version."""
        return self.head.version

    @property
    def raw_path(self) -> str:
        """The target as sent, with its query."""
        return self.head.target if self._raw_path is None else self._raw_path

    @property
    def rel_url(self) -> URL:
        """The target as a URL without scheme and host, its percent-encoding normalised; :attr:`raw_path` is as sent."""
        if self._rel_url is None:
            self._rel_url = URL.build(path=self.match_path, query_string=self.head.query, encoded=True)
        return self._rel_url

    @property
    def url(self) -> URL:
        """The whole URL."""
        relative = self.rel_url
        path = "/" if relative.raw_path in ("", "*") else relative.raw_path
        return URL.build(
            scheme=self.scheme, authority=self.host, path=path, query_string=relative.raw_query_string, encoded=True
        )

    @property
    def path(self) -> str:
        """The path, decoded, without query."""
        return self.match_path if self.head.is_plain and self._raw_path is None else self.rel_url.path

    @property
    def path_qs(self) -> str:
        """Path and query, encoded."""
        return str(self.rel_url)

    @property
    def query(self) -> MultiDictProxy[str]:
        """The query's fields, decoded."""
        if self._query is None:
            pairs = parse_urlencoded(self._raw_query) if self._raw_query else ()
            self._query = MultiDictProxy(MultiDict(pairs))
        return self._query

    @property
    def query_string(self) -> str:
        """The query, decoded."""
        return self.rel_url.query_string

    @property
    def _raw_query(self) -> str:
        return self.head.query if self._raw_path is None else self.rel_url.raw_query_string

    # Fields of the head.

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields; names are compared without case."""
        if self._headers is None:
            self._headers = self.head.headers
        return self._headers

    @property
    def raw_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """The fields as sent."""
        if self._headers is None or self._headers is self.head.headers:
            return self.head.raw_headers
        return tuple(
            (name.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape"))
            for name, value in self._headers.items()
        )

    def _get_field(self, name: str) -> str | None:
        return self.head.field(name) if self._headers is None else self._headers.get(name)

    def _get_list_field(self, name: str) -> str | None:
        values = self.headers.getall(name, ())
        return ", ".join(values) if values else None

    @property
    def keep_alive(self) -> bool:
        """Whether the peer wants the connection kept open."""
        return self.head.keep_alive

    @property
    def content_type(self) -> str:
        """The body's media type without parameters, in lower case; "application/octet-stream" where none is given."""
        field = self._get_field("content-type")
        return _OCTET_STREAM if field is None else parse_content_type(field)[0]

    @property
    def charset(self) -> str | None:
        """The charset parameter of Content-Type."""
        field = self._get_field("content-type")
        return None if field is None else parse_content_type(field)[1].get("charset")

    @property
    def content_length(self) -> int | None:
        """Bytes of the body by Content-Length."""
        return self.head.content_length

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, by name."""
        if self._cookies is None:
            # HTTP/2 gateways split the field. Source: RFC 9113 section 8.2.3.
            field = "; ".join(self.headers.getall(hdrs.COOKIE, ()))
            self._cookies = MappingProxyType(parse_cookie_header(field))
        return self._cookies

    @property
    def if_modified_since(self) -> datetime | None:
        """If-Modified-Since; None where absent or no date. Source: RFC 9110 section 13.1.3."""
        return self._get_date("if-modified-since")

    @property
    def if_unmodified_since(self) -> datetime | None:
        """If-Unmodified-Since; None where absent or no date. Source: RFC 9110 section 13.1.4."""
        return self._get_date("if-unmodified-since")

    @property
    def if_range(self) -> datetime | None:
        """If-Range where it is a date, else None. Source: RFC 9110 section 13.1.5."""
        return self._get_date("if-range")

    def choose_coding(self, offered: tuple[str, ...]) -> str | None:
        """Choose the content coding that the peer likes best by Accept-Encoding.

        Args:
            offered: names in lower case, of equals the dearest first; ``identity`` stands for no coding.

        Returns:
            One of ``offered``; None where the peer accepts none of them, and without the field all but ``identity``.

        Source: RFC 9110 section 12.5.3.
        """
        return choose_coding(self._get_field("accept-encoding"), offered)

    def _get_date(self, name: str) -> datetime | None:
        field = self._get_field(name)
        return None if field is None else parse_http_date(field)

    @property
    def if_match(self) -> tuple[ETag, ...] | None:
        """If-Match; ``(ETag("*"),)`` for any. Source: RFC 9110 section 13.1.1."""
        return self._get_etags(hdrs.IF_MATCH)

    @property
    def if_none_match(self) -> tuple[ETag, ...] | None:
        """If-None-Match; ``(ETag("*"),)`` for any. Source: RFC 9110 section 13.1.2."""
        return self._get_etags(hdrs.IF_NONE_MATCH)

    def _get_etags(self, name: str) -> tuple[ETag, ...] | None:
        field = self._get_list_field(name)
        return None if field is None else parse_etags(field)

    @property
    def http_range(self) -> slice:
        """Range as a slice of bytes; ``slice(None, None, 1)`` where absent.

        Raises:
            ValueError: a range that can't be read. Source: RFC 9110 section 14.2.
        """
        field = self._get_field("range")
        return slice(None, None, 1) if field is None else parse_range(field)

    @property
    def forwarded(self) -> tuple[Mapping[str, str], ...]:
        """What proxies say in Forwarded, one mapping each; believe it only of proxies of your own.

        Source: RFC 7239.
        """
        return parse_forwarded(self.headers.getall(hdrs.FORWARDED, ()))

    # The body.

    @property
    def body_exists(self) -> bool:
        """Whether the request came with a body, also one that was read."""
        return self.head.has_body

    @property
    def has_body(self) -> bool:
        """Whether there is a body to read; :attr:`can_read_body` under its older name."""
        return self.can_read_body

    @property
    def can_read_body(self) -> bool:
        """Whether there is a body to read."""
        return not self.content.at_eof()

    @property
    def client_max_size(self) -> int:
        """Bytes that :meth:`read` takes; 0 for no limit."""
        return self.connection.client_max_size if self._client_max_size is None else self._client_max_size

    @property
    def client_max_fields(self) -> int:
        """Fields that :meth:`post` takes."""
        return self.connection.client_max_fields if self._client_max_fields is None else self._client_max_fields

    async def read(self) -> bytes:
        """Read the whole body; once read it is kept.

        Raises:
            HTTPRequestEntityTooLarge: over :attr:`client_max_size` bytes.
            RequestPayloadError: the body is malformed, cut short or too slow.
        """
        if self._read_bytes is None:
            self._read_bytes = await self._read_content()
        return self._read_bytes

    async def _read_content(self) -> bytes:
        limit = self.client_max_size
        if limit and (self.head.content_length or 0) > limit:
            raise HTTPRequestEntityTooLarge(limit, self.head.content_length or 0)
        chunks: list[bytes] = []
        size = 0
        # Who reads again, after an error or a time-out, gets no half of a body that looks like a whole one.
        try:
            while chunk := await self.content.readany():
                chunks.append(chunk)
                size += len(chunk)
                if limit and size > limit:
                    error = HTTPRequestEntityTooLarge(limit, size)
                    self.content.set_exception(error)
                    raise error
        except asyncio.CancelledError:
            self.content.unread_data(b"".join(chunks))
            raise
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def text(self) -> str:
        """Read the whole body as text by the charset of Content-Type, utf-8 without one.

        Raises:
            HTTPUnsupportedMediaType: a charset that Python doesn't know.
            HTTPBadRequest: bytes that are no text in that charset.
            HTTPRequestEntityTooLarge, RequestPayloadError: as :meth:`read`.
        """
        body = await self.read()
        try:
            return body.decode(find_codec(self.charset))
        except LookupError as exc:
            raise HTTPUnsupportedMediaType(text="the body's charset is unknown") from exc
        except UnicodeError as exc:
            raise HTTPBadRequest(text="the body is no text in its charset") from exc

    async def json(self, *, loads: Callable[[str], Any] = json.loads) -> Any:
        """Read the whole body as JSON.

        Raises:
            ValueError: what ``loads`` raises, :class:`json.JSONDecodeError` by default.
            HTTPException: as :meth:`text`.
        """
        return loads(await self.text())

    async def post(self) -> MultiDictProxy[Any]:
        """Read the body as a form: urlencoded, or a media type that a plugin reads; empty for any other.

        Raises:
            MissingPluginError: a multipart form and no plugin that reads it.
            HTTPRequestEntityTooLarge: over :attr:`client_max_size` bytes or :attr:`client_max_fields` fields.
            HTTPUnsupportedMediaType: a charset that Python doesn't know.
            RequestPayloadError: as :meth:`read`.
        """
        if self._post is None:
            self._post = MultiDictProxy(MultiDict(await self._read_form()))
        return self._post

    async def _read_form(self) -> Iterable[tuple[str, Any]]:
        if self.method not in self.POST_METHODS:
            return ()
        media_type = self.content_type
        if media_type == _URLENCODED:
            return await self._read_urlencoded()
        pairs = await self.connection.read_form(self)
        if pairs is not None:
            return pairs
        if media_type == "multipart/form-data":
            raise missing_plugin("request.post()")
        return ()

    async def _read_urlencoded(self) -> list[tuple[str, str]]:
        limit = self.client_max_fields
        body = await self.read()
        count = body.count(b"&") + 1
        if limit and count > limit:
            raise HTTPRequestEntityTooLarge(limit, count, text=f"the form has {count} fields, limit {limit}")
        try:
            return parse_urlencoded(body, find_codec(self.charset))
        except LookupError as exc:
            raise HTTPUnsupportedMediaType(text="the form's charset is unknown") from exc

    async def multipart(self) -> Any:
        """Read the body as multipart, part by part.

        Raises:
            MissingPluginError: no plugin reads multipart.
            HTTPUnsupportedMediaType: the body is of another media type.
        """
        reader = self.connection.open_multipart(self)
        if reader is not None:
            return reader
        if not self.content_type.startswith("multipart/"):
            raise HTTPUnsupportedMediaType(text=f"the body is {self.content_type}, expected multipart/*")
        raise missing_plugin("request.multipart()")

    async def release(self) -> None:
        """Read the rest of the body and drop it."""
        while await self.content.readany():
            pass

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.head.target}>"


class Request(BaseRequest):
    """A request to an application: knows what the router found and which application answers."""

    __slots__ = ()

    @property
    def app(self) -> Any:
        """The application whose middleware or handler runs now."""
        return self.connection.app if self.match_info is None else self.match_info.current_app

    @property
    def config_dict(self) -> ChainMapProxy:
        """State of :attr:`app` and of the applications around it, the nearest one first; nothing of those inside it."""
        match = self.match_info
        if match is None:
            return ChainMapProxy((self.connection.app,))
        apps = match.apps
        return ChainMapProxy(reversed(apps[: apps.index(match.current_app) + 1]))


def _normalize_path(path: str) -> str:
    """Decode what needs no percent-encoding and write the rest in upper case; RFC 3986 section 6.2.2."""
    return _PERCENT.sub(_normalize_octet, path)


def _normalize_octet(match: re.Match[str]) -> str:
    octet = match[0].upper()
    char = chr(int(octet[1:], 16))
    return char if char in _UNRESERVED else octet
