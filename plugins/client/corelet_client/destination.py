"""What the requests of a session to one origin have in common, unless one of them says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict, CIMultiDictProxy

from corelet import hdrs
from corelet.wire import serialize_fields

from .connection_key import ConnectionKey
from .dns_cache import is_ambiguous
from .errors import InvalidUrlClientError, NonHttpUrlClientError, show_url

if TYPE_CHECKING:
    from yarl import URL

#: Schemes whose URLs are asked for over TLS.
SSL_SCHEMES: Final = frozenset({"https", "wss"})
#: Origins that a session remembers. Each takes about a kilobyte.
_MAX_REMEMBERED: Final = 256


class SharedFields(CIMultiDictProxy[str]):
    """Header fields that many requests send as they are.

    Attributes:
        lines: the same as they are sent.
        frames_body: whether they say where a body ends; they are right for some bodies only then.

    Raises:
        LocalProtocolError: one of them can't be sent.
    """

    __slots__ = ("frames_body", "lines")

    def __init__(self, fields: CIMultiDict[str]) -> None:
        super().__init__(fields)
        self.lines = serialize_fields(fields)
        self.frames_body = hdrs.CONTENT_LENGTH in fields or hdrs.TRANSFER_ENCODING in fields


class Destination:
    """An origin, and what leads there.

    Args:
        url: of the origin.
        fields: of every request of the session, complete but for Host.

    Attributes:
        key: which connections lead there.
    """

    __slots__ = ("_fields", "_session_fields", "_url", "key")

    def __init__(self, url: URL, fields: CIMultiDict[str]) -> None:
        self.key = ConnectionKey(url.raw_host or "", url.port, url.scheme in SSL_SCHEMES, True)
        self._url = url
        self._session_fields = fields
        self._fields: SharedFields | None = None

    @property
    def fields(self) -> SharedFields:
        """Host and those of the session.

        Raises:
            LocalProtocolError: one of them can't be sent.
        """
        if self._fields is None:
            self._fields = SharedFields(add_host(self._session_fields, self._url))
        return self._fields


class Destinations:
    """The origins that a session has sent requests to, so that what is common is made once.

    Args:
        fields: of every request, complete but for Host.
        schemes: of URLs that can be requested.
    """

    __slots__ = ("_known", "_last", "_last_url", "_schemes", "fields")

    def __init__(self, fields: CIMultiDict[str], schemes: frozenset[str]) -> None:
        self.fields = fields
        self._schemes = schemes
        self._known: dict[tuple[str, str], Destination] = {}
        # A request asks several times for the same.
        self._last_url: URL | None = None
        self._last: Destination

    def find(self, url: URL) -> Destination:
        """Find the origin of a URL.

        Raises:
            NonHttpUrlClientError: the connector does not know its scheme.
            InvalidUrlClientError: it has no host, or one that is a number and no address.
        """
        if url is self._last_url:
            return self._last
        name = (url.scheme, url.raw_authority)
        found = self._known.get(name)
        if found is None:
            _check_url(url, self._schemes)
            if len(self._known) >= _MAX_REMEMBERED:
                del self._known[next(iter(self._known))]
            found = self._known[name] = Destination(url, self.fields)
        self._last_url, self._last = url, found
        return found


def _check_url(url: URL, schemes: frozenset[str]) -> None:
    """Refuse a URL that can't be requested."""
    if url.scheme not in schemes:
        raise NonHttpUrlClientError(
            f"{show_url(url)} has none of the schemes {', '.join(sorted(filter(None, schemes)))}"
        )
    host = url.raw_host
    if not host or not url.scheme:
        raise InvalidUrlClientError(url, "it has no host, or no scheme")
    if is_ambiguous(host):
        raise InvalidUrlClientError(url, "its host is a number, and no address in its right form, like 127.0.0.1")


def add_host(fields: CIMultiDict[str], url: URL) -> CIMultiDict[str]:
    """Make a copy of a request's fields, which begins with the URL's Host unless they have one.

    Source: RFC 9112 section 3.2.
    """
    made: CIMultiDict[str] = CIMultiDict()
    if hdrs.HOST not in fields:
        made.add(hdrs.HOST, url.host_port_subcomponent or "")
    made.extend(fields)
    return made
