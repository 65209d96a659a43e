"""How a request is sent, beyond its method, its URL and its body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from http.cookies import SimpleCookie

    from multidict import CIMultiDict
    from yarl import URL

    from .auth import BasicAuth
    from .cookie import LooseCookies
    from .request import ClientHandlerType, ClientMiddlewareType, HeaderFields
    from .response import ClientResponse
    from .settings import Settings
    from .timeouts import ClientTimeout
    from .tls import SSL
    from .upload_tracker import UploadTracker

#: Parameters of a query: a mapping, pairs, or a string that is sent as it is but for what can't be.
QueryParams: TypeAlias = "str | Mapping[str, Any] | Sequence[tuple[str, Any]] | None"
#: Raises where an answer is none that is wanted.
StatusCheck: TypeAlias = "bool | Callable[[ClientResponse], Awaitable[None]]"

#: Redirects that are followed. aiohttp's ``max_redirects``.
MAX_REDIRECTS: Final = 10


class _CommonOptions(TypedDict, total=False):
    params: QueryParams
    json: Any
    cookies: LooseCookies | None
    headers: HeaderFields | None
    skip_auto_headers: Iterable[str] | None
    auth: BasicAuth | None
    max_redirects: int
    compress: str | bool | None
    chunked: bool | None
    expect100: bool
    raise_for_status: StatusCheck | None
    read_until_eof: bool
    proxy: str | URL | None
    proxy_auth: BasicAuth | None
    timeout: ClientTimeout | float | None
    ssl: SSL | None
    server_hostname: str | None
    proxy_headers: Mapping[str, str] | None
    trace_request_ctx: Any
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    middlewares: Sequence[ClientMiddlewareType] | None
    upload_tracker: UploadTracker | None


class BodyOptions(_CommonOptions, total=False):
    """Arguments of a request by a method that names ``allow_redirects`` itself, for type checkers."""

    data: Any


class RedirectOptions(_CommonOptions, total=False):
    """Arguments of a request by a method that names ``data`` itself, for type checkers."""

    allow_redirects: bool


class RequestOptions(BodyOptions, RedirectOptions, total=False):
    """Arguments of a request, beside its method and URL, for type checkers: see :meth:`ClientSession.request`."""


@dataclass(slots=True, eq=False, kw_only=True)
class Options:
    """What a session does with a request, unless the request was given something else.

    Attributes are the arguments of :meth:`ClientSession.request`, checked and completed. A session makes its own once,
    for the many requests that are given none; so they are never changed, ``dataclasses.replace`` makes others.
    """

    #: Complete but for Host, and for what the URL and the body bring.
    headers: CIMultiDict[str]
    #: Of ClientRequest, as far as they are not its defaults: ``version``, ``proxy``, ``compress`` and so on.
    arguments: Mapping[str, Any]
    settings: Settings
    #: What sends the request; the session's own way, or middlewares around it.
    send: ClientHandlerType
    #: Whether ``send`` may wait for more than the answer, as middlewares may.
    is_wrapped: bool
    raise_for_status: StatusCheck
    max_redirects: int = MAX_REDIRECTS
    cookies: SimpleCookie | None = None
    #: Of the request; the session's, the URL's and the netrc file's are found by the URL.
    auth: BasicAuth | None = None
    trace_request_ctx: Any = None
    upload_tracker: UploadTracker | None = None
