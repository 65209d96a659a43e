"""Pages, made of the templates of this package."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import jinja2

from corelet import web

FOLDER: Final = Path(__file__).parent
TEMPLATES: Final = web.AppKey("templates", jinja2.Environment)


def setup_pages(app: web.Application) -> None:
    """Give an application its templates and its static files."""
    files = app.router.add_static("/static", FOLDER / "static", append_version=True)
    loader = jinja2.FileSystemLoader(FOLDER / "templates")
    app[TEMPLATES] = jinja2.Environment(loader=loader, autoescape=True)
    app[TEMPLATES].globals["static"] = lambda name: files.url_for(filename=name)


def render(request: web.Request, template: str, **values: Any) -> web.Response:
    """Make a page of a template."""
    text = request.app[TEMPLATES].get_template(template).render(values)
    return web.Response(text=text, content_type="text/html")
