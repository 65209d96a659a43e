"""How a request is sent, beyond its method, its URL and its body."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from corelet import HttpVersion, HttpVersion11

from .settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from multidict import CIMultiDict
    from yarl import URL

    from .auth import BasicAuth
    from .cookie import LooseCookies
    from .request import ClientHandlerType
    from .response import ClientResponse
    from .tls import SSL
    from .upload_tracker import UploadTracker

#: Redirects that are followed. aiohttp's ``max_redirects``.
MAX_REDIRECTS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a session does with a request, unless the request was given something else.

    Attributes are the arguments of :meth:`ClientSession.request`, checked and completed. A session makes its own once,
    for the many requests that are given none.
    """

    #: Complete but for Host, and for what the URL and the body bring.
    headers: CIMultiDict[str]
    #: What sends the request; the session's own way, or middlewares around it.
    send: ClientHandlerType
    #: Whether ``send`` may wait for more than the answer, as middlewares may.
    is_wrapped: bool = False
    settings: Settings
    cookies: LooseCookies | None = None
    #: Of the request; the session's, the URL's and the netrc file's are found by the URL.
    auth: BasicAuth | None = None
    max_redirects: int = MAX_REDIRECTS
    raise_for_status: bool | Callable[[ClientResponse], Awaitable[None]] = False
    trace_request_ctx: Any = None
    upload_tracker: UploadTracker | None = None
    # As for ClientRequest, with its defaults.
    skip_auto_headers: frozenset[str] = frozenset()
    version: HttpVersion = HttpVersion11
    compress: str | None = None
    chunked: bool = False
    expect100: bool = False
    proxy: URL | None = None
    proxy_auth: BasicAuth | None = None
    proxy_headers: Mapping[str, str] | None = None
    ssl: SSL = True
    server_hostname: str | None = None

    @cached_property
    def of_request(self) -> dict[str, Any]:
        """Arguments of ClientRequest that are not its defaults: few or none."""
        return {name: value for name in _OF_REQUEST if (value := getattr(self, name)) != getattr(Options, name)}


_OF_REQUEST: Final = (
    "skip_auto_headers",
    "version",
    "compress",
    "chunked",
    "expect100",
    "proxy",
    "proxy_auth",
    "proxy_headers",
    "ssl",
    "server_hostname",
)
