"""Connections through SOCKS proxies, by python-socks: ``pip install "corelet-client[socks]"``.

The scheme says who finds the address of the host: ``socks5h`` and ``socks4a`` leave it to the proxy, for ``socks5`` and
``socks4`` it is found here. Source: RFC 1928 and RFC 1929; for the schemes curl's documents.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket

    from yarl import URL

    from .auth import BasicAuth

#: Scheme -> version of the protocol, and whether the proxy finds the address.
_SCHEMES: Final = {"socks4": (4, False), "socks4a": (4, True), "socks5": (5, False), "socks5h": (5, True)}
#: Where a proxy listens whose URL names no port. Source: the registry of RFC 6335, "socks".
_DEFAULT_PORT: Final = 1080
#: Seconds. The session's own limits end a connection much earlier; python-socks takes no endless wait.
_LONGEST_WAIT: Final = 86_400.0


async def open_socks_socket(proxy: URL, proxy_auth: BasicAuth | None, host: str, port: int) -> socket.socket:
    """Open a connection to a host through a SOCKS proxy. Cancelling closes it.

    Args:
        proxy: such as ``socks5h://127.0.0.1:1080``.
        proxy_auth: who asks; SOCKS 4 sends the login only.
        host: a name or an address.
        port: of the host.

    Returns:
        A connected socket that doesn't block; the host's from now on.

    Raises:
        OSError: the proxy can't be reached, or refuses.
        ImportError: python-socks is not installed.
        ValueError: the scheme is none of SOCKS, or login or password can't be sent.
    """
    try:
        from python_socks import ProxyError, ProxyType
        from python_socks.async_.asyncio import Proxy
    except ImportError as error:
        raise ImportError(f'a {proxy.scheme} proxy needs python-socks: pip install "corelet-client[socks]"') from error
    if proxy.scheme not in _SCHEMES:
        raise ValueError(f"a SOCKS proxy has one of the schemes {', '.join(_SCHEMES)}, not {proxy.scheme!r}")
    version, finds_address = _SCHEMES[proxy.scheme]
    login, password = (None, None) if proxy_auth is None else (proxy_auth.login, proxy_auth.password)
    for text in (login or "", password or ""):
        if not text.isascii() or len(text) > 255:
            raise ValueError(f"login and password for {proxy} are at most 255 characters of ASCII each")
    client = Proxy(
        ProxyType.SOCKS4 if version == 4 else ProxyType.SOCKS5,
        proxy.host or "",
        proxy.port or _DEFAULT_PORT,
        username=login,
        password=password,
        rdns=finds_address,
        loop=asyncio.get_running_loop(),
    )
    try:
        return await client.connect(host, port, timeout=_LONGEST_WAIT)
    except ProxyError as error:
        raise ConnectionRefusedError(None, f"the proxy {proxy} refused {host}:{port}: {error}") from error
