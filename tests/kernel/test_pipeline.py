"""The pipeline: what plugins hand over is asked for once, put in order, and called without asking again."""

from __future__ import annotations

import asyncio
import logging
from typing import Any
from unittest.mock import Mock

import pytest

from corelet.abc import (
    AbstractAccessLogger,
    AbstractMatchInfo,
    AbstractRouter,
    ContentCoding,
    FormReader,
    Instrument,
)
from corelet.app import Application
from corelet.errors import PluginConflictError, RemoteProtocolError
from corelet.exceptions import HTTPForbidden, HTTPNotFound
from corelet.hookspecs import hookimpl
from corelet.pipeline import CodingRegistry, FormReaderRegistry, Slots
from corelet.response import Response, StreamResponse
from corelet.runner import AppRunner
from tests.conftest import Connect, Serve


async def hello(request: Any) -> Response:
    return Response(text="hello")


def make_plugin(**hooks: Any) -> Any:
    """Make a plugin of functions, by the hooks' names without ``corelet_``."""
    plugin = type("Plugin", (), {})()
    for name, function in hooks.items():
        setattr(plugin, f"corelet_{name}", hookimpl(function))
    return plugin


def make_middleware(name: str, lines: list[str]) -> Any:
    async def note(request: Any, handler: Any) -> Any:
        lines.append(f"+{name}")
        try:
            return await handler(request)
        finally:
            lines.append(f"-{name}")

    return note


# Middlewares.


@pytest.mark.parametrize("routed", [False, True])
async def test_middlewares_stand_around_each_other_outermost_first(
    serve: Serve, connect: Connect, routed: bool
) -> None:
    lines: list[str] = []

    async def handler(request: Any) -> Response:
        lines.append("handler")
        return Response()

    middlewares = [make_middleware("outer", lines), make_middleware("inner", lines)]
    if routed:
        app = Application(plugins=["routing"], middlewares=middlewares)
        app.router.add_get("/", handler)
    else:
        app = Application(plugins=[], handler=handler, middlewares=middlewares)
    client = await connect(await serve(app))
    for _ in range(2):
        assert (await client.get()).status == 200
        assert lines == ["+outer", "+inner", "handler", "-inner", "-outer"]
        lines.clear()


async def test_middlewares_see_paths_and_methods_that_nobody_serves(serve: Serve, connect: Connect) -> None:
    seen: list[int] = []

    async def note(request: Any, handler: Any) -> Any:
        try:
            return await handler(request)
        except HTTPNotFound as exc:
            seen.append(exc.status)
            return Response(status=404, text="page not found")
        finally:
            seen.append(request.match_info.http_exception.status)

    app = Application(plugins=["routing"], middlewares=[note])
    app.router.add_get("/", hello)
    client = await connect(await serve(app))
    assert (await client.get("/nothing")).text == "page not found"
    answer = await client.get(method="PUT")
    assert (answer.status, answer.field("allow")) == (405, "GET,HEAD")
    assert seen == [404, 404, 405]


async def test_the_parameters_of_a_middleware_may_have_any_names(serve: Serve, connect: Connect) -> None:
    async def strange(anfrage: Any, weiter: Any) -> Any:
        response = await weiter(anfrage)
        response.headers["X-Strange"] = "yes"
        return response

    async def positional(request: Any, _next: Any, /) -> Any:
        return await _next(request)

    app = Application(handler=hello, plugins=[], middlewares=[strange, positional])
    client = await connect(await serve(app))
    assert (await client.get()).field("x-strange") == "yes"


async def test_a_middleware_may_be_an_object_or_a_method(serve: Serve, connect: Connect) -> None:
    class Counter:
        count = 0

        async def __call__(self, request: Any, handler: Any) -> Any:
            self.count += 1
            return await handler(request)

        async def method(self, request: Any, handler: Any) -> Any:
            self.count += 10
            return await handler(request)

    counter = Counter()
    app = Application(handler=hello, plugins=[], middlewares=[counter, counter.method])
    client = await connect(await serve(app))
    assert (await client.get()).text == "hello"
    assert counter.count == 11


async def test_a_middleware_may_answer_in_place_of_the_handler(serve: Serve, connect: Connect) -> None:
    async def refuse(request: Any, handler: Any) -> Any:
        if request.path == "/returned":
            return Response(status=403)
        if request.path == "/raised":
            raise HTTPForbidden
        return await handler(request)

    client = await connect(await serve(Application(handler=hello, plugins=[], middlewares=[refuse])))
    assert [(await client.get(path)).status for path in ("/returned", "/raised", "/")] == [403, 403, 200]


async def test_a_middleware_may_hand_on_another_request(serve: Serve, connect: Connect) -> None:
    async def rewrite(request: Any, handler: Any) -> Any:
        return await handler(request.clone(rel_url="/rewritten?x=1"))

    async def show(request: Any) -> Response:
        return Response(text=str(request.rel_url))

    client = await connect(await serve(Application(handler=show, plugins=[], middlewares=[rewrite])))
    assert (await client.get("/given")).text == "/rewritten?x=1"


# Signals and hooks before a response.


async def test_hooks_run_before_the_signal_and_before_every_head(serve: Serve, connect: Connect) -> None:
    lines: list[str] = []

    def make_hook(name: str) -> Any:
        async def hook(request: Any, response: Any) -> None:
            lines.append(name)
            response.headers.add("X-Hook", name)

        return hook

    async def receive(request: Any, response: Any) -> None:
        lines.append("signal")
        assert not response.prepared

    async def handler(request: Any) -> StreamResponse:
        if request.path == "/raised":
            raise HTTPForbidden
        if request.path != "/stream":
            return Response(text="x")
        response = StreamResponse()
        await response.prepare(request)
        lines.append("prepared")
        return response

    plugins = [make_plugin(prepare_response=lambda app: make_hook("one"))]
    plugins.append(make_plugin(prepare_response=lambda app: make_hook("two")))
    app = Application(handler=handler, plugins=plugins)
    app.on_response_prepare.append(receive)
    client = await connect(await serve(app))
    for path in ("/", "/raised"):
        answer = await client.get(path)
        assert [value for name, value in answer.fields if name == "x-hook"] == ["one", "two"]
        assert lines == ["one", "two", "signal"]
        lines.clear()
    await client.get("/stream")
    assert lines == ["one", "two", "signal", "prepared"]


async def test_a_hook_that_fails_before_a_head_is_a_500(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def hook(request: Any, response: Any) -> None:
        raise LookupError("in the hook")

    app = Application(handler=hello, plugins=[make_plugin(prepare_response=lambda app: hook)])
    client = await connect(await serve(app))
    assert [(await client.get()).status for _ in range(2)] == [500, 500]
    assert expect_error_log[0].exc_info[0] is LookupError


async def test_a_signal_may_refuse_a_response_by_an_answer_of_its_own(serve: Serve, connect: Connect) -> None:
    async def refuse(request: Any, response: Any) -> None:
        raise HTTPForbidden

    app = Application(handler=hello, plugins=[])
    app.on_response_prepare.append(refuse)
    client = await connect(await serve(app))
    assert [(await client.get()).status for _ in range(2)] == [403, 403]


async def test_an_answer_that_a_signal_raises_again_and_again_is_a_500(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    always_the_same = HTTPForbidden()

    async def refuse(request: Any, response: Any) -> None:
        raise always_the_same

    app = Application(handler=hello, plugins=[])
    app.on_response_prepare.append(refuse)
    client = await connect(await serve(app))
    assert [(await client.get()).status for _ in range(3)] == [403, 500, 500]
    assert "used once" in str(expect_error_log[0].exc_info[1])


async def test_a_long_rendering_of_what_failed_before_a_head_gives_way_to_a_short_one(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def fail(request: Any, response: Any) -> None:
        raise LookupError("in the signal")

    def render(error: BaseException, request: Any) -> Response:
        return Response(status=500, body=b"x" * 200_000)

    app = Application(handler=hello, plugins=[make_plugin(make_error_renderer=lambda app: render)])
    app.on_response_prepare.append(fail)
    client = await connect(await serve(app))
    for _ in range(2):
        answer = await client.get()
        assert (answer.status, answer.text) == (500, "500: Internal Server Error")


async def test_nothing_runs_before_a_head_where_nothing_was_registered(serve: Serve) -> None:
    app = Application(handler=hello, plugins=[])
    await app.startup()
    assert app.pipeline.prepare_response is None
    await app.cleanup()


# Routers of other makers, and applications within applications.


class Router(AbstractRouter):
    """Finds what a test tells it, by path; some of it only after a wait."""

    def __init__(self, matches: dict[str, Any]) -> None:
        super().__init__()
        self.matches = matches

    async def resolve(self, request: Any) -> Any:
        await asyncio.sleep(0)
        return Match(*self.matches[request.path])


class Match(AbstractMatchInfo):
    """A match of one route."""

    apps: tuple[Any, ...] = ()
    route: Any = None
    handler: Any = None
    current_app: Any = None
    expect_handler = None
    http_exception = None

    def __init__(self, route: Any, handler: Any, *apps: Any) -> None:
        self.route = route
        self.handler = handler
        self.apps = apps
        self.current_app = apps[-1]

    def get_info(self) -> dict[str, Any]:
        return {}

    def add_app(self, app: Any) -> None:
        self.apps = (app, *self.apps)


async def test_middlewares_of_each_application_on_the_way_know_theirs(serve: Serve, connect: Connect) -> None:
    names: list[str] = []

    async def note(request: Any, handler: Any) -> Any:
        names.append(request.app["name"])
        try:
            return await handler(request)
        finally:
            names.append(request.app["name"])

    async def show(request: Any) -> Response:
        names.append(request.app["name"])
        return Response(text=request.config_dict["name"] + request.config_dict["only outer"])

    inner = Application(handler=hello, plugins=[], middlewares=[note])
    matches: dict[str, Any] = {}
    outer = Application(router=Router(matches), plugins=[], middlewares=[note])
    matches["/inner"] = "a route", show, outer, inner
    matches["/outer"] = "a route", show, outer
    inner["name"], outer["name"], outer["only outer"] = "inner", "outer", "!"
    client = await connect(await serve(outer))
    for _ in range(2):
        assert (await client.get("/inner")).text == "inner!"
        assert names == ["outer", "inner", "inner", "inner", "outer"]
        names.clear()
        assert (await client.get("/outer")).text == "outer!"
        assert names == ["outer", "outer", "outer"]
        names.clear()


async def test_a_route_that_a_router_finds_later_is_wrapped_once(serve: Serve, connect: Connect) -> None:
    asked: list[Any] = []
    matches: dict[str, Any] = {}
    plugin = make_plugin(wrap_handler=lambda app, route: asked.append(route))
    app = Application(router=Router(matches), plugins=[plugin])
    matches["/late"] = "late route", hello, app
    client = await connect(await serve(app))
    assert asked == [None]
    for _ in range(3):
        assert (await client.get("/late")).text == "hello"
    assert asked == [None, "late route"]


# Handlers wrapped by plugins.


async def test_plugins_wrap_each_route_once_and_the_error_route(serve: Serve, connect: Connect) -> None:
    asked: list[Any] = []
    lines: list[str] = []

    def make_wrapping(name: str) -> Any:
        def wrap_handler(app: Any, route: Any) -> Any:
            asked.append((name, None if route is None else route.method))

            def wrap(handler: Any) -> Any:
                async def wrapped(request: Any) -> Any:
                    lines.append(name)
                    return await handler(request)

                return wrapped

            return wrap

        return wrap_handler

    wrapping = [make_plugin(wrap_handler=make_wrapping(name)) for name in ("outer", "in")]
    app = Application(plugins=["routing", *wrapping], middlewares=[make_middleware("middleware", lines)])
    app.router.add_post("/post", hello)
    app.router.add_put("/put", hello)
    client = await connect(await serve(app))
    expected = [(name, method) for method in ("POST", "PUT", None) for name in ("outer", "in")]
    assert asked == expected
    for method, path, status in (
        ("POST", "/post", 200),
        ("PUT", "/put", 200),
        ("PUT", "/post", 405),
        ("GET", "/nothing", 404),
    ):
        for _ in range(2):
            assert (await client.get(path, method=method)).status == status
            assert lines == ["outer", "in", "+middleware", "-middleware"]
            lines.clear()
    assert asked == expected


async def test_plugins_wrap_the_one_handler_of_an_application_without_router(serve: Serve, connect: Connect) -> None:
    routes: list[Any] = []

    def wrap_handler(app: Any, route: Any) -> Any:
        routes.append(route)

        def wrap(handler: Any) -> Any:
            async def wrapped(request: Any) -> Any:
                response = await handler(request)
                response.headers["X-Wrapped"] = "yes"
                return response

            return wrapped

        return wrap

    client = await connect(await serve(Application(handler=hello, plugins=[make_plugin(wrap_handler=wrap_handler)])))
    assert (await client.get()).field("x-wrapped") == "yes"
    assert routes == [None]


async def test_a_route_that_no_plugin_wraps_keeps_its_handler(serve: Serve, connect: Connect) -> None:
    plugin = make_plugin(wrap_handler=lambda app, route: None)
    app = Application(plugins=["routing", plugin])
    route = app.router.add_post("/", hello)
    client = await connect(await serve(app))
    assert (await client.get(method="POST")).text == "hello"
    assert app.pipeline._chains[route] is hello


async def test_a_wrapping_that_fails_stops_the_start() -> None:
    def wrap_handler(app: Any, route: Any) -> Any:
        raise LookupError("in the wrapping")

    with pytest.raises(LookupError, match="in the wrapping") as raised:
        await Application(handler=hello, plugins=[make_plugin(wrap_handler=wrap_handler)]).startup()
    assert "corelet_wrap_handler" in raised.value.__notes__[0]


# Errors and access log.


async def test_a_plugin_renders_errors_of_handlers_and_of_the_parser(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    def render(error: BaseException, request: Any) -> Response:
        status = error.status_hint if isinstance(error, RemoteProtocolError) else 500
        where = "no request" if request is None else request.path
        return Response(status=status, text=f"{type(error).__name__} at {where}", headers={"X-Rendered": "yes"})

    async def fail(request: Any) -> Response:
        raise LookupError

    app = Application(handler=fail, plugins=[make_plugin(make_error_renderer=lambda app: render)])
    client = await connect(await serve(app))
    answer = await client.get("/path")
    assert (answer.status, answer.text, answer.field("x-rendered")) == (500, "LookupError at /path", "yes")
    await client.send("bad\r\n\r\n")
    answer = await client.read_answer()
    assert (answer.status, answer.field("x-rendered"), answer.field("connection")) == (400, "yes", "close")
    assert answer.text.endswith("at no request")


async def test_a_plugin_may_render_an_error_at_length(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    def render(error: BaseException, request: Any) -> Response:
        return Response(status=500, body=b"x" * 200_000)

    async def fail(request: Any) -> Response:
        raise LookupError

    app = Application(handler=fail, plugins=[make_plugin(make_error_renderer=lambda app: render)])
    client = await connect(await serve(app))
    assert len((await client.get()).body) == 200_000


async def test_a_plugin_writes_the_access_log(serve: Serve, connect: Connect) -> None:
    lines: list[str] = []

    class OwnLogger(AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            lines.append(f"{request.method} {response.status}")

    def make_access_logger(app: Any) -> AbstractAccessLogger:
        return OwnLogger(logging.getLogger("own"), "")

    app = Application(handler=hello, plugins=[make_plugin(make_access_logger=make_access_logger)])
    client = await connect(await serve(app))
    assert (await client.get()).status == 200
    assert lines == ["GET 200"]


@pytest.mark.parametrize("hook", ["make_error_renderer", "make_access_logger"])
async def test_two_plugins_that_claim_one_role_are_a_conflict_that_names_both(hook: str) -> None:
    class First:
        pass

    class Second:
        pass

    plugins = []
    for kind in (First, Second):
        plugin = kind()
        setattr(plugin, f"corelet_{hook}", hookimpl(lambda app: object()))
        plugins.append(plugin)
    with pytest.raises(PluginConflictError, match=rf"corelet_{hook}.*First.*Second.*plugins=\["):
        await Application(handler=hello, plugins=plugins).startup()


# Instruments.


class Watch(Instrument):
    """Notes all that it is told."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def connection_made(self, connection: Any) -> None:
        self.lines.append("made")

    def connection_lost(self, connection: Any, exc: BaseException | None) -> None:
        self.lines.append("lost")

    def request_started(self, request: Any) -> None:
        self.lines.append(f"started {request.path}")

    def request_finished(self, request: Any, response: Any) -> None:
        self.lines.append(f"finished {request.path} {response and response.status}")

    def request_refused(self, status: int, reason: str) -> None:
        self.lines.append(f"refused {status}")


async def test_instruments_see_connections_and_requests(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> StreamResponse:
        if request.path == "/cut":
            response = StreamResponse()
            await response.prepare(request)
            raise LookupError("no more")
        return Response(status=201)

    first, second = Watch(), Watch()
    plugins = [make_plugin(instrument=lambda app: first), make_plugin(instrument=lambda app: second)]
    served = await serve(Application(handler=handler, plugins=plugins))
    client = await connect(served)
    await client.get("/one")
    await client.send("bad\r\n\r\n")
    await client.read_until_closed()
    await client.close()
    cut = await connect(served)
    await cut.send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    await cut.read_until_closed()
    for _ in range(100):
        if first.lines.count("lost") == 2:
            break
        await asyncio.sleep(0.01)
    assert first.lines == second.lines
    assert first.lines == [
        *("made", "started /one", "finished /one 201", "refused 400", "lost"),
        *("made", "started /cut", "finished /cut None", "lost"),
    ]


async def test_an_instrument_that_fails_is_logged_once_and_asked_no_more(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    class Failing(Instrument):
        calls = 0

        def request_started(self, request: Any) -> None:
            Failing.calls += 1
            raise LookupError("broken watch")

        @staticmethod
        def request_finished(request: Any, response: Any) -> None:
            raise LookupError("broken function")

    sound = Watch()
    plugins = [make_plugin(instrument=lambda app: Failing()), make_plugin(instrument=lambda app: sound)]
    client = await connect(await serve(Application(handler=hello, plugins=plugins)))
    for _ in range(3):
        assert (await client.get()).status == 200
    assert Failing.calls == 1
    assert sound.lines.count("started /") == sound.lines.count("finished / 200") == 3
    assert len(expect_error_log) == 2
    assert "request_started" in expect_error_log[0].getMessage()
    assert "called no more" in expect_error_log[0].getMessage()


async def test_an_instrument_sees_the_end_of_each_request_that_has_started(expect_error_log: list[Any]) -> None:
    class Failing(AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            raise LookupError("nowhere to log to")

    async def wait(request: Any) -> Response:
        await asyncio.sleep(10 if request.path == "/slow" else 0)
        return Response()

    watch = Watch()
    app = Application(handler=wait, plugins=[make_plugin(instrument=lambda app: watch)])
    runner = AppRunner(app, access_log_class=Failing, handler_cancellation=True)
    await runner.setup()
    assert runner.server is not None
    # The peer of the first one is gone before its handler has made a step, where handlers don't start at once.
    for path in ("/slow", "/fails"):
        connection = runner.server()
        transport = Mock(asyncio.Transport)
        transport.get_extra_info.return_value = None
        connection.connection_made(transport)
        connection.data_received(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        if path == "/slow":
            connection.connection_lost(None)
        for _ in range(5):
            await asyncio.sleep(0)
        if path == "/fails":
            connection.connection_lost(None)
    await runner.cleanup()
    assert watch.lines == [
        *("made", "started /slow", "lost", "finished /slow None"),
        *("made", "started /fails", "finished /fails None", "lost"),
    ]


async def test_only_what_an_instrument_overrides_has_a_slot() -> None:
    class Partial(Instrument):
        def request_refused(self, status: int, reason: str) -> None: ...

    app = Application(handler=hello, plugins=[make_plugin(instrument=lambda app: Partial())])
    await app.startup()
    slots = app.pipeline
    assert slots.request_refused is not None
    assert slots.connection_made is slots.connection_lost is None
    assert slots.request_started is slots.request_finished is None
    await app.cleanup()


# Registries.


class Reverse(ContentCoding):
    """A coding for tests: bytes backwards."""

    name = "reverse"

    def make_encoder(self, level: int | None = None) -> Any:
        class Encoder:
            def __init__(self) -> None:
                self.data = b""

            def encode(self, data: bytes) -> bytes:
                self.data += data
                return b""

            def flush(self) -> bytes:
                return b""

            def finish(self) -> bytes:
                return self.data[::-1]

        return Encoder()

    def make_decoder(self, max_bytes: int) -> Any:
        raise NotImplementedError


async def test_a_coding_of_a_plugin_codes_answers_and_is_asked_for_once(serve: Serve, connect: Connect) -> None:
    asked: list[Any] = []

    def register_codings(codings: Any) -> None:
        asked.append(codings)
        codings.add(Reverse())

    async def handler(request: Any) -> Response:
        response = Response(text="stressed")
        response.enable_compression()
        return response

    client = await connect(
        await serve(Application(handler=handler, plugins=[make_plugin(register_codings=register_codings)]))
    )
    assert asked == []
    for _ in range(2):
        answer = await client.get(fields="Accept-Encoding: gzip, reverse\r\n")
        assert (answer.text, answer.field("content-encoding")) == ("desserts", "reverse")
    assert (await client.get()).text == "stressed"
    assert len(asked) == 1


class LineReader(FormReader):
    """Reads a form of lines ``name value``."""

    async def read(self, request: Any) -> Any:
        lines = (await request.text()).splitlines()
        return [tuple(line.split(" ", 1)) for line in lines]

    def open(self, request: Any) -> Any:
        return "opened"


async def test_a_form_reader_of_a_plugin_reads_its_media_type_and_is_asked_for_once(
    serve: Serve, connect: Connect
) -> None:
    asked: list[Any] = []

    def register_form_readers(readers: Any) -> None:
        asked.append(readers)
        readers.add("text/lines", LineReader())

    async def handler(request: Any) -> Response:
        if request.path == "/parts":
            return Response(text=await request.multipart())
        return Response(text=str(dict(await request.post())))

    app = Application(handler=handler, plugins=[make_plugin(register_form_readers=register_form_readers)])
    client = await connect(await serve(app))
    assert asked == []

    async def post(path: str, media_type: str) -> str:
        body = "a 1\nb 2"
        fields = f"Host: a\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n"
        await client.send(f"POST {path} HTTP/1.1\r\n{fields}\r\n{body}")
        return (await client.read_answer()).text

    assert await post("/", "text/lines; charset=utf-8") == "{'a': '1', 'b': '2'}"
    assert await post("/", "text/other") == "{}"
    assert await post("/parts", "text/lines") == "opened"
    assert len(asked) == 1


def test_a_coding_is_registered_once() -> None:
    codings = CodingRegistry()
    coding = Reverse()
    codings.add(coding)
    codings.add(coding)
    assert codings.codings == {"reverse": coding}
    with pytest.raises(PluginConflictError, match="content coding 'reverse' is registered twice"):
        codings.add(Reverse())


def test_a_form_reader_is_registered_once() -> None:
    readers = FormReaderRegistry()
    reader = LineReader()
    readers.add("text/lines", reader)
    readers.add("text/lines", reader)
    assert readers.readers == {"text/lines": reader}
    with pytest.raises(PluginConflictError, match="media type 'text/lines' has two form readers"):
        readers.add("text/lines", LineReader())


def test_a_bare_server_has_no_codings_and_no_form_readers() -> None:
    assert Slots().codings == {}
    assert Slots().form_readers == {}


# What it costs.


async def test_no_hook_is_called_while_requests_are_answered(serve: Serve, connect: Connect) -> None:
    async def prepare(request: Any, response: Any) -> None: ...

    plugin = make_plugin(
        prepare_response=lambda app: prepare,
        instrument=lambda app: Watch(),
        wrap_handler=lambda app, route: lambda handler: handler,
    )
    app = Application(plugins=["routing", plugin])
    app.router.add_get("/{name}", hello)
    client = await connect(await serve(app))
    calls: list[str] = []
    undo = app.plugins.pluggy.add_hookcall_monitoring(
        lambda name, implementations, arguments: calls.append(name),
        lambda outcome, name, implementations, arguments: None,
    )
    for burst in range(20):
        await client.send("".join(f"GET /{burst}-{number} HTTP/1.1\r\nHost: a\r\n\r\n" for number in range(48)))
        await client.send("GET /no/such HTTP/1.1\r\nHost: a\r\n\r\nDELETE /x HTTP/1.1\r\nHost: a\r\n\r\n")
        answers = await client.read_answers(50)
        assert {answer.status for answer in answers} == {200, 404, 405}
    undo()
    assert calls == []


async def test_the_monitor_of_that_test_sees_hooks(serve: Serve) -> None:
    app = Application(handler=hello, plugins=[make_plugin(lifespan=lambda app: None)])
    calls: list[str] = []
    undo = app.plugins.pluggy.add_hookcall_monitoring(
        lambda name, implementations, arguments: calls.append(name),
        lambda outcome, name, implementations, arguments: None,
    )
    await app.startup()
    undo()
    assert "corelet_lifespan" in calls
    await app.cleanup()


async def test_a_middleware_that_is_no_function_stops_the_first_start() -> None:
    async def handler(request: Any) -> Response:
        return Response()

    app = Application(handler=handler, middlewares=[1], plugins=[])  # type: ignore[list-item]  # the mistake
    with pytest.raises(TypeError, match=r"^1 in middlewares is no function: expected async \(request, handler\)"):
        await app.startup()


async def test_a_middleware_that_returns_nothing_is_suspected_beside_the_handler(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        return Response()

    async def forgetful(request: Any, handler: Any) -> None:
        await handler(request)

    client = await connect(await serve(Application(handler=handler, middlewares=[forgetful], plugins=[])))
    assert (await client.get()).status == 500
    assert ", or a middleware around it, returned None, expected a response" in str(expect_error_log[0].exc_info[1])


async def test_a_refusal_leaves_a_line_for_who_looks_for_it(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: Any) -> Response:
        return Response()

    caplog.set_level(logging.DEBUG, "corelet")
    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\n\r\n")
    assert (await client.read_answer()).status == 400
    assert "by 400: Host is missing" in caplog.text
