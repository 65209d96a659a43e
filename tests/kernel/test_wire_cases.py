"""The raw cases at the parsers: the same on both wires, and however they are cut."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("corelet._fast", reason="the extension is not built")

from tests.fuzz import corpus
from tests.fuzz.wire_trace import Setting, cut_at_every_byte, find_disagreement, trace

SERVER_CASES = corpus.load_cases("server_raw.json")
CLIENT_CASES = corpus.load_cases("client_raw.json")
#: Larger cases come in pieces of 1,000 bytes: those that differ byte by byte are short.
LARGE_BYTES = 70_000
#: What is no matter of one response's bytes: other answers on the connection, redirects, WebSocket, codings.
WIRE_CLASSES = {"framing", "valid", "status-line", "header-syntax", "limits", "truncation", "line-ending"}
WIRE_CASES = [case for case in CLIENT_CASES if case["class"] in WIRE_CLASSES and case["expect"] in ("ok", "error")]


def ids(cases: list[dict[str, Any]]) -> list[str]:
    return [case["id"] for case in cases]


def cut_small(data: bytes) -> list[bytes]:
    if len(data) <= LARGE_BYTES:
        return cut_at_every_byte(data)
    return [data[at : at + 1000] for at in range(0, len(data), 1000)]


def make_client_setting(case: dict[str, Any]) -> Setting:
    return Setting(expected=(case.get("opts", {}).get("method", "GET"),), takes_upgrades=True)


@pytest.mark.parametrize("case", SERVER_CASES, ids=ids(SERVER_CASES))
def test_server_case_is_read_alike(case: dict[str, Any]) -> None:
    data = corpus.bytes_of(case)
    for ends in (False, True):
        assert find_disagreement(data, cut_small(data), Setting(ends=ends)) is None


@pytest.mark.parametrize("case", CLIENT_CASES, ids=ids(CLIENT_CASES))
def test_client_case_is_read_alike(case: dict[str, Any]) -> None:
    data = corpus.bytes_of(case)
    assert find_disagreement(data, cut_small(data), make_client_setting(case)) is None


@pytest.mark.parametrize("case", WIRE_CASES, ids=ids(WIRE_CASES))
def test_client_case_has_its_verdict(wire: ModuleType, case: dict[str, Any]) -> None:
    events = trace(wire, [corpus.bytes_of(case)], make_client_setting(case)).events
    is_refused = isinstance(events[-1], tuple) and events[-1][0] in ("RemoteProtocolError", "HeadTooLarge")
    assert is_refused == (case["expect"] == "error")
    want = case.get("opts", {}).get("want")
    if want and "Content-Encoding" not in case["send"]:
        assert want.encode() in events
