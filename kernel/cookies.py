"""Cookie and Set-Cookie: what a peer sent, and what we ask it to keep.

Reading is lenient and linear, as browsers are; what we send is strict: nothing in a name, a value or an
attribute can start another attribute or another field.
"""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from http.cookies import CookieError, Morsel
from typing import Any, Final

# A name that somebody could have set: visible, without what ends or quotes it.
_IS_NAME: Final = re.compile(r'[^\x00-\x20\x7f";=]++').fullmatch
_ESCAPE: Final = re.compile(r"\\([0-3][0-7]{2}|.)", re.DOTALL)


def parse_cookie_header(value: str) -> dict[str, str]:
    """Read the cookies of a Cookie field.

    What has no name is left out, and so is a name that nobody can set (with spaces, quotes or controls), without
    a word in any log: a peer can send thousands. Of two with one name the last counts, as in ``http.cookies``.

    Args:
        value: of the field; several fields joined by ``"; "``.

    Returns:
        Names and values in their order. A value in quotes is unquoted as ``http.cookies`` quotes it.

    Source: RFC 6265 sections 4.2.1 and 5.4.
    """
    cookies: dict[str, str] = {}
    for pair in value.split(";"):
        name, equals, text = pair.partition("=")
        name = name.strip(" \t")
        if equals and _IS_NAME(name) is not None:
            cookies[name] = _unquote(text.strip(" \t"))
    return cookies


def _unquote(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    return _ESCAPE.sub(_unescape, inner) if "\\" in inner else inner


def _unescape(match: re.Match[str]) -> str:
    # A quote or a backslash, or three octal digits.
    escaped = match[1]
    return chr(int(escaped, 8)) if len(escaped) == 3 else escaped


# What a name may be made of; RFC 6265 section 4.1.1 takes the tokens of HTTP.
_IS_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
# A value of only these stands without quotes: cookie-octet of RFC 6265 section 4.1.1.
_IS_PLAIN_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*+").fullmatch
_BAD_VALUE: Final = re.compile(r"[\x00-\x1f\x7f]").search
_BAD_ATTRIBUTE: Final = re.compile(r"[\x00-\x1f\x7f;]").search
# What http.cookies escapes between quotes, and reads back: in octal what could end the value, and latin-1 beyond ASCII.
_QUOTING: Final = {ord('"'): '\\"', ord("\\"): "\\\\"} | {
    n: f"\\{n:03o}" for n in (ord(","), ord(";"), *range(128, 256))
}

_IS_DOMAIN: Final = re.compile(r"\.?[0-9A-Za-z_\-.:\[\]]*+").fullmatch
_IS_MAX_AGE: Final = re.compile(r"-?[0-9]++").fullmatch
_IS_SAME_SITE: Final = re.compile(r"Strict|Lax|None", re.IGNORECASE).fullmatch

#: Attributes with a value, as http.cookies' Morsel names them, and as they are sent.
_ATTRIBUTES: Final = {
    "comment": "Comment",
    "domain": "Domain",
    "expires": "expires",
    "max-age": "Max-Age",
    "path": "Path",
    "samesite": "SameSite",
    "version": "Version",
}
#: Attributes without one.
_FLAGS: Final = {"httponly": "HttpOnly", "partitioned": "Partitioned", "secure": "Secure"}
#: What a value must look like, beyond having no control character and no semicolon.
_ATTRIBUTE_CHECKS: Final = {
    "domain": (_IS_DOMAIN, "a host name"),
    "max-age": (_IS_MAX_AGE, "a number of seconds"),
    "samesite": (_IS_SAME_SITE, "Strict, Lax or None"),
}


def make_morsel(
    name: str,
    value: str,
    *,
    expires: str | None = None,
    domain: str | None = None,
    max_age: int | str | None = None,
    path: str | None = "/",
    secure: bool | None = None,
    httponly: bool | None = None,
    version: str | None = None,
    samesite: str | None = None,
    partitioned: bool | None = None,
) -> Morsel[str]:
    """Make a cookie to be set, for an ``http.cookies.SimpleCookie``.

    Args:
        name: a token.
        value: any text without control characters; it is quoted as ``http.cookies`` does where it needs to be.
        expires: an HTTP date; browsers prefer ``max_age``.
        domain: the host that gets it, with all below; without it only the host that set it.
        max_age: seconds to keep it; 0 or less removes it.
        path: where the paths begin that get it; None leaves that to the browser.
        secure: send it over TLS only.
        httponly: hide it from scripts.
        version: of RFC 2109; nobody reads it now.
        samesite: ``Strict``, ``Lax`` or ``None``.
        partitioned: keep one for each top-level site; needs ``secure``.

    Raises:
        ValueError: a name, value or attribute that can't be sent, or would mean something else.

    Source: RFC 6265 section 4.1; ``Partitioned`` from the CHIPS draft.
    """
    if _IS_TOKEN(name) is None:
        raise ValueError(f"the name of a cookie is a token, not {name!r}")
    if _BAD_VALUE(value) is not None:
        raise ValueError(f"cookie {name!r} can't hold control characters: {value!r}")
    morsel: Morsel[str] = Morsel()
    try:
        morsel.set(name, value, _quote(value))
    except CookieError as exc:
        raise ValueError(f"a cookie can't be named like an attribute: {name!r}") from exc
    attributes: dict[str, Any] = {
        "expires": expires,
        "domain": domain,
        "max-age": max_age,
        "path": path,
        "secure": secure,
        "httponly": httponly,
        "version": version,
        "samesite": samesite,
        "partitioned": partitioned,
    }
    for attribute, setting in attributes.items():
        if setting is not None:
            _check_attribute(name, attribute, setting)
            # Morsel's own __setitem__ knows "partitioned" since Python 3.14 only.
            dict.__setitem__(morsel, attribute, setting)
    return morsel


def _quote(value: str) -> str:
    return value if _IS_PLAIN_VALUE(value) is not None else f'"{value.translate(_QUOTING)}"'


def _check_attribute(name: str, attribute: str, setting: object) -> str:
    """Give the attribute as text, if it can be sent."""
    text = str(setting)
    if _BAD_ATTRIBUTE(text) is not None:
        raise ValueError(f"cookie {name!r}: {attribute} can't hold control characters or semicolons: {text!r}")
    matches, meaning = _ATTRIBUTE_CHECKS.get(attribute, (None, ""))
    if text and matches is not None and matches(text) is None:
        raise ValueError(f"cookie {name!r}: {attribute} is {meaning}, not {text!r}")
    return text


def format_morsel(morsel: Morsel[str]) -> str:
    """Make the value of a Set-Cookie field from a cookie of a ``SimpleCookie``.

    Raises:
        ValueError: an attribute, or the coded value, can't be sent, however it got there.

    Source: RFC 6265 section 4.1.1.
    """
    name, coded_value = morsel.key, morsel.coded_value
    pieces = [f"{name}={_check_attribute(name, 'value', coded_value)}"]
    for attribute, spelling in _ATTRIBUTES.items():
        setting: Any = morsel.get(attribute, "")
        if attribute == "expires" and isinstance(setting, int):
            setting = formatdate(time.time() + setting, usegmt=True)  # as http.cookies does
        text = _check_attribute(name, attribute, setting)
        if text:
            pieces.append(f"{spelling}={text}")
    pieces.extend(spelling for flag, spelling in _FLAGS.items() if morsel.get(flag))
    return "; ".join(pieces)
