"""Testing tools for corelet: servers, clients and requests for tests; public in ``corelet.test_utils``."""

from __future__ import annotations

from .client import TestClient
from .loop import loop_context, setup_test_loop, teardown_test_loop, unittest_run_loop
from .mocked_request import make_mocked_coro, make_mocked_request
from .port import get_port_socket, get_unused_port_socket, unused_port
from .server import BaseTestServer, RawTestServer, TestServer
from .test_case import AioHTTPTestCase

__all__ = [
    "AioHTTPTestCase",
    "BaseTestServer",
    "RawTestServer",
    "TestClient",
    "TestServer",
    "get_port_socket",
    "get_unused_port_socket",
    "loop_context",
    "make_mocked_coro",
    "make_mocked_request",
    "setup_test_loop",
    "teardown_test_loop",
    "unittest_run_loop",
    "unused_port",
]
