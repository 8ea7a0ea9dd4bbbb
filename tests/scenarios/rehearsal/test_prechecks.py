"""What has to hold before anything is broken."""

import resource
from typing import Any

import pytest
from msgspec.structs import replace

from reports.analysis.disturbance import taken
from scenarios.events.drop import DropAll
from scenarios.rehearsal.prechecks import PrecheckInput, Thresholds, prechecks
from scenarios.scenario.model import Fleet, Scenario
from scenarios.scenario.slo import Objective

THRESHOLDS = Thresholds(generator_lag_ms=5)
MACHINE = {"cores": 2, "stack_cores": [0], "generator_cores": [1]}
SECOND: dict[str, float | None] = {
    "t_s": 0,
    "clients": 50,
    "connected": 50,
    "useful": 50.0,
    "attempts": 0,
    "disconnects": 0,
    "foreign_cpu": 0.05,
    "steal": 0.01,
    "stack_foreign_cpu": 0.02,
    "stack_steal": 0.0,
    "generator_foreign_cpu": 0.03,
    "generator_steal": 0.01,
    "generator_lag_p99_ms": 1.0,
}
SCENARIO = Scenario(
    fleet=Fleet(clients=50),
    event=(DropAll(at_s=6),),
    slo=(
        Objective(metric="availability", phase="before", operator=">=", bound=0.99),
        Objective(metric="effective_p99_ms", phase="before", operator="<=", bound=150),
        Objective(metric="time_to_recover_s", operator="<=", bound=30),
    ),
)


def rows(**changes: Any) -> list[dict[str, float | None]]:
    """Three good seconds, the last one with changes."""
    return [SECOND, SECOND, {**SECOND, **changes}]


def known(**changes: Any) -> PrecheckInput:
    good = PrecheckInput(
        scenario=SCENARIO,
        rows=rows(),
        taken=taken(rows(), MACHINE),
        percentile=lambda _tag, _percent: 80.0,
        armed=(),
        remote=False,
        needed_descriptors=456,
        allowed_descriptors=1_024,
    )
    return replace(good, **changes)


def test_a_good_steady_state_passes_every_check() -> None:
    checks = prechecks(known(), THRESHOLDS)
    assert all(check.passed for check in checks)
    assert [check.name for check in checks] == [
        "all clients joined",
        "steady state measured",
        "SLO: availability before",
        "SLO: effective p99 before",
        "abort conditions armed",
        "host quiet",
        "generator on time",
        "file descriptors",
    ]
    assert all(check.wanted and check.found for check in checks)


FAILURES: dict[str, tuple[dict[str, Any], str, str]] = {
    "somebody is missing": ({"rows": rows(connected=49)}, "all clients joined", "49 in the worst second"),
    "somebody was dropped": ({"rows": rows(disconnects=1)}, "steady state measured", "1 disconnects"),
    "somebody tried": ({"rows": rows(attempts=2)}, "steady state measured", "2 attempts"),
    "too little was seen": ({"rows": rows()[:1]}, "steady state measured", "1 s"),
    "somebody is not served": ({"rows": rows(useful=40.0)}, "SLO: availability before", "93.3 %"),
    "it is slow already": (
        {"percentile": lambda _tag, _percent: 151.0},
        "SLO: effective p99 before",
        "151 ms",
    ),
    "latencies are not known": (
        {"percentile": lambda _tag, _percent: None},
        "SLO: effective p99 before",
        "unknown",
    ),
    "nothing guards a target elsewhere": ({"remote": True}, "abort conditions armed", "none"),
    "others use the pods' core": (
        {"taken": taken(rows(stack_foreign_cpu=0.9), MACHINE)},
        "host quiet",
        "other processes used 0.31 of core 0 (pods and proxy)",
    ),
    "others use the generator's core": (
        {"taken": taken(rows(generator_foreign_cpu=0.9), MACHINE)},
        "host quiet",
        "other processes used 0.32 of core 1 (load generator)",
    ),
    "the hypervisor takes it": (
        {"taken": taken(rows(stack_steal=0.9), MACHINE)},
        "host quiet",
        "the hypervisor took 0.30 of core 0 (pods and proxy)",
    ),
    "others use a machine of which no core is ours": (
        {"taken": taken(rows(foreign_cpu=1.8), {"cores": 2})},
        "host quiet",
        "other processes used 0.63 of the machine's 2 cores",
    ),
    "the generator is late": (
        {"rows": [{**SECOND, "generator_lag_p99_ms": 9.0}] * 3},
        "generator on time",
        "9.0",
    ),
    "files are short": ({"allowed_descriptors": 455}, "file descriptors", "455"),
}


@pytest.mark.parametrize(("changes", "name", "found"), FAILURES.values(), ids=FAILURES)
def test_one_check_fails_where(changes: dict[str, Any], name: str, found: str) -> None:
    (failed,) = [check for check in prechecks(known(**changes), THRESHOLDS) if not check.passed]
    assert failed.name == name
    assert found in failed.found


def test_without_any_second_everything_that_is_measured_fails() -> None:
    failed = {check.name for check in prechecks(known(rows=[]), THRESHOLDS) if not check.passed}
    assert failed >= {"all clients joined", "steady state measured", "generator on time"}


def test_armed_conditions_are_shown_with_their_bounds() -> None:
    checks = prechecks(
        known(remote=True, armed=["failed attempts ≥ 90 %", "availability < 20 %"]), THRESHOLDS
    )
    (armed,) = [check for check in checks if check.name == "abort conditions armed"]
    assert armed.passed
    assert armed.found == "failed attempts ≥ 90 %, availability < 20 %, for 10 consecutive seconds"


def test_somebody_elses_gateway_on_this_machine_is_one_of_the_others() -> None:
    busy = rows(stack_foreign_cpu=1.0, generator_foreign_cpu=0.9)
    assert all(
        check.passed for check in prechecks(known(taken=taken(busy, MACHINE, foreign=False)), THRESHOLDS)
    )


def test_what_is_allowed_is_said_once_for_each_set_of_cores() -> None:
    (check,) = (one for one in prechecks(known(), THRESHOLDS) if one.name == "host quiet")
    assert check.wanted == (
        "CPU of other processes up to 0.20 of core 0 (pods and proxy); up to 0.20 of core 1 (load generator)"
    )


def test_no_limit_on_open_files_is_enough_of_them() -> None:
    checks = prechecks(known(allowed_descriptors=resource.RLIM_INFINITY), THRESHOLDS)
    assert checks[-1].passed
    assert checks[-1].found == "unlimited"


def test_what_nobody_can_know_of_others_is_said_and_fails_nothing() -> None:
    seconds = [{**SECOND, "foreign_cpu": None} for _ in range(3)]
    unknown = known(rows=seconds, taken=taken(seconds, {"cores": 2}))
    (check,) = (one for one in prechecks(unknown, THRESHOLDS) if one.name == "host quiet")
    assert check.passed
    assert check.found == (
        "CPU of other processes: unknown; the hypervisor took 0.01 of the machine's 2 cores"
    )
