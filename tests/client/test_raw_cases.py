"""Every case of a hostile server's bytes ends as it says, and none poisons the next request."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

import corelet
from corelet import ClientError, ClientSession, ClientTimeout
from tests.client.hostile_server import Case, HostileServer

CASES = json.loads((Path(__file__).parents[1] / "data" / "cases" / "client_raw.json").read_text(encoding="utf-8"))

#: Cases where the RFC allows both and that we accept, and what speaks for it. All others of that kind are refused.
ACCEPTED = {
    "c-no-reason-nosp": "servers in the wild leave the space out",
}


class Outcome:
    """How a case ended: the bodies of two answers, or what was raised in their place."""

    body: str | None = None
    error: Exception | None = None
    second_body: str | None = None
    second_error: Exception | None = None


async def run_case(case: Case, server: HostileServer) -> Outcome:
    """Ask the server as the case wants, at most twice."""
    outcome, options = Outcome(), case.get("opts", {})
    async with ClientSession(timeout=ClientTimeout(total=10)) as session:
        try:
            async with session.request(options.get("method", "GET"), server.url / "1") as response:
                content = await (response.content.read(65536) if options.get("stream") else response.read())
                outcome.body = content.decode("latin-1")
        except (ClientError, ValueError) as error:
            outcome.error = error
        if options.get("second"):
            await let_late_bytes_come(server)
            try:
                async with session.get(server.url / "2") as response:
                    outcome.second_body = await response.text("latin-1")
            except ClientError as error:
                outcome.second_error = error
    return outcome


async def let_late_bytes_come(server: HostileServer) -> None:
    server.is_read.set()
    if "late" in server.options:
        await server.is_late_sent.wait()
    # They are in the socket: the loop reads them in one of its next turns.
    await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in CASES if not case.get("opts", {}).get("ws")]
)
async def test_case_ends_as_it_says(case):
    async with HostileServer(case) as server:
        outcome = await asyncio.wait_for(run_case(case, server), 20)
    options = case.get("opts", {})
    assert not any(b"\r\nX: y" in head for _, head in server.seen), "a field was injected"
    assert outcome.second_body in {None, "R2"}, "the next answer is made of left-over bytes"
    if case["expect"] == "error":
        assert outcome.error is not None, outcome.body
    if case["expect"] == "ok":
        assert outcome.error is None
    if outcome.error is None and "want" in options:
        assert outcome.body == options["want"]
    if case["expect"] == "ok" and options.get("second"):
        assert outcome.second_error is None
    if options.get("newconn"):
        assert len({number for number, _ in server.seen}) == len(server.seen)
    if case["level"] == "POLICY":
        assert (outcome.error is None) == (case["id"] in ACCEPTED)


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["id"]) for case in CASES if case.get("opts", {}).get("ws")]
)
async def test_websocket_case_fails(case):
    async with HostileServer(case) as server, ClientSession(timeout=ClientTimeout(total=10)) as session:
        await asyncio.wait_for(expect_websocket_failure(session, server, case), 20)


async def expect_websocket_failure(session: ClientSession, server: HostileServer, case: Case) -> None:
    try:
        websocket = await session.ws_connect(server.url, compress=0, timeout=corelet.ClientWSTimeout(ws_close=0.2))
    except corelet.ClientResponseError:
        return
    assert case["id"].startswith("c-wsf-"), "the handshake was taken"
    async with websocket:
        message = await websocket.receive(timeout=5)
        assert message.type in {
            corelet.WSMsgType.ERROR,
            corelet.WSMsgType.CLOSE,
            corelet.WSMsgType.CLOSED,
            corelet.WSMsgType.CLOSING,
        }
