"""Make the page of ports: of the classes in ``corelet.abc``, and of whatever else is made to be derived from."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any, Final

import corelet
from corelet import abc, web
from corelet.cli import CommandRegistry
from corelet.names import PLUGIN_OF
from corelet.pipeline import CodingRegistry, FormReaderRegistry, ProtocolRegistry
from corelet.plugins import PluginManager
from corelet_sessions.registry import StorageRegistry
from docs.docstring import Member, convert, find_docstring, list_members, read_comments, write_docstring

_INTRODUCTION: Final = """\
# Ports

<!-- made of docstrings by `make pages`: change those -->

A port is a class that says what a part has to do, so that another part can take its place. Hooks hand parts over:
[their page](hooks.md) says which. First-party plugins fill the same ports in the same way as anybody's.

A method or property that is **required** has to be written; the others may be. `corelet.abc` has the kernel's ports;
those of plugins arrive through `corelet` and `corelet.web`.

Within a major version a port loses nothing, and gains no required method: [policies](policies.md).
"""

#: Title -> the ports of a section: in ``corelet.abc``, or elsewhere by their public name.
SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "Routers": ("AbstractRouter", "AbstractMatchInfo", "AbstractView"),
    "The parts of corelet-routing": (
        "web.AbstractResource",
        "web.PrefixResource",
        "web.Resource",
        "web.AbstractRoute",
        "web.AbstractRouteDef",
    ),
    "Logs and measurements": ("AbstractAccessLogger", "Instrument"),
    "Bodies": (
        "ContentCoding",
        "AbstractEncoder",
        "AbstractDecoder",
        "FormReader",
        "AbstractStreamWriter",
        "corelet.Payload",
    ),
    "Connections of a server": (
        "AbstractConnection",
        "UpgradedProtocol",
        "NegotiatedConnection",
        "Channel",
        "ReadingControl",
        "Mark",
    ),
    "The client": ("AbstractResolver", "ResolveResult", "AbstractCookieJar", "corelet.BaseConnector"),
    "Sessions": ("web.AbstractStorage",),
    "WebSockets": ("corelet.WebSocketExtensionFactory", "corelet.WebSocketExtension"),
}
#: What hooks hand over, to be called.
REGISTRIES: Final = {
    "corelet_add_hookspecs": PluginManager,
    "corelet_add_commands": CommandRegistry,
    "corelet_register_codings": CodingRegistry,
    "corelet_register_form_readers": FormReaderRegistry,
    "corelet_register_protocols": ProtocolRegistry,
    "corelet_sessions_storages": StorageRegistry,
    "corelet_websocket_extensions": corelet.WebSocketExtensionRegistry,
}
#: The kernel's methods whose work a plugin does -> the hook that brings it.
METHODS: Final = {
    "app.router": "corelet_make_router",
    "app.add_routes": "corelet_make_router",
    "app.router.add_static": "corelet_make_router",
    "app.add_subapp": "corelet_mount",
    "app.add_domain": "corelet_mount",
    "request.multipart()": "corelet_register_form_readers",
    "request.post()": "corelet_register_form_readers",
    "response.enable_compression()": "corelet_register_codings",
}


def find_port(name: str) -> Any:
    """Find what a name of :data:`SECTIONS` stands for."""
    scope, _, plain = name.rpartition(".")
    return getattr({"": abc, "corelet": corelet, "web": web}[scope], plain)


def list_aliases() -> list[str]:
    """List the types and constants of ``corelet.abc`` that are no classes."""
    return [name for name in read_comments(abc) if not name.startswith("_") and name != "TYPE_CHECKING"]


def make_ports() -> str:
    """Make the page."""
    parts = [_INTRODUCTION]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}\n")
        parts += [_make_port(name) for name in names]
    parts += [_make_registries(), _make_methods(), _make_aliases()]
    return _link_hooks(re.sub(r"\n{3,}", "\n\n", "\n".join(parts)))


def _make_port(name: str) -> str:
    port = find_port(name)
    path = name if "." in name else f"corelet.abc.{name}"
    members = "".join(_make_member(member) for member in list_members(port))
    return f"### {name.rpartition('.')[2]}\n\n`{_write_head(port, path)}`\n\n{_write_text(port)}\n\n{members}"


def _write_head(port: type, path: str) -> str:
    bases = [base.__name__ for base in port.__bases__ if base.__name__ not in ("object", "ABC", "Generic", "Protocol")]
    return f"class {path}({', '.join(bases)})" if bases else f"class {path}"


def _write_text(port: type) -> str:
    return write_docstring(find_docstring(port))


def _make_member(member: Member) -> str:
    words = [member.kind] if member.kind != "method" else []
    words += ["**required**"] if member.is_required else []
    head = ", ".join([f"`{member.signature}`", *words])
    text = write_docstring(member.text).replace("\n", "\n  ")
    return re.sub(r"[ ]+$", "", f"- {head}\n\n  {text}\n\n" if text else f"- {head}\n\n", flags=re.MULTILINE)


def _make_registries() -> str:
    parts = ["## What hooks hand over\n"]
    for hook, registry in REGISTRIES.items():
        members = "".join(_make_member(member) for member in list_members(registry))
        parts.append(f"### {registry.__name__}\n\nFor `{hook}`. {_write_text(registry)}\n\n{members}")
    return "\n".join(parts)


def _make_methods() -> str:
    lines = ["| | first-party plugin | hook |", "|---|---|---|"]
    lines += [f"| `{name}` | corelet-{PLUGIN_OF[name]} | `{hook}` |" for name, hook in METHODS.items()]
    introduction = (
        "The kernel has these, and a plugin does their work. Without one they raise a `MissingPluginError` that says\n"
        "what to install. `request.post()` needs none for urlencoded forms."
    )
    return f"## Methods that plugins fill\n\n{introduction}\n\n" + "\n".join(lines) + "\n"


def _make_aliases() -> str:
    source = ast.parse(inspect.getsource(abc))
    values = {
        ast.unparse(target): ast.unparse(value) for node in source.body for target, value in _find_assignment(node)
    }
    lines = ["## Types and constants\n\nOf `corelet.abc`.\n"]
    lines += [f"- `{name} = {values[name]}`\n\n  {convert(read_comments(abc)[name])}\n" for name in list_aliases()]
    return "\n".join(lines)


def _find_assignment(node: ast.stmt) -> list[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.Assign(targets=[target], value=value):
            return [(target, value)]
    return []


def _link_hooks(text: str) -> str:
    return re.sub(r"`(corelet_[a-z_]+)`", _link_hook, text)


def _link_hook(match: re.Match[str]) -> str:
    name = match[1]
    return f"[`{name}`](hooks.md#{name.replace('_', '-')})"
