"""permessage-deflate: what is offered and accepted, contexts, windows, bombs. Source: RFC 7692."""

from __future__ import annotations

import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corelet_websocket import PermessageDeflate, WebSocketError
from corelet_websocket.deflate import MAX_STREAMS, TAIL, Deflate
from corelet_websocket.extension import accept_offers, format_extension, parse_extensions, take_answer

NAME = "permessage-deflate"


def make(**changes: Any) -> Deflate:
    return Deflate(**{"own_bits": 15, "peer_bits": 15, "own_reset": False, "peer_reset": False, "level": 6, **changes})


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", NAME),
        ("permessage-deflate; client_max_window_bits", NAME),
        ("permessage-deflate; client_max_window_bits=10", f"{NAME}; client_max_window_bits=10"),
        ('permessage-deflate; server_max_window_bits="9"', f"{NAME}; server_max_window_bits=9"),
        ("permessage-deflate; server_no_context_takeover", f"{NAME}; server_no_context_takeover"),
        ("permessage-deflate; client_no_context_takeover", f"{NAME}; client_no_context_takeover"),
        ("permessage-deflate; server_max_window_bits=8, permessage-deflate", NAME),
        ("x-unknown, permessage-deflate; unknown=1, permessage-deflate", NAME),
        ("permessage-deflate; server_max_window_bits=8", ""),
        ("permessage-deflate; server_max_window_bits=16", ""),
        ("permessage-deflate; server_max_window_bits=7", ""),
        ("permessage-deflate; server_max_window_bits=09", ""),
        ("permessage-deflate; server_max_window_bits=+9", ""),
        ("permessage-deflate; server_max_window_bits", ""),
        ("permessage-deflate; server_no_context_takeover=1", ""),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", ""),
        ("x-unknown", ""),
        ("", ""),
    ],
)
def test_a_080_an_offer_is_answered(offer: str, answer: str) -> None:
    field, extensions = accept_offers([PermessageDeflate()], offer)
    assert field == answer
    assert len(extensions) == bool(answer)


def test_a_server_keeps_its_windows_small() -> None:
    small = PermessageDeflate(max_window_bits=10, no_context_takeover=True)
    field, (extension,) = accept_offers([small], "permessage-deflate; client_max_window_bits")
    assert field == (
        f"{NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
        "client_max_window_bits=10"
    )
    assert isinstance(extension, Deflate)
    assert (extension.own_bits, extension.peer_bits) == (10, 10)


@pytest.mark.parametrize(
    ("factory", "offer"),
    [
        (PermessageDeflate(), f"{NAME}; client_max_window_bits"),
        (PermessageDeflate(max_window_bits=9), f"{NAME}; server_max_window_bits=9; client_max_window_bits=9"),
        (
            PermessageDeflate(no_context_takeover=True),
            f"{NAME}; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
        ),
    ],
)
def test_a_client_offers_what_it_can(factory: PermessageDeflate, offer: str) -> None:
    assert format_extension(NAME, factory.offer()) == offer
    # Our own server takes it, and our client takes that answer.
    field, _ = accept_offers([PermessageDeflate()], offer)
    (extension,) = take_answer([factory], field)
    assert isinstance(extension, Deflate)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("x-other", "was not offered"),
        (f"{NAME}; server_max_window_bits=12, {NAME}", "there twice"),
        (f"{NAME}; unknown", "not allowed"),
        (f"{NAME}; client_max_window_bits", "not allowed"),
        (f"{NAME}; server_max_window_bits=12; client_max_window_bits=8", "the least that we can do"),
        (f"{NAME}; server_max_window_bits=15", "offered were 12"),
        (f"{NAME}", "offered were 12"),
        (f"{NAME} deflate", "malformed"),
        (f'{NAME}; x="a b"', "expected a token"),
        (f"{NAME};", "malformed"),
    ],
)
def test_an_answer_that_was_not_offered_is_refused(answer: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        take_answer([PermessageDeflate(max_window_bits=12)], answer)


def test_a_reset_that_was_offered_must_be_answered() -> None:
    with pytest.raises(ValueError, match="server_no_context_takeover was offered"):
        take_answer([PermessageDeflate(no_context_takeover=True)], NAME)


@pytest.mark.parametrize("bits", [8, 16])
def test_windows_are_from_9_to_15(bits: int) -> None:
    with pytest.raises(ValueError, match="expected 9 to 15"):
        PermessageDeflate(max_window_bits=bits)


def test_lists_of_extensions_are_read() -> None:
    assert parse_extensions(' a ;b = "c" ; d,, e') == [("a", [("b", "c"), ("d", None)]), ("e", [])]


@given(
    st.lists(st.tuples(st.binary(max_size=400), st.sampled_from([None, 0, 1, 9])), max_size=8),
    st.integers(9, 15),
    st.booleans(),
)
def test_messages_of_any_level_come_through_in_order(sent: list[Any], bits: int, resets: bool) -> None:
    sender = make(own_bits=bits, own_reset=resets)
    receiver = make(peer_bits=bits, peer_reset=resets)
    for data, level in sent:
        coded = sender.encode(data, level)
        if coded is None:
            assert not data or level == 0
            continue
        half = len(coded) // 2
        assert receiver.decode(coded[:half], False, 400) + receiver.decode(coded[half:], True, 400) == data


def test_a_context_makes_the_same_message_small_and_a_reset_does_not() -> None:
    data = bytes(range(256))
    keeps, resets = make(), make(own_reset=True)
    first, second = (len(keeps.encode(data, None) or b"") for _ in range(2))
    assert second < first / 8
    assert resets.encode(data, None) == resets.encode(data, None)


def test_the_rfcs_examples_are_read() -> None:
    """Section 7.2.3: a message, another in its context, stored, two blocks, and a final block."""
    hello = bytes.fromhex("f248cdc9c90700")
    receiver = make()
    assert receiver.decode(hello, True, 5) == b"Hello"
    assert receiver.decode(bytes.fromhex("f200110000"), True, 5) == b"Hello"
    for coded in ("000500faff48656c6c6f00", "f348cdc9c9070000", "f248050000 00ffffcac9c90700"):
        assert make().decode(bytes.fromhex(coded), True, 5) == b"Hello"


def test_a_bomb_is_refused_without_being_opened() -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = (compressor.compress(bytes(50_000_000)) + compressor.flush(zlib.Z_SYNC_FLUSH))[: -len(TAIL)]
    with pytest.raises(WebSocketError, match="more than 1000 bytes") as caught:
        make().decode(bomb, True, 1000)
    assert caught.value.code == 1009


def test_bytes_that_are_no_deflate_are_refused() -> None:
    with pytest.raises(WebSocketError, match="can't be decompressed") as caught:
        make().decode(b"\xff\xff\xff", True, 100)
    assert caught.value.code == 1007


def test_streams_within_a_fragment_are_counted() -> None:
    final = zlib.compressobj(wbits=-15).flush(zlib.Z_FINISH)
    assert make().decode(final * 3, True, 10) == b""
    with pytest.raises(WebSocketError, match="streams") as caught:
        make().decode(final * (MAX_STREAMS + 1), True, 10)
    assert caught.value.code == 1008
