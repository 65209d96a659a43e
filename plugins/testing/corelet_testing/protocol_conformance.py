"""What every connection of another protocol must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import random
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from corelet import hookimpl, web
from corelet.abc import Instrument, NegotiatedConnection

from .conformance import Conformance

_NOISE: Final = random.Random(2).randbytes(2000)  # noqa: S311  # the same each time
#: Seconds for answers in progress when a server stops: whoever waits for it all is said to hang.
_SHUTDOWN_SECONDS: Final = 60.0


class ProtocolConformance(Conformance):
    """Test the connections that a factory of ``corelet_register_protocols`` makes: ``abc.NegotiatedConnection``.

    Peers connect without TLS, which such a connection doesn't notice.
    """

    port = "a connection of another protocol"

    @abstractmethod
    def make_connection(self, server: web.Server) -> NegotiatedConnection:
        """Make the connection of one peer, as the factory does."""

    @property
    @abstractmethod
    def request(self) -> bytes:
        """What a peer sends to be answered, with all that comes before its first request."""

    @property
    @abstractmethod
    def answer(self) -> bytes:
        """Bytes that are in what the peer gets for :attr:`request`, at their end; the handler says ``hello``."""

    @asynccontextmanager
    async def serve_protocol(self) -> AsyncIterator[_Place]:
        """Serve an application by such connections alone."""
        place = _Place()
        app = web.Application(handler=_say_hello, plugins=[place])
        place.runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_SECONDS)
        await place.runner.setup()
        assert place.runner.server is not None
        place.server = place.runner.server
        place.server()  # its clock starts with the first connection that it makes, which is never opened
        loop = asyncio.get_running_loop()
        old_handler = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: place.errors.append(context.get("exception") or context))

        def make_protocol() -> Any:
            return self.make_connection(place.server)

        listener = await loop.create_server(make_protocol, "127.0.0.1", 0)
        place.address = listener.sockets[0].getsockname()
        try:
            yield place
        finally:
            listener.close()
            for peer in place.peers:
                await peer.leave()
            await place.runner.cleanup()
            await listener.wait_closed()
            loop.set_exception_handler(old_handler)
        self.expect_equal(place.errors, [], "a connection raises nothing that the event loop gets")

    async def _ask(self, peer: _Peer, pieces: list[bytes]) -> bytes:
        try:
            async with self.expect_end("a request is answered"):
                for piece in pieces:
                    peer.writer.write(piece)
                    await asyncio.sleep(0)
                return await peer.reader.readuntil(self.answer)
        except (ConnectionError, asyncio.IncompleteReadError, RuntimeError) as error:  # uvloop's for what is closed
            raise AssertionError(self.describe("a request is answered", error)) from error

    async def test_a_peer_is_answered(self) -> None:
        """However its request comes, beside other peers."""
        request = self.request
        cuts = [[request], [request[at : at + 1] for at in range(len(request))], [request[:-1], request[-1:]]]
        async with self.serve_protocol() as place:
            peers = [await place.connect() for _ in cuts]
            answers = await asyncio.gather(*(self._ask(peer, cut) for peer, cut in zip(peers, cuts, strict=True)))
            for peer in peers:
                await peer.leave()
            await self._expect_gone(place)
        for answer in answers:
            self.expect(answer.endswith(self.answer), "a request is answered however it was cut", answer)

    async def _expect_gone(self, place: _Place) -> None:
        async with self.expect_end("a server knows no connection that was lost: connection_lost() calls the base's"):
            while place.server.connections:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.001)

    async def test_the_server_and_instruments_know_it(self) -> None:
        """From ``connection_made`` to ``connection_lost``, which an override calls."""
        async with self.serve_protocol() as place:
            peer = await place.connect()
            await self._ask(peer, [self.request])
            known = place.server.connections
            self.expect_equal(len(known), 1, "the server has it among its connections: connection_made() is called")
            self.expect(isinstance(known[0], NegotiatedConnection), "it derives from NegotiatedConnection", known)
            self.expect(known[0].transport is not None, "it has its transport while it is open")
            await peer.leave()
            await self._expect_gone(place)
            self.expect_equal(known[0].transport, None, "it has no transport once it is lost")
            self.expect_equal(place.seen, ["made", "lost"], "instruments see it come and go, once each")

    async def test_an_idle_one_ends_with_its_server(self) -> None:
        """Whoever has asked nothing, or has been answered, keeps no server from stopping."""
        async with self.serve_protocol() as place:
            silent, answered = await place.connect(), await place.connect()
            await self._ask(answered, [self.request])
            async with self.expect_end("where nothing is read or answered is_idle is True, and close_idle() closes"):
                await place.runner.cleanup()
            for peer in (silent, answered):
                async with self.expect_end("the peer of an idle connection sees the end of it"):
                    await peer.read_all()

    async def test_it_can_be_ended_at_once(self) -> None:
        """By ``abort()``, and when its deadline has come by ``expire()``."""
        for method in ("abort", "expire"):
            async with self.serve_protocol() as place:
                peer = await place.connect()
                await place.wait_for_connection()
                getattr(place.server.connections[0], method)()
                async with self.expect_end(f"{method}() ends the connection"):
                    await peer.read_all()
                await self._expect_gone(place)

    async def test_no_peer_breaks_it(self) -> None:
        """Noise, half a request, a request with noise behind it, and nothing at all."""
        request = self.request
        async with self.serve_protocol() as place:
            for sent in (_NOISE, request[: len(request) // 2], request + _NOISE, b"\0" * 2000, b"\xff" * 2000, b""):
                peer = await place.connect()
                peer.writer.write(sent)
                await asyncio.sleep(0.01)
                await peer.leave()
            await self._expect_gone(place)
            peer = await place.connect()
            await self._ask(peer, [request])


class _Peer:
    """One that has connected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read_all(self) -> None:
        """Read until the server has closed, or dropped, the connection."""
        try:
            await self.reader.read()
        except ConnectionResetError:
            return

    async def leave(self) -> None:
        """Close the connection."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except ConnectionError:  # the server was faster
            return


class _Place(Instrument):
    """Where connections are served, and the plugin that watches them."""

    def __init__(self) -> None:
        self.runner: web.AppRunner
        self.server: web.Server
        self.address: tuple[Any, ...] = ()
        self.seen: list[str] = []
        self.errors: list[Any] = []
        self.peers: list[_Peer] = []

    async def connect(self) -> _Peer:
        """Connect as a peer."""
        self.peers.append(_Peer(*await asyncio.open_connection(*self.address[:2])))
        return self.peers[-1]

    async def wait_for_connection(self) -> None:
        """Wait until the server has taken a peer."""
        async with asyncio.timeout(5):
            while not self.server.connections:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0.001)

    @hookimpl
    def corelet_instrument(self, app: Any) -> Instrument:
        return self

    def connection_made(self, connection: Any) -> None:
        self.seen.append("made")

    def connection_lost(self, connection: Any, exc: BaseException | None) -> None:
        self.seen.append("lost")


async def _say_hello(request: web.Request) -> web.Response:
    return web.Response(text="hello")
