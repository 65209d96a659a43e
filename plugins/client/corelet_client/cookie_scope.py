"""Which hosts and paths a cookie is for."""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

#: Characters of a name in the DNS. Source: RFC 1035 section 3.1.
_MAX_HOST_LENGTH: Final = 255
_IS_NUMBER: Final = re.compile(r"[0-9]++|0[xX][0-9A-Fa-f]*+").fullmatch
#: Below two letters of a country these stand for the public: ``co.uk``, ``com.au``, ``ac.jp``.
_SECOND_LEVELS: Final = frozenset({"ac", "co", "com", "edu", "go", "gov", "mil", "ne", "net", "or", "org"})


def is_likely_public_suffix(domain: str) -> bool:
    """Whether anybody can have a name below a domain: it has one label, or looks like ``co.uk``.

    A guess by form, which the list of public suffixes at publicsuffix.org refines.

    Args:
        domain: in lower case, without a leading dot.
    """
    second, _, top = domain.rpartition(".")
    return not second or (len(top) == 2 and second in _SECOND_LEVELS)


def is_address(host: str) -> bool:
    """Whether a host is an IP address in any notation: it has a colon, or its last label is a number.

    Source: WHATWG URL section 3.5, "ends in a number checker".
    """
    last = host.removesuffix(".").rpartition(".")[2]
    return ":" in host or _IS_NUMBER(last) is not None


def canonicalise_domain(text: str) -> str | None:
    """Make a domain comparable: in lower case, by A-labels, without a leading dot; None where it is none.

    Source: RFC 6265 sections 5.1.2 and 5.2.3.
    """
    domain = text.strip().removeprefix(".").lower()
    if not domain.isascii():
        try:
            domain = URL.build(scheme="http", host=domain).raw_host or ""
        except ValueError:
            return None
    return domain.strip("[]") or None


def list_suffixes(host: str) -> list[str]:
    """List the domains that a host is in, the widest first: ``b.c`` and ``a.b.c`` last."""
    if len(host) > _MAX_HOST_LENGTH:
        return [host]
    labels = host.split(".")
    suffixes = [labels.pop()]
    while labels:
        suffixes.append(f"{labels.pop()}.{suffixes[-1]}")
    return suffixes


def path_matches(path: str, cookie_path: str) -> bool:
    """Whether a cookie's path holds a request's. Source: RFC 6265 section 5.1.4."""
    if cookie_path in ("/", path):
        return True
    return path.startswith(cookie_path) and (cookie_path[-1] == "/" or path[len(cookie_path)] == "/")


def make_default_path(path: str) -> str:
    """Take the folder of a request's path. Source: RFC 6265 section 5.1.4."""
    return path[: path.rfind("/")] or "/"
