"""Real servers of sessions on free ports, and a browser's jar for one raw client."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Connect, Served
from tests.raw_client import Answer, RawClient

START_SECONDS = 20.0


def find_free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Program:
    """A server program that runs on a port of its own, and can be killed and started again."""

    def __init__(self, *command: str) -> None:
        self.name = command[0]
        self.port = find_free_port()
        self._command = [each.format(port=self.port) for each in command]
        if shutil.which(command[0]) is None:
            raise RuntimeError(f"these tests need {command[0]}: apt-get install {command[0]}")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, f"{self._command} has ended"
            time.sleep(0.01)
        raise TimeoutError(f"{self._command} takes no connection")

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def make_redis(folder: Path) -> Program:
    # Each write goes to the file, so that what was kept is there after a kill.
    return Program(
        "redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--dir", str(folder), "--save", "",
        "--appendonly", "yes", "--appendfsync", "always",
    )  # fmt: skip


def make_memcached(*options: str) -> Program:
    user = ("-u", "root") if os.geteuid() == 0 else ()
    return Program("memcached", "-p", "{port}", "-l", "127.0.0.1", "-U", "0", *user, *options)


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Give a Redis that runs."""
    program = make_redis(tmp_path_factory.mktemp("redis"))
    yield program
    program.kill()


@pytest.fixture(scope="session")
def memcached() -> Iterator[Program]:
    """Give a memcached that runs."""
    program = make_memcached()
    yield program
    program.kill()


class Browser:
    """One peer with its cookies, by name; each request has a connection of its own, unless one is kept."""

    def __init__(self, served: Served, connect: Connect, **kwargs: object) -> None:
        self.served = served
        self.cookies: dict[str, str] = {}
        self.set_cookies: list[str] = []
        self.keeps_connection = False
        self.connect = connect
        self._kwargs = kwargs
        self._client: RawClient | None = None

    def make_twin(self) -> Browser:
        """Give another browser, which has the same cookies now."""
        twin = Browser(self.served, self.connect)
        twin.cookies = dict(self.cookies)
        return twin

    async def get(self, target: str, *, method: str = "GET") -> Answer:
        client = self._client or await self.connect(self.served, **self._kwargs)
        pairs = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = await client.get(target, method=method, fields=f"Cookie: {pairs}\r\n" if pairs else "")
        self.take(answer)
        if self.keeps_connection:
            self._client = client
        else:
            await client.close()
        return answer

    def take(self, answer: Answer) -> None:
        """Keep the cookies of an answer, and forget those that it ends."""
        self.set_cookies = [value for name, value in answer.fields if name == "set-cookie"]
        for field in self.set_cookies:
            name, _, value = field.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "max-age=0" in field.lower():
                del self.cookies[name]

    @property
    def token(self) -> str | None:
        return self.cookies.get("session", self.cookies.get("__Host-session"))
