"""What Prometheus reads of nginx: every line of its access logs once."""

from collections import Counter
from pathlib import Path

import pytest

from scenarios.agent import proxy_metrics
from scenarios.agent.proxy_metrics import RequestCounts, proxy_text
from scenarios.host.cpu_account import CpuUse


def line(status: int, limit: str = "-") -> str:
    """As nginx writes it."""
    cells = [
        "1.5",
        "0.1",
        "127.0.0.1",
        "GET",
        str(status),
        limit,
        "127.0.0.1:1",
        str(status),
        "websocket",
        "-",
    ]
    return "\t".join(cells) + "\n"


def counted(counts: RequestCounts) -> dict[str, int]:
    return {result: count for result, count in counts.totals.items() if count}


def test_a_line_counts_once_it_is_whole_and_only_once(tmp_path: Path) -> None:
    log, counts = tmp_path / "access.log", RequestCounts()
    counts.take(log)
    assert set(counts.totals.values()) == {0}, "a count that Prometheus has not seen at 0 does not rise"
    whole, half = line(101), line(429, "REJECTED")
    log.write_text(whole + half[:20])
    counts.take(log)
    counts.take(log)
    assert counted(counts) == {"served": 1}
    log.write_text(whole + half)
    counts.take(log)
    assert counted(counts) == {"served": 1, "limited": 1}


def test_another_log_is_read_from_its_beginning(tmp_path: Path) -> None:
    counts = RequestCounts()
    for name, lines in (("first", line(101) * 3), ("second", line(503))):
        (tmp_path / name).write_text(lines)
        counts.take(tmp_path / name)
    assert counted(counts) == {"served": 3, "shed": 1}


def test_a_long_log_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy_metrics, "_MOST_BYTES", len(line(101)) * 2 + 5)
    log, counts = tmp_path / "access.log", RequestCounts()
    log.write_text(line(101) * 5)
    seen = []
    for _ in range(4):
        counts.take(log)
        seen.append(counts.totals["served"])
    assert seen == [2, 4, 5, 5]


@pytest.mark.parametrize(
    ("written", "result"),
    [
        (line(101, "PASSED"), "served"),
        (line(503, "REJECTED"), "limited"),
        (line(503, "REJECTED_DRY_RUN"), "shed"),
        (line(429), "shed"),
        (line(502), "no_pod"),
        (line(504), "no_pod"),
        (line(404), "served"),
    ],
)
def test_each_request_has_one_result(tmp_path: Path, written: str, result: str) -> None:
    (tmp_path / "access.log").write_text(written)
    counts = RequestCounts()
    counts.take(tmp_path / "access.log")
    assert counted(counts) == {result: 1}


def test_the_text_has_cpu_in_seconds_and_every_result() -> None:
    lines = proxy_text(CpuUse(1_500_000_000), Counter(limited=2)).splitlines()
    assert "proxy_cpu_seconds_total 1.5" in lines
    assert 'proxy_requests_total{result="limited"} 2' in lines
    assert 'proxy_requests_total{result="no_pod"} 0' in lines
