"""Write one access log line for each answer: by format codes, or as a JSON object.

A line never breaks in two and never hides anything: what a peer sent and what can't be printed is shown as an escape.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from .abc import AbstractAccessLogger
from .fields import MONTHS

DEFAULT_FORMAT: Final = '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'

#: What takes the text of one code out of a request, its response and the seconds that it took.
Getter = Callable[[Any, Any, float], str]

_CODE = re.compile(
    r"%(?:(?P<percent>%)|\{(?P<field>[\w!#$&'*+.^`|~-]+)\}(?P<side>[io])|(?P<code>Tf|[atPrsbTD])|(?:\{[^}]*\})?.?)"
)


def escape(value: str) -> str:
    r"""Make a value safe between quotes in one log line.

    Quotes, backslashes and whatever can't be printed (controls, line and direction marks, bytes that were no
    UTF-8) become ``\"``, ``\\``, ``\xHH``, ``\uHHHH`` or ``\UHHHHHHHH``.
    """
    if value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return "".join(map(_escape_character, value))


def _escape_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # an undecodable byte, as surrogateescape keeps it
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class AccessLogger(AbstractAccessLogger):
    """Write lines by a format of codes, compiled once.

    ====== =====================================================
    Code   Value
    ====== =====================================================
    %%     a percent sign
    %a     the peer's address
    %t     when the request started, in local time
    %P     the process id, as ``<id>``
    %r     the request line as the peer sent it
    %s     the status
    %b     bytes of the body sent
    %T     seconds, whole
    %Tf    seconds, with six digits after the point
    %D     microseconds
    %{X}i  field X of the request
    %{X}o  field X of the response
    ====== =====================================================

    What is missing is ``-``. Each record carries the values under names as well (``record.first_request_line``,
    ``record.request_header["Referer"]``, ...), for handlers that write structured logs.

    Args:
        logger: where lines go, at level INFO.
        log_format: text with codes; the default is Apache's combined format without its two names.

    Raises:
        ValueError: the format has a code that is not in the table.
    """

    __slots__ = ("_fields", "_getters", "_names", "_template")

    def __init__(self, logger: logging.Logger, log_format: str = DEFAULT_FORMAT) -> None:
        super().__init__(logger, log_format)
        codes = [_find_getter(match, log_format) for match in _CODE.finditer(log_format) if not match["percent"]]
        self._template = _CODE.sub(lambda match: "%%" if match["percent"] else "%s", log_format)
        self._getters = tuple([getter for _, _, getter in codes])
        self._names = tuple([(place, name) for place, (name, field, _) in enumerate(codes) if not field])
        self._fields = tuple([(place, name, field) for place, (name, field, _) in enumerate(codes) if field])

    @property
    def enabled(self) -> bool:
        """Whether the logger takes lines of level INFO."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: Any, response: Any, time: float) -> None:
        """Write the line for one answer; ``time`` is how long it took, in seconds."""
        values = tuple([getter(request, response, time) for getter in self._getters])
        extra: dict[str, Any] = {name: values[place] for place, name in self._names}
        for place, name, field in self._fields:
            extra.setdefault(name, {})[field] = values[place]
        self.logger.info(self._template % values, extra=extra)  # noqa: G002 -- a template of our own, filled once


class JsonAccessLogger(AbstractAccessLogger):
    """Write each line as a JSON object; pass it as ``access_log_class``.

    Keys: ``time`` (start, ISO 8601, UTC), ``remote``, ``method``, ``target`` (as sent), ``status``, ``bytes`` (of the
    body sent), ``seconds``, ``referer``, ``user_agent``. What is missing is null. The line is ASCII.
    ``log_format`` is not used.
    """

    __slots__ = ()

    def __init__(self, logger: logging.Logger, log_format: str = DEFAULT_FORMAT) -> None:
        super().__init__(logger, log_format)

    @property
    def enabled(self) -> bool:
        """Whether the logger takes lines of level INFO."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: Any, response: Any, time: float) -> None:
        """Write the object for one answer; ``time`` is how long it took, in seconds."""
        headers = request.headers
        line = {
            "time": _format_utc_time(time),
            "remote": request.remote,
            "method": request.method,
            "target": request.raw_path,
            "status": response.status,
            "bytes": response.body_length,
            "seconds": round(time, 6),
            "referer": headers.get("Referer"),
            "user_agent": headers.get("User-Agent"),
        }
        # DEL is the one control character that JSON leaves as it is.
        self.logger.info(json.dumps(line).replace("\x7f", "\\u007f"))


def _find_getter(match: re.Match[str], log_format: str) -> tuple[str, str, Getter]:
    """Return the name in a record, the field's name or "", and the getter."""
    if match["field"]:
        name, make_getter = _FIELD_SIDES[match["side"]]
        return name, match["field"], make_getter(match["field"])
    if match["code"]:
        name, getter = _CODES[match["code"]]
        return name, "", getter
    raise ValueError(f"unknown code {match[0]!r} in access log format {log_format!r}, known: {_KNOWN}")


@lru_cache(maxsize=2)
def _format_local_time(second: int) -> str:
    # Month names by hand: strftime's follow the locale.
    local = time.localtime(second)
    return time.strftime(f"[%d/{MONTHS[local.tm_mon - 1]}/%Y:%H:%M:%S %z]", local)


def _format_utc_time(seconds_ago: float) -> str:
    started = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
    return started.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _started_at(request: Any, response: Any, seconds: float) -> str:
    return _format_local_time(int(time.time() - seconds))


def _request_line(request: Any, response: Any, seconds: float) -> str:
    version = request.version
    return escape(f"{request.method} {request.raw_path} HTTP/{version.major}.{version.minor}")


def _request_field(name: str) -> Getter:
    return lambda request, response, seconds: escape(request.headers.get(name, "-"))


def _response_field(name: str) -> Getter:
    return lambda request, response, seconds: escape(response.headers.get(name, "-"))


#: Code -> (its name in a record, its getter).
_CODES: Final[dict[str, tuple[str, Getter]]] = {
    "a": ("remote_address", lambda request, response, seconds: escape(request.remote or "-")),
    "t": ("request_start_time", _started_at),
    "P": ("process_id", lambda request, response, seconds: f"<{os.getpid()}>"),
    "r": ("first_request_line", _request_line),
    "s": ("response_status", lambda request, response, seconds: str(response.status)),
    "b": ("response_size", lambda request, response, seconds: str(response.body_length)),
    "T": ("request_time", lambda request, response, seconds: str(int(seconds))),
    "Tf": ("request_time_frac", lambda request, response, seconds: f"{seconds:.6f}"),
    "D": ("request_time_micro", lambda request, response, seconds: str(int(seconds * 1_000_000))),
}
_FIELD_SIDES: Final = {"i": ("request_header", _request_field), "o": ("response_header", _response_field)}
_KNOWN: Final = " ".join(["%%", *(f"%{code}" for code in _CODES), "%{X}i", "%{X}o"])
