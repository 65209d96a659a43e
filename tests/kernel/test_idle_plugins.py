"""Plugins that want nothing of requests cost them nothing: the slots stay empty, and the way of a request the same.

``python -m benchmarks.idle_plugins`` counts instructions.
"""

from __future__ import annotations

import asyncio
import sys
import types
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.idle_plugins import PLUGINS, SOURCE
from benchmarks.micro import Discard
from corelet import web

REQUEST: Final = b"GET /a?b=c HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOTS: Final = (
    "prepare_response", "access_logger", "connection_made", "connection_lost", "request_started", "request_finished",
    "request_refused",
)  # fmt: skip


def make_idle() -> list[types.ModuleType]:
    modules = [types.ModuleType(f"idle_{number}") for number in range(PLUGINS)]
    for module in modules:
        exec(SOURCE, module.__dict__)
    return modules


async def answer(request: web.Request) -> web.Response:
    return web.Response(text=request.query["b"])


async def follow(app: web.Application) -> list[tuple[str, str, int]]:
    """Answer a request, and give every step of Python functions on its way: event, file and line."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    connection, transport = runner.server(), Discard()
    connection.connection_made(transport)
    steps: list[tuple[str, str, int]] = []

    def note(frame: types.FrameType, event: str, argument: Any) -> None:
        steps.append((event, Path(frame.f_code.co_filename).name, frame.f_lineno))

    for is_followed in (False, True):  # the first one makes what later ones find made
        transport.last = b""
        previous = sys.getprofile()
        sys.setprofile(note if is_followed else previous)
        connection.data_received(REQUEST)
        while not transport.last:  # noqa: ASYNC110 -- before Python 3.12 a handler starts in the loop's next turn
            await asyncio.sleep(0)
        sys.setprofile(previous)
    assert transport.last.endswith(b"\r\n\r\nc")
    connection.connection_lost(None)
    await runner.cleanup()
    return [step for step in steps if step[1] != "test_idle_plugins.py"]


async def test_idle_plugins_leave_every_slot_empty() -> None:
    app = web.Application(handler=answer, plugins=make_idle())
    assert len(app.plugins.records) == PLUGINS
    app.freeze()
    assert [getattr(app.pipeline, slot) for slot in SLOTS] == [None] * len(SLOTS)
    assert app.pipeline.handle is answer
    assert dict(app.pipeline.protocols) == {}


async def test_a_request_takes_the_same_steps_with_idle_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corelet.server.TICK_SECONDS", 600.0)
    alone = await follow(web.Application(handler=answer, plugins=[]))
    assert len(alone) > 20
    assert await follow(web.Application(handler=answer, plugins=make_idle())) == alone
