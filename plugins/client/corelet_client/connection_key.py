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

    def __repr__(self) -> str:
        """Show it without what the proxy is told: errors have it in their arguments, and get into logs."""
        hidden = None if self.proxy_fields is None else tuple((name, "***") for name, _ in self.proxy_fields)
        shown = (hidden if name == "proxy_fields" else value for name, value in zip(self._fields, self, strict=True))
        return f"{type(self).__name__}({', '.join(map('{}={!r}'.format, self._fields, shown))})"
