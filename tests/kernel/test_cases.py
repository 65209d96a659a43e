"""Every raw case, through a real socket, on both wires, in one write and byte by byte."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corelet import wire
from tests.kernel.raw_judge import Case, Verdict, judge_all, load_cases

HERE = Path(__file__).parent
CASES = load_cases(HERE.parent / "data" / "cases" / "server_raw.json")
WIRES = {"fast": {}, "pure": {"CORELET_NO_EXTENSIONS": "1"}}

#: Cases where the RFC allows both, that we accept, and what speaks for it. All others of that level are refused.
ACCEPTED_POLICY = {
    "v-unknown-method": "methods are open-ended (RFC 9110 section 16.1): the application says 405",
    "v-trace": "a method like any other: the application decides",
    "v-ver-1.9": "a higher minor version is read as the highest known (RFC 9110 section 2.5)",
}


@contextmanager
def _run_echo_server(environment: dict[str, str]) -> Iterator[int]:
    command = [sys.executable, str(HERE / "echo_server.py")]
    with subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline())
        finally:
            server.terminate()
    assert server.returncode == 0


async def _judge_whole_and_split(port: int) -> dict[str, tuple[Verdict, Verdict]]:
    verdicts = await _judge_both_ways(port, CASES, idle_seconds=0.5)
    # On a busy machine an answer may come after what was taken for silence: what looks wrong gets a patient look.
    suspects = [case for case in CASES if _looks_wrong(*verdicts[case["id"]])]
    return verdicts | await _judge_both_ways(port, suspects, idle_seconds=3.0)


async def _judge_both_ways(port: int, cases: list[Case], idle_seconds: float) -> dict[str, tuple[Verdict, Verdict]]:
    whole = await judge_all("127.0.0.1", port, cases, is_split=False, idle_seconds=idle_seconds)
    split = await judge_all("127.0.0.1", port, cases, is_split=True, idle_seconds=idle_seconds)
    return {name: (whole[name], split[name]) for name in whole}


def _looks_wrong(whole: Verdict, split: Verdict) -> bool:
    return bool(whole.why or split.why) or whole.signature != split.signature


@pytest.fixture(scope="session", params=WIRES)
def verdicts(request: pytest.FixtureRequest) -> dict[str, tuple[Verdict, Verdict]]:
    if request.param == "fast" and wire.IMPLEMENTATION != "fast":
        pytest.skip("the extension is not built, or switched off")
    with _run_echo_server(WIRES[request.param]) as port:
        return asyncio.run(_judge_whole_and_split(port))


@pytest.mark.timeout(180)  # the first one runs them all
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_raw_case(case: Case, verdicts: dict[str, tuple[Verdict, Verdict]]) -> None:
    whole, split = verdicts[case["id"]]
    assert not whole.why
    assert not split.why
    assert whole.signature == split.signature
    if case["level"] == "POLICY":
        assert whole.is_accepted == (case["id"] in ACCEPTED_POLICY)
