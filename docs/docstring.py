"""Docstrings and comments of the code, as pages show them."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Final, Protocol

_SECTION: Final = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Source):\s*", re.MULTILINE)
#: Sections that list names.
_LISTS: Final = ("Args", "Attributes", "Raises")
_ROLE: Final = re.compile(r":(?:class|meth|attr|func|data|mod|exc):`(?:~[\w.]+\.)?([\w.()]+)`")


@dataclass(frozen=True, slots=True)
class Member:
    """What a class defines for others.

    Args:
        name: its name.
        signature: as the source has it.
        kind: ``method``, ``property`` or ``attribute``.
        is_required: whether a class of one's own must define it.
        text: its docstring or comment.
    """

    name: str
    signature: str
    kind: str
    is_required: bool
    text: str


def convert(text: str) -> str:
    """Turn reStructuredText's literals and roles into Markdown's."""
    return _ROLE.sub(r"`\1`", text).replace("``", "`")


def write_docstring(text: str) -> str:
    """Write a docstring as Markdown: its sections with bold headings, names in lists."""
    first, *rest = _SECTION.split(convert(text))
    parts = [first.strip()]
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        plain = textwrap.dedent(f"    {body}").strip()
        parts.append(f"**{title}:**\n\n{_write_list(plain)}" if title in _LISTS else f"**{title}:** {plain}")
    return "\n\n".join(part for part in parts if part)


def _write_list(text: str) -> str:
    items = re.sub(r"^(\*{0,2}\w+): ", r"- `\1`: ", text, flags=re.MULTILINE)
    return re.sub(r"^ +(?=\S)", "  ", items, flags=re.MULTILINE)


def find_docstring(thing: Any) -> str:
    """Give the docstring that an object has itself, without indentation; "" for none."""
    return inspect.cleandoc(vars(thing).get("__doc__") or "")


@cache
def read_comments(module: ModuleType) -> dict[str, str]:
    """Read what ``#:`` says of a module's own names."""
    source = inspect.getsource(module)
    return {name: _find_comment(node, source.splitlines()) for node, name in _find_names(ast.parse(source).body)}


def _find_names(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    for node in body:
        match node:
            case ast.If(body=inner):
                yield from _find_names(inner)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                yield node, name


def _find_comment(node: ast.stmt, lines: list[str]) -> str:
    """Join the ``#:`` lines that stand before a statement."""
    found: list[str] = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("#:"):
            break
        found.insert(0, line.strip().removeprefix("#:").strip())
    return " ".join(found)


def list_members(owner: type) -> Iterator[Member]:
    """List what a class itself defines for others, in the order of its source."""
    source = textwrap.dedent(inspect.getsource(owner))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    is_protocol = Protocol in owner.__bases__
    seen: set[str] = set()
    for node in definition.body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
                if name not in seen and _is_shown(name, node) and "overload" not in decorators:
                    seen.add(name)
                    yield _make_member(node, decorators, is_protocol)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]) if name[0] != "_":
                comment = _find_comment(node, source.splitlines())
                yield Member(name, ast.unparse(node), "attribute", False, comment)


def _is_shown(name: str, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if name == "__init__":
        return len(node.args.args + node.args.kwonlyargs) > 1
    return not name.startswith("_") or name in ("__await__", "__iter__")


def _make_member(node: ast.FunctionDef | ast.AsyncFunctionDef, decorators: set[str], is_protocol: bool) -> Member:
    is_property = bool(decorators & {"property", "cached_property"})
    signature = _write_property(node) if is_property else write_definition(node)
    return Member(
        node.name,
        f"@staticmethod {signature}" if "staticmethod" in decorators else signature,
        "property" if is_property else "method",
        is_protocol or "abstractmethod" in decorators,
        inspect.cleandoc(ast.get_docstring(node) or ""),
    )


def _write_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    returns = "Any" if node.returns is None else ast.unparse(node.returns)
    return f"{node.name}: {returns}"


def write_definition(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Write a function's signature as its source has it."""
    returns = "None" if node.returns is None else ast.unparse(node.returns)
    prefix = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{prefix} {node.name}({_write_arguments(node.args)}) -> {returns}"


def _write_arguments(arguments: ast.arguments) -> str:
    positional = arguments.posonlyargs + arguments.args
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    parts = [_write_argument(*pair) for pair in zip(positional, [*defaults, *arguments.defaults], strict=True)]
    if arguments.posonlyargs:
        parts.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg is not None:
        parts.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [_write_argument(*pair) for pair in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    if arguments.kwarg is not None:
        parts.append(f"**{ast.unparse(arguments.kwarg)}")
    return ", ".join(parts)


def _write_argument(argument: ast.arg, default: ast.expr | None) -> str:
    written = ast.unparse(argument)
    if default is None:
        return written
    return f"{written} = {ast.unparse(default)}" if argument.annotation else f"{written}={ast.unparse(default)}"
