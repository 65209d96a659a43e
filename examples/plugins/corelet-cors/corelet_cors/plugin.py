"""The plugin: answers preflights outside of an application's middlewares, and writes the fields of every answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corelet import hookimpl, web
from corelet.abc import Handler, PrepareHook

from .place import CORS, Cors
from .preflight import is_asked_by_preflights, make_prepare_hook, make_wrapper


@hookimpl
def corelet_configure(app: web.Application) -> None:
    """Give the application a place for its policies."""
    app[CORS] = Cors()


@hookimpl
def corelet_wrap_handler(app: web.Application, route: Any) -> Callable[[Handler], Handler] | None:
    """Answer preflights: of routes that have OPTIONS, and of those that have not and would answer 405."""
    is_wanted = is_asked_by_preflights(route) and app[CORS].is_needed(app)
    return make_wrapper(app[CORS]) if is_wanted else None


@hookimpl
def corelet_prepare_response(app: web.Application) -> PrepareHook | None:
    """Write the fields of all other answers."""
    return make_prepare_hook(app[CORS]) if app[CORS].is_needed(app) else None


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell whether pages of other origins may ask."""
    policy = app[CORS].policy
    if policy is None:
        return ["no policy for the application as a whole"]
    origins = "all origins" if policy.allows_any_origin else "some origins"
    return [f"pages of {origins} may ask, {'with' if policy.credentials else 'without'} credentials"]
