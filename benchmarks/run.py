"""Measure corelet and its peers in turn: ``python -m benchmarks.run --help``."""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import report, scenarios
from benchmarks.idle import allow_open_files, measure_idle
from benchmarks.load import find_wrk, measure_load
from benchmarks.process import PAGE_BYTES, ROOT, ServerFailedError, ServerProcess, choose_processors
from benchmarks.startup import measure_import
from benchmarks.transfer import measure_transfer

RESULT: Final = ROOT / "benchmarks" / "results" / "latest.json"

#: What is measured on one running server: the scenario's name, and how.
Step = tuple[str, Callable[[ServerProcess], dict[str, float]]]


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
        """Measure everything chosen once; each server of each shape is started anew."""
        for server in self.servers:
            for shape in dict.fromkeys(load.shape for load in scenarios.LOADS):
                self._measure_server(number, server, shape, list(self._find_steps(server, shape)))
            for kind in scenarios.MEMORIES:
                if kind in self.names and server in scenarios.MEMORY_SERVERS:
                    self._measure_server(number, server, "plain", [(kind, partial(measure_idle, kind=kind))])
            for name, (_, statements) in scenarios.IMPORTS.items():
                if name in self.names and server in statements:
                    self._measure_import(number, name, server, statements[server])

    def _find_steps(self, server: str, shape: str) -> Iterator[Step]:
        for load in scenarios.LOADS:
            if load.shape == shape and load.name in self.names and server in load.servers:
                yield load.name, partial(measure_load, load=load, seconds=self.seconds, processor=self.load_processor)
        for kind in scenarios.TRANSFERS:
            if shape == "plain" and kind in self.names and server in scenarios.TRANSFER_SERVERS[kind]:
                yield kind, partial(measure_transfer, kind=kind, processor=self.load_processor)

    def _measure_server(self, number: int, server: str, shape: str, steps: list[Step]) -> None:
        if not steps:
            return
        try:
            with ServerProcess(self.python, scenarios.SERVERS[server], shape, self.server_processor) as running:
                for name, measure in steps:
                    self._add(number, name, server, measure(running))
        except (ServerFailedError, OSError) as error:
            self._fail(f"{server} ({shape})", error)

    def _measure_import(self, number: int, scenario: str, server: str, statement: str) -> None:
        try:
            self._add(number, scenario, server, measure_import(self.python, statement, PAGE_BYTES))
        except ServerFailedError as error:
            self._fail(f"{server} ({scenario})", error)

    def _fail(self, what: str, error: Exception) -> None:
        self.failures.append(what)
        print(f"  FAILED {what}: {error}", file=sys.stderr, flush=True)

    def _add(self, number: int, scenario: str, server: str, values: dict[str, float]) -> None:
        self.samples.append(report.Sample(number, scenario, server, values))
        found = ", ".join(f"{value:,.2f} {report.METRICS[metric][0]}" for metric, value in values.items())
        print(f"  {scenario:13} {server:11} {found}", flush=True)


def read_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured; medians count (5)")
    parser.add_argument("--duration", type=float, default=3.0, help="seconds of load for each measurement (3)")
    parser.add_argument("--quick", action="store_true", help="one round of one second: whether it works, no figures")
    parser.add_argument(
        "--only", metavar="NAME", action="append", help=f"scenarios, may be a pattern: {', '.join(scenarios.NAMES)}"
    )
    parser.add_argument("--servers", metavar="NAME", action="append", choices=scenarios.SERVERS, help="servers (all)")
    parser.add_argument("--python", default=sys.executable, help="interpreter that runs the servers (this one)")
    parser.add_argument("--json", type=Path, default=RESULT, help=f"where the result goes ({RESULT.relative_to(ROOT)})")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a claim is missed")
    return parser.parse_args()


def main() -> int:
    """Run what the command line asks for.

    Returns:
        The exit status: 1 when a server failed, or with ``--check`` a claim was missed.
    """
    arguments = read_arguments()
    find_wrk()
    allow_open_files()
    patterns = arguments.only or ["*"]
    names = frozenset(name for name in scenarios.NAMES if any(fnmatch.fnmatch(name, p) for p in patterns))
    if not names:
        raise SystemExit(f"no scenario is named {', '.join(patterns)}: choose of {', '.join(scenarios.NAMES)}")
    server_processor, load_processor = choose_processors()
    bench = Bench(
        python=arguments.python,
        seconds=1.0 if arguments.quick else arguments.duration,
        names=names,
        servers=tuple(arguments.servers or scenarios.SERVERS),
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
    print(f"\n{report.format_tables(bench.samples)}\n\n{report.format_verdicts(verdicts)}\n")
    print(f"{time.monotonic() - started:.0f} s; every sample is in {arguments.json}")
    if bench.failures:
        print(f"FAILED, see above: {', '.join(bench.failures)}", file=sys.stderr)
    missed = any(verdict.is_met is False for verdict in verdicts)
    return 1 if bench.failures or (arguments.check and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
