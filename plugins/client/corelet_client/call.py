"""One call of a session: a request, and those that its redirects lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict
from yarl import URL

from corelet import Payload, hdrs

from .auth import BasicAuth, find_netrc_auth, strip_auth_from_url
from .cookie import make_cookies
from .dns_cache import is_ambiguous
from .errors import (
    ClientPayloadError,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    NonHttpUrlClientError,
    RedirectClientError,
    TooManyRedirects,
    show_url,
)
from .proxy_environment import PROXY_SCHEMES, find_proxy
from .redirect import (
    BODY_FIELDS,
    ORIGIN_FIELDS,
    REDIRECT_STATUSES,
    choose_method,
    drop_fields,
    find_location,
    is_same_origin,
)
from .timeouts import NEVER, make_total_error
from .tracing import (
    Tracer,
    TraceRequestEndParams,
    TraceRequestExceptionParams,
    TraceRequestRedirectParams,
    TraceRequestStartParams,
)

if TYPE_CHECKING:
    from corelet import HttpVersion

    from .cookie import LooseCookies
    from .request import ClientHandlerType, ClientRequest
    from .response import ClientResponse
    from .session import ClientSession
    from .settings import Settings
    from .tls import SSL
    from .upload_tracker import UploadTracker

#: A redirect's body is read up to this size: another connection would cost more.
_DROP_BYTES: Final = 65_536


@dataclass(slots=True, eq=False, kw_only=True)
class Call:
    """What was asked of a session, and what is sent for it, one request after the other.

    Made by :meth:`ClientSession.request`; attributes are its arguments, checked and completed.
    """

    session: ClientSession
    method: str
    url: URL
    #: Of the caller, where redirects have led elsewhere.
    asked_url: URL
    headers: CIMultiDict[str]
    skip_auto_headers: frozenset[str]
    body: Payload | bytes
    cookies: LooseCookies | None
    auth: BasicAuth | None
    version: HttpVersion
    compress: str | None
    chunked: bool
    expect100: bool
    allow_redirects: bool
    max_redirects: int
    proxy: URL | None
    proxy_auth: BasicAuth | None
    proxy_headers: Mapping[str, str] | None
    ssl: SSL
    server_hostname: str | None
    settings: Settings
    send: ClientHandlerType
    tracer: Tracer | None
    upload_tracker: UploadTracker | None
    deadline: float

    async def run(self) -> ClientResponse:
        """Send the request, follow its redirects, and give the last answer.

        Raises:
            ClientError: there is none.
            ServerTimeoutError: it took longer than ``total``.
        """
        if self.tracer is None and self.send == self.session.send_directly:
            return await self._follow()
        # Middlewares and listeners may wait for anything.
        bound = asyncio.timeout_at(None if self.deadline == NEVER else self.deadline)
        try:
            async with bound:
                return await self._follow() if self.tracer is None else await self._trace(self.tracer)
        except TimeoutError as error:
            if not bound.expired():
                raise
            raise make_total_error(self.make_request()) from error

    async def _trace(self, tracer: Tracer) -> ClientResponse:
        method, url, headers = self.method, self.url, self.headers
        await tracer.send("on_request_start", TraceRequestStartParams(method, url, headers))
        try:
            response = await self._follow()
        except BaseException as error:
            await tracer.send("on_request_exception", TraceRequestExceptionParams(method, url, headers, error))
            raise
        try:
            await tracer.send("on_request_end", TraceRequestEndParams(method, url, headers, response))
        except BaseException:
            response.close()
            raise
        return response

    async def _follow(self) -> ClientResponse:
        response = None
        history: list[ClientResponse] = []
        try:
            while True:
                response = await self.send(self.make_request())
                if response.status not in REDIRECT_STATUSES or not self.allow_redirects:
                    break
                location = self._find_location(response)
                if location is None:
                    break
                history.append(response)
                await self._leave(response, location, history)
            if history:
                response.history = tuple(history)
        except BaseException:
            if response is not None:
                response.close()
            await self._close_body(None)
            raise
        if type(self.body) is not bytes or self.upload_tracker is not None:
            await self._close_body(response)
        return response

    async def _close_body(self, response: ClientResponse | None) -> None:
        """Give back what the body holds, such as a file, once it is sent."""
        if response is not None and response.leave_upload():
            return
        if isinstance(self.body, Payload) and not self.body.autoclose:
            await self.body.close()
        if response is not None and self.upload_tracker is not None:
            self.upload_tracker.settle()

    # Where to, and who asks.

    def make_request(self) -> ClientRequest:
        """Make the request to where the call has come to."""
        session = self.session
        url = self.url
        headers: CIMultiDict[str] = CIMultiDict()
        if hdrs.HOST not in self.headers:
            headers.add(hdrs.HOST, url.host_port_subcomponent or "")
        headers.extend(self.headers)
        if self.auth is not None:
            headers[hdrs.AUTHORIZATION] = self.auth.encode()
        if session.cookie_jar or self.cookies:
            self._add_cookies(headers)
        if self.expect100:
            headers[hdrs.EXPECT] = "100-continue"
        proxy, proxy_auth = self.proxy, self.proxy_auth
        if proxy is None and session.trust_env and (found := find_proxy(url)) is not None:
            proxy, proxy_auth = found
        request = session.request_class(
            self.method,
            url,
            headers=headers,
            skip_auto_headers=self.skip_auto_headers,
            data=self.body if type(self.body) is not bytes else None,
            auth=self.auth,
            version=self.version,
            compress=self.compress,
            chunked=self.chunked,
            expect100=self.expect100,
            proxy=proxy,
            proxy_auth=proxy_auth,
            proxy_headers=self.proxy_headers,
            ssl=self.ssl,
            server_hostname=self.server_hostname,
            session=session,
            settings=self.settings,
        )
        request.asked_url = self.asked_url
        request.deadline = self.deadline
        request.tracer = self.tracer
        request.upload_tracker = self.upload_tracker
        return request

    def _add_cookies(self, headers: CIMultiDict[str]) -> None:
        """Join what the caller, the jar and the session have, in one field. Source: RFC 6265 section 5.4."""
        jar = self.session.cookie_jar
        cookies = {name: morsel.coded_value for name, morsel in jar.filter_cookies(self.url).items()}
        if self.cookies:
            own = make_cookies(self.cookies, quote=jar.quote_cookie)
            cookies.update((name, morsel.coded_value) for name, morsel in own.items())
        if not cookies:
            return
        pairs = [*headers.popall(hdrs.COOKIE, ()), *(f"{name}={value}" for name, value in cookies.items())]
        headers[hdrs.COOKIE] = "; ".join(pairs)

    # Redirects.

    def _find_location(self, response: ClientResponse) -> URL | None:
        url = find_location(response, requote=self.session.requote_redirect_url)
        if url is not None and is_ambiguous(url.raw_host or ""):
            raise InvalidUrlRedirectClientError(
                url, "the redirect's host is a number, and no address in its right form"
            )
        return url

    async def _leave(self, response: ClientResponse, location: URL, history: list[ClientResponse]) -> None:
        """Turn to where an answer redirects to."""
        if self.tracer is not None:
            params = TraceRequestRedirectParams(self.method, self.url, self.headers, response)
            await self.tracer.send("on_request_redirect", params)
        if len(history) > self.max_redirects:
            raise TooManyRedirects(
                history[0].request_info,
                tuple(history),
                status=response.status,
                message=f"over {self.max_redirects} redirects (max_redirects), the last one to {location}",
                headers=response.headers,
            )
        method = choose_method(response.status, self.method)
        if method != self.method:
            await self._close_body(None)
            self.method, self.body = method, b""
            self.compress, self.chunked, self.expect100 = None, False, False
            self.headers = self.headers.copy()
            drop_fields(self.headers, BODY_FIELDS)
        elif isinstance(self.body, Payload) and self.body.consumed:
            raise RedirectClientError(
                f"{response.url.with_user(None)} redirects by {response.status} to {location}, and the body can't be "
                "sent again: it came from an iterator"
            )
        self._turn_to(location)
        await _drop_rest(response)

    def _turn_to(self, location: URL) -> None:
        url, auth = strip_auth_from_url(location)
        if not is_same_origin(url, self.url):
            self.headers = self.headers.copy()
            drop_fields(self.headers, ORIGIN_FIELDS)
            self.cookies = None
            self.auth = None
            self.server_hostname = None
        if auth is not None:
            self.auth = auth
        self.url = url


async def _drop_rest(response: ClientResponse) -> None:
    """Read a short rest of an answer, so that its connection can be used again; close it where it is long."""
    if not response.closed and (response.content_length or _DROP_BYTES) < _DROP_BYTES:
        try:
            await response.read()
        except ClientPayloadError:
            return
    response.release()


def check_url(url: URL, schemes: frozenset[str]) -> None:
    """Refuse a URL that can't be requested.

    Raises:
        NonHttpUrlClientError: the connector does not know its scheme.
        InvalidUrlClientError: it has no host, or one that is a number and no address.
    """
    if url.scheme not in schemes:
        raise NonHttpUrlClientError(
            f"{show_url(url)} has none of the schemes {', '.join(sorted(filter(None, schemes)))}"
        )
    host = url.raw_host
    if not host or not url.scheme:
        raise InvalidUrlClientError(url, "it has no host, or no scheme")
    if is_ambiguous(host):
        raise InvalidUrlClientError(url, "its host is a number, and no address in its right form, like 127.0.0.1")


def check_proxy(proxy: str | URL | None) -> tuple[URL | None, BasicAuth | None]:
    """Read what was given as ``proxy``: the URL, and name and password in it.

    Raises:
        ValueError: it is no URL of a proxy.
    """
    if proxy is None:
        return None, None
    url, auth = strip_auth_from_url(URL(proxy))
    if url.scheme not in PROXY_SCHEMES or not url.raw_host:
        raise ValueError(f"proxy is a URL of {', '.join(sorted(PROXY_SCHEMES))}, not {str(url)!r}")
    return url, auth


def find_auth(url: URL, auth: BasicAuth | None, default: BasicAuth | None, *, trust_env: bool) -> BasicAuth | None:
    """Find who asks: as the caller says, else the session, else the netrc file."""
    if auth is not None:
        return auth
    if default is not None:
        return default
    return find_netrc_auth(url.host) if trust_env and url.host else None
