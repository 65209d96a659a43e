"""The same handlers on corelet and on aiohttp: the same answers, and each difference with its reason.

A handler gets the request and the ``web`` module of the server that it runs on. Compared are status, reason, fields
(without Date, Server and the framing that HTTP/1.0 leaves open) and body; of two 500s only the status.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import aiohttp
import aiohttp.web
import pytest

from corelet import web
from tests.conftest import Connect, Serve, Served
from tests.raw_client import Answer

Handler = Callable[[Any, Any], Awaitable[Any]]

HANDLERS: dict[str, Handler] = {}
REQUESTS: dict[str, tuple[bytes, ...]] = {}

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_1_0 = b"GET / HTTP/1.0\r\nHost: a\r\n\r\n"
GET_1_0_KEPT = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
FORM = "Content-Type: application/x-www-form-urlencoded"


def target(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode("latin-1")


def fields(*lines: str) -> bytes:
    return "\r\n".join(["GET / HTTP/1.1", "Host: a", *lines, "", ""]).encode("latin-1")


def post(body: bytes, *lines: str, method: str = "POST") -> bytes:
    head = "\r\n".join([f"{method} / HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *lines, "", ""])
    return head.encode("latin-1") + body


def asked(*requests: bytes) -> Callable[[Handler], Handler]:
    """Register a handler with the requests to ask it."""

    def register(handler: Handler) -> Handler:
        name = handler.__name__
        HANDLERS[name] = handler
        REQUESTS[name] = requests
        return handler

    return register


def made(name: str, make: Callable[[Any], Any], *requests: bytes) -> None:
    """Register a handler that returns what ``make`` makes with the ``web`` module."""

    async def handler(request: Any, web: Any) -> Any:
        return make(web)

    handler.__name__ = name
    asked(*(requests or (GET, HEAD, GET_1_0, GET_1_0_KEPT)))(handler)


def changed(name: str, change: Callable[[Any], Any], **arguments: Any) -> None:
    """Register a handler that returns a response that ``change`` has changed."""

    def make(web: Any) -> Any:
        response = web.Response(**{"text": "x", **arguments})
        change(response)
        return response

    made(name, make)


def seen(*requests: bytes) -> Callable[[Callable[[Any], Awaitable[Any]]], None]:
    """Register what looks at the request: its result, or the class of its exception, is the answer."""

    def register(look: Callable[[Any], Awaitable[Any]]) -> None:
        async def handler(request: Any, web: Any) -> Any:
            try:
                result = await look(request)
            except web.HTTPException:
                raise
            except Exception as exc:  # noqa: BLE001 -- compared
                result = type(exc).__name__
            return web.Response(text=repr(result))

        handler.__name__ = look.__name__
        asked(*requests)(handler)

    return register


# Responses.


async def _pieces() -> AsyncIterator[bytes]:
    yield b"a"
    yield b"bc"


made("text", lambda web: web.Response(text="hé"))
made("nothing", lambda web: web.Response())
made("bytes", lambda web: web.Response(body=b"abc"))
made("bytearray", lambda web: web.Response(body=bytearray(b"abc")))
made("memoryview", lambda web: web.Response(body=memoryview(b"abc")))
made("str", lambda web: web.Response(body="abc"))
made("str_of_a_type", lambda web: web.Response(body="abc", content_type="text/html"))
made("bytes_io", lambda web: web.Response(body=io.BytesIO(b"abc")))
made("string_io", lambda web: web.Response(body=io.StringIO("abc")))
made("async_generator", lambda web: web.Response(body=_pieces()))
made("content_type", lambda web: web.Response(text="x", content_type="text/html"))
made("charset", lambda web: web.Response(text="hé", charset="Latin-1"))
made("type_and_charset", lambda web: web.Response(body=b"x", content_type="text/html", charset="utf-8"))
made("charset_of_bytes", lambda web: web.Response(body=b"x", charset="utf-8"))
made("type_field", lambda web: web.Response(text="hé", headers={"Content-Type": "text/html; charset=latin-1"}))
made("type_field_without_charset", lambda web: web.Response(text="hé", headers={"Content-Type": "text/html"}))
made("type_field_of_bytes", lambda web: web.Response(body=b"x", headers={"Content-Type": "text/html"}))
made("type_of_nothing", lambda web: web.Response(content_type="text/html"))
made("json", lambda web: web.json_response({"a": 1}))
made("json_text", lambda web: web.json_response(text="{}"))
made("json_body", lambda web: web.json_response(body=b"{}"))
made("json_null", lambda web: web.json_response(None))
made("json_nothing", lambda web: web.json_response())
made("json_bytes", lambda web: web.json_bytes_response([1], dumps=lambda data: json.dumps(data).encode()))
made("reason", lambda web: web.Response(reason="Fine"))
made("empty_reason", lambda web: web.Response(reason=""))
made("reason_beyond_ascii", lambda web: web.Response(reason="Fïne"))
made("repeated_fields", lambda web: web.Response(headers=[("X-A", "1"), ("X-A", "2")]))
made("field_beyond_ascii", lambda web: web.Response(headers={"X-A": "é€"}))
made("hop_by_hop_fields", lambda web: web.Response(headers={"Connection": "keep-alive", "Keep-Alive": "timeout=5"}))
made("length_for_head", lambda web: web.Response(headers={"Content-Length": "123"}), HEAD, GET)
made("found", lambda web: web.HTTPFound("/x"))
made("method_not_allowed", lambda web: web.HTTPMethodNotAllowed("GET", ["POST", "PUT"]))
made("body_and_text", lambda web: web.Response(text="a", body=b"a"), GET)
made("two_types", lambda web: web.Response(text="a", content_type="a/b", headers={"Content-Type": "a/b"}), GET)
made("charset_in_type", lambda web: web.Response(text="a", content_type="text/html; charset=utf-8"), GET)
made("text_of_bytes", lambda web: web.Response(text=b"a"), GET)
made("body_of_int", lambda web: web.Response(body=5), GET)
made("body_of_dict", lambda web: web.Response(body={"a": 1}), GET)
made("status_as_text", lambda web: web.Response(status="404"), GET)
for _status in (200, 201, 204, 205, 206, 299, 304, 404, 418, 500, 599, 999):
    made(f"status_{_status}", lambda web, status=_status: web.Response(status=status))
    made(
        f"stream_of_status_{_status}", lambda web, status=_status: web.StreamResponse(status=status), GET, HEAD, GET_1_0
    )
for _name in ("HTTPOk", "HTTPNoContent", "HTTPResetContent", "HTTPNotModified", "HTTPBadRequest", "HTTPNotFound"):
    made(f"returned_{_name}", lambda web, name=_name: getattr(web, name)())

changed("cookie", lambda response: response.set_cookie("a", "b"))
changed("cookie_max_age", lambda response: response.set_cookie("a", "b", max_age="5", secure=False, httponly=False))
changed("cookie_of_no_age", lambda response: response.set_cookie("a", "b", max_age=0))
changed("cookie_without_path", lambda response: response.set_cookie("a", "b", path=""))
changed("cookie_quoted", lambda response: response.set_cookie("a", 'b"c;d,é\\'))
changed("cookies", lambda response: [response.set_cookie(name, name) for name in "aba"])
changed("cookie_with_all", lambda r: r.set_cookie("a", "b", domain="x.y", httponly=True, samesite="Lax", secure=True))
changed("cookie_deleted", lambda response: response.del_cookie("a"))
changed("etag", lambda response: setattr(response, "etag", "abc"))
changed("etag_unset", lambda response: [setattr(response, "etag", value) for value in ("a", None)])
changed("etag_star", lambda response: setattr(response, "etag", "*"))
changed("etag_unquotable", lambda response: setattr(response, "etag", 'a"b'))
_TIME = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
changed("modified", lambda response: setattr(response, "last_modified", _TIME))
changed("modified_naive", lambda response: setattr(response, "last_modified", _TIME.replace(tzinfo=None)))
changed("modified_zone", lambda r: setattr(r, "last_modified", _TIME.astimezone(timezone(timedelta(hours=5)))))
changed("modified_float", lambda response: setattr(response, "last_modified", 1577934245.2))
changed("modified_text", lambda response: setattr(response, "last_modified", "Thu, 02 Jan 2020 03:04:05 GMT"))
changed("chunked", lambda response: response.enable_chunked_encoding())
changed("closed", lambda response: response.force_close())
changed("connection_close", lambda response: response.headers.update({"Connection": "close"}))
changed("upgrade_field", lambda response: response.headers.update({"Connection": "Upgrade", "Upgrade": "h2c"}))
changed("date_field", lambda response: response.headers.update({"Date": "Thu, 02 Jan 2020 03:04:05 GMT"}))
changed("right_length_field", lambda response: response.headers.update({"Content-Length": "1"}))
changed("wrong_length_field", lambda response: response.headers.update({"Content-Length": "5"}))
changed("transfer_encoding_field", lambda response: response.headers.update({"Transfer-Encoding": "chunked"}))
changed("type_removed", lambda response: response.headers.pop("Content-Type"))
changed("type_set", lambda response: setattr(response, "content_type", "text/html"))
changed("charset_set", lambda response: setattr(response, "charset", "latin-1"))
changed("charset_unset", lambda response: setattr(response, "charset", None))
changed("text_set", lambda response: setattr(response, "text", "longer é"))
changed("body_set", lambda response: setattr(response, "body", b"longer"))
changed("body_unset", lambda response: setattr(response, "body", None))
changed("status_set", lambda response: response.set_status(404, "Gone away"))
changed("length_set", lambda response: setattr(response, "content_length", 5))


@asked(GET, HEAD, GET_1_0, GET_1_0_KEPT)
async def stream(request: Any, web: Any) -> Any:
    response = web.StreamResponse()
    await response.prepare(request)
    for piece in (b"ab", bytearray(b"c"), memoryview(b"d"), b""):
        await response.write(piece)
    await response.write_eof(b"e")
    return response


@asked(GET, GET_1_0)
async def stream_without_an_end(request: Any, web: Any) -> Any:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"ab")
    return response


@asked(GET, HEAD, GET_1_0, GET_1_0_KEPT)
async def stream_of_known_length(request: Any, web: Any) -> Any:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    response.content_length = 3
    await response.prepare(request)
    await response.write_eof(b"abc")
    return response


@asked(GET, GET_1_0)
async def stream_passed_on_by_a_proxy(request: Any, web: Any) -> Any:
    response = web.StreamResponse(headers={"Transfer-Encoding": "chunked"})
    await response.prepare(request)
    await response.write_eof(b"abc")
    return response


@asked(GET)
async def response_prepared_by_hand(request: Any, web: Any) -> Any:
    response = web.Response(text="abc")
    await response.prepare(request)
    await response.write_eof()
    await response.write_eof()
    assert await response.prepare(request) is None
    return response


@asked(GET)
async def response_left_to_the_server_half_way(request: Any, web: Any) -> Any:
    response = web.Response(text="abc")
    await response.prepare(request)
    return response


@asked(GET)
async def stream_whose_handler_returns_nothing(request: Any, web: Any) -> Any:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write_eof(b"abc")


@asked(GET)
async def stream_through_a_clone(request: Any, web: Any) -> Any:
    response = web.StreamResponse()
    await response.prepare(request.clone(rel_url="/other"))
    await response.write_eof(b"abc")
    return response


@asked(GET)
async def written_too_early(request: Any, web: Any) -> Any:
    response = web.StreamResponse()
    await response.write(b"abc")
    return response


@asked(GET)
async def closed_after_the_head(request: Any, web: Any) -> Any:
    response = web.StreamResponse()
    await response.prepare(request)
    response.force_close()
    return response


@asked(GET)
async def facts_of_responses(request: Any, web: Any) -> Any:
    stream, text, nothing = web.StreamResponse(), web.Response(text="a"), web.Response()
    facts: list[Any] = [stream.prepared, stream.chunked, stream.compression, stream.keep_alive, stream.content_type]
    facts += [stream.charset, stream.content_length, stream.last_modified, stream.etag, stream.status, stream.reason]
    facts += [text.body, text.text, text.content_length, text.charset, text.content_type, dict(text.headers)]
    facts += [nothing.body, nothing.text, nothing.content_length, nothing.charset, nothing.content_type]
    facts += [len(text), bool(text), list(text), text == text, text != nothing]
    await stream.prepare(request)
    facts += [stream.prepared, stream.keep_alive]
    await stream.write_eof(repr(facts).encode())
    return stream


@asked(GET)
async def raised(request: Any, web: Any) -> Any:
    raise web.HTTPConflict(text="raised", headers={"X": "y"}, reason="Odd")


@asked(GET)
async def failed(request: Any, web: Any) -> Any:
    raise ValueError("failed")


# Requests.

_TARGETS = (
    "/", "/a", "/a%2Fb", "//evil/x", "/a%20b?x=%20+&x=2&y", "/%E2%82%AC", "/a;b=c", "/a//b", "/?a", "/?a=", "/?=a",
    "/?a=1&&b=2", "/?%ff=%fe", "/?a=%2B+", "/?a=b;c=d", "/%3F?x", "/%23", "/a+b", "/~!$&'()*+,;=:@", "/?q=a%26b%3Dc",
    "/a%5Cb", "/%61dmin", "/%e2%82%ac", "/a/../b",
)  # fmt: skip


@seen(*map(target, _TARGETS))
async def urls(request: Any) -> Any:
    texts = [str(request.url), str(request.rel_url), request.path, request.raw_path, request.path_qs]
    return [*texts, list(request.query.items()), request.query_string, request.host, request.scheme, request.secure]


@seen(*(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode() for host in ("x.y:80", "x.y:81", "[::1]:81", "a_b")))
async def hosts(request: Any) -> Any:
    return [request.host, str(request.url)]


@seen(
    fields(),
    fields('Cookie: a=b; c="d e"; a=z'),
    fields("Cookie: c=;d=1"),
    fields('Cookie: a="b\\"c"'),
    fields("Cookie: a=b", "Cookie: c=d"),
    fields("Cookie: b; c=d"),
)
async def cookies(request: Any) -> Any:
    return dict(request.cookies)


@seen(
    fields(),
    fields('Content-Type: TEXT/html; Charset="UTF-8"'),
    fields("Content-Type: a/b; boundary=x"),
    fields("Content-Type: bad"),
    fields("Content-Type:"),
)
async def content_types(request: Any) -> Any:
    return [request.content_type, request.charset]


_RANGES = ("bytes=0-499", "bytes=-5", "bytes=5-", "bytes=5-3", "bytes=-", "x=1", "bytes=0-1,2-3", "bytes=0-0")


@seen(fields(), *(fields(f"Range: {value}") for value in (*_RANGES, "bytes=-0")))
async def ranges(request: Any) -> Any:
    return request.http_range


@seen(
    fields(),
    fields('If-Match: "a", W/"b"', "If-None-Match: *"),
    fields("If-Match: bad"),
    fields("If-Modified-Since: Thu, 02 Jan 2020 03:04:05 GMT", "If-Unmodified-Since: bad", 'If-Range: "x"'),
    fields("If-Range: Thu, 02 Jan 2020 03:04:05 GMT"),
    fields('If-Match: "a"', 'If-Match: "b"'),
)
async def conditions(request: Any) -> Any:
    tags = [
        None if found is None else [(tag.value, tag.is_weak) for tag in found]
        for found in (request.if_match, request.if_none_match)
    ]
    return [*tags, request.if_modified_since, request.if_unmodified_since, request.if_range]


@seen(
    fields(),
    fields('Forwarded: for=1.2.3.4;proto=https, for="[::1]:80"', "Forwarded: by=x"),
    fields('Forwarded: for="a\\"b";;by=c'),
    fields("Forwarded: bad"),
)
async def proxies(request: Any) -> Any:
    return [dict(hop) for hop in request.forwarded]


@seen(
    GET,
    HEAD,
    GET_1_0,
    GET_1_0_KEPT,
    fields("Connection: close"),
    post(b""),
    post(b"abc"),
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
)
async def heads_and_bodies(request: Any) -> Any:
    facts: list[Any] = [request.method, tuple(request.version), request.keep_alive, request.remote]
    facts += [request.raw_headers, dict(request.headers), request.client_max_size, request.client_max_fields]
    facts += [request.body_exists, request.can_read_body, request.content_length]
    facts += [await request.read(), await request.read(), await request.text()]
    return [*facts, request.body_exists, request.can_read_body]


@seen(post(b'{"a":1}', "Content-Type: application/json"), post(b"[1]"), post(b""), post(b"bad"))
async def jsons(request: Any) -> Any:
    return await request.json()


@seen(
    post(b"abc"),
    post("é".encode(), "Content-Type: text/plain; charset=utf-8"),
    post(b"\xe9", "Content-Type: text/plain; charset=latin-1"),
    post(b"\xff", "Content-Type: text/plain"),
    post(b"a", "Content-Type: text/plain; charset=nope"),
)
async def texts(request: Any) -> Any:
    return await request.text()


@seen(
    post(b"a=1&a=2&b=%20+", FORM),
    post(b"", FORM),
    post(b"a=1"),
    post(b"a", FORM),
    post(b"a=%ff", FORM),
    post(b"a=\xe9", f"{FORM}; charset=latin-1"),
    post(b"a=1", "Content-Type: text/plain"),
    post(b"a=1", FORM, method="GET"),
    post(b"a=1", FORM, method="DELETE"),
    post(b"a=1", FORM, method="OPTIONS"),
    post(b"&".join([b"a=1"] * 1000), FORM),
    post(b"a=1;b=2&", FORM),
    post(b"&".join([b"a=1"] * 1001), FORM),
    post(b"a=\xff", FORM),
    post(b"a=1", f"{FORM}; charset=nope"),
    post(b"a=1\r\n", FORM),
)
async def forms(request: Any) -> Any:
    form = await request.post()
    return [list(form.items())[:5], form is await request.post()]


@seen(post(b"x" * 1_048_576), post(b"x" * 1_048_577))
async def sizes(request: Any) -> Any:
    return len(await request.read())


@seen(target("/x?y=1"))
async def clones(request: Any) -> Any:
    request["before"] = 1
    clone = request.clone(
        method="POST",
        rel_url="/z?q=2",
        headers={"A": "b"},
        scheme="https",
        host="h.x",
        remote="9.9.9.9",
        client_max_size=5,
        client_max_fields=7,
    )
    request["after"] = 2
    clone["own"] = 3
    facts = [clone.method, str(clone.rel_url), str(clone.url), dict(clone.headers), clone.raw_headers, clone.scheme]
    facts += [clone.secure, clone.host, clone.remote, clone.path, clone.raw_path, clone.client_max_size]
    facts += [clone.client_max_fields, dict(clone.items()), dict(request.items()), type(clone) is type(request)]
    plain = request.clone()
    return [*facts, plain.method, str(plain.url), dict(plain.headers), plain.content is request.content]


@seen(post(b"abc"))
async def clone_after_read(request: Any) -> Any:
    await request.read()
    return request.clone()


@seen(GET)
async def mappings(request: Any) -> Any:
    facts = [len(request), list(request), bool(request), "a" in request, request.get("a")]
    request["a"] = 1
    facts += [len(request), list(request), request["a"]]
    del request["a"]
    return [*facts, len(request), request.get_extra_info("nothing", "default"), sorted(request.POST_METHODS)]


# Where the answers may differ: (handler, part of the request), and why. An empty part means all its requests.

DIFFERENCES: dict[tuple[str, bytes], str] = {
    (
        "async_generator",
        GET_1_0_KEPT,
    ): "a body without length ends with the connection; theirs stays open and has no end",
    ("stream", GET_1_0_KEPT): "likewise",
    ("cookie_with_all", b""): "attributes come in another order",
    ("cookie_deleted", b""): "an empty value needs no quotes",
    ("etag_star", b""): "an entity tag is quoted, also this one (RFC 9110 section 8.8.3)",
    ("charset_of_bytes", b""): "a charset that was given is sent",
    ("chunked", b"HTTP/1.0"): "HTTP/1.0 gets the bare body; theirs closes without an answer",
    ("wrong_length_field", b""): "the length is the body's; theirs lies",
    ("transfer_encoding_field", b""): "the field asks for chunks and there are some; theirs has the field only",
    ("type_removed", b""): "what was removed stays removed",
    ("length_for_head", GET): "only HEAD may have a length without a body",
    ("connection_close", b""): "who says close closes; theirs stays open",
    ("stream", HEAD): "an answer to HEAD has no body; theirs has",
    ("stream_of_known_length", HEAD): "likewise",
    ("stream_passed_on_by_a_proxy", b"HTTP/1.0"): "HTTP/1.0 knows no transfer codings",
    ("urls", b"/%61dmin"): "one normalised path for router, middleware and handler (a-092)",
    ("urls", b"/%e2%82%ac"): "likewise",
    ("urls", b"/a/../b"): "likewise: the URL has the path that was matched",
    ("cookies", b"Cookie: c=d"): "all Cookie fields count (RFC 9113 section 8.2.3)",
    ("cookies", b"Cookie: b;"): "what has no name is no cookie",
    ("ranges", b"bytes=-0"): "the last 0 bytes can't be had (RFC 9110 section 14.1.2)",
    ("conditions", b'If-Match: "b"'): "fields of one name are one list (RFC 9110 section 5.3)",
    ("texts", b"\xff"): "400, since the peer is at fault",
    ("texts", b"nope"): "415, since the peer is at fault",
    ("forms", b"\xff"): "what can't be decoded becomes U+FFFD, percent-encoded or not",
    ("forms", b"nope"): "415, since the peer is at fault",
    ("forms", b"a=1\r\n"): "white space at the end belongs to the value",
    ("forms", b"4003"): "the 413 has other words",
    ("sizes", b"1048577"): "the 413 has other words",
}


class Both:
    """The two servers, and the handler that both run."""

    def __init__(self, ours: Served, theirs: int, current: dict[str, Any]) -> None:
        self.ours = ours
        self.theirs = theirs
        self.current = current


@pytest.fixture
async def both(serve: Serve) -> AsyncIterator[Both]:
    current: dict[str, Any] = {}

    async def ours(request: Any) -> Any:
        return await current["handler"](request, web)

    async def theirs(request: Any) -> Any:
        return await current["handler"](request, aiohttp.web)

    served = await serve(ours, access_log=None)
    runner = aiohttp.web.ServerRunner(aiohttp.web.Server(theirs, access_log=None, lingering_time=0.1))
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    yield Both(served, runner.addresses[0][1], current)
    await runner.cleanup()


@pytest.fixture
def errors_may_be_logged(leaves_no_error: None) -> None:
    """Some handlers fail on purpose."""


async def _ask(port: int, request: bytes, connect: Connect) -> Any:
    """Ask one server: what can be compared of its answer, None where it gave none or more than one."""
    client = await connect(Served(None, None, "127.0.0.1", port))  # type: ignore[arg-type]
    await client.send(request)
    client.patience = 1.0
    try:
        answer = await client.read_answer(is_head=request.startswith(b"HEAD"))
    except (asyncio.IncompleteReadError, TimeoutError):
        await client.close()
        return None
    rest = await client.read_until_quiet(0.1)
    is_open = not client.reader.at_eof()
    await client.close()
    return None if rest else (_get_comparable(answer), is_open)


def _get_comparable(answer: Answer) -> Any:
    if answer.status == 500:
        return 500
    ignored = {"date", "server", "connection"}
    if not answer.body:
        # How nothing is framed, and that it has the default type, nobody minds.
        ignored |= {"content-length", "transfer-encoding"}
        if answer.field("content-type") == "application/octet-stream":
            ignored.add("content-type")
    listed = sorted(field for field in answer.fields if field[0] not in ignored)
    return answer.status, answer.reason, listed, answer.body


@pytest.mark.parametrize("name", HANDLERS)
@pytest.mark.filterwarnings("ignore")
async def test_both_servers_answer_alike(both: Both, connect: Connect, name: str) -> None:
    both.current["handler"] = HANDLERS[name]
    requests = REQUESTS[name]
    with _quiet():
        mine, theirs = await asyncio.gather(
            asyncio.gather(*(_ask(both.ours.port, request, connect) for request in requests)),
            asyncio.gather(*(_ask(both.theirs, request, connect) for request in requests)),
        )
    different = {}
    for request, ours, peers in zip(requests, mine, theirs, strict=True):
        assert ours is not None, f"no single whole answer to {request!r}"
        # What a failure does to the connection is left to each.
        if ours != peers and not (peers is not None and ours[0] == peers[0] == 500):
            different[request] = (ours, peers)
    reasons = [part for known, part in DIFFERENCES if known == name]

    unexplained = {request: pair for request, pair in different.items() if not any(part in request for part in reasons)}
    assert not unexplained
    assert all(any(part in request for request in different) for part in reasons), "a difference is no longer there"


@contextlib.contextmanager
def _quiet() -> Any:
    """Let handlers that fail on purpose log nothing."""
    loggers = [logging.getLogger("corelet.server"), logging.getLogger("aiohttp.server")]
    for logger in loggers:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in loggers:
            logger.disabled = False
