"""examples/hello, served as its file says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.fixture
def demo() -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "hello" / "app.py")],
        env=os.environ | {"PORT": "0", "HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert address, said + process.stdout.read()
        with httpx.Client(base_url=address[0], trust_env=False) as client:
            yield client, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


Demo = tuple[httpx.Client, subprocess.Popen[str]]


def test_the_page_is_html_and_names_what_it_shows(demo: Demo) -> None:
    answer = demo[0].get("/")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "corelet</b> is running" in answer.text


def test_a_name_in_the_path_is_greeted(demo: Demo) -> None:
    assert demo[0].get("/hello/J%C3%BCrgen%2FM").text == "Hello, Jürgen/M!\n"


def test_the_status_is_json(demo: Demo) -> None:
    answer = demo[0].get("/status")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.json()["up_seconds"] >= 0


def test_the_count_arrives_piece_by_piece(demo: Demo) -> None:
    with demo[0].stream("GET", "/count/3") as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert list(answer.iter_text()) == ["1\n", "2\n", "3\n"]


def test_it_stops_cleanly(demo: Demo) -> None:
    process = demo[1]
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == 0, said
