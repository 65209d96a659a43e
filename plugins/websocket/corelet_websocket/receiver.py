"""Who waits for the next message: a future that is used again and again.

An ``asyncio.Future`` for each message would be made, and would wake its task in the loop's next turn. This one wakes it
in the callback that has read the message, as an eagerly started task runs; where another task is at work then, in the
next turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Receiver:
    """A future-like object, as :func:`asyncio.isfuture` knows them, that one task at a time awaits."""

    __slots__ = ("_asyncio_future_blocking", "_callback", "_context", "_is_cancelled", "_loop", "_message")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._callback: Callable[[Any], object] | None = None
        self._context: Context | None = None
        self._is_cancelled = False
        self._message: Any = None

    def wake(self) -> None:
        """Let the task that waits go on, now where no other task runs."""
        callback, self._callback = self._callback, None
        if callback is None:
            return
        context, self._context = self._context, None
        if context is None or asyncio.current_task(self._loop) is not None:
            self._loop.call_soon(callback, self, context=context)
            return
        try:
            context.run(callback, self)
        except (SystemExit, KeyboardInterrupt) as exc:
            # uvloop would take it for an error of the protocol.
            self._loop.call_soon(_raise, exc)

    def __await__(self) -> Generator[Any, None, None]:
        self._is_cancelled = False
        self._asyncio_future_blocking = True
        yield self

    # What a task asks of a future.

    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None:
        """Take what wakes the task."""
        self._callback = callback
        self._context = context

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Forget what wakes the task."""
        known = int(self._callback == callback)
        if known:
            self._callback = None
        return known

    def cancel(self, msg: Any | None = None) -> bool:
        """Wake the task with a CancelledError, in the loop's next turn."""
        callback, self._callback = self._callback, None
        if callback is None:
            return False
        self._is_cancelled = True
        self._message = msg
        self._loop.call_soon(callback, self, context=self._context)
        return True

    def result(self) -> None:
        """Give None, or raise what the task was woken for."""
        if self._is_cancelled:
            raise asyncio.CancelledError() if self._message is None else asyncio.CancelledError(self._message)

    def exception(self) -> None:
        """Give None, or raise CancelledError."""
        self.result()

    def done(self) -> bool:
        """Whether nobody waits."""
        return self._callback is None

    def cancelled(self) -> bool:
        """Whether the wait was cancelled."""
        return self._is_cancelled

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop it was made in."""
        return self._loop


def _raise(exc: BaseException) -> None:
    raise exc
