"""The body of both fuzz targets: bytes from the fuzzer become an input, a way to cut it, and a setting.

Atheris sees into ``corelet._pure`` only; what it finds there is what ``_fast`` must do as well.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["corelet._pure"]):
    from corelet import _pure  # noqa: F401  # before others import it without instruments

from corelet.limits import DEFAULT_LIMITS
from tests.fuzz.corpus import PREFIX
from tests.fuzz.wire_trace import TIGHT_LIMITS, Setting, cut, cut_at_every_byte, find_disagreement

METHODS = ("GET", "HEAD", "CONNECT", "POST")


def fuzz(*, is_response: bool) -> None:
    """Hand over to the fuzzer; it ends the process."""

    def run_one(data: bytes) -> None:
        run_input(data, is_response=is_response)

    atheris.Setup(sys.argv, run_one)
    atheris.Fuzz()


def run_input(data: bytes, *, is_response: bool) -> None:
    """Run one input, and fail where the wires disagree."""
    if len(data) <= len(PREFIX):
        return
    flags, first, second, methods = data[: len(PREFIX)]
    message = data[len(PREFIX) :]
    setting = Setting(
        expected=tuple(METHODS[methods >> shift & 3] for shift in (0, 2, 4)) if is_response else None,
        limits=(DEFAULT_LIMITS, *TIGHT_LIMITS)[flags >> 3 & 3],
        has_chunk_marks=bool(flags & 1),
        takes_upgrades=bool(flags & 2),
        waits=bool(flags & 0x40),
        ends=bool(flags & 4),
    )
    if flags & 0x20:
        pieces = cut_at_every_byte(message)
    else:
        pieces = cut(message, sorted(len(message) * place // 255 for place in (first, second)))
    found = find_disagreement(message, pieces, setting)
    if found is not None:
        raise AssertionError(f"{message!r}\n  cut as {pieces!r}\n  {setting}\n  {found}")
