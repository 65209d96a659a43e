from __future__ import annotations

import asyncio
import unittest
from typing import Any

import pytest

import corelet_testing.plugin
from corelet import web
from corelet.test_utils import (
    AioHTTPTestCase,
    loop_context,
    setup_test_loop,
    teardown_test_loop,
    unittest_run_loop,
)


def test_loop_is_made_and_ended() -> None:
    loop = setup_test_loop()
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5
    teardown_test_loop(loop)
    assert loop.is_closed()
    teardown_test_loop(loop, fast=True)


def test_loop_is_given_to_a_with_statement() -> None:
    with loop_context(asyncio.SelectorEventLoop) as loop:
        assert isinstance(loop, asyncio.SelectorEventLoop)
    assert loop.is_closed()


def test_old_decorator_changes_nothing() -> None:
    async def test() -> None: ...

    with pytest.warns(DeprecationWarning, match="remove the decorator"):
        assert unittest_run_loop(test) is test
    with pytest.raises(TypeError, match="no coroutine function"), pytest.warns(DeprecationWarning, match="remove"):
        unittest_run_loop(lambda: None)


async def hello(request: web.BaseRequest) -> web.Response:
    return web.Response(text="hello")


def run_case(case: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def test_test_case_has_a_server_and_a_client() -> None:
    seen: list[Any] = []

    class Case(AioHTTPTestCase):
        async def get_application(self) -> web.Application:
            return web.Application(handler=hello, plugins=[])

        async def test_hello(self) -> None:
            async with self.client.get("/") as answer:
                seen.append(await answer.text())
            seen.append(self.loop is asyncio.get_running_loop())
            seen.append(self.server)

    result = run_case(Case)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    assert seen[:2] == ["hello", True]
    assert seen[2].closed


def test_test_case_needs_an_application() -> None:
    class Case(AioHTTPTestCase):
        async def test_nothing(self) -> None: ...

    [(_, error)] = run_case(Case).errors
    assert "Case has no application: override get_application()" in error


def test_operator_is_told_that_tools_are_installed() -> None:
    app = web.Application(handler=hello, plugins=[corelet_testing.plugin])
    assert app.plugins.call_all("corelet_report", app=app) == [
        ["testing tools are installed: a server in production needs none"]
    ]
