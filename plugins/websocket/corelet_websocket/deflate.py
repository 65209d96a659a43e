"""permessage-deflate. Source: RFC 7692."""

from __future__ import annotations

import zlib
from typing import Any, Final

from .errors import WebSocketError
from .extension import Parameters, WebSocketExtension, WebSocketExtensionFactory

NAME: Final = "permessage-deflate"
MOST_BITS: Final = 15
#: zlib makes raw streams of 512 bytes' window at least; a reader can take the larger one for the smaller.
LEAST_BITS: Final = 9
#: What ends the data of a flush, and is left out on the wire. Source: RFC 7692 section 7.2.1.
TAIL: Final = b"\x00\x00\xff\xff"
#: Half the time of zlib's default level, for a first message that is 6 % longer: measured with 2 KiB of JSON.
LEVEL: Final = 1
#: Streams that end inside one fragment: a sender that RFC 7692 section 7.2.3.4 allows has one, a hostile one thousands.
MAX_STREAMS: Final = 16
#: Bytes that are decompressed at once, at least.
PIECE_BYTES: Final = 65_536

_SERVER_BITS: Final = "server_max_window_bits"
_CLIENT_BITS: Final = "client_max_window_bits"
_SERVER_RESET: Final = "server_no_context_takeover"
_CLIENT_RESET: Final = "client_no_context_takeover"


class PermessageDeflate(WebSocketExtensionFactory):
    """Negotiate permessage-deflate.

    Args:
        max_window_bits: the largest window to use for sending and to let a server use, 9 to 15: 2 to that power bytes
            of memory and more are held for each direction once it has carried a message.
        no_context_takeover: forget each message's context, in both directions: less memory, less compression.
        level: zlib's, 1 (fast) to 9 (small).
    """

    name = NAME

    def __init__(
        self, *, max_window_bits: int = MOST_BITS, no_context_takeover: bool = False, level: int = LEVEL
    ) -> None:
        if not LEAST_BITS <= max_window_bits <= MOST_BITS:
            raise ValueError(f"max_window_bits is {max_window_bits}, expected {LEAST_BITS} to {MOST_BITS}")
        self.max_window_bits = max_window_bits
        self.no_context_takeover = no_context_takeover
        self.level = level

    def accept(self, parameters: Parameters) -> tuple[Parameters, WebSocketExtension] | None:
        """Answer a client's offer; one with anything unknown or wrong is declined. Source: RFC 7692 section 7.1."""
        try:
            asked = _read(parameters, bits_without_value=True)
        except ValueError:
            return None
        own_bits = min(asked.get(_SERVER_BITS, MOST_BITS), self.max_window_bits)
        if own_bits < LEAST_BITS:
            return None
        answer: list[tuple[str, str | None]] = []
        own_reset = _SERVER_RESET in asked or self.no_context_takeover
        peer_reset = _CLIENT_RESET in asked or self.no_context_takeover
        peer_bits = MOST_BITS
        if own_reset:
            answer.append((_SERVER_RESET, None))
        if peer_reset:
            answer.append((_CLIENT_RESET, None))
        if _SERVER_BITS in asked or own_bits < MOST_BITS:
            answer.append((_SERVER_BITS, str(own_bits)))
        if _CLIENT_BITS in asked:
            peer_bits = min(asked[_CLIENT_BITS], self.max_window_bits)
            if peer_bits < MOST_BITS:
                answer.append((_CLIENT_BITS, str(peer_bits)))
        return answer, Deflate(own_bits, peer_bits, own_reset=own_reset, peer_reset=peer_reset, level=self.level)

    def offer(self) -> Parameters:
        """Make an offer to a server."""
        offer: list[tuple[str, str | None]] = []
        if self.no_context_takeover:
            offer += [(_SERVER_RESET, None), (_CLIENT_RESET, None)]
        if self.max_window_bits == MOST_BITS:
            return [*offer, (_CLIENT_BITS, None)]
        bits = str(self.max_window_bits)
        return [*offer, (_SERVER_BITS, bits), (_CLIENT_BITS, bits)]

    def take(self, parameters: Parameters) -> WebSocketExtension:
        """Take a server's answer. Source: RFC 7692 section 7.1."""
        answer = _read(parameters, bits_without_value=False)
        peer_bits = answer.get(_SERVER_BITS, MOST_BITS)
        own_bits = min(answer.get(_CLIENT_BITS, MOST_BITS), self.max_window_bits)
        if peer_bits > self.max_window_bits:
            raise ValueError(f"{NAME}: {_SERVER_BITS} is {peer_bits}, offered were {self.max_window_bits}")
        if own_bits < LEAST_BITS:
            raise ValueError(f"{NAME}: {_CLIENT_BITS} is {own_bits}, the least that we can do is {LEAST_BITS}")
        if self.no_context_takeover and _SERVER_RESET not in answer:
            raise ValueError(f"{NAME}: {_SERVER_RESET} was offered and is not in the answer")
        own_reset = _CLIENT_RESET in answer or self.no_context_takeover
        return Deflate(own_bits, peer_bits, own_reset=own_reset, peer_reset=_SERVER_RESET in answer, level=self.level)


class Deflate(WebSocketExtension):
    """permessage-deflate on one connection.

    Args:
        own_bits: window of what is sent, 9 to 15.
        peer_bits: window of what is received, 8 to 15.
        own_reset: whether what is sent forgets each message.
        peer_reset: whether what is received does.
        level: zlib's.
    """

    __slots__ = ("_compressor", "_decompressor", "level", "own_bits", "own_reset", "peer_bits", "peer_reset")

    rsv = 0x40

    def __init__(self, own_bits: int, peer_bits: int, *, own_reset: bool, peer_reset: bool, level: int) -> None:
        self.own_bits = own_bits
        self.peer_bits = peer_bits
        self.own_reset = own_reset
        self.peer_reset = peer_reset
        self.level = level
        # Made with the first message in their direction: they hold up to 256 KiB and 48 KiB.
        self._compressor: Any = None
        self._decompressor: Any = None

    def encode(self, data: bytes, level: int | None) -> bytes | None:
        """Compress a message; level 0 sends it as it is."""
        if not data or level == 0:
            return None
        compressor = self._compressor
        if level is not None and level != self.level:
            # Another stream, and a new one behind it: what refers back must not skip what the peer has seen.
            compressor = self._make_compressor(level)
            self._compressor = None
        elif compressor is None:
            compressor = self._make_compressor(self.level)
            if not self.own_reset:
                self._compressor = compressor
        coded: bytes = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return coded[: -len(TAIL)]

    def _make_compressor(self, level: int) -> Any:
        return zlib.compressobj(level, zlib.DEFLATED, -self.own_bits)

    def _make_decompressor(self) -> Any:
        return zlib.decompressobj(-max(self.peer_bits, LEAST_BITS))

    def decode(self, data: bytes, is_last: bool, max_bytes: int) -> bytes:
        """Decompress a fragment."""
        if is_last:
            data += TAIL
        out = b""
        for _ in range(MAX_STREAMS):
            if self._decompressor is None:
                self._decompressor = self._make_decompressor()
            decompressor = self._decompressor
            out += self._decompress(decompressor, data, max_bytes - len(out) if max_bytes >= 0 else -1)
            if not decompressor.eof:
                if is_last and self.peer_reset:
                    self._decompressor = None
                return out
            # Its last block said so: what follows is a stream of its own.
            self._decompressor = None
            data = decompressor.unused_data
            if not data:
                return out
        raise WebSocketError(1008, f"a compressed fragment has more than {MAX_STREAMS} streams")

    def _decompress(self, decompressor: Any, data: bytes, room: int) -> bytes:
        """Decompress piece by piece: a bomb takes no more memory than a message may."""
        # A piece as long as what is left to read: that is copied with each of them.
        size = max(len(data), PIECE_BYTES)
        pieces: list[bytes] = []
        left = room
        while True:
            wanted = size if room < 0 else min(size, left + 1)
            try:
                piece: bytes = decompressor.decompress(data, wanted)
            except zlib.error as exc:
                raise WebSocketError(1007, f"a compressed message can't be decompressed: {exc}") from None
            left -= len(piece)
            if room >= 0 > left:
                raise WebSocketError(1009, f"a compressed message has more than {room} bytes left to it")
            pieces.append(piece)
            if len(piece) < wanted or decompressor.eof:
                return piece if len(pieces) == 1 else b"".join(pieces)
            data = decompressor.unconsumed_tail


def _read(parameters: Parameters, *, bits_without_value: bool) -> dict[str, int]:
    """Read parameters; those without a value count as 1, an open window as the largest.

    Raises:
        ValueError: one is unknown, there twice, or has a wrong value.
    """
    found: dict[str, int] = {}
    for name, value in parameters:
        if name in found:
            raise ValueError(f"{NAME}: {name} is there twice")
        if name in (_SERVER_RESET, _CLIENT_RESET) and value is None:
            found[name] = 1
        elif name == _CLIENT_BITS and value is None and bits_without_value:
            found[name] = MOST_BITS
        elif name in (_SERVER_BITS, _CLIENT_BITS) and value in _WINDOWS:
            found[name] = int(value)
        else:
            raise ValueError(f"{NAME}: {name} = {value!r} is not allowed")
    return found


#: Values of a window: decimal, without leading zeros. Source: RFC 7692 section 7.1.2.
_WINDOWS: Final = frozenset(map(str, range(8, 16)))
