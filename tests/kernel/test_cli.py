"""The ``corelet`` command as people and programs use it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import uvloop

import corelet
from corelet import cli, hookimpl
from corelet.plugins import make_manager
from tests.conftest import Tls
from tests.kernel.fake_site import FakeSite

SHOP: Final = """
import asyncio
from corelet import web

class Word:
    @web_hook
    def corelet_report(self, app): return ["one line", "another"]

async def hello(request):
    return web.Response(text=f"hello from {type(asyncio.get_running_loop()).__module__.partition('.')[0]}")

async def late(request):
    print("at work", flush=True)
    await asyncio.sleep(0.3)
    return web.Response(text="done")

async def say(app): print("cleaned up", flush=True)

def make_app():
    print("made")
    app = web.Application()
    app.router.add_get("/", hello, name="home")
    app.router.add_post("/notes/{id}", late)
    app.router.add_get("/late", late, allow_head=False)
    app.on_cleanup.append(say)
    return app

async def make_later(): return make_app()
app = make_app()
bare = web.Application(handler=hello, plugins=[])
reporting = web.Application(handler=hello, plugins=[Word()])
""".replace("class Word:", "from corelet import hookimpl as web_hook\n\nclass Word:")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with the module shopping."""
    (tmp_path / "shopping.py").write_text(SHOP)
    return tmp_path


@pytest.fixture
def site(tmp_path: Path) -> FakeSite:
    """Give a place to install distributions in."""
    (tmp_path / "site").mkdir()
    return FakeSite(tmp_path / "site")


class Shell:
    """Runs ``corelet`` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(
        self, *arguments: str, site: FakeSite | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        if site is not None:
            environment["PYTHONPATH"] = str(site.path)
        return subprocess.run(
            [sys.executable, "-W", "error", "-m", "corelet", *arguments],
            cwd=self.folder, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def complain(self, *arguments: str, status: int = 2) -> str:
        """Run it where it can't do what is asked, and give what it says, which is one line."""
        done = self.run(*arguments)
        assert done.returncode == status
        (line,) = [line for line in (done.stdout + done.stderr).splitlines() if line != "made"]
        return line


@pytest.fixture
def shell(folder: Path) -> Shell:
    """Give what runs the command in the folder."""
    return Shell(folder)


class Serving:
    """``corelet run`` in a process of its own."""

    def __init__(self, folder: Path, *arguments: str, pass_fds: tuple[int, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "corelet", "run", *arguments],
            cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=pass_fds,
        )  # fmt: skip
        self.url = self.find(r"Running on (\S+)")

    def find(self, pattern: str) -> str:
        """Read what it prints up to a line with a pattern; its first group."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if match := re.search(pattern, line):
                return match[1] if match.re.groups else match[0]
        raise AssertionError(f"it ended with {self.process.communicate()[1]} after {seen}")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Ask it to stop; its exit status, and what it has printed since."""
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        # Not communicate(): it passes over what has been read ahead.
        return status, self.process.stdout.read(), self.process.stderr.read()


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Serving]]:
    """Give what starts ``corelet run``; what is left is killed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def begin(*arguments: str, pass_fds: tuple[int, ...] = ()) -> Serving:
            serving = Serving(folder, *arguments, pass_fds=pass_fds)
            stack.callback(end, serving.process)
            return serving

        yield begin


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.communicate()


def fetch(url: str, *options: str) -> str:
    """Ask with curl."""
    return subprocess.run(
        ["curl", "-sS", "--max-time", "20", *options, url], capture_output=True, text=True, check=True
    ).stdout


# corelet


def test_without_a_command_it_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    out = capsys.readouterr().out
    assert "corelet run shop.main:app             serve the application `app`" in out
    for command in ("run", "routes", "plugins"):
        assert re.search(rf"^    {command} +\w+", out, re.MULTILINE)


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"corelet {corelet.__version__} (hook API {corelet.HOOK_API})\n"


def test_an_unknown_command_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve"])
    assert caught.value.code == 2
    assert "invalid choice: 'serve'" in capsys.readouterr().err


def test_the_installed_command_is_the_same() -> None:
    program = Path(sysconfig.get_path("scripts")) / "corelet"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"corelet {corelet.__version__} ")


# Commands of plugins


def main_with(monkeypatch: pytest.MonkeyPatch, plugins: list[object], *arguments: str) -> int:
    monkeypatch.setattr(cli, "survey", lambda: make_manager(plugins))
    return cli.main(arguments)


class Greeter:
    """A plugin with a command."""

    def __init__(self, run: Callable[[Any], Any] | None = None, name: str = "greet") -> None:
        self.run, self.name = run, name

    @hookimpl
    def corelet_add_commands(self, commands: cli.CommandRegistry) -> None:
        parser = commands.add_parser(self.name, help="greet somebody", aliases=[f"{self.name}-now"])
        parser.add_argument("somebody")
        if self.run is not None:
            parser.set_defaults(run=self.run)


@pytest.mark.parametrize("name", ["greet", "greet-now"])
def test_a_plugin_adds_a_command(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    greeted = []

    def greet(options: Any) -> int:
        greeted.append(options.somebody)
        return 3

    assert main_with(monkeypatch, [Greeter(greet)], name, "alice") == 3
    assert greeted == ["alice"]


def test_two_commands_of_one_name_are_an_error_that_names_who_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugins = [Greeter(lambda options: 0), Greeter(), Greeter(name="run")]
    assert main_with(monkeypatch, plugins, "greet", "alice") == 0
    assert capsys.readouterr().err == (
        "corelet: commands of plugin Greeter-2 are missing: "
        "PluginConflictError: there is a command 'greet' already: it comes with Greeter\n"
        "corelet: commands of plugin Greeter-3 are missing: "
        "PluginConflictError: there is a command 'run' already: it comes with corelet\n"
    )


def test_one_plugin_with_one_name_twice_is_an_error_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Twice:
        @hookimpl
        def corelet_add_commands(self, commands: Any) -> None:
            for _ in range(2):
                commands.add_parser("twice").set_defaults(run=lambda options: 0)

    assert main_with(monkeypatch, [Twice()], "twice") == 0
    assert capsys.readouterr().err == (
        "corelet: commands of plugin Twice are missing: "
        "PluginConflictError: there is a command 'twice' already: it comes with the same plugin\n"
    )


def test_a_plugin_that_can_not_add_its_commands_keeps_no_other_from_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken:
        @hookimpl
        def corelet_add_commands(self, commands: Any) -> None:
            raise SystemExit("no disk")

    assert main_with(monkeypatch, [Broken(), Greeter(lambda options: 0)], "greet", "alice") == 0
    assert capsys.readouterr().err == "corelet: commands of plugin Broken are missing: SystemExit: no disk\n"


def test_a_command_that_does_nothing_is_a_mistake_of_its_plugin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main_with(monkeypatch, [Greeter()], "greet", "alice") == 2
    assert capsys.readouterr().err == (
        "corelet: command greet of Greeter does nothing: its parser lacks set_defaults(run=function)\n"
    )


def test_an_error_in_a_command_names_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttributeError) as caught:
        main_with(monkeypatch, [Greeter(lambda options: options.nobody)], "greet", "alice")
    assert caught.value.__notes__ == ["in command greet of Greeter"]


# corelet plugins


HELLO = "from corelet import hookimpl\n@hookimpl\ndef corelet_configure(app): ...\n"


def test_plugins_are_shown_with_all_that_is_known(shell: Shell, site: FakeSite) -> None:
    site.add("corelet-hello", plugins={"hello": "hello"}, exports={"web.Hi": "hello:Hi"}, modules={"hello": HELLO})
    site.add("corelet-torn", version="2.0", plugins={"torn": "torn"}, modules={"torn": "print('torn')\nimport nowhere"})
    site.add("corelet-other", plugins={"other": "other"})
    done = shell.run("plugins", site=site, CORELET_BLOCK="other")
    assert done.returncode == 0
    assert done.stdout == (
        "NAME   STATE    DISTRIBUTION\n"
        "hello  ready    corelet-hello 1.0\n"
        "       hooks    corelet_configure\n"
        "       exports  web.Hi\n"
        "other  blocked  corelet-other 1.0\n"
        "       reason   CORELET_BLOCK=other\n"
        "torn   failed   corelet-torn 2.0\n"
        "       reason   ModuleNotFoundError: No module named 'nowhere'\n"
    )
    assert done.stderr == "torn\n"


def test_of_many_names_a_few_are_shown(shell: Shell, site: FakeSite) -> None:
    exports = {f"web.name_{number:02}": f"hello:name_{number}" for number in range(40)}
    site.add("corelet-hello", plugins={"hello": "hello"}, exports=exports, modules={"hello": HELLO})
    done = shell.run("plugins", site=site)
    rows = done.stdout.splitlines()[3:]
    assert [row[:20] for row in rows] == ["       exports  web.", " " * 16 + "web.", " " * 16 + "and "]
    shown = sum(row.count("web.name_") for row in rows)
    assert rows[-1].split() == ["and", str(40 - shown), "more:", "--json", "shows", "all"]
    plugin = json.loads(shell.run("plugins", "--json", site=site).stdout)["plugins"][0]
    assert sorted(plugin["exports"]) == sorted(exports)


def test_plugins_are_shown_to_programs(shell: Shell, site: FakeSite) -> None:
    site.add("corelet-torn", plugins={"torn": "torn"}, modules={"torn": "print('torn')\nraise SystemExit(3)"})
    done = shell.run("plugins", "--json", site=site, CORELET_BLOCK="tron")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {
        "corelet": corelet.__version__,
        "hook_api": corelet.HOOK_API,
        "plugins": [
            {
                "name": "torn", "state": "failed", "distribution": "corelet-torn", "version": "1.0",
                "reason": "SystemExit: 3", "hooks": [], "exports": [], "report": [],
            },
            {
                "name": "CORELET_BLOCK=tron", "state": "failed", "distribution": None, "version": None,
                "reason": "no installed plugin or distribution has this name; did you mean torn?",
                "hooks": [], "exports": [], "report": [],
            },
        ],
    }  # fmt: skip


def test_plugins_are_shown_where_metadata_can_not_be_read(shell: Shell, site: FakeSite) -> None:
    site.add("corelet-torn")
    (site.path / "corelet_torn-1.0.dist-info" / "entry_points.txt").write_text("[corelet.plugins]\ntorn\n")
    done = shell.run("plugins", site=site)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(
        r"^installed distributions +failed\n +reason +their metadata can't be read: ", done.stdout, re.MULTILINE
    )


def test_a_reader_that_has_had_enough_is_no_error(shell: Shell) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "corelet", "plugins"],
        cwd=shell.folder, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_plugins_it_says_what_to_do(shell: Shell, site: FakeSite) -> None:
    done = shell.run("plugins", site=site)
    assert done.stdout == "no plugin is installed: pip install 'corelet[routing]' brings a router\n"


def test_plugins_of_an_application_are_shown_with_what_they_report(shell: Shell) -> None:
    done = shell.run("plugins", "shopping:reporting")
    assert (done.returncode, done.stderr) == (0, "made\n")
    assert done.stdout == (
        "NAME  STATE   DISTRIBUTION\n"
        "Word  ready\n"
        "      hooks   corelet_report\n"
        "      report  one line\n"
        "      report  another\n"
    )


def test_what_is_installed_is_shown_where_the_application_can_not_be_made(shell: Shell) -> None:
    done = shell.run("plugins", "shopping:reprting")
    assert done.returncode == 2
    assert done.stdout.startswith("NAME")
    assert done.stderr == "made\ncorelet: module shopping has no attribute reprting; did you mean reporting?\n"


# corelet routes


def test_routes_are_shown_in_the_order_in_which_they_are_tried(shell: Shell) -> None:
    for name in ("make_app", "make_later"):
        done = shell.run("routes", f"shopping:{name}")
        assert done.returncode == 0
        assert done.stdout == (
            "METHOD  PATH         NAME  HANDLER\n"
            "HEAD    /            home  shopping.hello\n"
            "GET     /            home  shopping.hello\n"
            "POST    /notes/{id}        shopping.late\n"
            "GET     /late              shopping.late\n"
        )


def test_an_application_without_a_router_shows_who_answers(shell: Shell) -> None:
    done = shell.run("routes", "shopping:bare")
    assert done.stdout == "shopping.hello answers every request: the application has no router\n"


def test_routes_of_any_router_are_shown_as_far_as_they_tell() -> None:
    class Route:
        def get_info(self) -> dict[str, str]:
            return {"prefix": "/files", "domain": "a.example"}

    assert cli.describe_route(Route()) == ("", "a.example/files", "", "")
    assert cli.describe_route("the route") == ("", "'the route'", "", "")


def test_routes_without_a_router_say_what_to_type(shell: Shell) -> None:
    (shell.folder / "alone.py").write_text("from corelet import web\napp = web.Application(plugins=[])")
    assert shell.complain("routes", "alone:app") == (
        "corelet: app.router comes with a routing plugin: pip install corelet-routing"
    )


# corelet run


@pytest.mark.parametrize("name", ["app", "make_app", "make_later"])
def test_an_application_a_factory_and_a_coroutine_are_served(start: Callable[..., Serving], name: str) -> None:
    serving = start(f"shopping:{name}", "--port", "0")
    assert serving.url.startswith("http://127.0.0.1:")
    assert fetch(serving.url) == "hello from uvloop"
    status, out, err = serving.stop()
    assert (status, out) == (0, "(Press CTRL+C to quit)\ncleaned up\n")
    assert re.fullmatch(r'127\.0\.0\.1 \[.*\] "GET / HTTP/1\.1" 200 \d+ "-" "curl/.*"\n', err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_answers_in_progress_end(start: Callable[..., Serving], number: signal.Signals) -> None:
    serving = start("shopping:app", "--port", "0", "--loop", "asyncio", "--no-access-log")
    asking = subprocess.Popen(["curl", "-sS", f"{serving.url}/late"], stdout=subprocess.PIPE, text=True)
    serving.find("at work")
    status, out, err = serving.stop(number)
    assert (status, out, err) == (0, "cleaned up\n", "")
    assert asking.communicate()[0] == "done"


def test_it_listens_on_a_unix_socket_alone_or_beside_tcp(folder: Path, start: Callable[..., Serving]) -> None:
    path = str(folder / "socket")
    serving = start("shopping:bare", "--unix", path, "--loop", "asyncio")
    assert serving.url == f"http://unix:{path}:"
    assert fetch("http://localhost/", "--unix-socket", path) == "hello from asyncio"
    assert serving.stop()[0] == 0
    both = start("shopping:bare", "--unix", path, "--port", "0")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+,", both.url)
    assert fetch("http://localhost/", "--unix-socket", path) == fetch(both.url.rstrip(",")) == "hello from uvloop"
    assert both.stop()[0] == 0


def test_a_socket_that_it_is_given_outlives_it(start: Callable[..., Serving]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        first = start("shopping:bare", "--fd", str(listener.fileno()), pass_fds=(listener.fileno(),))
        assert first.url == url
        assert fetch(url) == "hello from uvloop"
        assert first.stop()[0] == 0
        waiting = subprocess.Popen(["curl", "-sS", "--max-time", "20", url], stdout=subprocess.PIPE, text=True)
        second = start("shopping:bare", "--fd", str(listener.fileno()), pass_fds=(listener.fileno(),))
        assert waiting.communicate()[0] == "hello from uvloop"  # it came between the two
        assert second.stop()[0] == 0


def test_it_serves_by_tls_with_the_key_in_a_file_of_its_own_or_not(
    folder: Path, start: Callable[..., Serving], tls: Tls
) -> None:
    whole = folder / "whole.pem"
    whole.write_text(Path(tls.certificate_path).read_text() + Path(tls.key_path).read_text())
    for options in (["--tls-cert", tls.certificate_path, "--tls-key", tls.key_path], ["--tls-cert", str(whole)]):
        serving = start("shopping:bare", "--port", "0", *options)
        assert serving.url.startswith("https://")
        assert fetch(serving.url, "--cacert", tls.authority_path) == "hello from uvloop"
        assert serving.stop()[0] == 0


def test_lines_of_the_access_log_have_the_form_asked_for(start: Callable[..., Serving]) -> None:
    serving = start("shopping:bare", "--port", "0", "--access-log-format", "%s for %r")
    fetch(serving.url)
    assert serving.stop()[2] == "200 for GET / HTTP/1.1\n"


def test_several_processes_share_a_port(start: Callable[..., Serving]) -> None:
    first = start("shopping:bare", "--port", "0", "--reuse-port")
    port = first.url.rpartition(":")[2]
    assert start("shopping:bare", "--port", port, "--reuse-port").url == first.url


def test_a_busy_port_is_said_in_one_line_after_the_clean_up(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shell.run("run", "shopping:app", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "made\ncleaned up\n")
    assert done.stderr == (
        f"corelet: can't listen on 127.0.0.1:{port}: Address already in use: "
        "choose another place by --host, --port or --unix\n"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "no.such.host.invalid"], "can't listen on host 'no.such.host.invalid': "),
        (["--unix", "/no/such/folder/socket"], "can't listen on '/no/such/folder/socket': No such file or directory: "),
    ],
)
def test_a_place_that_is_none_is_said_in_one_line(shell: Shell, options: list[str], message: str) -> None:
    line = shell.complain("run", "shopping:bare", *options, status=1).removeprefix("corelet: ")
    assert line.startswith(message)
    assert line.endswith(": choose another place by --host, --port or --unix")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shoping:app"], "there is no module shoping; did you mean shopping?"),
        (["shopping:ap"], "module shopping has no attribute ap; did you mean app?"),
        (["shopping:app", "--tls-key", "x"], "--tls-key is the key of a certificate: give it by --tls-cert"),
        (["shopping:app", "--tls-cert", "none.pem"], "can't read none.pem: No such file or directory"),
        (
            ["shopping:app", "--fd", "99"],
            "--fd 99 is no socket that this process was given: [Errno 9] Bad file descriptor",
        ),
        (
            ["shopping:app", "--fd", "3", "--reload"],
            "--fd can't be combined with --reload: a process that is started anew is given no socket",
        ),
        (["shopping:app", "--reload", "--reload-dir", "x"], "--reload-dir: there is no folder x"),
    ],
)
def test_a_mistake_is_said_in_one_line(shell: Shell, arguments: list[str], message: str) -> None:
    assert shell.complain("run", *arguments) == f"corelet: {message}"


def test_a_certificate_that_can_not_be_used_is_said_in_one_line(shell: Shell) -> None:
    line = shell.complain("run", "shopping:app", "--tls-cert", "shopping.py")
    assert line.startswith("corelet: --tls-cert shopping.py and its key shopping.py can't be used: ")


def test_a_port_that_is_none_is_a_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    for port in ("70000", "http", "-1", "²"):
        with pytest.raises(SystemExit):
            cli.main(["run", "shopping:app", f"--port={port}"])
        assert f"argument --port: {port!r} is no number from 0 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        *(("--shutdown-timeout", value, f"{value!r} is no number of seconds") for value in ("soon", "-1", "nan")),
        ("--fd", "three", "'three' is no number of a file descriptor"),
        ("--access-log-format", "%a %z", "unknown code '%z' in access log format '%a %z', known: %% "),
    ],
)
def test_a_value_that_can_not_be_used_is_a_mistake_of_the_command_line(
    capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["run", "shopping:app", f"{option}={value}"])
    assert exit_.value.code == 2
    assert f"corelet run: error: argument {option}: {message}" in capsys.readouterr().err


def test_an_error_of_the_application_shows_its_traceback(shell: Shell) -> None:
    (shell.folder / "torn.py").write_text("def make(): return nothing")
    done = shell.run("run", "torn:make")
    assert done.returncode == 1
    assert "torn.py" in done.stderr
    assert done.stderr.endswith("NameError: name 'nothing' is not defined\n")


def test_a_failed_plugin_stops_the_start_with_the_way_out(shell: Shell, site: FakeSite) -> None:
    site.add("corelet-torn", plugins={"torn": "torn"}, modules={"torn": "import nowhere"})
    (shell.folder / "plain.py").write_text("from corelet import web\napp = web.Application()")
    done = shell.run("run", "plain:app", site=site)
    assert done.returncode == 2
    assert done.stderr == (
        "corelet: cannot load every plugin:\n"
        "  torn (corelet-torn 1.0): ModuleNotFoundError: No module named 'nowhere'\n"
        "to go on without: CORELET_BLOCK=torn\n"
    )


def test_loops_are_chosen_by_name_and_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.choose_loop("asyncio") is asyncio.new_event_loop
    assert cli.choose_loop("auto") is cli.choose_loop("uvloop") is uvloop.new_event_loop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert cli.choose_loop("auto") is asyncio.new_event_loop
    with pytest.raises(cli.UsageError, match=r"--loop uvloop needs it: pip install 'corelet\[speedups\]'"):
        cli.choose_loop("uvloop")


def test_tls_is_off_without_a_certificate(tls: Tls) -> None:
    assert cli.make_tls_context(None, None) is None
    context = cli.make_tls_context(tls.certificate_path, tls.key_path)
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_NONE


# corelet run --reload


def test_a_changed_file_is_served_anew_and_a_mistake_until_it_is_mended(
    folder: Path, start: Callable[..., Serving]
) -> None:
    source = "from corelet import web\nasync def answer(request): return web.Response(text='{}')\n"
    made = "app = web.Application(handler=answer, plugins=[])\n"
    (folder / "word.py").write_text(source.format("first") + made)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = start("word:app", "--port", str(port), "--reload", "--no-access-log")
    assert fetch(serving.url) == "first"
    (folder / "word.py").write_text(source.format("second") + made)
    assert serving.find(r"Running on (\S+)") == serving.url
    assert fetch(serving.url) == "second"
    (folder / "word.py").write_text("app = nothing\n")
    assert serving.process.stderr is not None
    errors = []
    for line in serving.process.stderr:
        errors.append(line)
        if line.startswith("NameError"):
            break
    (folder / "word.py").write_text(source.format("mended") + made)
    assert serving.find(r"Running on (\S+)") == serving.url
    assert fetch(serving.url) == "mended"
    assert serving.stop()[0] == 0
    assert f"corelet: changed: {folder / 'word.py'}\n" in errors
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)


def test_reload_without_watchfiles_says_what_to_type(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert cli.main(["run", "shopping:app", "--reload"]) == 2
    assert capsys.readouterr().err == "corelet: --reload needs watchfiles: pip install 'corelet[reload]'\n"
