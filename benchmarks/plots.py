"""Draw a run's figures: ``python -m benchmarks.plots`` draws those that the documentation shows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.process import ROOT
from benchmarks.result import KEPT, Group, Result, read_result, show_figure

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER: Final = ROOT / "docs" / "_static" / "plots"
#: Ours stands out; the same server has the same colour in every plot.
_COLOURS: Final = {
    "raw": "#b8b8b8",
    "corelet": "#0b6e4f",
    "aiohttp": "#2c5aa0",
    "granian": "#c98b2b",
    "blacksheep": "#7d4e8a",
    "websockets": "#b5533c",
    "picows": "#d4a5a5",
    "httpx": "#8c8c3f",
}
#: Text stays text, and two drawings of one result are the same bytes.
_SETTINGS: Final = {"svg.fonttype": "none", "svg.hashsalt": "corelet", "font.size": 9.0}
_BAR_INCHES: Final = 0.17
#: Room between scenarios, in bars.
_GAP_BARS: Final = 1.0


def list_bars(result: Result, group: Group) -> Iterator[tuple[str, str, float]]:
    """List a plot's bars from top to bottom: scenario, server, figure."""
    for scenario in result.list_scenarios(group):
        for server in result.list_servers(group):
            value = result.find(scenario, server, group.metric)
            if value is not None:
                yield scenario, server, value


def draw(result: Result, group: Group, path: Path) -> None:
    """Draw one group as horizontal bars into an SVG file; the same result gives the same bytes."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    bars = list(list_bars(result, group))
    places, ticks = _place_bars(bars)
    height = (places[-1] + 1) * _BAR_INCHES + 0.95
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(7.6, height), facecolor="white", layout="constrained")
        axes = figure.add_subplot()
        for server in result.list_servers(group):
            own = [(place, value) for place, (_, name, value) in zip(places, bars, strict=True) if name == server]
            heights, values = zip(*own, strict=True)
            drawn = axes.barh(heights, values, height=0.9, color=_COLOURS[server], label=server)
            axes.bar_label(drawn, [show_figure(value, group.metric) for value in values], padding=3, fontsize=7.5)
        axes.set_yticks(list(ticks.values()), [group.labels[scenario] for scenario in ticks])
        axes.invert_yaxis()
        axes.margins(x=0.1, y=0.01)
        if group.is_logarithmic:
            axes.set_xscale("log")
            axes.set_xlim(left=1)
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.set_xlabel(f"{group.unit}, less is better{', logarithmic' if group.is_logarithmic else ''}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(group.title, loc="left", fontweight="bold")
        figure.legend(loc="outside lower center", ncols=6, frameon=False)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _place_bars(bars: list[tuple[str, str, float]]) -> tuple[list[float], dict[str, float]]:
    """Place bars with a gap between scenarios; the places, and the middle of each scenario."""
    places: list[float] = []
    members: dict[str, list[float]] = {}
    for index, (scenario, _, _) in enumerate(bars):
        members.setdefault(scenario, [])
        place = index + _GAP_BARS * (len(members) - 1)
        places.append(place)
        members[scenario].append(place)
    return places, {scenario: sum(own) / len(own) for scenario, own in members.items()}


def draw_all(result: Result, folder: Path = FOLDER) -> list[Path]:
    """Draw every group of which anything was measured, in place of what was drawn before.

    Returns:
        The files.
    """
    for old in folder.glob("*.svg"):
        old.unlink()
    paths = []
    for group in result.list_groups():
        paths.append(folder / f"{group.name}.svg")
        draw(result, group, paths[-1])
    return paths


def main() -> int:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots", description=__doc__)
    parser.add_argument("result", type=Path, nargs="?", default=KEPT, help="a run's JSON (the kept one)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the plots go (docs/_static/plots)")
    arguments = parser.parse_args()
    for path in draw_all(read_result(arguments.result), arguments.folder):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
