"""Conditional requests and ranges: what is answered about a file that is there.

Source: RFC 9110 section 13.2.2 for the order of conditions, section 14 for ranges.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from corelet.fields import ETAG_ANY, ETag, parse_etags, parse_http_date

if TYPE_CHECKING:
    from corelet.web import BaseRequest

#: The fields that make an answer another one.
_FIELDS: Final = ("Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since")
_SAFE: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class State:
    """The state of a file: what conditions are compared with.

    Args:
        etag: the value of its strong entity tag.
        modified: when it was changed last, in seconds since 1970.
        size: its bytes.
    """

    etag: str
    modified: float
    size: int

    @property
    def modified_second(self) -> int:
        """What Last-Modified says: a part of a second counts as the next one."""
        return math.ceil(self.modified)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is answered.

    Args:
        status: 200, 206, 304, 412 or 416.
        start: where the content begins.
        count: bytes of it.
    """

    status: int
    start: int = 0
    count: int = 0


def judge(request: BaseRequest, state: State) -> Verdict:
    """Decide what a GET or HEAD is answered. Source: RFC 9110 section 13.2.2."""
    headers = request.headers
    if not any(name in headers for name in _FIELDS):
        return Verdict(200, 0, state.size)
    if not _meets_preconditions(request, state):
        return Verdict(412)
    if _is_known(request, state):
        return Verdict(304 if request.method in _SAFE else 412)
    # Ranges are defined for GET only. Source: RFC 9110 section 14.2.
    if request.method == "GET" and "Range" in headers and _is_range_wanted(request, state):
        return _find_range(request, state.size)
    return Verdict(200, 0, state.size)


def _meets_preconditions(request: BaseRequest, state: State) -> bool:
    tags = request.if_match
    if tags is not None:
        return _has_tag(tags, state.etag, is_weak=False)
    date = request.if_unmodified_since
    return date is None or state.modified_second <= date.timestamp()


def _is_known(request: BaseRequest, state: State) -> bool:
    tags = request.if_none_match
    if tags is not None:
        return _has_tag(tags, state.etag, is_weak=True)
    date = request.if_modified_since
    return date is not None and request.method in _SAFE and state.modified_second <= date.timestamp()


def _has_tag(tags: tuple[ETag, ...], value: str, *, is_weak: bool) -> bool:
    if tags == (ETag(ETAG_ANY),):
        return True
    return any(tag.value == value and (is_weak or not tag.is_weak) for tag in tags)


def _is_range_wanted(request: BaseRequest, state: State) -> bool:
    """Whether If-Range names the state that is there; without it any will do. Source: RFC 9110 section 13.1.5."""
    field = request.headers.get("If-Range")
    if field is None:
        return True
    date = parse_http_date(field)
    if date is None:
        return _has_tag(tuple(tag for tag in parse_etags(field) if tag.value != ETAG_ANY), state.etag, is_weak=False)
    # A file that was changed in this very second may change again in it. Source: RFC 9110 section 8.8.2.2.
    return date.timestamp() == state.modified_second < time.time()


def _find_range(request: BaseRequest, size: int) -> Verdict:
    try:
        wanted = request.http_range
    except ValueError:
        field = request.headers.get("Range", "").lower()
        # Another unit, or several ranges: whoever doesn't know them sends the whole. Source: RFC 9110 section 14.2.
        if not field.startswith("bytes=") or "," in field:
            return Verdict(200, 0, size)
        return Verdict(416)
    start, stop, _ = wanted.indices(size)
    return Verdict(206, start, stop - start) if start < stop else Verdict(416)
