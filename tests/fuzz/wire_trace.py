"""What a parser makes of some bytes, as data that can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, zip_longest
from types import ModuleType
from typing import Any

from corelet import _fast, _pure
from corelet.abc import END_OF_MESSAGE, PAUSED, Mark
from corelet.errors import RemoteProtocolError
from corelet.limits import DEFAULT_LIMITS, Limits

WIRES: dict[str, ModuleType] = {"fast": _fast, "pure": _pure}

_HEAD = ("version", "keep_alive", "upgrade", "chunked", "content_length", "has_body", "raw_headers")
_REQUEST = (
    "method",
    "target",
    "path",
    "query",
    "is_plain",
    "authority",
    "scheme",
    "host",
    "expect_continue",
    "is_simple",
)
_RESPONSE = ("status", "reason", "is_interim")
_LOOKED_UP = ("host", "content-length", "x", "x-a", "cookie", "Host", "", "ü")
#: Limits that short input reaches.
TIGHT_LIMITS = (
    Limits(max_line_bytes=20, max_field_bytes=20, max_fields=3, max_head_bytes=80, max_chunk_line_bytes=8),
    Limits(max_line_bytes=40, max_field_bytes=12, max_fields=40, max_head_bytes=120, max_chunk_line_bytes=3),
    Limits(max_line_bytes=8190, max_field_bytes=8190, max_fields=1, max_head_bytes=40, max_chunk_line_bytes=0),
)


@dataclass(frozen=True)
class Setting:
    """How a parser is made and treated."""

    #: Methods of the requests that are answered; None parses requests.
    expected: tuple[str, ...] | None = None
    limits: Limits = DEFAULT_LIMITS
    has_chunk_marks: bool = False
    takes_upgrades: bool = False
    #: Whether all is fed before the first event is taken.
    waits: bool = False
    ends: bool = True


@dataclass
class Trace:
    """What came out: events that no cut may change, and what is seen from outside after each piece."""

    events: list[Any] = field(default_factory=list)
    gauges: list[tuple[int, bool]] = field(default_factory=list)


def trace(wire: ModuleType, pieces: Iterable[bytes], setting: Setting) -> Trace:
    """Feed pieces to a parser, and take all that comes out."""
    seen = Trace()
    parser = _make_parser(wire, setting)
    try:
        for piece in pieces:
            parser.feed_data(piece)
            if not setting.waits and not _drain(parser, seen, setting):
                return seen
        if setting.waits and not _drain(parser, seen, setting):
            return seen
        if setting.ends:
            parser.feed_eof()
            _drain(parser, seen, setting)
    except RemoteProtocolError as error:
        seen.events.append(_describe_error(error))
        seen.events.append(_describe_error(_error_of_next_call(parser)))
    return seen


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut bytes at places in rising order."""
    edges = [0, *places, len(data)]
    return [data[begin:end] for begin, end in pairwise(edges)]


def cut_at_every_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def find_disagreement(data: bytes, pieces: list[bytes], setting: Setting) -> str | None:
    """Run an input through both wires, whole and in pieces; say where the first two that differ do."""
    pure, pure_pieces = trace(_pure, [data], setting), trace(_pure, pieces, setting)
    fast, fast_pieces = trace(_fast, [data], setting), trace(_fast, pieces, setting)
    if fast != pure:
        return _describe_difference("pure and fast, whole,", pure, fast)
    if pure_pieces.events != pure.events:
        return _describe_difference("pure, whole and in pieces,", Trace(pure.events), Trace(pure_pieces.events))
    if fast_pieces != pure_pieces:
        return _describe_difference("pure and fast, in pieces,", pure_pieces, fast_pieces)
    return None


def _describe_difference(what: str, left: Trace, right: Trace) -> str:
    lines = [f"{what} disagree:"]
    for one, other in zip_longest((*left.events, *left.gauges), (*right.events, *right.gauges)):
        if isinstance(one, dict) and isinstance(other, dict):
            lines += [f"{name}: {one[name]!r} | {other[name]!r}" for name in one if one[name] != other.get(name)]
        elif one != other:
            lines.append(f"{one!r} | {other!r}")
    return "\n  ".join(lines)


def _make_parser(wire: ModuleType, setting: Setting) -> Any:
    if setting.expected is None:
        return wire.RequestParser(setting.limits, chunk_marks=setting.has_chunk_marks)
    parser = wire.ResponseParser(setting.limits, chunk_marks=setting.has_chunk_marks)
    for method in setting.expected:
        parser.expect(method)
    return parser


def _drain(parser: Any, seen: Trace, setting: Setting) -> bool:
    """Take events until there are none; False where the parser is finished."""
    while (event := parser.next_event()) is not None:
        if event is PAUSED and setting.takes_upgrades:
            seen.events += [event, _take_rest(parser)]
            return False
        if event is PAUSED:
            parser.resume()
        _add(seen.events, event, parser)
    seen.gauges.append((parser.buffered, parser.is_idle))
    return True


def _take_rest(parser: Any) -> str:
    """What follows an upgrade belongs to somebody else, and depends on the cut."""
    before = parser.buffered
    rest = parser.take_rest()
    assert len(rest) == before
    assert (parser.buffered, parser.is_idle, parser.next_event()) == (0, True, None)
    return "taken"


def _add(events: list[Any], event: object, parser: Any) -> None:
    if isinstance(event, bytes):
        assert event, "an empty piece of content"
        if events and isinstance(events[-1], bytes):
            events[-1] += event
        else:
            events.append(event)
    elif event is END_OF_MESSAGE:
        events.append((event, parser.trailers))
    elif isinstance(event, Mark):
        events.append(event)
    else:
        events.append(_describe_head(event))


def _describe_head(head: Any) -> dict[str, Any]:
    names = _REQUEST if hasattr(head, "method") else _RESPONSE
    facts = {name: getattr(head, name) for name in (*_HEAD, *names)}
    facts["headers"] = list(head.headers.items())
    facts["fields"] = [head.field(name) for name in _LOOKED_UP]
    facts["types"] = [type(fact) for fact in facts.values()]
    facts["repr"] = repr(head)
    return facts


def _describe_error(error: RemoteProtocolError) -> tuple[str, str, int]:
    return type(error).__name__, str(error), error.status_hint


def _error_of_next_call(parser: Any) -> RemoteProtocolError:
    assert parser.buffered == 0
    try:
        parser.next_event()
    except RemoteProtocolError as error:
        return error
    raise AssertionError("a dead parser goes on")
