"""Route patterns: text with variables, read once, matched against paths and filled to make URLs.

    pattern  = "" | "/" followed by text and variables
    variable = "{name}" | "{name:expression}"

``{name}`` stands for one or more characters other than ``{``, ``}`` and ``/``. An expression is one of Python's ``re``;
its braces must be balanced or escaped, and it may match slashes. The empty pattern is ``/``, unless it gets a prefix.

Patterns and paths are compared decoded: ``/é``, ``/%C3%A9`` and ``/%c3%a9`` are one path, and an expression sees ``é``.
Two escapes stay as they are until a value is taken out, ``%2F`` and ``%25``: so a slash inside a value never separates
segments, and no path is decoded twice.
"""

from __future__ import annotations

import enum
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from yarl import URL

#: What ``{name}`` matches.
DEFAULT_EXPRESSION: Final = "[^{}/]+"

_NAME: Final = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*")
_ANGLED: Final = re.compile(r"<(?:\w+:)?(?P<name>\w+)>")
_BRACE: Final = re.compile(r"[{}]")
_ESCAPE_OR_BRACE: Final = re.compile(r"\\.|[{}]", re.DOTALL)

#: Expressions that can't match a slash: a conservative list, whatever it doesn't know may match one.
_WITHIN_SEGMENT: Final = re.compile(
    r"""(?:
      [^][\\/.^$(){}*+?|]                               # a character that stands for itself
    | \\(?: [dws] | [^A-Za-z0-9/] )                     # a class without the slash, an escaped sign
    | \[ -? (?: [A-Za-z0-9]-[A-Za-z0-9] | [^][\\/^-]    # a set without a slash: ranges, single characters,
        | \\(?: [dws] | [^A-Za-z0-9/] ) )+ -? \]        #   classes and escaped signs
    | \[\^ (?: [^]\\/] | \\. )* / (?: [^]\\] | \\. )* \]  # everything but a set with the slash
    | \( (?!\?) | \(\?: | \) | \|                       # groups and alternatives
    | [*+?] | \{ [0-9,]* \}                             # repetition
    )*+""",
    re.VERBOSE | re.DOTALL,
)


class Variable(NamedTuple):
    """A variable of a pattern."""

    name: str
    expression: re.Pattern[str]

    @property
    def is_default(self) -> bool:
        """Whether it was written ``{name}``."""
        return self.expression.pattern == DEFAULT_EXPRESSION

    @property
    def may_be_empty(self) -> bool:
        """Whether its value may be empty."""
        return self.expression.fullmatch("") is not None

    @property
    def is_within_segment(self) -> bool:
        """Whether its value is known to hold no slash."""
        return self.is_default or _WITHIN_SEGMENT.fullmatch(self.expression.pattern) is not None


class Ends(NamedTuple):
    """The fixed text at both ends of something that varies."""

    start: str
    end: str


class Wild(enum.Enum):
    """A whole segment that is one variable, and not empty."""

    WILD = "{}"


WILD: Final = Wild.WILD

#: What a lookup knows of one segment: its text, that it is any, or how it starts and ends.
Segment = str | Wild | Ends


def decode_path(path: str) -> str:
    """Decode the percent-encoding of a path, all but ``%2F`` and ``%25``.

    Args:
        path: a path with its percent-encoding, without query.

    Returns:
        What patterns are matched against. Bytes that are no UTF-8 stay percent-encoded.

    Source: RFC 3986 section 2.4, which forbids to decode twice.
    """
    return URL.build(path=path, encoded=True).path_safe if "%" in path else path


def decode_value(value: str) -> str:
    """Decode what :func:`decode_path` left."""
    return value.replace("%2F", "/").replace("%25", "%")


def requote(text: str) -> str:
    """Percent-encode what a path can't hold, and leave what is encoded already."""
    return URL("./" + text.replace("?", "%3F").replace("#", "%23")).raw_path[2:]


def _quote_value(value: str, expression: re.Pattern[str]) -> str:
    quoted = URL.build(path="/" + value).raw_path[1:]
    if "/" in value and not expression.fullmatch(value.replace("%", "%25")):
        return quoted.replace("/", "%2F")
    return quoted


class Pattern:
    """A route pattern.

    Args:
        text: the pattern as described at the head of this module.

    Raises:
        ValueError: the pattern is malformed; the message names it and the place.
    """

    __slots__ = ("expression", "parts", "positions", "segments", "tail", "text")

    def __init__(self, text: str) -> None:
        if text and not text.startswith("/"):
            raise ValueError(f"malformed route pattern {text!r}: it must start with '/' or be empty")
        #: The pattern as it was written.
        self.text = text
        #: Text as it stands in a URL, and variables.
        self.parts = tuple(_read_parts(text or "/"))
        #: Matches decoded paths.
        self.expression = self._make_expression()
        #: What is known of each segment after the first slash; of a pattern with a tail, the segments before it.
        self.segments, self.tail = _split(self.parts)
        #: Where the variables stand in ``path.split("/")``, if each is a whole ``{name}`` segment; else None.
        self.positions = self._find_positions()

    @property
    def is_plain(self) -> bool:
        """Whether the pattern has no variables and so matches one path only."""
        return not any(isinstance(part, Variable) for part in self.parts)

    @property
    def plain_path(self) -> str:
        """The decoded path that a plain pattern matches."""
        return decode_path("".join(part for part in self.parts if isinstance(part, str)))

    @property
    def formatter(self) -> str:
        """The pattern without the expressions, for people: ``/users/{id}``."""
        return "".join(part if isinstance(part, str) else f"{{{part.name}}}" for part in self.parts)

    def match(self, path: str) -> dict[str, str] | None:
        """Match a path.

        Args:
            path: what :func:`decode_path` made of it.

        Returns:
            Decoded values by the names of the variables; None if the path doesn't match.
        """
        found = self.expression.fullmatch(path)
        if found is None:
            return None
        values = found.groupdict("")
        return {name: decode_value(value) for name, value in values.items()} if "%" in path else values

    def build(self, values: Mapping[str, str]) -> URL:
        """Make the URL whose match gives these values.

        A slash in a value stays one where the variable's expression matches it, and becomes ``%2F`` elsewhere. The path
        never starts with two slashes unless the pattern does: a URL made of values can't lead to another host.

        Args:
            values: a value for each variable, not percent-encoded.

        Returns:
            A relative URL with an absolute path.

        Raises:
            KeyError: a variable has no value.
            TypeError: a value is not a str.
        """
        path = "".join(part if isinstance(part, str) else _fill(part, values) for part in self.parts)
        if path.startswith("//") and not self.text.startswith("//"):
            path = "/%2F" + path[2:]
        return URL.build(path=path, encoded=True)

    def _make_expression(self) -> re.Pattern[str]:
        names = [part.name for part in self.parts if isinstance(part, Variable)]
        double = next((name for name, count in Counter(names).items() if count > 1), None)
        if double is not None:
            raise ValueError(f"malformed route pattern {self.text!r}: variable {double!r} stands there twice")
        source = "".join(
            re.escape(decode_path(part)) if isinstance(part, str) else f"(?P<{part.name}>{part.expression.pattern})"
            for part in self.parts
        )
        try:
            return re.compile(source)
        except re.error as error:
            raise ValueError(f"malformed route pattern {self.text!r}: its expressions disagree: {error}") from error

    def _find_positions(self) -> tuple[tuple[str, int], ...] | None:
        variables = [part for part in self.parts if isinstance(part, Variable)]
        are_default = all(variable.is_default for variable in variables)
        if not are_default or any(isinstance(segment, Ends) for segment in self.segments):
            return None
        places = [place for place, segment in enumerate(self.segments, 1) if segment is WILD]
        return tuple((variable.name, place) for variable, place in zip(variables, places, strict=True))


def _fill(variable: Variable, values: Mapping[str, str]) -> str:
    value = values[variable.name]
    if not isinstance(value, str):
        raise TypeError(f"value of {{{variable.name}}} must be a str, not {type(value).__name__}: {value!r}")
    return _quote_value(value, variable.expression)


def _read_parts(text: str) -> Iterator[str | Variable]:
    """Take text and variables apart, in turn; text never follows text."""
    start = 0
    while brace := _BRACE.search(text, start):
        place = brace.start()
        if brace.group() == "}":
            raise ValueError(f"malformed route pattern {text!r}: '}}' at {place} closes nothing")
        if place > start:
            yield _read_text(text, start, place)
        variable, start = _read_variable(text, place)
        yield variable
    if start < len(text):
        yield _read_text(text, start, len(text))


def _read_text(text: str, start: int, end: int) -> str:
    # No URL has these signs as they are, and other frameworks write variables with them.
    if angled := _ANGLED.search(text, start, end):
        raise ValueError(
            f"malformed route pattern {text!r}: a variable is written '{{{angled['name']}}}', not {angled.group()!r}; "
            "text in angle brackets is written with %3C and %3E"
        )
    return requote(text[start:end])


def _read_variable(text: str, place: int) -> tuple[Variable, int]:
    """Read the variable whose brace stands at ``place``; return it and where it ends."""
    name = _NAME.match(text, place + 1)
    if name is None or text[name.end() : name.end() + 1] not in ("}", ":"):
        raise ValueError(
            f"malformed route pattern {text!r}: '{{' at {place} must be followed by an identifier, then '}}' or ':'"
        )
    end = _find_closing(text, place)
    source = text[name.end() + 1 : end] if text[name.end()] == ":" else DEFAULT_EXPRESSION
    if not source:
        raise ValueError(f"malformed route pattern {text!r}: the expression of {name.group()!r} at {place} is empty")
    try:
        return Variable(name.group(), re.compile(source)), end + 1
    except re.error as error:
        raise ValueError(
            f"malformed route pattern {text!r}: the expression of {name.group()!r} at {place} is wrong: {error}"
        ) from error


def _find_closing(text: str, place: int) -> int:
    """Find the brace that closes the one at ``place``."""
    depth = 0
    for found in _ESCAPE_OR_BRACE.finditer(text, place):
        depth += {"{": 1, "}": -1}.get(found.group(), 0)
        if depth == 0 and found.group() == "}":
            return found.start()
    raise ValueError(f"malformed route pattern {text!r}: '{{' at {place} is never closed")


def _split(parts: tuple[str | Variable, ...]) -> tuple[tuple[Segment, ...], Ends | None]:
    """Split parts into segments, as far as it is known where those end.

    Returns:
        The segments after the first slash, and the tail: None, or the fixed ends of what begins in the segment of the
        first variable that may hold a slash, and reaches to the end of the path.
    """
    segments: list[list[str | Variable]] = [[]]
    for part in parts:
        if isinstance(part, str):
            first, *others = decode_path(part).split("/")
            segments[-1] += [first] if first else []
            segments += [[text] if text else [] for text in others]
        else:
            segments[-1].append(part)
            if not part.is_within_segment:
                last = parts[-1]
                tail = Ends(_text(segments.pop()[0]), decode_path(_text(last)))
                return tuple(_describe(segment) for segment in segments[1:]), tail
    return tuple(_describe(segment) for segment in segments[1:]), None


def _describe(segment: list[str | Variable]) -> Segment:
    match segment:
        case []:
            return ""
        case [str(text)]:
            return text
        case [Variable(may_be_empty=False)]:
            return WILD
        case _:
            return Ends(_text(segment[0]), _text(segment[-1]))


def _text(part: str | Variable) -> str:
    return part if isinstance(part, str) else ""
