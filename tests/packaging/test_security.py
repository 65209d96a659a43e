"""What docs/security.md promises is what happens."""

from __future__ import annotations

import re
from typing import Any, Final

import aiohttp
import pytest

import corelet
from corelet import web
from tests.conftest import Connect, Serve
from tests.packaging.samples import ROOT, Sample

PAGE: Final = ROOT / "docs" / "security.md"
TOKEN, PUBLIC = (Sample("docs/security.md", number) for number in range(2))
HEAD: Final = b"POST / HTTP/1.1\r\nHost: a\r\n"
#: Row of the table -> what is sent.
REFUSED: Final = {
    "a bare CR or LF in the head": [b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"],
    "a space between a field's name and its colon": [b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n"],
    "a folded field": [b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"],
    "a control character in a field": [b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n"],
    "both Content-Length and Transfer-Encoding": [
        HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ],
    "Content-Length twice, also with one value": [HEAD + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na"],
    "Content-Length with a sign, an underscore or a list": [
        HEAD + b"Content-Length: " + value + b"\r\n\r\na" for value in (b"+1", b"1_0", b"1, 1")
    ],
    "a transfer coding other than chunked": [HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
    "Transfer-Encoding in HTTP/1.0": [b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    "a chunk size that is no hexadecimal number": [HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n"],
    "no Host in HTTP/1.1, several, or one that is no host": [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    ],
    "a target with a bad percent escape": [b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n"],
    "an unknown expectation": [HEAD + b"Expect: a miracle\r\n\r\n"],
    "a method of more than 32 bytes": [b"A" * 33 + b" / HTTP/1.1\r\nHost: a\r\n\r\n"],
    "a version other than 1.0 and 1.1": [b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
}
TOO_LARGE: Final = {
    "a request line": [b"GET /" + b"a" * 8190 + b" HTTP/1.1\r\nHost: a\r\n\r\n"],
    "one field; all fields; their number": [
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 8190 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 8000) for n in range(9)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 128 + b"\r\n",
    ],
    "a body that `read()`, `text()`, `json()` or `post()` takes": [
        HEAD + b"Content-Length: 1048577\r\n\r\n" + b"a" * 1_048_577
    ],
}


async def read_all(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


def read_answers() -> dict[str, int]:
    """Read the tables: what is refused, and by which status."""
    rows = re.findall(r"^\| (.*?) \|(?: .* \|)? (\d{3}) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {what: int(status) for what, status in rows}


def test_every_row_has_its_request() -> None:
    untested = {"content of a coded body"}  # tests/compression has it
    assert read_answers().keys() - untested == REFUSED.keys() | TOO_LARGE.keys()


@pytest.mark.parametrize("what", [*REFUSED, *TOO_LARGE])
async def test_what_is_refused_is_answered_as_the_page_says(what: str, serve: Serve, connect: Connect) -> None:
    served = await serve(web.Application(handler=read_all))
    for sent in (REFUSED | TOO_LARGE)[what]:
        client = await connect(served)
        await client.send(sent)
        answer = await client.read_answer()
        assert answer.status == read_answers()[what], sent[:80]


async def test_a_form_without_the_sessions_token_is_refused(serve: Serve) -> None:
    served = await serve(TOKEN.run().app)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as peer:

        async def post(**fields: str) -> int:
            async with peer.post(served.url, data=fields) as answer:
                return answer.status

        assert await post() == 403
        async with peer.get(served.url) as answer:
            token = re.findall('value="(.*?)"', await answer.text())[0]
        assert (await post(), await post(token="x"), await post(token=token)) == (403, 403, 200)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"])
async def test_the_client_connects_to_no_private_address(host: str, serve: Serve) -> None:
    served = await serve(read_all)
    module: Any = PUBLIC.run()
    async with module.make_session() as session:
        with pytest.raises(corelet.ClientConnectorError, match="is no public address"):
            await session.get(f"http://{host}:{served.port}/")
