"""Programs that must succeed: what they print goes to a log, and the end of it into the error."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Final

#: Variables of the calling environment that would change what is tested.
FOREIGN: Final = ("CORELET_", "COVERAGE_", "MAKE", "PYTEST_", "PYTHON", "VIRTUAL_ENV")
#: How much of a failed program's output is shown, in characters.
SHOWN: Final = 6000


class StepError(Exception):
    """A step of a cell failed; the message is what a person needs to see."""


def run(
    *command: str | Path,
    log: Path,
    cwd: Path | None = None,
    seconds: float = 900,
    expected: Collection[int] = (0,),
    **environment: str,
) -> str:
    """Run a program that must succeed.

    Args:
        command: the program and its arguments.
        log: a file that the command and its output are added to.
        cwd: where it runs; here unless given.
        seconds: when it is given up and ended.
        expected: the exit codes that are no failure.
        environment: variables to set; those that would change what is tested are not inherited.

    Returns:
        What it printed, errors included.

    Raises:
        StepError: it failed, or was not done in time.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    line = " ".join(map(str, command))
    try:
        done = subprocess.run(
            command, cwd=cwd, env=inherited | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise StepError(f"{line}\nwas not done in {seconds} s") from error
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {line}\n{done.stdout}\n")
    if done.returncode not in expected:
        raise StepError(f"{line}\nended by {done.returncode}:\n{done.stdout[-SHOWN:]}")
    return done.stdout
