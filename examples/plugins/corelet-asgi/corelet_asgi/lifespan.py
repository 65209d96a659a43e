"""The life of an application: told when it starts and when it stops."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Literal

from .interface import LIFESPAN_VERSIONS, AsgiApplication, Message, make_type_error

logger: Final = logging.getLogger("corelet.asgi")

#: Whether an application has a lifespan: it may, it must, it is not asked.
LifespanMode = Literal["auto", "on", "off"]


class AsgiLifespanError(RuntimeError):
    """An ASGI application has failed to start or to stop."""


class Lifespan:
    """Tells an application when it starts and stops.

    Args:
        asgi: the application.
        mode: "auto" takes an application that ends before it has answered for one that has no lifespan; "on" takes that
            for a failure; "off" asks nothing.
        startup_seconds: how long its start may take; None for no limit.
        shutdown_seconds: how long its end may take; None for no limit.

    Attributes:
        state: what the application leaves for its requests.
    """

    def __init__(
        self,
        asgi: AsgiApplication,
        mode: LifespanMode,
        startup_seconds: float | None,
        shutdown_seconds: float | None,
    ) -> None:
        self._asgi = asgi
        self._mode = mode
        self._startup_seconds = startup_seconds
        self._shutdown_seconds = shutdown_seconds
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._answer: asyncio.Future[Message] | None = None
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        """Start the application.

        Raises:
            AsgiLifespanError: it has failed, or takes too long.
        """
        if self._mode == "off":
            return
        scope = {"type": "lifespan", "asgi": dict(LIFESPAN_VERSIONS), "state": self.state}
        self._task = asyncio.create_task(self._run(scope))
        answer = await self._ask("startup", self._startup_seconds, self._task)
        if answer is None:
            self._take_end(self._task)
            self._task = None
        elif answer["type"] != "lifespan.startup.complete":
            raise await self._fail("start", answer, self._task)

    async def _run(self, scope: dict[str, Any]) -> None:
        await self._asgi(scope, self._inbox.get, self._take_answer)

    async def _take_answer(self, message: Message) -> None:
        if self._answer is None or self._answer.done():
            raise make_type_error(message, "nothing: it was not asked")
        self._answer.set_result(message)

    async def _ask(self, event: str, seconds: float | None, task: asyncio.Task[None]) -> Message | None:
        """Tell the application of an event; its answer, or None where it has ended instead."""
        answering = self._answer = asyncio.get_running_loop().create_future()
        await self._inbox.put({"type": f"lifespan.{event}"})
        try:
            await asyncio.wait({answering, task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not (answering.done() or task.done()):
                raise AsgiLifespanError(f"{self._asgi!r} has not answered lifespan.{event} in {seconds} s")
            answer = answering.result() if answering.done() else None
            if answer and answer["type"] not in (f"lifespan.{event}.complete", f"lifespan.{event}.failed"):
                raise make_type_error(answer, f"'lifespan.{event}.complete' or 'lifespan.{event}.failed'")
        except BaseException:
            await _cancel(task)
            raise
        return answer

    def _take_end(self, task: asyncio.Task[None]) -> None:
        """Take an application that has ended where it was to start."""
        error = None if task.cancelled() else task.exception()
        if self._mode == "on":
            raise AsgiLifespanError(f"{self._asgi!r} has no lifespan: it ended without an answer") from error
        logger.info("%r seems to have no lifespan: it ended without an answer (%r)", self._asgi, error)

    async def _fail(self, what: str, answer: Message, task: asyncio.Task[None]) -> AsgiLifespanError:
        """Make the error of what an application says of its failure; what it raised is the cause."""
        await asyncio.wait({task}, timeout=self._shutdown_seconds)
        cause = task.exception() if task.done() and not task.cancelled() else None
        await _cancel(task)
        reason = answer.get("message", "") if cause is None else repr(cause)
        error = AsgiLifespanError(f"{self._asgi!r} has failed to {what}: {reason}")
        error.__cause__ = cause
        return error

    async def stop(self) -> None:
        """Stop the application.

        Raises:
            AsgiLifespanError: it has failed, or takes too long.
            Exception: what it has raised meanwhile.
        """
        task = self._task
        if task is None:
            return
        answer = await self._ask("shutdown", self._shutdown_seconds, task)
        if answer is not None and answer["type"] != "lifespan.shutdown.complete":
            raise await self._fail("stop", answer, task)
        await asyncio.wait({task}, timeout=self._shutdown_seconds)
        if not task.done():
            await _cancel(task)
            raise AsgiLifespanError(f"{self._asgi!r} has not ended {self._shutdown_seconds} s after its shutdown")
        task.result()


async def _cancel(task: asyncio.Task[Any]) -> None:
    """End a task, and wait for its end."""
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
