"""A server under measurement: a process group of its own, pinned to one processor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

ROOT: Final = Path(__file__).resolve().parent.parent
TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0


class ServerFailedError(Exception):
    """Report a server that did not start, or that stopped while it was measured."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process group has used.

    Args:
        cpu_seconds: user and system time of all its processes since they started, and of children that ended.
            It moves in steps of a clock tick, 10 ms: measure over seconds.
        resident_bytes: memory resident now, of all its processes together.
    """

    cpu_seconds: float
    resident_bytes: int


def read_usage(group: int) -> Usage:
    """Add up what the processes of a group have used.

    Args:
        group: process group id.

    Returns:
        The sum; zeros when no process is left.

    Source: proc(5), /proc/pid/stat: fields 5 (pgrp), 14 to 17 (utime, stime, cutime, cstime), 24 (rss).
    """
    ticks = 0
    pages = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            line = (entry / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        fields = line.rpartition(")")[2].split()  # fields[0] is field 3
        if int(fields[2]) == group:
            ticks += sum(int(field) for field in fields[11:15])
            pages += int(fields[21])
    return Usage(ticks / TICKS_PER_SECOND, pages * PAGE_BYTES)


def choose_processors() -> tuple[int, int]:
    """Choose a processor for the server and another for its load; the same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def find_free_port() -> int:
    """Find a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class ServerProcess:
    """Run one server module while a ``with`` block lasts.

    Args:
        python: interpreter that runs it.
        module: module under ``benchmarks.servers``.
        shape: the application that it serves, one of ``benchmarks.servers.arguments.SHAPES``.
        processor: number of the processor that it is pinned to.
    """

    def __init__(self, python: str, module: str, shape: str, processor: int) -> None:
        self.port = find_free_port()
        self._command = [python, "-m", f"benchmarks.servers.{module}", "--port", str(self.port), "--shape", shape]
        self._processor = processor

    def __enter__(self) -> Self:
        self._output = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            ["taskset", "--cpu-list", str(self._processor), *self._command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def group(self) -> int:
        """The process group's id, while it runs and after."""
        return self._process.pid

    def read_usage(self) -> Usage:
        """Read what the server has used until now.

        Raises:
            ServerFailedError: it has ended.
        """
        if self._process.poll() is not None:
            raise ServerFailedError(self._describe())
        return read_usage(self._process.pid)

    def _wait_until_ready(self) -> None:
        give_up = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise ServerFailedError(self._describe())

    def _describe(self) -> str:
        self._output.seek(0)
        last_lines = "\n".join(self._output.read().splitlines()[-8:])
        return f"{' '.join(self._command[1:])} did not serve (status {self._process.poll()}):\n{last_lines}"

    def _stop(self) -> None:
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"killed after {STOP_SECONDS} s: {' '.join(self._command[1:])}", file=sys.stderr)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._output.close()

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # the whole group has ended
