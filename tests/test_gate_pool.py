"""Gates played with recorded runs; and the regressions that are planted."""

import random

import msgspec
import pytest
from measured_runs import drawn

from reports.gate.gauges import gauges
from reports.gate.pool import UNCHANGED, Pool, play_gate, tally
from scenarios.calibrate_gate_command import good
from scenarios.checkout import PROJECT
from scenarios.gate_options import MOST_ROUNDS, ROUNDS
from scenarios.planted import PLANTED
from scenarios.scenario_file import load

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


@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_regression_is_a_scenario_that_differs_in_one_key(name: str) -> None:
    scenario = load("gate-quick")
    (override,) = PLANTED[name](scenario)
    changed = load("gate-quick", [override])
    assert changed != scenario
    section, _, key = override.partition("=")[0].partition(".")
    assert getattr(getattr(changed, section), key) != getattr(getattr(scenario, section), key)


@pytest.mark.parametrize("arm", [UNCHANGED, *PLANTED])
def test_the_gate_keeps_its_promises_with_the_runs_that_were_recorded(arm: str) -> None:
    pool = msgspec.json.decode((PROJECT / "docs" / "gate-pool.json").read_bytes(), type=Pool)
    assert len(pool.arms[arm]) >= 10
    assert good(tally(pool, arm, gauges(), gates=20, rounds=ROUNDS, most_rounds=MOST_ROUNDS))
