"""Type-check the sample program by mypy and pyright against what is installed in an environment."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.packaging.environment import Environment
from tests.packaging.process import StepError, run

SAMPLE: Final = Path(__file__).with_name("sample")
#: What is wrong in a line, by checker: ``# mypy: arg-type, pyright: reportArgumentType``.
REMARK: Final = re.compile(r"(mypy|pyright): ([\w-]+)")


def check_types(environment: Environment, log: Path) -> None:
    """Check that the right program has no error and that the wrong one has just those that its remarks say.

    Raises:
        StepError: a checker says anything else.
    """
    folder = environment.folder / "sample"
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    found = {"mypy": _run_mypy(environment, folder, log), "pyright": _run_pyright(environment, folder, log)}
    for checker, errors in found.items():
        expected = {error for path in folder.glob("*.py") for error in read_remarks(path, checker)}
        if errors != expected:
            raise StepError(
                f"{checker} says {sorted(errors - expected)} too much and {sorted(expected - errors)} too little: {log}"
            )


def read_remarks(path: Path, checker: str) -> set[tuple[str, int, str]]:
    """Read which errors a file says that it has: its name, line, rule."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {
        (path.name, number, rule)
        for number, line in enumerate(lines, 1)
        for name, rule in REMARK.findall(line.partition("  # ")[2])
        if name == checker
    }


def _run_mypy(environment: Environment, folder: Path, log: Path) -> set[tuple[str, int, str]]:
    command = (sys.executable, "-m", "mypy", "--strict", "--config-file=", "--output=json", "--no-error-summary")
    against = (f"--python-executable={environment.python}", f"--cache-dir={environment.folder / 'mypy'}")
    lines = _run_checker(*command, *against, ".", folder=folder, log=log).splitlines()
    errors = [json.loads(line) for line in lines if line.startswith("{")]
    return {(Path(each["file"]).name, each["line"], each["code"]) for each in errors if each["severity"] == "error"}


def _run_pyright(environment: Environment, folder: Path, log: Path) -> set[tuple[str, int, str]]:
    settings = {"typeCheckingMode": "strict", "include": ["."]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = (sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", environment.python)
    said = _run_checker(*command, "-p", folder, folder=folder, log=log)
    try:
        diagnostics = json.loads(said[said.index("{") :])["generalDiagnostics"]
    except ValueError as error:
        raise StepError(f"pyright gave no report:\n{said}") from error
    return {
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each.get("rule", ""))
        for each in diagnostics
        if each["severity"] == "error"
    }


def _run_checker(*command: str | Path, folder: Path, log: Path) -> str:
    """Run a type checker; that it finds errors is no failure of it."""
    return run(*command, log=log, cwd=folder, expected=(0, 1), PYRIGHT_PYTHON_IGNORE_WARNINGS="1")
