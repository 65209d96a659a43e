"""What the README, the documentation and its plots show is what the kept run found."""

from __future__ import annotations

import re
from html import unescape
from typing import Any, Final

import pytest

from benchmarks import pages, plots
from benchmarks.report import Sample
from benchmarks.result import GROUPS, Group, Result, read_result, show_figure
from benchmarks.scenarios import SERVERS_OF, TITLES

#: Scenarios that are in no plot, and why.
UNSHOWN: Final = {"left-alone"}  # a difference of two: the promises have it
FACTS: Final[dict[str, Any]] = {
    "when": "2026-01-02T03:04:05+00:00",
    "commit": "abc",
    "machine": {"system": "Linux", "processors": 2, "processor": "a processor"},
    "python": "Python 3.13.0 (main)",
    "packages": {"corelet": "0.1"},
}


def make_result(**figures: dict[str, list[float]]) -> Result:
    """Make a result: scenario -> server -> a figure for each round."""
    samples = [
        Sample(number, scenario, server, {"cpu_us": value})
        for scenario, servers in figures.items()
        for server, values in servers.items()
        for number, value in enumerate(values, 1)
    ]
    return Result(FACTS, samples)


@pytest.mark.parametrize("path", pages.PAGES, ids=lambda path: path.name)
def test_a_page_shows_the_kept_run(path: Any) -> None:
    text = path.read_text(encoding="utf-8")
    assert text == pages.fill(text, read_result(), pages.PAGES[path]), "run `make plots`"


def test_there_is_a_plot_of_every_group_that_was_measured() -> None:
    names = [f"{group.name}.svg" for group in read_result().list_groups()]
    assert sorted(path.name for path in plots.FOLDER.iterdir()) == sorted(names)


@pytest.mark.parametrize("group", read_result().list_groups(), ids=lambda group: group.name)
def test_a_plot_shows_the_kept_run(group: Group) -> None:
    result = read_result()
    drawn = (plots.FOLDER / f"{group.name}.svg").read_text(encoding="utf-8")
    texts = [unescape(text) for text in re.findall(r"<text [^>]*>([^<]*)</text>", drawn)]
    by_server = [
        show_figure(value, group.metric)
        for server in result.list_servers(group)
        for _, name, value in plots.list_bars(result, group)
        if name == server
    ]
    ends = texts.index(group.title)  # the title follows the bars' figures, the legend follows the title
    assert texts[ends - len(by_server) : ends] == by_server, "run `make plots`"
    assert texts[ends + 1 :] == result.list_servers(group)


def test_every_scenario_is_shown_once() -> None:
    shown = [scenario for group in GROUPS for scenario in group.labels]
    assert sorted(shown) == sorted(set(SERVERS_OF) - UNSHOWN)


def test_a_table_has_medians_and_leaves_out_what_was_not_measured() -> None:
    result = make_result(hello={"corelet": [9, 10, 50], "aiohttp": [20.04]}, json={"corelet": [1234.5]})
    assert pages.make_table(result, GROUPS[0]) == (
        "| CPU µs/request | corelet | aiohttp |\n"
        "|---|---|---|\n"
        "| hello | 10.0 | 20.0 |\n"
        "| path, query, header, JSON | 1,234 | |\n"
    )


def test_a_promise_is_kept_missed_or_not_measured() -> None:
    table = pages.make_verdicts(make_result(hello={"corelet": [10], "aiohttp": [20], "raw": [8]}))
    assert "| hello: CPU of aiohttp's | 0.33 | 0.50 | 0.50 | 0.50 | missed |" in table
    assert "| hello: CPU of the raw limit | 2.00 | 1.25 | 1.25 | 1.25 | kept |" in table
    assert "| json: CPU of aiohttp's | 0.33 | - | - | - | not measured |" in table


def test_figures_replace_those_that_stand_in_a_page() -> None:
    page = "before\n<!-- figures: verdicts -->\nold\n<!-- end of figures -->\nafter\n"
    filled = pages.fill(page, make_result(), ["verdicts"])
    assert "old" not in filled
    assert filled.startswith("before\n<!-- figures: verdicts -->\n| promise |")
    assert filled.endswith(" |\n<!-- end of figures -->\nafter\n")
    assert pages.fill(filled, make_result(), ["verdicts"]) == filled


def test_a_page_without_its_places_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"the page has figures \[\], expected \['all'\]"):
        pages.fill("no place", make_result(), ["all"])
    with pytest.raises(ValueError, match="compares connection_bytes of idle: the result lacks it"):
        pages.make_facts(make_result())


def test_the_page_says_what_every_server_and_scenario_is() -> None:
    page = (plots.FOLDER.parents[1] / "performance.md").read_text(encoding="utf-8")
    first_cells = [name for row in re.findall(r"^\| ([\w, -]+?) \|", page, re.MULTILINE) for name in row.split(", ")]
    assert set(TITLES) | set(SERVERS_OF) <= set(first_cells)
