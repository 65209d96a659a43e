"""Write the pages that are made of docstrings and help: ``make pages``, or ``python -m docs.pages``.

A test compares what stands there with what would be written.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from corelet import cli, hookspecs
from corelet.hookspecs import EXCLUSIVE_MARK
from corelet.names import PLUGIN_OF_COMMAND
from corelet.plugins import make_manager
from docs.docstring import convert, write_definition
from docs.limits import make_limits
from docs.ports import make_ports
from docs.reference_pages import make_reference

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parent

_HOOKS: Final = """\
# Hooks

<!-- made of docstrings by `make pages`: change those -->

{introduction}

```toml
[project.entry-points."corelet.plugins"]
hello = "corelet_hello"
```

The entry point names a module, or an object, with functions that are marked by `@corelet.hookimpl` and called like
hooks. `corelet plugins` shows what became of each plugin.
"""

_COMMAND_LINE: Final = """\
# The command line

<!-- made of the command's help by `make pages`: change that -->

`corelet` and `python -m corelet` are the same. A plugin may add commands of its own:
[`corelet_add_commands`](hooks.md#corelet-add-commands).

An exit status of 0 says that all went well, 1 that an address can't be listened on or that the application raised an
error, which is shown with its traceback, and 2 that the command was used in a wrong way, which one line says.
"""

#: Parts of a docstring, as a page shows them.
_PARTS: Final = ("When", "Order", "Args", "Returns", "Raises", "Since")


def find_hookspecs() -> Iterator[tuple[str, ModuleType]]:
    """Find the modules that define hooks: the kernel's, then those of the plugins here, with a title for each."""
    yield "The kernel's", hookspecs
    for path in sorted(ROOT.glob("plugins/*/corelet_*/hookspecs.py")):
        yield f"Of corelet-{path.parents[1].name}", importlib.import_module(f"{path.parent.name}.hookspecs")


def find_hooks(module: ModuleType) -> list[Callable[..., Any]]:
    """List the hooks that a module defines, in its order."""
    return [value for value in vars(module).values() if inspect.isfunction(value) and EXCLUSIVE_MARK in vars(value)]


def write_signature(hook: Callable[..., Any]) -> str:
    """Write a hook's signature as its source has it."""
    function = ast.parse(textwrap.dedent(inspect.getsource(hook))).body[0]
    assert isinstance(function, ast.FunctionDef)
    return write_definition(function)


def find_kind(hook: Callable[..., Any]) -> str:
    """Say whether a hook is historic, asked of all, or a role for one."""
    if getattr(hook, "corelet_spec")["historic"]:  # noqa: B009 -- pluggy's mark, which no type checker knows
        return "historic"
    return "one" if vars(hook)[EXCLUSIVE_MARK] else "all"


def make_hooks() -> str:
    """Make the page of hooks."""
    introduction = (inspect.getdoc(hookspecs) or "").partition("\n\n")[2]
    parts = [_HOOKS.format(introduction=convert(introduction))]
    for title, module in find_hookspecs():
        parts.append(f"## {title}\n")
        parts += [_make_hook(hook) for hook in find_hooks(module)]
    return "\n".join(parts)


def _make_hook(hook: Callable[..., Any]) -> str:
    text = convert(inspect.getdoc(hook) or "")
    text = re.sub(r"^    (\w+): ", r"- `\1`: ", text, flags=re.MULTILINE)
    text = re.sub(r"^ {4,}(?=\S)", "  ", text, flags=re.MULTILINE)
    for part in _PARTS:
        text = re.sub(rf"^{part}:", f"**{part}:**", text, flags=re.MULTILINE)
    text = text.replace("**Args:**\n", "**Args:**\n\n")
    return f"### {hook.__name__}\n\n```py\n{write_signature(hook)}\n```\n\nKind: {find_kind(hook)}. {text}\n"


def make_command_line() -> str:
    """Make the page of the command line."""
    parser, commands = make_parser()
    parts = [_COMMAND_LINE, _make_help("corelet", parser)]
    for name, each in commands.parsers.items():
        plugin = PLUGIN_OF_COMMAND.get(name)
        origin = f"This command comes with corelet-{plugin}: `pip install corelet-{plugin}`.\n\n" if plugin else ""
        parts.append(_make_help(f"corelet {name}", each, origin))
    return "\n".join(parts)


def make_parser() -> tuple[argparse.ArgumentParser, cli.CommandRegistry]:
    """Make the parser with the commands of the kernel and of the plugins here."""
    parser, commands = cli.make_parser()
    manager = make_manager(sorted(set(PLUGIN_OF_COMMAND.values())))
    manager.call_all("corelet_add_commands", commands=commands)
    return parser, commands


def _make_help(title: str, parser: argparse.ArgumentParser, origin: str = "") -> str:
    return f"## {title}\n\n{origin}```text\n{parser.format_help()}```\n"


#: Page -> what makes it.
PAGES: Final[dict[str, Callable[[], str]]] = {
    "hooks.md": make_hooks,
    "ports.md": make_ports,
    "limits.md": make_limits,
    "command-line.md": make_command_line,
    **{path: partial(make_reference().__getitem__, path) for path in make_reference()},
}


def main() -> None:
    """Write the pages."""
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
