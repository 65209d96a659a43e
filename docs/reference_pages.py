"""Make the reference: a directive for every public name, on a page for each part; Sphinx takes the docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from functools import cache
from types import ModuleType
from typing import Any, Final

from corelet import abc, hdrs, web
from corelet.names import KERNEL_NAMES
from docs.docstring import read_comments
from docs.limits import ROOT, find_modules

_MADE: Final = ".. made of the public names by `make pages`: change those\n"

#: Page of the kernel -> its title, what stands below it, and the modules whose names it has.
KERNEL_PAGES: Final = {
    "application": (
        "Applications and servers",
        "What serves: an application, the server below it, and the places where it listens.",
        ("app", "keys", "serving", "runner", "server", "limits", "access_logger"),
    ),
    "messages": (
        "Requests and responses",
        "What a handler gets and gives, and the bodies of both.",
        ("request", "response", "streams", "payload", "fields", "hdrs"),
    ),
    "errors": (
        "Errors",
        "Errors of the kernel, and those that are answers.",
        ("errors", "exceptions", "deprecated"),
    ),
    "hooks": (
        "For plugins",
        "What plugins import beside the names above. :doc:`../hooks` has every hook, :doc:`../ports` every port.",
        ("hookspecs", "version"),
    ),
}
#: Modules of the kernel that are for plugins whole, with the names that count.
PLUGIN_MODULES: Final = {
    "corelet.plugins": ("make_manager", "PluginManager"),
    "corelet.plugin_record": ("PluginRecord", "PluginState"),
    "corelet.fields": (),
    "corelet.writer": ("BodyWriter",),
    "corelet.wire": (),
}
#: What may be compiled -> its plain twin, so that pages are the same either way.
_TWINS: Final = {"corelet.wire": "corelet._pure"}
#: Names whose value is another one elsewhere, or in the next version.
_VARIABLE: Final = {"corelet.__version__", "corelet.wire.IMPLEMENTATION"}
#: A second name of a class -> the first one, under which it is documented.
_FIRST_NAMES: Final = {
    "corelet.web.AccessLogger": "corelet.AccessLogger",
    "corelet.web.WSMsgType": "corelet.WSMsgType",
}
#: Modules that are names of ``corelet``, with where their own names are.
MODULES: Final = {"abc": "abc", "hdrs": "messages", "test_utils": "testing", "web": "application"}


def find_plugins() -> list[str]:
    """List the plugins here, in the order of their names."""
    return sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))


@cache
def make_reference() -> dict[str, str]:
    """Make every page: its path below ``docs`` -> its text."""
    pages = {name: _make_kernel_page(name) for name in KERNEL_PAGES}
    pages["abc"] = _make_abc()
    pages |= {name: _make_plugin_page(name) for name in find_plugins()}
    return {"reference/index.rst": _make_index(list(pages))} | {
        f"reference/{name}.rst": text for name, text in pages.items()
    }


def _make_index(names: list[str]) -> str:
    listed = "".join(f"   {name}\n" for name in names)
    return (
        f"{_MADE}\n{_write_title('Reference')}\n"
        "Every public name. ``corelet`` and ``corelet.web`` give them whoever brings them: a name is imported when it\n"
        "is first touched, from the kernel or from the plugin that exports it.\n\n"
        f".. toctree::\n   :maxdepth: 1\n\n{listed}"
    )


def _write_title(title: str, mark: str = "=") -> str:
    return f"{title}\n{mark * len(title)}\n"


def _make_kernel_page(page: str) -> str:
    title, text, modules = KERNEL_PAGES[page]
    parts = [_MADE, _write_title(title), f"{text}\n"]
    for module in modules:
        parts += [_write_directive(path) for path in _list_kernel_names(module)]
    if page == "messages":
        parts.append(_make_hdrs())
    if page == "hooks":
        parts += [_make_module(path, names) for path, names in PLUGIN_MODULES.items()]
    return "\n".join(parts)


def _list_kernel_names(module: str) -> list[str]:
    found = [(scope, name) for scope, names in KERNEL_NAMES.items() for name, where in names.items() if where == module]
    return [f"corelet.{scope}.{name}" if scope else f"corelet.{name}" for scope, name in found if name not in MODULES]


def _make_hdrs() -> str:
    names = [name for name, value in vars(hdrs).items() if name.isupper() and isinstance(value, str)]
    lines = [f"   * - ``{name}``\n     - ``{getattr(hdrs, name)}``" for name in sorted(names)]
    head = ".. list-table:: ``corelet.hdrs``: methods and names of fields\n   :widths: auto\n\n"
    return head + "\n".join(lines) + "\n"


def _make_module(path: str, chosen: tuple[str, ...]) -> str:
    module = importlib.import_module(path)
    names = chosen or [name for name in _list_own_names(module) if name[0] != "_"]
    directives = [_write_directive(f"{path}.{name}") for name in names]
    return "\n".join([_write_title(f"``{path}``", "-"), f"{_find_summary(module)}\n", *directives])


def _find_summary(module: ModuleType) -> str:
    return (inspect.getdoc(module) or "").partition("\n")[0]


def _list_own_names(module: ModuleType) -> list[str]:
    if hasattr(module, "__all__"):
        return list(module.__all__)
    comments = read_comments(module)
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ or comments.get(name)
    ]


def _make_abc() -> str:
    names = [name for name in _list_own_names(abc) if name[0] != "_"]
    text = "The kernel's ports, as classes. :doc:`../ports` tells of each who fills it, and has those of plugins too."
    paths = [*(f"corelet.abc.{name}" for name in names), *_list_kernel_names("abc")]
    directives = [_write_directive(path) for path in paths]
    return "\n".join([_MADE, _write_title("``corelet.abc``"), f"{text}\n", *directives])


def _make_plugin_page(plugin: str) -> str:
    package = importlib.import_module(f"corelet_{plugin}")
    directives = [_write_directive(path) for path in list_plugin_names(plugin)]
    return "\n".join([_MADE, _write_title(f"corelet-{plugin}"), f"{_find_summary(package)}\n", *directives])


def list_plugin_names(plugin: str) -> list[str]:
    """List the public names that a plugin here exports, as code has them: ``corelet.web.View``."""
    entry_points = (ROOT / "plugins" / plugin / "pyproject.toml").read_text(encoding="utf-8")
    exports = re.findall(rf'^"([\w.]+)" = "corelet_{plugin}:', entry_points, re.MULTILINE)
    return [f"corelet.{name}" for name in exports]


def find_object(path: str) -> Any:
    """Find what a public name stands for."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(_TWINS.get(module, module)), name)


def _write_directive(path: str) -> str:
    found = find_object(path)
    if (first := _FIRST_NAMES.get(path)) is not None:
        return f".. py:data:: {path}\n\n   The same as :class:`{first}`.\n"
    if inspect.isclass(found):
        kind = "exception" if issubclass(found, BaseException) else "class"
        options = "   :show-inheritance:\n" if found.__bases__ != (object,) else ""
        members = (
            "" if found.__module__ == "corelet.exceptions" and found is not web.HTTPException else "   :members:\n"
        )
        return f".. auto{kind}:: {path}\n{members}{options}"
    if inspect.isroutine(found):
        return f".. autofunction:: {path}\n"
    value = "" if path in _VARIABLE else _write_value(found)
    return f".. py:data:: {path}\n{value}\n   {_find_comment(path, found)}\n"


def _write_value(found: Any) -> str:
    if isinstance(found, int | str | bytes) or getattr(found, "__origin__", None) is not None:
        return f"   :value: {found!r}\n"
    return ""


def _find_comment(path: str, found: Any) -> str:
    """Find what the module that defines a name says of it.

    Raises:
        LookupError: nobody says anything.
    """
    name = path.rpartition(".")[2]
    for package in ("corelet", *(f"corelet_{plugin}" for plugin in find_plugins())):
        for module in find_modules(package):
            comment = read_comments(module).get(name)
            is_home = module.__name__ == path.rpartition(".")[0] or getattr(module, name, None) is found
            if comment and is_home:
                return comment
    raise LookupError(f"no `#:` comment says what {path} is")
