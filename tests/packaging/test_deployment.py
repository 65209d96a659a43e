"""The files of docs/deployment do what docs/deployment.md says: nginx in front of two workers, units, a container."""

from __future__ import annotations

import asyncio
import configparser
import getpass
import io
import json
import os
import re
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from yarl import URL

from corelet import cli
from corelet.test_utils import unused_port
from tests.conftest import Tls
from tests.packaging.samples import ROOT, read_blocks

FOLDER: Final = ROOT / "docs" / "deployment"
COMMAND: Final = "/srv/shop/.venv/bin/corelet"
#: What stands around a site's file.
NGINX: Final = """
daemon off;
user {user};
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""
#: Seconds until a program serves, on the slowest machine.
PATIENCE: Final = 60.0


def replace(text: str, **replacements: str) -> str:
    """Replace words of a file, each of which must be there."""
    for old, new in replacements.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def read_bodies(language: str) -> list[str]:
    """Read the page's blocks of a language."""
    return [block.body for block in read_blocks(FOLDER.parent / "deployment.md") if block.language == language]


def read_unit(name: str) -> dict[str, str]:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string((FOLDER / name).read_text(encoding="utf-8"))
    return dict(unit["Service"])


@dataclass
class Site:
    """Two workers as the unit starts them, and nginx in front."""

    folder: Path
    tls: Tls
    port: int = field(default_factory=unused_port)
    workers: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> URL:
        return URL.build(scheme="https", host="localhost", port=self.port)

    def start_worker(self, number: int) -> None:
        """Start a worker."""
        unit = read_unit("shop@.service")
        command = self._place(unit["ExecStart"], number).replace(COMMAND, f"{sys.executable} -m corelet")
        self.workers[number] = subprocess.Popen(
            shlex.split(command), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait_for_worker(self, number: int) -> None:
        """Wait as the unit does."""
        command = self._place(read_unit("shop@.service")["ExecStartPost"], number)
        subprocess.run(shlex.split(command), check=True, timeout=PATIENCE)

    def stop_worker(self, number: int) -> int:
        """Stop a worker as systemd does; its exit status."""
        self.workers[number].terminate()
        return self.workers[number].wait(timeout=PATIENCE)

    def _place(self, text: str, number: int) -> str:
        return replace(text, **{"/run/shop/": f"{self.folder}/", "%i": str(number)})

    def start_nginx(self) -> subprocess.Popen[bytes]:
        site = replace(
            (FOLDER / "nginx.conf").read_text(encoding="utf-8"),
            **{
                "/run/shop/": f"{self.folder}/",
                "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
                "/etc/ssl/shop/fullchain.pem": self.tls.certificate_path,
                "/etc/ssl/shop/privkey.pem": self.tls.key_path,
            },
        )
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, user=getpass.getuser(), site=site))
        process = subprocess.Popen(["nginx", "-e", f"{self.folder}/error.log", "-p", self.folder, "-c", conf])
        wait_until_open(self.port, process)
        return process


def wait_until_open(port: int, process: subprocess.Popen[Any]) -> None:
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        done = subprocess.run(["curl", "--silent", "--output", "/dev/null", f"http://127.0.0.1:{port}"], check=False)
        if done.returncode != 7:  # no connection
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}: {process.args!r}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, tls: Tls) -> Iterator[Site]:
    """Give the site that the page describes."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copy(FOLDER / "shop.py", folder)
    site = Site(folder, tls)
    try:
        for number in (1, 2):
            site.start_worker(number)
        for number in (1, 2):
            site.wait_for_worker(number)
        nginx = site.start_nginx()
        yield site
        nginx.terminate()
        nginx.wait(timeout=PATIENCE)
        assert [site.stop_worker(number) for number in (1, 2)] == [0, 0]
    finally:
        for process in site.workers.values():
            process.kill()


@pytest.fixture
async def session(site: Site) -> Any:
    connector = aiohttp.TCPConnector(ssl=site.tls.client)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


async def test_the_application_knows_the_peer_and_not_what_it_made_up(site: Site, session: Any) -> None:
    made_up = {"X-Real-IP": "1.2.3.4", "X-Forwarded-Proto": "gopher", "Forwarded": "for=1.2.3.4"}
    async with session.get(site.url, headers=made_up) as answer:
        assert await answer.json() == {"scheme": "https", "host": f"localhost:{site.port}", "remote": "127.0.0.1"}
        assert "max-age" in answer.headers["Strict-Transport-Security"]


async def test_websockets_pass_for_pages_of_the_same_host(site: Site, session: Any) -> None:
    async with session.ws_connect(site.url / "talk", origin=str(site.url.origin())) as ws:
        await ws.send_str("hello")
        assert await ws.receive_str() == "hello"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await session.ws_connect(site.url / "talk", origin="https://example.com")
    assert refused.value.status == 403


async def test_events_arrive_as_they_happen(site: Site, session: Any) -> None:
    async with session.get(site.url / "events") as answer:
        assert await answer.content.readany() == b"data: 0\n\n"
        assert await answer.read() == b"data: 1\n\ndata: 2\n\n"


async def test_health_is_for_those_inside_and_bodies_have_a_bound(site: Site, session: Any) -> None:
    async with session.get(site.url / "health") as answer:
        assert answer.status == 403
    async with session.post(site.url, data=io.BytesIO(b"a" * (2**20 + 1))) as answer:
        assert answer.status == 413


async def test_workers_that_restart_in_turn_lose_no_request(site: Site, session: Any) -> None:
    statuses = []
    is_over = asyncio.Event()

    async def ask() -> None:
        while not is_over.is_set():
            async with session.get(site.url) as answer:
                statuses.append(answer.status)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(ask())
        for number in (1, 2):
            assert await asyncio.to_thread(site.stop_worker, number) == 0
            site.start_worker(number)
            await asyncio.to_thread(site.wait_for_worker, number)
        is_over.set()
    assert len(statuses) > 20
    assert set(statuses) == {200}


def test_the_units_start_what_the_command_takes() -> None:
    parser, _ = cli.make_parser()
    for name in ("shop@.service", "shop.service"):
        unit = read_unit(name)
        command, *arguments = shlex.split(unit["ExecStart"])
        options = parser.parse_args(arguments)
        assert (command, options.app) == (COMMAND, "shop:app")
        assert options.shutdown_timeout < int(unit["TimeoutStopSec"])
        assert (options.fd is None) == (options.unix is not None)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="only systemd can check a unit")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for path in FOLDER.glob("shop*.s*[et]"):
        text = path.read_text(encoding="utf-8").replace(COMMAND, "/bin/true").replace("/usr/bin/curl", "/bin/true")
        (tmp_path / path.name.replace("@", "@1")).write_text(text)
    units = sorted(tmp_path.iterdir())
    assert [unit.name for unit in units] == ["shop.service", "shop.socket", "shop@1.service"]
    command = ["systemd-analyze", "verify", "--man=no", *units]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def read_dockerfile() -> dict[str, str]:
    """Read the last instruction of each kind."""
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Z]+) (.*)$", text, re.MULTILINE))


def test_the_containers_command_serves_is_healthy_and_stops(tmp_path: Path) -> None:
    instructions = read_dockerfile()
    shutil.copy(FOLDER / instructions["COPY"].split()[0], tmp_path)
    port = unused_port()
    health = json.loads(instructions["HEALTHCHECK"].partition("CMD ")[2])
    health = [word.replace("8080", str(port)).replace("/venv/bin/python", sys.executable) for word in health]
    command = [str(port) if word == "8080" else word for word in json.loads(instructions["CMD"])]
    assert command[0] == "/venv/bin/corelet"
    assert subprocess.run(health, stderr=subprocess.DEVNULL, check=False).returncode == 1
    process = subprocess.Popen(
        [sys.executable, "-m", "corelet", *command[1:]], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with process:
        assert process.stdout is not None
        assert b"Running on http://0.0.0.0" in process.stdout.readline()
        assert subprocess.run(health, check=False).returncode == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) == 0


RENEWING: Final = """
import sys
from corelet import web
{block}
app = web.Application()
web.run_app(app, host="127.0.0.1", port=0, ssl_context=make_context(*sys.argv[1:]))
"""


def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path, tls: Tls, other_tls: Tls) -> None:
    files = [tmp_path / "fullchain.pem", tmp_path / "privkey.pem"]

    def renew(by: Tls) -> str:
        for source, file in zip((by.certificate_path, by.key_path), files, strict=True):
            shutil.copy(source, file)
        return files[0].read_text(encoding="ascii")

    first = renew(tls)
    program = RENEWING.format(block=read_bodies("python")[1])
    command = [sys.executable, "-c", program, *map(str, files)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        match = re.search(r":(\d+)", process.stdout.readline())
        assert match
        address = ("127.0.0.1", int(match[1]))
        assert ssl.get_server_certificate(address) == first
        second = renew(other_tls)
        process.send_signal(signal.SIGHUP)
        end = time.monotonic() + PATIENCE
        while ssl.get_server_certificate(address) != second:
            assert time.monotonic() < end
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0


def test_every_file_is_shown_on_the_page() -> None:
    page = (FOLDER.parent / "deployment.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```\{literalinclude\} deployment/(\S+)$", page, re.MULTILINE)
    assert sorted(shown) == sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".pyc" and path.is_file())


def test_every_command_on_the_page_is_one() -> None:
    parser, _ = cli.make_parser()
    lines = [line for body in read_bodies("sh") for line in body.splitlines()]
    commands = [line for line in lines if line.startswith("corelet ")]
    assert commands
    for line in commands:
        parser.parse_args(shlex.split(line.rstrip("& "))[1:])
