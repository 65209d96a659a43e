"""How the benchmarks count what a server uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.process import ServerFailedError, ServerProcess, read_usage

BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the benchmarks read Linux's /proc")


def test_cpu_of_children_that_ended_is_counted() -> None:
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\nprint(1, flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        usage = read_usage(process.pid)
        process.kill()
    assert usage.cpu_seconds >= 0.28
    assert usage.resident_bytes > 1_000_000


def test_a_group_that_is_gone_has_used_nothing() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    assert read_usage(process.pid).resident_bytes == 0


def test_a_server_is_pinned_and_stopped_with_its_group() -> None:
    processor = min(os.sched_getaffinity(0))
    with ServerProcess(sys.executable, "raw_uvloop", "plain", processor) as server:
        group = server.group
        assert os.sched_getaffinity(group) == {processor}
        assert server.read_usage().resident_bytes > 0
    assert read_usage(group).resident_bytes == 0


def test_a_server_that_does_not_start_says_why() -> None:
    server = ServerProcess(sys.executable, "no_such_server", "plain", min(os.sched_getaffinity(0)))
    with pytest.raises(ServerFailedError, match=r"No module named benchmarks\.servers\.no_such_server"), server:
        pytest.fail("it started")
