"""The opening handshake of both sides. Source: RFC 6455 section 4."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict

from corelet import HttpVersion11, web

from .errors import WebSocketHandshakeError
from .extension import WebSocketExtensionFactory, accept_offers, format_extension, take_answer

if TYPE_CHECKING:
    from .extension import WebSocketExtension

_UPGRADE: Final = "Upgrade"
_CONNECTION: Final = "Connection"
_ORIGIN: Final = "Origin"
_ACCEPT: Final = "Sec-WebSocket-Accept"
_EXTENSIONS: Final = "Sec-WebSocket-Extensions"
_KEY: Final = "Sec-WebSocket-Key"
_PROTOCOL: Final = "Sec-WebSocket-Protocol"
_VERSION: Final = "Sec-WebSocket-Version"
_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_WANTED_VERSION: Final = "13"
_KEY_BYTES: Final = 16
#: Source: RFC 9110 section 5.6.2.
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: An entry of ``origins``: pages of the host that is asked, whatever the scheme, since a proxy may end TLS.
SELF_ORIGIN: Final = "self"


def make_accept(key: str) -> str:
    """Make the value of Sec-WebSocket-Accept. Source: RFC 6455 section 4.2.2."""
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _MAGIC, usedforsecurity=False).digest()).decode("ascii")


def _split(values: Iterable[str]) -> list[str]:
    """Split fields that are lists of tokens, all lines of one name together. Source: RFC 9110 section 5.6.1."""
    return [token.strip() for value in values for token in value.split(",") if token.strip()]


def read_strings(what: str, values: Iterable[str]) -> tuple[str, ...]:
    """Take a list of strings that an application gives, and no single one, which would be taken letter by letter."""
    if isinstance(values, str):
        raise TypeError(f"{what} is the str {values!r}, expected a list of them: [{values!r}]")
    return tuple(values)


def read_protocols(values: Iterable[str]) -> tuple[str, ...]:
    """Take the names of subprotocols: tokens, each once. Source: RFC 6455 section 4.1, item 10.

    Raises:
        TypeError: one str is given where a list is expected.
        ValueError: a name is no token, or is there twice.
    """
    protocols = read_strings("protocols", values)
    for index, name in enumerate(protocols):
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"subprotocol {name!r} is no token: letters, digits and !#$%&'*+-.^_`|~ are allowed")
        if name in protocols[:index]:
            raise ValueError(f"subprotocol {name!r} is given twice")
    return protocols


class ServerHandshake:
    """What a request asks for, checked.

    Args:
        request: the request.
        protocols: subprotocols that the application knows.
        origins: origins whose pages may connect; None for all. "self" is the requested host itself. A request without
            Origin does not come from a page, and is let in.
        factories: extensions that the server knows.

    Raises:
        HTTPBadRequest: it is no handshake, or a broken one.
        HTTPMethodNotAllowed: its method is not GET.
        HTTPUpgradeRequired: it asks for another version than 13.
        HTTPForbidden: its origin is not allowed.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        *,
        protocols: Sequence[str],
        origins: Sequence[str] | None,
        factories: Iterable[WebSocketExtensionFactory],
    ) -> None:
        headers = request.headers
        _check_request(request)
        self.key = _check_key(headers.getall(_KEY, []))
        if origins is not None:
            _check_origin(headers.getall(_ORIGIN, []), origins, request.host)
        wanted = _split(headers.getall(_PROTOCOL, []))
        #: The first subprotocol of the client's that the application knows; None for none.
        self.protocol = next((protocol for protocol in wanted if protocol in protocols), None)
        try:
            self._extension_field, self.extensions = accept_offers(
                factories, ", ".join(headers.getall(_EXTENSIONS, []))
            )
        except ValueError as exc:
            raise _refuse(str(exc)) from None

    def write_headers(self, headers: CIMultiDict[str]) -> None:
        """Write the answer's fields."""
        headers[_UPGRADE] = "websocket"
        headers[_CONNECTION] = "Upgrade"
        headers[_ACCEPT] = make_accept(self.key)
        if self.protocol is not None:
            headers[_PROTOCOL] = self.protocol
        if self._extension_field:
            headers[_EXTENSIONS] = self._extension_field


def _refuse(text: str) -> web.HTTPException:
    return web.HTTPBadRequest(text=text, headers={_VERSION: _WANTED_VERSION})


def _check_request(request: web.BaseRequest) -> None:
    """Check what does not concern keys. Source: RFC 6455 section 4.2.1."""
    headers = request.headers
    if request.method != "GET":
        raise web.HTTPMethodNotAllowed(request.method, ["GET"], headers={_VERSION: _WANTED_VERSION})
    tokens = [token.lower() for token in _split(headers.getall(_UPGRADE, []))]
    if "websocket" not in tokens:
        raise _refuse(f"no WebSocket handshake: Upgrade is {', '.join(tokens)!r}, expected 'websocket'")
    if "upgrade" not in [token.lower() for token in _split(headers.getall(_CONNECTION, []))]:
        raise _refuse(f"no WebSocket handshake: Connection is {headers.get(_CONNECTION, '')!r}, expected 'Upgrade'")
    if request.version < HttpVersion11:
        raise _refuse("a WebSocket handshake needs HTTP/1.1")
    versions = headers.getall(_VERSION, [])
    if versions != [_WANTED_VERSION]:
        raise web.HTTPUpgradeRequired(
            text=f"Sec-WebSocket-Version is {', '.join(versions)!r}, supported is {_WANTED_VERSION}",
            headers={_VERSION: _WANTED_VERSION, _UPGRADE: "websocket", _CONNECTION: "Upgrade"},
        )
    if request.body_exists:
        raise _refuse("a WebSocket handshake has no body")


def _check_key(values: Sequence[str]) -> str:
    if len(values) != 1:
        raise _refuse(f"Sec-WebSocket-Key is there {len(values)} times, expected once")
    try:
        size = len(base64.b64decode(values[0], validate=True))
    except (binascii.Error, ValueError):
        size = -1
    if size != _KEY_BYTES:
        raise _refuse(f"Sec-WebSocket-Key is {values[0]!r}, expected {_KEY_BYTES} bytes in base64")
    return values[0]


def _check_origin(values: Sequence[str], origins: Sequence[str], host: str) -> None:
    """Let no page of a stranger act for its visitor. Source: RFC 6455 section 10.2."""
    if not values:
        return
    origin = values[0].lower()
    if len(values) == 1:
        if origin in origins and origin != SELF_ORIGIN:
            return
        if SELF_ORIGIN in origins and origin.partition("://")[2] == host.lower():
            return
    raise web.HTTPForbidden(text=f"origin {', '.join(values)!r} is not allowed")


class WebSocketClientHandshake:
    """One handshake with a server: make it, send :attr:`headers` with a GET, and :meth:`check` the answer.

    Args:
        protocols: subprotocols to offer, in order of preference.
        extensions: extensions to offer.
        origin: the value of Origin.

    Raises:
        ValueError: a subprotocol is no token, or is given twice.

    Source: RFC 6455 section 4.1.
    """

    def __init__(
        self,
        *,
        protocols: Iterable[str] = (),
        extensions: Iterable[WebSocketExtensionFactory] = (),
        origin: str | None = None,
    ) -> None:
        self.protocols = read_protocols(protocols)
        self._factories = tuple(extensions)
        self._key = base64.b64encode(os.urandom(_KEY_BYTES)).decode("ascii")
        #: Fields to send with the request.
        self.headers: CIMultiDict[str] = CIMultiDict(
            {
                _UPGRADE: "websocket",
                _CONNECTION: "Upgrade",
                _VERSION: _WANTED_VERSION,
                _KEY: self._key,
            }
        )
        if self.protocols:
            self.headers[_PROTOCOL] = ", ".join(self.protocols)
        if self._factories:
            self.headers[_EXTENSIONS] = _format_offers(self._factories)
        if origin is not None:
            self.headers[_ORIGIN] = origin
        #: What the server has chosen, after :meth:`check`.
        self.protocol: str | None = None
        self.extensions: list[WebSocketExtension] = []

    def check(self, status: int, headers: Any) -> None:
        """Take the server's answer.

        Args:
            status: its status.
            headers: its fields, a ``CIMultiDict`` or one of its proxies.

        Raises:
            WebSocketHandshakeError: it opens no WebSocket, or chooses what was not offered: close the connection.
        """
        try:
            self._check(status, headers)
        except ValueError as exc:
            raise WebSocketHandshakeError(str(exc), status=status, headers=headers) from None

    def _check(self, status: int, headers: Any) -> None:
        if status != 101:
            raise ValueError(f"no WebSocket: the server answered {status}, expected 101")
        if [token.lower() for token in _split(headers.getall(_UPGRADE, []))] != ["websocket"]:
            raise ValueError(f"no WebSocket: Upgrade is {headers.get(_UPGRADE)!r}, expected 'websocket'")
        if "upgrade" not in [token.lower() for token in _split(headers.getall(_CONNECTION, []))]:
            raise ValueError(f"no WebSocket: Connection is {headers.get(_CONNECTION)!r}, expected 'Upgrade'")
        if headers.getall(_ACCEPT, []) != [make_accept(self._key)]:
            raise ValueError(f"Sec-WebSocket-Accept is {headers.get(_ACCEPT)!r}, which is wrong")
        protocols = headers.getall(_PROTOCOL, [])
        if protocols and (len(protocols) > 1 or protocols[0] not in self.protocols):
            raise ValueError(f"the server chose subprotocol {', '.join(protocols)!r}, which was not offered")
        self.extensions = take_answer(self._factories, ", ".join(headers.getall(_EXTENSIONS, [])))
        self.protocol = protocols[0] if protocols else None


def _format_offers(factories: Iterable[WebSocketExtensionFactory]) -> str:
    return ", ".join(format_extension(factory.name, factory.offer()) for factory in factories)
