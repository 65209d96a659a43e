"""Event loops for tests that no test runner gives one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from corelet import CoreletRemovedIn2Warning


def setup_test_loop(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> asyncio.AbstractEventLoop:
    """Make an event loop and set it; :func:`teardown_test_loop` ends it."""
    loop = loop_factory()
    asyncio.set_event_loop(loop)
    return loop


def teardown_test_loop(loop: asyncio.AbstractEventLoop, fast: bool = False) -> None:
    """Close an event loop.

    Args:
        loop: to close.
        fast: don't collect garbage, which would show what was forgotten.
    """
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    if not fast:
        gc.collect()
    asyncio.set_event_loop(None)


@contextlib.contextmanager
def loop_context(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop, fast: bool = False
) -> Iterator[asyncio.AbstractEventLoop]:
    """Give an event loop of its own to a ``with`` statement."""
    loop = setup_test_loop(loop_factory)
    try:
        yield loop
    finally:
        teardown_test_loop(loop, fast=fast)


def unittest_run_loop(func: Any, *args: Any, **kwargs: Any) -> Any:
    """Give a coroutine function back as it is: a test case runs it.

    Kept for old tests: ``unittest.IsolatedAsyncioTestCase`` needs no decorator.
    """
    message = "unittest_run_loop is not needed: remove the decorator"
    warnings.warn(message, CoreletRemovedIn2Warning, stacklevel=2)
    if not inspect.iscoroutinefunction(func):
        raise TypeError(f"{func!r} is no coroutine function")
    return func
