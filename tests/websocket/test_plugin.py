"""How the plugin joins an application: names, the hook for extensions, the report, applications without it."""

from __future__ import annotations

from typing import Any

import pytest

import corelet
from corelet import hookimpl, web
from corelet.errors import PluginConflictError
from corelet_websocket import (
    PermessageDeflate,
    WebSocketError,
    WebSocketExtension,
    WebSocketExtensionFactory,
    WSMessage,
    WSMsgType,
    plugin,
)
from tests.conftest import Serve
from tests.websocket.conftest import Open, echo
from tests.websocket.opener import open_websocket


class Reverse(WebSocketExtension):
    """Sends every message backwards."""

    rsv = 0x20

    def encode(self, data: bytes, level: int | None) -> bytes | None:
        return data[::-1]

    def decode(self, data: bytes, is_last: bool, max_bytes: int) -> bytes:
        assert is_last
        if b"!" in data:
            raise WebSocketError(1008, "no shouting")
        return data[::-1]


class ReverseFactory(WebSocketExtensionFactory):
    name = "x-reverse"

    def accept(self, parameters: Any) -> Any:
        return None if parameters else ([("by", "byte")], Reverse())

    def offer(self) -> Any:
        return ()

    def take(self, parameters: Any) -> WebSocketExtension:
        if list(parameters) != [("by", "byte")]:
            raise ValueError(f"x-reverse: {parameters}")
        return Reverse()


class Reversing:
    """A plugin with an extension."""

    @hookimpl
    def corelet_websocket_extensions(self, registry: Any) -> None:
        registry.add(ReverseFactory())


async def handle(request: Any) -> web.StreamResponse:
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    await echo(ws)
    return ws


def test_names_arrive_through_corelet() -> None:
    assert web.WSMsgType is corelet.WSMsgType is WSMsgType
    assert corelet.WSMessage is WSMessage
    assert WSMsgType.TEXT is WSMsgType.text
    assert [int(kind) for kind in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)] == [256, 257, 258]
    assert WSMessage(WSMsgType.TEXT, "[1]", "").json() == [1]
    error = corelet.WebSocketError(1002, "words")
    assert (error.code, str(error), error.args) == (1002, "words", (1002, "words"))
    assert web.WebSocketReady(True, "chat") == (True, "chat")
    assert not web.WebSocketReady(False, None)


async def test_a_plugin_brings_an_extension(serve: Serve) -> None:
    served = await serve(web.Application(handler=handle, plugins=[plugin, Reversing()]))
    for extensions in ([ReverseFactory()], [PermessageDeflate(), ReverseFactory()]):
        ws = await open_websocket(served.port, extensions=extensions)
        for text in ("abc", "", "x" * 5000):
            await ws.send_str(text)
            assert await ws.receive_str(timeout=5) == text
        await ws.close()
    ws = await open_websocket(served.port, extensions=[ReverseFactory()])
    await ws.send_str("abc!")
    assert (await ws.receive(5))[:2] == (WSMsgType.CLOSE, 1008)
    await ws.close()


def test_two_extensions_of_one_name_are_a_conflict() -> None:
    registry = corelet.WebSocketExtensionRegistry([ReverseFactory()])
    with pytest.raises(PluginConflictError, match="'x-reverse' is registered twice"):
        registry.add(ReverseFactory())
    assert [factory.name for factory in registry] == ["x-reverse"]
    assert len(registry) == 1


async def test_a_conflict_stops_the_start(serve: Serve) -> None:
    app = web.Application(handler=handle, plugins=[plugin, Reversing(), Reversing()])
    with pytest.raises(PluginConflictError, match="registered twice"):
        await serve(app)


async def test_an_application_without_the_plugin_has_websockets_all_the_same(serve: Serve, opened: Open) -> None:
    ws = await opened(await serve(web.Application(handler=handle, plugins=[])), compress=15)
    await ws.send_str("a")
    assert await ws.receive_str(timeout=5) == "a"
    assert ws.compress == 15


async def test_the_operator_sees_what_is_open(serve: Serve, opened: Open) -> None:
    app = web.Application(handler=handle, plugins=[plugin, Reversing()])
    served = await serve(app)

    def report() -> list[str]:
        return [line for lines in app.plugins.call_all("corelet_report", app=app) for line in lines]

    assert report() == ["open WebSockets: 0", "extensions: permessage-deflate, x-reverse"]
    ws = await opened(served)
    assert report()[0] == "open WebSockets: 1"
    await ws.close()
    assert report()[0] == "open WebSockets: 0"


def test_an_applications_mapping_is_its_authors() -> None:
    assert dict(web.Application(plugins=[plugin])) == {}


async def test_no_hook_is_called_for_a_websocket(serve: Serve, opened: Open) -> None:
    app = web.Application(handler=handle, plugins=[plugin, Reversing()])
    served = await serve(app)
    called: list[str] = []
    undo = app.plugins.pluggy.add_hookcall_monitoring(
        lambda name, implementations, arguments: called.append(name), lambda *arguments: None
    )
    ws = await opened(served)
    await ws.send_str("a")
    assert await ws.receive_str(timeout=5) == "a"
    await ws.close()
    undo()
    assert called == []
