"""Decode what comes in members: whole streams behind each other, as gzip and zstd have them.

A peer may send tens of thousands of empty members in a megabyte, so nothing here copies the rest of the input for each
of them: a new member is given little at first, and more as it goes on. A call decodes some of them only: each takes its
time, however small it is.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from typing import Any, Final

from corelet import ContentDecodingError
from corelet.abc import AbstractDecoder

#: Coded bytes that a member gets at first, and at most, in one step.
_FIRST_STEP: Final = 1024
_LARGEST_STEP: Final = 16_384
#: Steps of one call: what is not made of tiny members needs some five, and so many take one or two milliseconds.
_MOST_STEPS: Final = 100


class MemberDecoder(AbstractDecoder):
    """Decode members, giving at most ``max_bytes`` a call.

    A subclass says how a member is opened and fed.
    """

    __slots__ = ("_is_full", "_is_starved", "_max_bytes", "_parts", "_step", "_stream", "has_ended_member")

    #: The coding's name, for errors.
    name: str
    #: What the library raises for bad input.
    error: type[Exception]

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._parts: deque[memoryview] = deque()
        self._stream: Any = None
        # Whether the stream may give more without getting more.
        self._is_full = False
        # Whether what is kept can't be decoded without more behind it.
        self._is_starved = False
        #: Whether a member is complete.
        self.has_ended_member = False
        self._step = _FIRST_STEP

    @abstractmethod
    def _open(self, start: bytes) -> tuple[Any, bytes]:
        """Open the member that starts so, and give what to feed it; None for the stream where more bytes are needed."""

    @abstractmethod
    def _feed(self, stream: Any, data: bytes, room: int) -> tuple[bytes, bytes, bool]:
        """Feed a member; what it gives, what of the data it hasn't taken, and whether it may give more by itself."""

    @property
    def has_more(self) -> bool:
        return self._is_full or (bool(self._parts) and not self._is_starved)

    def decode(self, data: bytes) -> bytes:
        if data:
            self._parts.append(memoryview(data))
            self._is_starved = False
        pieces: list[bytes] = []
        room = self._max_bytes
        try:
            for _ in range(_MOST_STEPS):
                if room <= 0 or not self.has_more:
                    break
                piece = self._take_step(room)
                pieces.append(piece)
                room -= len(piece)
        except self.error as exc:
            raise ContentDecodingError(f"the content is no {self.name}, or damaged: {exc}") from exc
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_step(self, room: int) -> bytes:
        chunk = b"" if self._is_full else self._take_part()
        if self._stream is None:
            self._stream, chunk = self._open(chunk)
            if self._stream is None:
                self._put_back(chunk)
                return b""
        piece, rest, self._is_full = self._feed(self._stream, chunk, room)
        if rest:
            self._parts.appendleft(memoryview(rest))
        if self._stream.eof:
            self._stream = None
            self.has_ended_member = True
            self._is_full = False
            self._step = _FIRST_STEP
        else:
            self._step = min(self._step * 2, _LARGEST_STEP)
        return piece

    def _put_back(self, chunk: bytes) -> None:
        """Keep a start that is too short to open a member, together with what is behind it."""
        if not chunk:
            return
        self._is_starved = not self._parts
        self._parts.appendleft(memoryview(chunk if self._is_starved else chunk + self._take_part()))

    def _take_part(self) -> bytes:
        part = self._parts.popleft()
        if len(part) > self._step:
            self._parts.appendleft(part[self._step :])
        return bytes(part[: self._step])

    def finish(self) -> None:
        if self._stream is not None or self._parts:
            raise ContentDecodingError(f"the {self.name} content was cut short")
