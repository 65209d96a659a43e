"""The result of one run as pages and plots show it: what is shown together, and the median of each figure."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.process import ROOT
from benchmarks.report import METRICS, Sample
from benchmarks.scenarios import TITLES

#: The run whose figures the README and the documentation show.
KEPT: Final = ROOT / "benchmarks" / "results" / "kept.json"


@dataclass(frozen=True, slots=True)
class Group:
    """Scenarios that are shown in one table and one plot.

    Args:
        name: of the plot's file.
        title: the heading.
        metric: the figure that is shown, one of ``report.METRICS``.
        labels: scenario -> what the row is called.
        is_logarithmic: whether the plot's axis is: where one server is many times another.
    """

    name: str
    title: str
    metric: str
    labels: dict[str, str]
    is_logarithmic: bool = False

    @property
    def unit(self) -> str:
        """What the figures are."""
        return METRICS[self.metric][0]


GROUPS: Final = (
    Group(
        "requests",
        "A request",
        "cpu_us",
        {
            "hello": "hello",
            "json": "path, query, header, JSON",
            "middlewares": "two middlewares",
            "subapp": "sub-application, two middlewares",
            "subapp-id": "the same by a path parameter",
            "pipelined": "16 pipelined",
        },
    ),
    Group(
        "routes",
        "One of 2,000 routes",
        "cpu_us",
        {
            "first-route": "the first",
            "last-route": "the last",
            "first-nested": "the first below /{tenant}",
            "last-nested": "the last below /{tenant}",
        },
        is_logarithmic=True,
    ),
    Group(
        "plugins",
        "What plugins do",
        "cpu_us",
        {
            "signed-session": "a session in a signed cookie",
            "encrypted-session": "a session in an encrypted cookie",
            "static": "static file of 64 KiB",
            "form": "post of 20 fields",
            "form-multipart": "the same, multipart",
            "gzip": "21 KiB of JSON, gzip",
        },
    ),
    Group(
        "transfers",
        "Large bodies",
        "cpu_s",
        {
            "upload": "1 GiB received",
            "upload-chunked": "1 GiB received in chunks",
            "download": "1 GiB sent",
            "download-chunked": "1 GiB sent in chunks",
            "static-large": "static file of 100 MiB",
            "multipart-large": "100 MiB in a multipart body",
        },
    ),
    Group(
        "websockets",
        "A WebSocket message and its echo",
        "message_us",
        {"ws-32": "32 bytes", "ws-16k": "16 KiB", "ws-deflate": "2 KiB of JSON, compressed"},
    ),
    Group(
        "client",
        "A request of the client",
        "cpu_us",
        {
            "client-1": "GET, one at a time",
            "client-32": "GET, 32 at once",
            "client-100": "GET, 100 at once",
            "client-post": "POST of JSON, 32 at once",
        },
        is_logarithmic=True,
    ),
    Group("client-download", "A GiB read by the client", "cpu_s", {"client-download": "1 GiB read"}),
    Group(
        "memory",
        "An idle connection",
        "connection_bytes",
        {"idle": "after one request", "silent": "that never sent a byte", "ws-idle": "a WebSocket"},
    ),
    Group(
        "imports",
        "An import in a new interpreter",
        "import_ms",
        {"import": "the top-level package", "import-web": "what a served application needs"},
    ),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One run.

    Args:
        facts: where and on what it was measured, as ``report.make_document`` writes them.
        samples: every measurement.
    """

    facts: dict[str, Any]
    samples: list[Sample]

    @property
    def rounds(self) -> int:
        """How often everything was measured."""
        return len({sample.round for sample in self.samples})

    def find(self, scenario: str, server: str, metric: str) -> float | None:
        """Find the median over the rounds; None where it was not measured."""
        values = [
            sample.values[metric]
            for sample in self.samples
            if (sample.scenario, sample.server) == (scenario, server) and metric in sample.values
        ]
        return statistics.median(values) if values else None

    def list_servers(self, group: Group) -> list[str]:
        """List who was measured in a group, in the order of tables."""
        found = {sample.server for sample in self.samples if sample.scenario in group.labels}
        return [server for server in TITLES if server in found]

    def list_scenarios(self, group: Group) -> list[str]:
        """List what was measured of a group."""
        found = {sample.scenario for sample in self.samples}
        return [scenario for scenario in group.labels if scenario in found]

    def list_groups(self) -> list[Group]:
        """List the groups of which anything was measured."""
        return [group for group in GROUPS if self.list_scenarios(group)]


def read_result(path: Path = KEPT) -> Result:
    """Read what a run has written."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Result(document, [Sample(**sample) for sample in document["samples"]])


def show_figure(value: float | None, metric: str) -> str:
    """Write a figure as tables and plots show it; nothing for what was not measured."""
    if value is None:
        return ""
    decimals = METRICS[metric][1]
    if metric.endswith("_us"):
        decimals = 1 if value < 100 else 0
    return f"{value:,.{decimals}f}"
