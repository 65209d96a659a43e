"""The application that a command line names is found, and what is wrong with the name is said in words that help."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from corelet import web
from corelet.app_loader import AppLoadError, load_app, load_app_now

EXPECTED: Final = "expected an Application, a function that makes one, or a coroutine function that does"
CALLED: Final = "it is called without any"
SHOP: Final = """
import functools
from corelet import web

def make_app(): return web.Application(plugins=[])
async def make_later(): return make_app()
def make_with(name): return make_app()
def make_number(): return 3
async def make_word(): return "word"
class Shop(web.Application):
    def __init__(self): super().__init__(plugins=[])
class Shops:
    front = make_app()
app = make_app()
bound = functools.partial(make_with, "x")
nothing = None
later = make_later()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a current folder with the package acme and the module shopping; nothing of them stays imported."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "__init__.py").write_text("")
    (tmp_path / "acme" / "wares.py").write_text("import nowhere")
    (tmp_path / "acme" / "stock.py").write_text("from corelet import web\napp = web.Application(plugins=[])")
    (tmp_path / "shopping.py").write_text(SHOP)
    (tmp_path / "torn.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in {"acme", "shopping", "torn"}]:
        module = sys.modules.pop(name)
        if hasattr(module, "later"):
            module.later.close()


@pytest.mark.parametrize("name", ["app", "make_app", "make_later", "Shop", "Shops.front", "bound", "later"])
def test_an_application_is_found_or_made(name: str) -> None:
    assert isinstance(load_app_now(f"shopping:{name}"), web.Application)


def test_an_application_that_is_there_is_not_made_again() -> None:
    assert load_app("shopping:app") is load_app("shopping:app") is load_app_now("shopping:app")


def test_modules_of_packages_are_found() -> None:
    assert isinstance(load_app("acme.stock:app"), web.Application)


async def test_what_a_coroutine_makes_is_made_in_the_loop_that_serves_it(folder: Path) -> None:
    source = "import asyncio\nfrom corelet import web\nasync def make():\n app = web.Application(plugins=[])\n"
    (folder / "shopping.py").write_text(f"{source} app['loop'] = asyncio.get_running_loop()\n return app")
    made = load_app("shopping:make")
    assert not isinstance(made, web.Application)
    assert (await made)["loop"] is asyncio.get_running_loop()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("shopping", "'shopping' names no application: expected MODULE:NAME, as in shopping:app"),
        ("shopping:", "'shopping:' names no application: expected MODULE:NAME, as in shopping:app"),
        ("shopping.py:main", "'shopping.py:main' names no application: expected MODULE:NAME, as in shopping:main"),
        ("./acme/stock.py", "'./acme/stock.py' names no application: expected MODULE:NAME, as in acme.stock:app"),
        ("a-b:app", "'a-b:app' names no application: expected MODULE:NAME, as in shop.main:app"),
        (":app", "':app' names no application: expected MODULE:NAME, as in shop.main:app"),
        ("shoping:app", "there is no module shoping; did you mean shopping?"),
        ("acme.stocks:app", "there is no module acme.stocks; did you mean stock?"),
        ("qqqq.www:app", "there is no module qqqq in {folder}, nor is one installed"),
        ("shopping:ap", "module shopping has no attribute ap; did you mean app?"),
        ("shopping:qqqq", "module shopping has no attribute qqqq; it has the application app"),
        ("acme:qqqq", "module acme has no attribute qqqq"),
        ("shopping:Shops.frnt", "shopping:Shops has no attribute frnt; did you mean front?"),
        ("shopping:Shops.frnt.app", "shopping:Shops has no attribute frnt; did you mean front?"),
        ("shopping:Shps.front", "module shopping has no attribute Shps; did you mean Shops?"),
        (
            "shopping:make_with",
            f"shopping:make_with takes arguments, (name): {CALLED} (missing a required argument: 'name')",
        ),
        ("shopping:nothing", f"shopping:nothing gives None, {EXPECTED}"),
        ("shopping:make_number", f"shopping:make_number gives 3, {EXPECTED}"),
        ("shopping:make_word", f"shopping:make_word gives 'word', {EXPECTED}"),
    ],
)  # fmt: skip
def test_what_names_no_application_is_an_error_that_helps(place: str, message: str) -> None:
    with pytest.raises(AppLoadError) as caught:
        load_app_now(place)
    assert str(caught.value) == message.replace("{folder}", os.getcwd())


def test_errors_within_a_module_are_its_own() -> None:
    with pytest.raises(ZeroDivisionError):
        load_app("torn:app")
    with pytest.raises(ModuleNotFoundError, match="No module named 'nowhere'"):
        load_app("acme.wares:app")
