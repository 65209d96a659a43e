"""Testing tools, assembled: the names of installed plugins, each imported when first touched."""

# ruff: noqa: PLC0414  # `X as X` tells type checkers that a name is meant for others
from __future__ import annotations

from typing import TYPE_CHECKING

from .facade import make_dir, make_getattr

if TYPE_CHECKING:
    from corelet_testing import AccessLoggerConformance as AccessLoggerConformance
    from corelet_testing import AioHTTPTestCase as AioHTTPTestCase
    from corelet_testing import BaseTestServer as BaseTestServer
    from corelet_testing import Conformance as Conformance
    from corelet_testing import ConnectorConformance as ConnectorConformance
    from corelet_testing import ContentCodingConformance as ContentCodingConformance
    from corelet_testing import CookieJarConformance as CookieJarConformance
    from corelet_testing import ErrorRendererConformance as ErrorRendererConformance
    from corelet_testing import FormReaderConformance as FormReaderConformance
    from corelet_testing import InstrumentConformance as InstrumentConformance
    from corelet_testing import MountConformance as MountConformance
    from corelet_testing import PayloadConformance as PayloadConformance
    from corelet_testing import ProtocolConformance as ProtocolConformance
    from corelet_testing import RawTestServer as RawTestServer
    from corelet_testing import ResolverConformance as ResolverConformance
    from corelet_testing import RouterConformance as RouterConformance
    from corelet_testing import SessionStorageConformance as SessionStorageConformance
    from corelet_testing import TestClient as TestClient
    from corelet_testing import TestServer as TestServer
    from corelet_testing import assert_exports as assert_exports
    from corelet_testing import assert_hooks as assert_hooks
    from corelet_testing import get_port_socket as get_port_socket
    from corelet_testing import get_unused_port_socket as get_unused_port_socket
    from corelet_testing import loop_context as loop_context
    from corelet_testing import make_mocked_coro as make_mocked_coro
    from corelet_testing import make_mocked_request as make_mocked_request
    from corelet_testing import make_plugin_manager as make_plugin_manager
    from corelet_testing import setup_test_loop as setup_test_loop
    from corelet_testing import teardown_test_loop as teardown_test_loop
    from corelet_testing import unittest_run_loop as unittest_run_loop
    from corelet_testing import unused_port as unused_port
else:
    __getattr__ = make_getattr("test_utils", globals())
    __dir__ = make_dir("test_utils")
