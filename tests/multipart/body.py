"""Multipart bodies made by hand, and what reads them in any split."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from corelet import MultipartReader
from corelet_multipart.parser import END_OF_BODY, END_OF_PART, MultipartParser

BOUNDARY = "bound"


def part(content: bytes = b"", *lines: str) -> bytes:
    head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape")
    return head + b"\r\n" + content


def field(name: str, content: bytes = b"", *lines: str, filename: str | None = None) -> bytes:
    end = "" if filename is None else f'; filename="{filename}"'
    return part(content, f'Content-Disposition: form-data; name="{name}"{end}', *lines)


def body(*parts: bytes, boundary: str = BOUNDARY) -> bytes:
    delimiter = f"--{boundary}".encode("latin-1")
    return b"".join(b"%s\r\n%s\r\n" % (delimiter, each) for each in parts) + delimiter + b"--\r\n"


class Source:
    """A body that arrives in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    async def readany(self) -> bytes:
        await asyncio.sleep(0)
        return next((piece for piece in self._pieces if piece), b"")


def split(data: bytes, step: int) -> list[bytes]:
    return [data[at : at + step] for at in range(0, len(data), step)]


def make_reader(
    data: bytes, *, step: int | None = None, content_type: str = f"multipart/mixed; boundary={BOUNDARY}", **kwargs: Any
) -> MultipartReader:
    pieces = [data] if step is None else split(data, step)
    return MultipartReader({"Content-Type": content_type}, Source(pieces), **kwargs)


def parse(
    pieces: Iterable[bytes], boundary: str = BOUNDARY, **kwargs: Any
) -> list[tuple[list[tuple[str, str]], bytes]]:
    """Parse a body: heads and contents of its parts."""
    parser = MultipartParser(f"\r\n--{boundary}".encode("ascii"), **kwargs)
    parts: list[tuple[list[tuple[str, str]], bytes]] = []
    content: list[bytes] = []
    head: Any = None
    for piece in pieces:
        parser.feed_data(piece)
        while (event := parser.next_event()) is not None:
            if isinstance(event, bytes):
                content.append(event)
            elif event is END_OF_PART:
                parts.append((list(head.items()), b"".join(content)))
                content.clear()
            elif event is not END_OF_BODY:
                head = event
    parser.feed_eof()
    return parts
