"""Events as they are written. Source: HTML standard, section 9.2.5 and 9.2.6."""

from __future__ import annotations

import re
from typing import Final

#: What ends a line of the stream; other line ends of Unicode are text.
_LINE_END: Final = re.compile(r"\r\n|\n|\r")


def format_event(
    data: str | None,
    *,
    event: str | None = None,
    id: str | None = None,  # noqa: A002  # the standard's name
    retry: int | None = None,
) -> bytes:
    """Write one event.

    Args:
        data: any text; None for a block that gives the page no event, only an id or a time.
        event: the event's type; None for ``message``.
        id: what the page's browser says in Last-Event-ID when it connects again; empty to have it say nothing.
        retry: milliseconds until it connects again.

    Raises:
        ValueError: a line end in ``event`` or ``id``, a NUL in ``id``, or a negative ``retry``.
        TypeError: data is no str.
    """
    lines = []
    if event is not None:
        lines.append(f"event: {_check_line('event', event)}")
    if id is not None:
        if "\0" in id:
            raise ValueError(f"id is {id!r}: browsers ignore one with a NUL")
        lines.append(f"id: {_check_line('id', id)}")
    if retry is not None:
        if retry < 0:
            raise ValueError(f"retry is {retry}, expected milliseconds from 0")
        lines.append(f"retry: {int(retry)}")
    if data is not None:
        if not isinstance(data, str):
            raise TypeError(f"data is of {type(data).__name__}, expected a str; send_json() takes what JSON can say")
        lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return _end(lines)


def format_comment(text: str) -> bytes:
    """Write a comment, which a page doesn't see."""
    return _end([f": {line}" for line in _LINE_END.split(text)])


def _check_line(field: str, value: str) -> str:
    if _LINE_END.search(value):
        raise ValueError(f"{field} is {value!r}, which has a line end: only data may have several lines")
    return value


def _end(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in [*lines, ""]).encode()
