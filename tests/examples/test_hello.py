"""examples/hello, served as its file says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

ROOT: Final = Path(__file__).resolve().parents[2]


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_until_served(port: int, process: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    process.kill()
    assert process.stdout is not None
    pytest.fail(f"the demo did not start: {process.stdout.read()}")


@pytest.fixture
def demo() -> Iterator[tuple[httpx.Client, subprocess.Popen[str]]]:
    port = find_free_port()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "hello" / "app.py")],
        env=os.environ | {"PORT": str(port), "HOST": "127.0.0.1", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_until_served(port, process)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            yield client, process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
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


def test_it_says_its_address_and_stops_cleanly(demo: Demo) -> None:
    client, process = demo
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert str(client.base_url).rstrip("/") in said
    assert process.returncode == 0
