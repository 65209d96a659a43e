"""Opening handshakes: what a server refuses and how, what a client takes for an answer."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Final

import pytest

from corelet import web
from corelet_websocket import WebSocketClientHandshake, WebSocketHandshakeError, WSMsgType
from corelet_websocket.handshake import make_accept
from tests.conftest import Connect, Serve
from tests.websocket.conftest import Open, echo
from tests.websocket.opener import open_websocket
from tests.websocket.raw_server import serve_raw

CASES: Final = Path(__file__).resolve().parents[1] / "data" / "cases" / "client_raw.json"
KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
FIELDS: Final = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def ask(**changes: str | None) -> str:
    fields = {**FIELDS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value is not None)


def test_the_rfcs_key_has_the_rfcs_answer() -> None:
    """RFC 6455 section 1.3."""
    assert make_accept(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


async def test_a_handshake_is_answered(serve_ws: Any, connect: Connect) -> None:
    client = await connect(await serve_ws(echo))
    answer = await client.get(fields=ask(Connection="keep-alive, UPGRADE", Upgrade="WebSocket"))
    assert (answer.status, answer.field("upgrade"), answer.field("connection")) == (101, "websocket", "Upgrade")
    assert answer.field("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer.field("sec-websocket-protocol") is answer.field("sec-websocket-extensions") is None


@pytest.mark.parametrize(
    ("method", "changes", "status", "words"),
    [
        ("GET", {"Upgrade": None}, 400, "Upgrade is ''"),
        ("GET", {"Upgrade": "h2c"}, 400, "Upgrade is 'h2c'"),
        ("GET", {"Connection": None}, 400, "Connection is ''"),
        ("GET", {"Connection": "keep-alive"}, 400, "Connection is 'keep-alive'"),
        ("GET", {"Sec_WebSocket_Key": None}, 400, "there 0 times"),
        ("GET", {"Sec_WebSocket_Key": "short"}, 400, "expected 16 bytes"),
        ("GET", {"Sec_WebSocket_Key": base64.b64encode(bytes(15)).decode()}, 400, "expected 16 bytes"),
        ("GET", {"Sec_WebSocket_Key": "!" * 24}, 400, "expected 16 bytes"),
        ("GET", {"Sec_WebSocket_Version": None}, 426, "supported is 13"),
        ("GET", {"Sec_WebSocket_Version": "8"}, 426, "supported is 13"),
        ("GET", {"Sec_WebSocket_Version": "13, 8"}, 426, "supported is 13"),
        ("GET", {"Sec_WebSocket_Extensions": "permessage-deflate;;"}, 400, "malformed"),
        ("GET", {"Sec_WebSocket_Extensions": 'x; server_max_window_bits=""'}, 400, "expected a token"),
        ("POST", {"Content_Length": "0"}, 405, "405"),
        ("GET", {"Content_Length": "2"}, 400, "has no body"),
    ],
)
async def test_a_079_what_is_no_handshake_is_refused(
    serve_ws: Any, connect: Connect, method: str, changes: dict[str, Any], status: int, words: str
) -> None:
    client = await connect(await serve_ws(echo))
    await client.send(f"{method} / HTTP/1.1\r\nHost: a\r\n{ask(**changes)}\r\n")
    if changes.get("Content_Length") == "2":
        await client.send(b"ab")
    answer = await client.read_answer()
    assert answer.status == status
    assert words in answer.text
    assert answer.field("sec-websocket-version") == "13"
    assert answer.field("allow") == ("GET" if status == 405 else None)
    # The connection goes on: nothing has been upgraded.
    assert (await client.get(fields=ask())).status == 101


async def test_a_second_key_is_refused(serve_ws: Any, connect: Connect) -> None:
    client = await connect(await serve_ws(echo))
    answer = await client.get(fields=f"{ask()}Sec-WebSocket-Key: {KEY}\r\n")
    assert (answer.status, "there 2 times" in answer.text) == (400, True)


async def test_http_1_0_opens_no_websocket(serve_ws: Any, connect: Connect) -> None:
    client = await connect(await serve_ws(echo))
    await client.send(f"GET / HTTP/1.0\r\nHost: a\r\n{ask()}\r\n")
    assert (await client.read_answer()).status == 400


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (None, "https://evil.example", 101),
        (["https://Good.example"], "https://good.example", 101),
        (["https://good.example"], None, 101),
        (["https://good.example"], "https://evil.example", 403),
        (["https://good.example"], "http://good.example", 403),
        (["https://good.example"], "https://good.example.evil.example", 403),
        (["https://good.example"], "null", 403),
        (["self"], "https://site.example:8443", 101),
        (["self"], "http://site.example", 403),
        (["self"], "self", 403),
        (["self"], "http://[", 403),
        (["self"], "http://site.example:8443]", 403),
        ([], "https://good.example", 403),
    ],
)
async def test_a_078_pages_of_strangers_are_kept_out(
    serve_ws: Any, connect: Connect, origins: Any, origin: str | None, status: int
) -> None:
    client = await connect(await serve_ws(echo, origins=origins))
    field = "" if origin is None else f"Origin: {origin}\r\n"
    await client.send(f"GET / HTTP/1.1\r\nHost: site.example:8443\r\n{ask()}{field}\r\n")
    assert (await client.read_answer()).status == status


@pytest.mark.parametrize(
    ("known", "wanted", "chosen"),
    [
        (("a", "b"), ("b", "a"), "b"),
        (("a",), ("x", "a"), "a"),
        (("a",), ("x",), None),
        ((), ("x",), None),
        (("a",), (), None),
    ],
)
async def test_the_first_subprotocol_that_both_know_is_chosen(
    serve_ws: Any, opened: Open, known: Any, wanted: Any, chosen: str | None
) -> None:
    seen = []

    async def talk(ws: web.WebSocketResponse) -> None:
        seen.append(ws.ws_protocol)
        await echo(ws)

    ws = await opened(await serve_ws(talk, protocols=known), protocols=wanted)
    assert ws.protocol == chosen
    await ws.send_str("a")
    await ws.receive()
    assert seen == [chosen]


@pytest.mark.parametrize("make", [web.WebSocketResponse, WebSocketClientHandshake])
def test_a_subprotocol_is_a_token_and_stands_there_once(make: Any) -> None:
    for name in ("", "a b", "a,b", "é", 'a"', "a\r\nX: y"):
        with pytest.raises(ValueError, match="is no token"):
            make(protocols=["chat", name])
    with pytest.raises(ValueError, match="'chat' is given twice"):
        make(protocols=["chat", "other", "chat"])


def test_one_string_is_no_list_of_strings() -> None:
    with pytest.raises(TypeError, match="protocols is the str 'chat'"):
        WebSocketClientHandshake(protocols="chat")
    with pytest.raises(TypeError, match="protocols is the str 'chat'"):
        web.WebSocketResponse(protocols="chat")
    with pytest.raises(TypeError, match="origins is the str"):
        web.WebSocketResponse(origins="https://a.example")


async def test_whether_a_request_can_become_a_websocket_is_told(serve: Serve, connect: Connect) -> None:
    async def handle(request: web.Request) -> web.Response:
        ready = web.WebSocketResponse(protocols=["chat"]).can_prepare(request)
        return web.json_response([bool(ready), ready.ok, ready.protocol])

    client = await connect(await serve(web.Application(handler=handle), access_log=None))
    assert json.loads((await client.get()).body) == [False, False, None]
    answer = await client.get(fields=ask(Sec_WebSocket_Protocol="chat"))
    assert json.loads(answer.body) == [True, True, "chat"]


# The client.


def read_cases(prefix: str) -> list[Any]:
    cases = [json.loads(line.rstrip(",\n")) for line in CASES.read_text().splitlines() if f'"{prefix}' in line]
    return [pytest.param(case, id=case["id"]) for case in cases]


@pytest.mark.parametrize("case", read_cases("c-ws-"))
async def test_an_answer_that_opens_no_websocket_is_refused(case: dict[str, Any]) -> None:
    async with serve_raw(case["send"]) as port:
        with pytest.raises(WebSocketHandshakeError) as caught:
            await open_websocket(port)
    assert caught.value.status in (101, 200)
    assert caught.value.headers


@pytest.mark.parametrize("case", read_cases("c-wsf-"))
async def test_frames_that_break_the_protocol_end_the_websocket(case: dict[str, Any]) -> None:
    async with serve_raw(case["send"]) as port:
        ws = await open_websocket(port)
        message = await ws.receive(5)
        assert message.type is WSMsgType.ERROR
        assert message.data is ws.exception()
        assert ws.close_code in (1002, 1007, 1009)
        assert (await ws.receive()).type is WSMsgType.CLOSED
        with pytest.raises(ConnectionResetError):
            await ws.send_str("more")
        await ws.close()


@pytest.mark.parametrize(
    "fields",
    [
        "Sec-WebSocket-Protocol: chat\r\n",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        "Sec-WebSocket-Extensions: x\r\n",
    ],
)
async def test_what_was_not_offered_may_not_be_chosen(fields: str) -> None:
    answer = (
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n"
        f"{fields}\r\n"
    )
    async with serve_raw(answer) as port:
        with pytest.raises(WebSocketHandshakeError, match="was not offered"):
            await open_websocket(port, protocols=["other"])


def test_cases_are_there() -> None:
    assert (len(read_cases("c-ws-")), len(read_cases("c-wsf-"))) == (4, 10)
