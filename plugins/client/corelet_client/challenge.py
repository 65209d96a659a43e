"""What a server asks for in WWW-Authenticate: challenges, each a scheme with parameters.

Source: RFC 9110 section 11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

# Everything consumes what it has looked at, so that no field is looked at twice.
_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_SEPARATORS: Final = re.compile(r"[ \t,]*+").match
_PARAMETER: Final = re.compile(
    rf'({_WORD})[ \t]*+=[ \t]*+(?:"((?:[^"\\]++|\\.)*+)"|({_WORD}))[ \t]*+(?=,|\Z)', re.DOTALL
).match
_SCHEME: Final = re.compile(rf"({_WORD})(?:[ \t]++|(?=,|\Z))").match
_TOKEN68: Final = re.compile(r"[A-Za-z0-9\-._~+/]++=*+[ \t]*+(?=,|\Z)").match
_UNTIL_COMMA: Final = re.compile(r"[^,]*+").match
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(slots=True)
class Challenge:
    """One challenge.

    Args:
        scheme: in lower case.
        parameters: by names in lower case, unquoted; of two with one name the first.
    """

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Read the values of WWW-Authenticate fields; what is malformed in them is left out.

    Source: RFC 9110 sections 11.2, 11.3 and 11.6.1.
    """
    return [challenge for value in values for challenge in _parse(value)]


def _parse(value: str) -> list[Challenge]:
    challenges: list[Challenge] = []
    position = _skip(value, 0)
    while position < len(value):
        if (match := _PARAMETER(value, position)) is not None:
            if challenges:
                challenges[-1].parameters.setdefault(match[1].lower(), _unescape(match))
            position = match.end()
        elif (match := _SCHEME(value, position)) is not None:
            challenges.append(Challenge(match[1].lower()))
            position = match.end()
            if (token := _TOKEN68(value, position)) is not None:
                position = token.end()
        else:
            position = _find_comma(value, position)
        position = _skip(value, position)
    return challenges


def parse_parameters(value: str) -> dict[str, str]:
    """Read parameters without a scheme, as in Authentication-Info. Source: RFC 7615 section 3."""
    parameters: dict[str, str] = {}
    position = _skip(value, 0)
    while position < len(value):
        match = _PARAMETER(value, position)
        if match is not None:
            parameters.setdefault(match[1].lower(), _unescape(match))
        position = _skip(value, _find_comma(value, position) if match is None else match.end())
    return parameters


def _skip(value: str, position: int) -> int:
    match = _SEPARATORS(value, position)
    return position if match is None else match.end()


def _find_comma(value: str, position: int) -> int:
    match = _UNTIL_COMMA(value, position)
    return position if match is None else match.end()


def _unescape(match: re.Match[str]) -> str:
    quoted = match[2]
    if quoted is None:
        return match[3]
    return _ESCAPE.sub(r"\1", quoted) if "\\" in quoted else quoted
