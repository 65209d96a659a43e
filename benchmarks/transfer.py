"""Move one large body through a server, by a client that does nothing else."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from typing import Final

from benchmarks.process import ROOT, ServerFailedError, ServerProcess
from benchmarks.scenarios import BOUNDARY, GIB
from benchmarks.servers.arguments import LARGE_FILE_BYTES

SIZED_BLOCK: Final = bytes(2**20)
#: Sixteen chunks of 64 KiB in their framing.
CHUNKS: Final = (b"10000\r\n" + bytes(65536) + b"\r\n") * 16
CHUNKS_CONTENT_BYTES: Final = 65536 * 16
#: Bytes of a body, and how many are moved: the kernel counts CPU in steps of 10 ms.
AMOUNTS: Final = {"static-large": (LARGE_FILE_BYTES, 20), "multipart-large": (LARGE_FILE_BYTES, 20)}
DEFAULT_AMOUNT: Final = (GIB, 4)
MULTIPART_HEAD: Final = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'.encode()
MULTIPART_TAIL: Final = f"\r\n--{BOUNDARY}--\r\n".encode()
#: What is uploaded is mostly compressed, which looks like chance: a parser that hopes for no line ends finds some.
MULTIPART_BLOCK: Final = random.Random(1).randbytes(2**20)


def measure_transfer(server: ServerProcess, kind: str, processor: int) -> dict[str, float]:
    """Measure large bodies, several, since the kernel counts CPU in steps of 10 ms.

    Args:
        server: the running server.
        kind: a name in ``benchmarks.scenarios.TRANSFERS``.
        processor: number of the processor that the client is pinned to.

    Returns:
        ``cpu_s`` CPU seconds of the server for one body, ``rss_mb`` after them.
    """
    size, repeats = AMOUNTS.get(kind, DEFAULT_AMOUNT)
    _move(server.port, kind, min(size, GIB // 16), processor)
    before = server.read_usage()
    for _ in range(repeats):
        _move(server.port, kind, size, processor)
    after = server.read_usage()
    return {"cpu_s": (after.cpu_seconds - before.cpu_seconds) / repeats, "rss_mb": after.resident_bytes / 1e6}


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


def upload_multipart(port: int, size: int) -> None:
    """Send a file of ``size`` bytes as a part, and wait for the answer."""
    length = len(MULTIPART_HEAD) + size + len(MULTIPART_TAIL)
    fields = f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {length}"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as peer:
        peer.sendall(f"POST /multipart HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n".encode() + MULTIPART_HEAD)
        for _ in range(size // len(MULTIPART_BLOCK)):
            peer.sendall(MULTIPART_BLOCK)
        peer.sendall(MULTIPART_TAIL)
        answer = peer.recv(65536)
    if not answer.endswith(f"\r\n{size}".encode()):
        raise ServerFailedError(f"multipart: answered {answer[:200]!r}")


def download(port: int, size: int, target: str) -> None:
    """Ask for ``size`` bytes and drop them, with their framing."""
    buffer = bytearray(2**20)
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
    kind, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    framing = "chunked" if kind.endswith("-chunked") else "sized"
    if kind.startswith("upload"):
        upload(port, size, framing)
    elif kind.startswith("download"):
        download(port, size, f"/download/{framing}/{size}")
    elif kind == "static-large":
        download(port, size, "/static/large.bin")
    else:
        upload_multipart(port, size)


if __name__ == "__main__":
    main()
