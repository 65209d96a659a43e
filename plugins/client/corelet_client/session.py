"""ClientSession: what is common to the requests of a program, and its requests."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import json as json_module
import warnings
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, Unpack

from multidict import CIMultiDict, getversion
from yarl import URL

from corelet import BytesPayload, HttpVersion, HttpVersion11, JsonPayload, Limits, hdrs
from corelet.plugins import make_manager

from . import plugin
from .auth import BasicAuth, check_auth, strip_auth_from_url
from .body import make_body
from .call import Call, check_proxy, find_auth
from .caller import find_caller
from .codings import Codings
from .connector import TCPConnector
from .cookie import make_cookies
from .cookie_jar import CookieJar
from .destination import Destinations
from .errors import InvalidUrlClientError
from .options import MAX_REDIRECTS, BodyOptions, Options, QueryParams, RedirectOptions, RequestOptions, StatusCheck
from .request import USER_AGENT, ClientRequest, check_version
from .request_context import RequestContext, SessionRequestContext
from .response import ClientResponse
from .settings import MAX_DECODED_BYTES, READ_BUFFER_BYTES, Settings
from .timeouts import DEFAULT_TIMEOUT, NEVER, ClientTimeout, take_timeout
from .tls import check_ssl
from .tracing import Tracer
from .transmission import transmit

if TYPE_CHECKING:
    from corelet.abc import AbstractCookieJar, ContentCoding
    from corelet.plugins import PluginManager

    from .connector import BaseConnector
    from .cookie import LooseCookies
    from .request import ClientHandlerType, ClientMiddlewareType, HeaderFields
    from .tls import SSL
    from .tracing import TraceConfig
    from .upload_tracker import UploadTracker

_NOT_GIVEN: Final[Any] = object()
_LIMITS: Final = Limits()
# Typed for MultiDict[object] alone.
_find_version: Final[Callable[[Any], int]] = getversion


@functools.cache
def _share_manager() -> PluginManager:
    """Make the plugins of all sessions that were given none."""
    return make_manager()


class ClientSession:
    """Send requests that have connections, cookies and settings in common.

    Made anywhere, also at import time; it belongs to the event loop that first uses it. Close it by ``async with`` or
    :meth:`close`.

    Args:
        base_url: what relative URLs are joined to.
        connector: opens and keeps connections; a TCPConnector unless given.
        cookies: to begin with, for every host.
        headers: fields of every request.
        proxy: for every request.
        proxy_auth: who asks, for the proxy.
        skip_auto_headers: names of fields that are not added: ``User-Agent``, ``Content-Type``, ``Accept-Encoding``.
        auth: who asks; sent to the host of the URL, never to where it redirects.
        json_serialize: makes text of ``json=``.
        json_serialize_bytes: makes bytes of it, instead.
        request_class: made for each request.
        response_class: made for each answer.
        version: HTTP/1.1 or HTTP/1.0.
        cookie_jar: keeps cookies; a CookieJar unless given.
        connector_owner: close the connector with the session.
        raise_for_status: raise ClientResponseError for every status from 400, or an async callable that decides.
        timeout: of each request.
        auto_decompress: decode bodies by Content-Encoding.
        trust_env: take proxies and credentials from the environment and the netrc file.
        requote_redirect_url: quote in the URLs of redirects what needs it.
        trace_configs: watch requests.
        read_bufsize: bytes of a body that are held before the connection stops reading; twice that at most.
        max_line_size: bytes of a status line.
        max_field_size: bytes of a header field.
        max_headers: fields of a head.
        max_decoded_size: bytes that ``read()`` makes of a coded body, 256 MiB unless given; streams have no limit.
        fallback_charset_resolver: guesses the charset of an answer that names none, by the response and its body.
        middlewares: stand between the session and the network, the first one outermost.
        ssl_shutdown_timeout: of the connector that the session makes.
        plugins: modules, objects or names of plugins that join; every installed one unless given.
        loop: taken and not needed.
    """

    def __init__(
        self,
        base_url: str | URL | None = None,
        *,
        connector: BaseConnector | None = None,
        loop: Any = None,
        cookies: LooseCookies | None = None,
        headers: HeaderFields | None = None,
        proxy: str | URL | None = None,
        proxy_auth: BasicAuth | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: BasicAuth | None = None,
        json_serialize: Callable[[Any], str] = json_module.dumps,
        json_serialize_bytes: Callable[[Any], bytes] | None = None,
        request_class: type[ClientRequest] = ClientRequest,
        response_class: type[ClientResponse] = ClientResponse,
        version: HttpVersion = HttpVersion11,
        cookie_jar: AbstractCookieJar | None = None,
        connector_owner: bool = True,
        raise_for_status: StatusCheck = False,
        timeout: ClientTimeout | float | None = DEFAULT_TIMEOUT,
        auto_decompress: bool = True,
        trust_env: bool = False,
        requote_redirect_url: bool = True,
        trace_configs: Sequence[TraceConfig] | None = None,
        read_bufsize: int = READ_BUFFER_BYTES,
        max_line_size: int = _LIMITS.max_line_bytes,
        max_field_size: int = _LIMITS.max_field_bytes,
        max_headers: int = _LIMITS.max_fields,
        max_decoded_size: int = MAX_DECODED_BYTES,
        fallback_charset_resolver: Callable[[ClientResponse, bytes], str] = lambda response, body: "utf-8",
        middlewares: Sequence[ClientMiddlewareType] = (),
        ssl_shutdown_timeout: float | None = None,
        plugins: Iterable[object] | None = None,
    ) -> None:
        self._made_at = find_caller()
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._base_url = None if base_url is None else _read_base_url(base_url)
        self._connector: BaseConnector | None = (
            TCPConnector(ssl_shutdown_timeout=ssl_shutdown_timeout) if connector is None else connector
        )
        self._connector_owner = connector_owner
        self._cookie_jar: AbstractCookieJar = CookieJar() if cookie_jar is None else cookie_jar
        if cookies:
            self._cookie_jar.update_cookies(cookies, URL())
        self._headers: CIMultiDict[str] = CIMultiDict(headers or ())
        # Of those that requests are made of.
        self._headers_version: int
        self._skip_auto_headers = frozenset(map(str.lower, skip_auto_headers or ()))
        #: Where its requests go, and what those have in common.
        self.destinations: Destinations
        self._proxy, found = check_proxy(proxy)
        self._proxy_auth = check_auth("proxy_auth", proxy_auth) or found
        self._auth = check_auth("auth", auth)
        if auth is not None and hdrs.AUTHORIZATION in self._headers:
            raise ValueError("headers has an Authorization, and auth is given: choose one")
        self._json_serialize = json_serialize
        self._json_serialize_bytes = json_serialize_bytes
        self._request_class = request_class
        self._response_class = response_class
        self._version = check_version(version)
        self._raise_for_status = raise_for_status
        self._auto_decompress = auto_decompress
        self._trust_env = trust_env
        self._requote_redirect_url = requote_redirect_url
        self._trace_configs: list[TraceConfig] = list(trace_configs or ())
        self._fallback_charset_resolver = fallback_charset_resolver
        self._middlewares = tuple(middlewares)
        self._plugins = None if plugins is None else tuple(plugins)
        self._codings = Codings()
        self._settings = Settings(
            timeout=take_timeout(timeout),
            limits=_make_limits(_LIMITS, max_line_size, max_field_size, max_headers),
            read_bufsize=read_bufsize,
            max_decoded_size=max_decoded_size,
        )
        self._wrappers: tuple[Callable[[ClientHandlerType], ClientHandlerType], ...] = ()
        # Of requests that are given none; made when first used.
        self._options: Options

    def __del__(self, _warn: Any = warnings.warn) -> None:
        connector, loop = getattr(self, "_connector", None), getattr(self, "_loop", None)
        # A session that was never used holds nothing.
        if loop is None or connector is None or self._is_closed or connector.closed or not self._connector_owner:
            return
        _warn(f"Unclosed client session {self!r}, made at {self._made_at}", ResourceWarning, source=self)
        # Closed here, it warns no more.
        if not loop.is_closed():
            closing = connector.close()
            del closing

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self.closed else 'open'}>"

    # Its first use.

    def _begin(self) -> None:
        """Belong to the running loop, and be put together with what plugins add."""
        loop = asyncio.get_running_loop()
        if self.closed:
            raise RuntimeError(f"the session is closed, made at {self._made_at}")
        if self._loop is not None:
            raise RuntimeError(
                f"the session (made at {self._made_at}) belongs to the event loop that first used it: "
                "make one in each loop"
            )
        manager = _share_manager() if self._plugins is None else make_manager((plugin, *self._plugins))
        self._codings = Codings()  # another one where an earlier attempt has failed
        manager.call_all("corelet_register_codings", codings=self._codings)
        self._wrappers = tuple(manager.call_all("corelet_client_wrap_send", session=self))
        added = manager.call_all("corelet_client_trace", session=self)
        self.destinations = self._make_destinations()
        self._trace_configs += added
        for config in self._trace_configs:
            config.freeze()
        if self._auto_decompress:
            self._settings = dataclasses.replace(self._settings, codings=self._codings)
        self._options = self._make_options()
        self._loop = loop

    def _make_destinations(self) -> Destinations:
        assert self._connector is not None
        made = Destinations(self._make_headers(), self._connector.allowed_protocol_schema_set)
        self._headers_version = _find_version(self._headers)
        return made

    def _take_headers(self) -> None:
        """Send from now on what the session's fields have become."""
        self.destinations = self._make_destinations()
        self._options = dataclasses.replace(self._options, headers=self.destinations.fields)

    def _make_options(self) -> Options:
        return Options(
            headers=self.destinations.fields,
            arguments=self._make_arguments(self._skip_auto_headers),
            settings=self._settings,
            send=self._wrap(self._middlewares),
            is_wrapped=bool(self._middlewares or self._wrappers),
            raise_for_status=self._raise_for_status,
        )

    def _make_headers(self) -> CIMultiDict[str]:
        """Complete the fields of every request by those that are added."""
        headers = self._headers.copy()
        _check_host(headers)
        automatic = {
            hdrs.CONNECTION: self._choose_connection(),
            hdrs.ACCEPT: "*/*",
            hdrs.ACCEPT_ENCODING: ", ".join(self._codings),
            hdrs.USER_AGENT: USER_AGENT,
        }
        for name, value in automatic.items():
            if value and name not in headers and name.lower() not in self._skip_auto_headers:
                headers[name] = value
        return headers

    def _choose_connection(self) -> str:
        """Say what becomes of a connection where the version does not. Source: RFC 9112 section 9.3."""
        if self._connector is not None and self._connector.force_close:
            return "close"
        return "keep-alive" if self._version < HttpVersion11 else ""

    def _wrap(self, middlewares: Sequence[ClientMiddlewareType]) -> ClientHandlerType:
        """Put middlewares, and what plugins wrap, around what sends a request."""
        send: ClientHandlerType = self.send_directly
        for middleware in reversed(middlewares):
            send = _bind_middleware(middleware, send)
        for wrap in reversed(self._wrappers):
            send = wrap(send)
        return send

    async def send_directly(self, request: ClientRequest) -> ClientResponse:
        """Send one request, without middlewares and redirects; what they end in."""
        assert self._connector is not None
        exchange = await transmit(request, self._connector)
        response = self._response_class(request, exchange)
        head = exchange.head
        if head is not None and head.field("Set-Cookie") is not None:
            self._cookie_jar.update_cookies_from_headers(head.headers.getall(hdrs.SET_COOKIE), request.url)
        return response

    def find_coding(self, name: str) -> ContentCoding:
        """Find a content coding by its name.

        Raises:
            LookupError: no plugin has it.
        """
        coding = self._codings.get(name)
        if coding is None:
            raise LookupError(f"no content coding {name!r}: pip install corelet-compression")
        return coding

    # Requests.

    def request(self, method: str, url: str | URL, **kwargs: Unpack[RequestOptions]) -> RequestContext[ClientResponse]:
        """Send a request.

        Args:
            method: such as ``GET``.
            url: absolute, or relative to ``base_url``. One made with ``encoded=True`` is sent byte for byte.
            kwargs: ``params``, ``data``, ``json``, ``cookies``, ``headers``, ``skip_auto_headers``, ``auth``,
                ``allow_redirects``, ``max_redirects``, ``compress``, ``chunked``, ``expect100``, ``raise_for_status``,
                ``proxy``, ``proxy_auth``, ``timeout``, ``ssl``, ``server_hostname``, ``proxy_headers``,
                ``trace_request_ctx``, ``read_bufsize``, ``auto_decompress``, ``max_line_size``, ``max_field_size``,
                ``max_headers``, ``middlewares``, ``upload_tracker``: as for the session, for this request;
                ``read_until_eof=False`` leaves a body that only the end of the connection ends: it counts as empty, and
                the connection is closed.

        Returns:
            Something to await for the response, or to use as a context manager.

        Raises:
            ClientError: there is no answer, or none that is wanted.
            ValueError: something that can't be sent.
        """
        return RequestContext(self._request(method, url, **kwargs))

    def get(
        self, url: str | URL, *, allow_redirects: bool = True, **kwargs: Unpack[BodyOptions]
    ) -> RequestContext[ClientResponse]:
        """Send a GET request; see :meth:`request`."""
        return RequestContext(self._request(hdrs.METH_GET, url, allow_redirects=allow_redirects, **kwargs))

    def options(
        self, url: str | URL, *, allow_redirects: bool = True, **kwargs: Unpack[BodyOptions]
    ) -> RequestContext[ClientResponse]:
        """Send an OPTIONS request; see :meth:`request`."""
        return RequestContext(self._request(hdrs.METH_OPTIONS, url, allow_redirects=allow_redirects, **kwargs))

    def head(
        self, url: str | URL, *, allow_redirects: bool = False, **kwargs: Unpack[BodyOptions]
    ) -> RequestContext[ClientResponse]:
        """Send a HEAD request, whose redirects are not followed unless asked for; see :meth:`request`."""
        return RequestContext(self._request(hdrs.METH_HEAD, url, allow_redirects=allow_redirects, **kwargs))

    def post(
        self, url: str | URL, *, data: Any = None, **kwargs: Unpack[RedirectOptions]
    ) -> RequestContext[ClientResponse]:
        """Send a POST request; see :meth:`request`."""
        return RequestContext(self._request(hdrs.METH_POST, url, data=data, **kwargs))

    def put(
        self, url: str | URL, *, data: Any = None, **kwargs: Unpack[RedirectOptions]
    ) -> RequestContext[ClientResponse]:
        """Send a PUT request; see :meth:`request`."""
        return RequestContext(self._request(hdrs.METH_PUT, url, data=data, **kwargs))

    def patch(
        self, url: str | URL, *, data: Any = None, **kwargs: Unpack[RedirectOptions]
    ) -> RequestContext[ClientResponse]:
        """Send a PATCH request; see :meth:`request`."""
        return RequestContext(self._request(hdrs.METH_PATCH, url, data=data, **kwargs))

    def delete(self, url: str | URL, **kwargs: Unpack[RequestOptions]) -> RequestContext[ClientResponse]:
        """Send a DELETE request; see :meth:`request`."""
        return RequestContext(self._request(hdrs.METH_DELETE, url, **kwargs))

    def ws_connect(self, url: str | URL, **kwargs: Any) -> RequestContext[Any]:
        """Open a WebSocket; see :func:`corelet_client.websocket.connect` for the arguments.

        Raises:
            MissingPluginError: no websocket plugin is installed.
            WSServerHandshakeError: the server does not agree.
        """
        from .websocket import connect

        return RequestContext(connect(self, url, **kwargs))

    def request_once(
        self, method: str, url: str | URL, **kwargs: Unpack[RequestOptions]
    ) -> Coroutine[Any, Any, ClientResponse]:
        """Send a request; the bare coroutine of :meth:`request`."""
        return self._request(method, url, **kwargs)

    async def _request(
        self,
        method: str,
        url: str | URL,
        *,
        allow_redirects: bool = True,
        params: QueryParams = None,
        data: Any = None,
        json: Any = None,
        **given: Any,
    ) -> ClientResponse:
        loop = asyncio.get_running_loop()
        if loop is not self._loop or self._is_closed:
            self._begin()
        elif _find_version(self._headers) != self._headers_version:
            self._take_headers()
        if not isinstance(method, str):
            raise TypeError(f"method is a str, such as 'GET', not {method!r}")
        options = self._change_options(**given) if given else self._options
        real_url, auth = self._find_url(url, params, options)
        body = b"" if data is None and json is None else self._make_body(data, json)
        tracer = Tracer(self, self._trace_configs, options.trace_request_ctx) if self._trace_configs else None
        total = options.settings.timeout.total
        deadline = loop.time() + total if total else NEVER
        call = Call(self, method.upper(), real_url, body, options, auth, allow_redirects, tracer, deadline)
        response = await call.run()
        if options.raise_for_status is not False:
            await _check_status(options.raise_for_status, response)
        return response

    def _change_options(
        self,
        *,
        cookies: LooseCookies | None = None,
        headers: HeaderFields | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        auth: BasicAuth | None = None,
        max_redirects: int = MAX_REDIRECTS,
        raise_for_status: StatusCheck | None = None,
        read_until_eof: bool = True,
        timeout: ClientTimeout | float | None = _NOT_GIVEN,
        trace_request_ctx: Any = None,
        read_bufsize: int | None = None,
        auto_decompress: bool | None = None,
        max_line_size: int | None = None,
        max_field_size: int | None = None,
        max_headers: int | None = None,
        middlewares: Sequence[ClientMiddlewareType] | None = None,
        upload_tracker: UploadTracker | None = None,
        **sending: Any,
    ) -> Options:
        """Make the options of one request that was given some."""
        if unknown := sending.keys() - RequestOptions.__optional_keys__:
            raise _make_argument_error(min(unknown))
        own = self._options
        fields, skipped = own.headers, self._skip_auto_headers
        if headers is not None or skip_auto_headers is not None:
            fields, skipped = self._merge_headers(headers, skip_auto_headers)
        is_like_own = skipped is self._skip_auto_headers and not sending
        changes = (timeout, read_bufsize, auto_decompress, read_until_eof, max_line_size, max_field_size, max_headers)
        return Options(
            headers=fields,
            arguments=own.arguments if is_like_own else self._make_arguments(skipped, **sending),
            settings=own.settings if changes == _NO_CHANGES else self._change_settings(*changes),
            send=own.send if middlewares is None else self._wrap(middlewares),
            is_wrapped=own.is_wrapped if middlewares is None else bool(middlewares or self._wrappers),
            raise_for_status=own.raise_for_status if raise_for_status is None else raise_for_status,
            max_redirects=max_redirects,
            cookies=None if cookies is None else make_cookies(cookies, quote=self._cookie_jar.quote_cookie),
            auth=check_auth("auth", auth),
            trace_request_ctx=trace_request_ctx,
            upload_tracker=upload_tracker,
        )

    def _make_arguments(
        self,
        skip_auto_headers: frozenset[str],
        *,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        proxy: str | URL | None = None,
        proxy_auth: BasicAuth | None = None,
        ssl: SSL | None = True,
        server_hostname: str | None = None,
        proxy_headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Make the arguments of ClientRequest, but for its defaults: few or none."""
        real_proxy, proxy_user = (self._proxy, self._proxy_auth) if proxy is None else check_proxy(proxy)
        arguments: dict[str, Any] = {
            "skip_auto_headers": skip_auto_headers,
            "compress": self._check_coding(compress) if compress else None,
            "chunked": chunked,
            "expect100": expect100,
            "proxy": real_proxy,
            "proxy_auth": check_auth("proxy_auth", proxy_auth) or proxy_user,
            "proxy_headers": proxy_headers,
            "server_hostname": server_hostname,
        }
        given = {name: value for name, value in arguments.items() if value}
        if self._version != HttpVersion11:
            given["version"] = self._version
        if (checked := check_ssl(ssl)) is not True:
            given["ssl"] = checked
        return given

    def _find_url(self, given: str | URL, params: QueryParams, options: Options) -> tuple[URL, BasicAuth | None]:
        """Find what URL is meant, and who asks."""
        auth = options.auth
        try:
            url = URL(given) if self._base_url is None else self._base_url.join(URL(given))
            if params:
                url = _extend_query(url, params)
            own = None
            if url.raw_user or url.raw_password:
                url, own = strip_auth_from_url(url)
        except (ValueError, TypeError) as error:
            raise InvalidUrlClientError(given, str(error)) from error
        self.destinations.find(url)  # refuses what can't be requested
        if own is not None and auth is not None:
            raise ValueError("auth is given, and the URL has a name and password: choose one")
        if own is None and (auth is not None or self._auth is not None or self._trust_env):
            own = find_auth(url, auth, self._auth, trust_env=self._trust_env)
        return url, own if own is None else _choose_auth(own, auth, options.headers)

    def _merge_headers(
        self, headers: HeaderFields | None, skipped: Iterable[str] | None
    ) -> tuple[CIMultiDict[str], frozenset[str]]:
        """Put the fields of one request over those of the session; give the names that are not added, too."""
        merged = self.destinations.fields.copy()
        left_out = self._skip_auto_headers
        if skipped is not None:
            left_out |= frozenset(map(str.lower, skipped))
            for name in left_out:
                if name not in self._headers:
                    merged.popall(name, None)
        given: CIMultiDict[str] = CIMultiDict(headers or ())
        for name in given:
            merged.popall(name, None)
        merged.extend(given)
        _check_host(merged)
        return merged, left_out

    def _check_coding(self, compress: str | bool) -> str:
        name = "deflate" if compress is True else str(compress)
        self.find_coding(name)
        return name

    def _make_body(self, data: Any, json: Any) -> Any:
        if json is None:
            return make_body(data)
        if data is not None:
            raise ValueError("data is given, and json: choose one")
        if self._json_serialize_bytes is not None:
            return BytesPayload(self._json_serialize_bytes(json), content_type="application/json")
        return JsonPayload(json, dumps=self._json_serialize)

    def _change_settings(
        self,
        timeout: Any,
        read_bufsize: int | None,
        auto_decompress: bool | None,
        read_until_eof: bool,
        *sizes: int | None,
    ) -> Settings:
        """Make the settings of one request that has its own."""
        settings = self._settings
        changes: dict[str, Any] = {}
        if timeout is not _NOT_GIVEN:
            changes["timeout"] = take_timeout(timeout)
        if read_bufsize is not None:
            changes["read_bufsize"] = read_bufsize
        if auto_decompress is not None:
            changes["codings"] = self._codings if auto_decompress else None
        changes["read_until_eof"] = read_until_eof
        if sizes != (None, None, None):
            changes["limits"] = _make_limits(settings.limits, *sizes)
        return dataclasses.replace(settings, **changes)

    # Its end.

    async def close(self) -> None:
        """Close the session, and its connector if it owns it; returns when every socket is closed."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._connector is not None and self._connector_owner:
            await self._connector.close()

    @property
    def closed(self) -> bool:
        """Whether the session can't be used any more."""
        return self._is_closed or (self._connector is not None and self._connector.closed)

    def detach(self) -> None:
        """Let go of the connector without closing it; the session is closed then."""
        self._is_closed = True
        self._connector = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.close()

    # What it was made with.

    @property
    def connector(self) -> BaseConnector | None:
        """Opens and keeps connections; None after :meth:`detach`."""
        return self._connector

    @property
    def connector_owner(self) -> bool:
        """Whether the connector is closed with the session."""
        return self._connector_owner

    @property
    def cookie_jar(self) -> AbstractCookieJar:
        """Keeps cookies."""
        return self._cookie_jar

    @property
    def version(self) -> HttpVersion:
        """The HTTP version of requests."""
        return self._version

    @property
    def timeout(self) -> ClientTimeout:
        """The bounds of each request."""
        return self._settings.timeout

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop that it belongs to; None before the first use."""
        return self._loop

    @property
    def headers(self) -> CIMultiDict[str]:
        """The fields of every request; what is changed counts for requests that are made from then on."""
        return self._headers

    @property
    def skip_auto_headers(self) -> frozenset[str]:
        """Names of fields that are not added, in lower case."""
        return self._skip_auto_headers

    @property
    def auth(self) -> BasicAuth | None:
        """Who asks."""
        return self._auth

    @property
    def json_serialize(self) -> Callable[[Any], str]:
        """Makes text of ``json=``."""
        return self._json_serialize

    @property
    def raise_for_status(self) -> StatusCheck:
        """Whether every status from 400 is an error."""
        return self._raise_for_status

    @property
    def auto_decompress(self) -> bool:
        """Whether bodies are decoded."""
        return self._auto_decompress

    @property
    def trust_env(self) -> bool:
        """Whether the environment and the netrc file are asked."""
        return self._trust_env

    @property
    def requote_redirect_url(self) -> bool:
        """Whether URLs of redirects are quoted where they need it."""
        return self._requote_redirect_url

    @property
    def trace_configs(self) -> list[TraceConfig]:
        """What watches requests."""
        return self._trace_configs

    @property
    def request_class(self) -> type[ClientRequest]:
        """Made for each request."""
        return self._request_class

    @property
    def fallback_charset_resolver(self) -> Callable[[ClientResponse, bytes], str]:
        """Guesses charsets."""
        return self._fallback_charset_resolver


def _check_host(headers: CIMultiDict[str]) -> None:
    """Refuse a second Host. Source: RFC 9112 section 3.2."""
    if len(given := headers.getall(hdrs.HOST, ())) > 1:
        raise ValueError(f"a request has one Host, not {len(given)}: {', '.join(given)}")


def _choose_auth(found: BasicAuth, given: BasicAuth | None, fields: CIMultiDict[str]) -> BasicAuth | None:
    """Let a field that was given go before what the session, the URL or the netrc file has."""
    if hdrs.AUTHORIZATION not in fields:
        return found
    if given is not None:
        raise ValueError("Authorization is given, and auth: choose one")
    return None


_NO_CHANGES: Final = (_NOT_GIVEN, None, None, True, None, None, None)


def _bind_middleware(middleware: ClientMiddlewareType, send: ClientHandlerType) -> ClientHandlerType:
    async def send_through(request: ClientRequest) -> ClientResponse:
        taken: list[weakref.ref[ClientResponse]] = []

        async def send_on(request: ClientRequest) -> ClientResponse:
            response = await send(request)
            if isinstance(response, ClientResponse):  # a middleware within may make another answer up
                taken.append(weakref.ref(response))
            return response

        try:
            return await middleware(request, send_on)
        except asyncio.CancelledError:
            for take in taken:  # the task may be kept, and with it what the middleware has
                if (response := take()) is not None:
                    response.close()
            raise

    return send_through


async def _check_status(
    check: Literal[True] | Callable[[ClientResponse], Awaitable[None]], response: ClientResponse
) -> None:
    if check is True:
        response.raise_for_status()
        return
    try:
        await check(response)
    except BaseException:
        response.close()
        raise


def _read_base_url(base_url: str | URL) -> URL:
    url = URL(base_url)
    if not url.absolute:
        raise ValueError(f"base_url is an absolute URL, not {str(base_url)!r}")
    if not url.path.endswith("/"):
        raise ValueError(f"base_url ends with a slash, so that paths can be joined to it, not {str(base_url)!r}")
    return url


def _make_limits(limits: Limits, line: int | None, field: int | None, fields: int | None) -> Limits:
    if (line, field, fields) == (limits.max_line_bytes, limits.max_field_bytes, limits.max_fields):
        return limits
    line = limits.max_line_bytes if line is None else line
    field = limits.max_field_bytes if field is None else field
    return dataclasses.replace(
        limits,
        max_line_bytes=line,
        max_field_bytes=field,
        max_fields=limits.max_fields if fields is None else fields,
        max_head_bytes=max(limits.max_head_bytes, line, field),
    )


#: What would end a query given as text, or be left out of it.
_ENDS: Final = str.maketrans({"#": "%23", "\t": "%09", "\n": "%0A", "\r": "%0D"})


def _extend_query(url: URL, params: QueryParams) -> URL:
    """Add parameters behind those of the URL, whose bytes stay as they are."""
    made = URL(f"?{params.translate(_ENDS)}") if isinstance(params, str) else URL().with_query(params)
    joined = "&".join(filter(None, (url.raw_query_string, made.raw_query_string)))
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=url.raw_path,
        query_string=joined,
        fragment=url.raw_fragment,
        encoded=True,
    )


def _make_argument_error(name: str) -> TypeError:
    from difflib import get_close_matches  # here, since only errors need it

    near = "".join(f"; did you mean {each}?" for each in get_close_matches(name, RequestOptions.__optional_keys__, n=1))
    return TypeError(f"a request has no argument {name!r}{near}")


def request(
    method: str,
    url: str | URL,
    *,
    version: HttpVersion = HttpVersion11,
    connector: BaseConnector | None = None,
    loop: Any = None,
    **kwargs: Unpack[RequestOptions],
) -> SessionRequestContext:
    """Send one request with a session of its own: ``async with corelet.request("GET", url) as response``.

    For several requests make a ClientSession: it keeps connections.

    Args:
        method: such as ``GET``.
        url: absolute.
        version: HTTP/1.1 or HTTP/1.0.
        connector: that is not closed with the request.
        loop: taken and not needed.
        kwargs: as for :meth:`ClientSession.request`.
    """
    session = ClientSession(version=version, connector=connector, connector_owner=connector is None)
    return SessionRequestContext(session.request_once(method, url, **kwargs), session)
