from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from corelet.app import Application
from corelet.response import Response
from corelet.runner import (
    AppRunner,
    GracefulExit,
    NamedPipeSite,
    ServerRunner,
    SockSite,
    TCPSite,
    UnixSite,
)
from corelet.server import Server
from tests.raw_client import RawClient


async def hello(request: Any) -> Response:
    return Response(text="hello")


def make_app(handler: Callable[..., Any] = hello) -> Application:
    return Application(handler=handler, plugins=[])


@pytest.fixture
async def set_up() -> AsyncIterator[Callable[..., Awaitable[AppRunner]]]:
    """Give what makes a runner of an application and sets it up; cleaned up at the end."""
    async with AsyncExitStack() as running:

        async def start(app: Application | None = None, **kwargs: Any) -> AppRunner:
            runner = AppRunner(app or make_app(), **kwargs)
            await runner.setup()
            running.push_async_callback(runner.cleanup)
            return runner

        yield start


async def ask(*args: Any, unix: bool = False, **kwargs: Any) -> str:
    """Get the body of the answer at an address."""
    opening = asyncio.open_unix_connection(*args, **kwargs) if unix else asyncio.open_connection(*args, **kwargs)
    client = RawClient(*await opening)
    try:
        return (await client.get(fields="Connection: close\r\n")).text
    finally:
        await client.close()


class TestRunner:
    async def test_knows_server_sites_and_addresses_while_set_up(self, set_up):
        runner = await set_up()
        site = TCPSite(runner, "127.0.0.1", 0)
        assert runner.sites == set()
        await site.start()
        assert isinstance(runner.server, Server)
        assert runner.sites == {site}
        assert runner.addresses == [("127.0.0.1", site.port)]
        await runner.cleanup()
        assert (runner.server, runner.sites, runner.addresses) == (None, set(), [])

    async def test_gives_its_application(self):
        app = make_app()
        assert AppRunner(app).app is app

    async def test_takes_an_application_only(self):
        with pytest.raises(TypeError, match="Application, got 3"):
            AppRunner(3)

    async def test_names_the_near_argument_for_an_unknown_one(self):
        with pytest.raises(TypeError, match="'keepalive_timout', did you mean 'keepalive_timeout'"):
            AppRunner(make_app(), keepalive_timout=3)

    @pytest.mark.parametrize("name", ["zzz", "handler"])
    async def test_lists_known_arguments_for_an_unknown_one(self, name):
        with pytest.raises(TypeError, match=f"'{name}', known: .*deadlines"):
            AppRunner(make_app(), **{name: 3})

    async def test_refuses_a_second_setup(self, set_up):
        runner = await set_up()
        with pytest.raises(RuntimeError, match="set up already"):
            await runner.setup()

    async def test_cleanup_may_come_twice_and_without_setup(self, set_up):
        runner = await set_up()
        await runner.cleanup()
        await runner.cleanup()
        await AppRunner(make_app()).cleanup()

    async def test_passes_arguments_to_the_server(self, set_up):
        runner = await set_up(keepalive_timeout=7, max_line_size=100, shutdown_timeout=3)
        assert runner.server.deadlines.keepalive_seconds == 7
        assert runner.server.limits.max_line_bytes == 100
        assert runner.shutdown_timeout == 3

    async def test_a_failed_start_up_leaves_nothing_running(self):
        steps = []

        async def context(app: Application) -> AsyncIterator[None]:
            steps.append("entered")
            yield
            steps.append("left")

        async def fail(app: Application) -> None:
            raise ValueError("no database")

        app = make_app()
        app.cleanup_ctx.append(context)
        app.on_startup.append(fail)
        runner = AppRunner(app, handle_signals=True)
        with pytest.raises(ValueError, match="no database"):
            await runner.setup()
        assert steps == ["entered", "left"]
        assert runner.server is None
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    async def test_a_server_that_cannot_be_made_cleans_the_application_up(self):
        cleaned = []
        app = make_app()
        app.on_cleanup.append(lambda app: _note(cleaned, "cleanup"))
        with pytest.raises(TypeError):
            await AppRunner(app, limits=3, max_line_size=3).setup()
        assert cleaned == ["cleanup"]

    async def test_stops_in_order(self, connect, serve):
        steps = []
        app = make_app(lambda request: _answer_after(0.1, steps))
        for name in ("on_startup", "on_shutdown", "on_cleanup"):
            getattr(app, name).append(lambda app, name=name: _note(steps, name))
        served = await serve(app)
        client = await connect(served)
        asking = asyncio.create_task(client.get())
        await _until(lambda: "begun" in steps)
        await served.stop()
        assert (await asking).status == 200
        assert steps == ["on_startup", "begun", "on_shutdown", "answered", "on_cleanup"]

    @pytest.mark.parametrize(("seconds", "shutdown_timeout", "end"), [(0.1, 30, "answered"), (30, 0.1, "cancelled")])
    async def test_handlers_whose_peers_have_gone_end_before_the_clean_up(
        self, connect, serve, seconds, shutdown_timeout, end
    ):
        steps = []
        app = make_app(lambda request: _answer_after(seconds, steps))
        app.on_cleanup.append(lambda app: _note(steps, "cleanup"))
        served = await serve(app, shutdown_timeout=shutdown_timeout)
        client = await connect(served)
        await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await _until(lambda: steps)
        client.abort()
        await _until(lambda: not served.server.connections)
        await served.stop()
        assert steps == ["begun", end, "cleanup"]

    async def test_a_handler_that_no_cancellation_ends_holds_no_stop_up(self, connect, serve, monkeypatch):
        monkeypatch.setattr("corelet.server.CANCEL_SECONDS", 0.1)
        begun, ended = [], asyncio.Event()

        async def handler(request: Any) -> Response:
            begun.append(request)
            while not ended.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await ended.wait()
            return Response()

        served = await serve(make_app(handler), shutdown_timeout=0.05)
        gone, still_there = [await connect(served) for _ in "ab"]
        for client in (gone, still_there):
            await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await _until(lambda: len(begun) == 2)
        gone.abort()
        await _until(lambda: len(served.server.connections) == 1)
        await asyncio.wait_for(served.stop(), 5)
        assert await still_there.read_until_closed() == b""
        ended.set()

    async def test_a_failing_on_shutdown_skips_no_later_step(self, serve, connect):
        steps = []

        async def fail(app: Application) -> None:
            raise ValueError("on_shutdown")

        app = make_app(lambda request: _answer_after(0.05, steps))
        app.on_shutdown.append(fail)
        app.on_cleanup.append(lambda app: _note(steps, "cleanup"))
        served = await serve(app)
        client = await connect(served)
        asking = asyncio.create_task(client.get())
        await _until(lambda: steps)
        with pytest.raises(ValueError, match="on_shutdown"):
            await served.stop()
        assert (await asking).status == 200
        assert steps == ["begun", "answered", "cleanup"]

    @pytest.mark.parametrize("shutdown_seconds", [0, 30], ids=["in answers", "in on_shutdown"])
    async def test_a_cancelled_cleanup_hurries_and_still_cleans_up(self, serve, connect, shutdown_seconds):
        steps = []
        app = make_app(lambda request: _answer_after(30, steps))
        app.on_shutdown.append(lambda app: asyncio.sleep(shutdown_seconds))
        app.on_cleanup.append(lambda app: _note(steps, "cleanup"))
        served = await serve(app, shutdown_timeout=30)
        client = await connect(served)
        await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await _until(lambda: steps)
        stopping = asyncio.create_task(served.stop())
        await asyncio.sleep(0.3)
        stopping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(stopping, 5)
        assert steps == ["begun", "cancelled", "cleanup"]

    async def test_runs_a_bare_server(self):
        runner = ServerRunner(Server(hello), shutdown_timeout=1)
        await runner.setup()
        site = TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert await ask("127.0.0.1", site.port) == "hello"
        await runner.cleanup()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_signals_raise_graceful_exit_until_cleaned_up(self, number):
        runner = AppRunner(make_app(), handle_signals=True)
        with asyncio.Runner() as host:
            host.run(runner.setup())
            host.get_loop().call_soon(os.kill, os.getpid(), number)
            with pytest.raises(GracefulExit) as caught:
                host.get_loop().run_until_complete(asyncio.sleep(5))
            assert caught.value.code == 1
            host.run(runner.cleanup())
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class TestSite:
    async def test_needs_a_runner_that_is_set_up(self):
        with pytest.raises(RuntimeError, match=r"runner\.setup\(\)"):
            TCPSite(AppRunner(make_app()))

    @pytest.mark.parametrize("port", [-1, 65536, "8080", "http"])
    async def test_refuses_what_is_no_port(self, set_up, port):
        with pytest.raises(ValueError, match=rf"port is {port!r}, expected a number from 0 to 65535"):
            TCPSite(await set_up(), "127.0.0.1", port)

    async def test_refuses_a_second_start(self, set_up):
        site = TCPSite(await set_up(), "127.0.0.1", 0)
        await site.start()
        with pytest.raises(RuntimeError, match="started already"):
            await site.start()
        assert await ask("127.0.0.1", site.port) == "hello"

    async def test_stop_may_come_twice_and_before_start(self, set_up):
        site = TCPSite(await set_up(), "127.0.0.1", 0)
        await site.stop()
        await site.start()
        await site.stop()
        await site.stop()

    async def test_may_start_again_after_a_stop(self, set_up):
        site = TCPSite(await set_up(), "127.0.0.1", 0)
        await site.start()
        await site.stop()
        await site.start()
        assert await ask("127.0.0.1", site.port) == "hello"

    async def test_a_stopped_site_refuses_and_other_sites_go_on(self, set_up):
        runner = await set_up()
        stopped, going = TCPSite(runner, "127.0.0.1", 0), TCPSite(runner, "127.0.0.1", 0)
        await stopped.start()
        await going.start()
        port = stopped.port
        await stopped.stop()
        with pytest.raises(ConnectionRefusedError):
            await ask("127.0.0.1", port)
        assert await ask("127.0.0.1", going.port) == "hello"

    async def test_its_shutdown_timeout_becomes_the_runners(self, set_up):
        runner = await set_up(shutdown_timeout=1)
        TCPSite(runner, shutdown_timeout=9)
        assert runner.shutdown_timeout == 9

    @pytest.mark.parametrize("count", [1, 40])
    async def test_connections_that_wait_in_the_kernel_at_a_stop_are_served(self, serve, count):
        served = await serve(hello)
        # The loop doesn't run meanwhile, so that nobody accepts them.
        waiting = [socket.create_connection((served.host, served.port)) for _ in range(count)]
        for sock in waiting:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await served.stop()
        for sock in waiting:
            with sock:
                answer = sock.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b"\r\nConnection: close\r\n" in answer

    async def test_tls_connections_that_wait_in_the_kernel_at_a_stop_are_served(self, serve, tls):
        served = await serve(hello, ssl_context=tls.server)
        sock = socket.create_connection((served.host, served.port))
        asking = asyncio.get_running_loop().run_in_executor(None, _ask_over_tls, sock, tls.client)
        await served.stop()
        assert (await asking).startswith(b"HTTP/1.1 200 OK")

    async def test_a_tls_handshake_that_outlasts_the_server_is_served_no_more(self, serve, tls):
        served = await serve(hello, ssl_context=tls.server)
        with socket.create_connection((served.host, served.port)) as sock:
            await asyncio.sleep(0.05)
            await served.stop()
            asking = asyncio.get_running_loop().run_in_executor(None, _ask_over_tls, sock, tls.client)
            with contextlib.suppress(OSError):  # a reset, or the end of TLS without a goodbye
                assert await asking == b""

    async def test_a_peer_that_never_ends_its_tls_handshake_holds_no_stop_up(self, serve, tls):
        served = await serve(hello, ssl_context=tls.server)
        with socket.create_connection((served.host, served.port)):
            async with asyncio.timeout(5):
                await served.stop()


class TestTCPSite:
    async def test_gives_the_real_port_for_zero(self, set_up):
        site = TCPSite(await set_up(), "127.0.0.1", 0)
        assert (site.port, site.name) == (0, "http://127.0.0.1:0")
        await site.start()
        assert site.port != 0
        assert site.name == f"http://127.0.0.1:{site.port}"

    async def test_names_itself_as_a_url(self, set_up, tls):
        runner = await set_up()
        assert TCPSite(runner).name == "http://0.0.0.0:8080"
        assert TCPSite(runner, ssl_context=tls.server).name == "https://0.0.0.0:8443"
        assert TCPSite(runner, "::1", 81).name == "http://[::1]:81"
        assert TCPSite(runner, "localhost", 80).name == "http://localhost"

    async def test_without_a_host_listens_on_all_addresses_at_one_port(self, set_up):
        runner = await set_up()
        site = TCPSite(runner, None, 0)
        await site.start()
        assert {address[1] for address in runner.addresses} == {site.port}
        for host in ["127.0.0.1", "::1"] if len(runner.addresses) > 1 else ["127.0.0.1"]:
            assert await ask(host, site.port) == "hello"

    async def test_a_taken_port_is_an_error_that_names_it(self, set_up):
        runner = await set_up()
        first = TCPSite(runner, "127.0.0.1", 0)
        await first.start()
        second = TCPSite(runner, "127.0.0.1", first.port)
        with pytest.raises(OSError, match=rf"can't listen on 127.0.0.1:{first.port}: ") as caught:
            await second.start()
        assert caught.value.errno == errno.EADDRINUSE
        assert runner.sites == {first}

    async def test_an_address_of_another_machine_is_an_error(self, set_up):
        with pytest.raises(OSError, match=r"203\.0\.113\.1"):
            await TCPSite(await set_up(), "203.0.113.1", 0).start()

    async def test_two_share_a_port_by_reuse_port(self, set_up):
        runner = await set_up()
        first = TCPSite(runner, "127.0.0.1", 0, reuse_port=True)
        await first.start()
        await TCPSite(runner, "127.0.0.1", first.port, reuse_port=True, reuse_address=False).start()
        assert await ask("127.0.0.1", first.port) == "hello"

    async def test_serves_tls(self, set_up, tls):
        site = TCPSite(await set_up(), "127.0.0.1", 0, ssl_context=tls.server)
        await site.start()
        assert await ask("127.0.0.1", site.port, ssl=tls.client) == "hello"


class TestUnixSite:
    async def test_serves_and_removes_its_file(self, set_up, tmp_path):
        path = tmp_path / "s"
        runner = await set_up()
        site = UnixSite(runner, path)
        assert site.name == f"http://unix:{path}:"
        await site.start()
        assert runner.addresses == [str(path)]
        assert await ask(str(path), unix=True) == "hello"
        await site.stop()
        assert not path.exists()

    async def test_replaces_the_file_of_a_dead_process(self, set_up, tmp_path):
        path = str(tmp_path / "s")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        await UnixSite(await set_up(), path).start()
        assert await ask(path, unix=True) == "hello"

    async def test_leaves_a_socket_alone_where_somebody_listens(self, set_up, tmp_path):
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            with pytest.raises(OSError, match=r"can't listen on .*/s") as caught:
                await UnixSite(await set_up(), path).start()
        assert caught.value.errno == errno.EADDRINUSE
        assert path.exists()

    async def test_leaves_a_socket_alone_whose_backlog_is_full(self, set_up, tmp_path):
        path = tmp_path / "s"
        with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as filling:
            other.bind(str(path))
            other.listen(0)
            filling.connect(str(path))
            with pytest.raises(OSError, match="can't listen on"):
                await UnixSite(await set_up(), path).start()
        assert path.exists()

    async def test_leaves_alone_what_is_no_socket(self, set_up, tmp_path):
        path = tmp_path / "s"
        path.write_text("precious")
        with pytest.raises(OSError, match="can't listen on"):
            await UnixSite(await set_up(), path).start()
        assert path.read_text() == "precious"

    async def test_leaves_a_file_that_has_taken_its_place(self, set_up, tmp_path):
        path = tmp_path / "s"
        site = UnixSite(await set_up(), path)
        await site.start()
        path.rename(tmp_path / "old")
        path.write_text("new")
        await site.stop()
        assert path.read_text() == "new"

    async def test_stops_though_its_file_is_gone(self, set_up, tmp_path):
        path = tmp_path / "s"
        site = UnixSite(await set_up(), path)
        await site.start()
        path.unlink()
        await site.stop()

    async def test_listens_on_an_abstract_name(self, set_up):
        name = f"\0corelet-{os.getpid()}"
        await UnixSite(await set_up(), name).start()
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(name)  # uvloop's clients know no abstract names
        assert await ask(sock=sock, unix=True) == "hello"


@pytest.mark.parametrize("is_given", [False, True])
async def test_connections_wait_for_no_acknowledgement_before_they_send(set_up, is_given):
    async def tell(request: Any) -> Response:
        sock = request.transport.get_extra_info("socket")
        return Response(text=str(bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))))

    runner = await set_up(make_app(tell))
    if is_given:
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        site = SockSite(runner, sock)
    else:
        site = TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert await ask(*site.addresses[0]) == "True"


class TestSockSite:
    async def test_serves_a_tcp_socket(self, set_up):
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        site = SockSite(await set_up(), sock)
        await site.start()
        assert site.name == f"http://127.0.0.1:{port}"
        assert await ask("127.0.0.1", port) == "hello"
        await site.stop()
        assert site.name == f"http://127.0.0.1:{port}"
        assert sock.fileno() == -1

    async def test_serves_a_unix_socket_and_leaves_its_file(self, set_up, tmp_path):
        path = tmp_path / "s"
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        site = SockSite(await set_up(), sock)
        await site.start()
        assert site.name == f"http://unix:{path}:"
        assert await ask(str(path), unix=True) == "hello"
        await site.stop()
        assert path.exists()

    async def test_closes_a_socket_that_cannot_listen(self, set_up):
        runner = await set_up()
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with pytest.raises((OSError, ValueError)):
            await SockSite(runner, sock).start()
        assert sock.fileno() == -1
        assert runner.sites == set()


class TestNamedPipeSite:
    async def test_says_what_it_needs(self, set_up):
        with pytest.raises(RuntimeError, match="need Windows"):
            NamedPipeSite(await set_up(), r"\\.\pipe\corelet")

    async def test_serves_by_a_loop_that_has_pipes(self, set_up, tmp_path, monkeypatch):
        loop = asyncio.get_running_loop()

        async def start_serving_pipe(factory: Any, path: str) -> list[asyncio.Server]:
            return [await loop.create_unix_server(factory, path)]

        class LoopWithPipes:
            def __init__(self) -> None:
                self.start_serving_pipe = start_serving_pipe

        path = str(tmp_path / "pipe")
        runner = await set_up()
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "get_running_loop", LoopWithPipes)
            site = NamedPipeSite(runner, path)
        await site.start()
        assert (site.name, runner.sites) == (path, {site})
        assert await ask(path, unix=True) == "hello"
        await site.stop()
        with pytest.raises(OSError):  # noqa: PT011 -- gone or refusing, by the version
            await ask(path, unix=True)


async def test_reuse_port_says_where_the_system_lacks_it(set_up, monkeypatch):
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ValueError, match="SO_REUSEPORT"):
        await TCPSite(await set_up(), "127.0.0.1", 0, reuse_port=True).start()


def _ask_over_tls(sock: socket.socket, context: ssl.SSLContext) -> bytes:
    with context.wrap_socket(sock, server_hostname="localhost") as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return client.recv(65536)


async def _note(steps: list[str], step: str) -> None:
    steps.append(step)


async def _answer_after(seconds: float, steps: list[str]) -> Response:
    steps.append("begun")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        steps.append("cancelled")
        raise
    steps.append("answered")
    return Response()


async def _until(is_true: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110 -- other tasks make it true
            await asyncio.sleep(0.005)
