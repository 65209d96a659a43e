"""Move one large body through a server, by a client that does nothing else."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Final

from benchmarks.process import ROOT, ServerFailedError, ServerProcess
from benchmarks.scenarios import GIB

SIZED_BLOCK: Final = bytes(2**20)
#: Sixteen chunks of 64 KiB in their framing.
CHUNKS: Final = (b"10000\r\n" + bytes(65536) + b"\r\n") * 16
CHUNKS_CONTENT_BYTES: Final = 65536 * 16
REPEATS: Final = 4


def measure_transfer(server: ServerProcess, kind: str, processor: int) -> dict[str, float]:
    """Measure bodies of 1 GiB, several, since the kernel counts CPU in steps of 10 ms.

    Args:
        server: the running server.
        kind: a name in ``benchmarks.scenarios.TRANSFERS``.
        processor: number of the processor that the client is pinned to.

    Returns:
        ``cpu_s`` CPU seconds of the server for one body, ``rss_mb`` after them.
    """
    _move(server.port, kind, GIB // 16, processor)
    before = server.read_usage()
    for _ in range(REPEATS):
        _move(server.port, kind, GIB, processor)
    after = server.read_usage()
    return {"cpu_s": (after.cpu_seconds - before.cpu_seconds) / REPEATS, "rss_mb": after.resident_bytes / 1e6}


def upload(port: int, size: int, framing: str) -> None:
    """Send ``size`` bytes and wait for the answer."""
    if framing == "sized":
        field, block, end, count = f"Content-Length: {size}", SIZED_BLOCK, b"", size // len(SIZED_BLOCK)
    else:
        field, block, end, count = "Transfer-Encoding: chunked", CHUNKS, b"0\r\n\r\n", size // CHUNKS_CONTENT_BYTES
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(f"PUT /upload HTTP/1.1\r\nHost: localhost\r\n{field}\r\n\r\n".encode())
        for _ in range(count):
            peer.sendall(block)
        peer.sendall(end)
        answer = peer.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ServerFailedError(f"upload: answered {answer[:200]!r}")


def download(port: int, size: int, framing: str) -> None:
    """Ask for ``size`` bytes and drop them, with their framing."""
    buffer = bytearray(2**20)
    target = f"/download/{framing}/{size}"
    received = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        while count := peer.recv_into(buffer):
            received += count
    if received < size:
        raise ServerFailedError(f"download: ended {size - received} bytes early")


def _move(port: int, kind: str, size: int, processor: int) -> None:
    command = ["taskset", "--cpu-list", str(processor), sys.executable, "-m", "benchmarks.transfer"]
    done = subprocess.run([*command, kind, str(port), str(size)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServerFailedError(f"{kind}: {done.stderr.strip().rpartition(chr(10))[2]}")


def main() -> None:
    """Move one body: ``KIND PORT SIZE``."""
    kind, _, coding = sys.argv[1].partition("-")
    move = {"upload": upload, "download": download}[kind]
    move(int(sys.argv[2]), int(sys.argv[3]), "chunked" if coding else "sized")


if __name__ == "__main__":
    main()
