"""A session whose pool must be in order at the end, and servers that say exactly what a test tells them."""

from __future__ import annotations

import asyncio
import importlib.util
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
from yarl import URL

import corelet
from corelet import ClientSession


class Peer:
    """One connection of a scripted server."""

    def __init__(self, server: RawServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.number = server.connections
        self.reader = reader
        self.writer = writer

    async def read_request(self) -> tuple[bytes, bytes]:
        """Read a request: its head, and its body by Content-Length or the chunked coding."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        body = b""
        if b"transfer-encoding" in fields:
            while size := int(await self.reader.readuntil(b"\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readuntil(b"\n")
        elif b"content-length" in fields:
            body = await self.reader.readexactly(int(fields[b"content-length"]))
        self.server.requests.append((head, body))
        return head, body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"ok", *, status: str = "200 OK", fields: str = "") -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
        await self.send(head.encode("latin-1") + body)

    async def wait_closed(self) -> None:
        """Wait until the client has closed; drop what it still sends."""
        while await self.reader.read(65536):
            pass


class RawServer:
    """What a scripted server has seen."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []
        self.connections = 0
        self.closed = 0
        self.url = URL()
        self.changed = asyncio.Event()

    @property
    def heads(self) -> list[bytes]:
        return [head for head, _ in self.requests]

    @property
    def lines(self) -> list[bytes]:
        return [head.split(b"\r\n")[0] for head in self.heads]

    async def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so that changes with a connection's begin or end."""
        async with asyncio.timeout(5):
            while not is_so():
                self.changed.clear()
                await self.changed.wait()


Script = Callable[[Peer], Awaitable[None]]
StartRaw = Callable[..., Awaitable[RawServer]]


@pytest.fixture
async def raw() -> AsyncIterator[StartRaw]:
    """Give what starts a server that runs a script for each connection; keywords are ``asyncio.start_server``'s."""
    async with AsyncExitStack() as running:

        async def start(script: Script, **kwargs: Any) -> RawServer:
            seen = RawServer()
            tasks: set[asyncio.Task[Any]] = set()

            async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.add(asyncio.current_task())
                seen.connections += 1
                seen.changed.set()
                try:
                    await script(Peer(seen, reader, writer))
                except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    pass
                finally:
                    writer.close()
                    seen.closed += 1
                    seen.changed.set()

            path = kwargs.pop("path", None)
            if path is not None:
                server = await asyncio.start_unix_server(run, path, **kwargs)
            else:
                server = await asyncio.start_server(run, "127.0.0.1", 0, **kwargs)
                scheme = "https" if "ssl" in kwargs else "http"
                seen.url = URL.build(scheme=scheme, host="127.0.0.1", port=server.sockets[0].getsockname()[1])

            async def stop() -> None:
                server.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            running.push_async_callback(stop)
            return seen

        yield start


async def serve_ok(peer: Peer) -> None:
    """Answer every request by its body, or ``ok``."""
    while True:
        _, body = await peer.read_request()
        await peer.answer(body or b"ok")


async def tunnel(peer: Peer) -> None:
    """Open a tunnel to a port of this machine."""
    head, _ = await peer.read_request()
    port = int(head.split(b" ")[1].rpartition(b":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            sink.close()

    await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer))


@pytest.fixture
def full() -> Iterator[URL]:
    """Give the URL of a server whose queue of connections is full: a connection to it is opened for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as fillers:
        for _ in range(3):
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield URL.build(scheme="http", host="127.0.0.1", port=listener.getsockname()[1])


@pytest.fixture
async def client() -> AsyncIterator[ClientSession]:
    """Give a session; at the end no request may hold a place in its pool."""
    async with corelet.ClientSession(timeout=corelet.ClientTimeout(total=10)) as session:
        yield session
        if session.connector is None or not session.connector.closed:
            assert_at_rest(session)


def assert_at_rest(session: ClientSession) -> None:
    """Check that a session's pool has no place taken, nobody waiting and no busy connection."""
    if session.connector is None:
        return  # it was given up before it was used
    pool = session.connector.pool
    assert (pool.places, pool.waiting_count) == (0, 0)
    assert len(pool.connections) == pool.idle_count


def has_plugin(name: str) -> bool:
    """Tell whether a first-party plugin is installed."""
    return importlib.util.find_spec(f"corelet_{name}") is not None
