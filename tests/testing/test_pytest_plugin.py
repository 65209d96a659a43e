"""The fixtures in a pytest of their own, on each runner and each loop."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMON = """
import asyncio
import pytest
from corelet import web

async def hello(request):
    return web.Response(text="hello")

def make_app():
    return web.Application(handler=hello, plugins=[])
"""

TESTS = """
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

CONFIGURATION = {
    "asyncio mode": "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n",
    "asyncio strict": "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n",
    "anyio": "[pytest]\naddopts = -p no:asyncio\n",
    "anyio beside asyncio": "[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n",
}
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


def run_pytest(folder: Path, configuration: str, test: str, conftest: str = "") -> tuple[int, str]:
    (folder / "pytest.ini").write_text(configuration)
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_it.py").write_text(COMMON + test)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV_CORE")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:timeout"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("runner", CONFIGURATION)
def test_fixtures_work_on_every_runner_and_loop(tmp_path: Path, runner: str) -> None:
    mark = "" if runner == "asyncio mode" else f"pytestmark = pytest.mark.{runner.split(maxsplit=1)[0]}\n"
    conftest = ANYIO_LOOPS if "anyio" in runner else ASYNCIO_LOOPS
    status, output = run_pytest(tmp_path, CONFIGURATION[runner], mark + TESTS, conftest)
    assert status == 0, output
    assert "6 passed" in output
    assert set((tmp_path / "loops").read_text().split()) == {"asyncio", "uvloop"}


LEAKS = """
async def test_task():
    global left
    left = asyncio.ensure_future(asyncio.sleep(100))

async def test_socket():
    global sock
    import socket
    sock = socket.socket()

async def test_connection(raw_server_for):
    global connection
    server = await raw_server_for(hello)
    connection = await asyncio.open_connection(server.host, server.port)

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

def test_that_is_no_coroutine():
    pass
"""


@pytest.mark.parametrize("runner", ["asyncio strict", "anyio"])
def test_leaks_fail_a_test_by_one_line(tmp_path: Path, runner: str) -> None:
    mark = f"pytestmark = pytest.mark.{runner.split(maxsplit=1)[0]}\n"
    test = mark + LEAKS.replace("def test_that_is_no", "@pytest.mark.usefixtures()\ndef test_that_is_no")
    if runner == "asyncio strict":
        # pytest-asyncio warns of a mark on what is no coroutine
        test = test.partition("@pytest.mark.usefixtures()")[0]
    conftest = "import corelet_testing.leak\ncorelet_testing.leak.SETTLE_SECONDS = 0.1\n"
    if runner == "anyio":
        conftest += 'import pytest\n@pytest.fixture\ndef anyio_backend():\n    return "asyncio"\n'
    configuration = f"{CONFIGURATION[runner]}usefixtures = no_leaks\n"
    status, output = run_pytest(tmp_path, configuration, test, conftest)
    assert status == 1, output
    failed = {line.split("::")[1].split()[0] for line in output.splitlines() if line.startswith(("ERROR", "FAILED"))}
    assert failed == {"test_task", "test_socket", "test_connection", "test_error"}, output
    for message in ("the test leaves behind: task ", "1 open socket", "ValueError('lost')"):
        assert message in output, output


def test_without_the_line_nothing_is_checked(tmp_path: Path) -> None:
    body = "    global s\n    import socket\n    s = socket.socket()\n"
    test = f"pytestmark = pytest.mark.asyncio\nasync def test_socket():\n{body}"
    status, output = run_pytest(tmp_path, CONFIGURATION["asyncio strict"], test)
    assert status == 0, output


def test_fixture_in_a_plain_test_says_what_to_do(tmp_path: Path) -> None:
    test = "def test_plain(client_for):\n    pass\n"
    status, output = run_pytest(tmp_path, CONFIGURATION["asyncio mode"], test)
    assert status == 1
    assert "is no async test: mark it by pytest.mark.asyncio or pytest.mark.anyio" in output
