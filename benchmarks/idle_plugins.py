"""Count what ten idle plugins cost a request, in instructions: ``python -m benchmarks.idle_plugins``.

Ten distributions are installed into a temporary folder; each implements every hook that asks all plugins, and wants
nothing. callgrind counts the instructions of a process that answers few requests and of one that answers many: the
difference is that of the requests alone, and hardly varies, where time would.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.micro import Discard
from benchmarks.servers.corelet_app import make_app
from corelet import web

PLUGINS: Final = 10
FEW: Final = 200
MANY: Final = 1200
#: What a request may cost more, of what it costs without them.
LIMIT: Final = 0.01
#: Two targets: a plain one, and one with a parameter, a query and a field.
TARGETS: Final = ("/", "/users/42?verbose=yes")
#: An idle plugin: it has no part in any answer.
SOURCE: Final = """
from corelet import hookimpl
from corelet.abc import Instrument

@hookimpl
def corelet_add_hookspecs(manager): ...
@hookimpl
def corelet_add_commands(commands): ...
@hookimpl
def corelet_configure(app): ...
@hookimpl
def corelet_register_codings(codings): ...
@hookimpl
def corelet_register_form_readers(readers): ...
@hookimpl
def corelet_register_protocols(protocols, app): ...
@hookimpl
def corelet_wrap_handler(app, route): ...
@hookimpl
def corelet_prepare_response(app): ...
@hookimpl
def corelet_instrument(app): return Instrument()
@hookimpl
def corelet_lifespan(app): ...
@hookimpl
def corelet_report(app): return ["idle"]
"""


def install_idle(folder: Path, number: int) -> None:
    """Install an idle plugin: its module and its metadata."""
    name = f"idle_{number}"
    (folder / f"{name}.py").write_text(SOURCE)
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: idle-{number}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[corelet.plugins]\nidle-{number} = {name}\n")


async def answer(requests: int, plugins: int) -> None:
    """Answer requests of one connection, from their bytes to the bytes of the answer, without sockets."""
    app = make_app("plain")
    found = [record.name for record in app.plugins.records if record.name.startswith("idle-")]
    assert len(found) == plugins, f"{plugins} idle plugins were to be found, not {found}"
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    assert runner.server is not None
    connection, transport = runner.server(), Discard()
    connection.connection_made(transport)
    for number in range(requests):
        target = TARGETS[number % len(TARGETS)]
        transport.last = b""
        connection.data_received(f"GET {target} HTTP/1.1\r\nHost: localhost:8080\r\nX-Client: bench\r\n\r\n".encode())
        while not transport.last:  # noqa: ASYNC110 -- before Python 3.12 a handler starts in the loop's next turn
            await asyncio.sleep(0)
        assert transport.last.startswith(b"HTTP/1.1 200 OK"), transport.last
    connection.connection_lost(None)
    await runner.cleanup()


def count_instructions(requests: int, plugins: int, folder: Path) -> int:
    """Count the instructions of a process that answers some requests."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / 'callgrind.out'}"]
    program = [sys.executable, "-m", "benchmarks.idle_plugins", "--requests", str(requests), "--plugins", str(plugins)]
    path = os.pathsep.join([str(folder)] * bool(plugins) + [os.getcwd()])
    done = subprocess.run(
        [*command, *program],
        env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        raise SystemExit(f"valgrind ended with {done.returncode}:\n{done.stderr[-4000:]}")
    return int(found[1])


def measure(plugins: int, folder: Path) -> float:
    """Measure the instructions of one request with some idle plugins."""
    few, many = (count_instructions(requests, plugins, folder) for requests in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main() -> int:
    """Count, or answer requests to be counted; the exit status tells whether the limit holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle_plugins", description=__doc__)
    parser.add_argument("--requests", type=int, help="only answer so many: what is counted")
    parser.add_argument("--plugins", type=int, default=0, help="idle plugins that have to be found then (0)")
    arguments = parser.parse_args()
    if arguments.requests is not None:
        asyncio.run(answer(arguments.requests, arguments.plugins))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(PLUGINS):
            install_idle(folder, number)
        alone, together = measure(0, folder), measure(PLUGINS, folder)
    more = together / alone - 1
    print(f"instructions a request: {alone:,.0f} without, {together:,.0f} with {PLUGINS} idle plugins: {more:+.3%}")
    return 0 if more <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
