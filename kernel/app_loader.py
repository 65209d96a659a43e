"""Find the application that a command line names: ``MODULE:NAME``."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

from .app import Application
from .errors import CoreletError
from .names import suggest

if TYPE_CHECKING:
    from types import ModuleType

_EXPECTED: Final = "an Application, a function that makes one, or a coroutine function that does"


class AppLoadError(CoreletError):
    """Report a place that names no application; the message says what was looked for, and what to write."""


def load_app(place: str) -> Application | Awaitable[Application]:
    """Import an application, or make it; modules of the current folder come first.

    Args:
        place: ``MODULE:NAME``, as in ``shop.main:app``. The name may have dots. What it names is an Application, a
            function without arguments that makes one, or a coroutine function that does.

    Returns:
        The application, or what is to be awaited for it in the loop that serves it.

    Raises:
        AppLoadError: there is no such module or name, or it is something else.
        Exception: whatever the module raises when it is imported, or the function when it is called.
    """
    module_name, _, name = place.partition(":")
    is_file = module_name.endswith(".py")
    if is_file or not all(part.isidentifier() for part in (*module_name.split("."), *name.split("."))):
        raise AppLoadError(f"{place!r} names no application: expected MODULE:NAME{_suggest_place(module_name, name)}")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    found = _find(_import(module_name), name)
    if callable(found) and not isinstance(found, Application):
        found = _call(found, place)
    if inspect.isawaitable(found):
        return _await(found, place)
    return _check(found, place)


def load_app_now(place: str) -> Application:
    """Import an application, or make it, in a loop of its own where that is needed; for who won't serve it.

    Raises:
        AppLoadError: as of :func:`load_app`.
    """
    app = load_app(place)
    return app if isinstance(app, Application) else asyncio.run(_await(app, place))


def _suggest_place(module_name: str, name: str) -> str:
    """Guess what was meant by a path to a file."""
    module = os.path.normpath(module_name).removesuffix(".py").replace(os.sep, ".").strip(".")
    if all(part.isidentifier() for part in module.split(".")):
        return f", as in {module}:{name if name.isidentifier() else 'app'}"
    return ", as in shop.main:app"


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only the module itself, or a package that it would be in: what is missing within it is its own error.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        parent, _, missing = error.name.rpartition(".")
        near = suggest(missing, _list_modules(parent))
        where = "" if parent or near else f" in {os.getcwd()}, nor is one installed"
        raise AppLoadError(f"there is no module {error.name}{where}{near}") from error


def _list_modules(parent: str) -> list[str]:
    """List the modules of a package, or those of the current folder: names that may have been meant."""
    folders = [os.getcwd()] if not parent else getattr(sys.modules.get(parent), "__path__", ())
    return [module.name for module in pkgutil.iter_modules(folders)]


def _find(module: ModuleType, name: str) -> Any:
    found: Any = module
    owner = f"module {module.__name__}"
    parts = name.split(".")
    for number, part in enumerate(parts, 1):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = suggest(part, dir(found)) or _list_apps(module)
            raise AppLoadError(f"{owner} has no attribute {part}{near}") from None
        owner = f"{module.__name__}:{'.'.join(parts[:number])}"
    return found


def _list_apps(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if isinstance(value, Application)]
    return f"; it has the application {', '.join(names)}" if names else ""


def _call(factory: Any, place: str) -> Any:
    try:
        needed = inspect.signature(factory)
    except ValueError:  # a callable that has no signature
        return factory()
    try:
        needed.bind()
    except TypeError as error:
        raise AppLoadError(f"{place} takes arguments, {needed}: it is called without any ({error})") from None
    return factory()


async def _await(awaitable: Awaitable[Any], place: str) -> Application:
    return _check(await awaitable, place)


def _check(found: object, place: str) -> Application:
    if isinstance(found, Application):
        return found
    raise AppLoadError(f"{place} gives {found!r}, expected {_EXPECTED}")
