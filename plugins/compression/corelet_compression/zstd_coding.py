"""zstd, by Python's ``compression.zstd`` (3.14) or its backport."""

from __future__ import annotations

import sys
from typing import Any, Final

from corelet.abc import AbstractDecoder, AbstractEncoder, ContentCoding

from .member_decoder import MemberDecoder
from .zlib_coding import check_level

ZSTD_MODULE: Final = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"

#: The library's own.
DEFAULT_LEVEL: Final = 3
_LAST_LEVEL: Final = 22
#: A window of 512 KiB, as for br: levels would take up to 128 MiB.
_WINDOW_BITS: Final = 19
#: A decoder takes no window over 8 MiB. Source: RFC 9659 section 3.
_MAX_WINDOW_BITS: Final = 23


class ZstdCoding(ContentCoding):
    """Source: RFC 8878 and RFC 9659.

    Args:
        zstd: the module.
    """

    name = "zstd"

    def __init__(self, zstd: Any) -> None:
        self._zstd = zstd

    def make_encoder(self, level: int | None = None) -> AbstractEncoder:
        parameter = self._zstd.CompressionParameter
        options = {
            parameter.compression_level: check_level(self.name, level, DEFAULT_LEVEL, _LAST_LEVEL),
            parameter.window_log: _WINDOW_BITS,
        }
        return ZstdEncoder(self._zstd.ZstdCompressor(options=options))

    def make_decoder(self, max_bytes: int) -> AbstractDecoder:
        return ZstdDecoder(self._zstd, max_bytes)


class ZstdEncoder(AbstractEncoder):
    """Code by a ``ZstdCompressor``."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def encode(self, data: bytes) -> bytes:
        coded: bytes = self._stream.compress(data)
        return coded

    def flush(self) -> bytes:
        coded: bytes = self._stream.flush(self._stream.FLUSH_BLOCK)
        return coded

    def finish(self) -> bytes:
        coded: bytes = self._stream.flush(self._stream.FLUSH_FRAME)
        return coded


class ZstdDecoder(MemberDecoder):
    """Decode frames behind each other; what is skippable is skipped. Source: RFC 8878 section 3.1."""

    __slots__ = ("_zstd", "error")
    name = "zstd"

    def __init__(self, zstd: Any, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._zstd = zstd
        self.error = zstd.ZstdError

    def _open(self, start: bytes) -> tuple[Any, bytes]:
        options = {self._zstd.DecompressionParameter.window_log_max: _MAX_WINDOW_BITS}
        return self._zstd.ZstdDecompressor(options=options), start

    def _feed(self, stream: Any, data: bytes, room: int) -> tuple[bytes, bytes, bool]:
        piece: bytes = stream.decompress(data, room)
        if stream.eof:
            return piece, stream.unused_data, False
        return piece, b"", not stream.needs_input
