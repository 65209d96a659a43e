"""``corelet new-plugin``: write the distribution of a plugin, complete and with passing tests."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any, Final

import corelet

from .plugin_template import make_files

_DESCRIPTION: Final = """\
Write a new plugin as a distribution of its own, in a new folder corelet-NAME: pyproject.toml with
the entry points, a package with a hook implementation, passing tests, README, licence, and CI.

NAME is the plugin's name: small letters and digits, words joined by hyphens, as in rate-limit. It
becomes the distribution corelet-rate-limit, the package corelet_rate_limit and the entry point
rate-limit.
"""
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: Characters of a name: the lines that it stands in fit into the 100 columns of the files.
_MAX_NAME: Final = 32
#: The exit status for what can't be done as it was asked; argparse's own.
_MISTAKE: Final = 2


def add_command(commands: Any) -> None:
    """Add the command to those of ``corelet``."""
    parser = commands.add_parser("new-plugin", help="write the distribution of a new plugin", description=_DESCRIPTION)
    parser.set_defaults(run=run)
    parser.add_argument("name", metavar="NAME", help="the plugin's name")
    parser.add_argument(
        "--folder", metavar="DIR", type=Path, default=Path(), help="where corelet-NAME is made; default here"
    )


def run(options: argparse.Namespace) -> int:
    """Write the distribution that the command line names, and say what to do next; the exit status."""
    problem = find_name_problem(options.name)
    if problem:
        return _refuse(problem)
    folder = options.folder / f"corelet-{options.name}"
    try:
        paths = write_plugin(folder, options.name)
    except FileExistsError:
        return _refuse(f"{folder} exists: choose another name, or another place by --folder")
    except OSError as error:
        return _refuse(f"can't write {error.filename}: {error.strerror}")
    lines = [f"wrote {folder}:", *(f"  {path}" for path in paths), "", "next:", f"  cd {folder}"]
    lines += ["  pip install -e . --group dev", "  pytest", "  corelet plugins"]
    print(*lines, sep="\n")  # noqa: T201  # a command
    return 0


def _refuse(problem: str) -> int:
    print(f"corelet new-plugin: {problem}", file=sys.stderr)  # noqa: T201  # a command
    return _MISTAKE


def find_name_problem(name: str) -> str:
    """Say why a plugin can't have a name; "" for nothing."""
    if name.startswith(("corelet-", "corelet_")):
        return f"{name!r} is the name of a distribution: leave corelet- out, it is put before"
    if not _NAME.fullmatch(name):
        wanted = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = f"; how about {wanted}?" if _NAME.fullmatch(wanted) else ""
        return (
            f"{name!r} is no plugin's name: small letters and digits, words joined by hyphens, as in rate-limit{hint}"
        )
    if len(name) > _MAX_NAME:
        return f"the name has {len(name)} characters, at most {_MAX_NAME} are possible"
    owners = [each.dist for each in importlib.metadata.entry_points(group="corelet.plugins") if each.name == name]
    if owners:
        owner = "" if owners[0] is None else f" from {owners[0].name}"
        return f"a plugin {name!r}{owner} is installed, and no two have one name: choose another"
    return ""


def write_plugin(folder: Path, name: str) -> list[str]:
    """Write the distribution of a plugin.

    Args:
        folder: is made; those above it, too.
        name: of the plugin, as :func:`find_name_problem` wants it.

    Returns:
        The paths of its files below the folder, sorted.

    Raises:
        FileExistsError: the folder exists.
        OSError: it can't be written.
    """
    version = corelet.__version__
    floor = ".".join(version.split(".")[:2])
    files = make_files(name, floor=floor, year=datetime.datetime.now(datetime.UTC).year)
    folder.mkdir(parents=True)
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return sorted(files)
