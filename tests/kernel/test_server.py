"""A Server: its arguments, its connections, its one timer."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from typing import Any

import pytest

from corelet.abc import AbstractAccessLogger
from corelet.app import Application
from corelet.fields import parse_http_date
from corelet.limits import Deadlines, Limits
from corelet.pipeline import Slots
from corelet.request import BaseRequest, Request
from corelet.response import Response
from corelet.server import Server, make_server
from tests.conftest import Connect, Serve
from tests.raw_client import RawClient


async def hello(request: Any) -> Response:
    return Response(text="hello")


async def fail(request: Any) -> Response:
    raise LookupError("the reason")


async def test_a_server_is_the_protocol_factory_of_an_event_loop() -> None:
    server = Server(hello)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
    client = RawClient(*await asyncio.open_connection(*listening.sockets[0].getsockname()))
    assert (await client.get()).text == "hello"
    assert [type(connection) for connection in server.connections] == [type(server())]
    await client.close()
    listening.close()
    await server.shutdown(1)
    assert server.connections == []


async def test_a_handler_gets_a_base_request_without_an_application(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(text=f"{type(request).__name__} {request.connection.app}")

    client = await connect(await serve(handler))
    assert (await client.get()).text == "BaseRequest None"


async def test_requests_may_be_of_a_class_of_ones_own(serve: Serve, connect: Connect) -> None:
    class OwnRequest(BaseRequest):
        @property
        def user(self) -> str:
            return self.headers["X-User"]

    async def handler(request: Any) -> Response:
        return Response(text=request.user)

    client = await connect(await serve(handler, request_factory=OwnRequest))
    assert (await client.get(fields="X-User: me\r\n")).text == "me"


@pytest.mark.parametrize("good", [0, 2])
async def test_a_request_that_can_not_be_made_ends_the_connection_after_the_answers_before(
    serve: Serve, connect: Connect, expect_error_log: list[logging.LogRecord], good: int
) -> None:
    class OwnRequest(BaseRequest):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            if self.path == "/bad":
                raise LookupError("no user")

    async def handler(request: Any) -> Response:
        await asyncio.sleep(0)
        return Response(text=request.path)

    served = await serve(handler, request_factory=OwnRequest)
    client = await connect(served)
    await client.send("".join(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n" for path in ["/good"] * good + ["/bad"] * 2))
    assert [answer.text for answer in await client.read_answers(good)] == ["/good"] * good
    assert await client.read_until_closed() == b""
    assert [record.getMessage() for record in expect_error_log] == ["Error making a request"]


async def test_an_application_gets_requests_that_know_it(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        assert isinstance(request, Request)
        return Response(text=str(request.app is app and request.config_dict["key"]))

    app = Application(handler=handler, plugins=[])
    app["key"] = "value"
    client = await connect(await serve(app))
    assert (await client.get()).text == "value"


async def test_every_answer_has_date_and_server(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(hello))
    answer = await client.get()
    assert answer.field("server") == "corelet"
    date = parse_http_date(answer.field("date") or "")
    assert date is not None
    import datetime

    assert abs((datetime.datetime.now(datetime.UTC) - date).total_seconds()) < 3
    await client.send("bad\r\n\r\n")
    answer = await client.read_answer()
    assert answer.field("date")
    assert answer.field("server") == "corelet"


async def test_the_date_goes_on(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(hello))
    first = (await client.get()).field("date")
    await asyncio.sleep(1.7)
    assert (await client.get()).field("date") != first


# Limits and deadlines.


@pytest.mark.parametrize(
    ("arguments", "request_head", "status"),
    [
        ({"max_line_size": 100}, f"GET /{'x' * 100} HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ({"max_field_size": 100}, f"GET / HTTP/1.1\r\nHost: a\r\nX: {'x' * 100}\r\n\r\n", 431),
        ({"max_headers": 3}, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nX: 2\r\nX: 3\r\n\r\n", 431),
        ({"limits": Limits(max_head_bytes=60)}, f"GET / HTTP/1.1\r\nHost: a\r\nX: {'x' * 50}\r\n\r\n", 431),
        ({"limits": Limits(max_line_bytes=5), "max_line_size": 100}, "GET /fits HTTP/1.1\r\nHost: a\r\n\r\n", 200),
    ],
)
async def test_sizes_are_limited_as_told(
    serve: Serve, connect: Connect, arguments: dict[str, Any], request_head: str, status: int
) -> None:
    client = await connect(await serve(hello, **arguments))
    await client.send(request_head)
    assert (await client.read_answer()).status == status


async def test_keepalive_timeout_wins_over_deadlines(serve: Serve, connect: Connect) -> None:
    served = await serve(hello, keepalive_timeout=0.5, lingering_time=3, deadlines=Deadlines(write_seconds=7))
    assert served.server.deadlines == Deadlines(keepalive_seconds=0.5, linger_seconds=3, write_seconds=7)
    client = await connect(served)
    assert (await client.get()).status == 200
    assert await client.is_closed(3)


async def test_client_max_size_limits_what_is_read(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(text=str(len(await request.read())))

    client = await connect(await serve(handler, client_max_size=10))
    for size, status in ((10, 200), (11, 413)):
        await client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{'x' * size}")
        assert (await client.read_answer()).status == status


async def test_client_max_fields_limits_forms(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(text=str(len(await request.post())))

    client = await connect(await serve(handler, client_max_fields=2))
    for body, status in (("a=1&b=2", 200), ("a=1&b=2&c=3", 413)):
        await client.send(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        assert (await client.read_answer()).status == status


@pytest.mark.parametrize("wanted", [True, False])
async def test_silent_peers_are_probed_unless_told_otherwise(serve: Serve, connect: Connect, wanted: bool) -> None:
    async def handler(request: Any) -> Response:
        with socket.socket(fileno=os.dup(request.get_extra_info("socket").fileno())) as own:
            return Response(text=str(bool(own.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))))

    client = await connect(await serve(handler, tcp_keepalive=wanted))
    assert (await client.get()).text == str(wanted)


# Errors and logs.


@pytest.mark.parametrize("debug", [True, False])
async def test_peers_see_tracebacks_in_debug_only(
    serve: Serve, connect: Connect, expect_error_log: list[Any], debug: bool
) -> None:
    client = await connect(await serve(fail, debug=debug))
    answer = await client.get()
    assert answer.status == 500
    assert ("LookupError: the reason" in answer.text) is debug


async def test_errors_go_to_the_logger_given(serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    client = await connect(await serve(fail, logger=logging.getLogger("mine")))
    assert (await client.get()).status == 500
    assert [record.name for record in caplog.records if record.levelno == logging.ERROR] == ["mine"]


async def test_answers_are_logged_where_somebody_listens(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "corelet.access")
    client = await connect(await serve(hello, access_log_format="%s %r"))
    assert (await client.get("/path")).status == 200
    assert [record.getMessage() for record in caplog.records if record.name == "corelet.access"] == [
        "200 GET /path HTTP/1.1"
    ]


async def test_a_log_that_nobody_hears_costs_nothing(serve: Serve) -> None:
    served = await serve(hello, access_log=logging.getLogger("corelet.access"))
    assert served.server.access_logger is None
    assert Server(hello, access_log=None).access_logger is None


async def test_answers_are_logged_by_a_class_of_ones_own(serve: Serve, connect: Connect) -> None:
    lines: list[tuple[str, int]] = []

    class Own(AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            assert 0 <= time < 5
            lines.append((request.path, response.status))

    async def handler(request: Any) -> Response:
        await asyncio.sleep(0.001)
        return Response(status=201)

    client = await connect(await serve(handler, access_log_class=Own))
    await client.get("/1")
    await client.get("/2")
    assert lines == [("/1", 201), ("/2", 201)]


async def test_an_answer_sent_instead_is_what_is_logged(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    statuses: list[int] = []

    class Own(AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            statuses.append(response.status)

    client = await connect(await serve(fail, access_log_class=Own))
    await client.get("/1")
    assert statuses == [500]


async def test_the_access_logger_of_a_plugin_gives_way_to_a_class_that_is_given() -> None:
    class OfPlugin(AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None: ...

    class Given(OfPlugin):
        pass

    slots = Slots()
    slots.access_logger = OfPlugin(logging.getLogger("corelet.access"), "")
    assert type(Server(hello, slots=slots).access_logger) is OfPlugin
    assert type(Server(hello, slots=slots, access_log_class=Given).access_logger) is Given
    assert Server(hello, slots=slots, access_log=None).access_logger is None


async def test_what_a_renderer_gets_wrong_doesnt_stop_the_timer(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    def render(error: BaseException, request: Any) -> Response:
        return Response(status=499, headers={"X-Split": "a\r\nb"})

    slots = Slots()
    slots.render_error = render
    served = await serve(hello, slots=slots, deadlines=Deadlines(head_seconds=0.7))
    for _ in range(2):
        clients = [await connect(served) for _ in range(3)]
        for client in clients:
            await client.send("GET /")
        for client in clients:
            assert (await client.read_answer()).status == 408
            assert await client.is_closed(3)
    client = await connect(served)
    await client.send("what is this?\r\n\r\n")
    answer = await client.read_answer()
    assert (answer.status, answer.field("x-split")) == (400, None)


# Applications.


async def test_a_server_of_an_application_takes_its_settings(serve: Serve) -> None:
    logger = logging.getLogger("own")
    app = Application(
        handler=hello,
        plugins=[],
        logger=logger,
        debug=True,
        client_max_size=5,
        client_max_fields=6,
        handler_args={"read_bufsize": 7, "keepalive_timeout": 8},
    )
    await app.startup()
    server = make_server(app, keepalive_timeout=9)
    assert server.logger is logger
    assert (server.client_max_size, server.client_max_fields, server.read_bufsize) == (5, 6, 7)
    assert server.deadlines.keepalive_seconds == 9
    await app.cleanup()


async def test_a_server_of_an_application_that_has_not_started_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match=r"await app\.startup\(\) first"):
        make_server(Application(handler=hello, plugins=[]))


async def test_a_server_tells_an_unknown_argument() -> None:
    with pytest.raises(TypeError, match="keepalive"):
        Server(hello, keepalive=3)  # type: ignore[call-arg]  # what is tested
