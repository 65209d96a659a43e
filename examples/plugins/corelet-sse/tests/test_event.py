"""Events are written so that a browser reads what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from corelet_sse.event import format_comment, format_event


@pytest.mark.parametrize(
    ("arguments", "block"),
    [
        ({"data": "hello"}, "data: hello\n\n"),
        ({"data": ""}, "data: \n\n"),
        ({"data": "a\nb\r\nc\rd\n"}, "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
        ({"data": " a\u2028b\x0bc\x85"}, "data:  a\u2028b\x0bc\x85\n\n"),
        ({"data": "x", "event": "tick", "id": "7", "retry": 500}, "event: tick\nid: 7\nretry: 500\ndata: x\n\n"),
        ({"data": None, "id": ""}, "id: \n\n"),
        ({"data": "id: 1"}, "data: id: 1\n\n"),
    ],
)
def test_an_event_is_one_block_of_fields(arguments: dict[str, Any], block: str) -> None:
    assert format_event(**arguments) == block.encode()


def test_a_comment_may_have_several_lines() -> None:
    assert format_comment("a\nb") == b": a\n: b\n\n"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"data": "x", "event": "a\nb"}, ValueError, "event is 'a\\\\nb', which has a line end"),
        ({"data": "x", "id": "1\r"}, ValueError, "id is '1\\\\r', which has a line end"),
        ({"data": "x", "id": "\0"}, ValueError, "NUL"),
        ({"data": "x", "retry": -1}, ValueError, "retry is -1"),
        ({"data": b"x"}, TypeError, "data is of bytes, expected a str"),
    ],
)
def test_what_would_be_read_as_something_else_is_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        format_event(**arguments)
