"""``corelet new-plugin``: what it writes is a whole distribution that passes its own tests, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from corelet import cli
from corelet_testing.new_plugin import find_name_problem, write_plugin
from tests.distributions.conftest import BUILD, run

ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = {
    ".github/workflows/ci.yml",
    ".gitignore",
    "LICENSE",
    "README.md",
    "corelet_rate_limit/__init__.py",
    "corelet_rate_limit/plugin.py",
    "corelet_rate_limit/py.typed",
    "corelet_rate_limit/setting.py",
    "pyproject.toml",
    "tests/test_plugin.py",
}
SERVE: Final = """
import asyncio
from corelet import web
from corelet.test_utils import TestClient, TestServer

async def answer(request):
    return web.Response(text="hello")

async def ask():
    app = web.Application(handler=answer)  # with every installed plugin
    web.setup_rate_limit(app, "7")
    async with TestClient(TestServer(app)) as client, client.get("/") as response:
        print(response.headers["X-Rate-Limit"], await response.text())
    print(*(record for record in app.plugins.records if record.name == "rate-limit"))

asyncio.run(ask())
"""


class Written:
    """A plugin as it was written, and what runs Python where it is installed.

    Args:
        folder: an empty folder, for all of this.
    """

    def __init__(self, folder: Path) -> None:
        self.project = folder / "corelet-rate-limit"
        self.told = run(sys.executable, "-m", "corelet", "new-plugin", "rate-limit", "--folder", folder)
        (folder / "wheels").mkdir()
        run(sys.executable, "-W", "ignore", "-c", BUILD, folder / "wheels", self.project)
        (self.wheel,) = (folder / "wheels").iterdir()
        # A wheel of plain Python is installed by unpacking it.
        zipfile.ZipFile(self.wheel).extractall(folder / "installed")
        self._installed = folder / "installed"

    def run(self, *command: str, **environment: str) -> str:
        """Run a Python module in the folder of the project; what it printed."""
        done = subprocess.run(
            [sys.executable, "-P", *command],
            cwd=self.project, env=os.environ | {"PYTHONPATH": str(self._installed), **environment},
            capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Give a plugin that was written, built and installed."""
    return Written(tmp_path_factory.mktemp("written"))


def test_it_says_what_it_has_written_and_what_to_do_next(written: Written) -> None:
    told = written.told.splitlines()
    assert told[0] == f"wrote {written.project}:"
    assert {line.strip() for line in told[1 : told.index("")]} == FILES
    assert [line.strip() for line in told[told.index("next:") + 1 :]] == [
        f"cd {written.project}",
        "pip install -e . --group dev",
        "pytest",
        "corelet plugins",
    ]


def test_its_own_tests_pass(written: Written) -> None:
    assert "\n9 passed" in f"\n{written.run('-m', 'pytest', '-q').splitlines()[-1]}"


def test_it_is_styled_and_typed(written: Written) -> None:
    plugins = [str(ROOT / "plugins" / name) for name in ("client", "testing")]
    written.run("-m", "ruff", "check")
    written.run("-m", "ruff", "format", "--check")
    # As where corelet is installed: nothing is said of its modules, nor of plugins that are not there.
    path = os.pathsep.join([str(ROOT / "typings"), *plugins])
    written.run("-m", "mypy", "--follow-imports=silent", "--ignore-missing-imports", MYPYPATH=path)


def test_its_wheel_has_the_package_and_the_licence_and_no_tests(written: Written) -> None:
    packed = set(zipfile.ZipFile(written.wheel).namelist())
    assert {path for path in FILES if path.startswith("corelet_")} <= packed
    assert "corelet_rate_limit-0.1.0.dist-info/licenses/LICENSE" in packed
    assert not {path for path in packed if "test" in path}


def test_it_is_found_and_serves_beside_all_that_is_installed(written: Written) -> None:
    assert written.run("-c", SERVE) == "7 hello\nrate-limit (corelet-rate-limit 0.1.0)\n"


@pytest.mark.parametrize("name", ["x", "a1-b2-c3", "-".join(["eleven-long"] * 3)[:32]])
def test_every_place_is_filled_whatever_the_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    assert find_name_problem(name) == ""
    write_plugin(folder, name)
    for path in folder.rglob("*.*"):
        if path.is_file():
            assert "{{" not in path.read_text().replace("${{ matrix.python }}", ""), path
    # The longest name too leaves every line where the formatter would put it.
    for check in (("check",), ("format", "--check")):
        run(sys.executable, "-m", "ruff", *check, "--no-cache", folder)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("corelet-hello", "leave corelet- out"),
        ("corelet_hello", "leave corelet- out"),
        ("My Plugin!", "small letters and digits, words joined by hyphens, as in rate-limit; how about my-plugin?"),
        ("rate_limit", "how about rate-limit?"),
        ("7up", "how about up?"),
        ("../evil", "how about evil?"),
        ("-", "is no plugin's name"),
        ("", "is no plugin's name"),
        ("é", "is no plugin's name"),
        ("a--b", "how about a-b?"),
        ("x" * 33, "the name has 33 characters, at most 32"),
        ("routing", "a plugin 'routing' from corelet-routing is installed"),
    ],
)
def test_a_bad_name_is_refused(name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["new-plugin", "--folder", str(tmp_path), "--", name]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("corelet new-plugin: ")
    assert told in output.err
    assert output.out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corelet-hello").mkdir()
    assert cli.main(["new-plugin", "hello", "--folder", str(tmp_path)]) == 2
    assert "exists: choose another name, or another place by --folder" in capsys.readouterr().err
    assert list((tmp_path / "corelet-hello").iterdir()) == []


def test_what_can_not_be_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cli.main(["new-plugin", "hello", "--folder", str(tmp_path / "file")]) == 2
    assert f"can't write {tmp_path / 'file'}" in capsys.readouterr().err


def test_where_the_plugin_is_missing_the_command_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "corelet", "new-plugin", "hello"],
        env=os.environ | {"CORELET_BLOCK": "testing"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "corelet: corelet new-plugin comes with a testing plugin, which is blocked: CORELET_BLOCK=testing\n"
    )
