"""ClientRequest: what is sent, and where to."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import corelet
from corelet import HttpVersion, HttpVersion10, HttpVersion11, Payload, hdrs
from corelet.wire import serialize_request_head

from .body import make_body
from .connection_key import ConnectionKey
from .destination import SSL_SCHEMES, SharedFields
from .request_info import RequestInfo
from .settings import Settings
from .timeouts import NEVER
from .tls import SSL

if TYPE_CHECKING:
    from .auth import BasicAuth
    from .response import ClientResponse
    from .session import ClientSession
    from .tracing import Tracer
    from .upload_tracker import UploadTracker

#: Sends a request and gives its answer.
ClientHandlerType: TypeAlias = Callable[["ClientRequest"], Awaitable["ClientResponse"]]
#: Stands between: takes a request and what sends it on.
ClientMiddlewareType: TypeAlias = Callable[["ClientRequest", ClientHandlerType], Awaitable["ClientResponse"]]
#: Header fields as callers give them.
HeaderFields: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

USER_AGENT: Final = f"Python/{sys.version_info[0]}.{sys.version_info[1]} corelet/{corelet.__version__}"
#: Methods that may be sent again where nobody knows whether they arrived. Source: RFC 9110 section 9.2.2.
IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
#: Methods that mean a body: without one they say so by Content-Length. Source: RFC 9110 section 8.6.
POST_METHODS: Final = frozenset({"PATCH", "POST", "PUT"})


class ClientRequest:
    """One request, before and while it is sent; what middlewares get.

    Made by a session. Method, URL, header fields and body may be changed until it is sent, and again before it is
    sent another time.

    Args:
        method: a token, sent as it is.
        url: absolute.
        headers: complete but for what the body brings: Host, Accept and so on are there.
        skip_auto_headers: names of fields that are not added by the body.
        data: the body, or what makes one.
        version: HTTP/1.1 or HTTP/1.0.
        compress: the content coding that the body is sent in.
        chunked: True: by the chunked coding, also where the length is known.
        expect100: send the body only when the server asks for it, or says nothing for a second.
        proxy: where the request is sent to instead.
        proxy_auth: who asks, for the proxy.
        proxy_headers: fields for the proxy.
        ssl: how the server's certificate is checked; see :data:`~corelet_client.tls.SSL`.
        server_hostname: the name that the certificate must have, if not the URL's host.
        session: that sends it.
        settings: timeouts, limits.
    """

    __slots__ = (
        "__weakref__",
        "_connection_key",
        "_headers",
        "_shared_fields",
        "asked_url",
        "auth",
        "body",
        "chunked",
        "compress",
        "content_length",
        "deadline",
        "expect100",
        "method",
        "proxy",
        "proxy_auth",
        "proxy_headers",
        "server_hostname",
        "session",
        "settings",
        "skip_auto_headers",
        "ssl",
        "tracer",
        "upload_tracker",
        "url",
        "version",
    )

    def __init__(
        self,
        method: str,
        url: URL,
        *,
        headers: HeaderFields | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        data: Any = None,
        auth: BasicAuth | None = None,
        version: HttpVersion = HttpVersion11,
        compress: str | None = None,
        chunked: bool = False,
        expect100: bool = False,
        proxy: URL | None = None,
        proxy_auth: BasicAuth | None = None,
        proxy_headers: Mapping[str, str] | None = None,
        ssl: SSL = True,
        server_hostname: str | None = None,
        session: ClientSession,
        settings: Settings,
    ) -> None:
        self.method = method
        self.url = url
        #: What the caller has asked for: another one where redirects have led elsewhere.
        self.asked_url = url
        # Those that many requests have in common, until somebody wants them for this one alone.
        self._shared_fields: SharedFields | None = None
        self._headers: CIMultiDict[str] | None = None
        if type(headers) is SharedFields and not headers.frames_body:
            self._shared_fields = headers
        else:
            self._headers = headers if type(headers) is CIMultiDict else CIMultiDict(headers or ())
        self.skip_auto_headers = skip_auto_headers
        self.auth = auth
        self.version = version
        self.compress = compress
        self.chunked = chunked
        self.expect100 = expect100
        self.proxy = proxy
        self.proxy_auth = proxy_auth
        self.proxy_headers = proxy_headers
        self.ssl = ssl
        self.server_hostname = server_hostname
        self.session = session
        self.settings = settings
        self.tracer: Tracer | None = None
        self.upload_tracker: UploadTracker | None = None
        self.deadline: float = NEVER
        self.content_length: int | None = None
        self._connection_key: ConnectionKey | None = None
        self.body: Payload | bytes = b""
        if data is not None:
            self._take_body(make_body(data))
        elif method in POST_METHODS:
            self.headers.setdefault(hdrs.CONTENT_LENGTH, "0")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.url.with_user(None)}>"

    @property
    def headers(self) -> CIMultiDict[str]:
        """The header fields; change them before it is sent."""
        if self._headers is None:
            self._headers = CIMultiDict(self._shared_fields or ())
        return self._headers

    @headers.setter
    def headers(self, headers: CIMultiDict[str]) -> None:
        self._headers = headers

    @property
    def host(self) -> str:
        """The host of the URL."""
        return self.url.host or ""

    @property
    def port(self) -> int | None:
        """The port of the URL, or its scheme's."""
        return self.url.port

    def is_ssl(self) -> bool:
        """Tell whether TLS is spoken with the host."""
        return self.url.scheme in SSL_SCHEMES

    @property
    def request_info(self) -> RequestInfo:
        """The request as data, as of now."""
        return RequestInfo(
            self.url.with_fragment(None) if self.url.raw_fragment else self.url,
            self.method,
            CIMultiDictProxy(self.headers),
            self.url,
        )

    @property
    def connection_key(self) -> ConnectionKey:
        """Which connections can take it; the same while it is sent."""
        return self.choose_connection() if self._connection_key is None else self._connection_key

    def choose_connection(self) -> ConnectionKey:
        """Choose anew which connections can take it: it may be meant for another host than when it was last sent."""
        self._connection_key = key = self._find_connection_key()
        return key

    def _find_connection_key(self) -> ConnectionKey:
        url, proxy = self.url, self.proxy
        if proxy is None and self.ssl is True and self.server_hostname is None:
            return self.session.destinations.find(url).key
        is_ssl = self.is_ssl()
        if proxy is None:
            return ConnectionKey(url.raw_host or "", url.port, is_ssl, self.ssl, None, None, self.server_hostname)
        if self.is_forwarded:  # whatever the host is: the proxy takes requests to all of them
            return ConnectionKey(proxy.raw_host or "", proxy.port, proxy.scheme == "https", self.ssl, proxy)
        fields = tuple(self.make_proxy_fields().items())
        return ConnectionKey(url.raw_host or "", url.port, is_ssl, self.ssl, proxy, fields, self.server_hostname)

    @property
    def is_forwarded(self) -> bool:
        """Whether a proxy takes the request itself and sends it on, where it opens no tunnel."""
        return self.proxy is not None and not self.is_ssl() and not self.proxy.scheme.startswith("socks")

    def make_proxy_fields(self) -> CIMultiDict[str]:
        """Make the fields that are for the proxy alone."""
        fields: CIMultiDict[str] = CIMultiDict(self.proxy_headers or ())
        if self.proxy_auth is not None:
            fields[hdrs.PROXY_AUTHORIZATION] = self.proxy_auth.encode()
        return fields

    # The body.

    async def update_body(self, body: Any) -> None:
        """Replace the body, with the fields that describe it; the old one is closed.

        Args:
            body: as ``data`` of a request.
        """
        if isinstance(self.body, Payload) and self.body is not body:
            await self.body.close()
        for name in (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.CONTENT_TYPE):
            self.headers.popall(name, None)
        self._take_body(make_body(body))

    def _take_body(self, body: Payload | bytes) -> None:
        self.body = body
        self.content_length = None
        headers = self.headers
        if not isinstance(body, Payload):
            if self.method in POST_METHODS:
                headers[hdrs.CONTENT_LENGTH] = "0"
            return
        skipped = {name.lower() for name in self.skip_auto_headers or ()}
        for name, value in body.headers.items():
            if name not in headers and name.lower() not in skipped:
                headers[name] = value
        if self.compress is not None:
            headers[hdrs.CONTENT_ENCODING] = self.compress
        self._frame(body.size if self.compress is None else None)

    def _frame(self, size: int | None) -> None:
        """Choose how the end of the body is told. Source: RFC 9112 section 6."""
        headers = self.headers
        if hdrs.TRANSFER_ENCODING in headers:
            self._check_transfer_encoding()
            self.chunked = True
        elif hdrs.CONTENT_LENGTH in headers:
            if self.chunked or self.compress is not None:
                raise ValueError("Content-Length is given, and chunked or compress, which have no known length")
            self.content_length = length = _read_length(", ".join(headers.getall(hdrs.CONTENT_LENGTH)))
            if size is not None and size != length:
                raise ValueError(f"Content-Length is {length}, and the body has {size} bytes")
        elif size is not None and not self.chunked:
            self.content_length = size
            headers[hdrs.CONTENT_LENGTH] = str(size)
        elif self.version < HttpVersion11:
            raise ValueError("HTTP/1.0 has no chunked coding: give a body of a known length, or Content-Length")
        else:
            self.chunked = True
            headers[hdrs.TRANSFER_ENCODING] = "chunked"

    def _check_transfer_encoding(self) -> None:
        coding = ", ".join(self.headers.getall(hdrs.TRANSFER_ENCODING))
        if coding.lower() != "chunked":
            raise ValueError(f"Transfer-Encoding is {coding!r}, only 'chunked' can be sent")
        if hdrs.CONTENT_LENGTH in self.headers:
            raise ValueError("Content-Length and Transfer-Encoding are given: only one can frame the body")

    async def close(self) -> None:
        """Give back what the body holds, such as a file."""
        if isinstance(self.body, Payload) and not self.body.autoclose:
            await self.body.close()

    @property
    def is_repeatable(self) -> bool:
        """Whether the body can be sent once more."""
        return not isinstance(self.body, Payload) or not self.body.consumed

    # The head.

    def make_head(self) -> bytes:
        """Make the head as it is sent.

        Raises:
            LocalProtocolError: a ValueError: method, target or a field can't be sent.
        """
        target = self._make_target()
        if self._headers is None and self._shared_fields is not None and not self.is_forwarded:
            return serialize_request_head(self.method, target, self.version, None, self._shared_fields.lines)
        headers = self.headers
        if self.is_forwarded and (fields := self.make_proxy_fields()):
            headers = headers.copy()
            headers.update(fields)
        if type(self.body) is bytes and (hdrs.CONTENT_LENGTH in headers or hdrs.TRANSFER_ENCODING in headers):
            self._check_empty()
        return serialize_request_head(self.method, target, self.version, headers)

    def _check_empty(self) -> None:
        for name, expected in ((hdrs.CONTENT_LENGTH, ["0"]), (hdrs.TRANSFER_ENCODING, [])):
            if self.headers.getall(name, expected) != expected:
                raise ValueError(f"{name} is {self.headers[name]!r}, and there is no body")

    def _make_target(self) -> str:
        """Source: RFC 9112 section 3.2."""
        url = self.url
        if self.method == hdrs.METH_CONNECT:
            return f"{url.host_subcomponent}:{url.port}"
        if self.is_forwarded:
            return f"{url.scheme}://{url.host_port_subcomponent}{url.raw_path_qs}"
        return url.raw_path_qs


def _read_length(value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise ValueError(f"Content-Length is {value!r}, expected a number")
    return int(value)


def check_version(version: Any) -> HttpVersion:
    """Check what was given as ``version``.

    Raises:
        TypeError: it is no HttpVersion.
        ValueError: it is none that can be spoken.
    """
    if not isinstance(version, HttpVersion):
        raise TypeError(f"version is an HttpVersion, not {version!r}")
    if version not in {HttpVersion10, HttpVersion11}:
        raise ValueError(f"version is HttpVersion10 or HttpVersion11, not {version!r}")
    return version
