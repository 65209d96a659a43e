"""What every instrument must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import inspect
import logging
from abc import abstractmethod
from typing import Any, Final

from corelet import hookimpl, web
from corelet.abc import Instrument

from .conformance import Conformance

_EVENTS: Final = ("connection_made", "connection_lost", "request_started", "request_finished", "request_refused")


class InstrumentConformance(Conformance):
    """Test an instrument: ``abc.Instrument``, through all that a server goes through."""

    port = "an instrument"

    @abstractmethod
    def make_instrument(self) -> Instrument:
        """Make the instrument of one application."""

    async def test_it_overrides_methods_that_are_called(self) -> None:
        """Plain functions, since nobody would await a coroutine."""
        instrument = self.make_instrument()
        self.expect(isinstance(instrument, Instrument), "it derives from abc.Instrument", instrument)
        overridden = [name for name in _EVENTS if getattr(type(instrument), name) is not getattr(Instrument, name)]
        self.expect(overridden, f"it overrides one of {', '.join(_EVENTS)}", vars(type(instrument)))
        for name in overridden:
            is_async = inspect.iscoroutinefunction(getattr(instrument, name))
            self.expect(not is_async, f"{name} is a plain function: nobody would await it")

    async def test_nothing_that_happens_breaks_it(self) -> None:
        """One that raises is logged and called no more, so that it would count only a part."""
        logger, problems = logging.getLogger("corelet_testing.instrument"), _Problems()
        logger.propagate = False
        logger.addHandler(problems)
        app = web.Application(handler=_answer, plugins=[_Watching(self.make_instrument())], logger=logger)
        try:
            async with self.serve(app) as client, self.expect_end("what an instrument watches ends"):
                for method, path in [("GET", "/"), ("HEAD", "/"), ("POST", "/stream"), ("GET", "/gone"), ("GET", "/x")]:
                    async with client.request(method, path) as answer:
                        await answer.read()
                for request in (
                    b"",  # connects and goes away
                    b"nonsense\r\n\r\n",
                    b"GET / HTTP/1.1\r\nHost: a\r\n",  # goes away within the head
                    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
                    b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n",  # goes away before the answer
                    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3,
                ):
                    await _send_and_leave(client.host, client.port, request)
        finally:
            logger.removeHandler(problems)
        self.expect(not problems.said, "an instrument never raises", problems.said)


class _Problems(logging.Handler):
    """Keeps what is logged of instruments; the handler of this test fails on purpose."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "instrument" in record.getMessage():
            self.said.append(logging.Formatter("%(message)s").format(record))


class _Watching:
    """A plugin with one instrument."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument

    @hookimpl
    def corelet_instrument(self, app: Any) -> Instrument:
        return self._instrument


async def _answer(request: web.Request) -> web.StreamResponse:
    if request.path == "/gone":
        raise web.HTTPGone
    if request.path == "/x":
        raise RuntimeError("on purpose")
    if request.path == "/wait":
        await request.wait_for_disconnection()
    await request.read()
    if request.path == "/stream":
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        return response
    return web.Response(text="hello")


async def _send_and_leave(host: str, port: int | None, request: bytes) -> None:
    _, writer = await asyncio.open_connection(host, port)
    writer.write(request)
    await asyncio.sleep(0.01)
    writer.close()
    await writer.wait_closed()
