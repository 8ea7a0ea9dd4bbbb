"""The figures of a bench as a table."""

import io
from typing import Any

from msgspec.structs import replace
from rich.console import Console

from gateway_stub.protocol import KNOWN_DELAYS, known_delays_ns
from scenarios.bench.result import Accuracy, BenchResult, Connecting, Reception, Stock, Storm
from scenarios.bench.table import bench_table

RECEPTION = Reception(
    clients=1_000,
    ticks_per_s=10_000.0,
    ticks_per_cpu_s=66_666.0,
    cpu=0.15,
    reference="due",
    p50_ms=3.3,
    p99_ms=8.8,
)
WHOLE = BenchResult(
    machine={},
    versions={},
    reception=RECEPTION,
    connecting=Connecting(
        clients=10_000,
        processes=1,
        join_s=1.77,
        connects_per_cpu_s=5_432.1,
        kb_per_client=6.71,
        storms=(
            Storm(policy="spread", retries=10_000, late_p99_ms=9.9, core_peak=0.7, saturated=False),
            Storm(policy="at once", retries=10_000, late_p99_ms=380.0, core_peak=1.0, saturated=True),
        ),
    ),
    accuracy=Accuracy(ticks_per_s=20_000.0, cpu=0.7, known_ms={"p99": 48.39}, reported_ms={"p99": 48.51}),
    stock=Stock(clients=200, ticks_per_cpu_s=3_333.0, connects_per_cpu_s=118.0),
)


def lines(result: Any) -> list[str]:
    console = Console(width=120, file=io.StringIO())
    console.print(bench_table(result))
    assert isinstance(console.file, io.StringIO)
    return [" ".join(line.split()) for line in console.file.getvalue().splitlines()]


def test_ours_stand_beside_locusts_own() -> None:
    shown = lines(WHOLE)
    assert "ticks received per CPU-second 66,666 3,333" in shown
    assert "joined connects per CPU-second 5,432 118" in shown
    assert "p99: known 48.39 ms, reported 48.51 ms –" in shown
    assert any("6.7 KB" in line for line in shown)


def test_a_saturated_core_is_called_that() -> None:
    shown = lines(WHOLE)
    assert [line.split("meanwhile ")[1] for line in shown if "meanwhile" in line] == [
        "up to 70 % –",
        "saturated –",
    ]


def test_of_somebodys_gateway_only_the_reception_is_shown_and_a_spread_is_called_one() -> None:
    spread = replace(RECEPTION, reference="first receipt")
    shown = lines(BenchResult(machine={}, versions={}, reception=spread))
    assert "fan-out spread p50 / p99 3.3 / 8.8 ms –" in shown
    assert not any("known" in line or "joined connects" in line for line in shown)


def test_the_known_delays_have_a_median_of_five_milliseconds_and_a_long_tail() -> None:
    delays = sorted(known_delays_ns())
    assert len(delays) == KNOWN_DELAYS
    assert 4.8e6 < delays[KNOWN_DELAYS // 2] < 5.2e6
    assert delays[int(0.99 * KNOWN_DELAYS)] > 8 * delays[KNOWN_DELAYS // 2]
    assert known_delays_ns() == known_delays_ns()
