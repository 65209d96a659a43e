"""gzip and deflate, by the zlib backend."""

from __future__ import annotations

import secrets
import zlib
from typing import Any, Final

from corelet import ContentDecodingError
from corelet.abc import AbstractDecoder, AbstractEncoder, ContentCoding

from .member_decoder import MemberDecoder
from .zlib_backend import get_zlib_backend, scale_level

#: 4 % more bytes than level 6 gives, in little more than half of its time: measured for JSON of 21 KiB.
DEFAULT_LEVEL: Final = 4
GZIP_WBITS: Final = 31
ZLIB_WBITS: Final = 15
RAW_WBITS: Final = -15


def check_level(name: str, level: int | None, default: int, last: int) -> int:
    """Give the level, or the default one.

    Raises:
        ValueError: a level that the coding hasn't.
    """
    if level is None:
        return default
    if not 0 <= level <= last:
        raise ValueError(f"level of {name} is {level}, expected 0 to {last}")
    return level


class GzipCoding(ContentCoding):
    """Source: RFC 9110 section 8.4.1.3 and RFC 1952."""

    name = "gzip"

    def make_encoder(self, level: int | None = None) -> AbstractEncoder:
        return ZlibEncoder(check_level(self.name, level, DEFAULT_LEVEL, 9), GZIP_WBITS)

    def make_decoder(self, max_bytes: int) -> AbstractDecoder:
        return GzipDecoder(max_bytes)


class PaddedGzipCoding(GzipCoding):
    """gzip whose length says less about its content: its head has a file name of random length, which nobody reads.

    Args:
        max_random_bytes: how long that name may be, from 1.

    Source: "Heal The Breach" (Palacios and others, 2022), which Django's GZipMiddleware follows.
    """

    def __init__(self, max_random_bytes: int) -> None:
        self._max_random_bytes = max_random_bytes

    def make_encoder(self, level: int | None = None) -> AbstractEncoder:
        size = 1 + secrets.randbelow(self._max_random_bytes)
        return PaddedGzipEncoder(check_level(self.name, level, DEFAULT_LEVEL, 9), b"x" * size)


class DeflateCoding(ContentCoding):
    """Code in the zlib format, and decode also the raw one that some peers send. Source: RFC 9110 section 8.4.1.2."""

    name = "deflate"

    def make_encoder(self, level: int | None = None) -> AbstractEncoder:
        return ZlibEncoder(check_level(self.name, level, DEFAULT_LEVEL, 9), ZLIB_WBITS)

    def make_decoder(self, max_bytes: int) -> AbstractDecoder:
        return DeflateDecoder(max_bytes)


class ZlibEncoder(AbstractEncoder):
    """Code by a ``compressobj``.

    Args:
        level: 0 to 9.
        wbits: as zlib has it, which says the format as well.
    """

    __slots__ = ("_stream",)

    def __init__(self, level: int, wbits: int) -> None:
        backend = get_zlib_backend()
        self._stream = backend.compressobj(scale_level(backend, level), zlib.DEFLATED, wbits)

    def encode(self, data: bytes) -> bytes:
        coded: bytes = self._stream.compress(data)
        return coded

    def flush(self) -> bytes:
        coded: bytes = self._stream.flush(zlib.Z_SYNC_FLUSH)
        return coded

    def finish(self) -> bytes:
        coded: bytes = self._stream.flush(zlib.Z_FINISH)
        return coded


class PaddedGzipEncoder(ZlibEncoder):
    """Make a gzip member with a file name. Source: RFC 1952 section 2.3."""

    __slots__ = ("_checksum", "_head", "_size")

    def __init__(self, level: int, file_name: bytes) -> None:
        super().__init__(level, RAW_WBITS)
        # Deflate, with a file name, no time, no hint, unknown system.
        self._head = b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + file_name + b"\0"
        self._checksum = 0
        self._size = 0

    def encode(self, data: bytes) -> bytes:
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        head, self._head = self._head, b""
        return head + super().encode(data)

    def finish(self) -> bytes:
        trailer = self._checksum.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return self._head + super().finish() + trailer


class ZlibDecoder(MemberDecoder):
    """Feed a ``decompressobj``."""

    __slots__ = ("error",)

    def __init__(self, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self.error = get_zlib_backend().error

    def _feed(self, stream: Any, data: bytes, room: int) -> tuple[bytes, bytes, bool]:
        piece: bytes = stream.decompress(data, room)
        rest: bytes = stream.unused_data if stream.eof else stream.unconsumed_tail
        return piece, rest, len(piece) == room


class GzipDecoder(ZlibDecoder):
    """Decode gzip members behind each other; NUL bytes behind the last one are padding, as for gzip itself."""

    __slots__ = ()
    name = "gzip"

    def _open(self, start: bytes) -> tuple[Any, bytes]:
        if self.has_ended_member:
            start = start.lstrip(b"\0")
        return (get_zlib_backend().decompressobj(GZIP_WBITS) if start else None), start


class DeflateDecoder(ZlibDecoder):
    """Decode one stream, in the zlib format or raw: the first two bytes tell."""

    __slots__ = ()
    name = "deflate"

    def _open(self, start: bytes) -> tuple[Any, bytes]:
        if self.has_ended_member:
            raise ContentDecodingError("bytes follow the end of the deflate content")
        if len(start) < 2:
            return None, start
        # RFC 1950 section 2.2: method 8, a window of up to 32 KiB, and a check. No raw stream that one makes starts so.
        is_zlib = start[0] & 0x8F == 0x08 and int.from_bytes(start[:2], "big") % 31 == 0
        return get_zlib_backend().decompressobj(ZLIB_WBITS if is_zlib else RAW_WBITS), start
