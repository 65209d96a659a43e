"""The digest scheme against a real server, which other clients come in to as well."""

from __future__ import annotations

import asyncio

import aiohttp
import httpx
import pytest

from corelet import ClientSession, DigestAuthMiddleware
from tests.client.digest_server import DigestServer

ALGORITHMS = ["", "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess", "SHA", "SHA-512"]
QOPS = ["auth", "auth-int", "auth, auth-int", ""]


async def ask(server: DigestServer, url, *, times: int = 1, **kwargs) -> None:
    middleware = DigestAuthMiddleware(server.login, server.password, **kwargs)
    async with ClientSession(middlewares=[middleware]) as session:
        for number in range(times):
            async with session.post(f"{url}/p?q={number}&r=%20", data=b"abc") as response:
                assert (response.status, await response.read()) == (200, b"abc"), server.errors


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("qop", QOPS)
async def test_every_algorithm_comes_in(serve, algorithm, qop):
    if not qop and algorithm.endswith("-sess"):
        pytest.skip("RFC 2069 had no -sess")
    server = DigestServer(algorithm=algorithm, qop=qop)
    served = await serve(server)
    await ask(server, served.url, times=3)
    assert server.statuses == [401, 200, 200, 200]


@pytest.mark.parametrize("userhash", [False, True])
@pytest.mark.parametrize("login", ["me", "J\u00e4s\u00f8n Doe"])
async def test_names_in_utf_8(serve, userhash, login):
    server = DigestServer(login=login, password="pässwörd", charset="UTF-8", userhash=userhash)
    served = await serve(server)
    await ask(server, served.url)
    assert server.statuses == [401, 200]


async def test_stale_nonce_costs_one_request_more(serve):
    server = DigestServer(uses=2)
    served = await serve(server)
    await ask(server, served.url, times=5)
    assert server.statuses == [401, 200, 200, 401, 200, 200, 401, 200]


async def test_next_nonce_costs_none(serve):
    server = DigestServer(uses=1, gives_next=True)
    served = await serve(server)
    await ask(server, served.url, times=4)
    assert server.statuses == [401, 200, 200, 200, 200]


async def test_without_preemption(serve):
    server = DigestServer()
    served = await serve(server)
    await ask(server, served.url, times=2, preemptive=False)
    assert server.statuses == [401, 200, 401, 200]


async def test_wrong_password_stays_outside(serve):
    server = DigestServer()
    served = await serve(server)
    middlewares = [DigestAuthMiddleware("me", "wrong")]
    async with ClientSession(middlewares=middlewares) as session, session.get(served.url) as response:
        assert (response.status, await response.text()) == (401, "who?")
    assert server.statuses == [401, 401]


async def test_requests_at_once_use_numbers_of_their_own(serve):
    server = DigestServer()
    served = await serve(server)
    # The server counts strictly: what overtakes another is challenged, and comes in by another nonce.
    async with ClientSession(middlewares=[DigestAuthMiddleware("me", "secret")]) as session:

        async def get() -> int:
            async with session.get(served.url) as response:
                return response.status

        assert await get() == 200
        await asyncio.gather(*(get() for _ in range(10)))
        assert await get() == 200


async def test_body_that_can_be_read_once_is_signed_unasked(serve):
    async def pieces():
        yield b"ab"
        yield b"c"

    server = DigestServer(qop="auth-int")
    served = await serve(server)
    async with ClientSession(middlewares=[DigestAuthMiddleware("me", "secret")]) as session:
        async with session.get(served.url) as response:
            assert response.status == 200
        async with session.post(served.url, data=pieces()) as response:
            assert (response.status, await response.read(), server.errors) == (200, b"abc", [])
    assert server.statuses == [401, 200, 200]


async def test_file_is_sent_again(serve, tmp_path):
    server = DigestServer(qop="auth-int")
    served = await serve(server)
    path = tmp_path / "file"
    path.write_bytes(b"x" * 200_000)
    middlewares = [DigestAuthMiddleware("me", "secret")]
    async with ClientSession(middlewares=middlewares) as session:
        response = await session.put(served.url, data=path.open("rb"))
        assert (response.status, await response.read()) == (200, b"x" * 200_000)


# The server is right: others come in too.


# Before 8.8 curl took SHA-256 for SHA-512-256.
@pytest.mark.parametrize("algorithm", ["", "MD5", "SHA-256"])
@pytest.mark.parametrize("userhash", [False, True])
async def test_curl_comes_in(serve, algorithm, userhash):
    if userhash and not algorithm:
        pytest.skip("curl hides no name then")
    server = DigestServer(algorithm=algorithm, userhash=userhash)
    served = await serve(server)
    command = ["curl", "-sS", "--digest", "--user", "me:secret", "--data", "abc", f"{served.url}/p?q=1"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert (output, server.errors) == (b"abc", [])


@pytest.mark.parametrize("algorithm", ["MD5", "MD5-SESS", "SHA-256", "SHA-256-SESS", "SHA", "SHA-512"])
async def test_httpx_comes_in(serve, algorithm):
    server = DigestServer(algorithm=algorithm, realm="plain")
    served = await serve(server)
    async with httpx.AsyncClient(auth=httpx.DigestAuth("me", "secret")) as client:
        response = await client.post(f"{served.url}/p?q=1", content=b"abc")
    assert (response.status_code, response.content, server.errors) == (200, b"abc", [])


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-256-SESS"])
@pytest.mark.parametrize("qop", ["auth", "auth-int"])
async def test_aiohttp_comes_in(serve, algorithm, qop):
    server = DigestServer(algorithm=algorithm, qop=qop, realm="plain")
    served = await serve(server)
    middlewares = [aiohttp.DigestAuthMiddleware("me", "secret")]
    async with aiohttp.ClientSession(middlewares=middlewares) as client:
        response = await client.post(f"{served.url}/p?q=1", data=b"abc")
        assert (response.status, await response.read(), server.errors) == (200, b"abc", [])
