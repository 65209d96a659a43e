"""What a test leaves behind: tasks, sockets, errors that nobody saw."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from typing import Any, Final

#: Seconds that what a test has closed gets to be gone.
SETTLE_SECONDS: Final = 2.0
_STEP_SECONDS: Final = 0.01
#: What the path of anyio's files has in it: a test may have a class of the same name.
_ANYIO: Final = f"{os.sep}anyio{os.sep}"


class LeakWatch:
    """Look at the running loop before and after a test."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reports: list[str] = []
        self._tasks = asyncio.all_tasks()
        self._sockets = count_sockets()
        self._old_handler = self._loop.get_exception_handler()
        self._loop.set_exception_handler(self._take_report)

    def _take_report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._reports.append(f"{context.get('message')}: {context.get('exception')!r}")

    async def check(self) -> None:
        """Look again, after a while for what is on its way out.

        Raises:
            AssertionError: something was left; the message says what.
        """
        # Unclosed things and lost exceptions speak up when they are collected.
        gc.collect()
        end = self._loop.time() + SETTLE_SECONDS
        while (self._find_tasks() or count_sockets() > self._sockets) and self._loop.time() < end:  # noqa: ASYNC110  # leaks have no event
            await asyncio.sleep(_STEP_SECONDS)
        gc.collect()
        await asyncio.sleep(0)
        self._loop.set_exception_handler(self._old_handler)
        left = [f"task {task.get_name()}: {task.get_coro()!r}" for task in self._find_tasks()]
        if (more := count_sockets() - self._sockets) > 0:
            left.append(f"{more} open {'socket' if more == 1 else 'sockets'}")
        left += self._reports
        if left:
            raise AssertionError(f"the test leaves behind: {'; '.join(left)}")

    def _find_tasks(self) -> list[asyncio.Task[Any]]:
        new = asyncio.all_tasks() - self._tasks - {asyncio.current_task()}
        return [task for task in new if not _is_of_runner(task)]


def _is_of_runner(task: asyncio.Task[Any]) -> bool:
    """Whether anyio's runner waits in a task for the test, or for this very look."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and code.co_qualname.startswith("TestRunner.") and _ANYIO in code.co_filename


def count_sockets() -> int:
    """Count the sockets of this process; 0 where the system doesn't tell. Only their number: uvloop changes its own."""
    if sys.platform != "linux":
        return 0
    return sum(_read_link(name).startswith("socket:") for name in os.listdir("/proc/self/fd"))


def _read_link(descriptor: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:  # that of the listing itself
        return ""
