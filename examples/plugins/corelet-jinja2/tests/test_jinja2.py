"""Templates as pages, over a socket."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jinja2
import pytest

from corelet import hookimpl, web
from corelet_jinja2 import get_environment, render_template, render_text, setup_jinja2, stream_template, template


def load(**templates: str) -> jinja2.DictLoader:
    return jinja2.DictLoader(templates)


async def read(client: Any, path: str, *, status: int = 200) -> str:
    response = await client.get(path)
    assert response.status == status, await response.text()
    return str(await response.text())


async def test_a_handler_gives_values_and_the_page_escapes_them(client_for: Any) -> None:
    @template("page", status=201, headers={"X-Seen": "yes"}, content_type="application/xhtml+xml")
    async def page(request: web.Request) -> dict[str, str]:
        return {"name": "<b>&"}

    @template("page")
    async def empty(request: web.Request) -> None:
        return None

    @template("page")
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(text="as it is")

    class View(web.View):
        @template("page")
        async def get(self) -> dict[str, str]:
            return {"name": self.request.path}

    app = web.Application()
    setup_jinja2(app, load(page="hello {{ name }}"))
    app.add_routes([web.get("/", page), web.get("/empty", empty), web.get("/as", redirect), web.view("/view", View)])
    client = await client_for(app)
    response = await client.get("/")
    assert (response.status, response.headers["X-Seen"]) == (201, "yes")
    assert response.headers["Content-Type"] == "application/xhtml+xml; charset=utf-8"
    assert await response.text() == "hello &lt;b&gt;&amp;"
    assert await read(client, "/empty") == "hello "
    assert await read(client, "/as") == "as it is"
    assert await read(client, "/view") == "hello /view"


async def test_rendering_is_asynchronous(client_for: Any) -> None:
    async def count() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    async def fetch(key: str) -> str:
        return f"value of {key}"

    async def page(request: web.Request) -> web.Response:
        return await render_template(["none", "page"], request, {"numbers": count(), "fetch": fetch})

    app = web.Application()
    setup_jinja2(app, load(page="{% for n in numbers %}{{ n }},{% endfor %}{{ fetch('a') }}"))
    app.router.add_get("/", page)
    assert await read(await client_for(app), "/") == "0,1,2,value of a"


async def test_a_large_page_is_sent_while_it_is_rendered(client_for: Any) -> None:
    async def page(request: web.Request) -> web.Response:
        return await stream_template("page", request, {"numbers": range(20_000)})

    app = web.Application()
    setup_jinja2(app, load(page="{% for n in numbers %}{{ n }},{% endfor %}ä"))
    app.router.add_get("/", page)
    response = await (await client_for(app)).get("/")
    assert response.headers["Transfer-Encoding"] == "chunked"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert await response.text() == "".join(f"{number}," for number in range(20_000)) + "ä"


async def test_addresses_are_made_of_names(client_for: Any, tmp_path: Path) -> None:
    (tmp_path / "page.css").write_text("a{}")
    source = """{{ url_for("user", id=7) }} {{ url_for("user", id="a b", query_={"page": 2}) }}"""

    @template("page")
    async def page(request: web.Request) -> None:
        return None

    app, inner = web.Application(), web.Application()
    setup_jinja2(app, load(page=f"{source} {{{{ static_url('page.css') }}}}"))
    app.router.add_get("/users/{id}", page, name="user")
    app.router.add_static("/static", tmp_path, name="static", append_version=True)
    # An inner application's own names come first, then those around it.
    inner.router.add_get("/inner/{id}", page, name="user")
    app.add_subapp("/sub", inner)
    client = await client_for(app)
    user, queried, static = (await read(client, "/users/1")).split(" ")
    assert (user, queried) == ("/users/7", "/users/a%20b?page=2")
    assert static.startswith("/static/page.css?v=")
    assert (await client.get(static)).status == 200
    assert (await read(client, "/sub/inner/1")).split(" ")[0] == "/sub/inner/7"


async def test_processors_give_every_template_values(client_for: Any) -> None:
    async def outer_values(request: web.Request) -> dict[str, str]:
        return {"a": "outer", "b": "outer", "c": "outer"}

    def inner_values(request: web.Request) -> dict[str, str]:
        return {"b": "inner", "c": "inner"}

    @template("page")
    async def page(request: web.Request) -> dict[str, str]:
        return {"c": request.path}

    app, inner = web.Application(), web.Application()
    setup_jinja2(app, load(), context_processors=[outer_values], globals={"d": "global"})
    setup_jinja2(inner, load(page="{{ a }} {{ b }} {{ c }} {{ d }}{{ request.method | loud }}"),
                 context_processors=[inner_values], filters={"loud": lambda text: f"{text}!"})  # fmt: skip
    inner.router.add_get("/", page)
    app.add_subapp("/sub", inner)
    assert await read(await client_for(app), "/sub/") == "outer inner /sub/ GET!"


async def test_inner_applications_fall_back_to_those_around(client_for: Any) -> None:
    @template("page")
    async def page(request: web.Request) -> dict[str, str]:
        return {"name": await render_text("name", request)}

    outer, middle, inner, bare = (web.Application() for _ in range(4))
    outer_environment = setup_jinja2(
        outer, load(base="<{% block body %}{% endblock %}>", page="outer page {{ name }}", name="outer")
    )
    own = setup_jinja2(inner, load(page="{% extends 'base' %}{% block body %}inner page {{ name }}{% endblock %}"))
    environments = []

    async def note(request: web.Request, handler: Any) -> Any:
        environments.append(get_environment(request))
        return await handler(request)

    outer.middlewares.append(note)
    for app in (outer, inner, bare):
        app.router.add_get("/", page)
        app.middlewares.append(note)
    middle.add_subapp("/inner", inner)
    outer.add_subapp("/middle", middle)
    outer.add_subapp("/bare", bare)
    client = await client_for(outer)
    assert await read(client, "/middle/inner/") == "<inner page outer>"
    assert environments == [outer_environment, outer_environment, own]
    assert await read(client, "/bare/") == await read(client, "/") == "outer page outer"


async def test_other_plugins_add_to_an_environment(client_for: Any) -> None:
    class Shout:
        @hookimpl
        def corelet_jinja2_environment(self, environment: jinja2.Environment) -> None:
            environment.filters["shout"] = str.upper

    @template("page")
    async def page(request: web.Request) -> None:
        return None

    app = web.Application()
    app.plugins.register(Shout())
    setup_jinja2(app, load(page="{{ 'hello' | shout }}"))
    app.router.add_get("/", page)
    assert await read(await client_for(app), "/") == "HELLO"
    assert ["templates by DictLoader", "auto_reload: False"] in [lines for _, lines in app.plugins.report(app)]


async def test_changed_files_are_seen_in_debug_mode_only(client_for: Any, tmp_path: Path) -> None:
    async def page(request: web.Request) -> web.Response:
        return await render_template("page.html", request)

    file = tmp_path / "page.html"
    for debug, expected in ((True, "second"), (False, "first")):
        file.write_text("first")
        app = web.Application(debug=debug)
        setup_jinja2(app, jinja2.FileSystemLoader(tmp_path), autoescape=jinja2.select_autoescape())
        app.router.add_get("/", page)
        client = await client_for(app)
        assert await read(client, "/") == "first"
        file.write_text("second")
        os.utime(file, (0, 0))
        assert await read(client, "/") == expected


async def test_what_a_template_lacks_is_an_error_that_says_it(
    client_for: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @template("page")
    async def wrong(request: web.Request) -> int:
        return 7

    async def lost(request: web.Request) -> web.Response:
        return await render_template("nowhere", request)

    @template("lost_name")
    async def lost_name(request: web.Request) -> None:
        return None

    app = web.Application()

    @template("importing")
    async def importing(request: web.Request) -> None:
        return None

    pages = load(
        page="",
        lost_name="{{ url_for('nobody') }}",
        macros="{% macro link() %}{{ url_for('nobody') }}{% endmacro %}",
        importing="{% from 'macros' import link %}{{ link() }}",
    )
    setup_jinja2(app, pages, undefined=jinja2.StrictUndefined)
    handlers = {"/wrong": wrong, "/lost": lost, "/lost_name": lost_name, "/importing": importing}
    app.add_routes([web.get(path, handler) for path, handler in handlers.items()])
    client = await client_for(app)
    for path, error in (
        ("/wrong", "wrong returned 7, expected a mapping for the template 'page', or a response"),
        ("/lost", "jinja2.exceptions.TemplateNotFound: nowhere"),
        ("/importing", "'macros' was imported without what the page knows: {% import ... with context %}"),
        ("/lost_name", "no resource is called 'nobody' in the applications on the way"),
    ):
        caplog.clear()
        await read(client, path, status=500)
        assert error in caplog.text
    caplog.clear()
    bare = web.Application(handler=lost)
    await read(await client_for(bare), "/", status=500)
    assert "call setup_jinja2(app, loader) where the app is made" in caplog.text


def test_a_setup_that_makes_no_sense_is_refused() -> None:
    app = web.Application()
    with pytest.raises(TypeError, match=r"expected a loader such as jinja2\.FileSystemLoader"):
        setup_jinja2(app, "templates")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="rendered asynchronously, always"):
        setup_jinja2(app, load(), enable_async=False)
    setup_jinja2(app, load())
    with pytest.raises(RuntimeError, match="has templates already"):
        setup_jinja2(app, load())
    with pytest.raises(RuntimeError, match="without the plugin corelet-jinja2"):
        setup_jinja2(web.Application(plugins=[]), load())
