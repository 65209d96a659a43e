"""What makes two requests fit one connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from yarl import URL


class ConnectionKey(NamedTuple):
    """Where a connection goes and how: requests with equal keys may share connections."""

    #: The host as the URL names it: an address, or a name in ASCII.
    host: str
    port: int | None
    #: Whether TLS is spoken with the host.
    is_ssl: bool
    #: True: checked by the default context; False: not checked; or an SSLContext, or a Fingerprint.
    ssl: Any
    #: The proxy on the way, without user and password.
    proxy: URL | None = None
    #: What only the proxy is told when it opens a tunnel, such as who asks.
    proxy_fields: tuple[tuple[str, str], ...] | None = None
    #: The name in the certificate, where it is not the host's.
    server_hostname: str | None = None
