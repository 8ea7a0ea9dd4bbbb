"""Storms that people have reported from production, at gateways that misbehave as theirs did.

Numbers of cases are those of docs/reported-storms.md.
"""

from pathlib import Path

import pytest

from reports.analysis.metrics import summarise
from reports.analysis.validity import Validity
from reports.analysis.verdict import judge
from reports.rundir.reader import Run
from tests.e2e.own_gateway import CLIENTS, stormed, total
from tests.support.gateways import line

pytestmark = pytest.mark.e2e

DROPPED_S, END_S = 3, 13
FEW = 8
"""Clients that ask several times a second, which a machine that is ten times slower has to keep up with."""


PATIENT = ("fleet.stale_after_s=0",)
"""Nobody comes a second time before the drop: these gateways count who has come."""


def attempts(tmp_path: Path, *sets: str) -> float:
    """Attempts from the drop on, at a gateway that closes every later connection 66 ms after its join."""
    storm = ("gateway.pods=1", "fleet.policy=incident", f"fleet.clients={FEW}", "phases.duration_s=13")
    patient = (*PATIENT, "fleet.connect_timeout_s=5")
    _, run = stormed(tmp_path, line("abrupt", FEW, 0.066), *storm, *patient, *sets)
    return total(run, "attempts", DROPPED_S, END_S)


def test_case_1_only_a_session_that_lasts_may_start_the_back_off_over(tmp_path: Path) -> None:
    at_open = attempts(tmp_path / "open", "fleet.reset_backoff=open")
    once_joined = attempts(tmp_path / "joined", "fleet.reset_backoff=joined")
    once_stable = attempts(tmp_path / "stable", "fleet.reset_backoff=stable", "fleet.stable_after_s=5")
    assert at_open > 1.5 * once_stable
    assert once_joined > 1.5 * once_stable
    # Back-off from 0.2 s on that never starts over: five to eight attempts in ten seconds.
    assert 4 * FEW <= once_stable <= 9 * FEW


def slots(tmp_path: Path, how: str) -> Run:
    """A storm at a gateway whose joins are slow for five seconds, so that clients give attempts up.

    Each takes a slot twice in that time, and soon tries again after it.
    """
    sets = (
        *PATIENT,
        "gateway.pods=1",
        'fleet.policy={name="full-jitter", base_s=0.5, cap_s=0.5}',
        "fleet.connect_timeout_s=1.5",
        "phases.duration_s=20",
        "phases.rescue_at_s=14",
        "phases.rescue_s=6",
    )
    _, run = stormed(tmp_path, line("slots", 30, CLIENTS, 5, how), *sets)
    return run


def test_case_9_slots_that_leak_are_an_outage_that_no_policy_ends(tmp_path: Path) -> None:
    run = slots(tmp_path, "leaking")
    # Other tests run beside this one, so the run is not valid.
    assert judge(run, summarise(run), Validity(valid=True)).name == "OUTAGE"
    assert total(run, "limited", 10, 14) > 0


def test_case_9_slots_that_are_given_back_end_it(tmp_path: Path) -> None:
    run = slots(tmp_path, "fixed")
    assert total(run, "limited", 12, 14) == 0
    assert run.between(13, 14)[0]["connected"] == CLIENTS
