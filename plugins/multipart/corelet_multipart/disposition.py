"""Content-Disposition: what a part of a form is called, and what a file is.

Reading is linear in the field's length, whatever that is, and lenient where a wrong guess does no harm. What two
readers could read differently (a parameter twice, a quote that is not closed) is no Content-Disposition at all.

Source: RFC 6266 section 4, RFC 8187 (which replaces RFC 5987) section 3.2, RFC 2231 section 3, RFC 7578 section 4.2.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from corelet.fields import find_codec


class BadContentDispositionHeader(RuntimeWarning):
    """Warn of a Content-Disposition that can't be read."""


class BadContentDispositionParam(RuntimeWarning):
    """Warn of a parameter of a Content-Disposition that can't be read, and was left out."""


class Disposition(NamedTuple):
    """A Content-Disposition as it was read.

    Attributes:
        type: in lower case; None where the field is malformed.
        params: names in lower case, and values; that of ``filename*`` is decoded.
        has_bad_param: whether a parameter was left out.
    """

    type: str | None
    params: dict[str, str]
    has_bad_param: bool = False


_IS_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
# ";" name [ "=" ( quoted-string | text up to ";" ) ] and what follows it up to ";".
_PARAMETERS: Final = re.compile(
    r';[ \t]*+([^;="]*+)(?:=[ \t]*+(?:(")((?:[^"\\]++|\\.)*+)("?)|([^;"]*+)))?([^;]*+)', re.DOTALL
)
# In names of files a backslash may stand for itself: only what can be no path is taken for an escape.
_ESCAPE: Final = re.compile(r'\\(["\\])')
_IS_EXTENDED: Final = re.compile(r"([^']*+)'[^']*+'([^']*+)").fullmatch
_FORM_ESCAPES: Final = {"%22": '"', "%0D": "\r", "%0A": "\n"}
_FORM_ESCAPE: Final = re.compile("%(?:22|0D|0A)")
# What browsers, curl and our own writer send.
_IS_PLAIN_FORM: Final = re.compile(r'form-data; name="([^"\\%]*+)"(?:; filename="([^"\\%]*+)")?').fullmatch


def parse_content_disposition(header: str | None) -> tuple[str | None, dict[str, str]]:
    """Read a Content-Disposition field.

    What is malformed gives a warning, a :class:`BadContentDispositionHeader` or :class:`BadContentDispositionParam`,
    whose text is always the same: nothing that a peer has sent gets into a log by it.

    Args:
        header: the value of the field; None where there is none.

    Returns:
        The type in lower case, and the parameters; ``(None, {})`` where the field is malformed or missing.
        Use :func:`content_disposition_filename` to find the name of a file in the parameters.
    """
    if not header:
        return None, {}
    disposition = read_disposition(header)
    if disposition.type is None:
        warnings.warn("a Content-Disposition field is malformed", BadContentDispositionHeader, stacklevel=2)
    elif disposition.has_bad_param:
        warnings.warn(
            "a parameter of a Content-Disposition field is malformed", BadContentDispositionParam, stacklevel=2
        )
    return disposition.type, disposition.params


def read_disposition(header: str) -> Disposition:
    """Read a Content-Disposition field without a warning."""
    plain = _IS_PLAIN_FORM(header)
    if plain is not None:
        name, filename = plain.groups()
        return Disposition("form-data", {"name": name} if filename is None else {"name": name, "filename": filename})
    disposition_type, semicolon, _ = header.partition(";")
    disposition_type = disposition_type.strip(" \t").lower()
    malformed = Disposition(None, {})
    if _IS_TOKEN(disposition_type) is None:
        return malformed
    params: dict[str, str] = {}
    has_bad_param = False
    found = _PARAMETERS.findall(header, header.index(";")) if semicolon else ()
    for name, opening, quoted, closing, plain_value, rest in found:
        key = name.strip(" \t").lower()
        rest_text = rest.strip(" \t")
        if not (key or opening or plain_value or rest_text):
            continue  # nothing between two semicolons
        if rest_text or opening != closing or key in params:
            return malformed
        value = _ESCAPE.sub(r"\1", quoted) if opening else plain_value.strip(" \t")
        decoded = _decode_extended(value) if key.endswith("*") and not _is_continuation(key) else value
        if _IS_TOKEN(key) is None or decoded is None or not (opening or value):
            has_bad_param = True
        else:
            params[key] = decoded
    return Disposition(disposition_type, params, has_bad_param)


def _is_continuation(key: str) -> bool:
    return key.removesuffix("*").rpartition("*")[2].isdecimal()


def _decode_extended(value: str) -> str | None:
    """Decode ``charset'language'text``; None where that is malformed. Source: RFC 8187 section 3.2.1."""
    match = _IS_EXTENDED(value)
    return None if match is None else _decode_text(match[2], match[1])


def _decode_text(text: str, charset: str) -> str | None:
    try:
        return unquote_to_bytes(text).decode(find_codec(charset or "utf-8"))
    except (LookupError, UnicodeError):
        return None


def content_disposition_filename(params: Mapping[str, str], name: str = "filename") -> str | None:
    """Find the name of a file, or another parameter, in its forms: ``filename*``, ``filename``, ``filename*0`` and on.

    What comes is what the peer says, ``../../x`` as well: never make a path of it without a check.

    Args:
        params: as :func:`parse_content_disposition` gives them.
        name: of the parameter.

    Returns:
        The value; None where there is none.

    Source: RFC 6266 section 4.3; RFC 2231 section 3 for values in pieces.
    """
    for key in (f"{name}*", name):
        if key in params:
            return params[key]
    return _join_pieces(params, name)


def _join_pieces(params: Mapping[str, str], name: str) -> str | None:
    charset = ""
    pieces: list[str] = []
    while True:
        key = f"{name}*{len(pieces)}"
        if key in params:
            pieces.append(params[key])
        elif f"{key}*" in params:
            value = params[f"{key}*"]
            if not pieces:
                match = _IS_EXTENDED(value)
                if match is None:
                    return None
                charset, value = match.groups()
            pieces.append(value)
        else:
            break
    if not pieces:
        return None
    return _decode_text("".join(pieces), charset) if charset else "".join(pieces)


def find_form_parameter(disposition: Disposition, name: str) -> str | None:
    """Find ``name`` or ``filename`` of a part; in a form, undo what browsers escape: quotes and line ends.

    Source: WHATWG HTML section 4.10.21.8.
    """
    value = content_disposition_filename(disposition.params, name)
    if value is None or disposition.type != "form-data" or "%" not in value or f"{name}*" in disposition.params:
        return value
    return _FORM_ESCAPE.sub(lambda match: _FORM_ESCAPES[match[0]], value)
