"""What a benchmark run says about its samples."""

from __future__ import annotations

import json

from benchmarks.report import Sample, format_tables, format_verdicts, judge


def make_hello(number: int, corelet: float, aiohttp: float) -> list[Sample]:
    return [
        Sample(number, "hello", "corelet", {"cpu_us": corelet}),
        Sample(number, "hello", "aiohttp", {"cpu_us": aiohttp}),
    ]


def test_a_verdict_is_the_median_of_ratios_within_rounds() -> None:
    # the second round ran on a machine that was twice as busy: its ratio is as good as any
    samples = make_hello(1, 10, 40) + make_hello(2, 20, 80) + make_hello(3, 10, 20)
    verdict = next(each for each in judge(samples) if each.text == "hello: CPU of aiohttp's")
    assert (verdict.value, verdict.least, verdict.most) == (0.25, 0.25, 0.5)
    assert verdict.is_met


def test_a_ratio_over_its_limit_is_missed() -> None:
    verdict = next(each for each in judge(make_hello(1, 20, 40)) if each.text == "hello: CPU of aiohttp's")
    assert verdict.is_met is False
    assert "MISSED" in format_verdicts([verdict])


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    verdicts = judge([])
    assert verdicts
    assert {verdict.is_met for verdict in verdicts} == {None}


def test_the_table_shows_the_median_of_each_server() -> None:
    lines = format_tables(make_hello(1, 10, 40) + make_hello(2, 12, 42) + make_hello(3, 99, 41)).splitlines()
    assert [line.split() for line in lines[2:]] == [["corelet", "12.00"], ["aiohttp", "41.00"]]


def test_samples_are_plain_data() -> None:
    assert json.loads(json.dumps(make_hello(1, 10, 40)[0].values)) == {"cpu_us": 10}
