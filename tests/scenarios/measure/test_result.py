"""What was measured is a file that the model reads, with units and intervals."""

import io
from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.console import Console

from scenarios.measure.estimate import CpuCosts, Estimate
from scenarios.measure.result import AcceptQueue, Measured, Memory, costs_toml
from scenarios.measure.table import measured_table, notes
from scenarios.scenario.loader import load
from scenarios.simulator.costs import LONGEST_QUEUE, MeasuredGateway, read, read_measured

FOUND = Measured(
    gateway="node server.js",
    clients=200,
    cycles=5,
    discarded=0,
    feed_hz=5.0,
    cpu=CpuCosts(
        handshake_s=Estimate(4.97e-3, 4.48e-3, 5.47e-3),
        tick_s=Estimate(18.3e-6, 13.9e-6, 22.8e-6),
        close_s=Estimate(0.06e-3, 0.0, 0.12e-3),
        idle=Estimate(0.0054, 0.0027, 0.0081),
    ),
    idle_with_clients=Estimate(0.0056, 0.0030, 0.0082),
    memory=Memory(at_rest_bytes=61_400_000, per_client_bytes=Estimate(127e3, 35e3, 219e3)),
    accept_queue=AcceptQueue(backlog=511, accepts="one per turn"),
    machine={"cpu_model": "A CPU"},
    versions={},
)


def file_of(found: Measured, folder: Path) -> Path:
    path = folder / "costs.toml"
    path.write_text(costs_toml(found, version="1.2.3", date="2026-11-29"), encoding="utf-8")
    return path


def test_the_file_is_read_back_as_it_was_measured(tmp_path: Path) -> None:
    measured = read_measured(file_of(FOUND, tmp_path))
    assert measured == MeasuredGateway(
        handshake_cpu_ms=4.97,
        tick_cpu_us=18.3,
        close_cpu_ms=0.06,
        idle_cpu=0.0054,
        memory_at_rest_mb=61.4,
        memory_per_client_kb=127,
        backlog=511,
        accepts="one per turn",
        interval_95={
            "handshake_cpu_ms": (4.48, 5.47),
            "tick_cpu_us": (13.9, 22.8),
            "close_cpu_ms": (0.0, 0.12),
            "idle_cpu": (0.0027, 0.0081),
            "memory_per_client_kb": (35, 219),
        },
    )


def test_it_sets_the_keys_of_a_scenario(tmp_path: Path) -> None:
    costs, keys = read(file_of(FOUND, tmp_path))
    gateway = load("mass-drop", keys).gateway
    assert (gateway.handshake_cpu_ms, gateway.tick_cpu_us, gateway.backlog) == (4.97, 18.3, 511)
    assert (costs.upgrade_cpu_s, costs.join_cpu_s, costs.tick_cpu_s) == (0, 0, 0)
    assert costs.close_cpu_s == pytest.approx(0.06e-3)


def test_its_comments_say_what_a_number_is_and_how_sure_it_is(tmp_path: Path) -> None:
    text = file_of(FOUND, tmp_path).read_text(encoding="utf-8")
    assert text.startswith("# Costs of one pod of: node server.js\n")
    assert "# CPU of a client's handshake, from connect to join; 4.48 to 5.47" in text
    assert "# CPU of a client that leaves; not told apart from 0: 0 to 0.12" in text


def test_a_pod_that_accepts_everything_at_once_has_an_endless_queue(tmp_path: Path) -> None:
    at_once = replace(FOUND, accept_queue=AcceptQueue(backlog=100, accepts="all at once"))
    assert load("mass-drop", read(file_of(at_once, tmp_path))[1]).gateway.backlog == LONGEST_QUEUE


def test_a_queue_that_could_not_be_told_leaves_the_scenarios_own(tmp_path: Path) -> None:
    unknown = replace(FOUND, accept_queue=AcceptQueue(backlog=None, accepts=None))
    assert load("mass-drop", read(file_of(unknown, tmp_path))[1]).gateway.backlog == 128


def test_without_a_feed_a_tick_costs_nothing_and_the_file_says_why(tmp_path: Path) -> None:
    silent = replace(FOUND, cpu=replace(FOUND.cpu, tick_s=None))
    path = file_of(silent, tmp_path)
    assert "tick_cpu_us = 0 " in path.read_text(encoding="utf-8")
    assert "not measured: no tick was delivered" in path.read_text(encoding="utf-8")
    assert read_measured(path).tick_cpu_us == 0
    assert any("feed.event" in note for note in notes(silent))


def test_idle_clients_are_in_the_file_only_if_they_use_cpu(tmp_path: Path) -> None:
    assert read_measured(file_of(FOUND, tmp_path)).idle_with_clients_cpu is None
    busy = replace(FOUND, idle_with_clients=Estimate(0.02, 0.018, 0.022))
    assert read_measured(file_of(busy, tmp_path)).idle_with_clients_cpu == 0.02


def test_the_table_has_values_units_and_intervals() -> None:
    shown = Console(file=io.StringIO(), width=100)
    shown.print(measured_table(FOUND))
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    for part in (
        "node server.js: 5 cycles of 200 clients, 5 ticks per second",
        "4.97 ms",
        "4.48 to 5.47 ms",
        "18.3 µs",
        "0 to 0.12 ms",
        "127 KB",
        "61.4 MB",
        "511 connections",
        "one per turn",
    ):
        assert part in text, text
    assert notes(FOUND) == ("CPU per close is not told apart from 0; more --cycles narrow the interval",)
