"""The kernel alone, and with routing only, in an environment that has nothing else of corelet's."""

from __future__ import annotations

from typing import Final

import pytest

from corelet.names import KERNEL_NAMES, PLUGIN_OF
from tests.distributions.conftest import Environment, Interpreter, With

#: Port -> what touches it, in an application's handler or outside.
PORTS: Final = {
    "app.router": "web.Application().router",
    "app.add_routes": "web.Application().add_routes([])",
    "app.add_subapp": "web.Application().add_subapp('/a', web.Application())",
    "app.add_domain": "web.Application().add_domain('a.example', web.Application())",
    "app.router.add_static": "web.Application().router.add_static('/static', '.')",
    "request.multipart()": "await request.multipart()",
    "request.post()": "await request.post()",
    "response.enable_compression()": "web.Response(text='x').enable_compression()",
}
FORM: Final = (
    "b'POST / HTTP/1.1\\r\\nHost: a\\r\\nAccept-Encoding: gzip\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n"
    "Content-Type: multipart/form-data; boundary=x\\r\\n\\r\\n'"
)


@pytest.fixture(scope="module")
def alone(environment: Environment) -> Interpreter:
    """Give an interpreter with the kernel alone."""
    return With(environment)()


@pytest.fixture(scope="module")
def routed(environment: Environment) -> Interpreter:
    """Give an interpreter with the kernel and routing."""
    return With(environment)("corelet-routing")


def test_the_kernel_alone_serves_a_bare_handler_and_an_application_of_one(alone: Interpreter) -> None:
    assert alone.run("ask(hello); ask(web.Application(handler=hello))") == "200 OK | hello\n200 OK | hello"


def test_the_kernel_alone_imports_no_plugin_machinery_for_a_bare_handler(alone: Interpreter) -> None:
    source = "ask(hello)\nimport sys\nprint([name for name in sys.modules if name.startswith('corelet_')])"
    assert alone.run(source).splitlines()[-1] == "[]"


def test_the_kernel_alone_lists_its_own_names(alone: Interpreter) -> None:
    assert alone.run("print(*dir(web))").split() == sorted(KERNEL_NAMES["web"])


def test_names_that_are_installed_are_listed_too(routed: Interpreter) -> None:
    expected = {*KERNEL_NAMES["web"], *(name[4:] for name, plugin in PLUGIN_OF.items() if plugin == "routing")}
    listed = set(routed.run("print(*dir(web))").split())
    assert listed == {name for name in expected if "." not in name and name not in {"router", "add_routes"}}


def test_every_port_is_tested_here() -> None:
    assert {name for name in PLUGIN_OF if name.startswith(("app.", "request.", "response."))} == PORTS.keys()


@pytest.mark.parametrize("port", PORTS)
def test_a_port_that_no_plugin_fills_says_what_to_type(alone: Interpreter, port: str) -> None:
    source = (
        "import traceback\n"
        "async def touch(request):\n"
        f"    try: response = {PORTS[port]}\n"
        "    except Exception as error: return web.Response(text=repr(error))\n"
        "    return response\n"
        f"ask(web.Application(handler=touch), {FORM})"
    )
    if port == "response.enable_compression()":
        source = source.replace(
            "response = web",
            "response = web.Response(text='x'); response.enable_compression(); await response.prepare(request); web",
        )
    # Without a router there is none that could lack a method.
    shown = "app.router" if port.startswith("app.r") or port == "app.add_routes" else port
    plugin = PLUGIN_OF[shown]
    assert alone.run(source) == (
        f"200 OK | MissingPluginError('{shown} comes with a {plugin} plugin: pip install corelet-{plugin}')"
    )


def test_with_routing_only_routes_are_served_and_other_ports_stay_missing(routed: Interpreter) -> None:
    source = (
        "routes = web.RouteTableDef()\n"
        "@routes.get('/{name}')\n"
        "async def greet(request): return web.Response(text=request.match_info['name'])\n"
        "app = web.Application(); app.add_routes(routes)\n"
        "ask(app, b'GET /world HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n')\n"
    )
    assert routed.run(source) == "200 OK | world"
    assert routed.fail("web.Application().add_subapp('/a', web.Application())") == (
        "MissingPluginError: app.add_subapp comes with a subapps plugin: pip install corelet-subapps"
    )
    assert routed.fail("web.Application().router.add_static('/static', '.')") == (
        "MissingPluginError: web.StaticResource comes with a static plugin: pip install corelet-static"
    )


def test_the_installed_command_knows_what_is_there(alone: Interpreter, routed: Interpreter) -> None:
    assert alone.command("plugins").stdout == (
        "no plugin is installed: pip install 'corelet[routing]' brings a router\n"
    )
    assert alone.command("new-plugin", "hello").stderr == (
        "corelet: corelet new-plugin comes with a testing plugin: pip install corelet-testing\n"
    )
    assert routed.command("plugins").stdout.startswith(
        "NAME     STATE    DISTRIBUTION\nrouting  ready    corelet-routing 0.1.0\n"
    )
