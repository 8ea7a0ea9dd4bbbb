"""Sidecars in each second: what they used, what they did, whom they refused."""

from pathlib import Path

import pytest

from scenarios.proxies.sidecar_stats import (
    COUNTERS,
    SidecarLine,
    SidecarSeconds,
    counts_of,
    refused_per_second,
)

SECOND_NS = 1_000_000_000
NOTHING = dict.fromkeys(COUNTERS, 0)


def line(cpu_share: float = 0.25, span_s: float = 1.0, rss_mb: float = 50.0, **counts: int) -> SidecarLine:
    return SidecarLine(
        t_ns=SECOND_NS,
        span_ns=int(span_s * SECOND_NS),
        cpu_ns=int(cpu_share * span_s * SECOND_NS),
        rss_bytes=int(rss_mb * 1e6),
        counts={**NOTHING, **counts},
    )


SILENT = SidecarLine(t_ns=SECOND_NS, span_ns=SECOND_NS, cpu_ns=0, rss_bytes=1_000_000, counts=None)


def test_each_sidecar_has_a_row_in_the_order_of_the_pods() -> None:
    seconds = SidecarSeconds()
    seconds.add(4, 1, line(0.12345, rss_mb=51.26, retries=3))
    seconds.add(4, 0, line())
    first, second = seconds.rows(4)
    assert (first["pod"], first["cpu"], first["rss_mb"], first["retries"]) == (0, 0.25, 50.0, 0)
    assert (second["pod"], second["cpu"], second["rss_mb"], second["retries"]) == (1, 0.1235, 51.3, 3)
    assert (seconds.seconds, seconds.rows(5)) == ([4], [])


def test_two_lines_of_one_second_are_added() -> None:
    seconds = SidecarSeconds()
    seconds.add(4, 0, line(0.5, span_s=0.5, rss_mb=49, retries=1))
    seconds.add(4, 0, line(0.2, span_s=1.0, rss_mb=52, retries=2, ejections=1))
    (row,) = seconds.rows(4)
    assert row["cpu"] == pytest.approx(0.3)
    assert (row["rss_mb"], row["retries"], row["ejections"]) == (52.0, 3, 1)


def test_where_a_sidecar_did_not_answer_its_counts_are_empty() -> None:
    seconds = SidecarSeconds()
    for second, lines in ((1, [SILENT]), (2, [SILENT, SILENT]), (3, [SILENT, line(limited=4)])):
        for each in lines:
            seconds.add(second, 0, each)
    assert ["retries" in seconds.rows(second)[0] for second in (1, 2, 3)] == [False, False, True]
    assert seconds.rows(3)[0]["limited"] == 4


def test_counters_are_read_from_what_envoy_says_and_are_0_until_it_says_so() -> None:
    said = {
        "stats": [
            {"name": COUNTERS["retries"], "value": 7},
            {"name": "cluster.pod.upstream_rq_total", "value": 99},
            {"histograms": {}},
        ]
    }
    assert counts_of(said) == {**NOTHING, "retries": 7}


def test_refusals_are_booked_to_the_second_in_which_they_ended(tmp_path: Path) -> None:
    logs = {
        "sidecar-0": [
            "1000.250\t3\t429\tRL\t1",
            "1000.900\t200\t503\tUO\t1",
            "1000.000\t1\t502\tURX,UF\t4",  # not what clients count as a refusal
            "1003.1",  # the half line of one that was killed
        ],
        "sidecar-1": ["1000.500\t0\t503\tUH\t0"],
    }
    for name, lines in logs.items():
        (tmp_path / f"{name}.access.log").write_text("\n".join(lines), encoding="utf-8")
    assert refused_per_second(tmp_path, 990.0) == {10: 2, 11: 1}
    assert refused_per_second(tmp_path / "none", 990.0) == {}


def test_a_log_line_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    lines = [
        "1000.250\t3\t429\tRL\t1",
        "-\t-\t-\t-\t-",
        "inf\t0\t429\tRL\t1",
        "1000.5\tx\t503\tUH\t0",
        "\0" * 9,
    ]
    (tmp_path / "sidecar-0.access.log").write_text("\n".join(lines), encoding="utf-8")
    assert refused_per_second(tmp_path, 990.0) == {10: 1}
