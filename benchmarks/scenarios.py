"""What is measured, on which servers, and what is promised about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.servers.arguments import HELLO, ROUTES, SMALL_FILE_BYTES

#: Servers by the name in tables: the module under ``benchmarks.servers``.
SERVERS: Final = {
    "raw": "raw_uvloop",
    "corelet": "corelet_app",
    "aiohttp": "aiohttp_app",
    "granian": "granian_rsgi",
    "blacksheep": "blacksheep_app",
}
#: What stands behind those names.
TITLES: Final = {
    "raw": "asyncio.Protocol on uvloop that answers fixed bytes: the limit",
    "corelet": "corelet, corelet-routing and corelet-subapps on uvloop",
    "aiohttp": "aiohttp on uvloop",
    "granian": "granian's bare RSGI on uvloop, no framework",
    "blacksheep": "BlackSheep on granian, uvloop",
}
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


def _make_urlencoded() -> bytes:
    return "&".join(f"field{number}=value+{number}" for number in range(FIELDS)).encode()


def _make_multipart() -> bytes:
    part = '--{0}\r\nContent-Disposition: form-data; name="field{1}"\r\n\r\nvalue {1}\r\n'
    return ("".join(part.format(BOUNDARY, number) for number in range(FIELDS)) + f"--{BOUNDARY}--\r\n").encode()


LOADS: Final = (
    Load("hello", "text response through routing", tuple(SERVERS), "/", _is(HELLO)),
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


def _ratio(scenario: str, over: str = "aiohttp", metric: str = "cpu_us") -> Callable[[Figures], float]:
    return lambda figures: figures(scenario, "corelet", metric) / figures(scenario, over, metric)


def _growth(last: str, first: str) -> Callable[[Figures], float]:
    return lambda figures: figures(last, "corelet", "cpu_us") / figures(first, "corelet", "cpu_us")


def _above_the_limit(figures: Figures) -> float:
    raw = figures("hello", "raw", "cpu_us")
    return (figures("hello", "corelet", "cpu_us") - raw) / (figures("hello", "aiohttp", "cpu_us") - raw)


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
    Claim("import corelet: time of import aiohttp", 1 / 3, _ratio("import", metric="import_ms")),
    Claim("import corelet: memory of import aiohttp", 1 / 3, _ratio("import", metric="import_mb")),
)
