"""Files that are open to be sent: opened, looked at and, where they are small, read in one go, in a thread.

Everything here waits for the disk: call it off the event loop.
"""

from __future__ import annotations

import io
import mimetypes
import os
import stat
from collections.abc import Callable, Mapping
from typing import Final

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


class OpenedFile(io.FileIO):
    """A plain file, open for reading; closed when it is forgotten.

    Attributes:
        facts: what the system said of it when it was opened.
        media_type: by its name.
        content: all of it, where it is small; the file is closed then.
        coding: the content coding of a precompressed sibling that was opened in its place; "" for none.
        has_siblings: whether there is a precompressed sibling.
    """

    def __init__(self, descriptor: int, media_type: str) -> None:
        super().__init__(descriptor)
        self.facts = os.fstat(descriptor)
        self.media_type = media_type
        self.content: bytes | None = None
        self.coding = ""
        self.has_siblings = False

    def __del__(self) -> None:
        # A response that is never sent leaves its file behind.
        self.close()

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
            self.content = self.read(self.facts.st_size) if self.facts.st_size else b""
            self.close()


def open_file(open_name: Callable[[str], int], name: str, accept: str, *, reads_small: bool) -> OpenedFile:
    """Open a file, or the precompressed sibling that the peer prefers.

    Args:
        open_name: opens the file whose name ends by what is given, "" or a suffix; a descriptor.
        name: of the file, for its media type.
        accept: the value of Accept-Encoding.
        reads_small: read it, if it is small.

    Raises:
        NotRegularError: it is no plain file.
        OSError: it can't be opened.
    """
    file = _open_regular(open_name, "", name)
    qualities = find_qualities(accept)
    for coding, suffix in SUFFIXES.items():
        try:
            sibling = _open_regular(open_name, suffix, name)
        except OSError:
            continue
        file.has_siblings = sibling.has_siblings = True
        if _is_dearer(qualities[coding], qualities[file.coding], is_first=not file.coding):
            sibling.coding = coding
            file.close()
            file = sibling
        else:
            sibling.close()
    if reads_small:
        file.read_if_small()
    return file


def _is_dearer(quality: float, other: float, *, is_first: bool) -> bool:
    # Of equals the smaller one is sent: any coding rather than none, and ours are sorted.
    return quality > other or (is_first and quality == other > 0)


def _open_regular(open_name: Callable[[str], int], suffix: str, name: str) -> OpenedFile:
    descriptor = open_name(suffix)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(f"{name} is no plain file")
    return OpenedFile(descriptor, find_media_type(name))


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
