"""Where mutated input comes from: the raw cases, messages that are whole, and pieces that parsers care about."""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent.parent / "data" / "cases"
#: Runs of a parser that ``wire_trace.find_disagreement`` makes.
EXECUTIONS_PER_INPUT = 4
#: Larger cases are about limits, which small limits reach with less.
LARGE_BYTES = 4096

CHUNKED_REQUEST = b"".join(
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
        b'5 ; a = "q\\";x" ; b\r\nhello\r\nA;c=d\r\n0123456789\r\n0\r\nX-T: v\r\nX: \r\n\r\n',
        b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    )
)
UPGRADE_REQUEST = b"".join(
    (
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
        b"Content-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    )
)
REQUESTS = (
    CHUNKED_REQUEST,
    UPGRADE_REQUEST,
    b"GET http://a.example:8080/x?y=1 HTTP/1.1\r\nHost: a.example:8080\r\nX-A: b\r\n\r\n",
    b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n\x16\x03\x01\x00",
    b"OPTIONS * HTTP/1.1\r\nHost: [::ffff:1.2.3.4]:80\r\n\r\n",
    b"GET /a%20b/%C3%A9?q=%zz HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
    b"\r\nPUT /x HTTP/1.1\r\nHost: [v1.a:b]\r\nContent-Length: 0\r\nCookie: a=b\r\nContent-Type: a/b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(60)) + b"\r\n",
)
INTERIM_RESPONSES = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
RESPONSES = (
    INTERIM_RESPONSES + b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.0 200 Tr\xc3\xa8s bien\r\nX: \xe9\r\n\r\nuntil the end",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 42\r\n\r\nHTTP/1.1 204\r\nConnection: close\r\n\r\n",
)
CHARACTERS = tuple(bytes((byte,)) for byte in b'\r\n\0 \t:;,"\\%#?*/0-\x7f\x80\xff')
TOKENS = (
    *CHARACTERS,
    *(b"\r\n", b"%00", b"%41", b"//", b"http://", b"https://", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/1.9", b"HTTP/2.0"),
    *(b"00000000", b"9" * 18, b"f" * 15, b"f" * 16, b"+5", b"0x5", b"5\r\nhello\r\n", b"0\r\n\r\n", b"a=b"),
    *(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"Host: b\r\n", b"Host: ", b"[::1]", b"[1:2:3:4:5:6:7::]", b"1.2.3.4"),
    *(b":65536", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n"),
    *(b"Expect: 100-continue\r\n", b"Expect: x\r\n", b"Content-Type: a/b\r\n", b"Authorization: x\r\n"),
    *(b"Content-Range: x\r\n", b"X: " + b"v" * 60 + b"\r\n", b"X:\r\n", b"99", b"101"),
    *(b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
)


def load_cases(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((CASES / name).read_text())
    return cases


def bytes_of(case: dict[str, Any]) -> bytes:
    """The bytes that a case sends."""
    if "send" in case:
        return bytes(case["send"].encode("latin-1"))
    return zlib.decompress(base64.b64decode(case["send_z"]))


def load_requests() -> list[bytes]:
    return [*REQUESTS, *_load("server_raw.json")]


def load_responses() -> list[bytes]:
    return [*RESPONSES, *_load("client_raw.json")]


def _load(name: str) -> list[bytes]:
    return [data for case in load_cases(name) if 0 < len(data := bytes_of(case)) <= LARGE_BYTES]


#: What a fuzz target reads before the message: flags, two places to cut, methods that responses answer.
PREFIX = b"\x04\x40\x80\x00"


def write_seeds(folder: Path, messages: list[bytes]) -> None:
    """Give a fuzzer the messages to begin with."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, message in enumerate(messages):
        (folder / f"seed-{number}").write_bytes(PREFIX + message)


def write_dictionary(file: Path) -> None:
    """Give a fuzzer the tokens, in libFuzzer's format."""
    file.write_text("".join('"' + "".join(f"\\x{byte:02x}" for byte in token) + '"\n' for token in TOKENS))
