from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from typing import Any

import pytest

from corelet.access_logger import DEFAULT_FORMAT, AccessLogger, JsonAccessLogger, escape
from corelet.response import Response, StreamResponse


class Log(logging.Logger):
    """A logger that keeps its records."""

    def __init__(self, level: int = logging.INFO) -> None:
        super().__init__("tests.access", level)
        self.records: list[logging.LogRecord] = []

    def handle(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    async def wait_for_lines(self, count: int = 1) -> list[str]:
        """An answer is logged when it has ended, which its peer may see first."""
        async with asyncio.timeout(5):
            while len(self.records) < count:  # noqa: ASYNC110 -- records have no event
                await asyncio.sleep(0.005)
        return [record.getMessage() for record in self.records]


@pytest.fixture
def log() -> Log:
    return Log()


async def hello(request: Any) -> Response:
    return Response(text="hello", headers={"X-Answer": 'a"b'})


async def test_default_format_is_the_combined_one(serve, peer, log):
    served = await serve(hello, access_log=log)
    await peer.get(served.url / "a", params={"b": "1"}, headers={"Referer": "http://r/", "User-Agent": "test/1"})
    line = (await log.wait_for_lines())[0]
    assert re.fullmatch(
        r"127\.0\.0\.1 \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        r'"GET /a\?b=1 HTTP/1\.1" 200 5 "http://r/" "test/1"',
        line,
    )


async def test_every_code_gives_its_value(serve, peer, log):
    served = await serve(
        hello, access_log=log, access_log_format="%% %P %s %b %T %Tf %D %{X-Ask}i %{X-Answer}o %{X-None}i"
    )
    await peer.get(served.url, headers={"X-Ask": "q"})
    line = (await log.wait_for_lines())[0]
    assert re.fullmatch(rf'% <{os.getpid()}> 200 5 0 0\.\d{{6}} \d+ q a\\"b -', line)


async def test_records_carry_the_values_under_names(serve, peer, log):
    served = await serve(hello, access_log=log, access_log_format="%a %r %s %{X-Ask}i %{Host}i %{X-Answer}o")
    await peer.get(served.url, headers={"X-Ask": "q", "Host": "h"})
    await log.wait_for_lines()
    record = vars(log.records[0])
    assert record["remote_address"] == "127.0.0.1"
    assert record["first_request_line"] == "GET / HTTP/1.1"
    assert record["response_status"] == "200"
    assert record["request_header"] == {"X-Ask": "q", "Host": "h"}
    assert record["response_header"] == {"X-Answer": 'a\\"b'}


async def test_bytes_count_what_a_stream_sent(serve, peer, log):
    async def stream(request: Any) -> StreamResponse:
        response = StreamResponse()
        await response.prepare(request)
        await response.write(b"x" * 1000)
        await response.write(b"y" * 500)
        return response

    served = await serve(stream, access_log=log, access_log_format="%b")
    await (await peer.get(served.url)).read()
    assert await log.wait_for_lines() == ["1500"]


async def test_a_087_a_peer_cannot_forge_or_split_a_line(serve, connect, log):
    served = await serve(hello, access_log=log)
    client = await connect(served)
    await client.send(b'GET /%0d%0aFAKE"x HTTP/1.1\r\nHost: a\r\nUser-Agent: a"\\b\xe2\x80\xa8\x9b2J\xff\r\n\r\n')
    await client.read_answer()
    line = (await log.wait_for_lines())[0]
    assert line.isprintable()
    assert '"GET /%0d%0aFAKE\\"x HTTP/1.1" 200' in line
    assert '"a\\"\\\\b\\u2028' in line


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("plain é 漢", "plain é 漢"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ('"\\', '\\"\\\\'),
        ("\x85\u2028\u202e", "\\x85\\u2028\\u202e"),
        ("\udcff", "\\xff"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_escapes_show_what_cannot_be_printed(value, escaped):
    assert escape(value) == escaped
    assert escape(value).isprintable()


@pytest.mark.parametrize(
    ("log_format", "code"),
    [("%a %q", "%q"), ("%{X}q", "%{X}q"), ("%{a b}i", "%{a b}i"), ("100%", "%"), ("%{X", "%{")],
)
def test_an_unknown_code_is_named(log_format, code):
    with pytest.raises(ValueError, match=re.escape(repr(code))):
        AccessLogger(logging.getLogger("tests"), log_format)


@pytest.mark.parametrize("made", [AccessLogger, JsonAccessLogger])
def test_is_enabled_by_the_loggers_level(made):
    assert made(Log(logging.INFO), DEFAULT_FORMAT).enabled
    assert not made(Log(logging.WARNING), DEFAULT_FORMAT).enabled


async def test_a_log_switched_off_is_never_asked_for_a_line(serve, peer):
    class Failing(AccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            raise AssertionError("asked")

    served = await serve(hello, access_log=Log(logging.WARNING), access_log_class=Failing)
    assert (await peer.get(served.url)).status == 200


async def test_json_lines_have_the_facts_of_an_answer(serve, peer, log):
    served = await serve(hello, access_log=log, access_log_class=JsonAccessLogger)
    await peer.get(served.url / "a", headers={"User-Agent": "test/1"})
    said = json.loads((await log.wait_for_lines())[0])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said.pop("time"))
    assert 0 <= said.pop("seconds") < 10
    assert said == {
        "remote": "127.0.0.1",
        "method": "GET",
        "target": "/a",
        "status": 200,
        "bytes": 5,
        "referer": None,
        "user_agent": "test/1",
    }


async def test_json_lines_are_one_line_of_ascii(serve, connect, log):
    served = await serve(hello, access_log=log, access_log_class=JsonAccessLogger)
    client = await connect(served)
    await client.send(b'GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: "\\\xe2\x80\xa8\xff\r\n\r\n')
    await client.read_answer()
    line = (await log.wait_for_lines())[0]
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["user_agent"] == '"\\\u2028\udcff'
