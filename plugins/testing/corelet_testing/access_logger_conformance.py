"""What every access logger must do, as tests that its author runs."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from corelet import hookimpl, web
from corelet.abc import AbstractAccessLogger

from .conformance import Conformance

#: What peers send to write lines of their own, to hide some, or to make one fail; each with Connection: close.
_HOSTILE: Final = (
    b"GET /?a=%0a%0dX HTTP/1.1\r\nHost: a\r\nUser-Agent: x\x1b[2Jy\r\nConnection: close\r\n\r\n",
    b'GET /"\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: "\\\r\nReferer: \xff\xfe\r\nConnection: close\r\n\r\n',
    b"GET /%s%d{0}%(name)s HTTP/1.1\r\nHost: a\r\nUser-Agent: %s %(message)s {} \r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \u2028\u2029\x85\u202e\r\nConnection: close\r\n\r\n".encode(),
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
)


class AccessLoggerConformance(Conformance):
    """Test an access logger: ``abc.AbstractAccessLogger``.

    A logger that writes elsewhere than to the ``logging.Logger`` that it is given overrides :meth:`read_lines`.
    """

    port = "an access logger"

    @abstractmethod
    def make_logger(self, logger: logging.Logger) -> AbstractAccessLogger:
        """Make the access logger, which writes by a logger that takes all levels."""

    def read_lines(self, collected: list[logging.LogRecord]) -> list[str]:
        """Give the lines written so far; by default the messages of what the logger has collected."""
        return [record.getMessage() for record in collected]

    async def wait_for_lines(self, collected: list[logging.LogRecord], known: int) -> list[str]:
        """Give the lines that follow those known, when there is one; a line is written after its answer."""
        for _ in range(100):
            if len(self.read_lines(collected)) > known:
                break
            await asyncio.sleep(0.002)
        await asyncio.sleep(0)
        return self.read_lines(collected)[known:]

    @contextmanager
    def collect(self) -> Iterator[tuple[logging.Logger, list[logging.LogRecord]]]:
        """Give a logger, and the list to which its records go."""
        logger, handler = logging.getLogger("corelet_testing.access"), _Collector()
        logger.propagate = False
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        try:
            yield logger, handler.records
        finally:
            logger.removeHandler(handler)

    def make_app(self, access_logger: AbstractAccessLogger) -> web.Application:
        """Make an application that logs by an access logger."""
        return web.Application(handler=_answer, plugins=[_Logging(access_logger)])

    async def test_each_answer_has_its_line(self) -> None:
        """Whole ones, streams, redirects and errors alike."""
        with self.collect() as (logger, collected):
            async with self.serve(self.make_app(self.make_logger(logger))) as client:
                for method, path in [("GET", "/"), ("HEAD", "/"), ("GET", "/stream"), ("GET", "/gone"), ("POST", "/")]:
                    before = len(self.read_lines(collected))
                    async with client.request(method, path, allow_redirects=False) as answer:
                        await answer.read()
                    lines = await self.wait_for_lines(collected, before)
                    self.expect_equal(len(lines), 1, f"{method} {path} is answered, and has one line")
                    self.expect(lines[0].strip(), "a line says something", lines[0])

    async def test_no_peer_breaks_a_line(self) -> None:
        """Nor adds one, nor clears the screen of whoever reads it."""
        with self.collect() as (logger, collected):
            async with self.serve(self.make_app(self.make_logger(logger))) as client:
                for request in _HOSTILE:
                    before = len(self.read_lines(collected))
                    answer = await _send(client.host, client.port, request)
                    self.expect(answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 4")), "logging harms no answer", answer)
                    if answer.startswith(b"HTTP/1.1 4"):  # what the parser refuses is no request, and has no line
                        continue
                    lines = await self.wait_for_lines(collected, before)
                    self.expect(len(lines) == 1, "each answer has one line", lines)
                    for line in lines:
                        plain = len(line.splitlines()) == 1 and all(character.isprintable() for character in line)
                        self.expect(plain, "what a peer sent and can't be printed is shown as an escape", line)

    async def test_what_is_not_enabled_writes_nothing(self) -> None:
        """``enabled`` is asked once, when a server is made."""
        with self.collect() as (logger, collected):
            logger.setLevel(logging.CRITICAL + 1)
            access_logger = self.make_logger(logger)
            self.expect(isinstance(access_logger.enabled, bool), "enabled is a bool", access_logger.enabled)
            async with self.serve(self.make_app(access_logger)) as client, client.get("/") as answer:
                self.expect_equal(answer.status, 200, "a logger that writes nothing harms no answer")
            if not access_logger.enabled:
                self.expect_equal(self.read_lines(collected), [], "what is not enabled writes nothing")


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _Logging:
    """A plugin with one access logger."""

    def __init__(self, access_logger: AbstractAccessLogger) -> None:
        self._access_logger = access_logger

    @hookimpl
    def corelet_make_access_logger(self, app: Any) -> AbstractAccessLogger:
        return self._access_logger


async def _answer(request: web.Request) -> web.StreamResponse:
    if request.path == "/gone":
        raise web.HTTPGone
    if request.path == "/stream":
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        return response
    return web.Response(text="hello")


async def _send(host: str, port: int | None, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
