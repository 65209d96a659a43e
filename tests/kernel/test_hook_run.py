"""Hooks assemble an application and never serve: asked in one order, and not once while requests are answered."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from corelet import hookimpl, web
from corelet.abc import Instrument

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.conftest import Connect, Serve


class Everything:
    """A plugin with a part in all that an application without a router is made of; it keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    @hookimpl
    def corelet_configure(self, app: web.Application) -> None:
        self.asked.append("configure")

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
        plugin = self

        class Watch(Instrument):
            def request_started(self, request: Any) -> None:
                plugin.asked.append("request_started")

        self.asked.append("instrument")
        return Watch()


async def answer(request: web.Request) -> web.Response:
    return web.Response(text="hello")


async def test_no_hook_is_called_while_a_thousand_requests_are_answered(serve: Serve, connect: Connect) -> None:
    plugin = Everything()
    app = web.Application(handler=answer, plugins=[plugin])
    calls: list[str] = []
    client = await connect(await serve(app))
    assert (await client.get()).field("X-Plugin") == "here"
    stop = app.plugins.pluggy.add_hookcall_monitoring(
        lambda name, implementations, arguments: calls.append(name), lambda *outcome: None
    )
    app.plugins.call_all("corelet_report", app=app)
    assert calls == ["corelet_report"]
    for _ in range(1000):
        assert (await client.get()).text == "hello"
    stop()
    assert calls == ["corelet_report"]
    assert plugin.asked.count("wrapped") == plugin.asked.count("prepare") == 1001


async def test_hooks_are_asked_in_one_order(serve: Serve, connect: Connect) -> None:
    plugin = Everything()
    served = await serve(web.Application(handler=answer, plugins=[plugin]))
    assert plugin.asked[:3] == ["configure", "lifespan", "enter lifespan"]
    frozen = plugin.asked[3:]
    assert sorted(frozen) == [
        "instrument", "make_access_logger", "make_error_renderer", "prepare_response", "wrap_handler None",
    ]  # fmt: skip
    del plugin.asked[:]
    client = await connect(served)
    await client.get()
    assert plugin.asked == ["request_started", "wrapped", "prepare"]
    await client.close()
    await served.stop()
    assert plugin.asked[3:] == ["leave lifespan"]
