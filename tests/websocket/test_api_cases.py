"""The attacks on WebSockets that ``api.json`` describes and no other test names, over real sockets."""

from __future__ import annotations

import tracemalloc
import zlib
from typing import Any

import pytest

from tests.conftest import Connect
from tests.websocket.conftest import echo
from tests.websocket.test_frame import CLOSE, make_frame
from tests.websocket.test_handshake import ask

MIB = 2**20
NO_CONTEXT = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"


def make_bomb() -> bytes:
    """Make a compressed message of 16 KB that holds 16 MiB."""
    deflate = zlib.compressobj(9, wbits=-15)
    data = deflate.compress(bytes(16 * MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return make_frame(0xC2, data.removesuffix(b"\x00\x00\xff\xff"))


@pytest.mark.parametrize(
    ("data", "code", "limit"),
    [
        pytest.param(make_bomb(), 1009, 4 * MIB + 2**19, id="a-073 a compression bomb"),
        pytest.param(make_frame(0x81, b"a", mask=None), 1002, MIB, id="a-074 no mask"),
        pytest.param(make_frame(0x01) + make_frame(0x00) * 200_000, 1008, MIB, id="a-075 empty fragments"),
        pytest.param(b"\x82\xff" + (2**63 - 1).to_bytes(8, "big") + bytes(4), 1009, MIB, id="a-076 an endless frame"),
    ],
)
async def test_an_attack_ends_by_a_close_frame_and_costs_little(
    serve_ws: Any, connect: Connect, data: bytes, code: int, limit: int
) -> None:
    client = await connect(await serve_ws(echo, timeout=0.2))
    await client.get(fields=ask() + NO_CONTEXT)
    tracemalloc.start()
    try:
        client.writer.write(data)
        end = await client.read_until_closed()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (end[0], end[2:4]) == (CLOSE, code.to_bytes(2, "big"))
    # What the client holds to send is not the server's; a loop reads up to 256 KiB at once.
    assert peak - len(data) < limit
