"""One call of a session: a request, and those that its redirects lead to."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

from corelet import Payload, hdrs

from .auth import BasicAuth, find_netrc_auth, strip_auth_from_url
from .destination import add_host
from .dns_cache import is_ambiguous
from .errors import (
    InvalidUrlRedirectClientError,
    RedirectClientError,
    TooManyRedirects,
    UploadAbortedError,
)
from .proxy_environment import PROXY_SCHEMES, find_proxy
from .redirect import (
    BODY_ARGUMENTS,
    BODY_FIELDS,
    ORIGIN_ARGUMENTS,
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
    from multidict import CIMultiDict

    from .destination import SharedFields
    from .options import Options
    from .request import ClientRequest
    from .response import ClientResponse
    from .session import ClientSession

#: A redirect's body is read up to this size: another connection would cost more.
_DROP_BYTES: Final = 65_536


@dataclass(slots=True, eq=False)
class Call:
    """What was asked of a session, and what is sent for it, one request after the other.

    Args:
        session: that sends it.
        method: in upper case.
        url: of the next request.
        body: of the next request.
        options: of the next request; the session's own unless something was given, or a redirect has changed it.
        auth: who asks, by the options, the session, the URL or the netrc file.
        allow_redirects: whether redirects are followed.
        tracer: tells who watches.
        deadline: by the loop's clock.
    """

    session: ClientSession
    method: str
    url: URL
    body: Payload | bytes
    options: Options
    auth: BasicAuth | None
    allow_redirects: bool
    tracer: Tracer | None
    deadline: float
    #: Of the caller, where redirects have led elsewhere; None for ``url``.
    asked_url: URL | None = None

    def run(self) -> Coroutine[Any, Any, ClientResponse]:
        """Send the request, follow its redirects, and give the last answer.

        Raises:
            ClientError: there is none.
            ServerTimeoutError: it took longer than ``total``.
        """
        options = self.options
        if self.tracer is None and options.upload_tracker is None and not options.is_wrapped:
            return self._follow()
        return self._follow_watched()

    async def _follow_watched(self) -> ClientResponse:
        tracker = self.options.upload_tracker
        if tracker is None:
            return await self._follow_bounded()
        tracker.take()
        try:
            return await self._follow_bounded()
        except BaseException as error:
            tracker.settle(error)
            raise

    async def _follow_bounded(self) -> ClientResponse:
        """Follow where middlewares and listeners may wait for anything."""
        bound = asyncio.timeout_at(None if self.deadline == NEVER else self.deadline)
        try:
            async with bound:
                return await self._follow() if self.tracer is None else await self._trace(self.tracer)
        except TimeoutError as error:
            if not bound.expired():
                raise
            raise make_total_error(self.make_request()) from error

    async def _trace(self, tracer: Tracer) -> ClientResponse:
        method, url, headers = self.method, self.url, self.options.headers.copy()
        self.options = dataclasses.replace(self.options, headers=headers)  # listeners may add to this request's fields
        try:
            await tracer.send("on_request_start", TraceRequestStartParams(method, url, headers))
        except BaseException:
            await self._close_body(None, None)
            raise
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
        request = response = None
        history: list[ClientResponse] = []
        try:
            while True:
                request = self.make_request()
                response = await self.options.send(request)
                if response.status not in REDIRECT_STATUSES or not self.allow_redirects:
                    break
                location = self._find_location(response)
                if location is None:
                    break
                history.append(response)
                await self._leave(request, response, location, history)
            if history:
                response.history = tuple(history)
        except BaseException:
            if response is not None:
                response.close()
            await self._close_body(request, None)
            raise
        if type(self.body) is not bytes or request.body is not self.body or self.options.upload_tracker is not None:
            await self._close_body(request, response)
        return response

    async def _close_body(self, request: ClientRequest | None, response: ClientResponse | None) -> None:
        """Give back what the body holds, such as a file, once it is sent; one that a middleware gave, as well."""
        if response is not None and response.leave_upload():
            return
        if request is not None and request.body is not self.body:
            await request.close()
        if isinstance(self.body, Payload) and not self.body.autoclose:
            await self.body.close()
        if response is not None and self.options.upload_tracker is not None:
            refused = None if response.is_request_sent else UploadAbortedError("the server has answered before")
            self.options.upload_tracker.settle(refused)

    # Where to, and who asks.

    def make_request(self) -> ClientRequest:
        """Make the request to where the call has come to."""
        session, options = self.session, self.options
        request = session.request_class(
            self.method,
            self.url,
            headers=self._make_headers(),
            data=None if type(self.body) is bytes else self.body,
            auth=self.auth,
            session=session,
            settings=options.settings,
            **options.arguments,
        )
        request.deadline = self.deadline
        request.tracer = self.tracer
        request.upload_tracker = options.upload_tracker
        if self.asked_url is not None:
            request.asked_url = self.asked_url
        if session.trust_env and request.proxy is None and (found := find_proxy(self.url)) is not None:
            request.proxy, request.proxy_auth = found
        return request

    def _make_headers(self) -> CIMultiDict[str] | SharedFields:
        session, options = self.session, self.options
        has_cookies = session.cookie_jar or options.cookies
        expects_100 = options.arguments.get("expect100")
        if self.auth is None and not has_cookies and not expects_100:
            destinations = session.destinations
            if options.headers is destinations.fields:
                return destinations.find(self.url).fields
        headers = add_host(options.headers, self.url)
        if self.auth is not None:
            headers[hdrs.AUTHORIZATION] = self.auth.encode()
        if has_cookies:
            self._add_cookies(headers)
        if expects_100:
            headers[hdrs.EXPECT] = "100-continue"
        return headers

    def _add_cookies(self, headers: CIMultiDict[str]) -> None:
        """Join what the caller, the jar and the session have, in one field. Source: RFC 6265 section 5.4."""
        jar = self.session.cookie_jar
        cookies = {name: morsel.coded_value for name, morsel in jar.filter_cookies(self.url).items()}
        if self.options.cookies:
            cookies.update((name, morsel.coded_value) for name, morsel in self.options.cookies.items())
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

    async def _leave(
        self, request: ClientRequest, response: ClientResponse, location: URL, history: list[ClientResponse]
    ) -> None:
        """Turn to where an answer redirects to."""
        if self.tracer is not None:
            params = TraceRequestRedirectParams(self.method, self.url, self.options.headers, response)
            await self.tracer.send("on_request_redirect", params)
        if len(history) > self.options.max_redirects:
            raise TooManyRedirects(
                history[0].request_info,
                tuple(history),
                status=response.status,
                message=f"over {self.options.max_redirects} redirects (max_redirects), the last one to {location}",
                headers=response.headers,
            )
        await response.drop_rest(_DROP_BYTES)  # a server that has not got all of the request's body gets no more of it
        method = choose_method(response.status, self.method)
        if request.body is not self.body:
            await request.close()
        if method != self.method:
            await self._close_body(None, None)
            self.method, self.body = method, b""
            self._change_options(BODY_FIELDS, BODY_ARGUMENTS)
        elif isinstance(self.body, Payload) and self.body.consumed:
            raise RedirectClientError(
                f"{response.url.with_user(None)} redirects by {response.status} to {location}, and the body can't be "
                "sent again: it came from an iterator"
            )
        self._turn_to(location)

    def _turn_to(self, location: URL) -> None:
        url, auth = _split_location(location)
        if not is_same_origin(url, self.url):
            self._change_options(ORIGIN_FIELDS, ORIGIN_ARGUMENTS, cookies=None)
            self.auth = None
        if auth is not None:
            self.auth = auth
        if self.asked_url is None:
            self.asked_url = self.url
        self.url = url

    def _change_options(self, fields: tuple[str, ...], arguments: frozenset[str], **changes: Any) -> None:
        """Go on without some header fields and arguments, and with other options."""
        headers = self.options.headers.copy()
        drop_fields(headers, fields)
        left = {name: value for name, value in self.options.arguments.items() if name not in arguments}
        self.options = dataclasses.replace(self.options, headers=headers, arguments=left, **changes)


def _split_location(location: URL) -> tuple[URL, BasicAuth | None]:
    """Split where a redirect leads to into a URL without name and password, and these."""
    try:
        url, auth = strip_auth_from_url(location)
        if auth is not None:
            auth.encode()
    except ValueError as error:
        message = f"the redirect's name and password can't be sent: {error}"
        raise InvalidUrlRedirectClientError(location.with_user(None), message) from error
    return url, auth


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
