"""Run the Autobahn TestSuite against our server and our client, and judge: ``python tests/autobahn/run.py --help``.

The suite is a program for Python 2.7, which pyenv has: ``--setup`` makes its environment, which takes about a minute
and a half. Its fuzzing server listens on every interface, so it runs in a network namespace of its own with our client.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
SUITE: Final = ROOT / ".venv-autobahn"
REPORTS: Final = ROOT / "build" / "autobahn"
DISTRIBUTION: Final = "autobahntestsuite==25.10.1"
AGENT: Final = "corelet"
SERVER_PORT: Final = 9001
#: What the suite has: a run that ended early is no proof.
ALL_CASES: Final = 517
#: All but performance and most of compression: a minute and a half for each side.
QUICK: Final = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,10.*,12.1.1,12.1.2,12.2.1,13.1.1,13.3.1"
#: The cases whose outcome the suite does not judge: codes and closes that the RFC leaves open.
MOST_INFORMATIONAL: Final = 3
GOOD: Final = ("OK", "INFORMATIONAL")


def set_up() -> None:
    """Make the suite's environment, unless it is there."""
    if (SUITE / "bin" / "wstest").exists():
        return
    python = find_python2()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        subprocess.run([f"{folder}/bin/pip", "install", "--quiet", "virtualenv<20.22"], check=True)
        subprocess.run([f"{folder}/bin/virtualenv", "--quiet", "--python", python, str(SUITE)], check=True)
    environment = os.environ | {"PIP_FIND_LINKS": ""}
    subprocess.run([SUITE / "bin" / "pip", "install", "--quiet", DISTRIBUTION], check=True, env=environment)


def find_python2() -> str:
    """Find Python 2.7.

    Raises:
        SystemExit: there is none.
    """
    # Not from the path: pyenv has a stand-in there, which refuses unless this version was chosen.
    for python in sorted(Path.home().glob(".pyenv/versions/2.7.*/bin/python")):
        return str(python)
    found = shutil.which("python2.7")
    if found is None:
        raise SystemExit("the Autobahn TestSuite needs Python 2.7: pyenv install 2.7.18")
    return found


def find_free_port() -> int:
    """Find a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int, process: subprocess.Popen[Any]) -> None:
    """Wait until somebody listens."""
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"{process.args} does not listen on {port}")


def run_suite(mode: str, folder: Path, specification: dict[str, Any]) -> subprocess.Popen[Any]:
    """Start one of the suite's programs."""
    path = folder / "specification.json"
    path.write_text(json.dumps(specification, indent=1))
    with (folder / "suite.log").open("w") as log:
        command = [str(SUITE / "bin" / "wstest"), "--mode", mode, "--spec", str(path)]
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def run_against_server(cases: list[str], folder: Path) -> None:
    """Let the fuzzing client ask our server."""
    port = find_free_port()
    server = subprocess.Popen([sys.executable, "-m", "tests.autobahn.echo_server", str(port)], cwd=ROOT)
    try:
        wait_for(port, server)
        specification = {
            "options": {"failByDrop": True},
            "outdir": str(folder),
            "servers": [{"agent": AGENT, "url": f"ws://127.0.0.1:{port}", "options": {"version": 18}}],
            "cases": cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        run_suite("fuzzingclient", folder, specification).wait()
    finally:
        server.terminate()
        server.wait()


def run_against_client(cases: list[str], folder: Path) -> None:
    """Let our client ask the fuzzing server, in a network namespace that has nothing but a loopback."""
    command = ["unshare", "--net", "--map-root-user", "--", sys.executable, __file__, "--within", str(folder)]
    subprocess.run([*command, "--cases", ",".join(cases)], check=True)


def run_within(cases: list[str], folder: Path) -> None:
    """Run server and client, in the namespace."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    specification = {
        "url": f"ws://127.0.0.1:{SERVER_PORT}",
        "outdir": str(folder),
        "webport": SERVER_PORT + 1,
        "options": {"failByDrop": True},
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    suite = run_suite("fuzzingserver", folder, specification)
    try:
        wait_for(SERVER_PORT, suite)
        command = [sys.executable, "-m", "tests.autobahn.echo_client", str(SERVER_PORT), AGENT]
        subprocess.run(command, cwd=ROOT, check=True)
    finally:
        suite.terminate()
        suite.wait()


def judge(side: str, folder: Path, *, least: int) -> bool:
    """Read the suite's report and say what is wrong.

    Args:
        side: which side of ours was asked.
        folder: where the report is.
        least: how many cases it has to have.

    Returns:
        Whether every case passed, strictly and with the right close.
    """
    index = folder / "index.json"
    if not index.exists():
        print(f"{side}: no report, see {folder}/suite.log")
        return False
    results = json.loads(index.read_text())[AGENT]
    behaviors = collections.Counter(result["behavior"] for result in results.values())
    closes = collections.Counter(result["behaviorClose"] for result in results.values())
    print(f"{side}: {len(results)} cases, {dict(behaviors)}, closing {dict(closes)}, report in {folder}/index.html")
    for number, result in sorted(results.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        if result["behavior"] != "OK" or result["behaviorClose"] not in GOOD:
            print(
                f"  {number}: {result['behavior']}, closing {result['behaviorClose']} {result.get('remoteCloseCode')}"
            )
    is_strict = not any(count for behavior, count in behaviors.items() if behavior not in GOOD)
    is_clean = not any(count for close, count in closes.items() if close not in GOOD)
    if len(results) < least:
        print(f"  {len(results)} cases were run, expected {least}")
    return len(results) >= least and is_strict and is_clean and behaviors["INFORMATIONAL"] <= MOST_INFORMATIONAL


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--setup", action="store_true", help="only make the suite's environment")
    parser.add_argument("--quick", action="store_true", help=f"only the cases {QUICK}")
    parser.add_argument("--cases", default="*", help="patterns with commas between (all)")
    parser.add_argument("--side", choices=("server", "client"), action="append", help="what to ask (both)")
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    cases = (QUICK if arguments.quick else arguments.cases).split(",")
    if arguments.within is not None:
        run_within(cases, arguments.within)
        return 0
    set_up()
    if arguments.setup:
        return 0
    verdicts = []
    for side in arguments.side or ("server", "client"):
        folder = REPORTS / side
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        started = time.monotonic()
        (run_against_server if side == "server" else run_against_client)(cases, folder)
        verdicts.append(judge(side, folder, least=ALL_CASES if cases == ["*"] else 1))
        print(f"  {time.monotonic() - started:.0f} s")
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
