"""Addresses in templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jinja2

#: The name of the resource that ``static_url`` asks by default.
STATIC_NAME = "static"


@jinja2.pass_context
def url_for(
    context: jinja2.runtime.Context, name: str, /, query_: Mapping[str, Any] | None = None, **parts: Any
) -> str:
    """Make the address of a named resource: of the application that answers, or of one around it.

    Args:
        context: Jinja's.
        name: of the resource.
        query_: fields of the query.
        **parts: a value for each variable of the pattern.

    Raises:
        LookupError: no application has a resource of this name.
    """
    url = _find_resource(context, name).url_for(**{part: str(value) for part, value in parts.items()})
    return str(url.with_query({field: str(value) for field, value in query_.items()}) if query_ else url)


@jinja2.pass_context
def static_url(context: jinja2.runtime.Context, path: str, /, *, name: str = STATIC_NAME) -> str:
    """Make the address of a static file: ``app.router.add_static("/static", folder, name="static")``.

    With ``append_version=True`` there, it changes with the file.

    Args:
        context: Jinja's.
        path: of the file, below the folder.
        name: of the static resource.

    Raises:
        LookupError: no application has a resource of this name.
    """
    return str(_find_resource(context, name).url_for(filename=path))


def _find_resource(context: jinja2.runtime.Context, name: str) -> Any:
    request: Any = context.get("request")
    if request is None:
        raise LookupError(f"{context.name!r} was imported without what the page knows: {{% import ... with context %}}")
    match = request.match_info
    apps = () if match is None else match.apps[: match.apps.index(match.current_app) + 1]
    for app in reversed(apps):
        if app.handler is None and name in app.router:
            return app.router[name]
    raise LookupError(f"no resource is called {name!r} in the applications on the way of {request!r}")
