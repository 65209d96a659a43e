"""The fixtures in a pytest of their own, on each runner and each loop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMON = """
import asyncio
import socket
import pytest
from corelet import web

async def hello(request):
    return web.Response(text="hello")

def make_app():
    return web.Application(handler=hello, plugins=[])
"""

FIXTURES = """
async def test_client(client_for):
    client = await client_for(make_app())
    async with client.get("/") as answer:
        assert await answer.text() == "hello"
    other = await client_for(hello)
    async with other.get("/") as answer:
        assert await answer.text() == "hello"

async def test_server(server_for, raw_server_for, client_for, unused_port):
    server = await server_for(make_app(), port=unused_port)
    assert server.port == unused_port
    raw = await raw_server_for(hello)
    for each in (server, raw):
        client = await client_for(each)
        async with client.get("/") as answer:
            assert await answer.text() == "hello"

async def test_loop():
    with open("loops", "a") as file:
        file.write(type(asyncio.get_running_loop()).__module__.partition(".")[0] + "\\n")
"""

LEAKS = """
left = []

async def test_task():
    left.append(asyncio.ensure_future(asyncio.sleep(100)))

class TestRunner:  # as one of anyio's is called
    async def wait(self):
        await asyncio.sleep(100)

    async def test_task_of_a_class(self):
        left.append(asyncio.ensure_future(self.wait()))

async def test_socket():
    left.append(socket.socket())

async def test_connection(raw_server_for):
    server = await raw_server_for(hello)
    left.append(await asyncio.open_connection(server.host, server.port))

async def test_error():
    async def fail():
        raise ValueError("lost")
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0.01)
    del task

async def test_nothing(client_for):
    client = await client_for(make_app())
    async with client.get("/") as answer:
        assert await answer.text() == "hello"
"""
LEAKING = {"test_task", "test_task_of_a_class", "test_socket", "test_connection", "test_error"}

LEAK_BY_HYPOTHESIS = """
from hypothesis import given, settings, strategies

left = []

@settings(max_examples=1, database=None)
@given(strategies.just(1))
async def test_socket_by_hypothesis(number):
    left.append(socket.socket())

@settings(max_examples=1, database=None)
@given(strategies.just(1))
def test_plain_by_hypothesis(number):
    pass
"""

PLAIN = """
def test_plain():
    pass

def test_plain_with_a_client(client_for):
    pass
"""

AUTO = "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
STRICT = "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n"
CHECKED = "usefixtures = no_leaks\n"
ASYNCIO_LOOPS = """
import asyncio
import uvloop
def pytest_asyncio_loop_factories(config, item):
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
"""
ANYIO_LOOPS = """
import pytest
@pytest.fixture(params=[False, True])
def anyio_backend(request):
    return ("asyncio", {"use_uvloop": request.param})
"""
HASTE = """
import gc
import corelet_testing.leak
corelet_testing.leak.SETTLE_SECONDS = 0.05

def pytest_collection_finish(session):
    gc.collect()
    gc.freeze()
"""

#: The runner -> pytest's configuration, the loops, and the mark of its tests. Which plugin comes first where both are
#: installed is a matter of folders.
RUNNERS = {
    "asyncio mode": (AUTO, ASYNCIO_LOOPS, ""),
    "asyncio strict, checked": (STRICT + CHECKED, ASYNCIO_LOOPS, "asyncio"),
    "anyio, checked": ("addopts = -p no:asyncio\n" + CHECKED, ANYIO_LOOPS, "anyio"),
    "anyio before asyncio": ("addopts = -p anyio -p asyncio\n" + STRICT, ANYIO_LOOPS, "anyio"),
    "anyio behind asyncio": ("addopts = -p asyncio -p anyio\n" + STRICT, ANYIO_LOOPS, "anyio"),
}


@dataclass
class Run:
    """What a pytest has said."""

    output: str
    #: The name of a test -> how it ended on each loop: "PASSED", and "ERROR" where what came after it failed.
    outcomes: dict[str, list[str]]
    loops: set[str]


def start_pytest(folder: Path, configuration: str, loops: str, mark: str) -> subprocess.Popen[str]:
    (folder / "pytest.ini").write_text(f"[pytest]\n{configuration}")
    (folder / "conftest.py").write_text(loops + HASTE)
    marks = f"pytestmark = pytest.mark.{mark}\n" if mark else ""
    files = {"fixtures": marks + FIXTURES, "leaks": marks + LEAKS, "plain": PLAIN}
    if CHECKED in configuration:
        files["hypothesis"] = marks + LEAK_BY_HYPOTHESIS
    for name, tests in files.items():
        (folder / f"test_{name}.py").write_text(COMMON + tests)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_CORE")}
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:timeout"]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish_pytest(folder: Path, process: subprocess.Popen[str]) -> Run:
    output, _ = process.communicate()
    outcomes: dict[str, list[str]] = defaultdict(list)
    for outcome, name in re.findall(r"^([A-Z]+) test_\w+\.py::(?:\w+::)?(\w+)", output, re.MULTILINE):
        outcomes[name].append(outcome)
    loops = folder / "loops"
    return Run(output, outcomes, set(loops.read_text().split()) if loops.exists() else set())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Give what all runners have said, which are at work at once."""
    folders = {runner: tmp_path_factory.mktemp("runner") for runner in RUNNERS}
    started = {runner: start_pytest(folders[runner], *RUNNERS[runner]) for runner in RUNNERS}
    return {runner: finish_pytest(folders[runner], process) for runner, process in started.items()}


@pytest.fixture(params=RUNNERS)
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    """Give what each runner has said."""
    return runs[request.param]


def test_fixtures_work_on_every_runner_and_loop(run: Run) -> None:
    for name in ("test_client", "test_server", "test_loop"):
        assert run.outcomes[name] == ["PASSED"] * 2, run.output
    assert run.loops == {"asyncio", "uvloop"}


@pytest.mark.parametrize("runner", [runner for runner in RUNNERS if "checked" in runner])
def test_leaks_fail_a_test_by_one_line(runs: dict[str, Run], runner: str) -> None:
    run = runs[runner]
    failed = {name for name, outcomes in run.outcomes.items() if outcomes.count("ERROR") == 2}
    assert failed == {*LEAKING, "test_socket_by_hypothesis"}, run.output
    assert run.outcomes["test_nothing"] == ["PASSED"] * 2, run.output
    assert set(run.outcomes["test_plain_by_hypothesis"]) == {"PASSED"}, run.output
    for message in ("the test leaves behind: task ", "1 open socket", "ValueError('lost')"):
        assert message in run.output, run.output


@pytest.mark.parametrize("runner", [runner for runner in RUNNERS if "checked" not in runner])
def test_without_the_line_nothing_is_checked(runs: dict[str, Run], runner: str) -> None:
    run = runs[runner]
    # anyio fails a test with a lost error by itself.
    for name in LEAKING - ({"test_error"} if "anyio" in runner else set()):
        assert run.outcomes[name] == ["PASSED"] * 2, run.output


def test_fixture_in_a_plain_test_says_what_to_do(run: Run) -> None:
    assert run.outcomes["test_plain"] == ["PASSED"], run.output
    assert run.outcomes["test_plain_with_a_client"] == ["ERROR"], run.output
    assert "is no async test: mark it by pytest.mark.asyncio or pytest.mark.anyio" in run.output
