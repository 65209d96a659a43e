"""An application's environment, and how it is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jinja2

from corelet import web

from .address import static_url, url_for

#: Gives every template of an application values: takes the request, returns a mapping, or an awaitable of one.
ContextProcessor = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Templates:
    """What an application has for its templates.

    Args:
        environment: the environment.
        loader: its loader; the one given, and after that those of the applications around.
        context_processors: what gives every template values.
    """

    environment: jinja2.Environment
    loader: jinja2.ChoiceLoader
    context_processors: tuple[ContextProcessor, ...]


#: None in an application that has no templates of its own.
TEMPLATES: Final = web.AppKey[Templates | None]("templates")


def setup_jinja2(
    app: web.Application,
    loader: jinja2.BaseLoader,
    *,
    autoescape: bool | Callable[[str | None], bool] = True,
    context_processors: Iterable[ContextProcessor] = (),
    filters: Mapping[str, Callable[..., Any]] | None = None,
    globals: Mapping[str, Any] | None = None,  # noqa: A002  # Jinja's name
    **options: Any,
) -> jinja2.Environment:
    """Give an application templates, and those mounted in it that have none, or lack one.

    Templates know ``request``, ``url_for(name, **parts)`` and ``static_url(path)``; they may await and iterate
    asynchronously.

    Args:
        app: the application, before it starts.
        loader: finds templates: ``jinja2.FileSystemLoader("templates")``, ``jinja2.PackageLoader("shop")``.
        autoescape: escape values for HTML; True for all templates, or a function of the template's name, such as
            ``jinja2.select_autoescape()``, which leaves ``.txt`` alone.
        context_processors: each takes the request and gives a mapping, or an awaitable of one; later ones win, and what
            the handler gives wins over all.
        filters: further filters, by name.
        globals: further names that every template knows.
        **options: for ``jinja2.Environment``: ``undefined``, ``extensions``, ``bytecode_cache``. ``auto_reload`` is
            the application's ``debug`` unless given.

    Returns:
        The environment.

    Raises:
        RuntimeError: the application has templates already, has started, or was made without this plugin.
        TypeError: the loader is none, or ``enable_async`` was given.
    """
    if TEMPLATES not in app:
        raise RuntimeError(f"{app!r} was made without the plugin corelet-jinja2: is it blocked, or not in plugins=?")
    if app[TEMPLATES] is not None:
        raise RuntimeError(f"{app!r} has templates already: setup_jinja2() is called once")
    if not isinstance(loader, jinja2.BaseLoader):
        raise TypeError(f"loader is {loader!r}, expected a loader such as jinja2.FileSystemLoader('templates')")
    if "enable_async" in options:
        raise TypeError("enable_async is given: templates are rendered asynchronously, always")
    chain = jinja2.ChoiceLoader([loader])
    settings = {"auto_reload": app.debug, **options}
    environment = jinja2.Environment(loader=chain, enable_async=True, autoescape=autoescape, **settings)  # noqa: S701  # True unless asked for
    environment.globals.update({"url_for": url_for, "static_url": static_url, **(globals or {})})
    environment.filters.update(filters or {})
    app[TEMPLATES] = Templates(environment, chain, tuple(context_processors))
    return environment


def join_environments(app: web.Application, around: tuple[jinja2.BaseLoader, ...] = ()) -> None:
    """Have applications look for templates that they lack in those around them, the nearest one first.

    Args:
        app: the application; those mounted in it follow.
        around: the loaders of the applications around, the nearest one first.
    """
    templates = app.get(TEMPLATES)
    if templates is not None:
        own = tuple(templates.loader.loaders)
        templates.loader.loaders = [*own, *around]
        around = (*own, *around)
    for subapp in app.subapps:
        join_environments(subapp, around)


def find_templates(request: Any) -> list[Templates]:
    """Find what the applications on the way to the running handler have, the nearest one first.

    Raises:
        RuntimeError: none of them has templates.
    """
    match = request.match_info
    apps = [request.app] if match is None else list(match.apps[: match.apps.index(match.current_app) + 1])
    found = [templates for app in reversed(apps) if (templates := app.get(TEMPLATES)) is not None]
    if not found:
        raise RuntimeError(f"no templates for {request!r}: call setup_jinja2(app, loader) where the app is made")
    return found


def get_environment(request: Any) -> jinja2.Environment:
    """Get the environment that a request's templates are of: its application's, or that of the nearest one around.

    Raises:
        RuntimeError: there is none.
    """
    return find_templates(request)[0].environment
