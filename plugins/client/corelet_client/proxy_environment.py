"""Proxies from the environment: ``http_proxy``, ``https_proxy``, ``ws_proxy``, ``wss_proxy``, ``no_proxy`` and more.

The rules are curl's where aiohttp's documents are silent: names in lower case go before those in upper case, an empty
value switches a proxy off, a value without a scheme is an HTTP proxy, ``no_proxy`` names domains with all below them.
``HTTP_PROXY`` in upper case is not read where a CGI server has set it from a client's ``Proxy`` field (CVE-2016-5385).
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from yarl import URL

from .auth import BasicAuth, find_netrc_auth, strip_auth_from_url

#: The schemes of proxies that the client speaks to.
PROXY_SCHEMES: Final = frozenset({"http", "https", "socks4", "socks4a", "socks5", "socks5h"})

#: Scheme of a request -> the variables that name its proxy; the first one that is set counts.
_VARIABLES: Final = {
    "http": ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "https": ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    "ws": ("ws_proxy", "WS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    "wss": ("wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
}

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def find_proxy(url: URL) -> tuple[URL, BasicAuth | None] | None:
    """Find the proxy for a request in the environment, as it is now.

    Args:
        url: where the request goes.

    Returns:
        The proxy's URL, and its name and password from that URL or from the netrc file; None to go without a proxy.

    Raises:
        ValueError: a variable holds what is no URL of a proxy; the message names it, and shows no password.
    """
    name, value = _find_variable(url.scheme)
    if not value or _bypasses_proxy(url):
        return None
    proxy, auth = _read_proxy(name, value)
    if auth is None and proxy.host is not None:
        auth = find_netrc_auth(proxy.host)
    return proxy, auth


def _find_variable(scheme: str) -> tuple[str, str]:
    for name in _VARIABLES.get(scheme, ()):
        value = os.environ.get(name)
        if value is not None and not (name == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ):
            return name, value.strip()
    return "", ""


@lru_cache(maxsize=16)
def _read_proxy(name: str, value: str) -> tuple[URL, BasicAuth | None]:
    try:
        url = URL(value if "://" in value else f"http://{value}")
        proxy, auth = strip_auth_from_url(url)
    except ValueError:
        raise ValueError(f"the environment's {name} is no URL of a proxy, such as http://proxy.example:3128") from None
    if proxy.scheme not in PROXY_SCHEMES or not proxy.host:
        schemes = ", ".join(sorted(PROXY_SCHEMES))
        raise ValueError(f"the environment's {name} names {proxy}; a proxy has a host and one of the schemes {schemes}")
    return proxy, auth


def _bypasses_proxy(url: URL) -> bool:
    text = os.environ.get("no_proxy")
    if text is None:
        text = os.environ.get("NO_PROXY")
    return bool(text) and _read_exceptions(text or "").match(url.host or "", url.port)


@dataclass(frozen=True, slots=True)
class _Exceptions:
    """What ``no_proxy`` lists: names and addresses, each with a port or None for any, and networks."""

    is_any: bool
    hosts: frozenset[tuple[str, int | None]]
    networks: tuple[_Network, ...]

    def match(self, host: str, port: int | None) -> bool:
        if self.is_any:
            return True
        address = _parse_address(host)
        if address is not None:
            in_network = any(address in network for network in self.networks)
            return in_network or not self.hosts.isdisjoint({(str(address), None), (str(address), port)})
        labels = host.lower().removesuffix(".").split(".")
        domains = (".".join(labels[start:]) for start in range(len(labels)))
        return any((domain, None) in self.hosts or (domain, port) in self.hosts for domain in domains)


@lru_cache(maxsize=16)
def _read_exceptions(text: str) -> _Exceptions:
    entries = text.replace(",", " ").split()
    networks = tuple(network for entry in entries if (network := _parse_network(entry)) is not None)
    hosts = frozenset(_parse_host(entry) for entry in entries if "/" not in entry)
    return _Exceptions("*" in entries, hosts, networks)


def _parse_host(entry: str) -> tuple[str, int | None]:
    """Read ``.example.org``, ``example.org:8080``, ``10.0.0.1`` or ``[::1]:80``."""
    address = _parse_address(entry)
    if address is not None:
        return str(address), None
    host, _, port_text = entry.rpartition(":")
    if not host or not port_text.isascii() or not port_text.isdigit():
        host, port_text = entry, ""
    address = _parse_address(host)
    name = str(address) if address is not None else host.lower().removeprefix("*").strip(".")
    return name, int(port_text) if port_text else None


def _parse_address(text: str) -> _Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _parse_network(entry: str) -> _Network | None:
    if "/" not in entry:
        return None
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:  # as curl does: what means nothing matches nothing
        return None
