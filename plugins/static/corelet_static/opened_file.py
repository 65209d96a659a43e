"""Files that are open to be sent: opened, looked at and, where they are small, read in one go, in a thread.

Everything here waits for the disk: call it off the event loop.
"""

from __future__ import annotations

import io
import mimetypes
import os
import stat
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from corelet.fields import parse_quality_list

#: A file of at most so many bytes is read when it is opened, and leaves with its head.
SMALL_BYTES: Final = 65_536
#: Content codings of precompressed siblings and what their names end by, the smallest first.
SUFFIXES: Final[Mapping[str, str]] = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}
#: Media types of files whose name ends by a coding: the file is sent as what it is, not as what it becomes.
_CODED_TYPES: Final = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "br": "application/octet-stream",
    "compress": "application/x-compress",
}
_OCTET_STREAM: Final = "application/octet-stream"

# A FIFO must not hold up who opens it, a terminal must not become ours; what is opened is looked at after.
OPEN_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


class NotRegularError(OSError):
    """Report something that is no plain file: a directory, a device, a FIFO, a socket."""


class Place(Protocol):
    """Where a file is, and its siblings: files whose names begin by its own."""

    def open(self, suffix: str) -> int:
        """Open the file, or with a suffix a sibling; a descriptor."""

    def has(self, suffix: str) -> bool:
        """Whether there is a sibling, or something else of that name."""


class OpenedFile:
    """A plain file, open for reading; closed when it is forgotten.

    Args:
        descriptor: of the open file.
        facts: what the system said of it when it was opened.
        coding: the content coding, where it is a precompressed sibling; "" for none.
        media_type: by the file's name.
    """

    __slots__ = ("coding", "content", "facts", "file", "has_siblings", "media_type")

    def __init__(self, descriptor: int, facts: os.stat_result, coding: str, media_type: str) -> None:
        self.facts = facts
        self.coding = coding
        self.media_type = media_type
        #: Whether there is a precompressed sibling.
        self.has_siblings = False
        #: All of it, where it is small; None else.
        self.content: bytes | None = None
        #: What it can be read from, or sent by; closed where it is small.
        self.file = io.FileIO(descriptor)

    def __del__(self) -> None:
        # A response that is never sent leaves its file behind.
        self.file.close()

    @property
    def size(self) -> int:
        """Bytes of the content; of a small file those that were read."""
        return self.facts.st_size if self.content is None else len(self.content)

    @property
    def etag(self) -> str:
        """What names this state of this file: changed with its time or its size, and another one for each coding."""
        value = f"{self.facts.st_mtime_ns:x}-{self.facts.st_size:x}"
        return f"{value}-{self.coding}" if self.coding else value

    def read_if_small(self) -> None:
        """Read all of it and close it, if it is small."""
        if self.facts.st_size <= SMALL_BYTES:
            self.content = self.file.read(self.facts.st_size) if self.facts.st_size else b""
            self.file.close()


def open_file(place: Place, name: str, accept: str, *, reads_small: bool) -> OpenedFile:
    """Open a file, or the precompressed sibling that the peer prefers.

    Args:
        place: where it is.
        name: of the file, for its media type.
        accept: the value of Accept-Encoding.
        reads_small: read it, if it is small.

    Raises:
        NotRegularError: it is no plain file.
        OSError: it can't be opened.
    """
    media_type = find_media_type(name)
    file = _open_regular(place, "", media_type)
    siblings = [coding for coding, suffix in SUFFIXES.items() if place.has(suffix)]
    if siblings:
        file = _choose_sibling(place, file, siblings, find_qualities(accept))
    if reads_small:
        file.read_if_small()
    return file


def _choose_sibling(
    place: Place, file: OpenedFile, codings: Iterable[str], qualities: Mapping[str, float]
) -> OpenedFile:
    chosen, has_siblings = file, False
    for coding in codings:
        try:
            sibling = _open_regular(place, coding, file.media_type)
        except OSError:  # no plain file, or a link
            continue
        has_siblings = True
        if _is_dearer(qualities[coding], qualities[chosen.coding], is_first=chosen is file):
            chosen = sibling
    chosen.has_siblings = has_siblings
    return chosen


def _open_regular(place: Place, coding: str, media_type: str) -> OpenedFile:
    descriptor = place.open(SUFFIXES[coding] if coding else "")
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise NotRegularError("it is no plain file")
    return OpenedFile(descriptor, facts, coding, media_type)


def _is_dearer(quality: float, other: float, *, is_first: bool) -> bool:
    # Of equals the smaller one is sent: any coding rather than none, and ours are sorted.
    return quality > other or (is_first and quality == other > 0)


def find_qualities(accept: str) -> dict[str, float]:
    """Find how much a peer wants each of our codings; under "" the content as it is, 0 where it isn't named.

    Source: RFC 9110 section 12.5.3.
    """
    asked = dict(reversed(parse_quality_list(accept)))
    others = asked.get("*", 0.0)
    qualities = {coding: asked.get(coding, others) for coding in SUFFIXES}
    qualities[""] = asked.get("identity", 0.0)
    return qualities


def find_media_type(name: str) -> str:
    """Find the media type of a file by its name; "application/octet-stream" where nobody knows it."""
    # With a directory before it a name is never taken for a URL with a scheme.
    media_type, coding = mimetypes.guess_type(f"./{name}")
    if coding is not None:
        return _CODED_TYPES.get(coding, _OCTET_STREAM)
    return media_type or _OCTET_STREAM
