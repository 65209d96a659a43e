"""Measure what an import costs, in new interpreters."""

from __future__ import annotations

import subprocess
from typing import Final

from benchmarks.process import ServerFailedError

#: Prints milliseconds and bytes of resident memory that a statement took.
PROGRAM: Final = """
import time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * {page}
before = resident()
start = time.perf_counter()
{statement}
end = time.perf_counter()
print((end - start) * 1000, resident() - before)
"""
#: A first one fills the file cache; the least of the others counts.
REPEATS: Final = 6


def measure_import(python: str, statement: str, page_bytes: int) -> dict[str, float]:
    """Run a statement in new interpreters.

    Args:
        python: the interpreter.
        statement: what is run.
        page_bytes: size of a page of memory.

    Returns:
        ``import_ms`` and ``import_mb``, the least of several runs each.

    Raises:
        ServerFailedError: the statement fails.
    """
    program = PROGRAM.format(statement=statement, page=page_bytes)
    times, sizes = [], []
    for _ in range(REPEATS):
        done = subprocess.run([python, "-c", program], check=False, capture_output=True, text=True)
        if done.returncode:
            raise ServerFailedError(f"{statement}\n{done.stderr}")
        milliseconds, size = done.stdout.split()
        times.append(float(milliseconds))
        sizes.append(int(size))
    return {"import_ms": min(times[1:]), "import_mb": min(sizes[1:]) / 1e6}
