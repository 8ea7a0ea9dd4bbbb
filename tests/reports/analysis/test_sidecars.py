"""What sidecars took and did, on literal histories."""

from pathlib import Path

import pytest

from reports.analysis.metrics import summarise
from reports.analysis.sidecars import COUNTS, SidecarSummary, sidecar_summary
from reports.compare.comparison import compare
from reports.page.table import sidecar_grid
from reports.page.write import write_report
from reports.rundir.reader import Run
from tests.support.histories import (
    CLIENTS,
    END_S,
    TRIGGER_S,
    history,
    scenario,
    seconds,
    sidecar_second,
    storm,
)


def with_sidecars(**changes: float | None) -> Run:
    """A storm in which each of two sidecars takes 2 % before the trigger, and 20 % and more from it on."""
    rows = [
        sidecar_second(t, pod, cpu=0.02 if t < TRIGGER_S else 0.2 + 0.1 * pod, **changes)
        for t in range(-3, END_S)
        for pod in (0, 1)
    ]
    made = scenario(mesh={"sidecar": "envoy"})
    return history(storm(5.0), sidecars=rows, arm="envoy", scenario=made)


def found(run: Run) -> SidecarSummary:
    summary = summarise(run).sidecars
    assert summary is not None
    return summary


def test_a_run_without_sidecars_has_none() -> None:
    assert summarise(history(storm(5.0))).sidecars is None


def test_cpu_and_memory_are_those_of_one_sidecar_and_of_all_for_1000_clients() -> None:
    summary = found(with_sidecars())
    assert summary.sidecars == 2
    assert summary.cpu_before == pytest.approx(0.02)
    assert summary.cpu_during == pytest.approx(0.25)
    assert summary.cpu_peak == pytest.approx(0.3)
    assert summary.cpu_before_per_1000 == pytest.approx(2 * 0.02 * 1000 / CLIENTS)
    assert (summary.rss_mb, summary.rss_peak_mb) == (50.0, 50.0)
    assert summary.rss_mb_per_1000 == pytest.approx(2 * 50 * 1000 / CLIENTS)


def test_counts_are_from_the_trigger_on() -> None:
    summary = found(with_sidecars(**dict.fromkeys(COUNTS, 1.0)))
    stretch = 2 * (END_S - TRIGGER_S)
    assert {getattr(summary, name) for name in COUNTS} == {stretch}


def test_without_a_trigger_counts_are_over_the_whole_run_and_empty_ones_are_left_out() -> None:
    rows = [sidecar_second(t, 0, retries=1.0 if t % 2 else None) for t in range(10)]
    summary = found(history(seconds(0, 10), trigger_s=None, sidecars=rows))
    assert (summary.retries, summary.cpu_during) == (5, None)


def test_of_a_run_that_never_had_a_steady_state_nothing_is_known() -> None:
    run = history([], phases=(), latencies={}, sidecars=[sidecar_second(-1, 0)])
    summary = sidecar_summary(run, None)
    assert summary is not None
    assert (summary.cpu_before, summary.cpu_peak, summary.cpu_before_per_1000) == (None, None, None)


def test_a_comparison_has_their_rows_where_an_arm_has_some() -> None:
    grid = sidecar_grid(compare([history(storm(5.0)), with_sidecars(retries=2.0)]))
    rows = {row.heading: [cell.text for cell in row.cells] for row in grid}
    assert rows["CPU of one, before"] == ["–", "2.0 %"]
    assert rows["memory per 1,000 clients, before"] == ["–", "1,000 MB"]
    assert rows["retries by sidecars"] == ["–", "216"]
    assert "ejections of a pod (outlier detection)" not in rows, "it never happened"
    assert "fan-out p50" not in rows, "there was a storm"


def test_at_rest_the_rows_say_what_a_steady_state_costs_with_and_without_them() -> None:
    rows = [sidecar_second(t, 0) for t in range(20)]
    bare = history(seconds(0, 20), trigger_s=None)
    beside = history(
        seconds(0, 20),
        trigger_s=None,
        sidecars=rows,
        arm="envoy",
        scenario=scenario(mesh={"sidecar": "envoy"}),
    )
    grid = {row.heading: [cell.text for cell in row.cells] for row in sidecar_grid(compare([bare, beside]))}
    assert grid["fan-out p50"] == ["40 ms", "40 ms"]
    assert grid["CPU of all pods"] == ["10 %", "10 %"]
    assert sidecar_grid(compare([bare])) == []


def test_the_report_has_a_section_on_them_only_where_there_are_some(tmp_path: Path) -> None:
    texts = {}
    refused = [row | {"limited": 9.0, "sidecar_refused": 9.0} for row in storm(5.0)]
    for name, runs in (
        ("with", [history(refused), with_sidecars(retries=2.0)]),
        ("without", [history(storm(5.0))]),
    ):
        folder = tmp_path / name
        folder.mkdir()
        write_report(runs, folder)
        texts[name] = [(folder / file).read_text(encoding="utf-8") for file in ("report.md", "report.html")]
    assert all("retries by sidecars" in text for text in texts["with"])
    assert all("sidecars: their own answers. Pods: handshakes" in text for text in texts["with"])
    assert not any("idecar" in text for text in texts["without"])
