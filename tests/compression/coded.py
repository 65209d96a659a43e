"""Code and decode whole contents, for tests."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from corelet.abc import ContentCoding

STEP_BYTES = 65_536
#: The brotli library gives up to a block more than it was asked for.
SLACK_BYTES = 65_536


def encode(coding: ContentCoding, content: bytes, level: int | None = None) -> bytes:
    encoder = coding.make_encoder(level)
    return encoder.encode(content) + encoder.finish()


def decode(coding: ContentCoding, *pieces: bytes, step: int = STEP_BYTES) -> bytes:
    """Decode as a reader does, and hold the decoder to its bounds."""
    decoder = coding.make_decoder(step)
    content = []
    for piece in pieces:
        content.append(decoder.decode(piece))
        while decoder.has_more:
            content.append(decoder.decode(b""))
    decoder.finish()
    assert max(map(len, content), default=0) <= step + (SLACK_BYTES if coding.name == "br" else 0)
    return b"".join(content)


@contextmanager
def traced_memory() -> Iterator[Callable[[], int]]:
    """Give what tells the most bytes that were held at once since the start, beyond those held then."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
