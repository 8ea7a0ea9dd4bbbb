"""Gates played with recorded runs; and the seeded regressions."""

import random
from collections.abc import Callable, Sequence
from math import exp, pi, sqrt, tan
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reports.compare.measures import BY_KEY
from reports.gate.looks import BETA
from reports.gate.measures import Measured, gauges
from reports.gate.power import UNCHANGED, Pool, play_gate, tally
from scenarios.cli.commands.calibrate_gate import _keep, good
from scenarios.cli.gate_options import MOST_ROUNDS, ROUNDS
from scenarios.gate.repository import PROJECT
from scenarios.gate.seeded_regressions import SEEDED
from scenarios.scenario.loader import load
from tests.support.gate_runs import TYPICAL, drawn, run
from tests.support.judged_runs import run as judged
from tools.node_regressions import REGRESSIONS

# Tracing makes these three times as long, and covers what other tests cover.
pytestmark = pytest.mark.no_cover

RNG = random.Random(11)
POOL = Pool(
    scenario="gate-quick",
    commit="0" * 40,
    machine={},
    versions={},
    overrides={},
    arms={
        UNCHANGED: drawn(RNG, 12),
        "costlier": drawn(RNG, 8, pod_loop=1.5),
        "hardly different": drawn(RNG, 8, noise=12),
    },
)


def test_a_gate_stops_as_soon_as_it_is_decided() -> None:
    rng = random.Random(1)
    decision, rounds = play_gate(
        POOL.arms[UNCHANGED], POOL.arms["costlier"], gauges(), rounds=6, most_rounds=9, rng=rng
    )
    assert (decision.outcome, rounds) == ("regression", 6)


def test_a_gate_that_cannot_decide_goes_on_to_the_end() -> None:
    rng = random.Random(1)
    decision, rounds = play_gate(
        POOL.arms[UNCHANGED], POOL.arms["hardly different"], gauges(), rounds=6, most_rounds=7, rng=rng
    )
    assert (decision.outcome, rounds, decision.look, decision.looks) == ("inconclusive", 7, 1, 2)


def test_unchanged_runs_are_not_called_worse_and_worse_ones_are() -> None:
    unchanged = tally(POOL, UNCHANGED, gauges(), gates=40, rounds=6, most_rounds=9)
    assert unchanged.share("regression")[0] <= 0.05
    assert good(unchanged)
    worse = tally(POOL, "costlier", gauges(), gates=20, rounds=6, most_rounds=9)
    assert worse.share("regression")[0] == 1
    assert next(iter(worse.by)) == "pod_loop"
    assert good(worse)
    assert (worse.runs, worse.gates, worse.rounds) == (8, 20, 6)
    missed = tally(POOL, "hardly different", gauges(), gates=5, rounds=6, most_rounds=6)
    assert not good(missed)


def test_the_same_seed_plays_the_same_gates() -> None:
    first, second = (tally(POOL, UNCHANGED, gauges(), gates=5, rounds=6, most_rounds=7) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", SEEDED)
def test_every_seeded_regression_is_a_scenario_that_differs_in_one_key(name: str) -> None:
    scenario = load("gate-quick")
    (override,) = SEEDED[name](scenario)
    changed = load("gate-quick", [override])
    assert changed != scenario
    section, _, key = override.partition("=")[0].partition(".")
    assert getattr(getattr(changed, section), key) != getattr(getattr(scenario, section), key)


RECORDED = [
    *(("gate-pool.json", arm) for arm in (UNCHANGED, *SEEDED)),
    *(("gate-pool-node.json", arm) for arm in (UNCHANGED, *REGRESSIONS)),
]


@pytest.mark.parametrize(("file", "arm"), RECORDED)
def test_the_gate_keeps_its_promises_with_the_runs_that_were_recorded(file: str, arm: str) -> None:
    pool = msgspec.json.decode((PROJECT / "docs" / "data" / file).read_bytes(), type=Pool)
    assert len(pool.arms[arm]) >= 10
    assert good(tally(pool, arm, gauges(), gates=20, rounds=ROUNDS, most_rounds=MOST_ROUNDS))


# -- what a gate promises, whatever the runs are like --------------------------------------------------------


def cauchy(rng: random.Random) -> float:
    """A value of a distribution with tails so heavy that it has no mean."""
    return tan(pi * (rng.random() - 0.5))


DRAWN = Callable[[random.Random, float, float], float]
"""A value by its median and its deviation."""

LAWS: dict[str, DRAWN] = {
    "normal": lambda rng, median, deviation: rng.gauss(median, 8 * deviation),
    "lognormal": lambda rng, median, _: median * rng.lognormvariate(0, 0.15),
    "heavy tails": lambda rng, median, _: (
        median * exp(0.02 * max(-20, min(20, tan(pi * (rng.random() - 0.5)))))
    ),
    "many ties": lambda rng, median, _: median * rng.choice([0.8, 1.0, 1.0, 1.25]),
}


class Fresh(random.Random):
    """Draws no run twice."""

    place = 0

    def choice(self, seq: Any) -> Any:
        self.place += 1
        return seq[(self.place - 1) % len(seq)]


def made(rng: random.Random, law: str, key: str, count: int, shift: float = 0.0) -> list[Measured]:
    """Runs of which one measure alone is looked at."""
    return [run(**{key: LAWS[law](rng, *TYPICAL[key]) + shift}) for _ in range(count)]


@pytest.mark.parametrize("most_rounds", [5, 8, 14])
@pytest.mark.parametrize("law", LAWS)
def test_what_is_worse_by_as_much_as_matters_hardly_ever_passes_however_many_looks(
    law: str, most_rounds: int
) -> None:
    gates, passed = 60, 0
    for number, key in enumerate(TYPICAL):
        rng = random.Random(number)
        median, _ = TYPICAL[key]
        shift = BY_KEY[key].effect.limit(median) - median
        for _ in range(gates):
            before, after = made(rng, law, key, most_rounds), made(rng, law, key, most_rounds, shift)
            decision, _ = play_gate(
                before, after, gauges((key,)), rounds=5, most_rounds=most_rounds, rng=Fresh()
            )
            passed += decision.outcome == "pass"
    every = gates * len(TYPICAL)
    assert passed / every <= BETA + 3 * sqrt(BETA * (1 - BETA) / every)


def test_a_worsening_that_strikes_in_more_than_half_of_the_runs_passes_now_and_then_at_the_most() -> None:
    rng, passed = random.Random(2), 0
    for _ in range(300):
        before = [run(pod_loop=rng.gauss(0.5, 0.005)) for _ in range(8)]
        after = [run(pod_loop=rng.gauss(0.8 if rng.random() < 0.7 else 0.5, 0.005)) for _ in range(8)]
        decision, _ = play_gate(before, after, gauges(("pod_loop",)), rounds=5, most_rounds=8, rng=Fresh())
        passed += decision.outcome == "pass"
    assert passed <= 0.05 * 300


@pytest.mark.parametrize("share", [0.5, 0.6, 0.8])
def test_recoveries_that_are_not_seen_any_more_in_half_of_the_runs_do_not_pass(share: float) -> None:
    rng, passed = random.Random(2), 0
    for _ in range(300):
        after = [run(time_to_recover_s=None if rng.random() < share else 6.0) for _ in range(8)]
        before = [run(time_to_recover_s=6.0)] * 8
        keys = gauges(("time_to_recover_s",))
        decision, _ = play_gate(before, after, keys, rounds=5, most_rounds=8, rng=Fresh())
        passed += decision.outcome == "pass"
    assert passed <= 0.05 * 300


# -- runs that failed ----------------------------------------------------------------------------------------

FAILED_RUN = Measured("INVALID", {})


def spoiling(runs: Sequence[Measured], share: float) -> tuple[Measured, ...]:
    """The runs, of which that share with the busiest pods has failed instead."""
    ordered = sorted(runs, key=lambda one: one.values["pod_loop"].number or 0.0)
    number = round(share * len(ordered))
    return (*ordered[: len(ordered) - number], *[FAILED_RUN] * number)


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_a_candidate_whose_worse_half_is_invalid_does_not_pass_on_the_other(share: float) -> None:
    candidate = spoiling((*drawn(RNG, 10), *drawn(RNG, 10, pod_loop=1.5)), share)
    rng, outcomes = random.Random(3), []
    for _ in range(200):
        decision, _ = play_gate(POOL.arms[UNCHANGED], candidate, gauges(), rounds=5, most_rounds=8, rng=rng)
        outcomes.append(decision.outcome)
        if decision.outcome == "pass":
            assert decision.candidate.counted.failed == 0, "a run that failed was left out"
    assert outcomes.count("pass") <= 0.05 * 100


def test_a_candidate_that_fails_far_more_often_is_a_regression_by_that_alone() -> None:
    candidate = [*drawn(RNG, 4), *[FAILED_RUN] * 16]
    rng, outcomes = random.Random(3), []
    for _ in range(50):
        decision, _ = play_gate(POOL.arms[UNCHANGED], candidate, gauges(), rounds=12, most_rounds=14, rng=rng)
        outcomes.append(decision.outcome)
    assert outcomes.count("regression") >= 40
    assert outcomes.count("pass") == 0


def test_sides_that_fail_alike_are_not_called_worse_for_it() -> None:
    both = [*drawn(RNG, 14), *[FAILED_RUN] * 6]
    rng, called = random.Random(3), 0
    for _ in range(200):
        decision, _ = play_gate(both, both, gauges(), rounds=6, most_rounds=10, rng=rng)
        called += decision.outcome == "regression"
    assert called <= 0.05 * 200


@pytest.mark.needs_checkout
def test_runs_that_failed_are_kept_in_a_pool_and_disturbed_ones_are_not(tmp_path: Path) -> None:
    runs = [
        judged("unchanged", "RECOVERED", 3),
        judged("unchanged", "INVALID"),
        judged(
            "unchanged",
            "INVALID",
            validity={"valid": False, "problems": ["others"], "warnings": [], "invalidated_by_host": True},
        ),
    ]
    _keep(tmp_path / "pool.json", {UNCHANGED: ()}, {UNCHANGED: runs})
    pool = msgspec.json.decode((tmp_path / "pool.json").read_bytes(), type=Pool)
    assert [one.verdict for one in pool.arms[UNCHANGED]] == ["RECOVERED", "INVALID"]


def test_the_runs_that_were_recorded_pass_against_themselves_at_least_as_often_as_is_documented() -> None:
    pool = msgspec.json.decode((PROJECT / "docs" / "data" / "gate-pool.json").read_bytes(), type=Pool)
    found = tally(pool, UNCHANGED, gauges(), gates=100, rounds=ROUNDS, most_rounds=MOST_ROUNDS)
    assert found.share("inconclusive")[0] <= 0.15
