"""The multipart format without I/O: bytes in, events out.

    preamble --dash-boundary--> head --blank line--> data --delimiter--> head ... --close-delimiter--> epilogue

Every byte is looked at a bounded number of times, whatever the input: a search goes on where the last one ended, and
what waits for more input is never longer than a delimiter or the limit of a head. What is ambiguous is refused: line
ends are CRLF, what follows a boundary on its line may only be white space, a Content-Length has to be true.

Source: RFC 2046 section 5.1.1.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from typing import Any, Final

from multidict import CIMultiDict, CIMultiDictProxy

from .limits import DEFAULT_LIMITS, MultipartLimits


class MultipartError(ValueError):
    """Report a body that is no multipart body, or breaks its rules."""


class Mark(enum.Enum):
    """What the parser says between heads and bytes."""

    #: The part is complete.
    END_OF_PART = "end of part"
    #: The close-delimiter was read; what follows is dropped.
    END_OF_BODY = "end of body"


END_OF_PART: Final = Mark.END_OF_PART
END_OF_BODY: Final = Mark.END_OF_BODY

#: The head of a part, bytes of its data, or a mark.
Event = CIMultiDictProxy[str] | bytes | Mark
_Step = Callable[[Any], Event | None]

_IS_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]").fullmatch
_IS_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_BAD_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]").search
_FOLD: Final = re.compile(rb"\r\n[ \t]++")
_IS_LENGTH: Final = re.compile(r"[0-9]{1,18}").fullmatch


def check_boundary(boundary: str) -> str:
    """Return a boundary if it is one.

    Raises:
        MultipartError: it is no 1 to 70 characters of those that RFC 2046 section 5.1.1 allows.
    """
    if _IS_BOUNDARY(boundary) is None:
        raise MultipartError(
            f"a boundary has 1 to 70 letters, digits or characters of '()+_,-./:=? and no space at its end, "
            f"not {boundary[:80]!r}"
        )
    return boundary


class MultipartParser:
    """Parse one multipart body.

    Args:
        delimiter: CRLF, two dashes and the boundary.
        limits: bounds for the heads of parts.
        in_part: begin with the data of a part whose head was read before.
    """

    __slots__ = (
        "_buffer",
        "_data_size",
        "_declared",
        "_delimiter",
        "_limits",
        "_position",
        "_searched",
        "_skip",
        "_step",
    )

    # What reads on from where the parser is. A function, not a bound method, which would be a cycle.
    _step: _Step

    def __init__(self, delimiter: bytes, limits: MultipartLimits = DEFAULT_LIMITS, *, in_part: bool = False) -> None:
        self._delimiter = delimiter
        self._limits = limits
        # The first delimiter may stand at the very beginning, without its CRLF.
        self._buffer = b"\r\n"
        # What was consumed of the buffer, and up to where it was searched without success.
        self._position = 0
        self._searched = 0
        # Bytes before the data that are not part of it, and still may be part of a delimiter.
        self._skip = 2
        self._data_size = 0
        self._declared: int | None = None
        self._step = MultipartParser._read_data if in_part else MultipartParser._skip_preamble

    @property
    def is_at_end(self) -> bool:
        """Whether the close-delimiter was read."""
        return self._step is MultipartParser._drop_epilogue

    def feed_data(self, data: bytes) -> None:
        """Take bytes; :meth:`next_event` tells what they complete."""
        rest = self._buffer[self._position :]
        self._buffer = rest + data if rest else data
        self._searched -= self._position
        self._position = 0

    def feed_eof(self) -> None:
        """Take note that no more bytes will come.

        Raises:
            MultipartError: the body has no close-delimiter.
        """
        if not self.is_at_end:
            raise MultipartError("the body ends before its closing boundary")

    def next_event(self) -> Event | None:
        """Get the next event; None where more bytes are needed.

        Raises:
            MultipartError: the body is malformed or a head is over its limits; nothing can be read after it.
        """
        return self._step(self)

    # The steps: each returns an event, or None for more bytes.

    def _skip_preamble(self) -> Event | None:
        position = self._buffer.find(self._delimiter, self._position)
        if position < 0:
            self._position = self._find_tail()
            return None
        self._position = position + len(self._delimiter)
        self._step = MultipartParser._read_delimiter_line
        return self._read_delimiter_line()

    def _read_delimiter_line(self) -> Event | None:
        buffer, start = self._buffer, self._position
        if buffer.startswith(b"--", start):
            self._step = MultipartParser._drop_epilogue
            self._drop_epilogue()
            return END_OF_BODY
        end = buffer.find(b"\r\n", start, start + self._limits.max_field_size)
        padding = buffer[start:end] if end >= 0 else buffer[start:].removesuffix(b"\r")
        # Without its end the line may be one dash of two.
        if padding.strip(b" \t") and (end >= 0 or padding != b"-" or buffer.endswith(b"\r")):
            raise MultipartError(f"something other than white space follows a boundary: {padding[:20]!r}")
        if end < 0:
            if len(padding) >= self._limits.max_field_size:
                raise MultipartError(f"white space behind a boundary is over {self._limits.max_field_size:,} bytes")
            return None
        # The line's CRLF stays, so that a part without fields has a blank line too.
        self._position = self._searched = end
        self._step = MultipartParser._read_head
        return self._read_head()

    def _read_head(self) -> Event | None:
        buffer, start = self._buffer, self._position
        end = buffer.find(b"\r\n\r\n", self._searched)
        size = (len(buffer) if end < 0 else end) - start
        if size > self._limits.max_head_bytes:
            raise MultipartError(f"the head of a part is over {self._limits.max_head_bytes:,} bytes (max_head_bytes)")
        if end < 0:
            self._searched = max(len(buffer) - 3, start)
            return None
        headers = self._parse_head(buffer[start + 2 : end])
        # The CRLF of the blank line stays: a part may end with its head. Source: RFC 2046 section 5.1.1, body-part.
        self._position = end + 2
        self._skip = 2
        self._data_size = 0
        self._declared = _find_length(headers)
        self._step = MultipartParser._read_data
        return headers

    def _read_data(self) -> Event | None:
        buffer, start = self._buffer, self._position + self._skip
        # To look for one byte takes a fraction of the time, and often there is none.
        position = buffer.find(b"\r", self._position)
        if position >= 0:
            position = buffer.find(self._delimiter, position)
        if position >= 0:
            self._position = position + len(self._delimiter)
            self._step = MultipartParser._end_part
        else:
            position = self._find_tail()
            if position < start:
                return None
            self._position = position
        self._skip = 0
        data = buffer[start:position]
        if data:
            self._data_size += len(data)
            return data
        return self._end_part() if self._step is MultipartParser._end_part else None

    def _end_part(self) -> Event | None:
        if self._declared is not None and self._declared != self._data_size:
            raise MultipartError(
                f"a part has {self._data_size:,} bytes, and says {self._declared:,} by its Content-Length"
            )
        self._step = MultipartParser._read_delimiter_line
        return END_OF_PART

    def _drop_epilogue(self) -> Event | None:
        self._buffer = b""
        self._position = 0
        return None

    def _find_tail(self) -> int:
        """Find where the bytes begin that may be the begin of a delimiter; CR is in it only at its front."""
        buffer = self._buffer
        position = buffer.rfind(b"\r", max(len(buffer) - len(self._delimiter) + 1, self._position))
        return position if position >= 0 and self._delimiter.startswith(buffer[position:]) else len(buffer)

    def _parse_head(self, block: bytes) -> CIMultiDictProxy[str]:
        headers: CIMultiDict[str] = CIMultiDict()
        lines = _FOLD.sub(b" ", block).split(b"\r\n") if block else ()
        limits = self._limits
        if len(lines) > limits.max_headers:
            raise MultipartError(f"a part has {len(lines):,} fields, limit {limits.max_headers:,} (max_headers)")
        for line in lines:
            if len(line) > limits.max_field_size:
                raise MultipartError(
                    f"a field of a part has {len(line):,} bytes, limit {limits.max_field_size:,} (max_field_size)"
                )
            name, colon, value = line.decode("utf-8", "surrogateescape").partition(":")
            if not colon or _IS_TOKEN(name) is None:
                raise MultipartError(f"a field of a part has no name: {line[:80]!r}")
            value = value.strip(" \t")
            if _BAD_VALUE(value) is not None:
                raise MultipartError(f"field {name} of a part has a control character: {value[:80]!r}")
            headers.add(name, value)
        return CIMultiDictProxy(headers)


def _find_length(headers: CIMultiDictProxy[str]) -> int | None:
    values = headers.getall("Content-Length", ())
    if not values:
        return None
    if len(values) > 1 or _IS_LENGTH(values[0]) is None:
        raise MultipartError(f"Content-Length of a part is {', '.join(values)[:80]!r}, expected a whole number")
    return int(values[0])
