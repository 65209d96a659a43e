"""Make the page of limits: every limit of the kernel and the plugins with its default, and how it is set."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from docs.docstring import convert, read_comments

ROOT: Final = Path(__file__).parent.parent

_INTRODUCTION: Final = """\
# Limits

<!-- made of the code by `make pages`: change that -->

All limits of the sizes, counts and waits that a peer can cause, with their defaults. The last column says where one is
set; those without a word there are fixed. `run_app` and `AppRunner` take what `web.Server` takes; `AppRunner` takes
`shutdown_timeout` as well, and each site `backlog`. Heads of answers that a client reads have the kernel's limits, set
by `corelet.ClientSession(max_line_size=..., max_field_size=..., max_headers=...)`. [Security](security.md) says
what the limits are for, and what has none.
"""

#: Objects whose fields are limits, with how an application sets them.
_OBJECTS: Final = {
    "corelet.limits.DEFAULT_LIMITS": "`web.run_app(limits=corelet.Limits(...))`",
    "corelet.limits.DEFAULT_DEADLINES": "`web.run_app(deadlines=corelet.Deadlines(...))`",
    "corelet_multipart.limits.DEFAULT_LIMITS": "`app[web.MULTIPART_LIMITS] = web.MultipartLimits(...)`",
    "corelet_client.timeouts.DEFAULT_TIMEOUT": "`corelet.ClientSession(timeout=corelet.ClientTimeout(...))`",
}
#: Fields of those that bound nothing.
_IDLE_FIELDS: Final = {"ceil_threshold"}
#: Numbers that bound nothing a peer can cause.
NO_LIMITS: Final = {
    "corelet.cli.HELP_COLUMNS",
    "corelet.connection.CORK_BYTES",
    "corelet.limits.NEVER",
    "corelet.payload.ONE_PIECE_BYTES",
    "corelet.reloader.STOP_SECONDS",
    "corelet.runner.DEFAULT_PORT",
    "corelet.runner.DEFAULT_TLS_PORT",
    "corelet.server.STOP_STEP_SECONDS",
    "corelet.version.HOOK_API",
    "corelet.writer.JOIN_BYTES",
    "corelet.writer.THREAD_BYTES",
    "corelet_client.cookie.MAX_TIME",
    "corelet_client.timeouts.NEVER",
    "corelet_compression.brotli_coding.DEFAULT_LEVEL",
    "corelet_compression.policy.MINIMUM_SIZE",
    "corelet_compression.zlib_coding.DEFAULT_LEVEL",
    "corelet_compression.zlib_coding.GZIP_WBITS",
    "corelet_compression.zlib_coding.RAW_WBITS",
    "corelet_compression.zlib_coding.ZLIB_WBITS",
    "corelet_compression.zstd_coding.DEFAULT_LEVEL",
    "corelet_multipart.reader.UNBOUNDED",
    "corelet_sessions.storage.TOKEN_BYTES",
    "corelet_static.opened_file.OPEN_FLAGS",
    "corelet_testing.leak.SETTLE_SECONDS",
    "corelet_testing.server.SHUTDOWN_SECONDS",
    "corelet_websocket.deflate.LEAST_BITS",
    "corelet_websocket.deflate.LEVEL",
    "corelet_websocket.deflate.MOST_BITS",
    "corelet_websocket.limits.MESSAGE_OVERHEAD",
    "corelet_websocket.limits.UNCOPIED_BYTES",
}
#: Limit -> the callable and its argument that sets it; a test compares the argument's default.
SET_BY: Final = {
    "corelet.abc.FILE_PIECE_BYTES": ("web.FileResponse", "chunk_size"),
    "corelet.limits.CLIENT_MAX_FIELDS": ("web.Application", "client_max_fields"),
    "corelet.limits.CLIENT_MAX_SIZE": ("web.Application", "client_max_size"),
    "corelet.limits.READ_BUFFER_BYTES": ("web.Server", "read_bufsize"),
    "corelet.limits.SHUTDOWN_SECONDS": ("web.run_app", "shutdown_timeout"),
    "corelet.runner.BACKLOG": ("web.run_app", "backlog"),
    "corelet_client.connector.DNS_NAMES": ("corelet.TCPConnector", "dns_cache_max_size"),
    "corelet_client.connector.DNS_SECONDS": ("corelet.TCPConnector", "ttl_dns_cache"),
    "corelet_client.connector.HAPPY_EYEBALLS_SECONDS": ("corelet.TCPConnector", "happy_eyeballs_delay"),
    "corelet_client.connector.KEEPALIVE_SECONDS": ("corelet.TCPConnector", "keepalive_timeout"),
    "corelet_client.connector.LIMIT": ("corelet.TCPConnector", "limit"),
    "corelet_client.cookie_jar.MAX_COOKIES": ("corelet.CookieJar", "max_cookies"),
    "corelet_client.cookie_jar.MAX_COOKIES_PER_DOMAIN": ("corelet.CookieJar", "max_cookies_per_domain"),
    "corelet_client.options.MAX_REDIRECTS": ("corelet.ClientSession.get", "max_redirects"),
    "corelet_client.settings.MAX_DECODED_BYTES": ("corelet.ClientSession", "max_decoded_size"),
    "corelet_client.settings.READ_BUFFER_BYTES": ("corelet.ClientSession", "read_bufsize"),
    "corelet_client.websocket.MAX_MESSAGE_BYTES": ("corelet.ClientSession.ws_connect", "max_msg_size"),
    "corelet_compression.decompression.MAX_RATIO": ("web.decompression_middleware", "max_ratio"),
    "corelet_sessions.memory_storage.MAX_SESSIONS": ("web.InMemoryStorage", "max_sessions"),
    "corelet_sessions.settings.ABSOLUTE_SECONDS": ("web.setup_sessions", "absolute_seconds"),
    "corelet_sessions.settings.IDLE_SECONDS": ("web.setup_sessions", "idle_seconds"),
    "corelet_websocket.limits.CLOSE_SECONDS": ("web.WebSocketResponse", "timeout"),
    "corelet_websocket.limits.MAX_MSG_SIZE": ("web.WebSocketResponse", "max_msg_size"),
    "corelet_websocket.limits.WRITER_LIMIT": ("web.WebSocketResponse", "writer_limit"),
}
#: Limit -> what else sets it.
SET_OTHERWISE: Final = {
    "corelet.limits.RESERVED_FILES": "`web.run_app(max_connections=...)`",
    "corelet_client.websocket.CLOSE_SECONDS": "`corelet.ClientWSTimeout(ws_close=...)`",
    "corelet_sessions.redis_storage.MAX_CONNECTIONS": "`?max_connections=` of the URL",
    "corelet_sessions.redis_storage.TIMEOUT_SECONDS": "`?socket_timeout=` and the like of the URL",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit.

    Args:
        name: as code and messages have it.
        value: the default.
        text: what it bounds.
        set_by: how it is changed; "" for a fixed one.
    """

    name: str
    value: Any
    text: str
    set_by: str


def find_modules(package: str) -> list[ModuleType]:
    """Import the modules of a package that say of their numbers what they are, in the order of their names."""
    folder = ROOT / "kernel" if package == "corelet" else ROOT / "plugins" / package.partition("_")[2] / package
    names = [path.stem for path in sorted(folder.glob("[!_]*.py"))]
    return [importlib.import_module(f"{package}.{name}") for name in names if name not in ("pytest_plugin", "__main__")]


def find_numbers(module: ModuleType) -> Iterator[tuple[str, float]]:
    """Find the numbers that a module names for all to see, and each that it calls a maximum."""
    for name in read_comments(module):
        value = vars(module).get(name)
        if re.fullmatch(r"(_MAX_)?[A-Z][A-Z_0-9]*", name) and isinstance(value, int | float):
            yield name, value


def find_limits(package: str) -> Iterator[Limit]:
    """Find the limits of a package."""
    for module in find_modules(package):
        for path, set_by in _OBJECTS.items():
            if path.rpartition(".")[0] == module.__name__:
                yield from _read_object(vars(module)[path.rpartition(".")[2]], set_by)
        for name, value in find_numbers(module):
            path = f"{module.__name__}.{name}"
            if path not in NO_LIMITS:
                yield Limit(_shorten(path), value, read_comments(module)[name], _write_setter(path))


def _read_object(limits: Any, set_by: str) -> Iterator[Limit]:
    owner = type(limits)
    texts = _read_arguments(owner)
    for field in dataclasses.fields(owner):
        if field.name not in _IDLE_FIELDS:
            text = texts[field.name]
            yield Limit(
                f"{owner.__name__}.{field.name}", getattr(limits, field.name), text[0].upper() + text[1:], set_by
            )


def _read_arguments(owner: type) -> dict[str, str]:
    section = inspect.cleandoc(owner.__doc__ or "").partition("Args:\n")[2]
    items = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |^\S|\Z)", section, re.MULTILINE | re.DOTALL)
    return {name: " ".join(text.split()) for name, text in items}


def _shorten(path: str) -> str:
    return path.partition(".")[2].removeprefix("limits.")


def _write_setter(path: str) -> str:
    if path not in SET_BY:
        return SET_OTHERWISE.get(path, "")
    callee, argument = SET_BY[path]
    return f"`{callee}({argument}=...)`"


def show_value(value: Any) -> str:
    """Write a default as the page has it."""
    if value is None:
        return "none"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:g}"


def make_limits() -> str:
    """Make the page."""
    parts = [_INTRODUCTION]
    parts.append(_make_table("The kernel", "corelet"))
    parts += [
        _make_table(f"corelet-{path.name}", f"corelet_{path.name}") for path in sorted((ROOT / "plugins").glob("[!.]*"))
    ]
    return "\n".join(part for part in parts if part)


def _make_table(title: str, package: str) -> str:
    limits = list(find_limits(package))
    if not limits:
        return ""
    lines = [f"## {title}\n", "| name | default | what | set by |", "|---|---|---|---|"]
    lines += [f"| `{each.name}` | {show_value(each.value)} | {convert(each.text)} | {each.set_by} |" for each in limits]
    return "\n".join(lines) + "\n"
