"""No input costs more than its size: time and memory of both wires grow with what is fed, however it is cut."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from corelet.limits import Limits

#: Times 8 the input may take this many times the time: 8 is linear, 64 quadratic.
FACTOR = 8
MOST_GROWTH = 24
WIDE = Limits(
    max_line_bytes=1 << 28,
    max_field_bytes=1 << 28,
    max_fields=1 << 20,
    max_head_bytes=1 << 28,
    max_chunk_line_bytes=1 << 28,
)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def by_byte(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


INPUTS: dict[str, Callable[[int], list[bytes]]] = {
    "a field byte by byte": lambda n: [GET, b"X: ", *by_byte(b"v" * n)],
    "a name byte by byte": lambda n: [GET, *by_byte(b"n" * n)],
    "white space byte by byte": lambda n: [GET, b"X: ", *by_byte(b" \t" * (n // 2)), b"\r\n"],
    "a target byte by byte": lambda n: [b"GET ", *by_byte(b"/%20" * (n // 4)), b" HTTP/1.1\r\n"],
    "fields byte by byte": lambda n: [GET, *by_byte(b"X:y\r\n" * (n // 5)), b"\r\n"],
    "fields at once": lambda n: [GET + b"X:y\r\n" * n + b"\r\n"],
    "chunks of one byte": lambda n: [POST + b"1\r\nx\r\n" * n],
    "chunks of one byte, byte by byte": lambda n: [POST, *by_byte(b"1\r\nx\r\n" * (n // 6))],
    "an extension": lambda n: [POST, *by_byte(b'1;a="' + b"\\x" * (n // 2) + b'"')],
    "trailers byte by byte": lambda n: [POST, b"0\r\n", *by_byte(b"X:y\r\n" * (n // 5))],
    "a body byte by byte": lambda n: [GET + b"Content-Length: 999999999\r\n\r\n", *by_byte(b"x" * n)],
    "requests at once": lambda n: [(GET + b"\r\n") * (n // 10)],
    "options of a connection": lambda n: [GET + b"Connection: " + b"," * n + b"\r\n\r\n"],
    "reads that wait": lambda n: [GET + b"Content-Length: 999999999\r\n\r\n", *[b"x"] * n],
}


def measure(wire: ModuleType, pieces: list[bytes], *, waits: bool) -> float:
    parser: Any = wire.RequestParser(WIDE)
    begin = time.process_time()
    for piece in pieces:
        parser.feed_data(piece)
        assert parser.buffered >= 0
        while not waits and parser.next_event() is not None:
            pass
    while parser.next_event() is not None:
        pass
    return time.process_time() - begin


@pytest.mark.parametrize("name", INPUTS)
def test_time_grows_with_input(wire: ModuleType, name: str) -> None:
    size = 40_000 if wire.IMPLEMENTATION == "fast" else 4_000
    make, waits = INPUTS[name], name == "reads that wait"
    small = min(measure(wire, make(size), waits=waits) for _ in range(3))
    large = min(measure(wire, make(size * FACTOR), waits=waits) for _ in range(2))
    assert large < MOST_GROWTH * max(small, 0.0005), f"{small:.4f} s, times {FACTOR}: {large:.4f} s"


def test_a_million_chunks_of_one_byte_are_read(wire: ModuleType) -> None:
    count = 1_000_000 if wire.IMPLEMENTATION == "fast" else 20_000
    parser = wire.RequestParser()
    parser.feed_data(POST + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
    parser.next_event()
    assert parser.next_event() == b"x" * count


def run_alone(program: str) -> str:
    """What a program prints that has a process of its own."""
    return subprocess.check_output([sys.executable, "-c", textwrap.dedent(program)], text=True, timeout=100)


def test_idle_parser_holds_little(wire: ModuleType) -> None:
    name = wire.__name__
    program = f"""
        import tracemalloc
        from {name} import RequestParser
        request = b"GET / HTTP/1.1\\r\\nHost: a\\r\\nX: " + b"y" * 5000 + b"\\r\\n\\r\\n"
        def serve(parser):
            for piece in (request, request[:3000], request[3000:]):
                parser.feed_data(piece)
                while parser.next_event() is not None:
                    pass
        serve(RequestParser())
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        parsers = [RequestParser() for _ in range(1000)]
        for parser in parsers:
            serve(parser)
        print((tracemalloc.get_traced_memory()[0] - before) // 1000)
    """
    assert int(run_alone(program)) < (300 if wire.IMPLEMENTATION == "fast" else 600)


def test_small_reads_that_wait_hold_about_their_size(wire: ModuleType) -> None:
    program = f"""
        import tracemalloc
        from {wire.__name__} import RequestParser
        parser = RequestParser()
        tracemalloc.start()
        for _ in range(100_000):
            parser.feed_data(bytes(2))
        print(tracemalloc.get_traced_memory()[0], parser.buffered)
    """
    held, fed = map(int, run_alone(program).split())
    assert (held < 1.2 * fed, fed) == (True, 200_000)


def test_parser_leaks_nothing(wire: ModuleType) -> None:
    program = f"""
        import gc, tracemalloc
        from {wire.__name__} import RequestParser, ResponseParser, serialize_response_head
        from corelet.errors import ProtocolError
        GET = b"GET /a?b HTTP/1.1\\r\\nHost: a\\r\\n"
        many = GET + b"X: y\\r\\n" * 60
        inputs = [GET + b"\\r\\n", many + b"\\r\\n", many, many + b"\\0", b"\\0",
                  GET + b"Content-Length: 9\\r\\n\\r\\nxx",
                  GET + b"Transfer-Encoding: chunked\\r\\n\\r\\n1\\r\\nx\\r\\n2\\r\\nyy\\r\\n0\\r\\nA: b\\r\\n\\r\\n"]
        def use(data, pieces):
            parser = RequestParser()
            try:
                for at in range(0, len(data), pieces):
                    parser.feed_data(data[at:at + pieces])
                    while (event := parser.next_event()) is not None:
                        if hasattr(event, "headers"):
                            event.headers, event.raw_headers, event.path, event.query, event.host, event.target
            except ProtocolError:
                pass
        def write():
            for value in ("v", "\\udcff", "\\0"):
                try:
                    headers = dict.fromkeys(map("X{{}}".format, range(30)), value)
                    serialize_response_head(b"", headers, "a/b", 1, b"", b"x")
                except ProtocolError:
                    pass
        def round():
            for data in inputs:
                for pieces in (1, 7, len(data)):
                    use(data, pieces)
            write()
        tracemalloc.start()
        for _ in range(10):
            round()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(50):
            round()
        gc.collect()
        print(tracemalloc.get_traced_memory()[0] - before)
    """
    assert int(run_alone(program)) < 5000
