"""One cookie: read from a Set-Cookie field, or given by the application.

Reading is lenient and linear, as browsers are. What could end a value or start another field is never taken: a
server's is left out without a word, an application's is a ValueError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from http.cookies import BaseCookie, Morsel, SimpleCookie
from typing import Any, Final, cast

#: What applications give as cookies.
LooseCookies = (
    Mapping[str, "str | BaseCookie[str] | Morsel[Any]"]
    | Iterable[tuple[str, "str | BaseCookie[str] | Morsel[Any]"]]
    | BaseCookie[str]
)

#: Bytes of name and value that a server may set; more is ignored. RFC 6265 section 6.1 asks for at least as much.
MAX_COOKIE_BYTES: Final = 4096
#: Bytes of an attribute's value; a longer one is ignored. From the draft that follows RFC 6265, section 5.6.
MAX_ATTRIBUTE_BYTES: Final = 1024
#: The last second of the year 9999, which no cookie outlives.
MAX_TIME: Final = 253402300799.0

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]").search
_BROKEN_FIELD: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_IS_NAME: Final = re.compile(r"(?! )[^\x00-\x1f\x7f;=]++(?<! )").fullmatch
_IS_MAX_AGE: Final = re.compile(r"-?[0-9]++").fullmatch
_ESCAPE: Final = re.compile(r"\\([0-3][0-7]{2}|.)", re.DOTALL)

_QUOTER: Final[SimpleCookie] = SimpleCookie()


@dataclass(slots=True)
class Cookie:
    """What was set: a name, a value and attributes.

    Args:
        name: as it was given.
        value: unquoted.
        coded_value: what is sent back, byte for byte as a server gave it.
        attributes: values by names in lower case, only those that mean something; a flag's is ``True``.
    """

    name: str
    value: str
    coded_value: str
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of name and value as they are sent, with the sign between."""
        return len(f"{self.name}={self.coded_value}".encode("utf-8", "surrogateescape"))

    def find_expiry(self, now: float) -> float | None:
        """Find when it expires, in seconds since 1970; None for the end of the session. Max-Age goes before Expires.

        Source: RFC 6265 sections 5.2.2 and 5.3, step 3.
        """
        max_age, expires = self.attributes.get("max-age"), self.attributes.get("expires")
        if max_age is not None:
            seconds = int(max_age)
            return min(now + min(seconds, MAX_TIME), MAX_TIME) if seconds > 0 else 0.0
        if isinstance(expires, int):  # as http.cookies has it: seconds from now
            return min(now + expires, MAX_TIME)
        return None if expires is None else parse_cookie_date(expires)

    def make_morsel(self, **attributes: Any) -> Morsel[str]:
        """Make what ``http.cookies`` has for it, with these attributes in place of its own."""
        morsel = make_bare_morsel(self.name, self.value, self.coded_value)
        for name, setting in {**self.attributes, **attributes}.items():
            # Morsel's own __setitem__ knows "partitioned" since Python 3.14 only.
            dict.__setitem__(morsel, name, setting)
        return morsel


def make_bare_morsel(name: str, value: str, coded_value: str) -> Morsel[str]:
    """Make a Morsel without attributes, also of a name that ``Morsel.set`` refuses, such as ``path`` or ``a{b}``."""
    morsel: Morsel[str] = Morsel()
    # How a Morsel is copied and unpickled; its stub doesn't know.
    cast("Any", morsel).__setstate__({"key": name, "value": value, "coded_value": coded_value})
    return morsel


# From servers.


def parse_set_cookie(line: str) -> Cookie | None:
    """Read the value of a Set-Cookie field; None where it sets nothing.

    The first pair is the cookie, whatever follows are attributes; unknown ones are left out. A cookie without a name,
    with a control character or over :data:`MAX_COOKIE_BYTES` sets nothing.

    Source: RFC 6265 section 5.2; controls and sizes from the draft that follows it, section 5.6.
    """
    if _BROKEN_FIELD(line) is not None:
        return None
    pair, *attributes = line.split(";")
    name, equals, coded_value = (part.strip(" \t") for part in pair.partition("="))
    if not equals or not name or "\t" in name or "\t" in coded_value:
        return None
    cookie = Cookie(name, _unquote(coded_value), coded_value)
    if cookie.size > MAX_COOKIE_BYTES:
        return None
    for attribute in attributes:
        _take_attribute(cookie.attributes, attribute)
    return cookie


def _take_attribute(attributes: dict[str, Any], text: str) -> None:
    """Keep an attribute; of several with one name the last that means something counts."""
    name, _, setting = (part.strip(" \t") for part in text.partition("="))
    name = name.lower()
    if name in _FLAGS:
        attributes[name] = True
    elif name in _CHECKS and len(setting) <= MAX_ATTRIBUTE_BYTES and _CHECKS[name](setting):
        attributes[name] = setting


def _unquote(text: str) -> str:
    """Take the quotes off as ``http.cookies`` does; what would give control characters stays as it is."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    value = _ESCAPE.sub(_unescape, text[1:-1])
    return text if _CONTROL(value) is not None else value


def _unescape(match: re.Match[str]) -> str:
    escaped = match[1]
    return chr(int(escaped, 8)) if len(escaped) == 3 else escaped


def make_response_cookies(lines: Sequence[str]) -> SimpleCookie:
    """Make what ``ClientResponse.cookies`` gives from the values of Set-Cookie fields; of two the last counts."""
    cookies: SimpleCookie = SimpleCookie()
    for line in lines:
        cookie = parse_set_cookie(line)
        if cookie is not None:
            dict.__setitem__(cookies, cookie.name, cookie.make_morsel())
    return cookies


# From applications.


def read_cookies(cookies: LooseCookies, *, quote: bool = True) -> Iterator[Cookie]:
    """Read cookies that an application gives: a mapping, pairs, or a ``SimpleCookie``.

    Args:
        cookies: names with values, or with Morsels, whose attributes count.
        quote: code a value as ``http.cookies`` does where it holds more than RFC 6265 allows. If False it is sent as
            it stands. A Morsel is coded already.

    Raises:
        ValueError: a name or a value that can't be sent as one cookie.
        TypeError: a value of another type.
    """
    pairs = cookies.items() if isinstance(cookies, Mapping) else cookies
    for name, given in pairs:
        cookie = _read_given(name, given, quote=quote)
        check_cookie(cookie)
        yield cookie


def _read_morsel(morsel: Morsel[Any]) -> Cookie:
    cookie = Cookie(morsel.key, str(morsel.value), morsel.coded_value)
    for name, setting in morsel.items():
        if name == "expires" and isinstance(setting, int):
            cookie.attributes[name] = setting
        elif setting not in ("", None, False):
            _take_attribute(cookie.attributes, f"{name}={setting}")
    return cookie


def make_cookies(cookies: LooseCookies, *, quote: bool = True) -> SimpleCookie:
    """Make a ``SimpleCookie`` for one request from cookies that an application gives.

    Raises:
        ValueError: a name or a value that can't be sent.
        TypeError: a value of another type.
    """
    made: SimpleCookie = SimpleCookie()
    for cookie in read_cookies(cookies, quote=quote):
        dict.__setitem__(made, cookie.name, make_bare_morsel(cookie.name, cookie.value, cookie.coded_value))
    return made


def _read_given(name: str, given: object, *, quote: bool) -> Cookie:
    if isinstance(given, BaseCookie):
        given = given[name]
    if isinstance(given, Morsel):
        return _read_morsel(given)
    if not isinstance(given, str):
        raise TypeError(f"the value of cookie {name!r} is a str or a Morsel, not {type(given).__name__}")
    return Cookie(name, given, _QUOTER.value_encode(given)[1] if quote else given)


def check_cookie(cookie: Cookie) -> None:
    """Refuse what can't be sent as one cookie.

    Raises:
        ValueError: the name or the value would end early or start something else, or is no UTF-8.
    """
    if _IS_NAME(cookie.name) is None:
        raise ValueError(f"the name of a cookie can't be {cookie.name!r}: no controls, no ';' and '=', no space around")
    if _CONTROL(cookie.value + cookie.coded_value) is not None:
        raise ValueError(f"cookie {cookie.name!r} can't hold control characters: {cookie.value!r}")
    if ";" in cookie.coded_value:
        raise ValueError(f"cookie {cookie.name!r} can't hold a semicolon without quoting: {cookie.value!r}")
    cookie.coded_value.encode("utf-8", "surrogateescape")


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Refuse attributes that no :class:`Cookie` has.

    Raises:
        ValueError: a name or a value that means nothing.
    """
    for name, setting in attributes.items():
        is_flag = name in _FLAGS and setting is True
        is_text = name in _CHECKS and isinstance(setting, str) and _CHECKS[name](setting)
        is_offset = name == "expires" and type(setting) is int
        if not (is_flag or is_text or is_offset):
            raise ValueError(f"a cookie has no attribute {name!r} with {setting!r}")


# Dates.

_DELIMITERS: Final = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]++")
_MONTH_NAMES: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS: Final = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])").match
_DAY: Final = re.compile(r"([0-9]{1,2})(?![0-9])").match
_YEAR: Final = re.compile(r"([0-9]{2,4})(?![0-9])").match


# A date is read when it is checked and when it counts, and is often that of the answer before.
@lru_cache(maxsize=128)
def parse_cookie_date(text: str) -> float | None:
    """Read the date of an Expires attribute, in the many formats that servers use; seconds since 1970.

    Returns:
        None where it is no date: the attribute is ignored then.

    Source: RFC 6265 section 5.1.1.
    """
    clock = day = month = year = None
    for token in _DELIMITERS.split(text):
        if clock is None and (match := _TIME(token)):
            clock = match.groups()
        elif day is None and (match := _DAY(token)):
            day = int(match[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS[token[:3].lower()]
        elif year is None and (match := _YEAR(token)):
            year = _complete_year(int(match[1]))
    if clock is None or day is None or month is None or year is None or year < 1601:
        return None
    hour, minute, second = map(int, clock)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _complete_year(year: int) -> int:
    if year > 99:
        return year
    return year + (1900 if year >= 70 else 2000)


# Attributes.

_FLAGS: Final = frozenset({"httponly", "partitioned", "secure"})
_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "domain": lambda text: text not in ("", "."),
    "expires": lambda text: parse_cookie_date(text) is not None,
    "max-age": lambda text: _IS_MAX_AGE(text) is not None,
    # A path that doesn't start with a slash stands for the default one, in place of any before it.
    "path": lambda text: True,
    "samesite": lambda text: text.lower() in {"strict", "lax", "none"},
}
