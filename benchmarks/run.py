"""Measure corelet and its peers in turn: ``python -m benchmarks.run --help``."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import importlib.util
import json
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import pages, plots, report, scenarios
from benchmarks.client import measure_calls
from benchmarks.idle import allow_open_files, measure_idle
from benchmarks.load import find_wrk, measure_load
from benchmarks.process import PAGE_BYTES, ROOT, ServerFailedError, ServerProcess, choose_processors
from benchmarks.result import KEPT, Result, read_result
from benchmarks.startup import measure_import
from benchmarks.transfer import measure_transfer
from benchmarks.websocket import measure_echo

RESULT: Final = ROOT / "benchmarks" / "results" / "latest.json"
PLOTS: Final = RESULT.parent / "plots"

LOADS: Final = {load.name: load for load in scenarios.LOADS}
CALLS: Final = {call.name: call for call in scenarios.CALLS}
ECHOES: Final = {echo.name: echo for echo in scenarios.ECHOES}


@dataclass(slots=True)
class Bench:
    """One run: what was chosen, and what was found so far."""

    python: str
    seconds: float
    names: frozenset[str]
    servers: tuple[str, ...]
    server_processor: int
    load_processor: int
    samples: list[report.Sample]
    failures: list[str]

    def measure_round(self, number: int) -> None:
        """Measure everything chosen once, all servers of a scenario after each other or in turn, each started anew."""
        for name, servers in scenarios.SERVERS_OF.items():
            chosen = [server for server in servers if name in self.names and server in self.servers]
            for group in [chosen] if name in ECHOES and chosen else [[server] for server in chosen]:
                self._measure(number, name, group)

    def _measure(self, number: int, name: str, servers: list[str]) -> None:
        try:
            values_of = self._measure_echo(name, servers) if name in ECHOES else self._measure_one(name, *servers)
        except (ServerFailedError, OSError) as error:
            self.failures.append(f"{name} ({', '.join(servers)})")
            print(f"  FAILED {self.failures[-1]}: {error}", file=sys.stderr, flush=True)
            return
        for server, values in values_of.items():
            self.samples.append(report.Sample(number, name, server, values))
            found = ", ".join(f"{value:,.2f} {report.METRICS[metric][0]}" for metric, value in values.items())
            print(f"  {name:16} {server:11} {found}", flush=True)

    def _measure_echo(self, name: str, servers: list[str]) -> dict[str, dict[str, float]]:
        with contextlib.ExitStack() as stack:
            running = {server: stack.enter_context(self._make_process(server, "plain")) for server in servers}
            return measure_echo(running, ECHOES[name], self.seconds, self.load_processor)

    def _measure_one(self, name: str, server: str) -> dict[str, dict[str, float]]:
        if name in scenarios.IMPORTS:
            return {server: self._measure_import(name, server)}
        return {server: self._measure_server(name, server)}

    def _make_process(self, server: str, shape: str) -> ServerProcess:
        return ServerProcess(self.python, scenarios.SERVERS[server], shape, self.server_processor)

    def _measure_import(self, name: str, server: str) -> dict[str, float]:
        return measure_import(self.python, scenarios.IMPORTS[name][1][server], PAGE_BYTES)

    def _measure_server(self, name: str, server: str) -> dict[str, float]:
        if name in CALLS:
            return self._measure_client(CALLS[name], server)
        load = LOADS.get(name)
        shape = scenarios.TRANSFER_SHAPES.get(name, "plain") if load is None else load.shape
        with self._make_process(server, shape) as running:
            if load is not None:
                return measure_load(running, load, self.seconds, self.load_processor)
            if name in scenarios.TRANSFERS:
                return measure_transfer(running, name, self.load_processor)
            return measure_idle(running, name)

    def _measure_client(self, call: scenarios.Call, client: str) -> dict[str, float]:
        python = ("taskset", "--cpu-list", str(self.load_processor), self.python)
        with self._make_process("raw", "plain") as running:
            return measure_calls(python, running, call, client, self.seconds)


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured; medians count (5)")
    parser.add_argument("--duration", type=float, default=3.0, help="seconds of load for each measurement (3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second: whether it works, no figures")
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        help=f"scenarios, may be a pattern: {', '.join(scenarios.SERVERS_OF)}",
    )
    parser.add_argument("--servers", metavar="NAME", action="append", choices=scenarios.TITLES, help="servers (all)")
    parser.add_argument("--python", default=sys.executable, help="interpreter that runs the servers (this one)")
    parser.add_argument("--json", type=Path, default=RESULT, help=f"where the result goes ({RESULT.relative_to(ROOT)})")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a claim is missed")
    parser.add_argument(
        "--keep", action="store_true", help="have README and documentation show this run: kept.json, plots, tables"
    )
    arguments = parser.parse_args()
    if arguments.keep and (arguments.only or arguments.servers or arguments.quick):
        parser.error("--keep takes a whole run: not with --only, --servers or --quick")
    return arguments


def main() -> int:
    """Run what the command line asks for.

    Returns:
        The exit status: 1 when a server failed, or with ``--check`` a claim was missed.
    """
    arguments = read_arguments()
    find_wrk()
    if importlib.util.find_spec("matplotlib") is None:
        raise SystemExit("the plots need matplotlib: pip install --group bench")
    allow_open_files()
    patterns = arguments.only or ["*"]
    names = frozenset(name for name in scenarios.SERVERS_OF if any(fnmatch.fnmatch(name, p) for p in patterns))
    if not names:
        raise SystemExit(f"no scenario is named {', '.join(patterns)}: choose of {', '.join(scenarios.SERVERS_OF)}")
    server_processor, load_processor = choose_processors()
    bench = Bench(
        python=arguments.python,
        seconds=1.0 if arguments.quick else arguments.duration,
        names=names,
        servers=tuple(arguments.servers or scenarios.TITLES),
        server_processor=server_processor,
        load_processor=load_processor,
        samples=[],
        failures=[],
    )
    started = time.monotonic()
    for number in range(1, 2 if arguments.quick else arguments.rounds + 1):
        print(f"round {number}", flush=True)
        bench.measure_round(number)
    verdicts = report.judge(bench.samples)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    document = report.make_document(bench.samples, verdicts, arguments.python)
    arguments.json.write_text(json.dumps(document, indent=1) + "\n")
    is_partial = bool(arguments.only or arguments.servers)
    shown = [verdict for verdict in verdicts if verdict.value is not None or not is_partial]
    print(f"\n{report.format_tables(bench.samples)}\n\n{report.format_verdicts(shown)}\n")
    print(f"{time.monotonic() - started:.0f} s; every sample is in {arguments.json}")
    plots.draw_all(Result(document, bench.samples), PLOTS)
    print(f"its plots are in {PLOTS.relative_to(ROOT)}")
    if bench.failures:
        print(f"FAILED, see above: {', '.join(bench.failures)}", file=sys.stderr)
    elif arguments.keep:
        keep(arguments.json)
    missed = any(verdict.is_met is False for verdict in verdicts)
    return 1 if bench.failures or (arguments.check and missed) else 0


def keep(path: Path) -> None:
    """Have README and documentation show a run in place of the one before."""
    if path.resolve() != KEPT:
        shutil.copyfile(path, KEPT)
    plots.draw_all(read_result())
    pages.write(read_result())
    print("README, documentation and kept.json show this run")


if __name__ == "__main__":
    sys.exit(main())
