"""run_app in this process; tests/kernel/test_graceful.py stops it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from corelet.app import Application
from corelet.response import Response
from corelet.runner import GracefulExit
from corelet.serving import run_app
from tests.raw_client import RawClient


async def hello(request: Any) -> Response:
    return Response(text="hello")


class Host:
    """An application that does something while it is served, then stops itself."""

    def __init__(self, act: Callable[[], Any], stop: Callable[[], Any] | None = None) -> None:
        self.app = Application(handler=hello, plugins=[])
        self.steps: list[str] = []
        self.shown: list[str] = []
        self._act = act
        self._stop = stop or (lambda: os.kill(os.getpid(), signal.SIGTERM))
        self.app.cleanup_ctx.append(self._live)

    async def _live(self, app: Application) -> AsyncIterator[None]:
        self.steps.append("started")
        task = asyncio.create_task(self._act_when_shown())
        yield
        self.steps.append("cleaned up")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def _act_when_shown(self) -> None:
        while not self.shown:  # noqa: ASYNC110 -- said by a plain function
            await asyncio.sleep(0.005)
        await self._act()
        self._stop()

    def run(self, **kwargs: Any) -> None:
        run_app(self.app, print=self.shown.append, **kwargs)


@pytest.fixture
def port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = sock.getsockname()
    return address[1]


async def ask(opening: Any) -> str:
    client = RawClient(*await opening)
    try:
        return (await client.get()).text
    finally:
        await client.close()


def test_serves_until_a_signal_and_cleans_up(port):
    answers = []

    async def act() -> None:
        answers.append(await ask(asyncio.open_connection("127.0.0.1", port)))

    host = Host(act)
    host.run(host="127.0.0.1", port=port)
    assert answers == ["hello"]
    assert host.steps == ["started", "cleaned up"]
    assert host.shown == [f"======== Running on http://127.0.0.1:{port} ========\n(Press CTRL+C to quit)"]


@pytest.mark.parametrize(
    "stop",
    [
        lambda: os.kill(os.getpid(), signal.SIGINT),
        lambda: asyncio.get_running_loop().call_soon(_raise, GracefulExit()),
        lambda: asyncio.get_running_loop().call_soon(_raise, KeyboardInterrupt()),
    ],
    ids=["SIGINT", "GracefulExit", "KeyboardInterrupt"],
)
def test_stops_gracefully_by(stop, port):
    host = Host(_nothing, stop)
    host.run(host="127.0.0.1", port=port)
    assert host.steps == ["started", "cleaned up"]


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("error", [GracefulExit, KeyboardInterrupt])
def test_a_handler_may_ask_to_stop(error, make_loop, waits, port):
    async def stop(request: Any) -> Response:
        if waits:
            await asyncio.sleep(0)
        raise error

    async def act() -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            await ask(asyncio.open_connection("127.0.0.1", port))

    host = Host(act, lambda: None)
    host.app.handler = stop
    started = time.monotonic()
    host.run(host="127.0.0.1", port=port, loop=make_loop())
    assert host.steps == ["started", "cleaned up"]
    assert time.monotonic() - started < 3


def test_without_its_signal_handlers_ctrl_c_stops_it_too(port):
    host = Host(_nothing, lambda: os.kill(os.getpid(), signal.SIGINT))
    host.run(host="127.0.0.1", port=port, handle_signals=False)
    assert host.steps == ["started", "cleaned up"]


def test_takes_what_is_awaited_for_an_application(port):
    host = Host(_nothing)

    async def make_app() -> Application:
        return host.app

    run_app(make_app(), host="127.0.0.1", port=port, print=host.shown.append)
    assert host.steps == ["started", "cleaned up"]


def test_listens_on_hosts_paths_and_sockets_at_once(port, tmp_path):
    sock = socket.create_server(("127.0.0.1", 0))
    address = sock.getsockname()
    paths = [tmp_path / "a", str(tmp_path / "b")]
    answers = []

    async def act() -> None:
        openings = [asyncio.open_unix_connection(path) for path in paths]
        openings += [asyncio.open_connection("127.0.0.1", port), asyncio.open_connection(*address)]
        answers.extend([await ask(opening) for opening in openings])

    host = Host(act)
    host.run(host=["127.0.0.1"], port=port, path=paths, sock=[sock])
    assert answers == ["hello"] * 4
    expected = sorted(
        [f"http://127.0.0.1:{port}", f"http://127.0.0.1:{address[1]}", *(f"http://unix:{path}:" for path in paths)]
    )
    assert host.shown[0].split("\n")[0] == f"======== Running on {', '.join(expected)} ========"


@pytest.mark.parametrize(("with_port", "count"), [(False, 1), (True, 2)])
def test_a_path_alone_opens_no_port(tmp_path, port, with_port, count):
    host = Host(_nothing)
    host.run(path=str(tmp_path / "s"), port=port if with_port else None)
    assert host.shown[0].count("http://") == count


def test_a_socket_alone_opens_no_port():
    host = Host(_nothing)
    host.run(sock=socket.create_server(("127.0.0.1", 0)))
    assert host.shown[0].count("http://") == 1


def test_serves_tls(port, tls):
    answers = []

    async def act() -> None:
        answers.append(await ask(asyncio.open_connection("127.0.0.1", port, ssl=tls.client)))

    host = Host(act)
    host.run(host="127.0.0.1", port=port, ssl_context=tls.server)
    assert answers == ["hello"]
    assert f"https://127.0.0.1:{port}" in host.shown[0]


def test_says_nothing_without_print(port, capsys):
    host = Host(_nothing)
    host.shown.append("go")
    run_app(host.app, host="127.0.0.1", port=port, print=None)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_uses_and_closes_the_loop_it_is_given(port, make_loop):
    loops = []

    async def act() -> None:
        loops.append(asyncio.get_running_loop())

    loop = make_loop()
    Host(act).run(host="127.0.0.1", port=port, loop=loop)
    assert loops == [loop]
    assert loop.is_closed()


def test_passes_arguments_to_the_server(port):
    answers = []

    async def act() -> None:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
        answers.append((await client.get("/" + "x" * 200)).status)
        await client.close()

    Host(act).run(host="127.0.0.1", port=port, max_line_size=100)
    assert answers == [414]


def test_an_unknown_argument_is_a_type_error(port):
    host = Host(_nothing)
    with pytest.raises(TypeError, match="did you mean 'max_line_size'"):
        host.run(host="127.0.0.1", port=port, max_linesize=100)
    assert host.steps == []


def test_a_failing_start_up_is_raised_after_clean_up(port):
    host = Host(_nothing, stop=lambda: None)
    host.shown.append("go")

    async def fail(app: Application) -> None:
        raise ValueError("no database")

    host.app.on_startup.append(fail)
    with pytest.raises(ValueError, match="no database"):
        host.run(host="127.0.0.1", port=port)
    assert host.steps == ["started", "cleaned up"]


def test_a_taken_port_is_raised_after_clean_up():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        host = Host(_nothing, stop=lambda: None)
        with pytest.raises(OSError, match="can't listen on"):
            host.run(host="127.0.0.1", port=taken.getsockname()[1])
    assert host.steps == ["started", "cleaned up"]


@pytest.mark.parametrize(("error", "is_raised"), [(GracefulExit(), False), (asyncio.CancelledError(), True)])
def test_start_up_may_ask_to_stop(port, error, is_raised):
    async def stop(app: Application) -> None:
        raise error

    host = Host(_nothing, stop=lambda: None)
    host.app.on_startup.append(stop)
    if is_raised:
        with pytest.raises(asyncio.CancelledError):
            host.run(host="127.0.0.1", port=port)
    else:
        host.run(host="127.0.0.1", port=port)
    assert host.steps == ["started", "cleaned up"]


def test_exits_of_the_process_keep_their_code_and_clean_up(port):
    host = Host(_nothing, lambda: asyncio.get_running_loop().call_soon(_raise, SystemExit(3)))
    with pytest.raises(SystemExit) as caught:
        host.run(host="127.0.0.1", port=port)
    assert caught.value.code == 3
    assert host.steps == ["started", "cleaned up"]


def test_cancels_tasks_and_closes_generators_that_are_left(port):
    ended = []

    async def generate() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            ended.append("generator")

    async def stay() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("task")

    kept = []

    async def act() -> None:
        generator = generate()
        await anext(generator)
        kept.extend([generator, asyncio.create_task(stay())])
        await asyncio.sleep(0)

    Host(act).run(host="127.0.0.1", port=port)
    assert sorted(ended) == ["generator", "task"]


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_second_signal_waits_for_no_answer(port, make_loop):
    steps = []
    client = socket.socket()

    async def wait(request: Any) -> Response:
        try:
            await asyncio.sleep(60)
        finally:
            steps.append("cancelled")

    async def act() -> None:
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.sleep(0.05)
        asyncio.get_running_loop().call_later(0.4, os.kill, os.getpid(), signal.SIGTERM)

    host = Host(act)
    host.app.handler = wait
    with client:
        host.run(host="127.0.0.1", port=port, shutdown_timeout=60, loop=make_loop())
        assert client.recv(1) == b""
    assert steps == ["cancelled"]
    assert host.steps == ["started", "cleaned up"]


@pytest.fixture
def access_log() -> logging.Logger:
    # No getLogger(): pytest's own handlers would be on it.
    return logging.Logger("tests.access")  # noqa: LOG001


def test_shows_the_access_log_in_debug_mode(port, access_log, capsys):
    async def act() -> None:
        await ask(asyncio.open_connection("127.0.0.1", port))

    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    Host(act).run(host="127.0.0.1", port=port, loop=loop, access_log=access_log)
    assert '"GET / HTTP/1.1" 200 5' in capsys.readouterr().err


def test_leaves_a_configured_access_log_as_it_is_in_debug_mode(port, access_log, capsys):
    handler = logging.NullHandler()
    access_log.addHandler(handler)
    access_log.setLevel(logging.ERROR)
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    Host(_nothing).run(host="127.0.0.1", port=port, loop=loop, access_log=access_log)
    assert access_log.handlers == [handler]
    assert access_log.level == logging.ERROR


def _raise(error: BaseException) -> None:
    raise error


async def _nothing() -> None:
    return
