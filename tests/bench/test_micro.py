"""Micro-benchmarks of what runs most often, or makes somebody wait: `make micro` prints their times.

In all other test runs each is carried out once, so that none of them rots. Only `make micro` asserts a
time: that of the program's start, for which everybody waits.
"""

import random
import resource
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from engineio import packet as engineio
from pytest_benchmark.fixture import BenchmarkFixture

from reports.analysis.judgement import assess
from reports.gate.decision import decide
from reports.gate.measures import gauges
from reports.page.page import page
from reports.page.write import render_html, render_markdown, write_report
from reports.rundir import latency
from scenarios.clients.protocol.session import Session
from scenarios.policies.registry import POLICIES, policy
from scenarios.policies.stock.catalogue import STOCK
from tests.support.gate_runs import drawn, side
from tests.support.histories import history, storm
from tests.support.judged_runs import TWO_BY_TWO
from tests.support.server_bytes import HEAD, JOIN, OPEN, UPGRADE, engine, subscription, tick

CLIENTS, TICKS, DELAYS = 100, 20, 1_000


def test_sessions_parse_a_broadcast(benchmark: BenchmarkFixture) -> None:
    shared = subscription()
    sessions = [Session(UPGRADE.request, shared) for _ in range(CLIENTS)]
    for session in sessions:
        session.receive(HEAD + OPEN + JOIN)
    ticks = [tick(number) for number in range(TICKS)]

    def receive() -> int:
        return sum(len(session.receive(chunk)) for chunk in ticks for session in sessions)

    assert benchmark(receive) == CLIENTS * TICKS


def test_sessions_answer_pings(benchmark: BenchmarkFixture) -> None:
    session = Session(UPGRADE.request, subscription())
    session.receive(HEAD + OPEN + JOIN)
    session.take_to_send()
    ping = engine(engineio.PING)

    def answer() -> bytes:
        session.receive(ping)
        return session.take_to_send()

    assert benchmark(answer)


@pytest.mark.parametrize("name", ["socketio-js", *(name for name in POLICIES if name not in STOCK)])
def test_a_policy_gives_its_delays(benchmark: BenchmarkFixture, name: str) -> None:
    chosen = policy(name)

    def delays() -> list[float]:
        return list(islice(chosen.delays(random.Random(1)), DELAYS))

    assert benchmark(delays)


def test_a_minute_of_histograms_is_merged(benchmark: BenchmarkFixture) -> None:
    run = history(storm(100.0))
    found: Any = benchmark(
        lambda: latency.percentile(99, latency.total(run.histograms["effective"].values()))
    )
    assert found.ms > 0


def test_a_run_is_judged(benchmark: BenchmarkFixture) -> None:
    run = history(storm(lambda t: 0.0 if t < 20 else 100.0))
    assert benchmark(lambda: assess(run)).verdict.name == "RECOVERED"


def test_a_gate_decides(benchmark: BenchmarkFixture) -> None:
    rng = random.Random(1)
    baseline, candidate = side(*drawn(rng, 6)), side(*drawn(rng, 6, pod_loop=1.5))
    assert benchmark(lambda: decide(baseline, candidate, gauges(), looks=4)).outcome == "regression"


@pytest.mark.parametrize(
    "render", [lambda made: render_html(made, ()), lambda made: render_markdown(made, "")]
)
def test_a_page_is_rendered(benchmark: BenchmarkFixture, render: Callable[[Any], str]) -> None:
    content = page(TWO_BY_TWO)
    assert "naive" in benchmark(lambda: render(content))


def test_a_report_is_written_figures_and_all(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    run = history(storm(lambda t: 0.0 if t < 20 else 100.0))
    markdown, html = benchmark(lambda: write_report([run], tmp_path))
    assert markdown.exists()
    assert html.exists()


def cpu_s_of_children() -> float:
    """CPU time of all processes that this one has started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.parametrize(("command", "most_s"), [("--help", 0.3), ("list", 0.5)])
@pytest.mark.benchmark(timer=cpu_s_of_children)
def test_the_program_starts_with_little_cpu(benchmark: BenchmarkFixture, command: str, most_s: float) -> None:
    program = [sys.executable, "-m", "reconnect_storm", command]
    benchmark.pedantic(  # type: ignore[no-untyped-call]
        lambda: subprocess.run(program, check=True, capture_output=True, timeout=60),
        rounds=9,
        warmup_rounds=1,
    )
    if benchmark.stats is not None:
        assert benchmark.stats.stats.median < most_s
