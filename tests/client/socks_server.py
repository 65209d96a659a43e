"""A small SOCKS proxy: versions 4, 4a and 5, with and without a password. Source: RFC 1928, RFC 1929."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass, field
from typing import Self


@dataclass
class SocksServer:
    """Relays connections, and remembers what was asked.

    Args:
        login: name and password that are asked for; None for nobody.
        reply: what a request is answered by; 0 opens a connection.
        names: host -> address; any other name is asked of the system.
    """

    login: tuple[str, str] | None = None
    reply: int = 0
    is_silent: bool = False
    names: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[int, str, int]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    port: int = 0

    async def __aenter__(self) -> Self:
        self.was_asked = asyncio.Event()
        self._serving: dict[asyncio.Task, asyncio.StreamWriter] = {}
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info) -> None:
        self._server.close()
        for writer in self._serving.values():
            writer.transport.abort()
        await asyncio.gather(*self._serving)
        await self._server.wait_closed()

    async def _serve(self, reader, writer) -> None:
        task = asyncio.current_task()
        self._serving[task] = writer
        task.add_done_callback(self._serving.pop)
        try:
            version = (await reader.readexactly(1))[0]
            target = await (self._greet_4 if version == 4 else self._greet_5)(reader, writer)
            self.was_asked.set()
            if self.is_silent:
                await reader.read()
            elif target is not None:
                await self._relay(reader, writer, *target)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def _greet_4(self, reader, writer):
        _, *head = await reader.readexactly(7)
        port, address = head[0] * 256 + head[1], bytes(head[2:])
        self.logins.append((await reader.readuntil(b"\0"))[:-1].decode())
        host = str(ipaddress.ip_address(address))
        if address[:3] == b"\0\0\0":
            host = (await reader.readuntil(b"\0"))[:-1].decode()
        self.asked.append((4, host, port))
        if self.is_silent:
            return None
        writer.write(bytes([0, 91 if self.reply else 90]) + bytes(6))
        return None if self.reply else (host, port)

    async def _greet_5(self, reader, writer):
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 0 if self.login is None else 2
        if wanted not in methods:
            writer.write(b"\x05\xff")
            return None
        writer.write(bytes([5, wanted]))
        if self.login is not None and not await self._check_login(reader, writer):
            return None
        *_, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await reader.readexactly(2))
        self.asked.append((5, host, port))
        if self.is_silent:
            return None
        writer.write(bytes([5, self.reply, 0, 1]) + bytes(6))
        return None if self.reply else (host, port)

    async def _check_login(self, reader, writer) -> bool:
        await reader.readexactly(1)
        name = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        password = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        self.logins.append(name)
        is_right = (name, password) == self.login
        writer.write(bytes([1, 0 if is_right else 1]))
        return is_right

    async def _relay(self, reader, writer, host: str, port: int) -> None:
        there = await asyncio.open_connection(self.names.get(host, host), port, family=socket.AF_INET)
        try:
            await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))
        finally:
            there[1].close()


async def _copy(reader, writer) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if not writer.is_closing():
        writer.write_eof()
