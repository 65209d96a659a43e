"""The client against servers and proxies that others have made."""

from __future__ import annotations

import asyncio
import getpass
import http.server
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp.web
import pytest
from yarl import URL

import corelet
from corelet import BasicAuth, ClientSession, ClientTimeout, FormData, TCPConnector, web
from corelet_compression import compression_middleware, decompression_middleware
from tests.conftest import Tls

TEXT = b"some lines of text, more or less the same\n" * 5000


async def find_port() -> int:
    """Find a port that is free now."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return int(port)


async def wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until somebody listens; fail where the process that should do so has ended."""
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert process.poll() is None, "the server has ended"
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession(timeout=ClientTimeout(total=60)) as session:
        yield session


def count_connections(session: ClientSession) -> int:
    return len(session.connector.pool.connections)


# aiohttp


@pytest.fixture
async def aiohttp_server() -> AsyncIterator[URL]:
    """Give aiohttp's server: it tells what it got, and answers in several ways."""

    async def echo(request: aiohttp.web.Request) -> aiohttp.web.Response:
        body = await request.read()
        return aiohttp.web.Response(body=body, headers={"X-Method": request.method, "X-Path": request.raw_path})

    async def form(request: aiohttp.web.Request) -> aiohttp.web.Response:
        fields = await request.post()
        told = {
            name: value if isinstance(value, str) else [value.filename, value.file.read().decode()]
            for name, value in fields.items()
        }
        return aiohttp.web.json_response(told)

    async def coded(request: aiohttp.web.Request) -> aiohttp.web.Response:
        response = aiohttp.web.Response(body=TEXT)
        response.enable_compression()
        return response

    async def stream(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        response = aiohttp.web.StreamResponse()
        await response.prepare(request)
        async for piece in request.content.iter_any():
            await response.write(piece)
        return response

    async def visit(request: aiohttp.web.Request) -> aiohttp.web.Response:
        response = aiohttp.web.HTTPFound("/echo")
        response.set_cookie("seen", "a b")
        raise response

    app = aiohttp.web.Application()
    for path, handler in (("/echo", echo), ("/form", form), ("/coded", coded), ("/stream", stream), ("/visit", visit)):
        app.router.add_route("*", path, handler)
    runner = aiohttp.web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield URL.build(scheme="http", host="127.0.0.1", port=runner.addresses[0][1])
    await runner.cleanup()


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_aiohttp_understands_every_method(aiohttp_server, session, method):
    for body in (None, b"abc", TEXT):
        async with session.request(method, aiohttp_server / "echo" % {"a": "é b"}, data=body) as response:
            assert await response.read() == (body or b"")
            assert response.headers["X-Method"] == method
            assert response.headers["X-Path"] == "/echo?a=%C3%A9+b"
    assert count_connections(session) == 1


async def test_aiohttp_understands_forms(aiohttp_server, session):
    async with session.post(aiohttp_server / "form", data={"a": "1 é&", "b": "2"}) as response:
        assert await response.json() == {"a": "1 é&", "b": "2"}
    form = FormData()
    form.add_field("text", "é\r\nx")
    form.add_field("file", io.BytesIO(b"content"), filename="é name.txt")
    async with session.post(aiohttp_server / "form", data=form) as response:
        assert await response.json() == {"text": "é\r\nx", "file": ["é name.txt", "content"]}
    assert count_connections(session) == 1


async def test_aiohttp_gets_a_body_of_unknown_length(aiohttp_server, session):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield TEXT[:1000]

    async with session.post(aiohttp_server / "stream", data=pieces()) as response:
        assert await response.read() == TEXT[:1000] * 100
    assert count_connections(session) == 1


async def test_aiohttp_undoes_our_coding_and_we_undo_its(aiohttp_server, session):
    async with session.post(aiohttp_server / "echo", data=TEXT, compress="gzip") as response:
        assert await response.read() == TEXT
    async with session.get(aiohttp_server / "coded") as response:
        assert response.headers["Content-Encoding"] in {"gzip", "deflate"}
        assert await response.read() == TEXT


async def test_aiohttp_redirects_us_with_a_cookie(aiohttp_server):
    async with ClientSession(cookie_jar=corelet.CookieJar(unsafe=True)) as session:
        async with session.post(aiohttp_server / "visit", data=b"x") as response:
            assert (response.method, response.url.path, await response.read()) == ("GET", "/echo", b"")
            (first,) = response.history
            assert (first.status, first.cookies["seen"].value) == (302, "a b")
        assert [morsel.value for morsel in session.cookie_jar] == ["a b"]


async def test_aiohttp_answers_many_at_once(aiohttp_server):
    async with ClientSession(connector=TCPConnector(limit=20)) as session:

        async def ask(number: int) -> bool:
            body = b"%d" % number * (number % 2000)
            async with session.post(aiohttp_server / "echo", data=body) as response:
                return await response.read() == body

        assert all(await asyncio.gather(*(ask(number) for number in range(500))))
        assert count_connections(session) <= 20


# http.server


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class KeptHandler(QuietHandler):
    protocol_version = "HTTP/1.1"


@pytest.fixture(params=[QuietHandler, KeptHandler], ids=["HTTP/1.0", "HTTP/1.1"])
def standard_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[URL, bool]]:
    """Give Python's own server over a folder, and whether it keeps connections."""
    (tmp_path / "file.txt").write_bytes(TEXT)
    (tmp_path / "folder").mkdir()

    def make_handler(*args: object) -> QuietHandler:
        return request.param(*args, directory=str(tmp_path))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), make_handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    port = server.server_address[1]
    yield URL.build(scheme="http", host="127.0.0.1", port=port), request.param is KeptHandler
    server.shutdown()
    server.server_close()
    thread.join()


async def test_standard_server_gives_files(standard_server):
    url, is_kept = standard_server
    async with ClientSession() as session:
        for _ in range(3):
            async with session.get(url / "file.txt") as response:
                assert response.content_type == "text/plain"
                assert response.version == (corelet.HttpVersion11 if is_kept else corelet.HttpVersion10)
                assert await response.read() == TEXT
        assert count_connections(session) == is_kept
        async with session.head(url / "file.txt") as response:
            assert (response.content_length, await response.read()) == (len(TEXT), b"")
        async with session.get(url / "none") as response:
            assert response.status == 404
        async with session.get(url / "folder") as response:  # to /folder/
            assert (response.status, response.url.path, len(response.history)) == (200, "/folder/", 1)
        async with session.post(url / "x", data=TEXT) as response:
            assert await response.read() == TEXT


# nginx


NGINX = """
daemon off;
user {user};
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    types {{ text/plain txt; }}
    gzip on;
    gzip_types text/plain;
    keepalive_requests 5;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        client_max_body_size 100k;
        location /private/ {{ auth_basic "x"; auth_basic_user_file {folder}/users; alias {folder}/files/; }}
        location /upload {{ proxy_pass http://127.0.0.1:{port}/file.txt; }}
        location /away {{ return 301 /file.txt; }}
    }}
}}
"""
LARGE = 100 * 1024 * 1024


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """Give nginx over a folder; it closes a connection after five requests."""
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "files").mkdir()
    (folder / "files" / "file.txt").write_bytes(TEXT)
    with (folder / "files" / "large").open("wb") as file:
        file.truncate(LARGE)
    (folder / "users").write_text("me:{PLAIN}secret\n")
    port = asyncio.run(find_port())
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, user=getpass.getuser()))
    command = ["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        asyncio.run(wait_until_open(port, process))
        yield URL.build(scheme="http", host="127.0.0.1", port=port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


async def test_nginx_closes_a_connection_now_and_then(nginx, session):
    for _ in range(23):
        async with session.get(nginx / "file.txt", headers={"Accept-Encoding": "identity"}) as response:
            assert (response.status, await response.read()) == (200, TEXT)
    assert count_connections(session) == 1


async def test_nginx_codes_what_we_undo(nginx, session):
    async with session.get(nginx / "file.txt") as response:
        assert response.headers["Content-Encoding"] == "gzip"
        assert await response.read() == TEXT


async def test_nginx_gives_ranges(nginx, session):
    async with session.get(
        nginx / "file.txt", headers={"Range": "bytes=10-19", "Accept-Encoding": "identity"}
    ) as response:
        assert (response.status, await response.read()) == (206, TEXT[10:20])
    async with session.get(
        nginx / "file.txt", headers={"Range": "bytes=9999999-", "Accept-Encoding": "identity"}
    ) as response:
        assert response.status == 416
    async with session.get(
        nginx / "file.txt", headers={"Range": "bytes=0-1,4-5", "Accept-Encoding": "identity"}
    ) as response:
        assert (response.status, response.content_type) == (206, "multipart/byteranges")


async def test_nginx_gives_a_large_file(nginx, session):
    size = 0
    async with session.get(nginx / "large") as response:
        async for piece in response.content.iter_any():
            size += len(piece)
    assert size == LARGE
    assert count_connections(session) == 1


async def test_nginx_refuses_a_large_body_while_it_is_sent(nginx, session):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield bytes(100_000)

    for body in (pieces(), bytes(5_000_000)):
        async with session.post(nginx / "upload", data=body) as response:
            assert response.status == 413
    async with session.get(nginx / "file.txt") as response:
        assert await response.read() == TEXT


async def test_nginx_asks_who_we_are(nginx, session):
    async with session.get(nginx / "private" / "file.txt") as response:
        assert response.status == 401
    async with session.get(nginx / "private" / "file.txt", auth=BasicAuth("me", "secret")) as response:
        assert (response.status, await response.read()) == (200, TEXT)
    url = (nginx / "private" / "file.txt").with_user("me").with_password("wrong")
    async with session.get(url) as response:
        assert response.status == 401


async def test_nginx_redirects_and_says_what_is_not_modified(nginx, session):
    async with session.get(nginx / "away") as response:
        assert (response.status, response.url.path, await response.read()) == (200, "/file.txt", TEXT)
        tag = response.headers["ETag"]
    async with session.get(nginx / "file.txt", headers={"If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")


# Our own server


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
async def test_both_ends_of_ours_code(serve, session, coding):
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="text/plain")

    middlewares = [compression_middleware(), decompression_middleware()]
    app = web.Application(handler=echo, middlewares=middlewares, client_max_size=10_000_000)
    served = await serve(app)
    async with session.post(
        served.url, data=TEXT, compress=coding, headers={"Accept-Encoding": coding, "Content-Type": "text/plain"}
    ) as response:
        assert response.headers["Content-Encoding"] == coding
        assert await response.read() == TEXT


async def test_ours_reads_our_forms(serve, session, tmp_path):
    async def tell(request: web.Request) -> web.Response:
        fields = await request.post()
        told = [
            [n, v if isinstance(v, str) else [v.filename, v.content_type, v.file.read().decode()]]
            for n, v in fields.items()
        ]
        return web.json_response(told)

    served = await serve(web.Application(handler=tell))
    path = tmp_path / "é.txt"
    path.write_bytes(b"from a file")
    form = FormData({"a": "1"})
    form.add_field("b", "é", content_type="text/plain; charset=utf-8")
    form.add_field("c", path.open("rb"), filename="é.txt")
    form.add_field("a", "2")
    async with session.post(served.url, data=form) as response:
        assert await response.json() == [
            ["a", "1"],
            ["b", "é"],
            ["c", ["é.txt", "text/plain", "from a file"]],
            ["a", "2"],
        ]
    async with session.post(served.url, data={"f": path.open("rb")}) as response:
        ((name, (filename, _, content)),) = await response.json()
        assert (name, filename, content) == ("f", "é.txt", "from a file")


async def test_ours_reads_a_coded_form(serve, session):
    async def tell(request: web.Request) -> web.Response:
        return web.json_response(dict(await request.post()))

    served = await serve(web.Application(handler=tell, middlewares=[decompression_middleware()]))
    form = FormData({"a": "x" * 10_000}, default_to_multipart=True)
    async with session.post(served.url, data=form, compress="gzip") as response:
        assert await response.json() == {"a": "x" * 10_000}


async def test_ours_gives_and_takes_a_lot(serve, session):
    size = 30_000_000

    async def swap(request: web.Request) -> web.StreamResponse:
        got = 0
        async for piece in request.content.iter_any():
            got += len(piece)
        response = web.StreamResponse(headers={"X-Got": str(got)})
        await response.prepare(request)
        for _ in range(size // 100_000):
            await response.write(bytes(100_000))
        return response

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // 100_000):
            yield bytes(100_000)

    served = await serve(swap)
    async with session.post(served.url, data=pieces()) as response:
        got = 0
        async for piece in response.content.iter_any():
            got += len(piece)
        assert (int(response.headers["X-Got"]), got) == (size, size)
    assert count_connections(session) == 1


# proxy.py


def start_proxy(port: int, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", str(port)]
    command += ["--num-workers", "1", "--num-acceptors", "1", "--log-level", "ERROR", *arguments]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def run_proxy(*arguments: str) -> Iterator[int]:
    port = asyncio.run(find_port())
    process = start_proxy(port, *arguments)
    try:
        asyncio.run(wait_until_open(port, process))
        yield port
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it and its workers, which are a session of their own
        process.wait(10)


@pytest.fixture(scope="module")
def plain_proxy() -> Iterator[int]:
    """Give the port of an HTTP proxy that asks for a password."""
    yield from run_proxy("--basic-auth", "me:secret")


@pytest.fixture(scope="module")
def tls_proxy(tls: Tls) -> Iterator[int]:
    """Give the port of an HTTP proxy to which TLS is spoken."""
    yield from run_proxy("--cert-file", tls.certificate_path, "--key-file", tls.key_path)


async def tell(request: web.Request) -> web.Response:
    told = {"scheme": request.scheme, "path": request.raw_path, "body": (await request.read()).decode()}
    told["secret"] = request.headers.get("Proxy-Authorization", "")
    return web.json_response(told)


@pytest.mark.parametrize("in_url", [True, False])
async def test_proxy_takes_http(serve, session, plain_proxy, in_url):
    served = await serve(tell)
    proxy = URL(f"http://127.0.0.1:{plain_proxy}")
    arguments = {"proxy": proxy, "proxy_auth": BasicAuth("me", "secret")}
    if in_url:
        arguments = {"proxy": proxy.with_user("me").with_password("secret")}
    for _ in range(3):
        async with session.post(served.url / "a" % {"b": "c"}, data=b"abc", **arguments) as response:
            told = await response.json()
            assert (told["scheme"], told["path"], told["body"]) == ("http", "/a?b=c", "abc")


async def test_proxy_opens_a_tunnel(serve, session, plain_proxy, tls):
    served = await serve(tell, ssl_context=tls.server)
    arguments = {"proxy": f"http://127.0.0.1:{plain_proxy}", "proxy_auth": BasicAuth("me", "secret"), "ssl": tls.client}
    for _ in range(3):
        async with session.post(served.url.with_scheme("https"), data=TEXT, **arguments) as response:
            told = await response.json()
            assert (told["scheme"], told["body"].encode(), told["secret"]) == ("https", TEXT, "")
    assert count_connections(session) == 1


async def test_proxy_wants_a_password(serve, session, plain_proxy, tls):
    served = await serve(tell, ssl_context=tls.server)
    proxy = f"http://127.0.0.1:{plain_proxy}"
    with pytest.raises(corelet.ClientHttpProxyError) as caught:
        await session.get(served.url.with_scheme("https"), proxy=proxy, ssl=tls.client)
    assert caught.value.status == 407
    async with session.get("http://127.0.0.1:1/", proxy=proxy) as response:
        assert response.status == 407


async def test_proxy_is_spoken_to_by_tls(serve, session, tls_proxy, tls):
    plain, secure = await serve(tell), await serve(tell, ssl_context=tls.server)
    proxy = f"https://127.0.0.1:{tls_proxy}"
    for url, scheme in ((plain.url, "http"), (secure.url.with_scheme("https"), "https")):
        async with session.get(url, proxy=proxy, ssl=tls.client) as response:
            assert (await response.json())["scheme"] == scheme
    # TLS in TLS carries more than one record.
    async with session.post(secure.url.with_scheme("https"), proxy=proxy, ssl=tls.client, data=TEXT) as response:
        assert len((await response.json())["body"]) == len(TEXT)


async def test_proxy_that_the_environment_names(serve, plain_proxy, monkeypatch):
    served = await serve(tell)
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{plain_proxy}")
    monkeypatch.setenv("no_proxy", "")
    async with ClientSession(trust_env=True) as session, session.get(served.url) as response:
        assert response.headers.get("Via") or (await response.json())["path"] == "/"
