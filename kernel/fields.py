"""Field values: parsed and made.

Everything here is linear in its input, whatever that is: each pattern consumes what it looked at (possessive
quantifiers), so nothing is looked at twice. Values are text as the wire gives it, utf-8 with surrogateescape.

Parsers are lenient where a wrong guess does no harm, and say so; makers refuse what would break a message.
"""

from __future__ import annotations

import encodings.aliases
import functools
import re
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote

_TCHARS: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_QUOTED: Final = r'"(?:[^"\\]++|\\.)*+"'

_IS_TOKEN: Final = re.compile(_TCHARS).fullmatch
_IS_MEDIA_TYPE: Final = re.compile(f"{_TCHARS}/{_TCHARS}").fullmatch
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


def _unescape(text: str) -> str:
    """Take the backslashes out of what stands between the quotes of a quoted-string. Source: RFC 9110 section 5.6.4."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


# Content-Type

DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"

# ";" name [ "=" ( '"' text closing quote, and what follows it up to ";" | text up to ";" ) ]. A string that is
# not closed goes to the end, so that it is never looked at twice.
_PARAMETERS: Final = re.compile(r';\s*+([^;=]*+)(?:=(?:"((?:[^"\\]++|\\.)*+)("?)[^;]*+|([^;]*+)))?', re.DOTALL)


def parse_content_type(value: str) -> tuple[str, dict[str, str]]:
    """Split a media type from its parameters.

    A parameter that is malformed is left out, and of two with one name the first counts: browsers do the same.

    Args:
        value: of a Content-Type field.

    Returns:
        The media type and the parameters' names in lower case, the values unquoted;
        ``("application/octet-stream", {})`` where the media type is malformed.

    Source: RFC 9110 section 8.3; for malformed parameters the WHATWG MIME Sniffing Standard, section 4.4.
    """
    media_type, semicolon, _ = value.partition(";")
    media_type = media_type.strip().lower()
    if _IS_MEDIA_TYPE(media_type) is None:
        return DEFAULT_CONTENT_TYPE, {}
    if not semicolon:
        return media_type, {}
    return media_type, _parse_parameters(value)


def _parse_parameters(value: str) -> dict[str, str]:
    """Read what stands after the first semicolon."""
    parameters: dict[str, str] = {}
    for name, quoted, closing_quote, plain in _PARAMETERS.findall(value, value.index(";")):
        text = _unescape(quoted) if closing_quote else plain.rstrip()
        if (text or closing_quote) and _IS_TOKEN(name) is not None:
            parameters.setdefault(name.lower(), text)
    return parameters


# Charsets

#: Python's own, which are no charsets of texts: the first two take minutes for a MiB.
_OWN_CODECS: Final = frozenset({"punycode", "idna", "raw_unicode_escape", "undefined", "unicode_escape"})


def find_codec(charset: str | None) -> str:
    """Find Python's name for a charset that a peer has named; utf-8 where it has named none.

    The interpreter remembers every spelling that it was ever asked for, so it is asked for its own ones only.

    Raises:
        LookupError: Python brings no codec for it.
    """
    if charset is None:
        return "utf-8"
    name = encodings.normalize_encoding(charset).lower()
    if name not in _list_codecs():
        raise LookupError(f"unknown charset {charset!r}")
    return name


@functools.cache
def _list_codecs() -> frozenset[str]:
    import pkgutil

    modules = (module.name for module in pkgutil.iter_modules(encodings.__path__))
    return frozenset((*modules, *encodings.aliases.aliases)) - _OWN_CODECS


# Content-Disposition

_UNQUOTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_IS_PLAIN_ASCII: Final = re.compile(r"[\x20-\x7e]*+").fullmatch
_FORM_DATA_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A", "\\": "\\\\"})
#: attr-char of RFC 8187 section 3.2.1 that urllib would escape.
_ATTR_CHARS: Final = "!#$&+-.^_`|~"


def quote_string(text: str) -> str:
    """Make a quoted-string.

    Raises:
        ValueError: there is a control character in it, other than a tab.

    Source: RFC 9110 section 5.6.4.
    """
    return '"' + _check_quotable(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def format_content_disposition(
    disposition: str, parameters: Iterable[tuple[str, str]], *, quote_fields: bool = True, charset: str = "utf-8"
) -> str:
    """Make the value of a Content-Disposition field.

    Args:
        disposition: a token, such as ``attachment``, ``inline`` or ``form-data``.
        parameters: names and values, such as ``("filename", "a b.txt")``.
        quote_fields: escape what needs it. For ``form-data`` that is ``"``, CR and LF as ``%22``, ``%0D`` and
            ``%0A``, what browsers send and servers read, and the backslash by another one; for others a value beyond
            ASCII is given twice, in ASCII and as ``name*=``. If False the value stands as it is, between quotes.
        charset: of ``name*=`` values.

    Raises:
        ValueError: a name is no token, or a value has control characters.

    Source: RFC 6266 section 4.1, RFC 8187 section 3.2, RFC 7578 section 4.2, WHATWG HTML section 4.10.21.8.
    """
    if _IS_TOKEN(disposition) is None:
        raise ValueError(f"a disposition is a token, not {disposition!r}")
    pieces = [disposition]
    for name, value in parameters:
        if _IS_TOKEN(name) is None:
            raise ValueError(f"the name of a parameter is a token, not {name!r}")
        if quote_fields and disposition.lower() == "form-data":
            pieces.append(f'{name}="{_check_quotable(value.translate(_FORM_DATA_ESCAPES))}"')
        elif quote_fields and _IS_PLAIN_ASCII(value) is None:
            fallback = value.encode("ascii", "replace").decode("ascii")
            pieces.append(f"{name}={quote_string(fallback.replace('?', '_'))}")
            pieces.append(f"{name}*={charset}''{quote(value, safe=_ATTR_CHARS, encoding=charset)}")
        else:
            pieces.append(f"{name}={quote_string(value)}")
    return "; ".join(pieces)


def _check_quotable(text: str) -> str:
    if _UNQUOTABLE(text) is not None:
        raise ValueError(f"a quoted string can't hold control characters: {text!r}")
    return text


# Dates

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: Names that follow no locale. Source: RFC 9110 section 5.6.7.
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(MONTHS, 1)}

_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_DATE_FORMATS: Final = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII).fullmatch
    for pattern in (
        # Sun, 06 Nov 1994 08:49:37 GMT
        rf"[a-z]{{3}}, (?P<day>[0-9]{{2}}) (?P<month>[a-z]{{3}}) (?P<year>[0-9]{{4}}) {_TIME} GMT",
        # Sunday, 06-Nov-94 08:49:37 GMT
        rf"[a-z]{{6,9}}, (?P<day>[0-9]{{2}})-(?P<month>[a-z]{{3}})-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        # Sun Nov  6 08:49:37 1994
        rf"[a-z]{{3}} (?P<month>[a-z]{{3}}) (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def format_http_date(timestamp: float) -> str:
    """Make an HTTP date, such as ``Sun, 06 Nov 1994 08:49:37 GMT``.

    Args:
        timestamp: seconds since 1970; parts of a second are cut off.

    Source: RFC 9110 section 5.6.7.
    """
    year, month, day, hour, minute, second, weekday, _, _ = time.gmtime(timestamp)
    return f"{_DAYS[weekday]}, {day:02d} {MONTHS[month - 1]} {year:04d} {hour:02d}:{minute:02d}:{second:02d} GMT"


def parse_http_date(value: str) -> datetime | None:
    """Read an HTTP date in any of its three formats.

    Returns:
        The time, aware and in UTC; None where the value is no date. The name of the day is not compared with the
        date; a leap second is read as the second before it.

    Source: RFC 9110 section 5.6.7, for years of two digits too.
    """
    text = value.strip()
    for matches in _DATE_FORMATS:
        match = matches(text)
        if match is not None:
            return _make_datetime(match)
    return None


def _make_datetime(match: re.Match[str]) -> datetime | None:
    year = int(match["year"])
    if len(match["year"]) == 2:
        year = _find_century(year)
    month = _MONTH_NUMBERS.get(match["month"].lower(), 0)
    second = 59 if match["second"] == "60" else int(match["second"])
    try:
        return datetime(year, month, int(match["day"]), int(match["hour"]), int(match["minute"]), second, 0, UTC)
    except ValueError:
        return None


def _find_century(year: int) -> int:
    """Take a year of two digits that would be over 50 years ahead for the latest such year in the past."""
    this_year = time.gmtime().tm_year
    year += this_year - this_year % 100
    return year - 100 if year > this_year + 50 else year


# Entity tags

#: The entity tag that stands for any; ``If-Match: *`` gives one with this value.
ETAG_ANY: Final = "*"

_IS_OPAQUE_TAG: Final = re.compile(r'[^\x00-\x20"\x7f]*+').fullmatch
_ETAG: Final = re.compile(r'[ \t]*+(?:(W/)?"([^\x00-\x20"\x7f]*+)"[ \t]*+)?(,|\Z)').match


@dataclass(frozen=True)
class ETag:
    """An entity tag: what names one state of a resource.

    Args:
        value: without quotes.
        is_weak: whether it names only what means the same, not what is the same byte by byte.

    Source: RFC 9110 section 8.8.3.
    """

    value: str
    is_weak: bool = False


def parse_etags(value: str) -> tuple[ETag, ...]:
    """Read the entity tags of an If-Match or If-None-Match field.

    Args:
        value: of the field; several fields joined by commas.

    Returns:
        The tags in their order; one with the value ``ETAG_ANY`` for ``*``. What stands after a malformed tag is
        not read: such a tag matches nothing, so If-Match fails and If-None-Match sends the whole.

    Source: RFC 9110 sections 13.1.1 and 13.1.2.
    """
    if value.strip() == ETAG_ANY:
        return (ETag(ETAG_ANY),)
    tags: list[ETag] = []
    position = 0
    while (match := _ETAG(value, position)) is not None:
        weak, tag, comma = match.groups()
        if tag is not None:
            tags.append(ETag(tag, weak is not None))
        if not comma:
            break
        position = match.end()
    return tuple(tags)


def format_etag(etag: ETag) -> str:
    """Make the value of an ETag field.

    Raises:
        ValueError: the tag has a quote, a space or a control character.

    Source: RFC 9110 section 8.8.3.
    """
    if _IS_OPAQUE_TAG(etag.value) is None:
        raise ValueError(f"an entity tag has no quotes, spaces or control characters: {etag.value!r}")
    return f'W/"{etag.value}"' if etag.is_weak else f'"{etag.value}"'


# Range

_RANGE: Final = re.compile(r"bytes=[ \t]*+([0-9]*+)-([0-9]*+)[ \t]*+", re.IGNORECASE).fullmatch


def parse_range(value: str) -> slice[int, int | None, int]:
    """Read a single range of bytes.

    Args:
        value: of a Range field.

    Returns:
        The slice to take from the content, with step 1: ``bytes=0-499`` is ``slice(0, 500, 1)``, ``bytes=500-`` is
        ``slice(500, None, 1)``, ``bytes=-500`` is ``slice(-500, None, 1)``. It may lie outside of the content;
        a number that no content reaches is read as ``sys.maxsize``.

    Raises:
        ValueError: another unit, several ranges, or a range that can't be satisfied by any content.

    Source: RFC 9110 section 14.1.2.
    """
    match = _RANGE(value.strip())
    if match is None:
        raise ValueError(f"a range is bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH, not {value[:80]!r}")
    first, last = match.groups()
    if not first:
        length = _parse_position(last or "0")
        if length == 0:
            raise ValueError(f"a range of the last bytes needs a length of at least 1: {value[:80]!r}")
        return slice(-length, None, 1)
    start = _parse_position(first)
    if not last:
        return slice(start, None, 1)
    end = _parse_position(last)
    if start > end:
        raise ValueError(f"a range can't start after its end: {value[:80]!r}")
    return slice(start, end + 1, 1)


def _parse_position(digits: str) -> int:
    """Read a number of any length in linear time."""
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= 18 else sys.maxsize


# Forwarded

# The text up to the next "," or ";" that ends what is well-formed; a separator follows each pair.
_FORWARDED_PAIR: Final = re.compile(rf"[ \t]*+(?:({_TCHARS})=({_TCHARS}|{_QUOTED})[ \t]*+)?([,;]|\Z)", re.DOTALL).match
_EMPTY_ELEMENT: Final[MappingProxyType[str, str]] = MappingProxyType({})


def parse_forwarded(values: Iterable[str]) -> tuple[MappingProxyType[str, str], ...]:
    """Read what proxies on the way say of themselves.

    Whoever sent the request may have written any of it; only what one's own proxies added can be trusted.

    Args:
        values: of the Forwarded fields, in their order.

    Returns:
        A mapping for each element, the proxy nearest to the client first: names in lower case, values unquoted.
        What follows a malformed pair is left out up to the next comma; the element keeps its place, with
        what stood before.

    Source: RFC 7239 section 4.
    """
    elements: list[MappingProxyType[str, str]] = []
    for value in values:
        _parse_forwarded_field(value, elements)
    return tuple(elements)


def _parse_forwarded_field(value: str, elements: list[MappingProxyType[str, str]]) -> None:
    pairs: dict[str, str] = {}
    position = 0
    separator = None
    while separator != "":
        match = _FORWARDED_PAIR(value, position)
        if match is None:
            position = value.find(",", position) + 1
            separator = "," if position else ""
        else:
            name, text, separator = match.groups()
            position = match.end()
            if name is not None:
                pairs[name.lower()] = _unescape(text[1:-1]) if text[0] == '"' else text
        if separator != ";":
            elements.append(MappingProxyType(pairs) if pairs else _EMPTY_ELEMENT)
            pairs = {}


# Accept and other lists with qualities

_LIST_ELEMENTS: Final = re.compile(r'(?:[^",]++|"(?:[^"\\]++|\\.)*+"?)++', re.DOTALL)
_CODING_ALIASES: Final = {"x-gzip": "gzip", "x-compress": "compress"}
#: The quality of ``identity`` where the peer doesn't name it: acceptable, but less than what it names.
_UNNAMED_IDENTITY: Final = 0.0001
#: Fields up to this size are remembered with what was chosen: there are few different ones among honest peers.
_REMEMBERED_CHARACTERS: Final = 128
_IS_QUALITY: Final = re.compile(r"[01](?:\.[0-9]*+)?|\.[0-9]++").fullmatch


def parse_quality_list(value: str) -> list[tuple[str, float]]:
    """Read what a peer accepts, the dearest first.

    Args:
        value: of an Accept, Accept-Encoding, Accept-Charset or Accept-Language field.

    Returns:
        Names in lower case without their parameters, and their quality from 0.0 to 1.0, 1.0 where none is given;
        by falling quality, equals in the order of the field. An element with a malformed quality is left out.

    Source: RFC 9110 section 12.4.2; qualities like ``.2``, which Java sends, are read too.
    """
    items: list[tuple[str, float]] = []
    for element in _LIST_ELEMENTS.findall(value):
        name, semicolon, _ = element.partition(";")
        name = name.strip().lower()
        quality = _parse_parameters(element).get("q", "1") if semicolon else "1"
        if name and _IS_QUALITY(quality) is not None:
            items.append((name, min(float(quality), 1.0)))
    items.sort(key=_get_falling_quality)
    return items


def choose_coding(value: str | None, offered: tuple[str, ...]) -> str | None:
    """Choose the content coding that a peer likes best.

    Args:
        value: of an Accept-Encoding field; None where there is none, which is taken as ``identity`` only: programs that
            ask for nothing often can't decode.
        offered: codings in lower case, of equals the dearest first; ``identity`` stands for no coding.

    Returns:
        One of ``offered``; None where the peer accepts none of them. ``identity`` comes last unless the peer names it.

    Source: RFC 9110 section 12.5.3; ``x-gzip`` is gzip by section 8.4.1.3.
    """
    if value is None:
        return "identity" if "identity" in offered else None
    choose = _choose_remembered_coding if len(value) <= _REMEMBERED_CHARACTERS else _choose_coding
    return choose(value, offered)


def _choose_coding(value: str, offered: tuple[str, ...]) -> str | None:
    qualities = {_CODING_ALIASES.get(name, name): quality for name, quality in parse_quality_list(value)}
    others = qualities.get("*", 0.0)
    qualities.setdefault("identity", others if "*" in qualities else _UNNAMED_IDENTITY)
    best = max(offered, key=lambda name: qualities.get(name, others), default="identity")
    return best if qualities.get(best, others) > 0 and best in offered else None


_choose_remembered_coding: Final = lru_cache(maxsize=512)(_choose_coding)


def _get_falling_quality(item: tuple[str, float]) -> float:
    return -item[1]


# Forms


class TooManyFieldsError(ValueError):
    """Report a form with more fields than were asked for."""


def parse_urlencoded(
    data: str | bytes, encoding: str = "utf-8", max_fields: int | None = None
) -> list[tuple[str, str]]:
    """Read an ``application/x-www-form-urlencoded`` form.

    Args:
        data: the body, or the query of a URL.
        encoding: of the text behind the percent-encoding, and of ``data`` if it is bytes. Bytes that it can't
            read become U+FFFD.
        max_fields: how many fields to read; None for any number.

    Returns:
        Names and values in their order, fields without a value too.

    Raises:
        TooManyFieldsError: there are more than ``max_fields``; nothing was decoded then.
        LookupError: nobody knows the encoding.

    Source: the WHATWG URL Standard, section 5.1.
    """
    text = data if isinstance(data, str) else data.decode(encoding, "replace")
    if max_fields is not None and text.count("&") >= max_fields:
        _check_field_count(text, max_fields)
    # A plus is a space in names and values alike, and no sign that ends one.
    pairs = [field.partition("=") for field in text.replace("+", " ").split("&") if field]
    if "%" not in text:
        return [(name, value) for name, _, value in pairs]
    return [(_decode_form_text(name, encoding), _decode_form_text(value, encoding)) for name, _, value in pairs]


def _check_field_count(text: str, max_fields: int) -> None:
    count = sum(1 for field in text.split("&") if field)
    if count > max_fields:
        raise TooManyFieldsError(f"the form has {count:,} fields, limit {max_fields:,}")


def _decode_form_text(text: str, encoding: str) -> str:
    return unquote(text, encoding, "replace") if "%" in text else text
