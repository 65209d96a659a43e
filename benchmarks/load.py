"""Load a server by wrk, and read what wrk says."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.process import ServerFailedError, ServerProcess
from benchmarks.scenarios import CONNECTIONS, Load

#: Load before the measured one, so that the server is warm.
WARM_UP_SECONDS: Final = 1.0
#: wrk writes the string that ``request`` returns in one piece, and counts every answer to it.
PIPELINE_SCRIPT: Final = """
init = function(arguments) burst = string.rep(wrk.format("GET", "%s"), %d) end
request = function() return burst end
"""
FORM_SCRIPT: Final = """
wrk.method = "POST"
wrk.body = "%s"
"""
UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def find_wrk() -> str:
    """Find wrk.

    Raises:
        SystemExit: it is not installed.
    """
    path = shutil.which("wrk")
    if path is None:
        raise SystemExit("the benchmarks need wrk: apt-get install wrk")
    return path


def check_answer(server: ServerProcess, load: Load) -> None:
    """Ask once, and compare: a server that answers something else must not be measured.

    Raises:
        ServerFailedError: the status is not 200, or the body is not what the scenario asks for.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("POST" if load.form else "GET", load.target, load.form or None, load.headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200 or not load.body(body):
        raise ServerFailedError(f"{load.name}: answered {answer.status} {body[:200]!r}")


def measure_load(server: ServerProcess, load: Load, seconds: float, processor: int) -> dict[str, float]:
    """Load a server and measure it.

    Args:
        server: the running server.
        load: what is asked.
        seconds: how long.
        processor: number of the processor that wrk is pinned to.

    Returns:
        ``rate`` requests a second, ``cpu_us`` CPU microseconds of the server a request, ``p99_ms`` (not with
        a pipeline: wrk has no time for the single answers then), ``rss_mb``.

    Raises:
        ServerFailedError: a wrong answer, or errors while loaded.
    """
    check_answer(server, load)
    _run_wrk(server, load, min(WARM_UP_SECONDS, seconds), processor)
    before = server.read_usage()
    said = _run_wrk(server, load, seconds, processor)
    after = server.read_usage()
    requests = int(_find(r"(\d+) requests in", said)[0])
    values = {
        "rate": float(_find(r"Requests/sec:\s+([\d.]+)", said)[0]),
        "cpu_us": (after.cpu_seconds - before.cpu_seconds) / requests * 1e6,
        "rss_mb": after.resident_bytes / 1e6,
    }
    if load.pipeline == 1:
        number, unit = _find(r"99%\s+([\d.]+)(us|ms|s|m)\b", said)
        values["p99_ms"] = float(number) * UNITS[unit]
    return values


def _run_wrk(server: ServerProcess, load: Load, seconds: float, processor: int) -> str:
    command = ["taskset", "--cpu-list", str(processor), find_wrk(), "--latency", "--threads", "1"]
    command += ["--connections", str(CONNECTIONS), "--duration", f"{max(1, round(seconds))}s"]
    # A slow answer is a figure, not a failure.
    command += ["--timeout", "10s"]
    for name, value in load.headers.items():
        command += ["--header", f"{name}: {value}"]
    with tempfile.TemporaryDirectory() as folder:
        if load.pipeline > 1 or load.form:
            script = Path(folder, "request.lua")
            script.write_text(_make_script(load))
            command += ["--script", str(script)]
        command.append(f"http://127.0.0.1:{server.port}{load.target}")
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise ServerFailedError(f"{load.name}: errors under load:\n{said}")
    return said


def _make_script(load: Load) -> str:
    if load.form:
        return FORM_SCRIPT % "".join(f"\\{octet:03d}" for octet in load.form)
    return PIPELINE_SCRIPT % (load.target, load.pipeline)


def _find(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text)
    if found is None:
        raise ServerFailedError(f"wrk said nothing like {pattern!r}:\n{text}")
    return found.groups()
