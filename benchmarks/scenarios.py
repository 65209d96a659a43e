"""What is measured, on which servers, and what is promised about it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.servers.arguments import HELLO, REPORT, ROUTES, SESSION_USER, SMALL_FILE_BYTES

#: Servers by the name in tables: the module under ``benchmarks.servers``.
SERVERS: Final = {
    "raw": "raw_uvloop",
    "corelet": "corelet_app",
    "aiohttp": "aiohttp_app",
    "granian": "granian_rsgi",
    "blacksheep": "blacksheep_app",
    "websockets": "websockets_echo",
    "picows": "picows_echo",
}
#: What stands behind those names.
TITLES: Final = {
    "raw": "asyncio.Protocol on uvloop that answers fixed bytes: the limit",
    "corelet": "corelet, corelet-routing and corelet-subapps on uvloop",
    "aiohttp": "aiohttp on uvloop",
    "granian": "granian's bare RSGI on uvloop, no framework",
    "blacksheep": "BlackSheep on granian, uvloop",
    "websockets": "websockets on uvloop",
    "picows": "picows on uvloop: callbacks, WebSockets only",
    "httpx": "httpx's AsyncClient on uvloop, as a client",
}
#: Servers of HTTP.
HTTP_SERVERS: Final = ("blacksheep", "granian", "aiohttp", "raw", "corelet")
GIB: Final = 2**30
PIPELINE: Final = 16
CONNECTIONS: Final = 64
IDLE_CONNECTIONS: Final = 10_000
#: Fields of a form.
FIELDS: Final = 20
#: As long as those of browsers.
BOUNDARY: Final = "----WebKitFormBoundary7MA4YWxkTrZu0gW"


@dataclass(frozen=True, slots=True)
class Load:
    """One request, asked again and again by wrk.

    Args:
        name: what ``--only`` takes.
        title: what the table says.
        servers: who is measured.
        target: the request's target.
        body: what every server must answer, or a callable that tells whether an answer is right.
        shape: the application that the servers run.
        headers: fields of the request.
        pipeline: requests sent in one write.
        form: the body of a POST; a GET without one.
    """

    name: str
    title: str
    servers: tuple[str, ...]
    target: str
    body: Callable[[bytes], bool]
    shape: str = "plain"
    headers: dict[str, str] = field(default_factory=dict)
    pipeline: int = 1
    form: bytes = b""


def _is(expected: str) -> Callable[[bytes], bool]:
    return lambda body: body == expected.encode()


def _is_user(body: bytes) -> bool:
    return body.replace(b" ", b"") == b'{"id":42,"verbose":"yes","client":"bench"}'


def _is_report(body: bytes) -> bool:
    return bool(json.loads(gzip.decompress(body)) == REPORT)


#: Cookies of a session that holds ``{"user": SESSION_USER}``, made by ``SESSION_KEY``: a signed and an encrypted one of
#: corelet, and aiohttp_session's.
SIGNED_COOKIE: Final = (
    "session=WzE3OTAwMDAwMDAsMTc5MDAwMDAwMCxudWxsLHsidXNlciI6ImFsaWNlIn1d.rMXqtzzK20d_0IIG4tmjJYCifz9AD0nktUsQslHLIbI"
)
ENCRYPTED_COOKIE: Final = (
    "session=HT8gORXI5KZ2ouQib9eC7LeqIm12rCTtFRGSGCPeYrIF2rq2cTVe_dsDXvBDSucCJZHx4dVivHH_1tNvwrejcU7rYZ6WCcmk4Q"
)
AIOHTTP_COOKIE: Final = (
    "AIOHTTP_SESSION=gAAAAABrCFMEyGLU99JpB870HWT5-j1VQ6VvhlamBhWrE2gh76QAaZ4vQvz7gLrdn6WY4WoDXnTAU8R4XSXP_Tx69E4YbCmaga_"
    "Bk9AIjBqkaSIE3EtYaTrVAXgJX5ZCiZSjO8YsaHg8F_iLq-KzgBElTCYxvI4qJQ=="
)


def _make_urlencoded() -> bytes:
    return "&".join(f"field{number}=value+{number}" for number in range(FIELDS)).encode()


def _make_multipart() -> bytes:
    part = '--{0}\r\nContent-Disposition: form-data; name="field{1}"\r\n\r\nvalue {1}\r\n'
    return ("".join(part.format(BOUNDARY, number) for number in range(FIELDS)) + f"--{BOUNDARY}--\r\n").encode()


LOADS: Final = (
    Load("hello", "text response through routing", HTTP_SERVERS, "/", _is(HELLO)),
    Load(
        "left-alone",
        "hello through compression_middleware, which leaves it alone",
        ("corelet",),
        "/",
        _is(HELLO),
        "compression",
        headers={"Accept-Encoding": "gzip, deflate, br, zstd"},
    ),
    Load(
        "json",
        "path parameter, query, header, JSON response",
        ("corelet", "aiohttp", "blacksheep"),
        "/users/42?verbose=yes",
        _is_user,
        headers={"X-Client": "bench"},
    ),
    Load(
        "pipelined",
        f"{PIPELINE} requests in one write",
        ("raw", "corelet", "aiohttp"),
        "/",
        _is(HELLO),
        pipeline=PIPELINE,
    ),
    Load("middlewares", "two middlewares", ("corelet", "aiohttp"), "/", _is("alice"), shape="middlewares"),
    Load(
        "subapp", "a sub-application with two middlewares", ("corelet", "aiohttp"), "/sub/user", _is("alice"), "subapp"
    ),
    Load(
        "subapp-id",
        "the same by a path parameter",
        ("corelet", "aiohttp"),
        "/sub/users/7",
        _is("alice"),
        "subapp",
    ),
    Load("first-route", f"first of {ROUTES:,} routes /rN/{{id}}", ("corelet", "aiohttp"), "/r0/7", _is("7"), "routes"),
    Load(
        "last-route",
        f"last of {ROUTES:,} routes /rN/{{id}}",
        ("corelet", "aiohttp"),
        f"/r{ROUTES - 1}/7",
        _is("7"),
        "routes",
    ),
    Load(
        "first-nested",
        f"first of {ROUTES:,} routes /{{tenant}}/rN/{{id}}",
        ("corelet", "aiohttp"),
        "/acme/r0/7",
        _is("7"),
        "nested-routes",
    ),
    Load(
        "last-nested",
        f"last of {ROUTES:,} routes /{{tenant}}/rN/{{id}}: a scan's worst",
        ("corelet", "aiohttp"),
        f"/acme/r{ROUTES - 1}/7",
        _is("7"),
        "nested-routes",
    ),
    Load(
        "gzip",
        "JSON of 21 KiB, enable_compression(gzip), zlib",
        ("corelet", "aiohttp"),
        "/report",
        _is_report,
        headers={"Accept-Encoding": "gzip"},
    ),
    Load(
        "signed-session",
        "a session in a signed cookie is read; aiohttp_session's is encrypted",
        ("corelet", "aiohttp"),
        "/",
        _is(SESSION_USER),
        "signed-session",
        headers={"Cookie": f"{SIGNED_COOKIE}; {AIOHTTP_COOKIE}"},
    ),
    Load(
        "encrypted-session",
        "a session in an encrypted cookie is read",
        ("corelet", "aiohttp"),
        "/",
        _is(SESSION_USER),
        "encrypted-session",
        headers={"Cookie": f"{ENCRYPTED_COOKIE}; {AIOHTTP_COOKIE}"},
    ),
    Load(
        "static",
        f"static file of {SMALL_FILE_BYTES // 1024} KiB",
        ("corelet", "aiohttp"),
        "/static/small.bin",
        lambda body: len(body) == SMALL_FILE_BYTES,
        "files",
    ),
    Load(
        "form",
        f"post of {FIELDS} fields, urlencoded",
        ("corelet", "aiohttp"),
        "/form",
        _is(str(FIELDS)),
        "files",
        {"Content-Type": "application/x-www-form-urlencoded"},
        form=_make_urlencoded(),
    ),
    Load(
        "form-multipart",
        f"post of {FIELDS} fields, multipart",
        ("corelet", "aiohttp"),
        "/form",
        _is(str(FIELDS)),
        "files",
        {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"},
        form=_make_multipart(),
    ),
)


@dataclass(frozen=True, slots=True)
class Echo:
    """One WebSocket message that comes back, on many connections again and again.

    Args:
        name: what ``--only`` takes.
        title: what the table says.
        servers: who is measured.
        message_bytes: bytes of the text, JSON.
        is_compressed: whether permessage-deflate is used.
    """

    name: str
    title: str
    servers: tuple[str, ...]
    message_bytes: int
    is_compressed: bool = False


ECHOES: Final = (
    Echo("ws-32", "WebSocket echo of 32 bytes", ("corelet", "aiohttp", "websockets", "picows"), 32),
    Echo("ws-16k", "WebSocket echo of 16 KiB", ("corelet", "aiohttp", "websockets", "picows"), 16_384),
    Echo(
        "ws-deflate",
        "WebSocket echo of 2 KiB of JSON, permessage-deflate",
        ("corelet", "aiohttp", "websockets"),
        2048,
        is_compressed=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Call:
    """Requests of a client to the raw server; the client is what is measured.

    Args:
        name: what ``--only`` takes.
        title: what the table says.
        clients: who is measured, in the place of servers.
        kind: ``get``, ``post`` of a small JSON document, or ``download``.
        concurrency: requests at once.
        target: the request's target.
    """

    name: str
    title: str
    clients: tuple[str, ...]
    kind: str
    concurrency: int
    target: str = "/"


_CLIENTS: Final = ("corelet", "aiohttp", "httpx")
CALLS: Final = (
    Call("client-1", "client: GET, one at a time", ("raw", *_CLIENTS), "get", 1),
    Call("client-32", "client: GET, 32 at once", ("raw", *_CLIENTS), "get", 32),
    Call("client-100", "client: GET, 100 at once", ("raw", *_CLIENTS), "get", 100),
    Call("client-post", "client: POST of JSON, 32 at once", _CLIENTS, "post", 32),
    Call("client-download", "client: 1 GiB read", _CLIENTS, "download", 1, f"/download/sized/{GIB}"),
)

#: Other measurements by name: their title and their servers.
TRANSFERS: Final = {
    "upload": "1 GiB received and read, Content-Length",
    "upload-chunked": "1 GiB received and read, chunks of 64 KiB",
    "download": "1 GiB sent by writes of 64 KiB, Content-Length",
    "download-chunked": "1 GiB sent by writes of 64 KiB, chunked",
    "static-large": "static file of 100 MiB",
    "multipart-large": "100 MiB received as a file of a multipart body and read in pieces of 64 KiB",
}
TRANSFER_SERVERS: Final = {
    "upload": ("raw", "corelet", "aiohttp"),
    "upload-chunked": ("corelet", "aiohttp"),
    "download": ("raw", "corelet", "aiohttp"),
    "download-chunked": ("corelet", "aiohttp"),
    "static-large": ("corelet", "aiohttp"),
    "multipart-large": ("corelet", "aiohttp"),
}
#: What is measured on another application than the plain one.
TRANSFER_SHAPES: Final = {"static-large": "files", "multipart-large": "files"}
MEMORIES: Final = {
    "idle": f"{IDLE_CONNECTIONS:,} connections, each after one request",
    "silent": f"{IDLE_CONNECTIONS:,} connections that never sent a byte",
    "ws-idle": f"{IDLE_CONNECTIONS:,} WebSockets, nothing sent",
}
MEMORY_SERVERS: Final = ("corelet", "aiohttp")
#: Statements by scenario and server.
IMPORTS: Final = {
    "import": ("the top-level package", {"corelet": "import corelet", "aiohttp": "import aiohttp"}),
    "import-web": (
        "what a served application needs",
        {
            "corelet": "from corelet import web; web.Application, web.RouteTableDef, web.Response, web.run_app",
            "aiohttp": "from aiohttp import web; web.Application, web.RouteTableDef, web.Response, web.run_app",
        },
    ),
}
#: Scenarios in the order in which they are measured: name -> its servers.
SERVERS_OF: Final[dict[str, tuple[str, ...]]] = {
    **{load.name: load.servers for load in LOADS},
    **{echo.name: echo.servers for echo in ECHOES},
    **{call.name: call.clients for call in CALLS},
    **TRANSFER_SERVERS,
    **dict.fromkeys(MEMORIES, MEMORY_SERVERS),
    **{name: tuple(statements) for name, (_, statements) in IMPORTS.items()},
}

#: One round's figure: (scenario, server, metric) -> value; KeyError where it was not measured.
Figures = Callable[[str, str, str], float]


@dataclass(frozen=True, slots=True)
class Claim:
    """A promise about figures of one round; the median over all rounds decides.

    Args:
        text: the promise in words.
        limit: the largest value that keeps it.
        value: computes it from one round.
    """

    text: str
    limit: float
    value: Callable[[Figures], float]


def _message_ratio(scenario: str, over: str = "aiohttp") -> Callable[[Figures], float]:
    return _ratio(scenario, over, "message_us")


def _ratio(scenario: str, over: str = "aiohttp", metric: str = "cpu_us") -> Callable[[Figures], float]:
    return lambda figures: figures(scenario, "corelet", metric) / figures(scenario, over, metric)


def _growth(last: str, first: str) -> Callable[[Figures], float]:
    return lambda figures: figures(last, "corelet", "cpu_us") / figures(first, "corelet", "cpu_us")


def _above_the_limit(figures: Figures) -> float:
    raw = figures("hello", "raw", "cpu_us")
    return (figures("hello", "corelet", "cpu_us") - raw) / (figures("hello", "aiohttp", "cpu_us") - raw)


def _left_alone(figures: Figures) -> float:
    return figures("left-alone", "corelet", "cpu_us") - figures("hello", "corelet", "cpu_us")


def _connection_bytes(scenario: str) -> Callable[[Figures], float]:
    return lambda figures: figures(scenario, "corelet", "connection_bytes")


CLAIMS: Final = (
    Claim("hello: CPU of aiohttp's", 1 / 3, _ratio("hello")),
    Claim("hello: CPU of granian's bare RSGI", 1.0, _ratio("hello", "granian")),
    Claim("hello: CPU of the raw limit", 2.0, _ratio("hello", "raw")),
    Claim("hello: CPU above the raw limit, of aiohttp's above it", 0.2, _above_the_limit),
    Claim("json: CPU of aiohttp's", 1 / 3, _ratio("json")),
    Claim("middlewares: CPU of aiohttp's", 1 / 3, _ratio("middlewares")),
    Claim("sub-application: CPU of aiohttp's", 1 / 3, _ratio("subapp")),
    Claim("sub-application, path parameter: CPU of aiohttp's", 1 / 3, _ratio("subapp-id")),
    Claim("pipelined: CPU of aiohttp's", 1 / 6, _ratio("pipelined")),
    Claim("routes: CPU of the last, of the first", 1.2, _growth("last-route", "first-route")),
    Claim("nested routes: CPU of the last, of the first", 1.2, _growth("last-nested", "first-nested")),
    Claim("gzip: CPU of aiohttp's", 0.8, _ratio("gzip")),
    Claim("compression_middleware on what it leaves alone: microseconds", 2.0, _left_alone),
    Claim("signed session: CPU of aiohttp's", 1 / 2.5, _ratio("signed-session")),
    Claim("encrypted session: CPU of aiohttp's", 1 / 2.5, _ratio("encrypted-session")),
    Claim("upload: CPU of aiohttp's", 0.7, _ratio("upload", metric="cpu_s")),
    Claim("upload, chunked: CPU of aiohttp's", 0.7, _ratio("upload-chunked", metric="cpu_s")),
    Claim("download: CPU of aiohttp's", 0.7, _ratio("download", metric="cpu_s")),
    Claim("download, chunked: CPU of aiohttp's", 0.7, _ratio("download-chunked", metric="cpu_s")),
    Claim("static file of 64 KiB: CPU of aiohttp's", 0.5, _ratio("static")),
    Claim("static file of 100 MiB: CPU of aiohttp's", 0.8, _ratio("static-large", metric="cpu_s")),
    Claim("post of 20 fields: CPU of aiohttp's", 0.5, _ratio("form")),
    Claim("post of 20 fields, multipart: CPU of aiohttp's", 0.5, _ratio("form-multipart")),
    Claim("multipart upload of 100 MiB: CPU of aiohttp's", 0.8, _ratio("multipart-large", metric="cpu_s")),
    Claim("idle connection: memory of aiohttp's", 0.5, _ratio("idle", metric="connection_bytes")),
    Claim("idle connection: bytes", 4096, _connection_bytes("idle")),
    Claim("silent connection: bytes", 2048, _connection_bytes("silent")),
    Claim("WebSocket, 32 bytes: CPU of picows's", 1.3, _message_ratio("ws-32", "picows")),
    Claim("WebSocket, 16 KiB: CPU of picows's", 1.3, _message_ratio("ws-16k", "picows")),
    Claim("WebSocket, 32 bytes: CPU of aiohttp's", 1 / 1.3, _message_ratio("ws-32")),
    Claim("WebSocket, 16 KiB: CPU of aiohttp's", 1 / 1.3, _message_ratio("ws-16k")),
    Claim("WebSocket, compressed: CPU of aiohttp's", 1.0, _message_ratio("ws-deflate")),
    Claim("idle WebSocket: memory of aiohttp's", 1.0, _ratio("ws-idle", metric="connection_bytes")),
    Claim("client, 32 at once: CPU of aiohttp's", 1 / 3, _ratio("client-32")),
    Claim("client, 32 at once: CPU of httpx's", 1 / 20, _ratio("client-32", "httpx")),
    Claim("client, one at a time: CPU of aiohttp's", 1 / 1.8, _ratio("client-1")),
    Claim("client, 1 GiB read: CPU of aiohttp's", 0.6, _ratio("client-download", metric="cpu_s")),
    Claim("import corelet: time of import aiohttp", 1 / 3, _ratio("import", metric="import_ms")),
    Claim("import corelet: memory of import aiohttp", 1 / 3, _ratio("import", metric="import_mb")),
)
