"""What every content coding must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import random
import re
import time
import tracemalloc
from abc import abstractmethod
from typing import Any, Final

from corelet import ContentDecodingError, hookimpl, web
from corelet.abc import AbstractDecoder, ContentCoding

from .conformance import Conformance

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_STEP_BYTES: Final = 65_536
_TEXT: Final = b"".join(b'{"number": %d, "name": "row %d"}\n' % (number, number * 7919) for number in range(2000))
_NOISE: Final = random.Random(1).randbytes(20_000)  # noqa: S311  # what can't be made smaller, the same each time
_CONTENTS: Final = (b"", b"x", b"\0", bytes(range(256)), b"a" * 100_000, _TEXT, _NOISE)


class ContentCodingConformance(Conformance):
    """Test a content coding: ``abc.ContentCoding`` with its encoders and decoders."""

    port = "a content coding"
    #: Bytes that one call of ``decode()`` may give beyond ``max_bytes``: a block of the library, for some.
    excess_bytes: int = 65_536

    @abstractmethod
    def make_coding(self) -> ContentCoding:
        """Make the coding."""

    def encode(self, content: bytes, level: int | None = None) -> bytes:
        """Code a whole content."""
        encoder = self.make_coding().make_encoder(level)
        return encoder.encode(content) + encoder.finish()

    def decode(self, *pieces: bytes, max_bytes: int = _STEP_BYTES) -> bytes:
        """Decode a whole content as readers do, and hold the decoder to its bound."""
        decoder = self.make_coding().make_decoder(max_bytes)
        content = b"".join(self._decode_piece(decoder, piece, max_bytes) for piece in pieces)
        decoder.finish()
        return content

    def _decode_piece(self, decoder: AbstractDecoder, piece: bytes, max_bytes: int) -> bytes:
        given = [decoder.decode(piece)]
        idle_calls = 0
        while decoder.has_more:
            given.append(decoder.decode(b""))
            idle_calls = 0 if given[-1] else idle_calls + 1
            self.expect(idle_calls < 10_000, "has_more becomes False where nothing comes any more")
        most = max(map(len, given))
        self.expect(
            most <= max_bytes + self.excess_bytes,
            f"decode() gives at most max_bytes, here {max_bytes:,}, and a block of {self.excess_bytes:,} at once",
            most,
        )
        return b"".join(given)

    async def test_the_name_can_stand_in_a_field(self) -> None:
        """It is a token in lower case. RFC 9110 section 8.4.1."""
        name = self.make_coding().name
        self.expect(_TOKEN.fullmatch(name), "name is a token in lower case", name)

    async def test_what_was_coded_is_decoded(self) -> None:
        """Byte by byte, whatever it is, and whatever is asked for at once."""
        for content in _CONTENTS:
            coded = self.encode(content)
            self.expect(self.decode(coded) == content, f"{len(content):,} bytes come back as they were")
        self.expect(self.decode(self.encode(_TEXT[:2000]), max_bytes=1) == _TEXT[:2000], "max_bytes may be 1")

    async def test_what_comes_in_pieces_is_the_same(self) -> None:
        """Bodies are cut anywhere by the network, and written in any pieces."""
        content = _TEXT[:300]
        coded = self.encode(content)
        for place in range(len(coded) + 1):
            decoded = self.decode(coded[:place], coded[place:])
            self.expect(decoded == content, f"a body cut before byte {place} of {len(coded)} is the same", decoded)
        decoded = self.decode(*(coded[place : place + 1] for place in range(len(coded))))
        self.expect(decoded == content, "a body that comes byte by byte is the same", decoded)
        encoder = self.make_coding().make_encoder()
        pieces = [encoder.encode(content[place : place + 7]) for place in range(0, len(content), 7)]
        decoded = self.decode(b"".join([*pieces, encoder.encode(b""), encoder.finish()]))
        self.expect(decoded == content, "content that is coded in pieces is the same", decoded)

    async def test_what_was_flushed_can_be_decoded(self) -> None:
        """The peer of a stream gets each write before the next one."""
        encoder = self.make_coding().make_encoder()
        decoder = self.make_coding().make_decoder(_STEP_BYTES)
        for event in (b"data: one\n\n", b"data: two\n\n", b"x", _TEXT):
            decoded = self._decode_piece(decoder, encoder.encode(event) + encoder.flush(), _STEP_BYTES)
            self.expect(decoded == event, "after flush() all that was taken can be decoded", decoded)
        self.expect_equal(self._decode_piece(decoder, encoder.finish(), _STEP_BYTES), b"", "finish() adds no content")
        decoder.finish()

    async def test_a_body_of_no_bytes_is_whole(self) -> None:
        """Answers to HEAD and empty bodies carry Content-Encoding too."""
        self.expect_equal(self.decode(), b"", "finish() without any bytes is no error")
        self.expect_equal(self.decode(b""), b"", "finish() after no bytes is no error")

    async def test_content_cut_short_is_an_error(self) -> None:
        """Wherever it was cut."""
        coded = self.encode(_TEXT[:300])
        for end in range(1, len(coded)):
            with self.expect_error(ContentDecodingError, f"the first {end} of {len(coded)} bytes are an error"):
                self.decode(coded[:end])

    async def test_something_else_is_an_error(self) -> None:
        """A peer that lies about its coding makes a ContentDecodingError, nothing else."""
        for content in (b"\x07<html>this is no coded content</html>" * 10, _NOISE, b"\xff" * 100):
            with self.expect_error(ContentDecodingError, f"{content[:20]!r}... is an error"):
                self.decode(content)

    async def test_damage_is_an_error_or_does_no_harm(self) -> None:
        """Whichever bit of a body is turned over: nothing but a ContentDecodingError, and no end of the bound."""
        coded = self.encode(_TEXT[:3000])
        for place in range(0, len(coded), max(1, len(coded) // 150)):
            damaged = bytearray(coded)
            damaged[place] ^= 1 << (place % 8)
            try:
                self.decode(bytes(damaged))
            except ContentDecodingError:
                continue
            except Exception as error:
                promise = "damage is a ContentDecodingError, or decoded to something"
                raise AssertionError(self.describe(promise, error)) from error

    async def test_bytes_behind_the_end_are_no_content(self) -> None:
        """They are an error, or left out as padding is."""
        for garbage in (b"garbage", b"\0" * 5):
            for pieces in ([self.encode(b"content") + garbage], [self.encode(b"content"), garbage]):
                try:
                    decoded = self.decode(*pieces)
                except ContentDecodingError:
                    continue
                self.expect_equal(decoded, b"content", "bytes behind the end are an error or left out")

    async def test_a_bomb_is_decoded_bit_by_bit(self) -> None:
        """A few bytes that stand for millions never become them at once."""
        size, block = 16_000_000, bytes(1_000_000)
        encoder = self.make_coding().make_encoder()
        bomb = b"".join(encoder.encode(block) for _ in range(size // len(block))) + encoder.finish()
        decoder = self.make_coding().make_decoder(_STEP_BYTES)
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            most = given = len(decoder.decode(bomb))
            while decoder.has_more:
                count = len(decoder.decode(b""))
                most, given = max(most, count), given + count
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        decoder.finish()
        self.expect_equal(given, size, "all of it is decoded in the end")
        self.expect(most <= _STEP_BYTES + self.excess_bytes, "one call gives at most max_bytes and a block", most)
        bound = 4 * (_STEP_BYTES + self.excess_bytes) + 2 * len(bomb)
        self.expect(peak <= bound, f"what doesn't fit into one answer is kept coded: at most {bound:,} bytes", peak)

    async def test_decoding_takes_linear_time(self) -> None:
        """A body that comes byte by byte costs each byte once."""
        coded = self.encode(_TEXT[:30_000])
        tenth = len(coded) // 10

        def measure(count: int) -> float:
            decoder = self.make_coding().make_decoder(_STEP_BYTES)
            started = time.process_time()
            for place in range(count):
                decoder.decode(coded[place : place + 1])
            return time.process_time() - started

        small = min(measure(tenth) for _ in range(3))
        large = min(measure(10 * tenth) for _ in range(2))
        # Ten times as many: a hundred times as long if it were quadratic.
        self.expect(
            large < small * 35, "ten times as many bytes take some ten times as long", f"{large / small:.0f} times"
        )

    async def test_levels_are_checked(self) -> None:
        """None is the coding's own; one that it hasn't is a ValueError."""
        for level in (-1_000_000, 1_000_000):
            with self.expect_error(ValueError, f"level {level:,} is a ValueError"):
                self.make_coding().make_encoder(level)

    async def test_bodies_do_not_mix(self) -> None:
        """Encoders and decoders are made for one body each, and work in any thread."""
        coding = self.make_coding()
        contents = [_TEXT[:5000], _NOISE[:5000], b"z" * 5000]
        encoders = [coding.make_encoder() for _ in contents]
        coded: list[list[bytes]] = [[] for _ in contents]
        for place in range(0, 5000, 1000):
            for encoder, content, pieces in zip(encoders, contents, coded, strict=True):
                pieces.append(await asyncio.to_thread(encoder.encode, content[place : place + 1000]))
        for encoder, pieces in zip(encoders, coded, strict=True):
            pieces.append(encoder.finish())
        decoders = [coding.make_decoder(_STEP_BYTES) for _ in contents]
        decoded = [
            self._decode_piece(decoder, b"".join(pieces), _STEP_BYTES)
            for decoder, pieces in zip(decoders, coded, strict=True)
        ]
        self.expect(decoded == contents, "three bodies that are coded beside each other come back as they were")

    async def test_an_application_and_a_client_use_it(self) -> None:
        """Registered by a plugin, it codes a response and a stream, which a client with the plugin decodes."""
        plugin, name, go_on = _Registering(self.make_coding()), self.make_coding().name, asyncio.Event()

        async def tell(request: web.Request) -> web.StreamResponse:
            if request.path == "/whole":
                whole = web.Response(body=_TEXT)
                whole.enable_compression(name)
                return whole
            stream = web.StreamResponse()
            stream.enable_compression(name)
            await stream.prepare(request)
            await stream.write(b"one")
            await go_on.wait()
            await stream.write(b"two")
            return stream

        app = web.Application(handler=tell, plugins=[plugin])
        async with self.serve(app, plugins=[plugin]) as client:
            async with client.get("/whole") as answer:
                self.expect_equal(answer.headers.get("Content-Encoding"), name, "a response is coded")
                self.expect(await answer.read() == _TEXT, "a client decodes a response")
            async with client.get("/stream") as answer:
                try:
                    async with self.expect_end("each write can be decoded before the next one"):
                        first = await answer.content.readexactly(3)
                finally:
                    go_on.set()
                self.expect_equal((first, await answer.read()), (b"one", b"two"), "a client decodes a stream")


class _Registering:
    """A plugin that registers one coding."""

    def __init__(self, coding: ContentCoding) -> None:
        self._coding = coding

    @hookimpl
    def corelet_register_codings(self, codings: Any) -> None:
        codings.add(self._coding)
