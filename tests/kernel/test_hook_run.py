"""Hooks assemble an application and never serve: asked in one order, and not once while requests are answered."""

from __future__ import annotations

import argparse
import re
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from corelet import cli, hookimpl, hookspecs, web
from corelet.abc import AbstractMatchInfo, AbstractRouter, ContentCoding, FormReader, Instrument
from corelet.plugins import PluginManager, make_manager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from tests.conftest import Connect, Serve

ROOT: Final = Path(__file__).resolve().parents[2]
HOOKS: Final = {name for name in vars(hookspecs) if name.startswith("corelet_")}


class Match(AbstractMatchInfo):
    """A match of the one route."""

    expect_handler = http_exception = None
    apps: tuple[Any, ...] = ()
    current_app: Any = None
    route = "the route"

    def __init__(self, app: web.Application) -> None:
        self.apps = (app,)
        self.current_app = app

    @property
    def handler(self) -> web.Handler:
        return answer

    def get_info(self) -> dict[str, Any]:
        return {}

    def add_app(self, app: Any) -> None:
        raise NotImplementedError


class OneRoute(AbstractRouter):
    """A router with one route, which answers everything."""

    def post_init(self, app: web.Application) -> None:
        self.app = app

    def routes(self) -> Iterable[str]:
        return (Match.route,)

    async def resolve(self, request: Any) -> Match:
        return Match(self.app)


async def answer(request: web.Request) -> web.Response:
    response = web.Response(text=str(dict(await request.post())))
    response.enable_compression()
    return response


class Reverse(ContentCoding):
    """A content coding that turns a body around."""

    name = "x-reverse"

    def make_encoder(self, level: int | None = None) -> Any:
        return SimpleNamespace(encode=lambda data: data[::-1], flush=lambda: b"", finish=lambda: b"")

    def make_decoder(self, max_bytes: int) -> Any:
        raise NotImplementedError


class Lines(FormReader):
    """Reads forms with a line for each field."""

    async def read(self, request: Any) -> list[tuple[str, str]]:
        return [("line", line) for line in (await request.text()).splitlines()]


class Everything:
    """A plugin with a part in all that there is; it keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def corelet_add_hookspecs(self, manager: PluginManager) -> None:
        self.asked.append("add_hookspecs")

    @hookimpl
    def corelet_add_commands(self, commands: cli.CommandRegistry) -> None:
        def run(options: argparse.Namespace) -> None:
            self.asked.append(f"run {options.word}")

        self.asked.append("add_commands")
        parser = commands.add_parser("say", help="say a word")
        parser.add_argument("word")
        parser.set_defaults(run=run)

    @hookimpl
    def corelet_configure(self, app: web.Application) -> None:
        self.asked.append("configure")

    @hookimpl
    def corelet_make_router(self, app: web.Application) -> OneRoute:
        self.asked.append("make_router")
        return OneRoute()

    @hookimpl
    def corelet_mount(self, app: web.Application, where: str, subapp: web.Application) -> str:
        self.asked.append(f"mount {where}")
        return f"mounted at {where}"

    @hookimpl
    def corelet_register_codings(self, codings: Any) -> None:
        self.asked.append("register_codings")
        codings.add(Reverse())

    @hookimpl
    def corelet_register_form_readers(self, readers: Any) -> None:
        self.asked.append("register_form_readers")
        readers.add("text/lines", Lines())

    @hookimpl
    def corelet_register_protocols(self, protocols: Any, app: web.Application) -> None:
        self.asked.append("register_protocols")

    @hookimpl
    def corelet_lifespan(self, app: web.Application) -> Any:
        @asynccontextmanager
        async def live() -> AsyncIterator[None]:
            self.asked.append("enter lifespan")
            yield
            self.asked.append("leave lifespan")

        self.asked.append("lifespan")
        return live()

    @hookimpl
    def corelet_prepare_response(self, app: web.Application) -> Callable[..., Awaitable[None]]:
        async def prepare(request: web.Request, response: web.StreamResponse) -> None:
            self.asked.append("prepare")
            response.headers["X-Plugin"] = "here"

        self.asked.append("prepare_response")
        return prepare

    @hookimpl
    def corelet_wrap_handler(self, app: web.Application, route: Any) -> Callable[[web.Handler], web.Handler]:
        def wrap(handler: web.Handler) -> web.Handler:
            async def wrapped(request: web.Request) -> web.StreamResponse:
                self.asked.append("wrapped")
                response: web.StreamResponse = await handler(request)
                return response

            return wrapped

        self.asked.append(f"wrap_handler {route}")
        return wrap

    @hookimpl
    def corelet_make_access_logger(self, app: web.Application) -> None:
        self.asked.append("make_access_logger")

    @hookimpl
    def corelet_make_error_renderer(self, app: web.Application) -> None:
        self.asked.append("make_error_renderer")

    @hookimpl
    def corelet_instrument(self, app: web.Application) -> Instrument:
        asked = self.asked

        class Watch(Instrument):
            def connection_made(self, connection: Any) -> None:
                asked.append("connection_made")

            def connection_lost(self, connection: Any, exc: BaseException | None) -> None:
                asked.append("connection_lost")

            def request_started(self, request: Any) -> None:
                asked.append("request_started")

            def request_finished(self, request: Any, response: Any) -> None:
                asked.append("request_finished")

        self.asked.append("instrument")
        return Watch()

    @hookimpl
    def corelet_report(self, app: web.Application) -> list[str]:
        self.asked.append("report")
        return ["all is well"]


FORM: Final = (
    b"POST / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: x-reverse\r\n"
    b"Content-Type: text/lines\r\nContent-Length: 3\r\n\r\none"
)


async def test_every_hook_is_asked_in_one_order_from_the_command_to_the_clean_up(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = Everything()
    monkeypatch.setattr(cli, "survey", lambda: make_manager([plugin]))
    assert cli.main(["say", "hello"]) == 0

    app = web.Application(plugins=[plugin])
    assert app.add_subapp("/admin", web.Application(handler=answer, plugins=[])) == "mounted at /admin"
    served = await serve(app)
    client = await connect(served)
    for _ in range(2):
        await client.send(FORM)
        response = await client.read_answer()
        assert response.body == b"}'eno' :'enil'{"
    await client.close()
    await served.stop()
    assert dict(app.plugins.report(app)) == {"Everything": ["all is well"]}

    put_together = [
        "add_hookspecs", "add_commands", "run hello",
        "add_hookspecs", "configure", "mount /admin",
        "lifespan", "enter lifespan", "make_router",
    ]  # fmt: skip
    # All asked in one moment; none can see another.
    frozen = [
        "instrument", "make_access_logger", "make_error_renderer", "prepare_response", "register_protocols",
        "wrap_handler None", "wrap_handler the route",
    ]  # fmt: skip
    served_and_ended = [
        "connection_made",
        "request_started", "wrapped", "register_form_readers", "prepare", "register_codings", "request_finished",
        "request_started", "wrapped", "prepare", "request_finished",
        "connection_lost", "leave lifespan", "report",
    ]  # fmt: skip
    start, end = len(put_together), len(put_together) + len(frozen)
    assert plugin.asked[:start] == put_together
    assert sorted(plugin.asked[start:end]) == frozen
    assert plugin.asked[end:] == served_and_ended


def test_that_run_has_every_hook_of_the_kernel() -> None:
    assert {name for name in vars(Everything) if name.startswith("corelet_")} == HOOKS


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("plugins/*/corelet_*/hookspecs.py")), ids=lambda path: path.parent.name
)
def test_every_hook_of_a_plugin_is_implemented_by_a_test_of_its_own(path: Path) -> None:
    hooks = re.findall(r"^def (corelet_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    tests = ROOT / "tests" / path.parents[1].name
    implemented = {
        name for each in tests.glob("test_*.py") for name in re.findall(r"def (corelet_\w+)", each.read_text("utf-8"))
    }
    assert hooks
    assert set(hooks) <= implemented


async def test_no_hook_is_called_while_a_thousand_requests_are_answered(serve: Serve, connect: Connect) -> None:
    plugin = Everything()
    app = web.Application(plugins=[plugin])
    calls: list[str] = []
    client = await connect(await serve(app))
    await client.send(FORM)
    assert (await client.read_answer()).field("X-Plugin") == "here"
    stop = app.plugins.pluggy.add_hookcall_monitoring(
        lambda name, implementations, arguments: calls.append(name), lambda *outcome: None
    )
    app.plugins.call_all("corelet_configure", app=app)
    assert calls == ["corelet_configure"]
    del plugin.asked[:]
    for _ in range(1000):
        await client.send(FORM)
        assert (await client.read_answer()).field("X-Plugin") == "here"
    stop()
    assert calls == ["corelet_configure"]
    assert plugin.asked == ["request_started", "wrapped", "prepare", "request_finished"] * 1000
