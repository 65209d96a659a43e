"""Check, by the interpreter of an environment, what is installed there: every name, every port, an answer, the command.

``installed.py --ready routing static --broken subapps --wire fast`` ends by 0 where exactly these plugins are found,
each public name does what it must, the ports of plugins that are not there say so, and a request is answered by that
wire. A broken plugin is one whose own requirement was uninstalled.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import corelet
from corelet import web, wire
from corelet.names import BLOCK_VARIABLE, PLUGIN_OF, show_name
from corelet.plugins import records

#: Has a body that only multipart reads, and takes a coded answer.
FORM: Final = (
    b"POST /world HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept-Encoding: gzip\r\nContent-Length: 0\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\n\r\n"
)


async def _read_router(request: web.Request) -> None:
    _ = web.Application().router


async def _add_subapp(request: web.Request) -> None:
    web.Application().add_subapp("/sub", web.Application())


async def _read_multipart(request: web.Request) -> None:
    await request.multipart()


async def _compress(request: web.Request) -> None:
    response = web.Response(text="x" * 5000)
    response.enable_compression()
    await response.prepare(request)


#: Port -> what touches it.
PORTS: Final[dict[str, Callable[[web.Request], Awaitable[None]]]] = {
    "app.router": _read_router,
    "app.add_subapp": _add_subapp,
    "request.multipart()": _read_multipart,
    "response.enable_compression()": _compress,
}


def say_missing(name: str) -> str:
    """Say what must be said of a name or port whose plugin is not installed."""
    what = f"{show_name(name)} comes with a {PLUGIN_OF[name]} plugin"
    return f"{what}: pip install corelet-{PLUGIN_OF[name]}"


def resolve(name: str) -> Any:
    """Touch a public name as a user would."""
    scope, _, plain = name.rpartition(".")
    return getattr(importlib.import_module(f"corelet.{scope}") if scope else corelet, plain)


def check_records(options: argparse.Namespace) -> None:
    """Compare what is found with what must be."""
    states = {record.name: record.state for record in records()}
    expected = dict.fromkeys(options.ready, "ready") | dict.fromkeys(options.broken, options.broken_state)
    assert states == expected, states
    command = Path(sys.executable).with_name("corelet")
    done = subprocess.run([command, "plugins", "--json"], capture_output=True, text=True, check=True)
    shown = {plugin["name"]: plugin["state"] for plugin in json.loads(done.stdout)["plugins"]}
    assert shown == expected, shown


def check_names(options: argparse.Namespace) -> None:
    """Touch every public name of every first-party plugin, installed or not."""
    exported = {name: record.name for record in records() for name in record.exports}
    promised = {name: plugin for name, plugin in PLUGIN_OF.items() if not is_port(name)}
    for name, plugin in {**promised, **exported}.items():
        if plugin in options.ready:
            assert resolve(name) is not None, name
            continue
        try:
            found = resolve(name)
        except (corelet.MissingPluginError, corelet.PluginLoadError) as error:
            check_words(name, error, options)
        else:
            raise AssertionError(f"{name} is {found!r}, and its plugin is not there")


def is_port(name: str) -> bool:
    """Tell a port of the kernel from a public name."""
    return name.startswith(("app.", "request.", "response."))


def check_words(name: str, error: Exception, options: argparse.Namespace) -> None:
    """Check what is said of a name that can't be had."""
    plugin = PLUGIN_OF[name]
    if plugin not in options.broken:
        assert type(error) is corelet.MissingPluginError, repr(error)
        assert str(error) == say_missing(name), error
        return
    what = f"{show_name(name)} comes with corelet-{plugin} {corelet.__version__}, which "
    if options.broken_state == "blocked":
        assert str(error).startswith(f"{what}is blocked: {BLOCK_VARIABLE}="), error
    else:
        assert str(error).startswith(f"{what}can't be imported: "), error
        assert f"which is not installed: pip install corelet-{options.without}" in str(error), error


def check_refusal(options: argparse.Namespace) -> None:
    """An application refuses to start without what it lost, says why, and what the way out is."""
    try:
        web.Application()
    except corelet.PluginLoadError as error:
        said = str(error)
    else:
        raise AssertionError("an application started without its plugins")
    for plugin in options.broken:
        assert f"\n  {plugin} (corelet-{plugin} {corelet.__version__}): " in said, said
    assert f"which is not installed: pip install corelet-{options.without}" in said, said
    assert f"{BLOCK_VARIABLE}={','.join(sorted(options.broken))}" in said, said


async def check_ports(options: argparse.Namespace) -> None:
    """Serve a bare handler that touches every port without a plugin; the answer says what each one did."""
    missing = [port for port in PORTS if PLUGIN_OF[port] not in options.ready]

    async def touch(request: web.Request) -> web.Response:
        said = {}
        for port in missing:
            try:
                await PORTS[port](request)
            except corelet.MissingPluginError as error:
                said[port] = str(error)
        return web.json_response(said)

    said = json.loads(await ask(web.Application(handler=touch)))
    blocked = {port for port in missing if PLUGIN_OF[port] in options.broken}
    assert said.keys() == set(missing), said
    assert all(said[port] == say_missing(port) for port in said.keys() - blocked), said
    assert all("which is blocked" in said[port] for port in blocked), said


async def check_answer(options: argparse.Namespace) -> None:
    """Have a request answered, by a router where there is one."""

    async def hello(request: web.Request) -> web.Response:
        name = request.match_info["name"] if "routing" in options.ready else request.path[1:]
        return web.Response(text=f"Hello, {name}")

    app = web.Application() if "routing" in options.ready else web.Application(handler=hello)
    if "routing" in options.ready:
        app.router.add_post("/{name}", hello)
    assert await ask(app) == "Hello, world"
    assert options.wire == wire.IMPLEMENTATION, wire.IMPLEMENTATION
    if "websocket" in options.ready:
        frame = importlib.import_module("corelet_websocket.frame")
        assert options.wire == frame.IMPLEMENTATION, frame.IMPLEMENTATION


async def ask(app: web.Application) -> str:
    """Send the form to a served application, and give the answer's body."""
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    writer.write(FORM)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    await runner.cleanup()
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    return body.decode()


def check_star_imports() -> None:
    """``from corelet import *`` takes what is there, and asks for nothing else."""
    for module in ("corelet", "corelet.web", "corelet.test_utils"):
        exec(f"from {module} import *", {})


def main() -> None:
    """Check all of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready", nargs="*", default=[], help="plugins that must work")
    parser.add_argument("--broken", nargs="*", default=[], help="plugins that are there and can't work")
    parser.add_argument("--without", default="", help="what the broken ones lack")
    parser.add_argument("--wire", required=True, help="the implementation that must serve: fast or pure")
    options = parser.parse_args()
    options.broken_state = "blocked" if os.environ.get(BLOCK_VARIABLE) else "failed"
    assert Path(corelet.__file__).is_relative_to(sys.prefix), corelet.__file__
    check_records(options)
    check_names(options)
    if options.broken_state == "failed" and options.broken:
        check_refusal(options)
        return
    check_star_imports()
    asyncio.run(check_ports(options))
    asyncio.run(check_answer(options))


main()
