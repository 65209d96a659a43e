"""Requests over real sockets: what a handler sees of what a peer has sent."""

from __future__ import annotations

import asyncio
import contextlib
import encodings
import http.client
import json
import logging
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
import httpx
import pytest
from multidict import CIMultiDictProxy, MultiDictProxy
from yarl import URL

from corelet import web
from corelet.errors import MissingPluginError, RequestPayloadError
from corelet.keys import AppKey, RequestKey
from corelet.request import ChainMapProxy
from corelet.runner import ServerRunner, UnixSite
from corelet.server import Server
from tests.conftest import Connect, Serve, Tls
from tests.raw_client import Answer, RawClient

Look = Callable[[web.BaseRequest], Any]
See = Callable[..., Awaitable[Any]]

URLENCODED = "Content-Type: application/x-www-form-urlencoded\r\n"


def get(target: str = "/", fields: str = "", host: str = "a") -> str:
    return f"GET {target} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"


def post(body: bytes, fields: str = "", method: str = "POST") -> bytes:
    head = f"{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{fields}\r\n"
    return head.encode("latin-1") + body


def chunked(*pieces: bytes, fields: str = "") -> bytes:
    head = f"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n{fields}\r\n".encode("latin-1")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@pytest.fixture
async def ask(serve: Serve, connect: Connect) -> Callable[..., Awaitable[Answer]]:
    """Give what serves a handler, sends bytes to it and reads the answer."""

    async def send(handler: Any, data: bytes | str = get(), **kwargs: Any) -> Answer:
        client = await connect(await serve(handler, **kwargs))
        await client.send(data)
        return await client.read_answer(is_head=data[:4] in ("HEAD", b"HEAD"))

    return send


@pytest.fixture
async def see(ask: Callable[..., Awaitable[Answer]]) -> See:
    """Give what sends bytes and returns what a function sees of the request."""

    async def look_at(look: Look, data: bytes | str = get(), **kwargs: Any) -> Any:
        seen = []

        async def handler(request: web.BaseRequest) -> web.Response:
            value = look(request)
            seen.append(await value if asyncio.iscoroutine(value) else value)
            return web.Response()

        answer = await ask(handler, data, **kwargs)
        assert answer.status == 200, answer.text
        return seen[0]

    return look_at


# The target.


@pytest.mark.parametrize(
    ("target", "match_path", "path"),
    [
        ("/", "/", "/"),
        ("/a/b", "/a/b", "/a/b"),
        ("/a%2Fb", "/a%2Fb", "/a/b"),
        ("/a%2fb", "/a%2Fb", "/a/b"),
        ("/%61dmin", "/admin", "/admin"),
        ("/admin%2f..%2fx", "/admin%2F..%2Fx", "/admin/../x"),
        ("//admin", "//admin", "//admin"),
        ("//evil.example/x", "//evil.example/x", "//evil.example/x"),
        ("/%E2%82%AC", "/%E2%82%AC", "/€"),
        ("/%e2%82%ac", "/%E2%82%AC", "/€"),
        ("/%FF", "/%FF", "/%FF"),
        ("/a%20b", "/a%20b", "/a b"),
        ("/a+b", "/a+b", "/a+b"),
        ("/%7Ejoe", "/~joe", "/~joe"),
        ("/a%3Fb", "/a%3Fb", "/a?b"),
        ("/%2e%2E/x", "/../x", "/../x"),
        ("/a;v=1", "/a;v=1", "/a;v=1"),
        ("/~!$&'()*+,;=:@", "/~!$&'()*+,;=:@", "/~!$&'()*+,;=:@"),
    ],
)
async def test_a_092_router_middleware_and_handler_see_one_path(
    see: See, target: str, match_path: str, path: str
) -> None:
    seen = await see(lambda r: [r.match_path, r.path, r.rel_url.raw_path, r.url.raw_path, r.raw_path], get(target))

    assert seen == [match_path, path, match_path, match_path, target]


@pytest.mark.parametrize("target", ["/%61dmin?x=%41", "http://h:81/%7e?q", "/a?", "http://h"])
async def test_raw_path_is_the_target_as_sent_also_after_the_url_was_made(see: See, target: str) -> None:
    assert await see(lambda r: [r.raw_path, str(r.url) and r.raw_path], get(target)) == [target, target]


@pytest.mark.parametrize("target", ["/%", "/%zz", "/a%2", "/%00"])
async def test_bad_percent_encoding_is_refused(ask: Callable[..., Awaitable[Answer]], target: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        raise AssertionError("served")

    assert (await ask(handler, get(target))).status == 400


async def test_absolute_target_gives_host_path_and_query(see: See) -> None:
    seen = await see(lambda r: [r.host, r.path, r.query_string, str(r.url)], get("http://h.example:81/p?q=1"))

    assert seen == ["h.example:81", "/p", "q=1", "http://h.example:81/p?q=1"]


async def test_absolute_target_without_a_path_means_the_root(see: See) -> None:
    assert await see(lambda r: [r.path, r.match_path, str(r.url)], get("http://h")) == ["/", "/", "http://h/"]


async def test_a_090_host_of_the_target_wins_over_the_host_field_everywhere(see: See) -> None:
    seen = await see(lambda r: [r.host, r.url.host, r.clone().host], get("http://real/", host="other"))

    assert seen == ["real", "real", "real"]


async def test_a_090_two_host_fields_are_refused(ask: Callable[..., Awaitable[Answer]]) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        raise AssertionError("served")

    assert (await ask(handler, get(fields="Host: b\r\n"))).status == 400


async def test_a_091_https_in_the_target_of_a_plain_connection_stays_http(see: See) -> None:
    fields = "X-Forwarded-Proto: https\r\nForwarded: proto=https\r\n"
    seen = await see(lambda r: [r.scheme, r.secure, r.url.scheme], get("https://h/", fields))

    assert seen == ["http", False, "http"]


async def test_asterisk_target_asks_about_the_server_itself(see: See) -> None:
    request = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    seen = await see(lambda r: [r.method, r.path, r.match_path, r.raw_path, str(r.rel_url), str(r.url)], request)

    assert seen == ["OPTIONS", "*", "*", "*", "*", "http://a/"]


@pytest.mark.parametrize("host", ["a:0", "a:", "%41", "[v1.x]", "a_b", "1.2.3.4.5", "a..b", "xn--x", "!$", "a,b"])
async def test_odd_host_breaks_no_url(see: See, host: str) -> None:
    assert await see(lambda r: [r.host, str(r.url)], get(host=host)) == [host, f"http://{host}/"]


async def test_request_without_a_host_gets_our_own_address(see: See) -> None:
    seen = await see(lambda r: [r.host, str(r.url), r.get_extra_info("sockname")[1]], "GET / HTTP/1.0\r\n\r\n")

    assert seen[0] == f"127.0.0.1:{seen[2]}"
    assert seen[1] == f"http://127.0.0.1:{seen[2]}/"


async def test_own_address_of_ip_6_stands_in_brackets() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=request.host)

    loop = asyncio.get_running_loop()
    server = Server(handler, access_log=None)
    try:
        listening = await loop.create_server(server, "::1", 0)
    except OSError:
        pytest.skip("no IP 6 here")
    address = listening.sockets[0].getsockname()
    client = RawClient(*await asyncio.open_connection(*address[:2]))
    await client.send("GET / HTTP/1.0\r\n\r\n")
    assert (await client.read_answer()).text == f"[::1]:{address[1]}"
    await client.close()
    listening.close()
    await server.shutdown(1)


# The query.


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("", []),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=a", [("", "a")]),
        ("a=1&a=2&b=3", [("a", "1"), ("a", "2"), ("b", "3")]),
        ("a=1+2%2B3", [("a", "1 2+3")]),
        ("a=1&&b=2", [("a", "1"), ("b", "2")]),
        ("a=%FF", [("a", "�")]),
        ("a=%E2%82%AC", [("a", "€")]),
        ("a=b=c", [("a", "b=c")]),
        ("a=b;c=d", [("a", "b;c=d")]),
        ("a=%26%3D", [("a", "&=")]),
    ],
)
async def test_query_is_decoded_field_by_field(see: See, query: str, fields: list[tuple[str, str]]) -> None:
    assert await see(lambda r: list(r.query.items()), get(f"/?{query}")) == fields


async def test_query_is_a_read_only_map_made_once(see: See) -> None:
    query, again = await see(lambda r: [r.query, r.query], get("/?a=1&a=2"))

    assert type(query) is MultiDictProxy
    assert query is again
    assert query.getall("a") == ["1", "2"]


async def test_query_string_is_decoded_and_path_qs_is_not(see: See) -> None:
    assert await see(lambda r: [r.query_string, r.path_qs], get("/p%20q?a=%20b")) == ["a= b", "/p%20q?a=%20b"]


# Fields.


async def test_headers_are_compared_without_case_and_raw_headers_are_as_sent(see: See) -> None:
    headers, raw = await see(lambda r: [r.headers, r.raw_headers], get(fields="x-A: 1\r\nX-a: \xff\r\n"))

    assert type(headers) is CIMultiDictProxy
    assert headers.getall("X-A") == ["1", "\udcff"]
    assert raw == ((b"Host", b"a"), (b"x-A", b"1"), (b"X-a", b"\xff"))


@pytest.mark.parametrize(
    ("fields", "cookies"),
    [
        ("", {}),
        ("Cookie: a=b; c=d\r\n", {"a": "b", "c": "d"}),
        ("Cookie: a=b\r\nCookie: c=d\r\n", {"a": "b", "c": "d"}),
        ('Cookie: a="b c"; a=z\r\n', {"a": "z"}),
        ("Cookie: =x; b; c=\r\n", {"c": ""}),
    ],
)
async def test_cookies_of_all_cookie_fields(see: See, fields: str, cookies: dict[str, str]) -> None:
    assert await see(lambda r: dict(r.cookies), get(fields=fields)) == cookies


async def test_cookies_are_made_once_and_read_only(see: See) -> None:
    cookies, again = await see(lambda r: [r.cookies, r.cookies], get(fields="Cookie: a=b\r\n"))

    assert cookies is again
    with pytest.raises(TypeError):
        cookies["a"] = "c"


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ("", ["application/octet-stream", None]),
        ('Content-Type: TEXT/html; Charset="UTF-8"\r\n', ["text/html", "UTF-8"]),
        ("Content-Type: nonsense\r\n", ["application/octet-stream", None]),
        ("Content-Type: a/b; boundary=x\r\n", ["a/b", None]),
    ],
)
async def test_content_type_and_charset(see: See, fields: str, seen: list[Any]) -> None:
    assert await see(lambda r: [r.content_type, r.charset], get(fields=fields)) == seen


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", slice(None, None, 1)),
        ("Range: bytes=0-499\r\n", slice(0, 500, 1)),
        ("Range: bytes=-5\r\n", slice(-5, None, 1)),
        ("Range: BYTES=5-\r\n", slice(5, None, 1)),
    ],
)
async def test_range_is_a_slice(see: See, field: str, expected: slice) -> None:
    assert await see(lambda r: r.http_range, get(fields=field)) == expected


@pytest.mark.parametrize("value", ["bytes=5-3", "bytes=-0", "items=0-1", "bytes=0-1,3-4", "bytes=\xd9\xa1-"])
async def test_range_that_means_nothing_is_a_value_error(see: See, value: str) -> None:
    def look(request: web.BaseRequest) -> str:
        with pytest.raises(ValueError, match="range"):
            request.http_range  # noqa: B018 -- reading it raises
        return "refused"

    assert await see(look, get(fields=f"Range: {value}\r\n")) == "refused"


async def test_conditional_fields_are_tags_and_dates(see: See) -> None:
    fields = (
        'If-Match: "a", W/"b"\r\nIf-Match: "c"\r\nIf-None-Match: *\r\nIf-Range: "x"\r\n'
        "If-Modified-Since: Thu, 02 Jan 2020 03:04:05 GMT\r\nIf-Unmodified-Since: soon\r\n"
    )
    seen = await see(
        lambda r: [r.if_match, r.if_none_match, r.if_modified_since, r.if_unmodified_since, r.if_range],
        get(fields=fields),
    )

    assert [(tag.value, tag.is_weak) for tag in seen[0]] == [("a", False), ("b", True), ("c", False)]
    assert [tag.value for tag in seen[1]] == ["*"]
    assert seen[2:] == [datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), None, None]


async def test_conditional_fields_that_are_absent_are_none(see: See) -> None:
    seen = await see(lambda r: [r.if_match, r.if_none_match, r.if_modified_since, r.if_unmodified_since, r.if_range])

    assert seen == [None] * 5


async def test_forwarded_has_a_mapping_for_each_proxy(see: See) -> None:
    fields = 'Forwarded: For="[::1]:80";proto=https, for=b\r\nForwarded: by=c\r\n'
    seen = await see(lambda r: [dict(hop) for hop in r.forwarded], get(fields=fields))

    assert seen == [{"for": "[::1]:80", "proto": "https"}, {"for": "b"}, {"by": "c"}]


@pytest.mark.parametrize(
    ("request_line", "fields", "seen"),
    [
        ("GET / HTTP/1.1", "", [(1, 1), True]),
        ("GET / HTTP/1.1", "Connection: close\r\n", [(1, 1), False]),
        ("GET / HTTP/1.0", "", [(1, 0), False]),
        ("GET / HTTP/1.0", "Connection: keep-alive\r\n", [(1, 0), True]),
    ],
)
async def test_version_and_keep_alive(see: See, request_line: str, fields: str, seen: list[Any]) -> None:
    data = f"{request_line}\r\nHost: a\r\n{fields}\r\n"

    assert await see(lambda r: [tuple(r.version), r.keep_alive], data) == seen


# The peer.


async def test_facts_about_the_connection(see: See) -> None:
    def look(request: web.BaseRequest) -> list[Any]:
        return [
            request.remote,
            request.get_extra_info("peername")[0],
            request.get_extra_info("nothing", "default"),
            request.transport is request.protocol.transport,
            request.task is asyncio.current_task(),
            request.loop is asyncio.get_running_loop(),
            request.transport is not None,
        ]

    assert await see(look) == ["127.0.0.1", "127.0.0.1", "default", True, True, True, True]


async def test_task_is_the_handlers_after_it_has_waited_too(see: See) -> None:
    async def look(request: web.BaseRequest) -> bool:
        await asyncio.sleep(0)
        return request.task is asyncio.current_task()

    assert await see(look)


async def test_remote_of_a_unix_socket_is_none_and_host_is_localhost(tmp_path: Any) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"{request.remote} {request.host}")

    runner = ServerRunner(Server(handler, access_log=None))
    await runner.setup()
    await UnixSite(runner, str(tmp_path / "s")).start()
    client = RawClient(*await asyncio.open_unix_connection(str(tmp_path / "s")))
    await client.send("GET / HTTP/1.0\r\n\r\n")
    assert (await client.read_answer()).text == "None localhost"
    await client.close()
    await runner.cleanup()


async def test_tls_makes_scheme_and_url_https(serve: Serve, tls: Tls) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"{request.scheme} {request.secure} {request.url.scheme} {request.url.port}")

    served = await serve(handler, ssl_context=tls.server)
    async with httpx.AsyncClient(verify=tls.client) as client:
        answer = await client.get(f"https://127.0.0.1:{served.port}/")

    assert answer.text == f"https True https {served.port}"


async def test_handler_can_wait_for_its_peer_to_leave(serve: Serve, connect: Connect) -> None:
    entered, gone = asyncio.Event(), asyncio.Event()
    after: list[Any] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        entered.set()
        await request.wait_for_disconnection()
        while request.transport is not None:  # noqa: ASYNC110 -- the connection has no event for it
            await asyncio.sleep(0.01)
        after.extend([request.get_extra_info("peername", "unknown"), request.remote])
        gone.set()
        return web.Response()

    client = await connect(await serve(handler))
    await client.send(get())
    await entered.wait()
    client.abort()
    await asyncio.wait_for(gone.wait(), 5)

    assert after == ["unknown", None]


# The body.


async def test_get_has_no_body(see: See) -> None:
    async def look(request: web.BaseRequest) -> list[Any]:
        facts = [request.body_exists, request.can_read_body, request.has_body, request.content_length]
        return [*facts, await request.read(), await request.text(), await request.content.read()]

    assert await see(look) == [False, False, False, None, b"", "", b""]


@pytest.mark.parametrize(("data", "length"), [(post(b"abc"), 3), (chunked(b"a", b"bc"), None)])
async def test_body_is_read_once_and_kept(see: See, data: bytes, length: int | None) -> None:
    async def look(request: web.BaseRequest) -> list[Any]:
        before = [request.body_exists, request.can_read_body, request.has_body, request.content_length]
        read = [await request.read(), await request.read(), await request.text()]
        return [before, read, [request.body_exists, request.can_read_body, request.has_body]]

    assert await see(look, data) == [
        [True, True, True, length],
        [b"abc", b"abc", "abc"],
        [True, False, False],
    ]


async def test_body_that_arrives_byte_by_byte_is_whole(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=await request.text())

    client = await connect(await serve(handler))
    await client.send_split(chunked(b"hello ", b"world"))

    assert (await client.read_answer()).text == "hello world"


async def test_release_drops_the_rest_of_the_body(see: See) -> None:
    async def look(request: web.BaseRequest) -> list[Any]:
        first = await request.content.read(1)
        await request.release()
        return [first, request.can_read_body, await request.read()]

    assert await see(look, post(b"abc")) == [b"a", False, b""]


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("é".encode(), "text/plain", "é"),
        ("é".encode("latin-1"), "text/plain; charset=latin-1", "é"),
        ("é".encode("latin-1"), "text/plain; charset=ISO-8859-1", "é"),
        ("€".encode("cp1252"), 'text/plain; charset="windows-1252"', "€"),
        ("é".encode("utf-16"), "text/plain; charset=UTF-16", "é"),
        ("ї".encode("koi8-u"), "text/plain; charset=koi8-u", "ї"),
    ],
)
async def test_text_is_decoded_by_its_charset(see: See, body: bytes, content_type: str, text: str) -> None:
    assert await see(lambda r: r.text(), post(body, f"Content-Type: {content_type}\r\n")) == text


@pytest.mark.parametrize(
    "charset",
    [
        *("nope", "base64", "zlib", "rot13", "..", "a/b", "\xff", "\xc3\xa9", "x" * 5000),
        # Python's own, of which some take minutes for a MiB
        *("punycode", "IDNA", "undefined", "unicode-escape", "raw_unicode_escape"),
    ],
)
@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_unknown_charset_is_415(ask: Callable[..., Awaitable[Answer]], charset: str, media_type: str) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        await (request.post() if media_type.startswith("app") else request.text())
        raise AssertionError("decoded")

    assert (await ask(handler, post(b"a%fe=\xff", f"Content-Type: {media_type}; charset={charset}\r\n"))).status == 415


@pytest.mark.parametrize("charset", ["utf-8", "utf-16"])
async def test_bytes_that_are_no_text_in_their_charset_are_400(
    ask: Callable[..., Awaitable[Answer]], charset: str
) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=await request.text())

    assert (await ask(handler, post(b"a\xff\xfe", f"Content-Type: text/plain; charset={charset}\r\n"))).status == 400


async def test_charsets_that_peers_invent_are_not_kept(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=await request.text())

    client = await connect(await serve(handler))
    cached = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(50):
        await client.send(post(b"x", f"Content-Type: text/plain; charset=invented{number}\r\n"))
        assert (await client.read_answer()).status == 415
        await client.send(post(b"x", f"Content-Type: text/plain; charset=utf{'-' * (number + 1)}8\r\n"))
        assert (await client.read_answer()).text == "x"

    assert len(encodings._cache) - cached <= 1  # type: ignore[attr-defined]


async def test_json_is_loaded(see: See) -> None:
    assert await see(lambda r: r.json(), post(b'{"a": [1]}')) == {"a": [1]}


async def test_json_is_loaded_by_another_function(see: See) -> None:
    assert await see(lambda r: r.json(loads=lambda text: text.upper()), post(b"x")) == "X"


async def test_json_that_is_none_is_a_value_error(see: See) -> None:
    async def look(request: web.BaseRequest) -> str:
        with pytest.raises(json.JSONDecodeError):
            await request.json()
        return "refused"

    assert await see(look, post(b"{")) == "refused"


# Its size.


@pytest.mark.parametrize("make", [post, chunked])
@pytest.mark.parametrize(("size", "status"), [(0, 200), (999, 200), (1000, 200), (1001, 413), (5000, 413)])
async def test_body_up_to_client_max_size(
    ask: Callable[..., Awaitable[Answer]], make: Callable[[bytes], bytes], size: int, status: int
) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    data = b"x" * size
    body = make(data) if size or make is post else chunked()
    answer = await ask(handler, body, client_max_size=1000)

    assert answer.status == status
    assert answer.text == (str(size) if status == 200 else answer.text)


async def test_too_large_by_its_content_length_is_refused_before_it_is_sent(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    client = await connect(await serve(handler, client_max_size=1000))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
    answer = await client.read_answer()

    assert answer.status == 413
    assert "1000" in answer.text


@pytest.mark.parametrize("make", [post, chunked])
@pytest.mark.parametrize("size", [2000, 3_000_000])
async def test_connection_goes_on_after_a_413_whose_body_is_sent(
    serve: Serve, connect: Connect, make: Callable[[bytes], bytes], size: int
) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    client = await connect(await serve(handler, client_max_size=1000))
    await client.send(make(b"x" * size) + post(b"y"))
    answers = await client.read_answers(2)

    assert [answer.status for answer in answers] == [413, 200]
    assert answers[1].text == "1"


async def test_0_means_no_limit(see: See) -> None:
    async def look(request: web.BaseRequest) -> list[Any]:
        return [request.client_max_size, len(await request.read())]

    assert await see(look, post(b"x" * 1_048_577), client_max_size=0) == [0, 1_048_577]


async def test_default_limit_is_1_mib(ask: Callable[..., Awaitable[Answer]]) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        assert request.client_max_size == 1_048_576
        assert request.client_max_fields == 1000
        return web.Response(text=str(len(await request.read())))

    assert (await ask(handler, post(b"x" * 1_048_576))).text == "1048576"
    assert (await ask(handler, post(b"x" * 1_048_577))).status == 413


async def test_reading_again_after_a_413_gives_no_half_of_the_body(see: See) -> None:
    async def look(request: web.BaseRequest) -> int:
        for _ in range(2):
            with pytest.raises(web.HTTPRequestEntityTooLarge):
                await request.read()
        return request.client_max_size

    assert await see(look, chunked(b"x" * 900, b"y" * 900), client_max_size=1000) == 1000


async def test_stream_has_no_limit_but_the_handlers(see: See) -> None:
    async def look(request: web.BaseRequest) -> int:
        return sum([len(piece) async for piece in request.content.iter_any()])

    assert await see(look, post(b"x" * 5000), client_max_size=1000) == 5000


async def test_upload_of_64_mib_to_a_slow_handler_is_held_up(serve: Serve) -> None:
    size = 64 * 1024 * 1024
    started, go_on = asyncio.Event(), asyncio.Event()
    total = 0

    async def handler(request: web.BaseRequest) -> web.Response:
        nonlocal total
        started.set()
        await go_on.wait()
        async for piece in request.content.iter_any():
            total += len(piece)
        return web.Response(text=str(total))

    async def body() -> Any:
        for _ in range(size // 65536):
            nonlocal sent
            sent += 65536
            yield piece

    sent = 0
    piece = b"x" * 65536
    served = await serve(handler, client_max_size=0)
    async with aiohttp.ClientSession() as session:
        tracemalloc.start()
        asking = asyncio.create_task(_post(session, served.url, body()))
        await started.wait()
        await asyncio.sleep(0.5)
        held = tracemalloc.get_traced_memory()[0]
        assert sent < 32 * 1024 * 1024
        go_on.set()
        assert await asking == str(size)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert held < 4 * 1024 * 1024
    assert peak < 8 * 1024 * 1024


async def _post(session: aiohttp.ClientSession, url: URL, data: Any) -> str:
    async with session.post(url, data=data) as answer:
        return await answer.text()


@pytest.mark.parametrize("rest", [b"5\r\nhello\r\nzz\r\n", b"5\r\nhelloXX"])
async def test_bad_body_raises_in_the_handler_and_is_answered_by_400(
    serve: Serve, connect: Connect, rest: bytes
) -> None:
    raised: list[BaseException] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        try:
            await request.read()
        except RequestPayloadError as exc:
            raised.append(exc)
            raise
        raise AssertionError("read")

    client = await connect(await serve(handler))
    await client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    await asyncio.sleep(0.05)
    await client.send(rest)
    answer = await client.read_answer()

    assert answer.status == 400
    assert len(raised) == 1
    assert await client.is_closed(5)


# Forms.


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", []),
        (b"a=1&a=2&b=%20+", [("a", "1"), ("a", "2"), ("b", "  ")]),
        (b"a", [("a", "")]),
        (b"a=%FF&b=\xff", [("a", "�"), ("b", "�")]),
        (b"a=%C3%A9", [("a", "é")]),
        (b"a=1&&b=2&", [("a", "1"), ("b", "2")]),
    ],
)
async def test_urlencoded_form(see: See, body: bytes, fields: list[tuple[str, str]]) -> None:
    form, again = await see(_read_form_twice, post(body, URLENCODED))

    assert type(form) is MultiDictProxy
    assert form is again
    assert list(form.items()) == fields


async def _read_form_twice(request: web.BaseRequest) -> list[Any]:
    return [await request.post(), await request.post()]


async def test_urlencoded_form_in_another_charset(see: See) -> None:
    fields = "Content-Type: application/x-www-form-urlencoded; charset=latin-1\r\n"

    assert dict((await see(_read_form_twice, post(b"a=\xe9%E8", fields)))[0]) == {"a": "éè"}


@pytest.mark.parametrize(
    ("method", "is_read"),
    [("POST", True), ("PUT", True), ("PATCH", True), ("DELETE", True), ("GET", False), ("OPTIONS", False)],
)
async def test_form_is_read_for_methods_that_send_one(see: See, method: str, is_read: bool) -> None:
    form, _ = await see(_read_form_twice, post(b"a=1", URLENCODED, method))

    assert dict(form) == ({"a": "1"} if is_read else {})


async def test_body_of_another_media_type_is_no_form(see: See) -> None:
    async def look(request: web.BaseRequest) -> list[Any]:
        return [dict(await request.post()), await request.read()]

    assert await see(look, post(b"a=1", "Content-Type: text/plain\r\n")) == [{}, b"a=1"]


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 413)])
async def test_form_up_to_client_max_fields(ask: Callable[..., Awaitable[Answer]], count: int, status: int) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(text=str(len(await request.post())))

    answer = await ask(handler, post(b"&".join([b"a=1"] * count), URLENCODED))
    assert answer.status == status
    assert str(count) in answer.text


async def test_a_069_form_of_100_000_fields_is_413_at_once(ask: Callable[..., Awaitable[Answer]]) -> None:
    seconds: list[float] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        await request.read()
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            await request.post()
        finally:
            seconds.append(loop.time() - started)
        raise AssertionError("read")

    answer = await ask(handler, post(b"a=1&" * 100_000, URLENCODED))
    assert answer.status == 413
    assert seconds[0] < 0.05


async def test_client_max_fields_of_0_means_no_limit(see: See) -> None:
    async def look(request: web.BaseRequest) -> int:
        return len(await request.post())

    assert await see(look, post(b"a=1&" * 5000, URLENCODED), client_max_fields=0) == 5000


MULTIPART = "Content-Type: multipart/form-data; boundary=x\r\n"


@pytest.mark.parametrize("call", ["post", "multipart"])
async def test_multipart_without_a_plugin_is_a_500_that_says_what_to_install(
    ask: Callable[..., Awaitable[Answer]], expect_error_log: list[logging.LogRecord], call: str
) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        await getattr(request, call)()
        raise AssertionError("read")

    answer = await ask(handler, post(b"--x--\r\n", MULTIPART))

    assert answer.status == 500
    error = expect_error_log[0].exc_info
    assert error is not None
    assert isinstance(error[1], MissingPluginError)
    assert str(error[1]) == f"request.{call}() comes with a multipart plugin: pip install corelet-multipart"


async def test_form_of_another_media_type_is_read_by_a_plugin(serve: Serve, connect: Connect) -> None:
    from corelet import hookimpl
    from corelet.abc import FormReader

    class Lines(FormReader):
        async def read(self, request: web.BaseRequest) -> list[tuple[str, Any]]:
            return [("line", line) for line in (await request.text()).splitlines()]

        def open(self, request: web.BaseRequest) -> str:
            return "opened"

    class Plugin:
        @hookimpl
        def corelet_register_form_readers(self, readers: Any) -> None:
            readers.add("x/lines", Lines())

    async def handler(request: web.Request) -> web.Response:
        return web.json_response([await request.multipart(), list((await request.post()).values())])

    client = await connect(await serve(web.Application(handler=handler, plugins=[Plugin()])))
    await client.send(post(b"a\nb", "Content-Type: x/lines\r\n"))
    assert json.loads((await client.read_answer()).body) == ["opened", ["a", "b"]]


async def test_form_reader_of_a_group_reads_what_has_none_of_its_own(serve: Serve, connect: Connect) -> None:
    from corelet import hookimpl
    from corelet.abc import FormReader

    class Named(FormReader):
        def __init__(self, name: str) -> None:
            self.name = name

        async def read(self, request: web.BaseRequest) -> list[tuple[str, Any]]:
            return [("read", self.name)]

        def open(self, request: web.BaseRequest) -> str:
            return self.name

    class Plugin:
        @hookimpl
        def corelet_register_form_readers(self, readers: Any) -> None:
            readers.add("multipart/*", Named("any"))
            readers.add("multipart/mixed", Named("mixed"))

    async def handler(request: web.Request) -> web.Response:
        return web.json_response([await request.multipart(), (await request.post())["read"]])

    client = await connect(await serve(web.Application(handler=handler, plugins=[Plugin()])))
    for media_type, name in (("multipart/related", "any"), ("multipart/mixed", "mixed")):
        await client.send(post(b"a", f"Content-Type: {media_type}\r\n"))
        assert json.loads((await client.read_answer()).body) == [name, name]


async def test_body_that_is_not_multipart_is_a_415(ask: Callable[..., Awaitable[Answer]]) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        await request.multipart()
        raise AssertionError("read")

    answer = await ask(handler, post(b"a", "Content-Type: text/plain\r\n"))
    assert (answer.status, answer.text) == (415, "the body is text/plain, expected multipart/*")


# Clones.


async def test_clone_replaces_what_is_given(see: See) -> None:
    def look(request: web.BaseRequest) -> list[Any]:
        clone = request.clone(
            method="POST",
            rel_url="/%7ez?q=2",
            headers={"Cookie": "c=d", "X": "\udcff"},
            scheme="https",
            host="h.example",
            remote="9.9.9.9",
            client_max_size=5,
            client_max_fields=7,
        )
        return [
            [clone.method, str(clone.url), clone.path, clone.match_path, clone.raw_path, clone.path_qs],
            [dict(clone.query), clone.query_string, dict(clone.headers), clone.raw_headers, dict(clone.cookies)],
            [clone.scheme, clone.secure, clone.host, clone.remote, clone.client_max_size, clone.client_max_fields],
            [clone.version == request.version, clone.content is request.content, type(clone) is type(request)],
            [request.method, str(request.rel_url), dict(request.cookies), dict(request.query)],
        ]

    assert await see(look, get("/a?b=1", "Cookie: a=b\r\n")) == [
        ["POST", "https://h.example/~z?q=2", "/~z", "/~z", "/~z?q=2", "/~z?q=2"],
        [{"q": "2"}, "q=2", {"Cookie": "c=d", "X": "\udcff"}, ((b"Cookie", b"c=d"), (b"X", b"\xff")), {"c": "d"}],
        ["https", True, "h.example", "9.9.9.9", 5, 7],
        [True, True, True],
        ["GET", "/a?b=1", {"a": "b"}, {"b": "1"}],
    ]


async def test_clone_without_arguments_is_the_same_request(see: See) -> None:
    def look(request: web.BaseRequest) -> list[Any]:
        clone = request.clone()
        return [clone.method, str(clone.url), clone.raw_path, clone.raw_headers, clone.remote]

    seen = await see(look, get("/%41?b=1"))
    assert seen == ["GET", "http://a/A?b=1", "/%41?b=1", ((b"Host", b"a"),), "127.0.0.1"]


async def test_path_of_a_clone_is_normalised_like_any(see: See) -> None:
    def look(request: web.BaseRequest) -> str:
        return request.clone(rel_url=URL("/%7ea%2fb", encoded=True)).match_path

    assert await see(look) == "/~a%2Fb"


async def test_data_of_clone_and_original_go_separate_ways(see: See) -> None:
    def look(request: web.BaseRequest) -> list[Any]:
        request["a"] = 1
        clone = request.clone()
        clone["b"] = 2
        request["c"] = 3
        return [dict(request), dict(clone)]

    assert await see(look) == [{"a": 1, "c": 3}, {"a": 1, "b": 2}]


async def test_clone_of_a_request_that_was_read_is_an_error(see: See) -> None:
    async def look(request: web.BaseRequest) -> str:
        await request.read()
        with pytest.raises(RuntimeError, match="clone"):
            request.clone()
        return "refused"

    assert await see(look, post(b"x")) == "refused"


# Data.

NAME = RequestKey("name", str)


async def test_request_is_a_mapping_for_middlewares_and_handlers(see: See) -> None:
    def look(request: web.BaseRequest) -> list[Any]:
        empty = [len(request), list(request), "a" in request, request.get(NAME), bool(request)]
        for read in (lambda: request["a"], lambda: request.__delitem__("a")):
            with pytest.raises(KeyError, match="a"):
                read()
        request["a"] = 1
        request[NAME] = "n"
        full = [len(request), request["a"], request[NAME], list(request) == ["a", NAME]]
        del request["a"]
        return [empty, full, list(request) == [NAME], request == request.clone(), len({request, request})]

    assert await see(look) == [[0, [], False, None, True], [2, 1, "n", True], True, False, 1]


async def test_repr_names_method_and_target(see: See) -> None:
    assert await see(repr, get("/a?b")) == "<BaseRequest GET /a?b>"


async def test_request_of_an_application_knows_it(serve: Serve, connect: Connect) -> None:
    key = AppKey("key", str)

    async def handler(request: web.Request) -> web.Response:
        config = request.config_dict
        with pytest.raises(KeyError):
            config["nothing"]
        facts = [request.app is app, request.app[key], config[key], len(config), bool(config), key in config]
        return web.json_response([*facts, type(request).__name__, list(config) == [key]])

    app = web.Application(handler=handler, plugins=[])
    app[key] = "value"
    client = await connect(await serve(app))

    answer = await client.get()
    assert json.loads(answer.body) == [True, "value", "value", 1, True, True, "Request", True]


async def test_routed_request_knows_its_match(serve: Serve, connect: Connect) -> None:
    async def handler(request: web.Request) -> web.Response:
        clone = request.clone(method="PUT")
        names = f"{request.match_info['name']} {clone.match_info['name']}"
        return web.Response(text=f"{names} {clone.app is app} {request.config_dict['a']}")

    app = web.Application()
    app["a"] = "state"
    app.router.add_get("/{name}", handler)
    client = await connect(await serve(app))

    assert (await client.get("/x")).text == "x x True state"


def test_chain_map_shows_the_first_mapping_that_has_a_key() -> None:
    chain = ChainMapProxy([{"a": 1}, {"a": 2, "b": 3}])

    assert dict(chain) == {"a": 1, "b": 3}
    assert len(chain) == 2
    assert not ChainMapProxy([{}, {}])
    assert repr(chain) == "ChainMapProxy({'a': 1}, {'a': 2, 'b': 3})"


# Upgrades.


class _Upgraded(asyncio.Protocol):
    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"taken:")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


UPGRADE = "Connection: upgrade\r\nUpgrade: x\r\n"


@pytest.mark.parametrize("through_clone", [False, True])
async def test_connection_is_taken_over_after_101(serve: Serve, connect: Connect, through_clone: bool) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        used = request.clone() if through_clone else request
        response = web.StreamResponse(status=101, headers={"Connection": "upgrade", "Upgrade": "x"})
        await response.prepare(request)
        used.take_over(_Upgraded())
        await asyncio.sleep(0.1)
        return response

    client = await connect(await serve(handler))
    await client.send(get(fields=UPGRADE) + "early")
    answer = await client.read_answer()

    assert answer.status == 101
    assert [value for name, value in answer.fields if name == "connection"] == ["upgrade"]
    assert await client.read_until_quiet() == b"taken:early"


async def test_take_over_needs_an_offer_and_an_answer(see: See) -> None:
    def look(request: web.BaseRequest) -> str:
        with pytest.raises(RuntimeError) as caught:
            request.take_over(_Upgraded())
        return str(caught.value)

    assert "offers no upgrade" in await see(look)
    assert "before the answer" in await see(look, get(fields=UPGRADE))


# Real peers.


async def test_curl_sends_a_form_and_a_cookie(serve: Serve) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.json_response([dict(await request.post()), dict(request.cookies), request.path])

    served = await serve(handler)
    arguments = ["-s", "-b", "c=1; d=2", "--data-urlencode", "a=é &", f"{served.url}/%C3%A9"]
    process = await asyncio.create_subprocess_exec("curl", *arguments, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()

    assert json.loads(output) == [{"a": "é &"}, {"c": "1", "d": "2"}, "/é"]


async def test_the_standard_librarys_client_is_understood(serve: Serve) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=await request.read())

    served = await serve(handler)

    def talk() -> list[bytes]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served.port)) as connection:
            read = []
            for number in range(3):
                connection.request("POST", "/", body=b"%d" % number)
                read.append(connection.getresponse().read())
            return read

    assert await asyncio.to_thread(talk) == [b"0", b"1", b"2"]
