"""Conformance tests on each runner that an author may have; all others here run in pytest-asyncio's mode auto."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from corelet.test_utils import PayloadConformance

SUITE: Final = """
import asyncio
import unittest
import pytest
from corelet import BytesPayload
from corelet.test_utils import PayloadConformance

MARKclass TestPayload(PayloadConformance, *BASES):
    content = b"ten bytes."

    def make_payload(self):
        return BytesPayload(self.content)

MARKclass TestBroken(PayloadConformance, *BASES):
    content = b"ten bytes."

    def make_payload(self):
        return BytesPayload(b"others ...")
"""
CHECKED: Final = "usefixtures = no_leaks\n"
STRICT: Final = f"[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n{CHECKED}"
ANYIO: Final = f"[pytest]\naddopts = -p no:asyncio\n{CHECKED}"
ANYIO_LOOP: Final = "import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
#: What is imported is looked through once, not after each test.
HASTE: Final = "import gc\ndef pytest_collection_finish(session):\n    gc.collect()\n    gc.freeze()\n"


@pytest.mark.parametrize(
    ("configuration", "conftest", "mark"),
    [(STRICT, "", "asyncio"), (ANYIO, ANYIO_LOOP, "anyio")],
    ids=["asyncio strict", "anyio"],
)
def test_a_class_runs_by_pytest(tmp_path: Path, configuration: str, conftest: str, mark: str) -> None:
    (tmp_path / "pytest.ini").write_text(configuration)
    (tmp_path / "conftest.py").write_text(HASTE + conftest)
    (tmp_path / "test_suite.py").write_text(SUITE.replace("MARK", f"@pytest.mark.{mark}\n").replace(", *BASES", ""))
    done = run(tmp_path, "pytest", "-q", "-p", "no:cacheprovider")
    assert done.returncode == 1
    failed = set(re.findall(r"^FAILED test_suite.py::(\w+)::(\w+)", done.stdout, re.MULTILINE))
    assert {each for each, _ in failed} == {"TestBroken"}
    assert ("TestBroken", "test_it_writes_its_content") in failed
    assert "a payload is expected to hold to this: write_with_length() writes the content; found b'others ...'" in (
        done.stdout
    )
    counts = re.search(r"(\d+) failed, (\d+) passed", done.stdout)
    assert counts is not None
    assert (int(counts[1]), int(counts[1]) + int(counts[2])) == (len(failed), count_tests())


def count_tests() -> int:
    return 2 * sum(name.startswith("test_") for name in dir(PayloadConformance))


def test_a_class_runs_by_unittest(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(
        SUITE.replace("MARK", "").replace("*BASES", "unittest.IsolatedAsyncioTestCase")
    )
    done = run(tmp_path, "unittest", "-q")
    assert f"Ran {count_tests()} tests" in done.stderr
    failed = set(re.findall(r"^(?:FAIL|ERROR): (\w+) \(test_suite\.(\w+)", done.stderr, re.MULTILINE))
    assert {each for _, each in failed} == {"TestBroken"}
    assert ("test_it_writes_its_content", "TestBroken") in failed


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module of tests in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
