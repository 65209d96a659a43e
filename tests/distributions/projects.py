"""Projects of third-party plugins: each is written to a folder, built and installed as its author would do it."""

from __future__ import annotations

import re
import shutil
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
#: What programs of tests begin with: ``ask(app, b"GET / ...")`` serves an application and gives the whole answers.
ASKING: Final = """
import asyncio

from corelet import web

GET = b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n"


async def hello(request):
    return web.Response(text="hello")


async def _ask(app, requests):
    runner = web.AppRunner(app) if isinstance(app, web.Application) else web.ServerRunner(web.Server(app))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    answers = []
    for request in requests:
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        writer.write(request)
        answers.append((await reader.read()).decode())
        writer.close()
        await writer.wait_closed()
    await runner.cleanup()
    return answers


def ask(app, *requests):
    for answer in asyncio.run(_ask(app, requests or (GET,))):
        head, _, body = answer.partition("\\r\\n\\r\\n")
        fields = [line for line in head.split("\\r\\n") if line.lower().startswith("x-")]
        print(head.partition("\\r\\n")[0].partition(" ")[2], *fields, body, sep=" | ")
"""


@dataclass
class Project:
    """One distribution: its module, and what its metadata says.

    Args:
        source: of its one module, which is called as the distribution is, with underscores.
        plugins: its entry points of ``corelet.plugins``: name -> what of the module, "" for the module.
        exports: its entry points of ``corelet.exports``: public name -> what of the module.
        hook_api: the hook API that it needs; None to say nothing.
        requires: what it requires of the kernel.
    """

    source: str
    plugins: dict[str, str] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    hook_api: int | None = None
    requires: str = "corelet>=0.1"


_HELLO: Final = '''
"""Adds an X-Served-By header to every response."""
from corelet import hookimpl

@hookimpl
def corelet_prepare_response(app):
    async def stamp(request, response):
        response.headers["X-Served-By"] = "corelet"
    return stamp
'''

PROJECTS: Final = {
    "acme-hello": Project(_HELLO, {"hello": ""}),
    "acme-router": Project(
        '''
        """A router of one's own, with another rule: the first path segment names the handler."""
        from corelet import hookimpl, web
        from corelet.abc import AbstractMatchInfo, AbstractRouter

        class Match(AbstractMatchInfo):
            expect_handler = http_exception = current_app = apps = route = None
            def __init__(self, app, name, handler):
                self.apps, self.current_app = (app,), app
                self.route, self._handler = name, handler
            @property
            def handler(self): return self._handler
            def get_info(self): return {"path": f"/{self.route}"}
            def add_app(self, app): self.apps = (app, *self.apps)

        class FirstSegment(AbstractRouter):
            """Handlers by the first segment of the path."""
            def __init__(self):
                super().__init__()
                self.handlers = {}
            def post_init(self, app): self.app = app
            def add(self, name, handler): self.handlers[name] = handler
            def routes(self): return self.handlers
            def find(self, request):
                name = request.path.split("/")[1]
                return Match(self.app, name, self.handlers[name])
            async def resolve(self, request): raise NotImplementedError

        @hookimpl
        def corelet_make_router(app): return FirstSegment()
        ''',
        {"acme": ""},
        {"web.FirstSegment": "FirstSegment"},
    ),
    "acme-words": Project(
        '''
        """A plugin that has plugins: it collects words, and answers by them."""
        from corelet import hookimpl, hookspec, web

        class Hooks:
            @hookspec
            def corelet_words_words(self, app):
                """Give words."""

            @hookspec(exclusive=True)
            def corelet_words_separator(self, app):
                """Give what stands between."""

        class Plugin:
            @hookimpl
            def corelet_add_hookspecs(self, manager): manager.add_hookspecs(Hooks)

        def join_words(app):
            words = [word for words in app.plugins.call_all("corelet_words_words", app=app) for word in words]
            return (app.plugins.call_one("corelet_words_separator", app=app) or " ").join(words)

        plugin = Plugin()
        ''',
        {"words": "plugin"},
        {"join_words": "join_words"},
    ),
    "acme-more-words": Project(
        """
        from corelet import hookimpl

        @hookimpl
        def corelet_words_words(app): return ["good", "morning"]

        @hookimpl
        def corelet_words_separator(): return ", "
        """,
        {"a-more-words": ""},
    ),
    "acme-greet": Project(
        '''
        """Adds a command, and reports."""
        from corelet import hookimpl

        @hookimpl
        def corelet_add_commands(commands):
            parser = commands.add_parser("greet", help="greet somebody")
            parser.add_argument("--name", default="world")
            parser.set_defaults(run=greet)

        def greet(arguments):
            print("hello", arguments.name)
            return 7

        @hookimpl
        def corelet_report(app): return [f"greets {type(app).__name__}"]
        ''',
        {"greet": ""},
    ),
    "acme-errors": Project(
        '''
        """Renders all errors in its own way."""
        from corelet import hookimpl, web

        @hookimpl
        def corelet_make_error_renderer(app):
            def render(error, request):
                where = "no request" if request is None else request.path
                status = getattr(error, "status_hint", 500)
                return web.Response(status=status, text=f"sorry: {type(error).__name__} at {where}")
            return render
        ''',
        {"errors": ""},
    ),
    "acme-watch": Project(
        '''
        """Watches connections and requests."""
        from corelet import hookimpl
        from corelet.abc import Instrument

        seen = []

        class Watch(Instrument):
            def connection_made(self, connection): seen.append("made")
            def connection_lost(self, connection, exc): seen.append("lost")
            def request_started(self, request): seen.append(f"started {request.path}")
            def request_finished(self, request, response): seen.append(f"finished {response.status}")
            def request_refused(self, status, reason): seen.append(f"refused {status}")

        @hookimpl
        def corelet_instrument(app): return Watch()
        ''',
        {"watch": ""},
        {"web.seen": "seen"},
    ),
    "acme-torn": Project("import acme_missing\n", {"torn": ""}),
    "acme-newer": Project(_HELLO, {"newer": ""}, {"web.Newer": "corelet_prepare_response"}, requires="corelet>=7.0"),
    "acme-newer-hooks": Project(_HELLO, {"newer-hooks": ""}, hook_api=999),
    "acme-misspelt": Project(_HELLO.replace("prepare_response", "prepare_respons"), {"misspelt": ""}),
    "acme-argument": Project(_HELLO.replace("(app)", "(apps)"), {"argument": ""}),
    "acme-async": Project(_HELLO.replace("def corelet_", "async def corelet_"), {"asynchronous": ""}),
    "acme-empty": Project("x = 1\n", {"empty": ""}),
    "acme-twin": Project(_HELLO, {"hello": ""}, {"web.FirstSegment": "corelet_prepare_response"}),
}


def write_project(folder: Path, name: str) -> Path:
    """Write a project as its author has it; its folder."""
    project = PROJECTS[name]
    module = name.replace("-", "_")
    place = folder / name
    place.mkdir(parents=True)
    (place / f"{module}.py").write_text(textwrap.dedent(project.source))
    lines = [
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n',
        f'[project]\nname = "{name}"\nversion = "1.2"\ndependencies = ["{project.requires}"]\n',
        '[project.entry-points."corelet.plugins"]',
        *(f'"{key}" = "{_point(module, what)}"' for key, what in project.plugins.items()),
        '[project.entry-points."corelet.exports"]',
        *(f'"{key}" = "{_point(module, what)}"' for key, what in project.exports.items()),
    ]
    if project.hook_api is not None:
        lines += ['[project.entry-points."corelet.hook_api"]', f'"{project.hook_api}" = "{module}"']
    lines.append(f'[tool.setuptools]\npy-modules = ["{module}"]')
    (place / "pyproject.toml").write_text("\n".join(lines) + "\n")
    return place


def write_readme_project(folder: Path) -> Path:
    """Write the plugin of the README as it stands there; its folder."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (metadata,) = re.findall(r"^```toml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    source = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)[-1]
    place = folder / "readme"
    place.mkdir()
    (place / "pyproject.toml").write_text(metadata)
    (place / "corelet_hello.py").write_text(source)
    return place


def copy_whole_project(folder: Path) -> Path:
    """Copy the whole plugin of docs/plugin-guide.md; its folder."""
    return Path(shutil.copytree(ROOT / "docs" / "ratelimit", folder / "ratelimit"))


def _point(module: str, what: str) -> str:
    return f"{module}:{what}" if what else module
