"""Requests as ASGI scopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from .interface import VERSIONS, Scope

_WEBSOCKET_SCHEMES: Final = {"http": "ws", "https": "wss"}


def make_http_scope(request: Any, root_path: str, state: Mapping[str, Any]) -> Scope:
    """Make the scope of a request.

    Args:
        request: the request.
        root_path: where the application is mounted; the path begins with it.
        state: what the application has left in its lifespan; each request gets a copy.
    """
    return {"type": "http", "method": request.method, **_make_scope(request, request.scheme, root_path, state)}


def make_websocket_scope(request: Any, root_path: str, state: Mapping[str, Any]) -> Scope:
    """Make the scope of a WebSocket's handshake; as :func:`make_http_scope`."""
    scheme = _WEBSOCKET_SCHEMES.get(request.scheme, request.scheme)
    offered = ",".join(request.headers.getall("Sec-WebSocket-Protocol", [])).split(",")
    return {
        "type": "websocket",
        "subprotocols": [name.strip() for name in offered if name.strip()],
        **_make_scope(request, scheme, root_path, state),
        "extensions": {"websocket.http.response": {}},
    }


def _make_scope(request: Any, scheme: str, root_path: str, state: Mapping[str, Any]) -> Scope:
    raw_path, _, query = request.raw_path.partition("?")
    if not raw_path.startswith("/"):  # a whole URL. Source: RFC 9112 section 3.2.2
        raw_path = request.match_path
    return {
        "asgi": dict(VERSIONS),
        "http_version": f"{request.version.major}.{request.version.minor}",
        "scheme": scheme,
        "path": unquote(raw_path),
        "raw_path": _encode(raw_path),
        "query_string": _encode(query),
        "root_path": unquote(root_path),
        "headers": [(name.lower(), value) for name, value in request.raw_headers],
        "client": _find_client(request),
        "server": _find_server(request),
        "state": dict(state),
        "extensions": {},
    }


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _find_client(request: Any) -> tuple[str, int] | None:
    """Find the peer: the one that a middleware may have set, and its port where it is the socket's."""
    remote = request.remote
    if remote is None:
        return None
    peername = request.get_extra_info("peername")
    return remote, peername[1] if isinstance(peername, tuple) and peername[0] == remote else 0


def _find_server(request: Any) -> tuple[str, int | None] | None:
    sockname = request.get_extra_info("sockname")
    if isinstance(sockname, tuple):
        return sockname[0], sockname[1]
    return (sockname, None) if isinstance(sockname, str) and sockname else None


def decode_fields(fields: Any) -> list[tuple[str, str]]:
    """Turn an application's fields, pairs of bytes, into those of a response."""
    return [
        (bytes(name).decode("utf-8", "surrogateescape"), bytes(value).decode("utf-8", "surrogateescape"))
        for name, value in fields
    ]
