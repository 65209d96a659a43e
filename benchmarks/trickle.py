"""Hold a server by connections that trickle, and see what others feel of it: ``python -m benchmarks.trickle``.

A thousand peers send one byte of a head every five seconds. While they do, wrk asks for the plain page; then they have
to be gone within a second of the head's deadline.
"""

from __future__ import annotations

import argparse
import contextlib
import select
import socket
import sys
import threading
import time
from typing import Final

from benchmarks.idle import allow_open_files
from benchmarks.load import measure_load
from benchmarks.process import ServerProcess, choose_processors
from benchmarks.scenarios import LOADS, SERVERS, Load
from corelet.limits import DEFAULT_DEADLINES

CONNECTIONS: Final = 1000
BYTE_SECONDS: Final = 5.0
HEAD: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000


class Trickle:
    """Peers that send a head byte by byte, in a thread, until each is closed."""

    def __init__(self, port: int, count: int) -> None:
        self._peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_until_gone(self, seconds: float) -> float | None:
        """Wait until the server has closed all of them; how long that took from their start, None if it hasn't."""
        self._thread.join(seconds - (time.monotonic() - self._started))
        return None if self._thread.is_alive() else self._ended - self._started

    def _run(self) -> None:
        sent = 0
        next_byte = self._started
        while self._peers:
            if time.monotonic() >= next_byte:
                self._send(HEAD[sent : sent + 1])
                sent += 1
                next_byte += BYTE_SECONDS
            self._drop_closed()
        self._ended = time.monotonic()

    def _send(self, byte: bytes) -> None:
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.send(byte)

    def _drop_closed(self) -> None:
        poll = select.poll()
        by_number = {peer.fileno(): peer for peer in self._peers}
        for number in by_number:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(100):
            peer = by_number[number]
            with contextlib.suppress(OSError):
                if peer.recv(4096):
                    continue
            peer.close()
            self._peers.remove(peer)


def measure(server: ServerProcess, load: Load, seconds: float, processor: int) -> tuple[float, float, float | None]:
    """Measure one server.

    Returns:
        p99 of others before and while peers trickle, in milliseconds, and the seconds after which those were gone.
    """
    before = measure_load(server, load, seconds, processor)["p99_ms"]
    trickle = Trickle(server.port, CONNECTIONS)
    during = measure_load(server, load, seconds, processor)["p99_ms"]
    return before, during, trickle.wait_until_gone(DEFAULT_DEADLINES.head_seconds + 10)


def main() -> int:
    """Run it, and tell by the exit status whether what is promised holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trickle", description=__doc__)
    parser.add_argument("--duration", type=float, default=10.0, help="seconds of load for each measurement (10)")
    parser.add_argument("--server", default="corelet", choices=("corelet", "aiohttp"), help="which server (corelet)")
    arguments = parser.parse_args()
    allow_open_files()
    own, other = choose_processors()
    with ServerProcess(sys.executable, SERVERS[arguments.server], "plain", own) as server:
        before, during, gone = measure(server, LOADS[0], arguments.duration, other)
    print(f"p99 of others: {before:.2f} ms before, {during:.2f} ms while {CONNECTIONS:,} connections trickle")
    print("the trickling ones are still there" if gone is None else f"the trickling ones were gone after {gone:.1f} s")
    is_held = gone is not None and gone <= DEFAULT_DEADLINES.head_seconds + 1 and during < 2 * before
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())
