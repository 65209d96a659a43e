"""Fuzz both parsers for some seconds each, guided by coverage, with what that needs set up.

    python tests/fuzz/run.py --seconds 600 [--sanitize] [--target request|response]

Makes ``.venv-fuzz`` with atheris, of a Python that atheris has wheels for, and builds the wire there, apart from the
tree's. ``--sanitize`` builds it with AddressSanitizer and UndefinedBehaviorSanitizer, and lets Python allocate by
malloc, so that reads beyond a bytes object are found. Needs gcc (``apt install gcc libc6-dev``); the sanitizers have
their runtime from atheris.

Exits with 1 where an input crashed, hung or told the wires apart; it stands in ``.venv-fuzz/found``.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.fuzz import corpus

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv-fuzz"
PYTHON = VENV / "bin" / "python"
FOUND = VENV / "found"
#: Pythons that atheris 3.0 has wheels for.
VERSIONS = ("3.13", "3.12", "3.11")
SEEDS = {"request": corpus.load_requests, "response": corpus.load_responses}
FLAGS = ("-O2",)
SANITIZER_FLAGS = ("-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
#: Longest input, in bytes; seconds that one may take.
MOST_BYTES = 4096
MOST_SECONDS = 10


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--sanitize", action="store_true")
    parser.add_argument("--target", choices=SEEDS, action="append")
    options = parser.parse_args()
    make_environment()
    package = build_wire(VENV / ("sanitized" if options.sanitize else "plain"), is_sanitized=options.sanitize)
    failed = [
        target
        for target in options.target or SEEDS
        if not fuzz(target, package, options.seconds, is_sanitized=options.sanitize)
    ]
    return 1 if failed else 0


def make_environment() -> None:
    """Make the virtual environment, once."""
    if not PYTHON.exists():
        subprocess.run([find_python(), "-m", "venv", str(VENV)], check=True)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed = [*project["project"]["dependencies"], *project["dependency-groups"]["fuzz"], "cython>=3.1"]
    subprocess.run([PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", *needed], check=True)


def find_python() -> str:
    """A Python that atheris runs on; this one if it does."""
    if "{}.{}".format(*sys.version_info) in VERSIONS:
        return sys.executable
    for version in VERSIONS:
        if found := shutil.which(f"python{version}"):
            return found
    sys.exit(f"atheris needs one of Python {', '.join(VERSIONS)}")


def build_wire(folder: Path, *, is_sanitized: bool) -> Path:
    """Build the package in a folder of its own; the folder to import it from."""
    package = folder / "corelet"
    shutil.rmtree(folder, ignore_errors=True)
    package.mkdir(parents=True)
    for source in (ROOT / "kernel").glob("*.py*"):
        shutil.copy(source, package)
    query = "import sysconfig as s; print(s.get_paths()['include'], s.get_config_var('EXT_SUFFIX'))"
    include, suffix = subprocess.check_output([PYTHON, "-c", query], text=True).split()
    subprocess.run([PYTHON, "-m", "cython", "-3", str(package / "_fast.pyx")], check=True)
    flags = SANITIZER_FLAGS if is_sanitized else FLAGS
    objects = package / "_fast.o"
    subprocess.run(["gcc", *flags, "-fPIC", f"-I{include}", "-c", package / "_fast.c", "-o", objects], check=True)
    # Linked without the sanitizers' flags: their runtime is not gcc's, but the one that knows the fuzzer.
    subprocess.run(["gcc", "-shared", objects, "-o", package / f"_fast{suffix}"], check=True)
    return folder


def fuzz(target: str, package: Path, seconds: int, *, is_sanitized: bool) -> bool:
    """Run a target and print how much; False where it found something."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(package), str(ROOT)))}
    if is_sanitized:
        environment |= make_sanitizer_environment()
    command = make_command(target, seconds)
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    found = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    inputs = int(found[1]) if found else 0
    executions = inputs * corpus.EXECUTIONS_PER_INPUT
    print(f"{target}, {package.name}: {inputs:,} inputs, {executions:,} executions, exit {done.returncode}", flush=True)
    has_passed = done.returncode == 0 and inputs > 0
    if not has_passed:
        print(done.stderr[-6000:])
    return has_passed


def make_command(target: str, seconds: int) -> list[str]:
    """Write what the fuzzer begins with, and say how it runs."""
    seeds, kept, dictionary = VENV / f"seeds-{target}", VENV / f"corpus-{target}", VENV / "tokens.dict"
    corpus.write_seeds(seeds, SEEDS[target]())
    corpus.write_dictionary(dictionary)
    for folder in (kept, FOUND):
        folder.mkdir(exist_ok=True)
    return [
        str(PYTHON),
        str(ROOT / "tests" / "fuzz" / f"fuzz_{target}.py"),
        f"-max_total_time={seconds}",
        f"-max_len={MOST_BYTES}",
        f"-timeout={MOST_SECONDS}",
        f"-dict={dictionary}",
        f"-artifact_prefix={FOUND}/{target}-",
        "-print_final_stats=1",
        str(kept),
        str(seeds),
    ]


def make_sanitizer_environment() -> dict[str, str]:
    """What loads the sanitizers' runtime, with the fuzzer in it, before a Python that is built without them."""
    query = "import atheris; print(atheris.path())"
    folder = subprocess.check_output([PYTHON, "-c", query], text=True).strip()
    return {
        "LD_PRELOAD": str(Path(folder) / "asan_with_fuzzer.so"),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }


if __name__ == "__main__":
    sys.exit(main())
