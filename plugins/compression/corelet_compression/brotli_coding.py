"""br, by the ``brotli`` package."""

from __future__ import annotations

from typing import Any, Final

from corelet import ContentDecodingError
from corelet.abc import AbstractDecoder, AbstractEncoder, ContentCoding

from .zlib_coding import check_level

#: What is as quick as gzip's level 6 and smaller. Cloudflare's for what is made on the fly.
DEFAULT_LEVEL: Final = 4
#: A window of 512 KiB, nginx's ``brotli_window``: the library's 4 MiB are for files.
_WINDOW_BITS: Final = 19


def is_usable(brotli: Any) -> bool:
    """Whether the package can bound what it decodes: from 1.2 on."""
    return hasattr(brotli.Decompressor, "can_accept_more_data")


class BrotliCoding(ContentCoding):
    """Source: RFC 7932.

    Args:
        brotli: the package.
    """

    name = "br"

    def __init__(self, brotli: Any) -> None:
        self._brotli = brotli

    def make_encoder(self, level: int | None = None) -> AbstractEncoder:
        quality = check_level(self.name, level, DEFAULT_LEVEL, 11)
        return BrotliEncoder(self._brotli.Compressor(quality=quality, lgwin=_WINDOW_BITS))

    def make_decoder(self, max_bytes: int) -> AbstractDecoder:
        return BrotliDecoder(self._brotli, max_bytes)


class BrotliEncoder(AbstractEncoder):
    """Code by a ``brotli.Compressor``."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def encode(self, data: bytes) -> bytes:
        coded: bytes = self._stream.process(data)
        return coded

    def flush(self) -> bytes:
        coded: bytes = self._stream.flush()
        return coded

    def finish(self) -> bytes:
        coded: bytes = self._stream.finish()
        return coded


class BrotliDecoder(AbstractDecoder):
    """Decode by a ``brotli.Decompressor``; a call gives up to a block of the library's more than ``max_bytes``."""

    __slots__ = ("_error", "_has_begun", "_max_bytes", "_may_have_more", "_stream")

    def __init__(self, brotli: Any, max_bytes: int) -> None:
        self._error = brotli.error
        self._stream = brotli.Decompressor()
        self._max_bytes = max_bytes
        self._has_begun = False
        # The library may hold content of what it has taken, and say that it takes more: who asks once more knows.
        self._may_have_more = False

    @property
    def has_more(self) -> bool:
        return (self._may_have_more or not self._stream.can_accept_more_data()) and not self._stream.is_finished()

    def decode(self, data: bytes) -> bytes:
        if data and self._stream.is_finished():
            raise ContentDecodingError("bytes follow the end of the br content")
        self._has_begun = self._has_begun or bool(data)
        try:
            content: bytes = self._stream.process(data, output_buffer_limit=self._max_bytes)
        except self._error as exc:
            raise ContentDecodingError(f"the content is no br, or damaged: {exc}") from exc
        self._may_have_more = bool(content)
        return content

    def finish(self) -> None:
        if self._has_begun and not self._stream.is_finished():
            raise ContentDecodingError("the br content was cut short")
