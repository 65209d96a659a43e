"""What every connector must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from yarl import URL

import corelet
from corelet import web

from .conformance import Conformance
from .port import unused_port
from .server import RawTestServer

if TYPE_CHECKING:
    from corelet.abc import Handler


class ConnectorConformance(Conformance):
    """Test a connector: a ``corelet.BaseConnector`` that opens connections in its own way.

    Where it doesn't connect to the host and port of a URL, override :meth:`listen` with a server at the place that it
    connects to, and :meth:`make_dead_connector`.
    """

    port = "a connector"

    @abstractmethod
    def make_connector(self, **kwargs: Any) -> corelet.BaseConnector:
        """Make a connector; keywords are those of ``BaseConnector``."""

    def listen(self, handler: Handler) -> AbstractAsyncContextManager[URL]:
        """Serve a bare handler where connectors of :meth:`make_connector` connect to, and give its URL."""
        return _listen(handler)

    def make_dead_connector(self, **kwargs: Any) -> tuple[corelet.BaseConnector, URL]:
        """Make a connector, and a URL at which nobody listens."""
        return self.make_connector(**kwargs), URL.build(scheme="http", host="127.0.0.1", port=unused_port())

    @asynccontextmanager
    async def open_session(self, **kwargs: Any) -> AsyncIterator[tuple[corelet.ClientSession, _Site]]:
        """Serve a site, and give a session that asks it by a new connector; keywords are the connector's."""
        site = _Site(self)
        async with (
            self.listen(site.answer) as site.url,
            corelet.ClientSession(connector=self.make_connector(**kwargs)) as session,
        ):
            try:
                yield session, site
            finally:
                site.gate.set()

    async def test_an_idle_connection_is_used_again(self) -> None:
        """Requests after each other need one; those beside each other one each."""
        async with self.open_session() as (session, site):
            for _ in range(3):
                await site.ask(session, "/")
            self.expect_equal(len(set(site.transports)), 1, "three requests after each other share a connection")
            beside = [asyncio.ensure_future(site.ask(session, "/wait")) for _ in range(3)]
            await site.wait_until(lambda: site.busy == 3, "three requests at once run without a limit")
            site.gate.set()
            await asyncio.gather(*beside)
            self.expect_equal(len(set(site.transports)), 3, "three requests at once take three connections")

    async def test_bodies_go_both_ways(self) -> None:
        """Large ones, which take many writes."""
        async with self.open_session() as (session, site):
            body = bytes(range(256)) * 2048
            async with self.expect_end("a large body goes through"), session.post(site.url, data=body) as answer:
                found = await answer.read()
            self.expect(found == body, f"{len(body):,} bytes come back as they were", len(found))

    async def test_force_close_keeps_none(self) -> None:
        """Each request has a connection of its own."""
        async with self.open_session(force_close=True) as (session, site):
            for _ in range(3):
                await site.ask(session, "/")
            self.expect_equal(len(set(site.transports)), 3, "with force_close no connection is used twice")

    async def test_an_idle_connection_has_its_time(self) -> None:
        """After ``keepalive_timeout`` it is closed."""
        async with self.open_session(keepalive_timeout=0.02) as (session, site):
            await site.ask(session, "/")
            await site.wait_until(site.transports[0].is_closing, "an idle connection is closed after keepalive_timeout")
            await site.ask(session, "/")
            self.expect_equal(len(set(site.transports)), 2, "the next request has a new connection")

    async def test_a_connection_that_the_server_closes_is_not_used(self) -> None:
        """Whether the server has said so, or not."""
        async with self.open_session() as (session, site):
            await site.ask(session, "/close")
            await site.ask(session, "/")
            site.transports[-1].close()
            pool = session.connector.pool if session.connector is not None else None
            await site.wait_until(
                lambda: pool is not None and not pool.connections, "a connection that the server closes is forgotten"
            )
            await site.ask(session, "/")
            self.expect_equal(len(set(site.transports)), 3, "no closed connection is used again")

    async def test_the_limit_holds_and_the_first_comes_first(self) -> None:
        """Who finds no place waits, and gets one in order."""
        async with self.open_session(limit=2) as (session, site):
            holding = [asyncio.ensure_future(site.ask(session, "/wait")) for _ in range(2)]
            await site.wait_until(lambda: site.busy == 2, "as many requests as the limit allows run at once")
            waiting = []
            for number in range(6):
                waiting.append(asyncio.ensure_future(site.ask(session, f"/{number}")))
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)
            self.expect_equal(len(site.paths), 2, "no request goes out beyond the limit")
            site.gate.set()
            async with self.expect_end("all that waited are answered"):
                await asyncio.gather(*holding, *waiting)
            self.expect_equal(site.most, 2, "never more requests run than the limit allows")
            self.expect_equal(
                site.paths[2:], [f"/{number}" for number in range(6)], "who waits longest gets a place first"
            )

    async def test_one_full_host_keeps_no_other_waiting(self) -> None:
        """``limit_per_host`` is counted for each host."""
        async with self.open_session(limit_per_host=1) as (session, site):
            holding = asyncio.ensure_future(site.ask(session, "/wait"))
            await site.wait_until(lambda: site.busy == 1, "a request runs")
            waiting = asyncio.ensure_future(site.ask(session, "/later"))
            await asyncio.sleep(0)
            async with self.expect_end("a request to another host doesn't wait"):
                await site.ask(session, "/other", url=site.url.with_host("localhost"))
            self.expect_equal(site.paths, ["/wait", "/other"], "the limit of one host is not that of another")
            site.gate.set()
            async with self.expect_end("who waited for a place is answered"):
                await asyncio.gather(holding, waiting)

    async def test_who_is_cancelled_takes_no_place(self) -> None:
        """Neither while it waits for one, nor while it is answered."""
        async with self.open_session(limit=1) as (session, site):
            holding = asyncio.ensure_future(site.ask(session, "/wait"))
            await site.wait_until(lambda: site.busy == 1, "a request runs")
            waiting = [asyncio.ensure_future(site.ask(session, f"/{number}")) for number in range(4)]
            await asyncio.sleep(0.01)
            waiting[0].cancel()
            waiting[2].cancel()
            holding.cancel()
            async with self.expect_end("a place is given back by who is cancelled"):
                await asyncio.gather(holding, *waiting, return_exceptions=True)
            self.expect_equal(site.paths, ["/wait", "/1", "/3"], "who is cancelled is not asked for")
            self.expect(len(set(site.transports)) >= 2, "a connection with half an answer is not used again")

    async def test_who_is_cancelled_when_its_place_comes_gives_it_on(self) -> None:
        """The moment in which a place was given and not taken."""
        async with self.open_session(limit=1) as (session, site):
            for _ in range(3):
                site.gate.clear()
                holding = asyncio.ensure_future(site.ask(session, "/wait"))
                await site.wait_until(lambda: site.busy == 1, "a request runs")
                waiting = [asyncio.ensure_future(site.ask(session, "/")) for _ in range(2)]
                await asyncio.sleep(0.005)
                holding.add_done_callback(lambda _, first=waiting[0]: first.cancel())  # type: ignore[misc]
                site.gate.set()
                async with self.expect_end("a place that was given to somebody who is cancelled goes on"):
                    await asyncio.gather(holding, *waiting, return_exceptions=True)

    async def test_waiting_has_its_time(self) -> None:
        """``ClientTimeout.connect`` bounds the wait for a place."""
        async with self.open_session(limit=1) as (session, site):
            holding = asyncio.ensure_future(site.ask(session, "/wait"))
            await site.wait_until(lambda: site.busy == 1, "a request runs")
            timeout = corelet.ClientTimeout(connect=0.02)
            async with self.expect_end("the wait for a place ends"):
                with self.expect_error(corelet.ConnectionTimeoutError, "waiting too long is a ConnectionTimeoutError"):
                    await site.ask(session, "/late", timeout=timeout)
            site.gate.set()
            await holding
            await site.ask(session, "/")
            self.expect_equal(site.paths, ["/wait", "/"], "who has waited too long takes no place")

    async def test_nobody_there_is_an_error(self) -> None:
        """A ClientConnectorError, after which the place is free."""
        connector, url = self.make_dead_connector(limit=1)
        async with corelet.ClientSession(connector=connector) as session:
            for _ in range(2):
                async with self.expect_end("a connection that can't be opened takes no place"):
                    with self.expect_error(
                        corelet.ClientConnectorError, "a connection that can't be opened is a ClientConnectorError"
                    ):
                        await session.get(url)

    async def test_closing_ends_everything(self) -> None:
        """Idle connections, requests in progress, and who waits for a place; once for all."""
        async with self.open_session(limit=2) as (session, site):
            connector = session.connector
            assert connector is not None
            await asyncio.gather(site.ask(session, "/"), site.ask(session, "/"))
            running = asyncio.ensure_future(site.ask(session, "/wait"))
            await site.wait_until(lambda: site.busy == 1, "a request runs")
            others = [asyncio.ensure_future(site.ask(session, "/wait")) for _ in range(2)]
            await site.wait_until(lambda: site.busy == 2, "as many requests as the limit allows run at once")
            async with self.expect_end("close() ends"):
                await connector.close()
                await connector.close()
            self.expect(connector.closed, "a connector that was closed says so")
            async with self.expect_end("what used a closed connector ends"):
                outcomes = await asyncio.gather(running, *others, return_exceptions=True)
            self.expect(
                all(isinstance(outcome, corelet.ClientError) for outcome in outcomes),
                "requests of a closed connector end by a ClientError",
                outcomes,
            )
            site.gate.set()
            for transport in site.transports:
                await site.wait_until(transport.is_closing, "close() closes every connection")
            with self.expect_error((corelet.ClientError, RuntimeError), "a closed connector can't be used"):
                await site.ask(session, "/")

    async def test_sessions_share_it(self) -> None:
        """A session that doesn't own its connector leaves it open."""
        site = _Site(self)
        async with self.listen(site.answer) as site.url, self.make_connector() as connector:
            for _ in range(2):
                async with corelet.ClientSession(connector=connector, connector_owner=False) as session:
                    await site.ask(session, "/")
            self.expect_equal(len(set(site.transports)), 1, "two sessions of one connector share a connection")
            self.expect(not connector.closed, "a session that doesn't own its connector leaves it open")
        self.expect(connector.closed, "'async with' closes a connector")

    async def test_it_belongs_to_the_loop_that_first_used_it(self) -> None:
        """In another one it is a RuntimeError that says so."""
        async with self.open_session() as (session, site):
            await site.ask(session, "/")
            connector = session.connector
            assert connector is not None

            async def use() -> None:
                with self.expect_error(RuntimeError, "a connector in another loop is a RuntimeError"):
                    connector.pool  # noqa: B018  # made when it is touched

            await asyncio.to_thread(asyncio.run, use())


class _Site:
    """What answers, and what it has seen."""

    def __init__(self, conformance: ConnectorConformance) -> None:
        self.url = URL()
        #: Opens the way for requests to ``/wait``.
        self.gate = asyncio.Event()
        self.paths: list[str] = []
        self.transports: list[asyncio.Transport] = []
        self.busy = 0
        self.most = 0
        self._conformance = conformance

    async def answer(self, request: web.BaseRequest) -> web.Response:
        transport = request.transport
        assert transport is not None
        self.transports.append(transport)
        self.paths.append(request.path)
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            if request.path == "/wait":
                await self.gate.wait()
            response = web.Response(body=await request.read() or request.path.encode())
            if request.path == "/close":
                response.force_close()
            return response
        finally:
            self.busy -= 1

    async def ask(self, session: corelet.ClientSession, path: str, *, url: URL | None = None, **kwargs: Any) -> None:
        """Send a request, and check its answer."""
        async with session.get((url or self.url).with_path(path), **kwargs) as answer:
            self._conformance.expect_equal(await answer.text(), path, "a request gets its own answer")

    async def wait_until(self, holds: Callable[[], object], promise: str) -> None:
        """Wait until something holds that the connector promises."""
        async with self._conformance.expect_end(promise):
            while not holds():  # noqa: ASYNC110  # what a peer has seen has no event
                await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def _listen(handler: Handler) -> AsyncIterator[URL]:
    async with RawTestServer(handler) as server:
        yield server.make_url("/")
