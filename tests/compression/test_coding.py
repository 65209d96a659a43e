"""Each content coding by itself: both directions, bounds, damage, and what peers make up."""

from __future__ import annotations

import gzip
import time
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelet import ContentDecodingError
from corelet.abc import ContentCoding
from corelet_compression import set_zlib_backend
from corelet_compression.zlib_coding import PaddedGzipCoding
from tests.compression.coded import STEP_BYTES, decode, encode, traced_memory
from tests.compression.conftest import CODINGS

TEXT = b"".join(b'{"number": %d, "name": "row %d"}\n' % (number, number * 7919) for number in range(3000))
GZIP = CODINGS["gzip"]
DEFLATE = CODINGS["deflate"]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


@given(
    name=st.sampled_from(sorted(CODINGS)),
    run=st.binary(max_size=3000),
    times=st.sampled_from([1, 1, 100]),
    places=st.lists(st.integers(0, 10_000), max_size=6),
    step=st.sampled_from([1, 7, 1000, STEP_BYTES]),
)
def test_what_was_coded_is_decoded_however_it_is_cut(
    name: str, run: bytes, times: int, places: list[int], step: int
) -> None:
    content = run * times
    step = step if times == 1 else STEP_BYTES
    coded = encode(CODINGS[name], content)
    assert decode(CODINGS[name], *cut(coded, places), step=step) == content


def test_every_library_behind_gzip_codes_what_python_reads(backend: str) -> None:
    for level in range(10):
        coded = encode(GZIP, TEXT, level)
        assert gzip.decompress(coded) == TEXT
        assert decode(GZIP, coded) == TEXT
        assert decode(DEFLATE, encode(DEFLATE, TEXT, level)) == TEXT


def test_what_was_flushed_can_be_decoded_before_the_end(coding: ContentCoding) -> None:
    encoder, decoder = coding.make_encoder(), coding.make_decoder(STEP_BYTES)
    for event in (b"data: one\n\n", b"data: two\n\n", b"data: three\n\n"):
        assert decoder.decode(encoder.encode(event) + encoder.flush()) == event
    assert decoder.decode(encoder.finish()) == b""
    decoder.finish()


@pytest.mark.parametrize("extent", ["all but the last byte", "half", "one byte"])
def test_content_cut_short_is_an_error(coding: ContentCoding, extent: str) -> None:
    coded = encode(coding, TEXT)
    end = {"all but the last byte": -1, "half": len(coded) // 2, "one byte": 1}[extent]
    with pytest.raises(ContentDecodingError, match=f"the {coding.name} content was cut short"):
        decode(coding, coded[:end])


def test_content_of_no_bytes_is_empty(coding: ContentCoding) -> None:
    assert decode(coding) == b""


def test_something_else_is_an_error(coding: ContentCoding) -> None:
    with pytest.raises(ContentDecodingError, match=f"the content is no {coding.name}, or damaged"):
        decode(coding, b"\x07<html>this is no coded content</html>" * 10)


@given(name=st.sampled_from(sorted(CODINGS)), place=st.integers(0, 2000), bit=st.integers(0, 7))
def test_damage_is_an_error_or_harmless_never_a_crash(name: str, place: int, bit: int) -> None:
    coded = bytearray(encode(CODINGS[name], TEXT[:20_000]))
    coded[place % len(coded)] ^= 1 << bit
    try:
        decode(CODINGS[name], bytes(coded))
    except ContentDecodingError:
        return


def test_gzip_damage_is_found_by_its_checksum() -> None:
    coded = bytearray(encode(GZIP, TEXT))
    coded[-6] ^= 1
    with pytest.raises(ContentDecodingError, match="no gzip, or damaged"):
        decode(GZIP, bytes(coded))


def test_bytes_behind_the_end_are_an_error(coding: ContentCoding) -> None:
    with pytest.raises(ContentDecodingError):
        decode(coding, encode(coding, b"content") + b"garbage")
    with pytest.raises(ContentDecodingError):
        decode(coding, encode(coding, b"content"), b"garbage")


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_members_behind_each_other_are_one_content(name: str) -> None:
    coding = CODINGS[name]
    members = encode(coding, b"one ") + encode(coding, b"") + encode(coding, TEXT)
    assert decode(coding, members) == decode(coding, *cut(members, list(range(60)))) == b"one " + TEXT


def test_padding_behind_gzip_is_left_out(backend: str) -> None:
    coded = encode(GZIP, b"content")
    assert decode(GZIP, coded + bytes(5000)) == decode(GZIP, coded, bytes(3)) == b"content"


def test_deflate_is_taken_raw_too(backend: str) -> None:
    raw = zlib.compressobj(wbits=-15)
    coded = raw.compress(TEXT) + raw.flush()
    assert decode(DEFLATE, coded) == decode(DEFLATE, *(coded[:1], coded[1:2], coded[2:])) == TEXT
    stored = zlib.compressobj(0, wbits=-15)
    assert decode(DEFLATE, stored.compress(b"abc") + stored.flush()) == b"abc"


@pytest.mark.parametrize("name", ["zstd", "br", "gzip", "deflate"])
def test_a_104_bombs_are_decoded_bit_by_bit(name: str) -> None:
    coding = CODINGS[name]
    encoder = coding.make_encoder()
    block = bytes(1_000_000)
    bomb = b"".join(encoder.encode(block) for _ in range(100)) + encoder.finish()
    assert len(bomb) < 150_000
    decoder = coding.make_decoder(STEP_BYTES)
    with traced_memory() as get_peak:
        size = len(decoder.decode(bomb))
        while decoder.has_more:
            size += len(decoder.decode(b""))
        decoder.finish()
        peak = get_peak()
    assert size == 100_000_000
    assert peak < 1_000_000


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_empty_members_are_linear_ghsa_h4cc_hm5h_fmm9(name: str) -> None:
    coding = CODINGS[name]
    member = encode(coding, b"")

    def measure(count: int) -> float:
        decoder = coding.make_decoder(STEP_BYTES)
        started = time.process_time()
        assert decoder.decode(member * count) == b""
        while decoder.has_more:
            assert decoder.decode(b"") == b""
        decoder.finish()
        return time.process_time() - started

    small = min(measure(5_000) for _ in range(3))
    # Ten times as many: a hundred times as long if it were quadratic.
    assert measure(50_000) < small * 35


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_many_small_members_are_decoded_by_the_hundred_so_that_the_loop_has_its_turn(name: str) -> None:
    coding = CODINGS[name]
    for content in (b"", b"a line\n"):
        decoder = coding.make_decoder(STEP_BYTES)
        pieces = [decoder.decode(encode(coding, content) * 1000)]
        while decoder.has_more:
            pieces.append(decoder.decode(b""))
        decoder.finish()
        assert b"".join(pieces) == content * 1000
        assert len(pieces) >= 10


def test_zstd_takes_no_window_over_8_mib() -> None:
    zstd = pytest.importorskip("backports.zstd")
    options = {zstd.CompressionParameter.window_log: 24, zstd.CompressionParameter.enable_long_distance_matching: 1}
    stream = zstd.ZstdCompressor(options=options)
    coded = stream.compress(TEXT) + stream.flush()
    with pytest.raises(ContentDecodingError, match="no zstd"):
        decode(CODINGS["zstd"], coded)


@pytest.mark.parametrize(("name", "last"), [("gzip", 9), ("deflate", 9), ("br", 11), ("zstd", 22)])
def test_levels_are_checked(name: str, last: int, keep_backend: None) -> None:
    set_zlib_backend(zlib)  # isal's levels give nearly one size
    coding = CODINGS[name]
    assert len(encode(coding, TEXT, last)) < len(encode(coding, TEXT, 1))
    for level in (-1, last + 1):
        with pytest.raises(ValueError, match=f"level of {name} is {level}, expected 0 to {last}"):
            coding.make_encoder(level)


def test_padded_gzip_has_many_lengths_and_one_content() -> None:
    coding = PaddedGzipCoding(100)
    coded = [encode(coding, TEXT) for _ in range(40)]
    assert {gzip.decompress(each) for each in coded} == {TEXT}
    lengths = {len(each) for each in coded}
    assert len(lengths) > 5
    assert max(lengths) - min(lengths) < 100
    assert gzip.decompress(encode(coding, b"")) == b""
    encoder = coding.make_encoder()
    pieces = [encoder.encode(b"one"), encoder.flush(), encoder.encode(b"two"), encoder.finish()]
    assert gzip.decompress(b"".join(pieces)) == b"onetwo"
