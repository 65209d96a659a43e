"""Common ground of all tests: the loop, a served application, clients, and a check that nothing leaks.

``CORELET_TEST_LOOP`` names the loop: ``asyncio`` (default) or ``uvloop``.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import hashlib
import inspect
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import hypothesis
import pytest
import trustme
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

#: Seconds that a test on a loop may take, on the slowest machine.
PATIENCE = 120

LOOP = os.environ.get("CORELET_TEST_LOOP", "asyncio")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if LOOP == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    if LOOP != "asyncio":
        raise pytest.UsageError(f"CORELET_TEST_LOOP is {LOOP!r}, known: asyncio, uvloop")
    return asyncio.SelectorEventLoop


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Any]:
    return {LOOP: _loop_factory()}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _end_in_time(item.obj)


def _end_in_time(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Fail a test that hangs, with where it waits; pytest-timeout would end the whole run."""

    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        async with asyncio.timeout(PATIENCE):
            await test(*args, **kwargs)

    return run


@pytest.fixture(scope="module", autouse=True)
def set_old_objects_aside() -> None:
    """Let the collections after each test look at that module's objects only: what is imported, or cached, stays."""
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
            # Tests of the lower floors need no server.
            from corelet.app import Application
            from corelet.test_utils import RawTestServer, TestServer

            server = TestServer(served) if isinstance(served, Application) else RawTestServer(served)
            await server.start_server(ssl=ssl_context, **kwargs)
            running.push_async_callback(server.close)
            assert server.runner is not None
            assert server.port is not None
            return Served(server.runner, server.make_url("/").origin(), server.host, server.port)

        yield start


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
    """Both ends of TLS, by a certificate for ``localhost`` and 127.0.0.1 and the authority that has issued it."""

    authority: trustme.CA
    server: ssl.SSLContext
    client: ssl.SSLContext
    authority_path: str
    certificate_path: str
    key_path: str
    #: The certificate's SHA-256.
    digest: bytes


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Give contexts for a server and its clients."""
    return _make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def other_tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Give the same by another authority, which the first one's clients don't trust."""
    return _make_tls(tmp_path_factory.mktemp("other_tls"))


def _make_tls(folder: Path) -> Tls:
    import ssl

    authority = trustme.CA()
    issued = authority.issue_cert("localhost", "127.0.0.1")
    root, certificate, key = (str(folder / f"{name}.pem") for name in ("authority", "certificate", "key"))
    authority.cert_pem.write_to_path(root)
    issued.cert_chain_pems[0].write_to_path(certificate)
    issued.private_key_pem.write_to_path(key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())).digest()
    return Tls(authority, server, ssl.create_default_context(cafile=root), root, certificate, key, digest)


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
def leaves_nothing(no_leaks: None) -> None:
    """Fail a test that leaves a task, a socket, a lost exception or something unclosed."""
