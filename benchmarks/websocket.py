"""Measure what a server spends on echoing WebSocket messages.

The load costs less than any server: frames are masked, and compressed, once, and each connection sends the next when
its echo is here, by system calls that Python does next to nothing between.
"""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping
from typing import Final

from benchmarks.process import ROOT, ServerFailedError, ServerProcess
from benchmarks.scenarios import ECHOES, Echo

CONNECTIONS: Final = 32
WARM_UP_SECONDS: Final = 0.5
#: Servers take turns: what disturbs the machine for a while disturbs all of them.
TURNS: Final = 4
DEFLATE: Final = "permessage-deflate"


def measure_echo(
    servers: Mapping[str, ServerProcess], echo: Echo, seconds: float, processor: int
) -> dict[str, dict[str, float]]:
    """Load servers in turn and measure them.

    Args:
        servers: the running servers by name.
        echo: what is sent.
        seconds: how long each of them is loaded.
        processor: number of the processor that the load is pinned to.

    Returns:
        By server:
        ``message_rate`` messages a second, ``message_us`` CPU microseconds of the server a message, ``rss_mb``.

    Raises:
        ServerFailedError: a wrong echo, or the load failed.
    """
    before = {}
    for name, server in servers.items():
        _run_load(server, echo, WARM_UP_SECONDS, processor)
        before[name] = server.read_usage()
    counts = dict.fromkeys(servers, 0)
    spent = dict.fromkeys(servers, 0.0)
    for _ in range(TURNS):
        for name, server in servers.items():
            count, lasted = _run_load(server, echo, seconds / TURNS, processor)
            counts[name] += count
            spent[name] += lasted
    values = {}
    for name, server in servers.items():
        after = server.read_usage()
        values[name] = {
            "message_rate": counts[name] / spent[name],
            "message_us": (after.cpu_seconds - before[name].cpu_seconds) / counts[name] * 1e6,
            "rss_mb": after.resident_bytes / 1e6,
        }
    return values


def _run_load(server: ServerProcess, echo: Echo, seconds: float, processor: int) -> tuple[int, float]:
    command = ["taskset", "--cpu-list", str(processor), sys.executable, "-m", "benchmarks.websocket"]
    command += [echo.name, str(server.port), str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailedError(f"{echo.name}: {done.stderr.strip().rpartition(chr(10))[2]}")
    count, spent = json.loads(done.stdout)
    return count, spent


def make_message(echo: Echo) -> bytes:
    """Make the text that is echoed: JSON, as applications send it."""
    records = ({"id": number, "name": f"user {number}", "online": number % 3 == 0} for number in range(10_000))
    text = "".join(json.dumps(record) for record in records)
    return text[: echo.message_bytes].encode()


def make_frame(payload: bytes, *, is_compressed: bool) -> bytes:
    """Make a masked text frame. Source: RFC 6455 section 5.2; RFC 7692 section 7.2.1."""
    first = 0x81
    if is_compressed:
        compressor = zlib.compressobj(wbits=-15)
        payload = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        first |= 0x40
    size = len(payload)
    head = bytes((first, 0x80 | size)) if size < 126 else struct.pack("!BBH", first, 0xFE, size)
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


def open_peer(port: int, *, offers_deflate: bool) -> socket.socket:
    """Open one WebSocket.

    Raises:
        ServerFailedError: the server refused, or did not take the offer that was made.
    """
    peer = socket.create_connection(("127.0.0.1", port), timeout=20)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    offer = f"Sec-WebSocket-Extensions: {DEFLATE}\r\n" if offers_deflate else ""
    peer.sendall(
        f"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n".encode()
    )
    answer = peer.recv(65536)
    if not answer.startswith(b"HTTP/1.1 101 ") or not answer.endswith(b"\r\n\r\n"):
        raise ServerFailedError(f"no WebSocket: answered {answer[:200]!r}")
    if (DEFLATE.encode() in answer) != offers_deflate:
        raise ServerFailedError(f"{DEFLATE} was {'offered' if offers_deflate else 'not offered'}: {answer!r}")
    return peer


def read_frame(peer: socket.socket) -> bytes:
    """Read one frame of the server's, whole."""
    data = peer.recv(65536)
    while True:
        if len(data) >= 4:
            length = data[1]
            head = 2
            if length == 126:
                length = int.from_bytes(data[2:4], "big")
                head = 4
            if len(data) >= head + length:
                return data
        more = peer.recv(65536)
        if not more:
            raise ServerFailedError("the server closed the connection")
        data += more


def echo_for(peers: list[socket.socket], frame: bytes, seconds: float, *, is_compressed: bool) -> tuple[int, float]:
    """Echo for a while; how many messages, and in how many seconds."""
    size = len(frame) - 4  # an echo has no key
    buffer = bytearray(size)
    ready = select.epoll()
    by_descriptor = {peer.fileno(): peer for peer in peers}
    for descriptor in by_descriptor:
        ready.register(descriptor, select.EPOLLIN)
    count = 0
    started = time.perf_counter()
    end = started + seconds
    for peer in peers:
        peer.send(frame)
    while time.perf_counter() < end:
        for descriptor, _ in ready.poll(1):
            peer = by_descriptor[descriptor]
            if is_compressed:
                read_frame(peer)
            elif peer.recv_into(buffer, size, socket.MSG_WAITALL) != size:
                raise ServerFailedError("the server closed the connection")
            peer.send(frame)
            count += 1
    return count, time.perf_counter() - started


def check_echo(peer: socket.socket, echo: Echo, frame: bytes, message: bytes) -> None:
    """Compare one echo: a server that answers something else must not be measured."""
    peer.sendall(frame)
    data = read_frame(peer)
    payload = data[2:] if data[1] < 126 else data[4:]
    if echo.is_compressed:
        if not data[0] & 0x40:
            raise ServerFailedError("the echo is not compressed")
        payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
    if payload != message:
        raise ServerFailedError(f"the echo is {payload[:100]!r}")


def main() -> None:
    """Load a server: ``NAME PORT SECONDS``."""
    echo = next(each for each in ECHOES if each.name == sys.argv[1])
    message = make_message(echo)
    frame = make_frame(message, is_compressed=echo.is_compressed)
    peers = [open_peer(int(sys.argv[2]), offers_deflate=echo.is_compressed) for _ in range(CONNECTIONS)]
    check_echo(peers[0], echo, frame, message)
    print(json.dumps(echo_for(peers, frame, float(sys.argv[3]), is_compressed=echo.is_compressed)))
    for peer in peers:
        peer.close()


if __name__ == "__main__":
    main()
