"""How much memory a large upload takes: a command, and what a test runs with fewer bytes.

python tests/multipart/upload_memory.py --mib 2048
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from corelet import web

MIB = 2**20
PIECE = bytes(range(256)) * 1024
HEAD = b'--bound\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
TAIL = b"\r\n--bound--\r\n"


async def count_streamed(request: web.Request) -> web.Response:
    """Count the bytes of all parts."""
    sizes = [sum([len(piece) async for piece in part]) async for part in await request.multipart()]
    return web.json_response(sizes)


async def count_spooled(request: web.Request) -> web.Response:
    """Count the bytes of a file that was spooled to disk."""
    file = (await request.post())["f"].file
    return web.json_response([file.seek(0, 2)])


HANDLERS = {"/streamed": count_streamed, "/spooled": count_spooled}


async def serve() -> None:
    """Serve on a free port, which is printed, until standard input ends."""

    async def handler(request: web.Request) -> web.Response:
        return await HANDLERS[request.path](request)

    runner = web.AppRunner(web.Application(handler=handler, client_max_size=0))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site.port, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


def read_memory(pid: int, name: str) -> int:
    """Read how many bytes are, or were at most, resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def upload(port: int, path: str, size: int) -> bytes:
    """Send one file of so many bytes; the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=120) as sock:
        length = len(HEAD) + size + len(TAIL)
        head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\nConnection: close\r\n"
        sock.sendall(f"{head}Content-Type: multipart/form-data; boundary=bound\r\n\r\n".encode() + HEAD)
        for start in range(0, size, len(PIECE)):
            sock.sendall(PIECE[: size - start])
        sock.sendall(TAIL)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
        return answer


def measure(path: str, size: int) -> dict[str, Any]:
    """Upload a small file and then a large one to a server of its own; what the large one took."""
    command = [sys.executable, __file__, "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = int(server.stdout.readline())
            upload(port, path, MIB)
            before = read_memory(server.pid, "VmRSS")
            started = time.perf_counter()
            answer = upload(port, path, size)
            seconds = time.perf_counter() - started
            peak = read_memory(server.pid, "VmHWM")
        finally:
            server.stdin.close()
    assert answer.endswith(f"[{size}]".encode()), answer
    return {
        "path": path,
        "MiB": size / MIB,
        "growth_MiB": round((peak - before) / MIB, 1),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--serve", action="store_true")
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve())
    else:
        for path in HANDLERS:
            print(measure(path, arguments.mib * MIB))
