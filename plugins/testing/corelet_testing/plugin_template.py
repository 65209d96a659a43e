"""What ``corelet new-plugin`` writes: the files of a distribution, with words in double braces to be filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PYPROJECT: Final = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{{distribution}}"
version = "0.1.0"
description = "A plugin for corelet: adds an {{header}} header to the responses of applications that ask for it"
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
license-files = ["LICENSE"]
keywords = ["asyncio", "http", "corelet"]
classifiers = [
    "Development Status :: 3 - Alpha",
    "Framework :: AsyncIO",
    "Intended Audience :: Developers",
    "Programming Language :: Python :: 3 :: Only",
    "Typing :: Typed",
]
dependencies = ["corelet>={{floor}}"]

# the plugin: a module with hook implementations
[project.entry-points."corelet.plugins"]
{{name}} = "{{package}}.plugin"

# its public names: applications find this one as web.setup_{{identifier}}
[project.entry-points."corelet.exports"]
"web.setup_{{identifier}}" = "{{package}}:setup_{{identifier}}"

[dependency-groups]
test = ["corelet-testing>={{floor}}", "pytest>=8.4", "pytest-asyncio>=1.1"]
dev = [{ include-group = "test" }, "mypy>=1.15", "ruff>=0.11"]

[tool.setuptools]
packages = ["{{package}}"]

[tool.setuptools.package-data]
{{package}} = ["py.typed"]

[tool.pytest.ini_options]
testpaths = ["tests"]
addopts = ["--strict-markers", "--strict-config"]
asyncio_mode = "auto"
asyncio_default_fixture_loop_scope = "function"
filterwarnings = ["error"]
# a fixture of corelet-testing: fails a test that leaves a task, a socket or a lost error
usefixtures = ["no_leaks"]

[tool.mypy]
strict = true
files = ["{{package}}", "tests"]

[tool.ruff]
line-length = 100
target-version = "py311"

[tool.ruff.lint]
select = ["ASYNC", "B", "C4", "D", "E", "F", "I", "N", "PT", "RUF", "SIM", "UP", "W"]

[tool.ruff.lint.pydocstyle]
convention = "google"

[tool.ruff.lint.per-file-ignores]
"tests/**" = ["D"]
"""

_README: Final = """\
# {{distribution}}

A plugin for corelet: adds an `{{header}}` header to every response of an application that asks for it.

    pip install {{distribution}}

```python
from corelet import web

app = web.Application()
web.setup_{{identifier}}(app, "hello from here")
```

`corelet plugins` shows that it is installed, and its hooks.

## Work on it

    python -m venv .venv
    . .venv/bin/activate
    pip install -e . --group dev
    pytest
    mypy
    ruff check
    ruff format --check

MIT licence.
"""

_LICENCE: Final = """\
MIT License

Copyright (c) {{year}} The authors of {{distribution}}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
"""

_INIT: Final = '''\
"""Adds an {{header}} header to the responses of applications that ask."""

from .setting import {{constant}}, setup_{{identifier}}

__all__ = ["{{constant}}", "setup_{{identifier}}"]
'''

_SETTING: Final = '''\
"""What an application says about the plugin, and where it is kept."""

from __future__ import annotations

from typing import Final

from corelet import web

#: The value of the header, in an application that has asked for it.
{{constant}}: Final = web.AppKey("{{constant}}", str)


def setup_{{identifier}}(app: web.Application, value: str = "yes") -> None:
    """Add an {{header}} header to every response of an application.

    Args:
        app: the application, before it starts.
        value: of the header.

    Raises:
        ValueError: the value can't stand in a header.
    """
    if not (value and value.isascii() and value.isprintable()):
        raise ValueError(f"{{header}} is {value!r}, expected plain ASCII")
    app[{{constant}}] = value
'''

_PLUGIN: Final = '''\
"""The hook implementations; the entry point in pyproject.toml names this module."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from corelet import hookimpl, web

from .setting import {{constant}}


@hookimpl
def corelet_prepare_response(
    app: web.Application,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]] | None:
    """Add the header before the head of a response is sent.

    Asked once, when the application starts: one that has not been set up gets None, and its
    requests cost nothing.
    """
    value = app.get({{constant}})
    if value is None:
        return None

    async def add_header(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["{{header}}"] = value

    return add_header


@hookimpl
def corelet_report(app: web.Application) -> list[str]:
    """Tell the operator what the plugin does here."""
    value = app.get({{constant}})
    return ["switched off"] if value is None else [f"{{header}}: {value}"]
'''

_TEST: Final = '''\
"""The plugin, through hooks, public names and real requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from corelet import web
from corelet.test_utils import TestClient, assert_exports, assert_hooks, make_plugin_manager

from {{package}} import setup_{{identifier}}

ClientFor = Callable[..., Awaitable[TestClient]]


async def answer(request: web.Request) -> web.Response:
    if request.path == "/fail":
        raise web.HTTPNotFound
    return web.Response(text="hello")


def make_app() -> web.Application:
    return web.Application(handler=answer, plugins=["{{name}}"])


def test_it_implements_its_hooks() -> None:
    assert_hooks("{{name}}", "corelet_prepare_response", "corelet_report")


def test_it_exports_its_names() -> None:
    assert_exports(
        "{{distribution}}",
        {"web.setup_{{identifier}}": setup_{{identifier}}},
    )


@pytest.mark.parametrize("path", ["/", "/fail"])
async def test_every_response_has_the_header(client_for: ClientFor, path: str) -> None:
    app = make_app()
    setup_{{identifier}}(app, "tested")
    client = await client_for(app)
    async with client.get(path) as response:
        assert response.headers["{{header}}"] == "tested"


async def test_nothing_changes_without_setup(client_for: ClientFor) -> None:
    client = await client_for(make_app())
    async with client.get("/") as response:
        assert "{{header}}" not in response.headers


@pytest.mark.parametrize("value", ["", "two\\r\\nlines", "\\N{SNOWMAN}"])
def test_a_value_that_no_header_can_have_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="{{header}}"):
        setup_{{identifier}}(make_app(), value)


def test_the_report_says_what_it_does() -> None:
    app, manager = make_app(), make_plugin_manager("{{name}}")
    assert manager.call_all("corelet_report", app=app) == [["switched off"]]
    setup_{{identifier}}(app, "tested")
    [[line]] = manager.call_all("corelet_report", app=app)
    assert line == "{{header}}: tested"
'''

_WORKFLOW: Final = """\
name: CI

on:
  push:
    branches: [main]
  pull_request:

permissions:
  contents: read

jobs:
  test:
    runs-on: ubuntu-latest
    strategy:
      fail-fast: false
      matrix:
        python: ["3.11", "3.12", "3.13", "3.14"]
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with:
          python-version: ${{ matrix.python }}
      - run: python -m pip install --upgrade pip
      - run: python -m pip install -e . --group dev
      - run: ruff check
      - run: ruff format --check
      - run: mypy
      - run: pytest
"""

_IGNORED: Final = """\
*.egg-info/
.coverage
.mypy_cache/
.pytest_cache/
.ruff_cache/
.venv/
__pycache__/
build/
dist/
"""

#: The path of each file, below the folder of the distribution -> what it holds.
_FILES: Final[Mapping[str, str]] = {
    ".github/workflows/ci.yml": _WORKFLOW,
    ".gitignore": _IGNORED,
    "LICENSE": _LICENCE,
    "README.md": _README,
    "pyproject.toml": _PYPROJECT,
    "tests/test_plugin.py": _TEST,
    "{{package}}/__init__.py": _INIT,
    "{{package}}/plugin.py": _PLUGIN,
    "{{package}}/py.typed": "",
    "{{package}}/setting.py": _SETTING,
}

_PLACE: Final = re.compile(r"\{\{(\w+)\}\}")


def make_files(name: str, *, floor: str, year: int) -> dict[str, str]:
    """Make the files of a plugin's distribution.

    Args:
        name: of the plugin: words of small letters and digits, joined by hyphens.
        floor: the least version of corelet that it requires.
        year: of its copyright.

    Returns:
        The path of each file, with slashes -> its text.
    """
    identifier = name.replace("-", "_")
    words = {
        "constant": identifier.upper(),
        "distribution": f"corelet-{name}",
        "floor": floor,
        "header": f"X-{name.title()}",
        "identifier": identifier,
        "name": name,
        "package": f"corelet_{identifier}",
        "year": str(year),
    }

    def fill(text: str) -> str:
        return _PLACE.sub(lambda match: words[match[1]], text)

    return {fill(path): fill(text) for path, text in _FILES.items()}
