"""Build the distributions, install them into new virtual environments, and have a request answered there.

Run by ``.ci/run``, not by pytest: it fetches what a build needs. Once with a compiler, where the accelerated wire must
serve, and once without one, where the plain wire must. And each plugin alone, with what it requires and nothing else:
it must load, its names must be there, and the names of those that are missing must say so.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PLUGINS: Final = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))

#: Sdists with a compiled part.
COMPILED: Final = ["corelet-", *(f"corelet_{path.parts[-3]}-" for path in ROOT.glob("plugins/*/corelet_*/_fast.pyx"))]

#: Serves one request to itself, then says which wire did.
PROGRAM: Final = """
import asyncio
import sys

from corelet import web, wire
from corelet_websocket import frame


async def hello(request):
    return web.Response(text="Hello, " + request.match_info["name"])


async def main():
    app = web.Application()
    app.router.add_get("/{name}", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    writer.write(b"GET /world HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    await runner.cleanup()
    assert answer.startswith(b"HTTP/1.1 200 OK\\r\\n"), answer
    assert answer.endswith(b"\\r\\n\\r\\nHello, world"), answer
    assert wire.IMPLEMENTATION == sys.argv[1], wire.IMPLEMENTATION
    assert frame.IMPLEMENTATION == sys.argv[1], frame.IMPLEMENTATION
    print("a request was served by the", wire.IMPLEMENTATION, "wire")


asyncio.run(main())
"""

#: Loads what is installed, and nothing else is; arguments are the plugins that must be there.
ALONE: Final = """
import importlib
import sys

import corelet
from corelet.names import PLUGIN_OF
from corelet.plugins import records

found = {record.name: record for record in records()}
assert sorted(found) == sorted(sys.argv[1:]), sorted(found)
for record in found.values():
    assert record.is_ready, record
    for name in record.exports:
        scope, _, plain = name.rpartition(".")
        module = importlib.import_module("corelet." + scope) if scope else corelet
        assert getattr(module, plain) is not None, name
exported = {name for record in found.values() for name in record.exports}
for name, plugin in PLUGIN_OF.items():
    if not name.startswith("web.") or name in exported:
        continue
    try:
        getattr(corelet.web, name.removeprefix("web."))
    except corelet.MissingPluginError as error:
        assert "pip install corelet-" + plugin in str(error), error
    else:
        raise AssertionError(name)
print("alone:", *sys.argv[1:])
"""


def build(folder: Path, target: Path, kinds: tuple[str, ...], **environment: str) -> list[Path]:
    """Build distributions of one project folder.

    Args:
        folder: where its pyproject.toml is.
        target: where they go.
        kinds: ``sdist``, ``wheel`` or both; the wheel is made from the sdist then.
        environment: variables to set.

    Returns:
        What was built.
    """
    options = [f"--{kind}" for kind in kinds] if len(kinds) == 1 else []
    command = [sys.executable, "-m", "build", "--outdir", str(target), *options, str(folder)]
    done = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-4000:]}")
    return sorted(target.iterdir())


def build_plain(source: Path, folder: Path) -> Path:
    """Build the wheel of an sdist where nothing compiles."""
    with tarfile.open(source) as archive:
        archive.extractall(folder / "source", filter="data")
    unpacked = next((folder / "source").iterdir())
    (wheel,) = build(unpacked, folder / "wheel", ("wheel",), CC="/bin/false")
    assert not [name for name in read_names(wheel) if name.endswith(".so")], "a compiler was found after all"
    return wheel


def check_contents(built: list[Path]) -> None:
    """Look into the distributions: what must be there is, what must not is not."""
    for path in built:
        names = read_names(path)
        assert any(name.endswith("/py.typed") for name in names), f"{path.name} has no py.typed"
        assert not [name for name in names if name.endswith(".c")], f"{path.name} has C sources"
        if path.suffix == ".whl":
            strangers = [name for name in names if name.endswith(".pyx") or not name.startswith("corelet")]
            assert not strangers, f"{path.name} has {strangers}"
        elif path.name.startswith(tuple(COMPILED)):
            assert any(name.endswith("/_fast.pyx") for name in names), f"{path.name} has no _fast.pyx"


def read_names(path: Path) -> list[str]:
    """List the files of a wheel or an sdist."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return wheel.namelist()
    with tarfile.open(path) as archive:
        return archive.getnames()


def serve(wheels: list[Path], folder: Path, implementation: str) -> None:
    """Install wheels into a new virtual environment and have a request answered in it."""
    venv.create(folder, with_pip=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", *map(str, wheels)], check=True)
    subprocess.run([python, "-W", "error", "-c", PROGRAM, implementation], cwd=folder, check=True)


def find_required(name: str) -> set[str]:
    """Find the plugins that a plugin requires, with itself."""
    project = tomllib.loads((ROOT / "plugins" / name / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {match[1] for each in project["dependencies"] if (match := re.match(r"corelet-(\w+)", each))}
    return {name}.union(*map(find_required, direct))


def load_alone(name: str, wheels: dict[str, Path], folder: Path) -> None:
    """Install one plugin with what it requires into a new virtual environment, and load it there."""
    venv.create(folder, symlinks=True)
    python = str(folder / "bin" / "python")
    required = sorted(find_required(name))
    needed = [str(wheels[f"corelet_{each}"]) for each in required]
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", str(wheels["corelet"]), *needed]
    subprocess.run(pip, check=True)
    subprocess.run([python, "-W", "error", "-c", ALONE, *required], cwd=folder, check=True)


def main() -> None:
    """Build, look, install and serve, with a compiler and without."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        plugins = [path for plugin in PLUGINS for path in build(plugin, place / plugin.name, ("sdist", "wheel"))]
        kernel = build(ROOT, place / "fast", ("sdist", "wheel"))
        check_contents(kernel + plugins)
        plugin_wheels = [path for path in plugins if path.suffix == ".whl"]
        kernel_wheel = next(path for path in kernel if path.suffix == ".whl")
        serve([kernel_wheel, *plugin_wheels], place / "env-fast", "fast")
        wheels = {path.name.partition("-")[0]: path for path in [kernel_wheel, *plugin_wheels]}
        for plugin in PLUGINS:
            load_alone(plugin.name, wheels, place / f"env-{plugin.name}")

        sources = [path for path in kernel + plugins if path.name.endswith(".tar.gz")]
        compiled = [path for path in sources if path.name.startswith(tuple(COMPILED))]
        plain = [build_plain(source, place / "pure" / source.name) for source in compiled]
        names = {path.name.split("-")[0] for path in plain}
        others = [path for path in plugin_wheels if path.name.split("-")[0] not in names]
        serve(plain + others, place / "env-pure", "pure")
    print(f"{2 + len(PLUGINS)} distributions were built, installed and served a request")


if __name__ == "__main__":
    main()
