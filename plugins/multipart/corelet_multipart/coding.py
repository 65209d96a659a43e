"""Codings of a part's content: base64 and quoted-printable of MIME, deflate and gzip; in both directions, in pieces.

Source: RFC 2045 section 6, RFC 9110 section 8.4.1.
"""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from .parser import MultipartError

_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
#: Bytes of a line of base64 before it is encoded: 76 characters. Source: RFC 2045 section 6.8.
_BASE64_LINE: Final = 57
#: What a window makes of zlib's formats: 16 more for gzip, none for either.
_WINDOWS: Final = {"deflate": zlib.MAX_WBITS, "gzip": 16 + zlib.MAX_WBITS}
_PLAIN: Final = frozenset({"", "7bit", "8bit", "binary", "identity"})


class Decoder(Protocol):
    """Undo one coding."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and give what they decode to, in pieces."""

    def finish(self) -> bytes:
        """Take the end; gives what was held back."""


class Encoder(Protocol):
    """Apply one coding."""

    def encode(self, data: bytes) -> bytes:
        """Take bytes and give those that are encoded."""

    def finish(self) -> bytes:
        """Take the end; gives what was held back."""


class Base64Decoder:
    """Decode base64; what is no base64 between it is skipped. Source: RFC 2045 section 6.8."""

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode whole groups of four."""
        text = self._rest + strip_base64(data)
        # A group with a "=" is the last: it waits, so that what follows it is seen.
        padding = text.find(b"=")
        size = (len(text) if padding < 0 else padding) // 4 * 4
        if padding >= 0 and len(text) > size + 4:
            raise MultipartError("a part goes on after the end of its base64")
        self._rest = text[size:]
        if size:
            yield binascii.a2b_base64(text[:size])

    def finish(self) -> bytes:
        """Decode the last group.

        Raises:
            MultipartError: it is cut off.
        """
        try:
            return binascii.a2b_base64(self._rest)
        except binascii.Error as exc:
            raise MultipartError("the base64 of a part is cut off") from exc


class QuotedPrintableDecoder:
    """Decode quoted-printable; what is malformed stands for itself. Source: RFC 2045 section 6.7."""

    def __init__(self) -> None:
        self._rest = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode all but an escape that may go on."""
        text = self._rest + data
        position = text.rfind(b"=", max(len(text) - 2, 0))
        size = position if position >= 0 else len(text)
        self._rest = text[size:]
        if size:
            yield binascii.a2b_qp(text[:size])

    def finish(self) -> bytes:
        """Decode what was held back."""
        return binascii.a2b_qp(self._rest)


class ZlibDecoder:
    """Decode deflate or gzip, at most so many bytes at once.

    Args:
        name: ``deflate`` or ``gzip``.
        max_bytes: of one piece.
    """

    def __init__(self, name: str, max_bytes: int) -> None:
        self._decompressor = zlib.decompressobj(_WINDOWS[name])
        self._max_bytes = max_bytes

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode in pieces of ``max_bytes``.

        Raises:
            MultipartError: the data is corrupt.
        """
        decompressor = self._decompressor
        while data:
            if decompressor.eof:
                raise MultipartError("a part goes on after the end of its compressed data")
            try:
                piece = decompressor.decompress(data, self._max_bytes)
            except zlib.error as exc:
                raise MultipartError("the compressed data of a part is corrupt") from exc
            data = decompressor.unconsumed_tail or decompressor.unused_data
            yield piece

    def finish(self) -> bytes:
        """Take the end.

        Raises:
            MultipartError: the data is cut off.
        """
        if not self._decompressor.eof:
            raise MultipartError("the compressed data of a part is cut off")
        return b""


def strip_base64(data: bytes) -> bytes:
    """Leave out what is no base64. Source: RFC 2045 section 6.8."""
    return data.translate(None, _NOT_BASE64)


def find_aligned_end(transfer: str, data: bytes) -> int:
    """Find how much of encoded data can be decoded without what follows."""
    if transfer == "base64":
        return len(data) // 4 * 4
    position = data.rfind(b"=", max(len(data) - 2, 0))
    return position if position >= 0 else len(data)


class Base64Encoder:
    """Encode as base64, in lines."""

    def __init__(self) -> None:
        self._rest = b""

    def encode(self, data: bytes) -> bytes:
        """Encode whole lines."""
        text = self._rest + data
        size = len(text) // _BASE64_LINE * _BASE64_LINE
        self._rest = text[size:]
        lines = (
            binascii.b2a_base64(text[at : at + _BASE64_LINE], newline=False) for at in range(0, size, _BASE64_LINE)
        )
        return b"".join(line + b"\r\n" for line in lines)

    def finish(self) -> bytes:
        """Encode the last line."""
        return binascii.b2a_base64(self._rest, newline=False)


class QuotedPrintableEncoder:
    """Encode as quoted-printable, line ends as well, so that any bytes come back as they were."""

    def __init__(self) -> None:
        self._has_begun = False

    def encode(self, data: bytes) -> bytes:
        """Encode all of it, with a soft line break before."""
        start = b"=\r\n" if self._has_begun else b""
        self._has_begun = True
        # Soft line breaks are as the first line end of the data.
        encoded = binascii.b2a_qp(data, istext=False).replace(b"\r\n", b"\n")
        return start + encoded.replace(b"\n", b"\r\n")

    def finish(self) -> bytes:
        """Nothing is held back."""
        return b""


class ZlibEncoder:
    """Encode as deflate or gzip."""

    def __init__(self, name: str) -> None:
        self._compressor = zlib.compressobj(wbits=_WINDOWS[name])

    def encode(self, data: bytes) -> bytes:
        """Compress."""
        return self._compressor.compress(data)

    def finish(self) -> bytes:
        """Compress the end."""
        return self._compressor.flush()


def find_codings(headers: Mapping[str, str]) -> tuple[str, str]:
    """Find the content coding and the transfer encoding of a part, in lower case; "" where content is plain."""
    content = headers.get("Content-Encoding", "").strip().lower()
    transfer = headers.get("Content-Transfer-Encoding", "").strip().lower()
    return "" if content in _PLAIN else content, "" if transfer in _PLAIN else transfer


def make_decoders(headers: Mapping[str, str], max_bytes: int) -> list[Decoder]:
    """Make what undoes the codings of a part, in the order of undoing; none where the content is plain.

    Args:
        headers: of the part.
        max_bytes: of one piece of decompressed data.

    Raises:
        MultipartError: a coding is unknown.
    """
    content, transfer = find_codings(headers)
    decoders: list[Decoder] = []
    if transfer == "base64":
        decoders.append(Base64Decoder())
    elif transfer == "quoted-printable":
        decoders.append(QuotedPrintableDecoder())
    elif transfer:
        raise MultipartError(f"unknown Content-Transfer-Encoding of a part: {transfer[:80]!r}")
    if content in _WINDOWS:
        decoders.append(ZlibDecoder(content, max_bytes))
    elif content:
        raise MultipartError(f"unknown Content-Encoding of a part: {content[:80]!r}")
    return decoders


def decode_through(decoders: list[Decoder], data: bytes) -> Iterator[bytes]:
    """Decode bytes by all decoders, in pieces."""
    if not decoders:
        yield data
        return
    first, *rest = decoders
    for piece in first.decode(data):
        yield from decode_through(rest, piece)


def finish_decoding(decoders: list[Decoder]) -> Iterator[bytes]:
    """Take the end of a part: decode what was held back."""
    for position, decoder in enumerate(decoders):
        tail = decoder.finish()
        if tail:
            yield from decode_through(decoders[position + 1 :], tail)


def make_encoders(headers: Mapping[str, str]) -> list[Encoder]:
    """Make what applies the codings that a part's fields name, in the order of applying.

    Raises:
        ValueError: a coding is unknown.
    """
    content, transfer = find_codings(headers)
    encoders: list[Encoder] = []
    if content in _WINDOWS:
        encoders.append(ZlibEncoder(content))
    elif content:
        raise ValueError(f"a part can't be written with Content-Encoding {content!r}: deflate, gzip or identity")
    if transfer == "base64":
        encoders.append(Base64Encoder())
    elif transfer == "quoted-printable":
        encoders.append(QuotedPrintableEncoder())
    elif transfer:
        raise ValueError(
            f"a part can't be written with Content-Transfer-Encoding {transfer!r}: base64, quoted-printable or binary"
        )
    return encoders
