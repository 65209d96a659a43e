"""Type checkers see the names of installed plugins through the façade, and what is wrong with their use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.distributions.conftest import Environment

PROGRAM: Final = """\
from corelet import Limits, hookimpl, web
from corelet.abc import AbstractRouter, NegotiatedConnection

routes = web.RouteTableDef()

@routes.get("/{name}")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text=request.match_info["name"])

@hookimpl
def corelet_make_router(app: web.Application) -> web.UrlDispatcher:
    return web.UrlDispatcher()

app = web.Application(handler_args={"limits": Limits()})
app.add_routes([web.get("/", hello)])
reveal_type(routes)
reveal_type(web.get("/", hello))
reveal_type(web.UrlDispatcher().frozen)
reveal_type(corelet_make_router)
web.Response(status="200")
web.RouteTable()
web.get(1, hello)
"""
#: Line -> what is said of it.
EXPECTED: Final = {
    16: 'Revealed type is "corelet_routing.definition.RouteTableDef"',
    17: 'Revealed type is "corelet_routing.definition.RouteDef"',
    18: 'Revealed type is "bool"',
    19: 'Revealed type is "def (app: corelet.app.Application) -> corelet_routing.dispatcher.UrlDispatcher"',
    20: 'Argument "status" to "Response" has incompatible type "str"; expected "int"  [arg-type]',
    21: 'Module has no attribute "RouteTable"  [attr-defined]',
    22: 'Argument 1 to "get" has incompatible type "int"; expected "str"  [arg-type]',
}


@pytest.fixture(scope="module")
def typed(environment: Environment) -> Environment:
    """Give the environment with routing in it: type checkers look into no folder of the path."""
    folder = environment.folder / "env" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (folder / "routing.pth").write_text(f"{environment.install('corelet-routing')}\n")
    yield environment
    (folder / "routing.pth").unlink()


def test_mypy_sees_the_names_of_the_kernel_and_of_plugins(typed: Environment, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes", "--no-incremental",
            "--hide-error-context", "--config-file=", f"--python-executable={typed.python}", "program.py",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    said = {}
    for line in done.stdout.splitlines():
        _, number, _, message = line.split(":", 3)
        said[int(number)] = message.strip().replace("builtins.", "")
    assert said == EXPECTED
