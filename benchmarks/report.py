"""Turn the samples of all rounds into tables, verdicts and JSON."""

from __future__ import annotations

import datetime
import os
import platform
import statistics
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from benchmarks.process import ROOT
from benchmarks.scenarios import CALLS, CLAIMS, ECHOES, IMPORTS, LOADS, MEMORIES, TITLES, TRANSFERS, Claim, Figures

#: Heading and decimals of each metric.
METRICS: Final = {
    "rate": ("requests/s", 0),
    "cpu_us": ("CPU µs/request", 2),
    "message_rate": ("messages/s", 0),
    "message_us": ("CPU µs/message", 2),
    "p99_ms": ("p99 ms", 2),
    "cpu_s": ("CPU s", 2),
    "rss_mb": ("memory MB", 1),
    "connection_bytes": ("bytes/connection", 0),
    "import_ms": ("ms", 1),
    "import_mb": ("MB", 1),
}
#: Packages whose versions belong to a result.
PACKAGES: Final = (
    "corelet",
    "corelet-client",
    "corelet-routing",
    "corelet-websocket",
    "aiohttp",
    "httpx",
    "picows",
    "websockets",
    "uvloop",
    "granian",
    "blacksheep",
    "multidict",
    "yarl",
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one server did in one scenario of one round."""

    round: int
    scenario: str
    server: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A claim held against the samples.

    Args:
        text: the claim.
        limit: the largest value that keeps it.
        value: the median over the rounds; None where something was not measured.
        least: the least of the rounds.
        most: the most of the rounds.
    """

    text: str
    limit: float
    value: float | None
    least: float | None = None
    most: float | None = None

    @property
    def is_met(self) -> bool | None:
        """Whether it is kept; None when nobody knows."""
        return None if self.value is None else self.value <= self.limit


def judge(samples: list[Sample]) -> list[Verdict]:
    """Hold every claim against the samples."""
    return [_judge_claim(claim, samples) for claim in CLAIMS]


def _judge_claim(claim: Claim, samples: list[Sample]) -> Verdict:
    values = []
    for number in {sample.round for sample in samples}:
        try:
            values.append(claim.value(_find_figures(number, samples)))
        except KeyError:
            continue  # this round lacks what the claim is about
    if not values:
        return Verdict(claim.text, claim.limit, None)
    return Verdict(claim.text, claim.limit, statistics.median(values), min(values), max(values))


def _find_figures(number: int, samples: list[Sample]) -> Figures:
    found = {(sample.scenario, sample.server): sample.values for sample in samples if sample.round == number}
    return lambda scenario, server, metric: found[scenario, server][metric]


def format_tables(samples: list[Sample]) -> str:
    """Write one table a scenario, medians over the rounds."""
    titles = {load.name: load.title for load in LOADS} | TRANSFERS | MEMORIES
    titles |= {echo.name: echo.title for echo in ECHOES}
    titles |= {call.name: call.title for call in CALLS}
    titles |= {name: title for name, (title, _) in IMPORTS.items()}
    parts = []
    for name, title in titles.items():
        chosen = [sample for sample in samples if sample.scenario == name]
        if chosen:
            parts.append(f"{name}: {title}\n{_format_scenario(chosen)}")
    return "\n\n".join(parts)


def _format_scenario(samples: list[Sample]) -> str:
    metrics = list(samples[0].values)
    lines = [["", *(METRICS[metric][0] for metric in metrics)]]
    for server in dict.fromkeys(sample.server for sample in samples):
        values = [sample.values for sample in samples if sample.server == server]
        medians = [statistics.median(value[metric] for value in values) for metric in metrics]
        cells = [f"{median:,.{METRICS[metric][1]}f}" for median, metric in zip(medians, metrics, strict=True)]
        lines.append([server, *cells])
    return _align(lines)


def format_verdicts(verdicts: Iterable[Verdict]) -> str:
    """Write the claims with their values."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    lines = [["corelet", "median", "least", "most", "at most", ""]]
    for verdict in verdicts:
        found = [_format_number(value) for value in (verdict.value, verdict.least, verdict.most)]
        lines.append([verdict.text, *found, _format_number(verdict.limit), words[verdict.is_met]])
    return _align(lines)


def _format_number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"


def _align(lines: list[list[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def make_document(samples: list[Sample], verdicts: list[Verdict], python: str) -> dict[str, Any]:
    """Make what is kept as JSON: where it was measured, every sample, every verdict."""
    return {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _say(["git", "rev-parse", "--short", "HEAD"]),
        "machine": {"system": platform.platform(), "processors": os.cpu_count(), "processor": _find_processor()},
        "python": _say([python, "-VV"]),
        "packages": _find_versions(python),
        "servers": TITLES,
        "verdicts": [asdict(verdict) | {"is_met": verdict.is_met} for verdict in verdicts],
        "samples": [asdict(sample) for sample in samples],
    }


def _find_versions(python: str) -> dict[str, str]:
    program = "import sys\nfrom importlib.metadata import version\nfor name in sys.argv[1:]: print(name, version(name))"
    return dict(line.split() for line in _say([python, "-c", program, *PACKAGES]).splitlines())


def _say(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _find_processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()
