"""A protocol that a plugin registers is offered by ALPN, and serves the peers that choose it until the end."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import pytest

from corelet import PluginConflictError, hookimpl, web
from corelet.abc import Instrument, NegotiatedConnection
from corelet.pipeline import ProtocolRegistry
from tests.conftest import Connect, Serve, Served, Tls


class Shout(NegotiatedConnection):
    """The made-up protocol shout/1: each line is answered in capitals; ``wait`` is answered when all is over."""

    def __init__(self, server: web.Server) -> None:
        super().__init__(server)
        self.is_waiting = False

    @property
    def is_idle(self) -> bool:
        return not self.is_waiting

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        if data == b"expire\n":
            self.deadline = self.server.now
        elif data == b"wait\n":
            self.is_waiting = True
        else:
            self.transport.write(data.upper())

    def cancel(self) -> None:
        assert self.transport is not None
        self.transport.write(b"cancelled\n")
        self.transport.close()


class Whisper(NegotiatedConnection):
    """A protocol whose connections can't be made."""

    is_idle = True

    def __init__(self, server: web.Server) -> None:
        raise LookupError("nobody whispers")

    def data_received(self, data: bytes) -> None: ...


class Shouting:
    """The plugin with both."""

    def __init__(self) -> None:
        self.asked_with: list[object] = []
        self.seen: list[str] = []

    @hookimpl
    def corelet_register_protocols(self, protocols: ProtocolRegistry, app: web.Application) -> None:
        self.asked_with.append(app)
        protocols.add("shout/1", Shout)
        protocols.add("whisper/1", Whisper)

    @hookimpl
    def corelet_instrument(self, app: web.Application) -> Instrument:
        seen = self.seen

        class Watch(Instrument):
            def connection_made(self, connection: Any) -> None:
                seen.append(f"made {type(connection).__name__}")

            def connection_lost(self, connection: Any, exc: BaseException | None) -> None:
                seen.append(f"lost {type(connection).__name__}")

        return Watch()


async def answer(request: web.Request) -> web.Response:
    return web.Response(text="hello")


@pytest.fixture
def context(tls: Tls) -> ssl.SSLContext:
    """Give a server's context of this test's own: what it offers is changed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate_path, tls.key_path)
    return context


async def open_peer(served: Served, tls: Tls, *protocols: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect as a peer that knows some protocols."""
    context = ssl.create_default_context(cafile=tls.authority_path)
    if protocols:
        context.set_alpn_protocols(protocols)
    return await asyncio.open_connection(served.host, served.port, ssl=context, server_hostname="localhost")


def get_chosen(writer: asyncio.StreamWriter) -> str | None:
    chosen: str | None = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    return chosen


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def test_a_peer_that_chooses_a_plugins_protocol_is_served_by_it(
    serve: Serve, tls: Tls, context: ssl.SSLContext
) -> None:
    plugin = Shouting()
    app = web.Application(handler=answer, plugins=[plugin])
    served = await serve(app, ssl_context=context)
    reader, writer = await open_peer(served, tls, "h2", "shout/1", "http/1.1")
    assert get_chosen(writer) == "shout/1"
    for _ in range(2):
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"
    (connection,) = served.server.connections
    assert isinstance(connection, Shout)
    assert connection.server.app is app
    await close(writer)
    await served.stop()
    assert plugin.asked_with == [app]
    assert plugin.seen == ["made Shout", "lost Shout"]


@pytest.mark.parametrize(
    ("protocols", "chosen"),
    [((), None), (("http/1.1",), "http/1.1"), (("h2",), None), (("h2", "http/1.1"), "http/1.1")],
)
async def test_every_other_peer_is_served_as_ever(
    serve: Serve, tls: Tls, context: ssl.SSLContext, protocols: tuple[str, ...], chosen: str | None
) -> None:
    served = await serve(web.Application(handler=answer, plugins=[Shouting()]), ssl_context=context)
    reader, writer = await open_peer(served, tls, *protocols)
    assert get_chosen(writer) == chosen
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).endswith(b"\r\n\r\nhello")
    await close(writer)


async def test_without_such_plugins_a_context_stays_as_it_is(serve: Serve, tls: Tls, context: ssl.SSLContext) -> None:
    context.set_alpn_protocols(["acme/1"])
    served = await serve(web.Application(handler=answer, plugins=[]), ssl_context=context)
    _, writer = await open_peer(served, tls, "acme/1")
    assert get_chosen(writer) == "acme/1"
    await close(writer)


async def test_sites_without_tls_speak_http(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(web.Application(handler=answer, plugins=[Shouting()])))
    assert (await client.get()).text == "hello"


async def test_a_connection_that_can_not_be_made_ends_with_its_error_in_the_log(
    serve: Serve, tls: Tls, context: ssl.SSLContext, expect_error_log: list[Any]
) -> None:
    served = await serve(web.Application(handler=answer, plugins=[Shouting()]), ssl_context=context)
    reader, writer = await open_peer(served, tls, "whisper/1")
    with pytest.raises((ConnectionResetError, ssl.SSLError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.transport.abort()
    (record,) = expect_error_log
    assert record.getMessage() == "Error making the connection of a peer that has chosen whisper/1"
    assert str(record.exc_info[1]) == "nobody whispers"


async def test_the_server_holds_its_deadline(serve: Serve, tls: Tls, context: ssl.SSLContext) -> None:
    served = await serve(web.Application(handler=answer, plugins=[Shouting()]), ssl_context=context)
    reader, writer = await open_peer(served, tls, "shout/1")
    writer.write(b"expire\n")
    with pytest.raises((ConnectionResetError, ssl.SSLError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), 10)
    writer.transport.abort()


async def test_a_stop_closes_what_is_idle_and_cancels_what_is_at_work_after_its_time(
    serve: Serve, tls: Tls, context: ssl.SSLContext
) -> None:
    served = await serve(
        web.Application(handler=answer, plugins=[Shouting()]), ssl_context=context, shutdown_timeout=0.5
    )
    idle_reader, idle_writer = await open_peer(served, tls, "shout/1")
    busy_reader, busy_writer = await open_peer(served, tls, "shout/1")
    idle_writer.write(b"hello\n")
    assert await idle_reader.readline() == b"HELLO\n"
    busy_writer.write(b"hello\n")
    assert await busy_reader.readline() == b"HELLO\n"
    busy_writer.write(b"wait\n")
    stopping = asyncio.create_task(served.stop())
    assert await idle_reader.read() == b""
    assert await busy_reader.read() == b"cancelled\n"
    await stopping
    await close(idle_writer)
    await close(busy_writer)


# The registry


def test_ids_are_offered_in_the_order_of_their_registration() -> None:
    registry = ProtocolRegistry()
    registry.add("shout/1", Shout)
    registry.add("h2", Whisper)
    registry.add("shout/1", Shout)
    assert list(registry.factories) == ["shout/1", "h2"]


def test_two_factories_for_one_id_are_a_conflict_that_names_both() -> None:
    registry = ProtocolRegistry()
    registry.add("h2", Shout)
    with pytest.raises(PluginConflictError, match=r"ALPN id 'h2' is registered twice: .*Shout'> and .*Whisper'>"):
        registry.add("h2", Whisper)


def test_the_kernels_own_id_can_not_be_taken() -> None:
    with pytest.raises(PluginConflictError, match=r"ALPN id 'http/1\.1' is the kernel's own"):
        ProtocolRegistry().add("http/1.1", Shout)


@pytest.mark.parametrize("alpn_id", ["", "h²", "x" * 256])
def test_what_can_be_no_id_is_refused(alpn_id: str) -> None:
    with pytest.raises(ValueError, match="is not 1 to 255 bytes of ASCII"):
        ProtocolRegistry().add(alpn_id, Shout)
