"""Testing tools for corelet, public in ``corelet.test_utils``: servers, clients and requests for tests.

And what authors of plugins hold theirs to: assertions about hooks and public names, and conformance tests of ports.
"""

from __future__ import annotations

from .access_logger_conformance import AccessLoggerConformance
from .client import TestClient
from .conformance import Conformance
from .connector_conformance import ConnectorConformance
from .content_coding_conformance import ContentCodingConformance
from .cookie_jar_conformance import CookieJarConformance
from .error_renderer_conformance import ErrorRendererConformance
from .form_reader_conformance import FormReaderConformance
from .instrument_conformance import InstrumentConformance
from .loop import loop_context, setup_test_loop, teardown_test_loop, unittest_run_loop
from .mocked_request import make_mocked_coro, make_mocked_request
from .mount_conformance import MountConformance
from .payload_conformance import PayloadConformance
from .plugin_assertion import assert_exports, assert_hooks, make_plugin_manager
from .port import get_port_socket, get_unused_port_socket, unused_port
from .protocol_conformance import ProtocolConformance
from .resolver_conformance import ResolverConformance
from .router_conformance import RouterConformance
from .server import BaseTestServer, RawTestServer, TestServer
from .session_storage_conformance import SessionStorageConformance
from .test_case import AioHTTPTestCase

__all__ = [
    "AccessLoggerConformance",
    "AioHTTPTestCase",
    "BaseTestServer",
    "Conformance",
    "ConnectorConformance",
    "ContentCodingConformance",
    "CookieJarConformance",
    "ErrorRendererConformance",
    "FormReaderConformance",
    "InstrumentConformance",
    "MountConformance",
    "PayloadConformance",
    "ProtocolConformance",
    "RawTestServer",
    "ResolverConformance",
    "RouterConformance",
    "SessionStorageConformance",
    "TestClient",
    "TestServer",
    "assert_exports",
    "assert_hooks",
    "get_port_socket",
    "get_unused_port_socket",
    "loop_context",
    "make_mocked_coro",
    "make_mocked_request",
    "make_plugin_manager",
    "setup_test_loop",
    "teardown_test_loop",
    "unittest_run_loop",
    "unused_port",
]
