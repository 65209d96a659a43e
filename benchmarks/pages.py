"""Write the kept run's figures into the README and docs/performance.md: ``python -m benchmarks.pages``.

They stand between two comments, ``<!-- figures: NAME -->`` and ``<!-- end of figures -->``. A test compares what stands
there with what would be written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Final

from benchmarks.process import ROOT
from benchmarks.report import judge
from benchmarks.result import Group, Result, read_result, show_figure

_PLACE: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->\n)", re.DOTALL)
#: The rows of the README.
_SHORT: Final = {
    "hello": "hello",
    "json": "path, query, header, JSON",
    "middlewares": "two middlewares",
    "pipelined": "16 pipelined",
    "last-route": "last of 2,000 routes",
    "last-nested": "the same below `/{tenant}`",
}
#: What became of a promise.
_WORDS: Final = {True: "kept", False: "missed", None: "not measured"}
#: How tables name the servers.
_NAMES: Final = {"raw": "raw protocol", "granian": "granian RSGI", "blacksheep": "BlackSheep on granian"}


def make_summary(result: Result) -> str:
    """Make the README's table."""
    group = Group("summary", "", "cpu_us", _SHORT)
    return f"What the server uses for a request, {_say_where(result)}:\n\n{make_table(result, group)}"


def make_facts(result: Result) -> str:
    """Make the README's sentence on memory and imports."""
    idle, silent, started = (
        _compare(result, scenario, metric, unit, divisor)
        for scenario, metric, unit, divisor in (
            ("idle", "connection_bytes", "KB", 1000),
            ("silent", "connection_bytes", "KB", 1000),
            ("import", "import_ms", "ms", 1),
        )
    )
    return f"An idle keep-alive connection holds {idle}, a silent one {silent}; `import corelet` takes {started}.\n"


def _compare(result: Result, scenario: str, metric: str, unit: str, divisor: float) -> str:
    ours, theirs = (result.find(scenario, server, metric) for server in ("corelet", "aiohttp"))
    if ours is None or theirs is None:
        raise ValueError(f"the README compares {metric} of {scenario}: the result lacks it")
    return f"{ours / divisor:.1f} {unit} (aiohttp {theirs / divisor:.1f})"


def make_figures(result: Result) -> str:
    """Make the plots and tables of docs/performance.md."""
    machine, packages = result.facts["machine"], result.facts["packages"]
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    when = f"{result.facts['when'][:10]} at commit {result.facts['commit']}, medians of {result.rounds} rounds"
    parts = [f"Measured {when}, {_say_where(result)}; {machine['system']}; {versions}.\n"]
    for group in result.list_groups():
        parts.append(f"### {group.title}\n")
        parts.append(f"![{group.title}: {group.unit}](_static/plots/{group.name}.svg)\n")
        parts.append(make_table(result, group))
    return "\n".join(parts)


def _say_where(result: Result) -> str:
    version = result.facts["python"].split()[1]
    machine = result.facts["machine"]
    return f"on Python {version} with uvloop, {machine['processors']} processors ({machine['processor']})"


def make_table(result: Result, group: Group) -> str:
    """Make a table of medians: a row for each scenario, a column for each server."""
    servers = result.list_servers(group)
    lines = [f"| {' | '.join([group.unit, *(_NAMES.get(server, server) for server in servers)])} |"]
    lines.append("|---" * (len(servers) + 1) + "|")
    for scenario in result.list_scenarios(group):
        cells = [show_figure(result.find(scenario, server, group.metric), group.metric) for server in servers]
        lines.append(f"| {group.labels[scenario]} |" + "".join(f" {cell} |" if cell else " |" for cell in cells))
    return "\n".join(lines) + "\n"


def make_verdicts(result: Result) -> str:
    """Make the table of promises."""
    lines = ["| promise | at most | median | least | most | |", "|---|---|---|---|---|---|"]
    for verdict in judge(result.samples):
        found = (_show_number(value) for value in (verdict.limit, verdict.value, verdict.least, verdict.most))
        lines.append(f"| {verdict.text} | {' | '.join(found)} | {_WORDS[verdict.is_met]} |")
    return "\n".join(lines) + "\n"


def _show_number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


#: Place in a page -> what makes its text.
PLACES: Final[dict[str, Callable[[Result], str]]] = {
    "summary": make_summary,
    "facts": make_facts,
    "all": make_figures,
    "verdicts": make_verdicts,
}
#: The pages, with the places that each has.
PAGES: Final = {ROOT / "README.md": ["summary", "facts"], ROOT / "docs" / "performance.md": ["all", "verdicts"]}


def fill(text: str, result: Result, places: list[str]) -> str:
    """Put a result's figures in the place of those that stand in a page.

    Raises:
        ValueError: the page hasn't just these places.
    """
    found = [match[2] for match in _PLACE.finditer(text)]
    if found != places:
        raise ValueError(f"the page has figures {found}, expected {places}: <!-- figures: NAME -->")
    return _PLACE.sub(lambda match: f"{match[1]}{PLACES[match[2]](result)}{match[3]}", text)


def write(result: Result) -> None:
    """Write a result's figures into every page."""
    for path, places in PAGES.items():
        path.write_text(fill(path.read_text(encoding="utf-8"), result, places), encoding="utf-8")


def main() -> int:
    """Write the figures of the kept run."""
    write(read_result())
    return 0


if __name__ == "__main__":
    sys.exit(main())
