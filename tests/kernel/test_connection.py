"""One connection: keep-alive, Expect, half-close, bodies that nobody reads, handlers that fail, peers that leave."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import os
import socket
import subprocess
import sys
import tracemalloc
import weakref
from typing import Any

import aiohttp
import pytest

from corelet.app import Application
from corelet.errors import LocalProtocolError, RequestPayloadError
from corelet.exceptions import HTTPBadRequest, HTTPNotFound, HTTPRequestEntityTooLarge
from corelet.limits import Deadlines
from corelet.pipeline import Slots
from corelet.response import Response, StreamResponse
from tests.conftest import Connect, Serve, Served

MIB = 2**20


async def hello(request: Any) -> Response:
    return Response(text=f"hello {request.path}")


async def echo(request: Any) -> Response:
    return Response(body=await request.read())


def make_routed_app(**kwargs: Any) -> Application:
    return Application(plugins=["routing"], **kwargs)


async def wait_for_connections(served: Served, count: int) -> None:
    for _ in range(500):
        if len(served.server.connections) == count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{len(served.server.connections)} connections, expected {count}")


# Keep-alive.


@pytest.mark.parametrize(
    ("head", "stays", "field"),
    [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", True, None),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False, "close"),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", False, "close"),
        ("GET / HTTP/1.0\r\n\r\n", False, "close"),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, "keep-alive"),
        ("GET / HTTP/1.0\r\nConnection: close\r\n\r\n", False, "close"),
    ],
)
async def test_a_connection_is_kept_as_version_and_field_say(
    serve: Serve, connect: Connect, head: str, stays: bool, field: str | None
) -> None:
    client = await connect(await serve(hello))
    await client.send(head)
    answer = await client.read_answer()
    assert (answer.status, answer.text, answer.field("connection")) == (200, "hello /", field)
    if stays:
        assert (await client.get("/again")).text == "hello /again"
    else:
        assert await client.is_closed(5)


async def test_a_response_can_close_the_connection(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        response = Response(text="bye")
        response.force_close()
        return response

    client = await connect(await serve(handler))
    answer = await client.get()
    assert (answer.text, answer.field("connection")) == ("bye", "close")
    assert await client.is_closed(5)


async def test_a_connection_field_of_the_handler_closes_too(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(text="bye", headers={"Connection": "close"})

    client = await connect(await serve(handler))
    assert (await client.get()).text == "bye"
    assert await client.is_closed(5)


@pytest.mark.parametrize(("given", "sent"), [("Keep-Alive", ["close"]), ("x, keep-alive", ["x", "close"])])
async def test_a_connection_field_of_the_handler_promises_nothing_that_isnt_so(
    serve: Serve, connect: Connect, given: str, sent: list[str]
) -> None:
    async def handler(request: Any) -> Response:
        return Response(headers={"Connection": given})

    client = await connect(await serve(handler))
    answer = await client.get(fields="Connection: close\r\n")
    assert [value for name, value in answer.fields if name == "connection"] == sent


async def test_a_stream_of_unknown_length_to_an_old_peer_ends_with_the_connection(
    serve: Serve, connect: Connect
) -> None:
    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"to the end")
        return response

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = await client.read_answer()
    assert (answer.body, answer.field("connection")) == (b"to the end", "close")


async def test_peers_of_other_makers_reuse_one_connection(serve: Serve, peer: aiohttp.ClientSession) -> None:
    import httpx

    ports = []

    async def handler(request: Any) -> Response:
        ports.append(request.get_extra_info("peername")[1])
        return Response(body=await request.read())

    served = await serve(handler)
    for size in (0, 10, 300_000):
        async with peer.post(served.url, data=io.BytesIO(b"x" * size)) as answer:
            assert len(await answer.read()) == size
    assert len(set(ports)) == 1
    ports.clear()
    async with httpx.AsyncClient() as client:
        for size in (0, 10, 300_000):
            assert len((await client.post(str(served.url), content=b"y" * size)).content) == size
    assert len(set(ports)) == 1


async def test_curl_gets_its_answers_over_one_connection(serve: Serve) -> None:
    served = await serve(echo)
    command = ["curl", "-sv", "-d", "one", str(served.url), "--next", "-sv", "-d", "two", str(served.url)]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    process._transport.close()  # else 3.11 closes it after the loop
    assert out == b"onetwo"
    assert b"e-using existing connection" in err


# Expect: 100-continue.

EXPECT = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"


async def test_a_peer_that_waits_to_send_its_body_is_told_once(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(echo))
    await client.send(EXPECT)
    assert (await client.read_answer()).status == 100
    await client.send("bo")
    await asyncio.sleep(0.02)
    await client.send("dy")
    answer = await client.read_answer()
    assert (answer.status, answer.text) == (200, "body")
    assert (await client.get()).status == 200


@pytest.mark.parametrize("routed", [False, True])
async def test_a_peer_that_waits_may_ask_to_close(serve: Serve, connect: Connect, routed: bool) -> None:
    app = make_routed_app()
    app.router.add_post("/", echo)
    client = await connect(await serve(app if routed else echo))
    await client.send(EXPECT.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"))
    assert (await client.read_answer()).status == 100
    await client.send("body")
    answer = await client.read_answer()
    assert (answer.text, answer.field("connection")) == ("body", "close")
    assert await client.is_closed(5)


async def test_a_body_that_is_there_already_needs_no_100(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(echo))
    await client.send(EXPECT + "body")
    assert (await client.read_answer()).status == 200


async def test_an_old_peer_gets_no_100(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(echo))
    await client.send(EXPECT.replace("HTTP/1.1", "HTTP/1.0") + "body")
    assert (await client.read_answer()).status == 200


async def test_a_path_that_nobody_serves_is_refused_without_100(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(make_routed_app()))
    await client.send(EXPECT)
    answer = await client.read_answer()
    assert (answer.status, answer.field("connection")) == (404, "close")
    assert await client.is_closed(5)


async def test_a_route_sends_100_by_itself(serve: Serve, connect: Connect) -> None:
    app = make_routed_app()
    app.router.add_post("/", echo)
    client = await connect(await serve(app))
    await client.send(EXPECT)
    assert (await client.read_answer()).status == 100
    await client.send("body")
    assert (await client.read_answer()).text == "body"


async def test_the_expect_handler_of_a_route_decides(serve: Serve, connect: Connect) -> None:
    async def on_expect(request: Any) -> Response | None:
        if request.headers.get("X-Token") != "right":
            return Response(status=401)
        return None

    app = make_routed_app()
    app.router.add_post("/", echo, expect_handler=on_expect)
    served = await serve(app)
    refused = await connect(served)
    await refused.send(EXPECT)
    answer = await refused.read_answer()
    assert (answer.status, answer.field("connection")) == (401, "close")
    assert await refused.is_closed(5)
    allowed = await connect(served)
    await allowed.send(EXPECT.replace("\r\n\r\n", "\r\nX-Token: right\r\n\r\n"))
    assert (await allowed.read_answer()).status == 100
    await allowed.send("body")
    assert (await allowed.read_answer()).text == "body"


async def test_an_expect_handler_may_send_100_by_itself(serve: Serve, connect: Connect) -> None:
    async def on_expect(request: Any) -> None:
        request.connection.send_continue()
        request.connection.send_continue()

    app = make_routed_app()
    app.router.add_post("/", echo, expect_handler=on_expect)
    client = await connect(await serve(app))
    await client.send(EXPECT)
    assert (await client.read_answer()).status == 100
    await client.send("body")
    assert (await client.read_answer()).text == "body"


async def test_an_expect_handler_that_raises_an_answer_refuses(serve: Serve, connect: Connect) -> None:
    async def on_expect(request: Any) -> None:
        raise HTTPBadRequest

    app = make_routed_app()
    app.router.add_post("/", echo, expect_handler=on_expect)
    client = await connect(await serve(app))
    await client.send(EXPECT)
    assert (await client.read_answer()).status == 400
    assert await client.is_closed(5)


async def test_a_peer_isnt_slow_while_it_waits_for_100(serve: Serve, connect: Connect) -> None:
    async def on_expect(request: Any) -> None:
        await asyncio.sleep(1.6)

    app = make_routed_app()
    app.router.add_post("/", echo, expect_handler=on_expect)
    client = await connect(await serve(app, deadlines=Deadlines(body_grace_seconds=0.6)))
    await client.send(EXPECT)
    assert (await client.read_answer()).status == 100
    await client.send("body")
    assert (await client.read_answer()).text == "body"


async def test_a_peer_that_was_told_to_send_its_body_has_a_deadline_again(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(echo, deadlines=Deadlines(body_grace_seconds=0.6)))
    await client.send(EXPECT)
    assert (await client.read_answer()).status == 100
    assert (await client.read_answer()).status == 408


async def test_a_handler_may_answer_before_the_body_that_it_asked_for(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(hello))
    await client.send(EXPECT)
    assert (await client.read_answer()).status == 100
    assert (await client.read_answer()).status == 200
    await client.send("bodyGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.read_answer()).text == "hello /next"


# Half-close. Source: RFC 9112 section 9.6.


async def test_a_peer_that_closed_its_sending_side_gets_its_answer(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(0.05)
        return Response(text="late")

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    client.send_eof()
    answer = await client.read_answer()
    assert (answer.text, answer.field("connection")) == ("late", "close")
    assert await client.is_closed(5)


@pytest.mark.parametrize("rest", ["", "\r\n", "GET / HT"])
async def test_all_requests_sent_before_a_half_close_are_answered(serve: Serve, connect: Connect, rest: str) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(0.02)
        return Response(text=request.path)

    client = await connect(await serve(handler))
    await client.send("".join(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n" for number in range(3)) + rest)
    client.send_eof()
    answers = await client.read_answers(3)
    assert [answer.text for answer in answers] == ["/0", "/1", "/2"]
    assert [answer.field("connection") for answer in answers] == [None, None, None if rest else "close"]
    if rest == "GET / HT":
        assert (await client.read_answer()).status == 400
    assert await client.is_closed(5)


async def test_requests_that_wait_for_a_slow_reader_survive_its_half_close(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        return Response(body=b"x" * 8 * MIB)

    client = await connect(await serve(handler), limit=65536)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
    client.send_eof()
    await asyncio.sleep(0.1)
    assert [len(answer.body) for answer in await client.read_answers(3)] == [8 * MIB] * 3
    assert await client.is_closed(5)


async def test_an_idle_peer_that_closes_its_sending_side_is_closed(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(hello))
    assert (await client.get()).status == 200
    client.send_eof()
    assert await client.is_closed(5)


async def test_a_half_close_within_a_body_ends_its_reader_at_once(serve: Serve, connect: Connect) -> None:
    raised: list[BaseException] = []

    async def handler(request: Any) -> Response:
        try:
            return Response(body=await request.read())
        except RequestPayloadError as exc:
            raised.append(exc)
            raise

    client = await connect(await serve(handler))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    await asyncio.sleep(0.02)
    client.send_eof()
    answer = await client.read_answer()
    assert (answer.status, len(raised)) == (400, 1)
    assert await client.is_closed(5)


async def test_over_tls_a_peer_that_closes_is_gone(serve: Serve, connect: Connect, tls: Any) -> None:
    gone = asyncio.Event()

    async def handler(request: Any) -> Response:
        await request.wait_for_disconnection()
        gone.set()
        return Response()

    served = await serve(handler, ssl_context=tls.server)
    client = await connect(served, ssl=tls.client, server_hostname="localhost")
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.05)
    client.writer.transport.abort()
    await asyncio.wait_for(gone.wait(), 5)


# Bodies that nobody reads.


async def test_the_rest_of_an_unread_body_is_dropped_and_the_next_request_served(
    serve: Serve, connect: Connect
) -> None:
    client = await connect(await serve(hello))
    size = 2 * MIB
    await client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
    assert (await client.read_answer()).status == 200
    await client.send(b"x" * size)
    assert (await client.get("/next")).text == "hello /next"


async def test_the_rest_of_a_chunked_body_is_dropped_too(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(hello))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert (await client.read_answer()).status == 200
    await client.send("3\r\nabc\r\n0\r\nX: y\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.read_answer()).text == "hello /next"


async def test_an_unread_body_that_is_here_already_costs_nothing(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(hello))
    await client.send("POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" * 3)
    assert [answer.text for answer in await client.read_answers(3)] == ["hello /one"] * 3


async def test_a_malformed_rest_of_an_unread_body_ends_the_connection(serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(hello))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert (await client.read_answer()).status == 200
    await client.send("what?\r\n")
    assert await client.is_closed(5)


async def test_a_body_that_filled_the_buffer_and_was_not_read_is_dropped(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(0.2)
        return Response(text=request.path)

    client = await connect(await serve(handler, read_bufsize=4096))
    size = 4 * MIB
    sending = asyncio.create_task(
        client.send(f"POST /big HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode() + b"x" * size)
    )
    assert (await client.read_answer()).text == "/big"
    await sending
    assert (await client.get("/next")).text == "/next"


async def test_the_rest_of_a_body_is_dropped_for_a_while_only(serve: Serve, connect: Connect) -> None:
    loop = asyncio.get_running_loop()
    client = await connect(await serve(hello, deadlines=Deadlines(linger_seconds=1)))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    assert (await client.read_answer()).status == 200
    started = loop.time()
    while loop.time() - started < 5:
        try:
            await client.send("x" * 100)
        except ConnectionError:
            break
        if await client.is_closed(0.05):
            break
    assert loop.time() - started < 2.5


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_peer_in_the_middle_of_a_large_upload_reads_the_whole_refusal(
    serve: Serve, connect: Connect, tls: Any, scheme: str
) -> None:
    async def handler(request: Any) -> Response:
        raise HTTPRequestEntityTooLarge(1, 2, text="too large " * 6_000, headers={"Connection": "close"})

    served = await serve(handler, ssl_context=tls.server if scheme == "https" else None)
    options = {"ssl": tls.client, "server_hostname": "localhost"} if scheme == "https" else {}
    client = await connect(served, **options)
    size = 24 * MIB
    client.writer.write(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n".encode())
    # All of it is sent before anything is read, as many clients do.
    await client.send(b"x" * size)
    answer = await client.read_answer()
    assert (answer.status, len(answer.text)) == (413, 60_000)


async def test_an_upload_over_the_limit_is_refused_to_a_real_peer(serve: Serve, peer: aiohttp.ClientSession) -> None:
    served = await serve(echo, client_max_size=1000)
    for _ in range(5):
        async with peer.post(served.url, data=io.BytesIO(b"x" * 2 * MIB)) as answer:
            assert answer.status == 413
            await answer.read()


async def test_a_refused_peer_may_read_its_answer_as_slowly_as_it_likes(serve: Serve) -> None:
    size = 60_000

    async def handler(request: Any) -> Response:
        with socket.socket(fileno=os.dup(request.get_extra_info("socket").fileno())) as own:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return Response(body=b"x" * size, headers={"Connection": "close"})

    loop = asyncio.get_running_loop()
    served = await serve(handler, deadlines=Deadlines(linger_seconds=0.5))
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(sock, (served.host, served.port))
        await loop.sock_sendall(sock, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        await asyncio.sleep(2)
        got = bytearray()
        while piece := await loop.sock_recv(sock, 65_536):
            got += piece
    assert len(got.partition(b"\r\n\r\n")[2]) == size


# Handlers that fail.


async def test_a_handler_that_raises_is_a_500_and_a_log_line(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        if request.path == "/bad":
            raise LookupError("secret")
        return Response(text="well")

    client = await connect(await serve(handler))
    answer = await client.get("/bad")
    assert answer.status == 500
    assert "secret" not in answer.text
    assert (await client.get("/good")).text == "well"
    assert expect_error_log[0].exc_info[0] is LookupError


@pytest.mark.parametrize("given", [None, "text", 200])
async def test_a_handler_that_returns_no_response_is_a_500(
    serve: Serve, connect: Connect, expect_error_log: list[Any], given: Any
) -> None:
    async def handler(request: Any) -> Any:
        return given

    client = await connect(await serve(handler))
    assert (await client.get()).status == 500
    assert repr(given) in str(expect_error_log[0].exc_info[1])


async def test_a_handler_that_isnt_async_is_a_500(serve: Serve, connect: Connect, expect_error_log: list[Any]) -> None:
    client = await connect(await serve(lambda request: Response()))
    assert (await client.get()).status == 500


async def test_a_body_that_is_malformed_from_the_start_reaches_no_handler(serve: Serve, connect: Connect) -> None:
    seen: list[str] = []

    async def handler(request: Any) -> Response:
        seen.append(request.path)
        return Response()

    client = await connect(await serve(handler))
    await client.send(
        "GET /good HTTP/1.1\r\nHost: a\r\n\r\n"
        "POST /bad HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nwhat?\r\n"
    )
    assert [answer.status for answer in await client.read_answers(2)] == [200, 400]
    assert await client.is_closed(5)
    assert seen == ["/good"]


def test_a_handler_may_end_the_program() -> None:
    program = """
import asyncio, socket
from corelet.server import Server

async def handler(request):
    raise SystemExit(3)

async def main():
    server = await asyncio.get_running_loop().create_server(Server(handler), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    await reader.read()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert done.returncode == 3, done.stderr


async def test_a_response_that_cannot_be_sent_is_a_500(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        return Response(text="x", headers={"X-Split": "a\r\nb"})

    client = await connect(await serve(handler))
    answer = await client.get()
    assert (answer.status, answer.field("x-split")) == (500, None)
    assert (await client.get()).status == 500


async def test_a_raised_answer_is_sent_and_not_logged(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(0)
        raise HTTPNotFound(text="nothing here")

    client = await connect(await serve(handler))
    answer = await client.get()
    assert (answer.status, answer.text) == (404, "nothing here")
    assert (await client.get()).status == 404


async def test_an_answer_that_comes_late_is_sent(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        await asyncio.sleep(1.2)
        return Response(text="late")

    deadlines = Deadlines(head_seconds=0.2, keepalive_seconds=0.2, body_grace_seconds=0.2, linger_seconds=0.2)
    client = await connect(await serve(handler, deadlines=deadlines))
    assert (await client.get()).text == "late"


async def test_a_handler_that_cancels_itself_is_a_500(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        if request.path == "/cancel":
            request.task.cancel()
            await asyncio.sleep(0)
        return Response(text="well")

    client = await connect(await serve(handler))
    assert (await client.get("/cancel")).status == 500
    assert (await client.get()).text == "well"
    assert expect_error_log[0].exc_info[0] is asyncio.CancelledError


async def test_a_cancellation_that_leaks_from_what_a_handler_awaits_is_a_500(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        return await future

    client = await connect(await serve(handler))
    assert (await client.get()).status == 500
    assert (await client.get()).status == 500
    assert expect_error_log[0].exc_info[0] is asyncio.CancelledError


async def test_a_timeout_of_a_handler_is_its_own(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(5)
        except TimeoutError:
            return Response(text="timed out")
        return Response()

    client = await connect(await serve(handler))
    assert (await client.get()).text == "timed out"


async def test_a_body_that_fails_on_its_way_is_cut_off(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def pieces() -> Any:
        yield b"some"
        raise LookupError("no more")

    async def handler(request: Any) -> Response:
        return Response(body=pieces())

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    got = await client.read_until_closed()
    assert not got.endswith(b"0\r\n\r\n")
    assert len(expect_error_log) == 1
    assert expect_error_log[0].exc_info[0] is LookupError


async def test_a_reset_of_somebody_else_within_a_body_is_logged(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def pieces() -> Any:
        yield b"some"
        raise ConnectionResetError("the upstream server has gone")

    async def handler(request: Any) -> Response:
        return Response(body=pieces())

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_until_closed()
    assert expect_error_log[0].exc_info[0] is ConnectionResetError


async def test_a_handler_that_fails_within_a_stream_cuts_it_off_and_is_logged_once(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"some")
        await asyncio.sleep(0.01)
        raise LookupError("no more")

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    got = await client.read_until_closed()
    assert not got.endswith(b"0\r\n\r\n")
    assert [record.exc_info[0] for record in expect_error_log] == [LookupError]


async def test_a_handler_that_fails_after_its_whole_answer_harms_neither_answer_nor_connection(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        response = Response(body=b"x" * MIB)
        await response.prepare(request)
        await response.write_eof()
        raise LookupError("in the work after the answer")

    client = await connect(await serve(handler))
    for _ in range(2):
        assert len((await client.get()).body) == MIB
    assert [record.exc_info[0] for record in expect_error_log] == [LookupError] * 2


async def test_another_answer_than_the_one_begun_cuts_it_off(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    async def handler(request: Any) -> Response:
        await StreamResponse().prepare(request)
        return Response(text="instead")

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"instead" not in await client.read_until_closed()
    assert "answered by" in str(expect_error_log[0].exc_info[1])


@pytest.mark.parametrize("way", ["returns", "raises", "hides it"])
async def test_a_stream_shorter_than_its_content_length_is_cut_off(
    serve: Serve, connect: Connect, expect_error_log: list[Any], way: str
) -> None:
    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"short")
        if way == "raises":
            await response.write_eof()
        if way == "hides it":
            with pytest.raises(LocalProtocolError):
                await response.write_eof()
        return response

    client = await connect(await serve(handler))
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await client.get()
    assert {record.exc_info[0] for record in expect_error_log} == {LocalProtocolError}


@pytest.mark.parametrize("waits", [False, True])
async def test_an_error_renderer_that_fails_is_logged_and_the_peer_gets_a_500(
    serve: Serve, connect: Connect, expect_error_log: list[Any], waits: bool
) -> None:
    def render(error: BaseException, request: Any) -> Response:
        raise LookupError("broken renderer")

    async def handler(request: Any) -> Response:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("broken handler")

    slots = Slots()
    slots.render_error = render
    served = await serve(handler, slots=slots)
    client = await connect(served)
    assert (await client.get()).status == 500
    assert (await client.get()).status == 500
    await client.send("what is this?\r\n\r\n")
    assert (await client.read_answer()).status == 400
    assert {record.exc_info[0] for record in expect_error_log} == {LookupError, ValueError}


FRAMING = {"date", "server", "connection", "content-length", "transfer-encoding"}


@pytest.mark.parametrize(
    "fields",
    [
        {"Transfer-Encoding": "chunked"},
        {"Content-Length": "7"},
        {"Connection": "keep-alive"},
        {"Date": "today"},
        {"Server": "mine"},
    ],
    ids=str,
)
async def test_a_renderers_answer_to_no_request_is_framed_once(
    serve: Serve, connect: Connect, fields: dict[str, str]
) -> None:
    slots = Slots()
    slots.render_error = lambda error, request: Response(status=400, text="no", headers=fields)
    client = await connect(await serve(hello, slots=slots))
    await client.send("what is this?\r\n\r\n")
    answer = await client.read_answer()
    assert (answer.status, answer.text) == (400, "no")
    names = [name for name, _ in answer.fields if name in FRAMING]
    assert sorted(names) == ["connection", "content-length", "date", "server"]
    assert answer.field("connection") == "close"
    for name in fields.keys() & {"Date", "Server"}:
        assert answer.field(name) == fields[name]


async def test_a_renderer_cannot_refuse_by_a_status_that_refuses_nothing(
    serve: Serve, connect: Connect, expect_error_log: list[Any]
) -> None:
    slots = Slots()
    slots.render_error = lambda error, request: Response(status=204)
    client = await connect(await serve(hello, slots=slots))
    await client.send("what is this?\r\n\r\n")
    assert (await client.read_answer()).status == 400
    assert "refuses nothing" in str(expect_error_log[0].exc_info[1])


@pytest.mark.parametrize("waits", [False, True])
async def test_an_access_logger_that_fails_ends_the_connection_and_is_logged(
    serve: Serve, connect: Connect, expect_error_log: list[Any], waits: bool
) -> None:
    from corelet.abc import AbstractAccessLogger

    class Broken(AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            raise LookupError("broken logger")

    async def handler(request: Any) -> Response:
        if waits:
            await asyncio.sleep(0)
        return Response()

    served = await serve(handler, access_log_class=Broken)
    client = await connect(served)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.read_until_closed()
    await wait_for_connections(served, 0)
    assert expect_error_log[0].exc_info[0] is LookupError


# Peers that leave.


async def test_a_handler_goes_on_when_its_peer_has_gone(serve: Serve, connect: Connect) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def handler(request: Any) -> Response:
        started.set()
        await asyncio.sleep(0.1)
        ended.set()
        return Response()

    served = await serve(handler)
    client = await connect(served)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await started.wait()
    client.abort()
    await asyncio.wait_for(ended.wait(), 5)
    await wait_for_connections(served, 0)


@pytest.mark.parametrize("way", ["reset", "close", "close at once"])
async def test_with_handler_cancellation_a_handler_ends_when_its_peer_has_gone(
    serve: Serve, connect: Connect, way: str
) -> None:
    ended = asyncio.Event()
    started = asyncio.Event()

    async def handler(request: Any) -> Response:
        started.set()
        try:
            await asyncio.sleep(30)
        finally:
            ended.set()
        return Response()

    served = await serve(handler, handler_cancellation=True)
    client = await connect(served)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    if way == "close at once":
        await client.close()
    else:
        await started.wait()
    if way == "reset":
        client.abort()
    else:
        await client.close()
    if started.is_set():
        await asyncio.wait_for(ended.wait(), 5)
    await wait_for_connections(served, 0)


async def test_a_task_that_is_cancelled_before_its_first_step_leaves_no_connection(
    serve: Serve, connect: Connect
) -> None:
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[Any]] = []

    def make_cancelled(loop: Any, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **kwargs)
        if coroutine.__qualname__.startswith("Connection."):
            tasks.append(task)
            task.cancel()
        return task

    loop.set_task_factory(make_cancelled)
    try:
        served = await serve(hello)
        client = await connect(served)
        await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await client.is_closed(5)
        await wait_for_connections(served, 0)
    finally:
        loop.set_task_factory(None)
    assert tasks


async def test_a_task_factory_of_the_loop_makes_the_tasks_of_handlers(serve: Serve, connect: Connect) -> None:
    loop = asyncio.get_running_loop()
    made: list[Any] = []

    def make_noted(loop: Any, coroutine: Any, **kwargs: Any) -> asyncio.Task[Any]:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **kwargs)

    loop.set_task_factory(make_noted)
    try:
        client = await connect(await serve(hello))
        assert [(await client.get()).status for _ in range(3)] == [200] * 3
    finally:
        loop.set_task_factory(None)
    assert made.count("Connection._answer") == 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_a_request_knows_its_task_also_where_a_task_factory_starts_it_eagerly(
    serve: Serve, connect: Connect
) -> None:
    async def handler(request: Any) -> Response:
        return Response(text=str(request.task is asyncio.current_task()))

    def start_eagerly(loop: Any, coro: Any, **_: Any) -> Any:  # asyncio's own doesn't go with uvloop
        return asyncio.Task(coro, loop=loop, eager_start=True)  # type: ignore[call-arg]  # 3.12

    loop = asyncio.get_running_loop()
    loop.set_task_factory(start_eagerly)
    try:
        client = await connect(await serve(handler))
        assert [(await client.get()).text for _ in range(3)] == ["True"] * 3
    finally:
        loop.set_task_factory(None)


@pytest.mark.parametrize("way", ["reset", "half-close"])
async def test_a_handler_can_wait_for_its_peer_to_leave(serve: Serve, connect: Connect, way: str) -> None:
    noticed = asyncio.Event()

    async def handler(request: Any) -> Response:
        await request.wait_for_disconnection()
        await request.wait_for_disconnection()
        noticed.set()
        return Response()

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.02)
    assert not noticed.is_set()
    if way == "reset":
        client.abort()
    else:
        client.send_eof()
    await asyncio.wait_for(noticed.wait(), 5)


@pytest.mark.parametrize("error", [HTTPNotFound, OSError])
async def test_a_request_whose_handler_raises_is_gone_without_the_collectors_help(
    serve: Serve, connect: Connect, error: type[Exception]
) -> None:
    requests = []

    async def handler(request: Any) -> Response:
        requests.append(weakref.ref(request))
        try:
            raise KeyError
        except KeyError:
            raise error  # noqa: B904 -- as applications do

    silent = logging.getLogger("silent")
    silent.disabled = True  # pytest keeps what is logged
    client = await connect(await serve(handler, logger=silent))
    gc.disable()
    try:
        await client.get()
        await client.get()
        assert [request() for request in requests] == [None, None]
    finally:
        gc.enable()


async def test_waiting_for_a_peer_to_leave_again_and_again_holds_nothing(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        for _ in range(200):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(request.wait_for_disconnection(), 0)
            waiting = asyncio.ensure_future(request.wait_for_disconnection())
            await asyncio.sleep(0)
            waiting.cancel()
        await asyncio.sleep(0)
        gc.collect()
        loop = asyncio.get_running_loop()
        futures = [each for each in gc.get_objects() if type(each) is type(loop.create_future()) and each.cancelled()]
        return Response(text=str(len(futures)))

    client = await connect(await serve(handler))
    assert int((await client.get()).text) < 20


async def test_writing_to_a_peer_that_has_gone_raises_and_is_no_error_in_the_log(
    serve: Serve, connect: Connect
) -> None:
    raised: list[BaseException] = []
    ended = asyncio.Event()

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        await request.wait_for_disconnection()
        try:
            await asyncio.sleep(0.02)
            for _ in range(100):
                await response.write(b"x" * MIB)
        except ConnectionResetError as exc:
            raised.append(exc)
            raise
        finally:
            ended.set()
        return response

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.reader.readuntil(b"\r\n\r\n")
    client.abort()
    await asyncio.wait_for(ended.wait(), 5)
    assert len(raised) == 1


@pytest.mark.parametrize("body", ["small", "large", "stream", "exception"])
async def test_an_answer_to_a_peer_that_has_gone_is_dropped_in_silence(
    serve: Serve, connect: Connect, body: str
) -> None:
    ended = asyncio.Event()

    async def pieces() -> Any:
        for _ in range(20):
            yield b"x" * MIB

    async def handler(request: Any) -> Any:
        await request.wait_for_disconnection()
        await asyncio.sleep(0.02)
        ended.set()
        if body == "exception":
            raise HTTPNotFound
        return Response(body={"small": b"x", "large": b"x" * MIB, "stream": pieces()}[body])

    served = await serve(handler)
    client = await connect(served)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.02)
    client.abort()
    await asyncio.wait_for(ended.wait(), 5)
    await wait_for_connections(served, 0)


async def test_a_writer_that_waits_for_a_slow_peer_is_woken_when_it_leaves(serve: Serve, connect: Connect) -> None:
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * MIB)
        except BaseException as exc:
            ended.set_result(exc)
            raise

    served = await serve(handler)
    client = await connect(served, limit=1024)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.1)
    assert not ended.done()
    client.abort()
    assert type(await asyncio.wait_for(ended, 5)) is ConnectionResetError


async def test_a_reader_of_a_body_is_woken_when_its_peer_leaves(serve: Serve, connect: Connect) -> None:
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(request: Any) -> Response:
        try:
            await request.read()
        except BaseException as exc:
            ended.set_result(exc)
            raise
        return Response()

    client = await connect(await serve(handler))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
    await asyncio.sleep(0.02)
    client.abort()
    assert type(await asyncio.wait_for(ended, 5)) is ConnectionResetError


# What is held.


async def test_a_handler_that_writes_without_ever_waiting_is_held_to_the_buffer(serve: Serve, connect: Connect) -> None:
    sizes: list[int] = []

    async def handler(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        for _ in range(256):
            await response.write(b"x" * 32_768)
            sizes.append(request.connection.transport.get_write_buffer_size())
        return response

    served = await serve(handler)
    client = await connect(served, limit=1024)
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.sleep(0.2)
    assert len(sizes) < 256, "all was taken from the handler though the peer reads nothing"
    answer = await client.read_answer()
    assert len(answer.body) == 256 * 32_768
    assert max(sizes) < MIB


async def test_requests_to_random_paths_leave_nothing_behind(serve: Serve, connect: Connect) -> None:
    app = make_routed_app()
    app.router.add_get("/known/{name}", hello)
    client = await connect(await serve(app))

    async def ask(start: int, count: int) -> None:
        for burst in range(start, start + count, 50):
            heads = [f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n" for number in range(burst, burst + 25)]
            heads += [f"X{number} /known/{number} HTTP/1.1\r\nHost: a\r\n\r\n" for number in range(burst, burst + 25)]
            await client.send("".join(heads))
            answers = await client.read_answers(50)
            assert {answer.status for answer in answers} == {404, 405}

    await ask(0, 500)
    gc.collect()
    tracemalloc.start()
    try:
        await ask(1000, 500)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await ask(10_000, 2_000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 40_000, f"{grown} bytes more after 2,000 requests to paths and methods never seen before"


@pytest.mark.parametrize(("kind", "bytes_each"), [("silent", 6_000), ("idle", 9_000)])
async def test_a_connection_that_does_nothing_is_small(
    serve: Serve, connect: Connect, kind: str, bytes_each: int
) -> None:
    count = 300
    served = await serve(hello)

    def open_one() -> socket.socket:
        sock = socket.create_connection((served.host, served.port))
        sock.setblocking(False)
        return sock

    async def open_all(number: int) -> list[socket.socket]:
        loop = asyncio.get_running_loop()
        opened = []
        for _ in range(number):
            sock = open_one()
            opened.append(sock)
            await asyncio.sleep(0)
            if kind == "idle":
                await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert await loop.sock_recv(sock, 1000)
        return opened

    sockets = await open_all(10)
    tracemalloc.start()
    try:
        await wait_for_connections(served, 10)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        sockets += await open_all(count)
        await wait_for_connections(served, 10 + count)
        await asyncio.sleep(0.05)
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()
        for sock in sockets:
            sock.close()
    await wait_for_connections(served, 0)
    assert each < bytes_each, f"{each:.0f} bytes for each {kind} connection, both ends"


# Where answers start.


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks start eagerly from 3.12 on")
async def test_a_handler_that_never_waits_answers_within_the_reading_callback(serve: Serve, connect: Connect) -> None:
    turns: list[int] = []
    loop = asyncio.get_running_loop()

    async def handler(request: Any) -> Response:
        assert asyncio.current_task() is request.task
        loop.call_soon(turns.append, len(turns))
        return Response(text=str(len(turns)))

    client = await connect(await serve(handler))
    await client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
    assert [answer.text for answer in await client.read_answers(3)] == ["0"] * 3


async def test_context_variables_of_one_request_are_not_seen_by_the_next(serve: Serve, connect: Connect) -> None:
    import contextvars

    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

    async def handler(request: Any) -> Response:
        before = user.get()
        user.set(request.path)
        if request.path == "/waits":
            await asyncio.sleep(0)
        return Response(text=before)

    client = await connect(await serve(handler))
    for path in ("/one", "/waits", "/two", "/waits", "/three"):
        assert (await client.get(path)).text == "nobody"


async def test_a_request_knows_its_task_also_after_it_has_waited(serve: Serve, connect: Connect) -> None:
    async def handler(request: Any) -> Response:
        first = request.task
        await asyncio.sleep(0)
        assert request.task is first is asyncio.current_task()
        return Response()

    client = await connect(await serve(handler))
    assert (await client.get()).status == 200


@pytest.mark.parametrize("field", ["", "Connection: close\r\n"], ids=["kept", "closed"])
async def test_who_still_reads_a_body_when_its_handler_has_ended_gets_an_error(
    serve: Serve, connect: Connect, field: str
) -> None:
    readers = []

    async def handler(request: Any) -> Response:
        readers.append(asyncio.ensure_future(request.read()))
        await asyncio.sleep(0)
        return Response(text="done")

    client = await connect(await serve(handler))
    await client.send(f"POST / HTTP/1.1\r\nHost: a\r\n{field}Content-Length: 4\r\n\r\nab")
    assert (await client.read_answer()).text == "done"
    with pytest.raises(RequestPayloadError, match="handler has ended"):
        await asyncio.wait_for(readers[0], 5)


async def test_a_body_whose_reading_was_given_up_is_whole_for_the_next_one(serve: Serve, connect: Connect) -> None:
    given_up = asyncio.Event()

    async def handler(request: Any) -> Response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(request.read(), 0.05)
        given_up.set()
        return Response(body=await request.read())

    client = await connect(await serve(handler))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    await given_up.wait()
    await client.send("def")
    assert (await client.read_answer()).body == b"abcdef"


async def test_a_request_behind_another_is_answered_though_its_peer_ends_just_between_them(serve: Serve) -> None:
    ready, go_on = asyncio.Event(), asyncio.Event()
    served = await serve(hello)
    peer = socket.create_connection((served.host, served.port))

    async def handler(request: Any) -> Response:
        if request.path == "/1":
            ready.set()
            await go_on.wait()
            peer.shutdown(socket.SHUT_WR)
        elif request.path == "/2":
            await asyncio.sleep(0)
        return Response(text=request.path)

    served.server.handler = handler
    peer.setblocking(False)
    loop = asyncio.get_running_loop()
    received = b""
    try:
        heads = "".join(f"GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n" for number in (1, 2, 3))
        await loop.sock_sendall(peer, heads.encode())
        await ready.wait()
        go_on.set()
        while piece := await asyncio.wait_for(loop.sock_recv(peer, 65536), 5):
            received += piece
    finally:
        peer.close()
    assert received.count(b"200 OK") == 3
