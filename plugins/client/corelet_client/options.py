"""How a request is sent, beyond its method, its URL and its body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from multidict import CIMultiDict

    from .auth import BasicAuth
    from .cookie import LooseCookies
    from .request import ClientHandlerType
    from .response import ClientResponse
    from .settings import Settings
    from .upload_tracker import UploadTracker

#: Redirects that are followed. aiohttp's ``max_redirects``.
MAX_REDIRECTS: Final = 10


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
    raise_for_status: bool | Callable[[ClientResponse], Awaitable[None]]
    max_redirects: int = MAX_REDIRECTS
    cookies: LooseCookies | None = None
    #: Of the request; the session's, the URL's and the netrc file's are found by the URL.
    auth: BasicAuth | None = None
    trace_request_ctx: Any = None
    upload_tracker: UploadTracker | None = None
