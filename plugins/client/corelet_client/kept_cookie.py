"""A cookie as a jar keeps it, and as a file does."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.cookies import Morsel
from typing import Any, Final

from .cookie import MAX_TIME, Cookie, check_attributes, check_cookie, make_bare_morsel

#: What a cookie is known by in its domain: name, path, and whether only the very host gets it.
CookieKey = tuple[str, str, bool]


@dataclass(slots=True, eq=False)
class KeptCookie:
    """A cookie with its scope."""

    cookie: Cookie
    domain: str
    path: str
    is_host_only: bool
    is_secure: bool
    expires: float
    size: int
    created: int = 0
    used: int = 0
    #: What is sent.
    bare_morsel: Morsel[str] = field(init=False)

    def __post_init__(self) -> None:
        self.bare_morsel = make_bare_morsel(self.cookie.name, self.cookie.value, self.cookie.coded_value)

    @property
    def key(self) -> CookieKey:
        return self.cookie.name, self.path, self.is_host_only

    def make_morsel(self) -> Morsel[str]:
        return self.cookie.make_morsel(domain=self.domain, path=self.path)


# Files.

_FILE_VERSION: Final = 1
#: What a record of the file holds; ``expires`` is in seconds since 1970.
_RECORD_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "name": str,
    "value": str,
    "coded_value": str,
    "attributes": dict,
    "domain": str,
    "path": str,
    "host_only": bool,
    "secure": bool,
    "expires": (int, float, type(None)),
}


def dump_cookies(cookies: Iterable[KeptCookie]) -> bytes:
    """Make the content of a file."""
    records = [_dump(kept) for kept in cookies]
    return json.dumps({"version": _FILE_VERSION, "cookies": records}, indent=1).encode("ascii")


def load_cookies(content: bytes) -> list[KeptCookie]:
    """Read the content of a file.

    Raises:
        KeyError, TypeError, ValueError: it is none that :func:`dump_cookies` makes.
    """
    return [_load(record) for record in _read_records(content)]


def _dump(kept: KeptCookie) -> dict[str, Any]:
    cookie = kept.cookie
    return {
        "name": cookie.name,
        "value": cookie.value,
        "coded_value": cookie.coded_value,
        "attributes": cookie.attributes,
        "domain": kept.domain,
        "path": kept.path,
        "host_only": kept.is_host_only,
        "secure": kept.is_secure,
        "expires": None if kept.expires == math.inf else kept.expires,
    }


def _read_records(content: bytes) -> list[Any]:
    document = json.loads(content, parse_constant=_refuse_constant)
    if not isinstance(document, dict) or document.get("version") != _FILE_VERSION:
        raise ValueError(f'it has no "version": {_FILE_VERSION}')
    records = document["cookies"]
    if not isinstance(records, list):
        raise TypeError('"cookies" is no list')
    return records


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _load(record: Any) -> KeptCookie:
    for name, types in _RECORD_TYPES.items():
        if not isinstance(record[name], types):
            raise TypeError(f"{name} can't be {record[name]!r}")
    cookie = Cookie(record["name"], record["value"], record["coded_value"], record["attributes"])
    check_cookie(cookie)
    check_attributes(cookie.attributes)
    if record["host_only"] and not record["domain"]:
        raise ValueError(f"cookie {cookie.name!r} is for one host only and names none")
    expires = math.inf if record["expires"] is None else min(record["expires"], MAX_TIME)
    path, is_host_only, is_secure = record["path"] or "/", record["host_only"], record["secure"]
    return KeptCookie(cookie, record["domain"], path, is_host_only, is_secure, expires, cookie.size)
