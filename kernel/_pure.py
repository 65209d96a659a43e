"""The wire in plain Python: the reference, and what serves where nothing compiles.

A message is read line by line. Each line runs through one automaton, :data:`_ROWS`; the first byte that no row allows
is refused as soon as it has come, so that the verdict never depends on how the input was cut. What a line means is
checked at its LF, what the lines mean together at the blank line. Of two errors the one whose byte comes first is
reported; on one byte the limits speak before the grammar, the section's before the line's.

``_fast.pyx`` gives the same verdicts in the same words.
"""

from __future__ import annotations

import enum
import ipaddress
import re
import sys
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping

from .abc import CHUNK_END, END_OF_MESSAGE, PAUSED, Mark
from .errors import HeadTooLarge, LocalProtocolError, RemoteProtocolError, TargetTooLong
from .hdrs import PLAIN_METHODS, HttpVersion, HttpVersion10, HttpVersion11
from .limits import (
    BURST,
    DEFAULT_LIMITS,
    JOINED_READ_BYTES,
    MAX_CHUNK_SIZE_DIGITS,
    MAX_CONTENT_LENGTH_DIGITS,
    MAX_INTERIM_RESPONSES,
    MAX_METHOD_BYTES,
    NEVER,
    Limits,
)

IMPLEMENTATION: Final = "pure"

#: Ends a body in the chunked coding, without trailers. Source: RFC 9112 section 7.1.
LAST_CHUNK: Final = b"0\r\n\r\n"

RawFields = tuple[tuple[bytes, bytes], ...]

# -- the automaton of all lines ----------------------------------------------------------------------------------------

_TCHAR: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGIT: Final = frozenset(b"0123456789")
_HEXDIG: Final = frozenset(b"0123456789ABCDEFabcdef")
_BLANK: Final = frozenset(b" \t")
_OBS_TEXT: Final = frozenset(range(0x80, 0x100))
_VCHAR: Final = frozenset(range(0x21, 0x7F))
#: Visible ASCII but "#": no form of a request target has a fragment. RFC 9112 section 3.2.
_TARGET: Final = _VCHAR - {0x23}
_TEXT: Final = _BLANK | _VCHAR | _OBS_TEXT
_QUOTED: Final = _TEXT - frozenset(b'"\\')
_NONE: Final[frozenset[int]] = frozenset()

_LF: Final = 0x0A
_CR: Final = 0x0D


class _Row(NamedTuple):
    """A state inside a line: what errors call it, the bytes that stay in it, the bytes that lead on."""

    where: str
    run: Callable[[bytes | bytearray, int, int], re.Match[bytes] | None]
    leave: dict[int, str]


def _class_of(chars: frozenset[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(chars)) + b"]"


def _row(where: str, run: frozenset[int], *leaves: tuple[Iterable[int], str]) -> _Row:
    return _Row(
        where,
        re.compile(_class_of(run) + b"*" if run else b"").match,
        {byte: row for chars, row in leaves for byte in chars},
    )


_BAD_VERSION: Final = "in the HTTP version"
_BAD_SIZE: Final = "in a chunk size"
_BAD_EXTENSION: Final = "in a chunk extension"

#: Source: RFC 9112 sections 2.2, 3, 4, 5 and 7.1; RFC 9110 sections 5.5 and 5.6.
_ROWS: Final[Mapping[str, _Row]] = {
    "line end": _row("after CR, expected LF", _NONE, (b"\n", "line done")),
    "section end": _row("after CR, expected LF", _NONE, (b"\n", "section done")),
    "request start": _row("at the start of a request", _NONE, (_TCHAR, "method")),
    "method": _row("in the method", _TCHAR, (b" ", "target start")),
    "target start": _row("at the start of the request target", _NONE, (_TARGET, "target")),
    "target": _row("in the request target", _TARGET, (b" ", "request H")),
    "request H": _row(_BAD_VERSION, _NONE, (b"H", "request T")),
    "request T": _row(_BAD_VERSION, _NONE, (b"T", "request TT")),
    "request TT": _row(_BAD_VERSION, _NONE, (b"T", "request P")),
    "request P": _row(_BAD_VERSION, _NONE, (b"P", "request slash")),
    "request slash": _row(_BAD_VERSION, _NONE, (b"/", "request major")),
    "request major": _row(_BAD_VERSION, _NONE, (_DIGIT, "request dot")),
    "request dot": _row(_BAD_VERSION, _NONE, (b".", "request minor")),
    "request minor": _row(_BAD_VERSION, _NONE, (_DIGIT, "request line end")),
    "request line end": _row(_BAD_VERSION, _NONE, (b"\r", "line end")),
    "response start": _row("at the start of a response", _NONE, (b"H", "response T")),
    "response T": _row(_BAD_VERSION, _NONE, (b"T", "response TT")),
    "response TT": _row(_BAD_VERSION, _NONE, (b"T", "response P")),
    "response P": _row(_BAD_VERSION, _NONE, (b"P", "response slash")),
    "response slash": _row(_BAD_VERSION, _NONE, (b"/", "response major")),
    "response major": _row(_BAD_VERSION, _NONE, (_DIGIT, "response dot")),
    "response dot": _row(_BAD_VERSION, _NONE, (b".", "response minor")),
    "response minor": _row(_BAD_VERSION, _NONE, (_DIGIT, "response space")),
    "response space": _row(_BAD_VERSION, _NONE, (b" ", "status 1")),
    "status 1": _row("in the status code", _NONE, (_DIGIT, "status 2")),
    "status 2": _row("in the status code", _NONE, (_DIGIT, "status 3")),
    "status 3": _row("in the status code", _NONE, (_DIGIT, "status end")),
    "status end": _row("in the status code", _NONE, (b" ", "reason"), (b"\r", "line end")),
    "reason": _row("in the reason phrase", _TEXT, (b"\r", "line end")),
    "field start": _row("at the start of a field line", _NONE, (_TCHAR, "name"), (b"\r", "section end")),
    "name": _row("in a field name", _TCHAR, (b":", "value")),
    "value": _row("in a field value", _TEXT, (b"\r", "line end")),
    "size start": _row(_BAD_SIZE, _NONE, (_HEXDIG, "size")),
    "size": _row(_BAD_SIZE, _HEXDIG, (_BLANK, "before semicolon"), (b";", "ext start"), (b"\r", "line end")),
    "before semicolon": _row(_BAD_EXTENSION, _BLANK, (b";", "ext start")),
    "ext start": _row(_BAD_EXTENSION, _BLANK, (_TCHAR, "ext name")),
    "ext name": _row(
        _BAD_EXTENSION,
        _TCHAR,
        (_BLANK, "after ext name"),
        (b"=", "ext value start"),
        (b";", "ext start"),
        (b"\r", "line end"),
    ),
    "after ext name": _row(_BAD_EXTENSION, _BLANK, (b"=", "ext value start"), (b";", "ext start")),
    "ext value start": _row(_BAD_EXTENSION, _BLANK, (_TCHAR, "ext token"), (b'"', "ext quoted")),
    "ext token": _row(_BAD_EXTENSION, _TCHAR, (_BLANK, "before semicolon"), (b";", "ext start"), (b"\r", "line end")),
    "ext quoted": _row(_BAD_EXTENSION, _QUOTED, (b"\\", "ext escape"), (b'"', "ext quoted end")),
    "ext escape": _row(_BAD_EXTENSION, _NONE, (_TEXT, "ext quoted")),
    "ext quoted end": _row(
        _BAD_EXTENSION, _NONE, (_BLANK, "before semicolon"), (b";", "ext start"), (b"\r", "line end")
    ),
    "data end": _row("after the data of a chunk, expected CR", _NONE, (b"\r", "line end")),
}


def _whole(pattern: bytes, *rows: str) -> tuple[re.Pattern[bytes], tuple[str, ...]]:
    chars = {b"token": _class_of(_TCHAR), b"target": _class_of(_TARGET), b"text": _class_of(_TEXT)}
    return re.compile(pattern % chars), rows


#: A short cut through the automaton for lines that are there as a whole and right; each group ends where its row does.
_WHOLE_LINES: Final[Mapping[str, tuple[re.Pattern[bytes], tuple[str, ...]]]] = {
    "request start": _whole(
        rb"(%(token)b++) (%(target)b++) (HTTP)/([0-9])\.([0-9])\r\n",
        *("method", "target", "request slash", "request dot", "request line end"),
    ),
    "response start": _whole(
        rb"(HTTP)/([0-9])\.([0-9]) ([0-9]{3}) (%(text)b*+)\r\n",
        *("response slash", "response dot", "response space", "status end", "reason"),
    ),
    "field start": _whole(rb"(%(token)b++):(%(text)b*+)\r\n", "name", "value"),
}

# -- parts of heads ----------------------------------------------------------------------------------------------------

_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00")
_ABSOLUTE: Final = re.compile(r"(https?)://([^/?]*)([^?]*)\??(.*)", re.IGNORECASE)
_REG_NAME: Final = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%(?!00)[0-9A-Fa-f]{2})+"
_AUTHORITY: Final = re.compile(rf"(?:{_REG_NAME}|\[(?P<literal>[^\[\]]*)\])(?::(?P<port>[0-9]*))?")
_IP_FUTURE: Final = re.compile(r"[vV][0-9A-Fa-f]+\.[A-Za-z0-9\-._~!$&'()*+,;=:]+")

#: Fields that a request has once at most, beside those that frame it; nginx refuses a second Authorization and
#: Content-Range as well. RFC 9110 section 5.3: such a repetition has no meaning.
_SINGLETONS: Final = frozenset((b"authorization", b"content-range", b"content-type"))


def _show(value: bytes) -> str:
    """Quote a value from the peer for a message, cut where it gets long."""
    text = ascii(value[:80].decode("latin-1"))
    return text if len(value) <= 80 else text + "..."


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _is_address(literal: str) -> bool:
    """Whether the inside of brackets is an IP literal. Source: RFC 3986 section 3.2.2."""
    if _IP_FUTURE.fullmatch(literal):
        return True
    try:
        ipaddress.IPv6Address(literal)
    except ValueError:
        return False
    return "%" not in literal


def _has_valid_authority(value: str, *, needs_port: bool = False) -> bool:
    """Whether a value is ``uri-host [":" port]`` with a host. Source: RFC 3986 section 3.2, RFC 9110 section 7.2."""
    match = _AUTHORITY.fullmatch(value)
    if match is None or (match["literal"] is not None and not _is_address(match["literal"])):
        return False
    port = (match["port"] or "").lstrip("0")
    if len(port) > 5 or int(port or "0") > 65535:
        return False
    return bool(port) or not needs_port


def _is_path(path: str) -> bool:
    """Whether the escapes of a path are complete and none is NUL. nginx refuses both with 400, too."""
    return _BAD_ESCAPE.search(path) is None


class _HeadBase:
    """What heads of both directions have."""

    __slots__ = ("_headers", "chunked", "content_length", "has_body", "keep_alive", "raw_headers", "upgrade", "version")

    version: HttpVersion
    keep_alive: bool
    upgrade: bool
    chunked: bool
    content_length: int | None
    has_body: bool
    raw_headers: RawFields
    _headers: CIMultiDictProxy[str] | None

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is read-only")

    __delattr__ = __setattr__  # type: ignore[assignment]  # takes one argument less, and raises all the same

    def __init__(self, **facts: object) -> None:
        for name, value in facts.items():
            object.__setattr__(self, name, value)

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The fields as a map; values decoded as UTF-8, bytes that are not kept by surrogateescape."""
        if self._headers is None:
            fields = CIMultiDict([(_decode(name), _decode(value)) for name, value in self.raw_headers])
            object.__setattr__(self, "_headers", CIMultiDictProxy(fields))
        assert self._headers is not None
        return self._headers

    def field(self, name: str) -> str | None:
        """Get the first value of a field by its name in any case, without making the map."""
        if not isinstance(name, str):
            raise TypeError(f"field() takes a str, not {type(name).__name__}")
        wanted = name.encode("utf-8", "surrogatepass").lower()
        for raw_name, value in self.raw_headers:
            if raw_name.lower() == wanted:
                return _decode(value)
        return None


class RequestHead(_HeadBase):
    """A request line and its fields, checked; read-only. Made by :class:`RequestParser` only."""

    __slots__ = ("authority", "expect_continue", "host", "is_plain", "method", "path", "query", "scheme", "target")

    method: str
    target: str
    path: str
    query: str
    is_plain: bool
    authority: str | None
    scheme: str | None
    host: str | None
    expect_continue: bool

    @property
    def is_simple(self) -> bool:
        """Whether its answer needs no thought: HTTP/1.1 that goes on, and a method whose answers carry their body."""
        return self.version == HttpVersion11 and self.keep_alive and not self.upgrade and self.method in PLAIN_METHODS

    def __repr__(self) -> str:
        return f"<RequestHead {self.method} {self.target}>"


class ResponseHead(_HeadBase):
    """A status line and its fields, checked; read-only. Made by :class:`ResponseParser` only."""

    __slots__ = ("is_interim", "reason", "status")

    status: int
    reason: str
    is_interim: bool

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} {self.reason}>"


HeadT = TypeVar("HeadT", RequestHead, ResponseHead)

# -- parsers -----------------------------------------------------------------------------------------------------------


class _State(enum.Enum):
    """Where in a message a parser is."""

    HEAD = enum.auto()
    BODY_BY_LENGTH = enum.auto()
    BODY_UNTIL_EOF = enum.auto()
    CHUNK_LINE = enum.auto()
    CHUNK_DATA = enum.auto()
    CHUNK_DATA_END = enum.auto()
    TRAILERS = enum.auto()
    END = enum.auto()
    PAUSED = enum.auto()
    FINISHED = enum.auto()
    TAKEN = enum.auto()


_CHUNKED: Final = frozenset((_State.CHUNK_LINE, _State.CHUNK_DATA, _State.CHUNK_DATA_END))
_BETWEEN: Final = frozenset((_State.HEAD, _State.PAUSED, _State.FINISHED, _State.TAKEN))


class _Turn(enum.Enum):
    """A step was done that gives no event."""

    GO_ON = enum.auto()


class _LineKind(NamedTuple):
    """What bounds a line: the name that errors give it, the limit, the error."""

    name: str
    limit: str
    error: type[RemoteProtocolError]


_REQUEST_LINE: Final = _LineKind("request line", "max_line_bytes", TargetTooLong)
_STATUS_LINE: Final = _LineKind("status line", "max_line_bytes", HeadTooLarge)
_FIELD_LINE: Final = _LineKind("field line", "max_field_bytes", HeadTooLarge)
_CHUNK_LINE: Final = _LineKind("chunk line", "max_chunk_line_bytes", RemoteProtocolError)


class _Section:
    """Lines that are read together, as far as they came: a head, a trailer section, a chunk's line.

    ``buffer`` is the input itself while the section lies whole in it, and a copy from where it did not.
    """

    __slots__ = (
        "at",
        "buffer",
        "fields",
        "kind",
        "line",
        "marks",
        "max_bytes",
        "max_line_bytes",
        "name",
        "row",
        "start",
    )

    def __init__(self, name: str, row: str, buffer: bytes, start: int, max_bytes: int) -> None:
        self.name = name
        self.row = row
        self.buffer: bytes | bytearray = buffer
        self.start = self.line = self.at = start
        self.max_bytes = max_bytes
        self.kind = _FIELD_LINE
        self.max_line_bytes = sys.maxsize
        self.marks: dict[str, int] = {}
        self.fields: list[tuple[bytes, bytes]] = []

    def cut(self, left: str | None, right: str) -> bytes:
        """The bytes between those that two rows were left by; from the line's start where ``left`` is None."""
        begin = self.line if left is None else self.marks[left] + 1
        return bytes(self.buffer[begin : self.marks[right]])


class _Framing:
    """What the fields of one head say about its message, as far as they came."""

    __slots__ = (
        "chunked",
        "close",
        "content_length",
        "expect_continue",
        "expect_other",
        "host",
        "keep_alive",
        "seen",
        "upgrade",
        "upgrade_field",
    )

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self.host: bytes | None = None
        self.content_length: int | None = None
        self.chunked = False
        self.close = False
        self.keep_alive = False
        self.upgrade = False
        self.upgrade_field = False
        self.expect_continue = False
        self.expect_other: bytes | None = None


class _Parser(ABC, Generic[HeadT]):
    """What parsers of both directions do: buffering, lines, fields, bodies."""

    __slots__ = (
        "_chunk_marks",
        "_data",
        "_eof",
        "_framing",
        "_limits",
        "_more",
        "_pausing",
        "_pos",
        "_refusal",
        "_remaining",
        "_section",
        "_serving",
        "_state",
        "_trailers",
        "_waiting",
    )

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, chunk_marks: bool = False) -> None:
        self._limits = limits
        self._chunk_marks = chunk_marks
        self._data = b""
        self._pos = 0
        #: Reads that wait behind the one at hand; None for none.
        self._more: deque[bytes] | None = None
        self._waiting = 0
        self._state = _State.HEAD
        self._section: _Section | None = None
        self._framing: _Framing | None = None
        self._remaining = 0
        self._serving = True
        self._pausing = False
        self._eof = False
        self._trailers: RawFields = ()
        #: Class, message and status of the error, not the error: its traceback would keep this parser alive.
        self._refusal: tuple[type[RemoteProtocolError], str, int | None] | None = None

    # what a user calls

    def feed_data(self, data: bytes) -> None:
        """Give received bytes to the parser.

        Args:
            data: bytes as they came from the socket; kept, not copied, until they were consumed.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
            RuntimeError: called after ``feed_eof()`` or ``take_rest()``; a bug in the caller.
        """
        self._check_alive()
        if type(data) is not bytes:
            raise TypeError(f"feed_data() takes bytes, not {type(data).__name__}")
        if self._state is _State.TAKEN:
            raise RuntimeError("feed_data() after take_rest(): these bytes belong to who took the connection")
        if self._eof:
            raise RuntimeError("feed_data() after feed_eof()")
        if self._state is _State.FINISHED or not data:
            return
        if self._pos == len(self._data) and self._more is None:
            self._data, self._pos = data, 0
        else:
            self._put_behind(data)

    def feed_eof(self) -> None:
        """Say that no more bytes will come; the next events tell whether a message was cut short.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
        """
        self._check_alive()
        self._eof = True

    def next_event(self) -> HeadT | bytes | Mark | None:
        """Take the next event that is complete.

        Returns:
            A head, then bytes of its decoded content, then ``END_OF_MESSAGE``; ``PAUSED`` for as long as an offered
            upgrade is neither taken nor declined; ``CHUNK_END`` between chunks from a parser made with
            ``chunk_marks=True``; None where more input is needed, or after the last message of a connection.

        Raises:
            RemoteProtocolError: the peer broke HTTP/1.1; ``status_hint`` is what to answer. The parser is dead then:
                every later call raises the same error.
        """
        self._check_alive()
        event = self._step()
        while event is _Turn.GO_ON:
            event = self._step()
        if event is None and self._eof:
            return self._finish()
        return event

    def resume(self) -> None:
        """Decline the upgrade that paused the parser: what follows is HTTP/1.1 again.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
            RuntimeError: the parser is not paused.
        """
        self._check_paused("resume")
        self._state = _State.HEAD if self._serving else _State.FINISHED

    def take_rest(self) -> bytes:
        """Accept the upgrade that paused the parser, and take the bytes that came after the message.

        Returns:
            Bytes that were fed and not consumed. The parser is finished then.

        Raises:
            RemoteProtocolError: the parser is dead, by an error that it raised before.
            RuntimeError: the parser is not paused.
        """
        self._check_paused("take_rest")
        rest = b"".join((self._data[self._pos :], *(self._more or ())))
        self._release()
        self._state = _State.TAKEN
        return rest

    @property
    def buffered(self) -> int:
        """Bytes that were fed and not consumed yet."""
        held = len(self._data) - self._pos + self._waiting
        if self._section is not None and self._section.buffer is not self._data:
            held += len(self._section.buffer)
        return held

    @property
    def is_idle(self) -> bool:
        """Whether no byte of a message was seen since the last one ended."""
        return self._state in _BETWEEN and self.buffered == 0

    @property
    def trailers(self) -> RawFields:
        """The trailer fields of the last complete message, as sent. Source: RFC 9110 section 6.5."""
        return self._trailers

    # what the directions differ in

    _kind: _LineKind
    _first_row: str

    @abstractmethod
    def _may_start(self) -> bool:
        """Whether the byte at hand starts a message; False where more are needed to tell."""

    @abstractmethod
    def _end_start_line(self, section: _Section) -> None:
        """Check a start line that is complete."""

    @abstractmethod
    def _end_field(self, framing: _Framing, name: bytes, value: bytes) -> None:
        """Check a field that is complete."""

    @abstractmethod
    def _end_head(self, section: _Section, framing: _Framing) -> HeadT:
        """Check the fields together, and set out to read the body."""

    def _message_ended(self) -> None:
        """Forget what belonged to the message that just ended."""

    def _expects_more(self) -> bool:
        """Whether the end of input between two messages is an error."""
        return False

    # states

    def _check_alive(self) -> None:
        if self._refusal is not None:
            kind, message, status = self._refusal
            raise kind(message, status)

    def _check_paused(self, caller: str) -> None:
        self._check_alive()
        if self._state is not _State.PAUSED:
            raise RuntimeError(f"{caller}() is for a parser that gave PAUSED")

    def _refuse(
        self, message: str, kind: type[RemoteProtocolError] = RemoteProtocolError, status: int | None = None
    ) -> RemoteProtocolError:
        """Kill the parser; the caller raises what it gets."""
        self._refusal = kind, message, status
        self._release()
        return kind(message, status)

    def _release(self) -> None:
        self._data, self._pos = b"", 0
        self._more, self._waiting = None, 0
        self._section = self._framing = None

    def _step(self) -> HeadT | bytes | Mark | _Turn | None:
        match self._state:
            case _State.HEAD:
                return self._step_head()
            case _State.END:
                return self._step_end()
            case _State.BODY_BY_LENGTH:
                return self._step_body_by_length()
            case _State.BODY_UNTIL_EOF:
                return self._step_body_until_eof()
            case _State.TRAILERS:
                return self._step_trailers()
            case _State.PAUSED:
                return PAUSED
            case _State.FINISHED | _State.TAKEN:
                self._release()
                return None
            case _:
                return self._step_chunk() if self._chunk_marks else self._join_chunks()

    def _finish(self) -> Mark | None:
        """Say what the end of input means, where all of it was consumed."""
        if self._state is _State.BODY_UNTIL_EOF:
            self._state = _State.END
            return self._step_end()
        if self._state is _State.HEAD:
            if self._section is not None:
                raise self._refuse("connection closed in the middle of a head")
            if self._expects_more():
                raise self._refuse("connection closed before the response")
            return None
        if self._state in _BETWEEN:
            return None
        raise self._refuse("connection closed in the middle of a body")

    def _step_head(self) -> HeadT | None:
        section = self._section
        if section is None:
            if not self._fill() or not self._may_start():
                return None
            self._section = section = _Section(
                "head", self._first_row, self._data, self._pos, self._limits.max_head_bytes
            )
            self._begin_line(section, self._first_row, self._kind)
            self._framing = _Framing()
        framing = self._framing
        assert framing is not None
        while self._take_line(section):
            if section.row == "section done":
                head = self._end_head(section, framing)
                self._close_section(section)
                self._framing = None
                return head
            if section.kind is _FIELD_LINE:
                self._end_field(framing, *self._take_field(section))
            else:
                self._end_start_line(section)
            self._begin_line(section, "field start", _FIELD_LINE)
        return None

    def _step_end(self) -> Mark:
        self._message_ended()
        if self._pausing:
            self._state = _State.PAUSED
        elif self._serving:
            self._state = _State.HEAD
        else:
            self._state = _State.FINISHED
            self._release()
        return END_OF_MESSAGE

    def _begin_body(self, framing: _Framing) -> None:
        """Set out to read the body that a head announced. Source: RFC 9112 section 6.3."""
        if framing.chunked:
            self._state = _State.CHUNK_LINE
        elif framing.content_length:
            self._state = _State.BODY_BY_LENGTH
            self._remaining = framing.content_length
        else:
            self._state = _State.END

    def _step_body_by_length(self) -> bytes | None:
        piece = self._take_piece(self._remaining)
        if piece is not None:
            self._remaining -= len(piece)
            if not self._remaining:
                self._state = _State.END
        return piece

    def _step_body_until_eof(self) -> bytes | None:
        return self._take_piece(sys.maxsize)

    def _join_chunks(self) -> bytes | _Turn | None:
        """Take the content of all chunks at hand as one piece."""
        pieces: list[bytes] = []
        while self._state in _CHUNKED:
            try:
                event = self._step_chunk()
            except RemoteProtocolError:
                if not pieces:
                    raise
                break
            if event is None:
                break
            if isinstance(event, bytes):
                pieces.append(event)
        if pieces:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return None if self._state in _CHUNKED else _Turn.GO_ON

    def _step_chunk(self) -> bytes | Mark | _Turn | None:
        match self._state:
            case _State.CHUNK_LINE:
                return self._step_chunk_line()
            case _State.CHUNK_DATA:
                piece = self._take_piece(self._remaining)
                if piece is not None:
                    self._remaining -= len(piece)
                    if not self._remaining:
                        self._state = _State.CHUNK_DATA_END
                return piece
            case _:
                return self._step_chunk_data_end()

    def _step_chunk_line(self) -> _Turn | None:
        section = self._open_section("chunk", "size start", _CHUNK_LINE, sys.maxsize)
        if section is None or not self._take_line(section):
            return None
        digits = self._chunk_digits(section)
        self._close_section(section)
        self._remaining = int(digits, 16) if digits else 0
        self._state = _State.CHUNK_DATA if digits else _State.TRAILERS
        return _Turn.GO_ON

    def _chunk_digits(self, section: _Section) -> bytes:
        digits = section.cut(None, "size").lstrip(b"0")
        if len(digits) > MAX_CHUNK_SIZE_DIGITS:
            raise self._refuse(f"chunk size has over {MAX_CHUNK_SIZE_DIGITS} digits")
        return digits

    def _step_chunk_data_end(self) -> Mark | _Turn | None:
        section = self._open_section("chunk", "data end", None, sys.maxsize)
        if section is None or not self._take_line(section):
            return None
        self._close_section(section)
        self._state = _State.CHUNK_LINE
        return CHUNK_END if self._chunk_marks else _Turn.GO_ON

    def _step_trailers(self) -> _Turn | None:
        section = self._open_section("trailer section", "field start", _FIELD_LINE, self._limits.max_head_bytes)
        while section is not None and self._take_line(section):
            if section.row == "section done":
                self._trailers = tuple(section.fields)
                self._close_section(section)
                self._state = _State.END
                return _Turn.GO_ON
            self._take_field(section)
            self._begin_line(section, "field start", _FIELD_LINE)
        return None

    # bytes and lines

    def _fill(self) -> bool:
        """Have a byte at hand; False where all input is consumed."""
        if self._pos < len(self._data):
            return True
        if self._more is None:
            self._data, self._pos = b"", 0
            return False
        self._data, self._pos = self._more.popleft(), 0
        self._waiting -= len(self._data)
        self._more = self._more or None
        return True

    def _put_behind(self, data: bytes) -> None:
        """Let a read wait; small ones together, since each bytes object costs more than a few bytes."""
        if self._more is None:
            self._more = deque()
        if self._more and len(self._more[-1]) + len(data) <= JOINED_READ_BYTES:
            self._more[-1] += data
        else:
            self._more.append(data)
        self._waiting += len(data)

    def _take_piece(self, size: int) -> bytes | None:
        """Take content as it lies in the input: up to ``size`` bytes, without a copy where it is all of a read."""
        if not self._fill():
            return None
        data, pos = self._data, self._pos
        end = min(pos + size, len(data))
        self._pos = end
        if end == len(data):
            self._data, self._pos = b"", 0
            return data if pos == 0 else data[pos:]
        return data[pos:end]

    def _open_section(self, name: str, row: str, kind: _LineKind | None, max_bytes: int) -> _Section | None:
        """Go on with the section at hand, or begin one; None where there is no byte for it."""
        if self._section is None and self._fill():
            self._section = _Section(name, row, self._data, self._pos, max_bytes)
            self._begin_line(self._section, row, kind)
        return self._section

    def _close_section(self, section: _Section) -> None:
        if section.buffer is self._data:
            self._pos = section.at
        self._section = None

    def _begin_line(self, section: _Section, row: str, kind: _LineKind | None) -> None:
        section.row = row
        section.line = section.at
        if kind is not None:
            section.kind = kind
            section.max_line_bytes = getattr(self._limits, kind.limit)

    def _take_line(self, section: _Section) -> bool:
        """Read one line to its LF; False where its end has not come."""
        while not self._advance(section):
            if section.buffer is self._data:
                section.buffer = bytearray(self._data[section.start :])
                section.at -= section.start
                section.line -= section.start
                section.marks = {row: at - section.start for row, at in section.marks.items()}
                section.start = 0
                self._pos = len(self._data)
            if not self._fill():
                return False
            self._append_line(section.buffer)
        return True

    def _append_line(self, buffer: bytes | bytearray) -> None:
        """Move input up to an LF to a section that was cut."""
        assert isinstance(buffer, bytearray)
        most = self._pos + max(self._limits.max_head_bytes, self._limits.max_chunk_line_bytes) + 2
        end = self._data.find(b"\n", self._pos, most) + 1 or min(most, len(self._data))
        buffer += self._data[self._pos : end]
        self._pos = end

    def _advance(self, section: _Section) -> bool:
        """Run a line through the automaton; False where input ends before it does."""
        if section.at == section.line and self._match_whole_line(section):
            return True
        buffer, at, row = section.buffer, section.at, section.row
        end = len(buffer)
        stop = min(end, section.start + section.max_bytes, section.line + section.max_line_bytes)
        while row not in ("line done", "section done"):
            where, run, leave = _ROWS[row]
            if at < stop and (match := run(buffer, at, stop)) is not None:
                at = match.end()
            if at == end:
                section.at, section.row = at, row
                return False
            byte = buffer[at]
            if at >= stop or row == "field start":
                self._check_limits(section, row, at, byte)
            following = leave.get(byte)
            if following is None:
                raise self._refuse(f"invalid byte 0x{byte:02x} {where}")
            section.marks[row] = at
            row = following
            at += 1
        section.at, section.row = at, row
        return True

    def _match_whole_line(self, section: _Section) -> bool:
        """Take a line that is whole, right and within its limits; anything else is for the automaton."""
        pattern, rows = _WHOLE_LINES.get(section.row, (None, ()))
        match = pattern and pattern.match(section.buffer, section.at)
        if match is None:
            return False
        end = match.end()
        if end - 2 - section.line > section.max_line_bytes or end - section.start > section.max_bytes:
            return False
        if section.row == "field start" and len(section.fields) >= self._limits.max_fields:
            return False
        section.marks = {row: stop for row, (_, stop) in zip(rows, match.regs[1:], strict=True)}
        section.at, section.row = end, "line done"
        return True

    def _check_limits(self, section: _Section, row: str, at: int, byte: int) -> None:
        if at >= section.start + section.max_bytes:
            raise self._refuse(
                f"{section.name} is over {section.max_bytes} bytes (Limits.max_head_bytes)", HeadTooLarge
            )
        if row == "field start" and byte != _CR and len(section.fields) >= self._limits.max_fields:
            raise self._refuse(
                f"{section.name} has over {self._limits.max_fields} fields (Limits.max_fields)", HeadTooLarge
            )
        if at >= section.line + section.max_line_bytes and byte != _CR and row not in ("line end", "section end"):
            kind = section.kind
            raise self._refuse(f"{kind.name} is over {section.max_line_bytes} bytes (Limits.{kind.limit})", kind.error)

    def _take_field(self, section: _Section) -> tuple[bytes, bytes]:
        field = section.cut(None, "name"), section.cut("name", "value").strip(b" \t")
        section.fields.append(field)
        return field

    # fields that both directions read the same

    def _read_framing(self, framing: _Framing, name: bytes, value: bytes) -> None:
        match name:
            case b"content-length":
                self._read_content_length(framing, value)
            case b"transfer-encoding":
                self._read_transfer_encoding(framing, value)
            case b"connection":
                options = [option.strip(b" \t").lower() for option in value.split(b",")]
                framing.close |= b"close" in options
                framing.keep_alive |= b"keep-alive" in options
                framing.upgrade |= b"upgrade" in options
            case b"upgrade":
                framing.upgrade_field |= bool(value)

    def _read_content_length(self, framing: _Framing, value: bytes) -> None:
        """Source: RFC 9112 section 6.3, and 9110 section 8.6, where a list of equal lengths may be refused."""
        if framing.content_length is not None:
            raise self._refuse("Content-Length is repeated")
        if not value or not _DIGIT.issuperset(value):
            raise self._refuse(f"Content-Length is not a number: {_show(value)}")
        if len(value.lstrip(b"0")) > MAX_CONTENT_LENGTH_DIGITS:
            raise self._refuse(f"Content-Length has over {MAX_CONTENT_LENGTH_DIGITS} digits: {_show(value)}")
        framing.content_length = int(value.lstrip(b"0") or b"0")

    def _read_transfer_encoding(self, framing: _Framing, value: bytes) -> None:
        """Source: RFC 9112 sections 6.1 and 6.3; of its codings only ``chunked``, once, frames a message for us."""
        if framing.chunked:
            raise self._refuse("Transfer-Encoding is repeated")
        if value.lower() != b"chunked":
            raise self._refuse(f"Transfer-Encoding is not chunked: {_show(value)}")
        framing.chunked = True

    def _check_framing(self, framing: _Framing, version: HttpVersion) -> None:
        if framing.chunked and version == HttpVersion10:
            raise self._refuse("Transfer-Encoding in HTTP/1.0")
        if framing.chunked and framing.content_length is not None:
            raise self._refuse("both Content-Length and Transfer-Encoding")


def _keeps_alive(framing: _Framing, version: HttpVersion) -> bool:
    """Source: RFC 9112 section 9.3."""
    if framing.close:
        return False
    return framing.keep_alive or version != HttpVersion10


class RequestParser(_Parser[RequestHead]):
    """Read requests from the bytes of one connection, whatever way they were cut.

    Args:
        limits: what bounds a message; every error of size names the field to raise.
        chunk_marks: give each chunk's bytes by themselves, and ``CHUNK_END`` after each.

    Source: RFC 9112, strict where it allows both.
    """

    __slots__ = ("_empty_line", "_line")

    _kind = _REQUEST_LINE
    _first_row = "request start"

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, chunk_marks: bool = False) -> None:
        super().__init__(limits, chunk_marks=chunk_marks)
        #: Bytes seen of the one empty line that may come before a request line. RFC 9112 section 2.2.
        self._empty_line = 0
        self._line: _RequestLine | None = None

    def _may_start(self) -> bool:
        if self._empty_line == 0 and self._data[self._pos] == _CR:
            self._empty_line = 1
            self._pos += 1
            if not self._fill():
                return False
        if self._empty_line == 1:
            byte = self._data[self._pos]
            if byte != _LF:
                raise self._refuse(f"invalid byte 0x{byte:02x} after CR, expected LF")
            self._empty_line = 2
            self._pos += 1
        return self._fill()

    def _end_start_line(self, section: _Section) -> None:
        method = section.cut(None, "method")
        target = section.cut("method", "target")
        major, minor = section.cut("request slash", "request dot"), section.cut("request dot", "request line end")
        if len(method) > MAX_METHOD_BYTES:
            raise self._refuse(f"method is over {MAX_METHOD_BYTES} bytes: {_show(method)}", status=501)
        if major != b"1":
            raise self._refuse(f"HTTP version {major.decode()}.{minor.decode()} is not 1.0 or 1.1", status=505)
        version = HttpVersion10 if minor == b"0" else HttpVersion11
        self._line = self._read_target(method.decode(), target.decode(), version)

    def _read_target(self, method: str, target: str, version: HttpVersion) -> _RequestLine:
        """Source: RFC 9112 section 3.2."""
        if method == "CONNECT":
            if not _has_valid_authority(target, needs_port=True):
                raise self._refuse(f"target of CONNECT is not host:port: {_show(target.encode())}")
            return _RequestLine(method, target, version, "", "", target, None)
        if target[0] == "/":
            path, _, query = target.partition("?")
            line = _RequestLine(method, target, version, path, query, None, None)
        elif target == "*":
            if method != "OPTIONS":
                raise self._refuse("target * is for OPTIONS only")
            return _RequestLine(method, target, version, "*", "", None, None)
        else:
            match = _ABSOLUTE.fullmatch(target)
            if match is None:
                raise self._refuse(f"target is neither a path nor an http URI: {_show(target.encode())}")
            scheme, authority, path, query = match.groups()
            if not _has_valid_authority(authority):
                raise self._refuse(f"target has no valid host: {_show(target.encode())}")
            line = _RequestLine(method, target, version, path or "/", query, authority, scheme.lower())
        if not _is_path(line.path):
            raise self._refuse(f"target has a bad percent escape: {_show(target.encode())}")
        return line

    def _end_field(self, framing: _Framing, name: bytes, value: bytes) -> None:
        name = name.lower()
        match name:
            case b"host":
                self._read_host(framing, value)
            case b"expect":
                if value.lower() == b"100-continue":
                    framing.expect_continue = True
                elif framing.expect_other is None:
                    framing.expect_other = value
            case _ if name in _SINGLETONS:
                if name in framing.seen:
                    raise self._refuse(f"{name.decode().title()} is repeated")
                framing.seen.add(name)
            case _:
                self._read_framing(framing, name, value)

    def _read_host(self, framing: _Framing, value: bytes) -> None:
        """Source: RFC 9112 section 3.2: 400 for more than one Host, or one with an invalid value."""
        if framing.host is not None:
            raise self._refuse("Host is repeated")
        if value and not _has_valid_authority(value.decode("latin-1")):
            raise self._refuse(f"Host is not host[:port]: {_show(value)}")
        framing.host = value

    def _end_head(self, section: _Section, framing: _Framing) -> RequestHead:
        line = self._line
        assert line is not None
        self._check_head(line, framing)
        is_modern = line.version != HttpVersion10
        has_body = framing.chunked or bool(framing.content_length)
        self._serving = _keeps_alive(framing, line.version)
        upgrade = is_modern and framing.upgrade and framing.upgrade_field
        self._pausing = upgrade or line.method == "CONNECT"
        head = RequestHead(
            **line._asdict(),
            is_plain=_PLAIN_PATH.fullmatch(line.path) is not None,
            host=None if framing.host is None else framing.host.decode(),
            keep_alive=self._serving,
            upgrade=upgrade,
            expect_continue=is_modern and has_body and framing.expect_continue,
            chunked=framing.chunked,
            content_length=framing.content_length,
            has_body=has_body,
            raw_headers=tuple(section.fields),
            _headers=None,
        )
        self._begin_body(framing)
        return head

    def _check_head(self, line: _RequestLine, framing: _Framing) -> None:
        if framing.host is None and line.version != HttpVersion10:
            raise self._refuse("Host is missing")
        self._check_framing(framing, line.version)
        if line.method == "CONNECT" and (framing.chunked or framing.content_length):
            raise self._refuse("CONNECT with content")
        if framing.expect_other is not None and line.version != HttpVersion10:
            raise self._refuse(f"expectation is not 100-continue: {_show(framing.expect_other)}", status=417)

    def _message_ended(self) -> None:
        self._empty_line = 0
        self._line = None


class _RequestLine(NamedTuple):
    method: str
    target: str
    version: HttpVersion
    path: str
    query: str
    authority: str | None
    scheme: str | None


class ResponseParser(_Parser[ResponseHead]):
    """Read responses from the bytes of one connection, whatever way they were cut.

    Args:
        limits: what bounds a message; every error of size names the field to raise.
        chunk_marks: give each chunk's bytes by themselves, and ``CHUNK_END`` after each.

    Source: RFC 9112, strict where it allows both.
    """

    __slots__ = ("_expected", "_interims", "_line")

    _kind = _STATUS_LINE
    _first_row = "response start"

    def __init__(self, limits: Limits = DEFAULT_LIMITS, *, chunk_marks: bool = False) -> None:
        super().__init__(limits, chunk_marks=chunk_marks)
        self._expected: list[str] = []
        self._interims = 0
        self._line: tuple[HttpVersion, int, str] | None = None

    def expect(self, method: str) -> None:
        """Say that a request was sent: the next response that nobody waits for yet answers it.

        Args:
            method: the request's; HEAD's answer has no body, a 2xx to CONNECT pauses the parser.
        """
        self._expected.append(method)

    @property
    def is_idle(self) -> bool:
        """Whether no byte of a response was seen since the last one ended."""
        return self._interims == 0 and super().is_idle

    def _may_start(self) -> bool:
        if not self._expected:
            raise self._refuse("response that no request asked for")
        return True

    def _expects_more(self) -> bool:
        return bool(self._expected)

    def _end_start_line(self, section: _Section) -> None:
        major, minor = section.cut("response slash", "response dot"), section.cut("response dot", "response space")
        status = section.cut("response space", "status end")
        reason = section.cut("status end", "reason") if "reason" in section.marks else b""
        if major != b"1":
            raise self._refuse(f"HTTP version {major.decode()}.{minor.decode()} is not 1.0 or 1.1")
        if status < b"100":
            raise self._refuse(f"status {status.decode()} is below 100")
        self._line = HttpVersion10 if minor == b"0" else HttpVersion11, int(status), _decode(reason)

    def _end_field(self, framing: _Framing, name: bytes, value: bytes) -> None:
        self._read_framing(framing, name.lower(), value)

    def _end_head(self, section: _Section, framing: _Framing) -> ResponseHead:
        assert self._line is not None
        version, status, reason = self._line
        self._check_framing(framing, version)
        upgrade = status == 101
        is_interim = status < 200 and not upgrade
        if upgrade:
            self._check_upgrade(framing, version)
        if is_interim:
            self._count_interim()
        tunnel = self._expected[0] == "CONNECT" and 200 <= status < 300
        bodiless = status < 200 or tunnel or status in (204, 304) or self._expected[0] == "HEAD"
        until_eof = not (bodiless or framing.chunked or framing.content_length is not None)
        head = ResponseHead(
            version=version,
            status=status,
            reason=reason,
            is_interim=is_interim,
            keep_alive=_keeps_alive(framing, version) and not until_eof,
            upgrade=upgrade,
            chunked=framing.chunked,
            content_length=framing.content_length,
            has_body=not bodiless and framing.content_length != 0,
            raw_headers=tuple(section.fields),
            _headers=None,
        )
        if not is_interim:
            self._serving = head.keep_alive
            self._pausing = upgrade or tunnel
            self._begin_body_of(framing, bodiless=bodiless, until_eof=until_eof)
        return head

    def _begin_body_of(self, framing: _Framing, *, bodiless: bool, until_eof: bool) -> None:
        if bodiless:
            self._state = _State.END
        elif until_eof:
            self._state = _State.BODY_UNTIL_EOF
        else:
            self._begin_body(framing)

    def _check_upgrade(self, framing: _Framing, version: HttpVersion) -> None:
        """Source: RFC 9110 section 7.8."""
        if version == HttpVersion10 or not (framing.upgrade and framing.upgrade_field):
            raise self._refuse("status 101 without an upgrade")

    def _count_interim(self) -> None:
        self._interims += 1
        if self._interims > MAX_INTERIM_RESPONSES:
            raise self._refuse(f"over {MAX_INTERIM_RESPONSES} interim responses to one request")

    def _message_ended(self) -> None:
        self._interims = 0
        self._line = None
        del self._expected[0]


# -- what goes out -----------------------------------------------------------------------------------------------------

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VISIBLE: Final = re.compile(r"[\x21\x22\x24-\x7e]+")


def check_field(name: str, value: str) -> None:
    """Refuse a field that can't be sent.

    Raises:
        LocalProtocolError: the name is not a token, or the value has a control character other than HTAB, or a
            surrogate that stands for no byte.

    Source: RFC 9110 section 5.
    """
    _encode_field(name, value)


def _encode_field(name: str, value: str) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"field name is not a str: {name!r}")
    if _TOKEN.fullmatch(name) is None:
        raise LocalProtocolError(f"field name is not a token: {name!a}")
    if not isinstance(value, str):
        raise TypeError(f"field {name!r} takes a str, not {type(value).__name__}")
    return b"%b: %b\r\n" % (name.encode(), _encode_text(value, f"value of field {name!r}"))


def _encode_text(text: str, what: str) -> bytes:
    if _CONTROL.search(text) is not None:
        raise LocalProtocolError(f"{what} has a control character: {text!a}")
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise LocalProtocolError(f"{what} has a lone surrogate: {text!a}") from None


def make_status_line(version: HttpVersion, status: int, reason: str) -> bytes:
    r"""Make a status line, with its CRLF: ``b"HTTP/1.1 200 OK\r\n"``.

    Raises:
        LocalProtocolError: the status is not of three digits from 100, or the reason has a control character.

    Source: RFC 9112 section 4.
    """
    if not 100 <= status <= 999:
        raise LocalProtocolError(f"status is not from 100 to 999: {status}")
    return b"HTTP/%d.%d %d %b\r\n" % (version[0], version[1], status, _encode_text(reason, "reason phrase"))


def serialize_fields(headers: MultiMapping[str]) -> bytes:
    r"""Make complete field lines, such as go out with many heads: ``b"Accept: */*\r\n"``.

    Raises:
        LocalProtocolError: a field can't be sent; see :func:`check_field`.
    """
    return b"".join([_encode_field(name, value) for name, value in headers.items()])


def serialize_request_head(
    method: str, target: str, version: HttpVersion, headers: MultiMapping[str] | None, automatic: bytes = b""
) -> bytes:
    """Make a request line and its fields, with the blank line.

    Args:
        method: a token.
        target: what stands for the resource; RFC 9112 section 3.2.
        version: of HTTP.
        headers: fields in their order; None for none.
        automatic: complete field lines that follow, as :func:`serialize_fields` makes them; not checked.

    Raises:
        LocalProtocolError: the method is not a token, the target is not visible ASCII without a fragment, or a field
            can't be sent; see :func:`check_field`.

    Source: RFC 9112 section 3.
    """
    if _TOKEN.fullmatch(method) is None:
        raise LocalProtocolError(f"method is not a token: {method!a}")
    if _VISIBLE.fullmatch(target) is None:
        raise LocalProtocolError(f"target is not visible ASCII without a fragment: {target!a}")
    line = b"%b %b HTTP/%d.%d\r\n" % (method.encode(), target.encode(), version[0], version[1])
    fields = b"" if headers is None else serialize_fields(headers)
    return b"".join((line, fields, automatic, b"\r\n"))


def serialize_response_head(  # noqa: PLR0917  # by position on the hot path
    status_line: bytes,
    headers: MultiMapping[str] | None,
    content_type: str | None,
    content_length: int,
    automatic: bytes,
    body: bytes | None = None,
) -> bytes:
    """Make a response's head, and a body that is at hand, as one piece.

    Args:
        status_line: with its CRLF, as :func:`make_status_line` makes it.
        headers: fields in their order; None for none.
        content_type: value of a Content-Type that follows them; None for none.
        content_length: value of a Content-Length that follows; none where negative.
        automatic: complete field lines that follow, like Date and Server; not checked.
        body: bytes after the blank line.

    Raises:
        LocalProtocolError: a field can't be sent; see :func:`check_field`.
    """
    parts = [status_line]
    if headers is not None:
        parts += [_encode_field(name, value) for name, value in headers.items()]
    if content_type is not None:
        parts.append(_encode_field("Content-Type", content_type))
    if content_length >= 0:
        parts.append(b"Content-Length: %d\r\n" % content_length)
    parts += (automatic, b"\r\n")
    if body is not None:
        parts.append(body)
    return b"".join(parts)


#: Fields that decide how a message is sent, or would be sent twice.
_DECIDING: Final = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})


def serialize_plain_response(
    status_line: bytes, headers: MultiMapping[str] | None, content_type: str | None, automatic: bytes, body: bytes
) -> bytes | None:
    """Make a whole response, its Content-Length from its body; None where ``headers`` has a say in how it is sent.

    Args:
        status_line: with its CRLF, as :func:`make_status_line` makes it.
        headers: fields in their order; None for none.
        content_type: value of a Content-Type that follows them; None for none.
        automatic: complete field lines that follow, like Date and Server; not checked.
        body: bytes after the blank line.

    Returns:
        The response; None where ``headers`` has Connection, Content-Length, Date, Server or Transfer-Encoding.

    Raises:
        LocalProtocolError: a field can't be sent; see :func:`check_field`.
    """
    if headers is not None:
        for name in headers:
            _encode_field(name, "")
            if name.lower() in _DECIDING:
                return None
    return serialize_response_head(status_line, headers, content_type, len(body), automatic, body)


def make_chunk_line(size: int) -> bytes:
    r"""Make the line that goes before a chunk of ``size`` bytes, at least 1: ``b"5\r\n"``.

    Raises:
        LocalProtocolError: the size is below 1: a chunk of 0 bytes would end the body.

    Source: RFC 9112 section 7.1.
    """
    if size < 1:
        raise LocalProtocolError(f"chunk size is below 1: {size}")
    return b"%x\r\n" % size


# -- connections -------------------------------------------------------------------------------------------------------


class ServiceBase:
    """What a server has that every request needs; ``corelet.connection.Service`` has the rest.

    Attributes:
        handler: answers a request.
        request_factory: makes a request of head, content and connection.
        empty_content: the content of requests that have none.
        make_task: makes the task of a coroutine, and may start it at once.
        prepare_response: runs before the head of every response, or None.
        request_started, request_finished: slots of instruments, or None.
        access_logger: told of every answer, or None.
        automatic_fields: Date and Server, as of the last tick.
        now: the loop's time at the last tick, in seconds; deadlines are made of it.
        keepalive_seconds: that a connection may be idle.
        is_stopping: answers say ``Connection: close`` from now on.
    """

    __slots__ = (
        "access_logger",
        "automatic_fields",
        "empty_content",
        "handler",
        "is_stopping",
        "keepalive_seconds",
        "make_task",
        "now",
        "prepare_response",
        "request_factory",
        "request_finished",
        "request_started",
    )

    handler: Callable[[Any], Awaitable[Any]]
    request_factory: Callable[[RequestHead, Any, Any], Any]
    empty_content: Any
    make_task: Callable[[Coroutine[Any, Any, None]], Any]
    prepare_response: Callable[[Any, Any], Awaitable[None]] | None
    request_started: Callable[..., None] | None
    request_finished: Callable[..., None] | None
    access_logger: Any
    automatic_fields: bytes
    now: float
    keepalive_seconds: float
    is_stopping: bool


class ConnectionBase(ABC):
    """The part of a server connection that every request passes without a wait: from bytes to the start of a handler.

    ``corelet.connection.Connection`` has the rest, what may wait and what is rare. The two are one object, and share
    its attributes and steps that begin with an underscore.
    """

    __slots__ = (
        "_has_eof",
        "_in_head",
        "_is_reading_paused",
        "_is_receiving",
        "_is_writing_paused",
        "_out",
        "_parser",
        "_request",
        "_service",
        "_takes_plain",
        "_task",
        "_transport",
        "_upgraded",
        "automatic_fields",
        "deadline",
        "keep_alive",
        "prepare_response",
    )

    def __init__(self, service: Any) -> None:
        self._service = service
        self._transport: Any = None
        # Made with the first bytes: thousands of silent connections cost less.
        self._parser: RequestParser | None = None
        self._request: Any = None
        self._task: Any = None
        self._upgraded: Any = None
        # What was made and not written yet; None while nothing is collected.
        self._out: list[bytes] | None = None
        self._in_head = True
        self._is_receiving = False
        self._has_eof = False
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._takes_plain = False
        self.deadline = NEVER
        self.keep_alive = False
        self.automatic_fields = b""
        self.prepare_response: Any = service.prepare_response

    @property
    def is_simple(self) -> bool:
        """Whether an answer that is plain itself can be sent as it is, and nobody wants to see it before."""
        return self._takes_plain and self.keep_alive and self.prepare_response is None

    def data_received(self, data: bytes) -> None:
        """Take bytes and do with them what can be done at once."""
        if self._upgraded is not None:
            self._upgraded.data_received(data)
            return
        parser = self._parser or self._make_parser()
        if parser is None:
            return
        parser.feed_data(data)
        if self._is_receiving:
            self._receive(parser)
            if self._is_receiving:
                return
        elif self._request is None and not self._is_writing_paused:
            self.serve()
        if self._request is not None or self._is_writing_paused:
            self._bound_backlog(parser)

    def serve(self) -> None:
        """Answer what has been read, until a handler waits or nothing is left. A burst is answered with few writes."""
        while self._request is None and not self._is_receiving and not self._is_writing_paused:
            parser = self._parser
            if parser is None:
                break
            head: Any  # a RequestHead or PAUSED: nothing else stands between messages
            try:
                head = parser.next_event()
            except RemoteProtocolError as exc:
                self._refuse(exc)
                break
            if head is None:
                self._wait_for_head(parser)
                break
            if head is PAUSED:
                parser.resume()
                continue
            is_last = not parser.buffered
            if self._out is None and not is_last:
                self._out = []
            self._start(parser, head)
            if is_last and self._out is None and not self._is_reading_paused and not self._has_eof:
                return
            if self._out is not None and len(self._out) >= BURST:
                self._uncork()
        self._uncork()

    def _start(self, parser: RequestParser, head: RequestHead) -> None:
        service = self._service
        self._in_head = False
        self.deadline = NEVER
        self.automatic_fields = service.automatic_fields
        self._takes_plain = head.is_simple
        self.keep_alive = head.keep_alive and not service.is_stopping
        if head.has_body:
            content = self._start_content(parser, head)
            if content is None:
                return
        else:
            parser.next_event()
            content = service.empty_content
        if self._has_eof and not parser.buffered:
            self.keep_alive = False
        try:
            request = self._request = service.request_factory(head, content, self)
        except Exception as exc:  # noqa: BLE001  # a factory of somebody's own may raise anything
            self._end_without_request(exc)
            return
        if service.request_started is not None:
            service.request_started(request)
        try:
            task = service.make_task(self._answer(request, service.handler, service.access_logger))
        except (SystemExit, KeyboardInterrupt) as exc:
            self._ask_to_stop(exc)
            return
        if self._request is None:
            return  # the task has run to its end, started eagerly
        self._task = task
        task.add_done_callback(self._end_task)

    def send_answer(self, data: bytes) -> None:
        """Write a whole answer, or collect it where a burst is being answered."""
        if self._out is not None:
            self._out.append(data)
        elif self._transport is not None:
            self._transport.write(data)

    def finish(self, request: Any, response: Any) -> None:
        """Take note that a request has been answered; by None where the connection has to end."""
        service = self._service
        if service.request_finished is not None:
            service.request_finished(request, response)
        self._request = None
        self._task = None
        if response is None or not self.keep_alive or self._is_receiving or self._upgraded is not None:
            self._end_specially(response)
        else:
            self.deadline = service.now + service.keepalive_seconds

    # What a connection has besides.

    @abstractmethod
    def _make_parser(self) -> RequestParser | None: ...

    @abstractmethod
    def _receive(self, parser: RequestParser) -> None: ...

    @abstractmethod
    def _bound_backlog(self, parser: RequestParser) -> None: ...

    @abstractmethod
    def _wait_for_head(self, parser: RequestParser) -> None: ...

    @abstractmethod
    def _refuse(self, error: RemoteProtocolError) -> None: ...

    @abstractmethod
    def _start_content(self, parser: RequestParser, head: RequestHead) -> Any: ...

    @abstractmethod
    def _end_without_request(self, exc: Exception) -> None: ...

    @abstractmethod
    def _answer(self, request: Any, handler: Any, access_logger: Any) -> Coroutine[Any, Any, None]: ...

    @abstractmethod
    def _ask_to_stop(self, exc: BaseException) -> None: ...

    @abstractmethod
    def _end_task(self, task: Any) -> None: ...

    @abstractmethod
    def _end_specially(self, response: Any) -> None: ...

    @abstractmethod
    def _uncork(self) -> None: ...
