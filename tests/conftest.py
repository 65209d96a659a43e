"""Common ground of all tests: the loop, a served application, clients, and a check that nothing leaks.

``CORELET_TEST_LOOP`` names the loop: ``asyncio`` (default) or ``uvloop``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import hypothesis
import pytest
from yarl import URL

from tests.raw_client import RawClient

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from corelet.app import Application
    from corelet.runner import BaseRunner
    from corelet.server import Server

# On a busy machine a single example may take any time; what may not grow is counted by tests of its own.
hypothesis.settings.register_profile("corelet", deadline=None)
hypothesis.settings.load_profile("corelet")

LOOP = os.environ.get("CORELET_TEST_LOOP", "asyncio")
#: How long what a test has closed may take to be gone, in seconds.
SETTLE_SECONDS = 2.0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if LOOP == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    if LOOP != "asyncio":
        raise pytest.UsageError(f"CORELET_TEST_LOOP is {LOOP!r}, known: asyncio, uvloop")
    return asyncio.SelectorEventLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    return {LOOP: _loop_factory()}


def pytest_collection_finish(session: pytest.Session) -> None:
    # What is imported stays: collections after each test look at that test's objects only.
    gc.collect()
    gc.freeze()


@dataclass
class Served:
    """An application or a handler that runs, and where."""

    runner: BaseRunner
    url: URL
    host: str
    port: int

    @property
    def server(self) -> Server:
        assert self.runner.server is not None
        return self.runner.server

    async def stop(self) -> None:
        """Stop it before the test ends."""
        await self.runner.cleanup()


Serve = Callable[..., Awaitable[Served]]
Connect = Callable[..., Awaitable[RawClient]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Give what serves an application or a bare handler on a free port, until the end of the test.

    Keyword arguments are the server's; ``ssl_context`` is the site's.
    """
    async with AsyncExitStack() as running:

        async def start(
            served: Application | Callable[..., Any], *, ssl_context: ssl.SSLContext | None = None, **kwargs: Any
        ) -> Served:
            from corelet.runner import TCPSite

            kwargs.setdefault("shutdown_timeout", 5.0)
            runner = _make_runner(served, kwargs)
            await runner.setup()
            running.push_async_callback(runner.cleanup)
            site = TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
            await site.start()
            return Served(runner, URL(site.name), "127.0.0.1", site.port)

        yield start


def _make_runner(served: Application | Callable[..., Any], kwargs: dict[str, Any]) -> BaseRunner:
    # Tests of the lower floors need no server.
    from corelet.app import Application
    from corelet.runner import AppRunner, ServerRunner
    from corelet.server import Server

    if isinstance(served, Application):
        return AppRunner(served, **kwargs)
    shutdown_timeout = kwargs.pop("shutdown_timeout")
    return ServerRunner(Server(served, **kwargs), shutdown_timeout=shutdown_timeout)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Give what opens a raw connection to something served; closed at the end of the test."""
    async with AsyncExitStack() as opened:

        async def open_one(served: Served, **kwargs: Any) -> RawClient:
            client = RawClient(*await asyncio.open_connection(served.host, served.port, **kwargs))
            opened.push_async_callback(client.close)
            return client

        yield open_one


@pytest.fixture
async def peer() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a real client: aiohttp's session."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        yield session


@dataclass
class Tls:
    """Both ends of TLS with a certificate made for ``localhost`` and 127.0.0.1."""

    server: ssl.SSLContext
    client: ssl.SSLContext
    certificate_path: str
    key_path: str


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Give contexts for a server and its clients, by a certificate that signs itself."""
    return _make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def other_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Give the same by another certificate, which the first one's clients don't trust."""
    return _make_tls(tmp_path_factory.mktemp("other_tls"))


def _make_tls(folder: Path) -> Tls:
    import ssl

    certificate, key = str(folder / "certificate.pem"), str(folder / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return Tls(server, ssl.create_default_context(cafile=certificate), certificate, key)


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def expect_error_log() -> Iterator[list[logging.LogRecord]]:
    """Give the error records that the test logs; it must log at least one, which fails any other test."""
    collected = _Records()
    logger = logging.getLogger("corelet")
    logger.addHandler(collected)
    yield collected.records
    logger.removeHandler(collected)
    assert collected.records, "an error was expected in the log"


@pytest.fixture(autouse=True)
def leaves_no_error(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that logs an error which it doesn't expect."""
    if "expect_error_log" in request.fixturenames:
        yield
        return
    collected = _Records()
    logger = logging.getLogger("corelet")
    logger.addHandler(collected)
    yield
    logger.removeHandler(collected)
    assert not collected.records, [_describe(record) for record in collected.records]


def _describe(record: logging.LogRecord) -> str:
    return logging.Formatter("%(name)s: %(message)s").format(record)


@pytest.fixture(autouse=True)
def leaves_nothing(request: pytest.FixtureRequest) -> None:
    """Fail a test that leaves a task, a socket, a lost exception or something unclosed."""
    if request.node.get_closest_marker("asyncio") is not None:
        request.getfixturevalue("leaves_nothing_in_loop")


@pytest.fixture
async def leaves_nothing_in_loop() -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda loop, context: reported.append(context))
    sockets = _count_sockets()
    yield
    # Unclosed things and lost exceptions speak up when they are collected.
    gc.collect()
    end = loop.time() + SETTLE_SECONDS
    while (_other_tasks() or _count_sockets() > sockets) and loop.time() < end:  # noqa: ASYNC110 -- leaks have no event
        await asyncio.sleep(0.01)
    gc.collect()
    await asyncio.sleep(0)
    assert not _other_tasks(), "tasks are left"
    assert _count_sockets() <= sockets, "sockets are left"
    assert not reported, reported


def _other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {asyncio.current_task()}


def _count_sockets() -> int:
    """Count this process's sockets. Only their number: uvloop changes its own pair with each run."""
    if sys.platform != "linux":
        return 0
    names = map(_read_link, os.listdir("/proc/self/fd"))
    return sum(name.startswith("socket:") for name in names)


def _read_link(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # that of the listing itself
        return ""
