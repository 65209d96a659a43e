"""HTTPException and a class for each status: responses that can be raised as well as returned.

An instance answers one request, like any response: raise a new one each time, not one kept in a module.
"""

# ruff: noqa: N818  # the field's names for them

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from . import hdrs
from .response import Headers, Response

_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}

# What may stand in a URI. Not a backslash, which would be a slash to browsers. Source: RFC 3986 section 2.
_URI_CHARACTERS: Final = "-._~:/?#[]@!$&'()*+,;=%"
_HAS_AUTHORITY: Final = re.compile("(?:[a-z][a-z0-9+.-]*+:)?//", re.IGNORECASE).match


def _format_uri(uri: str | URL) -> str:
    """Make a URI of ASCII without anything that could end a field; hosts by IDNA, all else percent-encoded."""
    text = str(uri)
    if not text.isascii() and _HAS_AUTHORITY(text) is not None:
        text = str(URL(text))
    return quote(text, safe=_URI_CHARACTERS, errors="surrogateescape")


class HTTPException(Response, Exception):
    """Answer a request from anywhere below its handler. Use a subclass.

    ``str()`` of it is the reason.

    Args:
        headers: fields of the head.
        reason: the phrase in the status line; default the registered one.
        body: the body, instead of ``text``.
        text: the body as text; ``"404: Not Found"`` unless given, or none at all where :attr:`empty_body` is set.
        content_type: of the body; ``text/plain`` unless given.
    """

    #: The status of this class.
    status_code: int = -1
    #: Whether such an answer has no body by itself.
    empty_body: bool = False

    def __init__(
        self,
        *,
        headers: Headers | None = None,
        reason: str | None = None,
        body: Any = None,
        text: str | None = None,
        content_type: str | None = None,
    ) -> None:
        status = self.status_code
        phrase = _PHRASES.get(status, "") if reason is None else reason
        if body is None and text is None and not self.empty_body:
            text = f"{status}: {phrase}"
        Response.__init__(
            self, status=status, headers=headers, reason=reason, body=body, text=text, content_type=content_type
        )
        Exception.__init__(self, phrase)


class HTTPError(HTTPException):
    """Any status of 400 and above."""


class HTTPRedirection(HTTPException):
    """Any status from 300 to 399."""


class HTTPSuccessful(HTTPException):
    """Any status from 200 to 299."""


class HTTPClientError(HTTPError):
    """Any status from 400 to 499: the request is at fault."""


class HTTPServerError(HTTPError):
    """Any status of 500 and above: the server is at fault."""


class HTTPMove(HTTPRedirection):
    """Any status that sends the client to another place.

    Args:
        location: where to; a URL or a path. What can't stand in a URI is percent-encoded.

    Raises:
        ValueError: the location is empty, or names a host beyond ASCII that can't be one.
    """

    def __init__(
        self,
        location: str | URL,
        *,
        headers: Headers | None = None,
        reason: str | None = None,
        body: Any = None,
        text: str | None = None,
        content_type: str | None = None,
    ) -> None:
        if not location:
            raise ValueError("a redirect needs a location, not an empty one")
        super().__init__(headers=headers, reason=reason, body=body, text=text, content_type=content_type)
        self.location = location
        self.headers[hdrs.LOCATION] = _format_uri(location)


class HTTPOk(HTTPSuccessful):
    """Answer what was asked for. Source: RFC 9110 section 15.3.1."""

    status_code = 200


class HTTPCreated(HTTPSuccessful):
    """Something new has come into being; a Location field names it. Source: RFC 9110 section 15.3.2."""

    status_code = 201


class HTTPAccepted(HTTPSuccessful):
    """The request will be acted on later. Source: RFC 9110 section 15.3.3."""

    status_code = 202


class HTTPNonAuthoritativeInformation(HTTPSuccessful):
    """The content was changed on its way. Source: RFC 9110 section 15.3.4."""

    status_code = 203


class HTTPNoContent(HTTPSuccessful):
    """It was done, and there is nothing to show. Source: RFC 9110 section 15.3.5."""

    status_code = 204
    empty_body = True


class HTTPResetContent(HTTPSuccessful):
    """It was done; the form may be emptied for the next. Source: RFC 9110 section 15.3.6."""

    status_code = 205
    empty_body = True


class HTTPPartialContent(HTTPSuccessful):
    """The part of the content that was asked for. Source: RFC 9110 section 15.3.7."""

    status_code = 206


class HTTPMultipleChoices(HTTPMove):
    """There are several representations to choose from. Source: RFC 9110 section 15.4.1."""

    status_code = 300


class HTTPMovedPermanently(HTTPMove):
    """The resource has another URI for good; clients may change POST to GET. Source: RFC 9110 section 15.4.2."""

    status_code = 301


class HTTPFound(HTTPMove):
    """The resource is elsewhere for now; clients may change POST to GET. Source: RFC 9110 section 15.4.3."""

    status_code = 302


class HTTPSeeOther(HTTPMove):
    """The answer is elsewhere, to be fetched by GET. Source: RFC 9110 section 15.4.4."""

    status_code = 303


class HTTPNotModified(HTTPRedirection):
    """What the client has is still good. Source: RFC 9110 section 15.4.5."""

    status_code = 304
    empty_body = True


class HTTPUseProxy(HTTPMove):
    """Deprecated: clients no longer follow it. Source: RFC 9110 section 15.4.6."""

    status_code = 305


class HTTPTemporaryRedirect(HTTPMove):
    """The resource is elsewhere for now; the method stays. Source: RFC 9110 section 15.4.8."""

    status_code = 307


class HTTPPermanentRedirect(HTTPMove):
    """The resource has another URI for good; the method stays. Source: RFC 9110 section 15.4.9."""

    status_code = 308


class HTTPBadRequest(HTTPClientError):
    """The request makes no sense. Source: RFC 9110 section 15.5.1."""

    status_code = 400


class HTTPUnauthorized(HTTPClientError):
    """Credentials are missing or wrong; a WWW-Authenticate field says which are wanted.

    Source: RFC 9110 section 15.5.2.
    """

    status_code = 401


class HTTPPaymentRequired(HTTPClientError):
    """Reserved for payment. Source: RFC 9110 section 15.5.3."""

    status_code = 402


class HTTPForbidden(HTTPClientError):
    """The client may not, whoever it is. Source: RFC 9110 section 15.5.4."""

    status_code = 403


class HTTPNotFound(HTTPClientError):
    """There is nothing here, or nothing that may be shown. Source: RFC 9110 section 15.5.5."""

    status_code = 404


class HTTPMethodNotAllowed(HTTPClientError):
    """The resource is there, and doesn't have this method. Source: RFC 9110 section 15.5.6.

    Args:
        method: what was asked for.
        allowed_methods: what may be asked for, listed in the Allow field.
    """

    status_code = 405

    def __init__(
        self,
        method: str,
        allowed_methods: Iterable[str],
        *,
        headers: Headers | None = None,
        reason: str | None = None,
        body: Any = None,
        text: str | None = None,
        content_type: str | None = None,
    ) -> None:
        super().__init__(headers=headers, reason=reason, body=body, text=text, content_type=content_type)
        self.method = method.upper()
        self.allowed_methods: set[str] = set(allowed_methods)
        self.headers[hdrs.ALLOW] = ",".join(sorted(self.allowed_methods))


class HTTPNotAcceptable(HTTPClientError):
    """There is no representation that the client accepts. Source: RFC 9110 section 15.5.7."""

    status_code = 406


class HTTPProxyAuthenticationRequired(HTTPClientError):
    """The proxy wants credentials. Source: RFC 9110 section 15.5.8."""

    status_code = 407


class HTTPRequestTimeout(HTTPClientError):
    """The request took too long to arrive. Source: RFC 9110 section 15.5.9."""

    status_code = 408


class HTTPConflict(HTTPClientError):
    """The resource is in a state that the request doesn't fit. Source: RFC 9110 section 15.5.10."""

    status_code = 409


class HTTPGone(HTTPClientError):
    """There was something here, and it won't come back. Source: RFC 9110 section 15.5.11."""

    status_code = 410


class HTTPLengthRequired(HTTPClientError):
    """The request needs a Content-Length. Source: RFC 9110 section 15.5.12."""

    status_code = 411


class HTTPPreconditionFailed(HTTPClientError):
    """A condition of the request, such as If-Match, is false. Source: RFC 9110 section 15.5.13."""

    status_code = 412


class HTTPRequestEntityTooLarge(HTTPClientError):
    """The content is larger than the server reads. Source: RFC 9110 section 15.5.14.

    Args:
        max_size: what it reads, in bytes.
        actual_size: how large the content is, or how much of it was read; 0 where that is not known.
        kwargs: as for HTTPException.
    """

    status_code = 413

    def __init__(self, max_size: float, actual_size: float = 0, **kwargs: Any) -> None:
        if kwargs.get("body") is None:
            actual = f", actual body size {actual_size}" if actual_size else ""
            kwargs.setdefault("text", f"Maximum request body size {max_size} exceeded{actual}")
        super().__init__(**kwargs)
        self.max_size = max_size
        self.actual_size = actual_size


class HTTPRequestURITooLong(HTTPClientError):
    """The target is longer than the server reads. Source: RFC 9110 section 15.5.15."""

    status_code = 414


class HTTPUnsupportedMediaType(HTTPClientError):
    """The content is of a type or coding that can't be read. Source: RFC 9110 section 15.5.16."""

    status_code = 415


class HTTPRequestRangeNotSatisfiable(HTTPClientError):
    """The content has none of the ranges asked for. Source: RFC 9110 section 15.5.17."""

    status_code = 416


class HTTPExpectationFailed(HTTPClientError):
    """The Expect field asks for something that nobody can do. Source: RFC 9110 section 15.5.18."""

    status_code = 417


class HTTPMisdirectedRequest(HTTPClientError):
    """This server doesn't answer for that host. Source: RFC 9110 section 15.5.20."""

    status_code = 421


class HTTPUnprocessableEntity(HTTPClientError):
    """The content is well-formed, and still can't be used. Source: RFC 9110 section 15.5.21."""

    status_code = 422


class HTTPFailedDependency(HTTPClientError):
    """Another action had to succeed first. Source: RFC 4918 section 11.4."""

    status_code = 424


class HTTPUpgradeRequired(HTTPClientError):
    """Another protocol is wanted; an Upgrade field says which. Source: RFC 9110 section 15.5.22."""

    status_code = 426


class HTTPPreconditionRequired(HTTPClientError):
    """The request has to be conditional. Source: RFC 6585 section 3."""

    status_code = 428


class HTTPTooManyRequests(HTTPClientError):
    """The client asks too often; a Retry-After field may say when to come back. Source: RFC 6585 section 4."""

    status_code = 429


class HTTPRequestHeaderFieldsTooLarge(HTTPClientError):
    """The head is larger than the server reads. Source: RFC 6585 section 5."""

    status_code = 431


class HTTPUnavailableForLegalReasons(HTTPClientError):
    """Somebody demands that this is not shown. Source: RFC 7725 section 3.

    Args:
        link: who blocks it, listed in the Link field; None where that is not told.
    """

    status_code = 451

    def __init__(
        self,
        link: str | URL | None,
        *,
        headers: Headers | None = None,
        reason: str | None = None,
        body: Any = None,
        text: str | None = None,
        content_type: str | None = None,
    ) -> None:
        super().__init__(headers=headers, reason=reason, body=body, text=text, content_type=content_type)
        self._link = None if link is None else URL(link)
        if self._link is not None:
            self.headers[hdrs.LINK] = f'<{_format_uri(self._link)}>; rel="blocked-by"'

    @property
    def link(self) -> URL | None:
        """Who blocks it."""
        return self._link


class HTTPInternalServerError(HTTPServerError):
    """Something broke that should not have. Source: RFC 9110 section 15.6.1."""

    status_code = 500


class HTTPNotImplemented(HTTPServerError):
    """The server can't do this for any resource. Source: RFC 9110 section 15.6.2."""

    status_code = 501


class HTTPBadGateway(HTTPServerError):
    """A server behind this one gave an invalid answer. Source: RFC 9110 section 15.6.3."""

    status_code = 502


class HTTPServiceUnavailable(HTTPServerError):
    """Not now; a Retry-After field may say when. Source: RFC 9110 section 15.6.4."""

    status_code = 503


class HTTPGatewayTimeout(HTTPServerError):
    """A server behind this one gave no answer in time. Source: RFC 9110 section 15.6.5."""

    status_code = 504


class HTTPVersionNotSupported(HTTPServerError):
    """The server doesn't speak this version of HTTP. Source: RFC 9110 section 15.6.6."""

    status_code = 505


class HTTPVariantAlsoNegotiates(HTTPServerError):
    """Choosing a representation went round in a circle. Source: RFC 2295 section 8.1."""

    status_code = 506


class HTTPInsufficientStorage(HTTPServerError):
    """There is no room to do it. Source: RFC 4918 section 11.5."""

    status_code = 507


class HTTPNotExtended(HTTPServerError):
    """The request lacks an extension that is needed. Source: RFC 2774 section 7."""

    status_code = 510


class HTTPNetworkAuthenticationRequired(HTTPServerError):
    """The client has to log in to the network first. Source: RFC 6585 section 6."""

    status_code = 511
