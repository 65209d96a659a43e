"""Measure single steps in one process: ``python -m benchmarks.micro [WORD]`` runs those whose name has the word.

Least of several repeats, in microseconds; the two wires stand beside each other.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import timeit
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import uvloop
from multidict import CIMultiDict

from benchmarks.servers.arguments import ROUTES, make_route_paths
from benchmarks.servers.corelet_app import make_app
from corelet import web
from corelet.abc import END_OF_MESSAGE
from corelet.hdrs import HttpVersion11

REPEATS: Final = 5
SMALL_HEAD: Final = b"GET / HTTP/1.1\r\nHost: localhost:8080\r\n\r\n"
BROWSER_HEAD: Final = (
    b"GET /articles/42?page=3&sort=date HTTP/1.1\r\nHost: www.example.com\r\nConnection: keep-alive\r\n"
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0 Safari/537.36\r\n"
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    b"Cache-Control: max-age=0\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
    b"Referer: https://www.example.com/articles\r\n"
    b"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"
)
CHUNKED: Final = (
    b"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    + (b"1000\r\n" + bytes(4096) + b"\r\n") * 15
    + b"0\r\n\r\n"
)
AUTOMATIC: Final = b"Date: Mon, 23 Nov 2026 09:00:00 GMT\r\nServer: corelet\r\n"

Step = tuple[str, Callable[[], object]]


def make_parsing(wire: Any, message: bytes) -> Callable[[], None]:
    """Make a step: parse one message on a parser that lives on, as a keep-alive connection does."""
    parser = wire.RequestParser()

    def parse() -> None:
        parser.feed_data(message)
        while parser.next_event() is not END_OF_MESSAGE:
            pass

    return parse


def make_wire_steps(implementation: str) -> Iterator[Step]:
    """Make the steps of one wire, ``_fast`` or ``_pure``."""
    wire = importlib.import_module(f"corelet.{implementation}")
    status_line = wire.make_status_line(HttpVersion11, 200, "OK")
    headers = CIMultiDict({"X-Request-Id": "0123456789abcdef", "Cache-Control": "no-store"})
    plain = "text/plain; charset=utf-8"
    yield f"parse small head, {implementation}", make_parsing(wire, SMALL_HEAD)
    yield f"parse browser's head, {implementation}", make_parsing(wire, BROWSER_HEAD)
    yield f"parse 15 chunks of 4 KiB, {implementation}", make_parsing(wire, CHUNKED)
    yield (
        f"serialize head without fields, {implementation}",
        lambda: wire.serialize_response_head(status_line, None, plain, 13, AUTOMATIC, b"Hello, World!"),
    )
    yield (
        f"serialize head with two fields, {implementation}",
        lambda: wire.serialize_response_head(status_line, headers, plain, 13, AUTOMATIC, b"Hello, World!"),
    )


class Asked(NamedTuple):
    """What a router asks of a request."""

    method: str
    match_path: str


async def answer(request: object) -> web.Response:
    """Answer nothing: lookups end before it."""
    return web.Response()


def make_lookup(router: web.UrlDispatcher, path: str) -> Callable[[], None]:
    """Make a step: find who answers a path, as the server does; nothing in it waits."""
    asked = Asked("GET", path)

    def look_up() -> None:
        if router.find(asked) is None:
            raise AssertionError("the lookup has to wait")

    return look_up


def make_router_steps() -> Iterator[Step]:
    """Make lookups among the routes that the servers are measured with."""
    for shape, prefix in (("routes", ""), ("nested-routes", "/acme")):
        router = web.UrlDispatcher()
        for path in make_route_paths(shape):
            router.add_get(path, answer)
        router.add_get("/about", answer)
        router.freeze()
        yield f"find first of {ROUTES:,} {shape}", make_lookup(router, f"{prefix}/r0/7")
        yield f"find last of {ROUTES:,} {shape}", make_lookup(router, f"{prefix}/r{ROUTES - 1}/7")
        yield f"find a plain one beside {ROUTES:,} {shape}", make_lookup(router, "/about")
        yield f"find none of {ROUTES:,} {shape}", make_lookup(router, f"{prefix}/none/7")


def make_object_steps() -> Iterator[Step]:
    """Make the steps that applications take."""
    yield "make a text response", lambda: web.Response(text="Hello, World!")
    yield "make a JSON response", lambda: web.json_response({"id": 42, "name": "alice"})


class Discard(asyncio.Transport):
    """A transport that takes everything and sends nothing: what is left of a request without sockets."""

    def __init__(self) -> None:
        super().__init__()
        self.last = b""

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.last = bytes(data)

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return


async def make_answering(shape: str, target: str) -> Callable[[], None]:
    """Make a step: one request from its bytes to the bytes of its answer, within one call."""
    runner = web.AppRunner(make_app(shape), access_log=None)
    await runner.setup()
    assert runner.server is not None
    connection = runner.server()
    transport = Discard()
    connection.connection_made(transport)
    request = f"GET {target} HTTP/1.1\r\nHost: localhost:8080\r\nX-Client: bench\r\n\r\n".encode()

    def answer_one() -> None:
        connection.data_received(request)

    answer_one()
    if not transport.last.startswith(b"HTTP/1.1 200 OK"):
        raise AssertionError(f"answered {transport.last!r} within the call")
    return answer_one


async def make_answer_steps() -> list[Step]:
    """Make the steps that take a whole request without sockets; handlers end within a call from Python 3.12 on."""
    if not hasattr(asyncio, "eager_task_factory"):
        print("whole requests are left out: before Python 3.12 handlers start in the loop's next turn")
        return []
    return [
        ("answer hello, no socket", await make_answering("plain", "/")),
        ("answer json, no socket", await make_answering("plain", "/users/42?verbose=yes")),
        ("answer through two middlewares, no socket", await make_answering("middlewares", "/")),
        ("answer hello, left alone by compression_middleware", await make_answering("compression", "/")),
        ("answer in a sub-application, no socket", await make_answering("subapp", "/sub/user")),
        ("the same by a path parameter, no socket", await make_answering("subapp", "/sub/users/7")),
    ]


def find_steps() -> Iterator[Step]:
    """Find all steps but whole requests; those of a wire that was not built are left out, and said to be."""
    for implementation in ("_fast", "_pure"):
        try:
            yield from make_wire_steps(implementation)
        except ImportError as error:
            print(f"{implementation} is left out: {error}")
    yield from make_router_steps()
    yield from make_object_steps()


async def main() -> None:
    """Measure and print, in a loop, since whole requests need one."""
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    for name, step in [*find_steps(), *await make_answer_steps()]:
        if word in name:
            timer = timeit.Timer(step)
            count, _ = timer.autorange()
            print(f"{name:45} {min(timer.repeat(REPEATS, count)) / count * 1e6:9.3f} µs", flush=True)


if __name__ == "__main__":
    uvloop.run(main())
