"""Whatever fills a port here passes its conformance tests."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from yarl import URL

import corelet
from corelet import Payload, web
from corelet.abc import (
    AbstractAccessLogger,
    AbstractCookieJar,
    AbstractResolver,
    AbstractRouter,
    ContentCoding,
    FormReader,
    Handler,
    Instrument,
    NegotiatedConnection,
)
from corelet.access_logger import AccessLogger, JsonAccessLogger
from corelet.error_renderer import make_error_renderer
from corelet.test_utils import (
    AccessLoggerConformance,
    ConnectorConformance,
    ContentCodingConformance,
    CookieJarConformance,
    ErrorRendererConformance,
    FormReaderConformance,
    InstrumentConformance,
    MountConformance,
    PayloadConformance,
    ProtocolConformance,
    ResolverConformance,
    RouterConformance,
)
from corelet_compression.registration import make_codings
from corelet_compression.zlib_coding import PaddedGzipCoding
from corelet_multipart.form_reader import MultipartFormReader
from tests.kernel.test_negotiation import Shout


class TestUrlDispatcher(RouterConformance):
    def make_router(self) -> AbstractRouter:
        return web.UrlDispatcher()


class TestSubapps(MountConformance):
    def make_app(self, **kwargs: Any) -> web.Application:
        return web.Application(plugins=["routing", "subapps"], **kwargs)


CODINGS = {coding.name: coding for coding in make_codings()}


class TestZstd(ContentCodingConformance):
    excess_bytes = 0

    def make_coding(self) -> ContentCoding:
        return CODINGS["zstd"]


class TestBrotli(ContentCodingConformance):
    def make_coding(self) -> ContentCoding:
        return CODINGS["br"]


class TestGzip(ContentCodingConformance):
    excess_bytes = 0

    def make_coding(self) -> ContentCoding:
        return CODINGS["gzip"]


class TestPaddedGzip(ContentCodingConformance):
    excess_bytes = 0

    def make_coding(self) -> ContentCoding:
        return PaddedGzipCoding(100)


class TestDeflate(ContentCodingConformance):
    excess_bytes = 0

    def make_coding(self) -> ContentCoding:
        return CODINGS["deflate"]


class TestMultipartFormReader(FormReaderConformance):
    media_type = "multipart/form-data"

    def make_reader(self) -> FormReader:
        return MultipartFormReader()

    def make_body(self, fields: Sequence[tuple[str, str]]) -> tuple[str, bytes]:
        parts = [
            f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields
        ]
        return "multipart/form-data; boundary=edge", b"".join([*parts, b"--edge--\r\n"])


class TestUrlencodedOfTheKernel(FormReaderConformance):
    """The kernel reads it itself, and asks no reader."""

    media_type = "application/x-www-form-urlencoded"

    def make_reader(self) -> FormReader:
        class NeverAsked(FormReader):
            async def read(self, request: Any) -> Any:
                raise NotImplementedError

        return NeverAsked()

    def make_body(self, fields: Sequence[tuple[str, str]]) -> tuple[str, bytes]:
        return self.media_type, urlencode(fields).encode()


class TestTCPConnector(ConnectorConformance):
    def make_connector(self, **kwargs: Any) -> corelet.BaseConnector:
        return corelet.TCPConnector(**kwargs)


class TestUnixConnector(ConnectorConformance):
    @pytest.fixture(autouse=True)
    def use(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "socket")

    def make_connector(self, **kwargs: Any) -> corelet.BaseConnector:
        return corelet.UnixConnector(self.path, **kwargs)

    def make_dead_connector(self, **kwargs: Any) -> tuple[corelet.BaseConnector, URL]:
        return corelet.UnixConnector(f"{self.path}-of-nobody", **kwargs), URL("http://nobody.test/")

    @asynccontextmanager
    async def listen(self, handler: Handler) -> AsyncIterator[URL]:
        runner = web.ServerRunner(web.Server(handler))
        await runner.setup()
        await web.UnixSite(runner, self.path).start()
        try:
            yield URL("http://here.test/")
        finally:
            await runner.cleanup()


class TestAccessLogger(AccessLoggerConformance):
    def make_logger(self, logger: logging.Logger) -> AbstractAccessLogger:
        return AccessLogger(logger)


class TestJsonAccessLogger(AccessLoggerConformance):
    def make_logger(self, logger: logging.Logger) -> AbstractAccessLogger:
        return JsonAccessLogger(logger)


class TestDefaultErrorRenderer(ErrorRendererConformance):
    def make_renderer(self, app: web.Application) -> Callable[[BaseException, Any], web.Response]:
        return make_error_renderer(debug=False)


class Counting(Instrument):
    """Counts requests, as those for metrics do."""

    def __init__(self) -> None:
        self.running = 0
        self.statuses: list[int] = []

    def request_started(self, request: Any) -> None:
        self.running += 1

    def request_finished(self, request: Any, response: Any) -> None:
        self.running -= 1
        self.statuses.append(499 if response is None else response.status)

    def request_refused(self, status: int, reason: str) -> None:
        self.statuses.append(status)


class TestCounting(InstrumentConformance):
    def make_instrument(self) -> Instrument:
        return Counting()


class TestMadeUpProtocol(ProtocolConformance):
    request = b"wake up\n"
    answer = b"WAKE UP\n"

    def make_connection(self, server: web.Server) -> NegotiatedConnection:
        return Shout(server)


class TestThreadedResolver(ResolverConformance):
    def make_resolver(self) -> AbstractResolver:
        return corelet.ThreadedResolver()


class TestAsyncResolver(ResolverConformance):
    bad_hosts = ("a" * 64 + ".test", "a..b")  # others it would ask a name server for

    def make_resolver(self) -> AbstractResolver:
        return corelet.AsyncResolver()


class TestCookieJar(CookieJarConformance):
    def make_jar(self) -> AbstractCookieJar:
        return corelet.CookieJar(unsafe=True)


class TestBytesIOPayload(PayloadConformance):
    content = bytes(range(256)) * 10

    def make_payload(self) -> Payload:
        return corelet.BytesIOPayload(io.BytesIO(self.content))


class TestJsonPayload(PayloadConformance):
    content = json.dumps({"a": ["b", "é"]}).encode()

    def make_payload(self) -> Payload:
        return corelet.JsonPayload({"a": ["b", "é"]})


class TestAsyncIterablePayload(PayloadConformance):
    content = b"one, two and three"

    def make_payload(self) -> Payload:
        async def give() -> AsyncIterator[bytes]:
            for piece in (b"one, ", b"two ", b"and three"):
                yield piece

        return corelet.AsyncIterablePayload(give())


class TestFilePayload(PayloadConformance):
    content = b"some lines\n" * 1000

    @pytest.fixture(autouse=True)
    def use(self, tmp_path: Path) -> None:
        self.path = tmp_path / "file"
        self.path.write_bytes(self.content)

    def make_payload(self) -> Payload:
        return corelet.BufferedReaderPayload(self.path.open("rb"))


class TestMultipartWriter(PayloadConformance):
    content = b"--edge\r\nContent-Type: text/plain; charset=utf-8\r\n\r\none\r\n--edge--\r\n"

    def make_payload(self) -> Payload:
        writer = corelet.MultipartWriter(boundary="edge")
        writer.append("one")
        return writer
