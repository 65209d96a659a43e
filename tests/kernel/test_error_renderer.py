from __future__ import annotations

import json
from typing import Any

import pytest

from corelet import hookimpl
from corelet.app import Application
from corelet.error_renderer import MAX_DETAIL_CHARACTERS, make_error_renderer, render_error
from corelet.errors import HeadTooLarge, RemoteProtocolError, RequestPayloadError, TargetTooLong
from corelet.response import Response

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
SECRET = "<script>alert('secret')</script>"


async def fail(request: Any) -> Response:
    raise RuntimeError(SECRET + "\ud800")


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain"),
        ("*/*", "text/plain"),
        ("text/*", "text/plain"),
        ("image/png", "text/plain"),
        ("text/html;q=0", "text/plain"),
        (BROWSER, "text/html"),
        ("text/html, application/json", "text/html"),
        ("application/json, text/plain, */*", "application/json"),
        ("application/*", "application/json"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("text/html;q=0.1, */*", "text/plain"),
        ("TEXT/HTML", "text/html"),
    ],
)
async def test_form_follows_accept(serve, connect, expect_error_log, accept, content_type):
    client = await connect(await serve(fail))
    answer = await client.get(fields=f"Accept: {accept}\r\n" if accept else "")
    assert answer.status == 500
    assert answer.field("Content-Type") == f"{content_type}; charset=utf-8"
    assert answer.field("X-Content-Type-Options") == "nosniff"


async def test_plain_text_says_status_and_reason(serve, connect, expect_error_log):
    client = await connect(await serve(fail))
    assert (await client.get()).text == "500: Internal Server Error"


async def test_json_has_the_members_of_problem_details(serve, connect, expect_error_log):
    client = await connect(await serve(fail))
    answer = await client.get(fields="Accept: application/json\r\n")
    assert json.loads(answer.body) == {"status": 500, "title": "Internal Server Error"}


@pytest.mark.parametrize("accept", [BROWSER, "application/json", "*/*"])
async def test_nothing_of_the_error_is_shown_outside_debug(serve, connect, expect_error_log, accept):
    client = await connect(await serve(fail))
    answer = await client.get("/<script>", fields=f"Accept: {accept}\r\n")
    assert "script" not in answer.text
    assert "Traceback" not in answer.text


async def test_a_088_debug_shows_the_traceback_as_escaped_html(serve, connect, expect_error_log):
    client = await connect(await serve(fail, debug=True))
    answer = await client.get(fields=f"Accept: {BROWSER}\r\n")
    assert "Traceback (most recent call last)" in answer.text
    assert "&lt;script&gt;alert(&#x27;secret&#x27;)&lt;/script&gt;\\ud800" in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
async def test_debug_shows_the_traceback_in_every_form(serve, connect, expect_error_log, accept):
    client = await connect(await serve(fail, debug=True))
    answer = await client.get(fields=f"Accept: {accept}\r\n")
    detail = json.loads(answer.body)["detail"] if accept == "application/json" else answer.text
    assert "Traceback (most recent call last)" in detail
    assert SECRET in detail


async def test_debug_shows_what_plugins_report_below_the_traceback(serve, connect, expect_error_log):
    class Pool:
        @hookimpl
        def corelet_report(self, app):
            return [f"3 of <10> connections of {type(app).__name__} are busy"]

    async def answer(request):
        raise LookupError("x")

    client = await connect(await serve(Application(handler=answer, plugins=[Pool()], debug=True)))
    assert (await client.get()).text.endswith(
        "LookupError: x\n\nplugin Pool:\n  3 of <10> connections of Application are busy"
    )
    page = (await client.get(fields=f"Accept: {BROWSER}\r\n")).text
    assert "LookupError: x\n\nplugin Pool:\n  3 of &lt;10&gt; connections" in page
    hidden = await connect(await serve(Application(handler=answer, plugins=[Pool()])))
    assert (await hidden.get()).text == "500: Internal Server Error"


def test_details_are_cut():
    text = render_error(500, "Internal Server Error", ValueError("x" * 10**6), None, debug=True).text
    assert len(text) < MAX_DETAIL_CHARACTERS + 100


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RemoteProtocolError("bad"), 400),
        (RemoteProtocolError("late", 408), 408),
        (TargetTooLong("long"), 414),
        (HeadTooLarge("large"), 431),
        (RequestPayloadError("cut"), 400),
        (ValueError("ours"), 500),
    ],
)
def test_status_says_who_broke_what(error, status):
    assert make_error_renderer(debug=False)(error, None).status == status


async def test_a_089_a_malformed_request_is_not_repeated(serve, connect):
    client = await connect(await serve(fail))
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad<script> Name: x\r\n\r\n")
    answer = await client.read_answer()
    assert (answer.status, answer.text) == (400, "400: Bad Request")
    assert await client.is_closed()


async def test_debug_says_what_was_malformed_in_plain_text(serve, connect):
    client = await connect(await serve(fail, debug=True))
    await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nBad<script> Name: x\r\n\r\n")
    answer = await client.read_answer()
    assert answer.text.startswith("400: Bad Request\n\nRemoteProtocolError: ")
    assert answer.field("Content-Type") == "text/plain; charset=utf-8"
    assert len(answer.body) < 10_000
