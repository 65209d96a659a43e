"""Measure what a connection costs in memory while nothing happens on it."""

from __future__ import annotations

import resource
import socket
import time
from typing import Final

from benchmarks.process import ServerFailedError, ServerProcess
from benchmarks.scenarios import IDLE_CONNECTIONS
from benchmarks.websocket import open_peer

REQUEST: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: Connections opened and closed first, so that what a server makes once is not counted.
WARM_UP: Final = 200
SETTLE_SECONDS: Final = 1.0


def allow_open_files() -> None:
    """Raise the limit of open files for us and for servers that we start.

    Raises:
        SystemExit: the limit of this machine is too low.
    """
    needed = IDLE_CONNECTIONS + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    if hard < needed:
        raise SystemExit(f"idle connections need {needed} open files, the limit is {hard}: ulimit -n {needed}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def measure_idle(server: ServerProcess, kind: str) -> dict[str, float]:
    """Open many connections and see how much the server has grown.

    Args:
        server: the running server, new.
        kind: ``idle`` (one request each, then nothing), ``silent`` (never a byte) or ``ws-idle`` (a WebSocket each).

    Returns:
        ``connection_bytes``: resident memory of the server a connection.

    Raises:
        ServerFailedError: it answered a request by something else than 200, or closed a connection.
    """
    for peer in _connect(server.port, WARM_UP, "idle" if kind == "silent" else kind):
        peer.close()
    time.sleep(SETTLE_SECONDS)
    before = server.read_usage()
    peers = _connect(server.port, IDLE_CONNECTIONS, kind)
    try:
        time.sleep(SETTLE_SECONDS)
        after = server.read_usage()
        _check_open(peers)
    finally:
        for peer in peers:
            peer.close()
    return {"connection_bytes": (after.resident_bytes - before.resident_bytes) / IDLE_CONNECTIONS}


def _connect(port: int, count: int, kind: str) -> list[socket.socket]:
    if kind == "ws-idle":
        return [open_peer(port, offers_deflate=True) for _ in range(count)]
    peers = []
    for _ in range(count):
        peer = socket.create_connection(("127.0.0.1", port), timeout=10)
        peers.append(peer)
        if kind == "idle":
            peer.sendall(REQUEST)
            answer = peer.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise ServerFailedError(f"idle connections: answered {answer[:200]!r}")
    return peers


def _check_open(peers: list[socket.socket]) -> None:
    for peer in peers:
        peer.setblocking(False)
        try:
            left = peer.recv(1)
        except BlockingIOError:
            continue
        raise ServerFailedError(f"idle connections: one was closed or sent {left!r}")
