"""Redirects: which answer is one, and what is sent to where it points. Source: RFC 9110 sections 15.4 and 10.2.2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from yarl import URL

from corelet import hdrs

from .errors import InvalidUrlRedirectClientError, NonHttpUrlRedirectClientError

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from .response import ClientResponse

REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})
#: Fields that are said to one origin only. Source: RFC 9110 section 15.4 and the Fetch standard, section 4.4.
ORIGIN_FIELDS: Final = (hdrs.AUTHORIZATION, hdrs.PROXY_AUTHORIZATION, hdrs.COOKIE, hdrs.HOST)
#: Arguments of a request that are for one origin only.
ORIGIN_ARGUMENTS: Final = frozenset({"server_hostname"})
#: Arguments of a request about a body that is not sent again.
BODY_ARGUMENTS: Final = frozenset({"compress", "chunked", "expect100"})
#: Fields about a body that is not sent again. Source: RFC 9110 section 15.4.
BODY_FIELDS: Final = (
    hdrs.CONTENT_TYPE,
    hdrs.CONTENT_LENGTH,
    hdrs.TRANSFER_ENCODING,
    hdrs.CONTENT_ENCODING,
    hdrs.CONTENT_LANGUAGE,
    hdrs.CONTENT_LOCATION,
    hdrs.CONTENT_MD5,
    hdrs.LAST_MODIFIED,
    hdrs.EXPECT,
)

_IS_TARGET: Final = re.compile(r"[!-~]*+").fullmatch
_AUTHORITY: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*+:)?+//[^/?#]*+").match
#: Bytes that are no UTF-8, as the wire gives them.
_OTHER_BYTES: Final = re.compile("[\udc80-\udcff]++")


def find_location(response: ClientResponse, *, requote: bool) -> URL | None:
    """Find where a redirect leads to, with the fragment of the request where it has none of its own.

    Returns:
        The URL; None where it does not say.

    Raises:
        InvalidUrlRedirectClientError: it is no URL that can be requested.
        NonHttpUrlRedirectClientError: it has a scheme of its own, neither http nor https.
    """
    location = response.headers.get(hdrs.LOCATION) or response.headers.get(hdrs.URI)
    if location is None:
        return None
    try:
        target = URL(_quote_other_bytes(location), encoded=not requote)
        url = target if target.scheme else response.real_url.join(target)
        port = url.port
    except ValueError as error:
        raise InvalidUrlRedirectClientError(location, f"the redirect is no URL: {error}") from error
    # Without a scheme it keeps that of the request, which may be ws or the connector's own.
    if target.scheme and target.scheme not in {"http", "https"}:
        raise NonHttpUrlRedirectClientError(f"{response.url.with_user(None)} redirects to {location!r}")
    if not url.raw_host or port is None:
        raise InvalidUrlRedirectClientError(location, "the redirect names no host")
    if not _IS_TARGET(url.raw_path_qs):
        raise InvalidUrlRedirectClientError(location, "the redirect needs quoting (requote_redirect_url)")
    fragment = response.real_url.fragment
    return url.with_fragment(fragment) if fragment and not url.raw_fragment else url


def _quote_other_bytes(location: str) -> str:
    """Quote bytes of a path or query that are no UTF-8: a URL made of text leaves them out."""
    authority = _AUTHORITY(location)
    start = 0 if authority is None else authority.end()
    rest = _OTHER_BYTES.sub(lambda found: quote(found[0].encode("utf-8", "surrogateescape")), location[start:])
    return location[:start] + rest


def choose_method(status: int, method: str) -> str:
    """Choose the method for where a redirect points to; GET means that no body is sent.

    301 and 302 turn POST into GET, as every client does; 303 turns all but HEAD.
    """
    if (status == 303 and method != hdrs.METH_HEAD) or (status in {301, 302} and method == hdrs.METH_POST):
        return hdrs.METH_GET
    return method


def is_same_origin(one: URL, other: URL) -> bool:
    """Tell whether two URLs have scheme, host and port in common."""
    return (one.scheme, one.raw_host, one.port) == (other.scheme, other.raw_host, other.port)


def drop_fields(headers: CIMultiDict[str], names: tuple[str, ...]) -> None:
    """Drop fields, however often they are there."""
    for name in names:
        headers.popall(name, None)
