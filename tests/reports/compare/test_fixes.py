"""What a report says of each fix: what it did, for whom, at what price, and how sure that is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis.verdict import VerdictName
from reports.compare.comparison import compare
from reports.compare.fixes import MOST_FIXES
from reports.compare.ip_groups import ip_groups
from reports.rundir.reader import Run
from tests.support.histories import scenario
from tests.support.judged_runs import TWO_BY_TWO, in_storm, ip_group, run

ALONE = ip_group(1, 12)
OFFICE = ip_group(10, 30, limited=300)
BEFORE: dict[str, Any] = {
    "during": in_storm(38_000, 0.5, at_least=True),
    "ips": (ip_group(1, None), ip_group(10, None)),
    "amplification": 30.0,
    "served": 0.08,
}
AFTER: dict[str, Any] = {
    "during": in_storm(11_000, 0.3),
    "ips": (ALONE, OFFICE),
    "amplification": 4.2,
    "limited": 300,
    "served": 0.8,
}


def test_a_fix_is_told_with_its_effect_for_whom_its_price_and_how_sure_it_is() -> None:
    found = compare([run("naive", "METASTABLE", **BEFORE), run("naive + per-ip", "RECOVERED", 30, **AFTER)])
    assert found.effects == (
        "“naive + per-ip” (edge.limit: none → per-ip): the service recovered after 30 s; "
        "the reference did not. "
        "Effective p99 during the storm fell from ≥ 38 s to 11 s; availability rose from 8.0 % to 80 %; "
        "pod CPU fell from 50 % to 30 %. "
        "Clients alone on an IP: recovered after 12 s; "
        "clients behind a shared IP (up to 10): recovered after 30 s. "
        "Price: refusals rose from 0 to 300 (all of them to clients behind a shared IP); "
        "clients behind a shared IP recovered 18 s later than clients alone on an IP. "
        "1 run per arm: no test.",
    )
    assert found.headline.endswith(
        "Price of “naive + per-ip”: refusals rose from 0 to 300 (all of them to clients behind a shared IP); "
        "clients behind a shared IP recovered 18 s later than clients alone on an IP."
    )


def test_who_gained_is_told_also_where_nobody_recovered() -> None:
    before = {**BEFORE, "ips": (ip_group(1, None, in_time=0.18), ip_group(10, None, in_time=0.21))}
    after = {**BEFORE, "ips": (ip_group(1, None, in_time=0.25), ip_group(10, None, in_time=0.12))}
    found = compare([run("naive", "METASTABLE", **before), run("naive + per-ip", "METASTABLE", **after)])
    (text,) = found.effects
    assert "Ticks delivered in time to clients alone on an IP rose from 18 % to 25 %. " in text
    assert "Price: ticks delivered in time to clients behind a shared IP fell from 21 % to 12 %. " in text


def test_an_arm_that_took_longer_but_served_more_is_in_the_headline() -> None:
    found = compare(
        [
            run("naive", "METASTABLE", served=0.19),
            run("incident", "RECOVERED", 13, served=0.77),
            run("incident + per-ip", "RECOVERED", 17, served=0.84),
        ]
    )
    assert "“incident” recovered soonest: after 13 s. " in found.headline
    assert (
        "“incident + per-ip” took longer, but served more in all: availability 84 % against 77 %."
        in found.headline
    )


def test_two_variables_have_a_text_for_each_level_and_for_the_combination() -> None:
    assert compare(TWO_BY_TWO).effects == (
        "“naive + per-ip” (edge.limit: none → per-ip): no measurable effect on recovery: not "
        "recovered within 54 s (METASTABLE), like the reference. No measurable change: effective p99 "
        "afterwards 60 ms, availability 9.0 % (was 8.0 %). The limit refused nothing. "
        "Price: none measured. 1 run per arm: no test.",
        "“incident + none” (fleet.policy: naive → incident): the service recovered after 13 s; the reference "
        "did not. Availability rose from 8.0 % to 80 %; "
        "no measurable change: effective p99 afterwards 60 ms. Price: none measured. 1 run per arm: no test.",
        "“incident + per-ip” (fleet.policy: naive → incident, edge.limit: none → per-ip): the service "
        "recovered after 9 s; the reference did not. Availability rose from "
        "8.0 % to 90 %; no measurable change: effective p99 afterwards 60 ms. The limit refused nothing. "
        "Price: none measured. Adding edge.limit = per-ip to “incident + none”: time to recover fell from "
        "13 s to 9 s; availability rose from 80 % to 90 %. 1 run per arm: no test.",
    )


def test_variables_that_always_change_together_are_not_told_apart() -> None:
    found = compare([TWO_BY_TWO[0], TWO_BY_TWO[3]])
    assert found.effects[1:] == (
        "No two arms differ in fleet.policy only: its own effect is unknown.",
        "No two arms differ in edge.limit only: its own effect is unknown.",
    )
    assert "Every arm with" not in found.headline


def test_a_fix_that_is_an_event_is_called_by_its_name() -> None:
    def arm(name: str, verdict: VerdictName, recovered_s: int | None, **on: bool) -> Run:
        events = [
            {"do": "drop_all", "at_s": 8.0},
            {"do": "scale", "at_s": 20.0, "pods": 9, "enabled": on["scale"]},
            {"do": "push_policy", "at_s": 30.0, "policy": "incident", "enabled": on["push"]},
        ]
        return run(name, verdict, recovered_s, scenario=scenario(event=events))

    found = compare(
        [
            arm("nothing", "METASTABLE", None, scale=False, push=False),
            arm("scale", "METASTABLE", None, scale=True, push=False),
            arm("both", "RECOVERED", 9, scale=True, push=True),
        ]
    )
    assert [text.partition(":")[0] for text in found.effects] == [
        "“scale” (scale)",
        "“both” (scale, push_policy)",
    ]
    assert "Adding push_policy to “scale”: the service now recovers." in found.effects[1]
    assert "Every arm with push_policy recovered; no other arm did." in found.headline


def both(arm: str, verdict: VerdictName, *recovered: int | None, **more: Any) -> list[Run]:
    return [run(arm, verdict, after_s, round=n, **more) for n, after_s in enumerate(recovered, start=1)]


SAID: dict[str, tuple[list[Run], str]] = {
    "four runs per arm that differ": (
        [*both("a", "OUTAGE", *[None] * 4), *both("b", "RECOVERED", 3, 4, 5, 6)],
        "4 runs per arm: significant difference (rank test, p = 0.029).",
    ),
    "four runs per arm that do not": (
        [*both("a", "RECOVERED", 9, 20, 30, 31), *both("b", "RECOVERED", 3, 5, 10, 19)],
        "4 runs per arm: no significant difference (rank test, p =",
    ),
    "four runs per arm that differ by less than matters": (
        [
            *(run("a", "METASTABLE", served=0.19, round=n) for n in range(1, 5)),
            *(run("b", "METASTABLE", served=0.18, round=n) for n in range(1, 5)),
        ],
        "4 runs per arm: a difference in recovery or availability that is significant, but below the minimum "
        "effect (rank test, p = 0.029).",
    ),
    "two runs per arm": (
        [*both("a", "OUTAGE", None, None), *both("b", "RECOVERED", 3, 4)],
        "2 runs per arm: too few for a test.",
    ),
    "runs that are invalid": (
        [*both("a", "OUTAGE", None, None, None), *both("b", "RECOVERED", 3, 4), run("b", "INVALID")],
        "2 and 3 valid runs: too few for a test.",
    ),
    "an arm without a valid run": (
        [run("naive + none", "INVALID"), run("incident + none", "RECOVERED", 3)],
        "(fleet.policy: naive → incident): effect unknown, “naive + none” has no valid run.",
    ),
    "predicted runs": (
        [run("a", "OUTAGE", predicted=True), run("b", "RECOVERED", 3, predicted=True)],
        "1 run per arm, predicted.",
    ),
    "a fix that makes it worse": (
        [run("a", "RECOVERED", 9, amplification=2), run("b", "METASTABLE", amplification=30)],
        "(fleet.policy: a → b): the service did not recover within 54 s (METASTABLE); "
        "the reference recovered after 9 s. No measurable change: effective p99 afterwards 60 ms, "
        "availability 50 %. Price: reconnect attempts per disconnect rose from 2.0× to 30×.",
    ),
    "fewer disconnects": (
        [run("a", "RECOVERED", 0, disconnects=2_944), run("b", "RECOVERED", 0, disconnects=600)],
        "time to recover 0 s. Disconnects fell from 2,944 to 600; no measurable change: effective p99",
    ),
    "more disconnects": (
        [run("a", "RECOVERED", 0, disconnects=600), run("b", "RECOVERED", 0, disconnects=2_944)],
        "availability 50 %. Price: disconnects rose from 600 to 2,944.",
    ),
    "a recovery that takes longer": (
        [run("a", "RECOVERED", 9), run("b", "RECOVERED", 30)],
        "time to recover rose from 9 s to 30 s.",
    ),
    "two lower bounds": (
        [
            run("a", "OUTAGE", during=in_storm(9_000, at_least=True)),
            run("b", "OUTAGE", during=in_storm(38_000, at_least=True)),
        ],
        "No measurable change: effective p99 during the storm ≥ 38 s (was ≥ 9 s)",
    ),
    "a bound below the other value": (
        [
            run("a", "OUTAGE", during=in_storm(9_000, at_least=True)),
            run("b", "OUTAGE", during=in_storm(38_000)),
        ],
        "effective p99 during the storm 38 s (was ≥ 9 s)",
    ),
    "a value that rises beyond measurement": (
        [
            run("a", "RECOVERED", 9, during=in_storm(9_000)),
            run("b", "OUTAGE", during=in_storm(38_000, at_least=True)),
        ],
        "Effective p99 during the storm rose from 9 s to ≥ 38 s",
    ),
    "an external target": (
        [run("a", "OUTAGE", during=in_storm(9_000, None)), run("b", "OUTAGE", during=in_storm(2_000, None))],
        "Effective p99 during the storm fell from 9 s to 2 s; no measurable change: availability 50 %. Price",
    ),
    "a limit that refuses nothing, and clients with an IP each": (
        [run("naive", "OUTAGE"), run("naive + per-ip", "OUTAGE", ips=(ip_group(1, 3),))],
        "The limit refused nothing: every client has its own IP.",
    ),
    "clients that all recover together": (
        [
            run("a", "OUTAGE", ips=(ip_group(1, None), ip_group(10, None))),
            run("b", "RECOVERED", 9, ips=(ip_group(1, 8), ip_group(10, 9))),
        ],
        "Clients alone on an IP and clients behind a shared IP (up to 10): recovered after 8 to 9 s. Price: ",
    ),
    "clients behind a shared IP that never recover": (
        [
            run("a", "OUTAGE", ips=(ip_group(1, None), ip_group(10, None))),
            run("b", "OUTAGE", ips=(ip_group(1, 9), ip_group(10, None))),
        ],
        "Price: clients behind a shared IP did not recover, clients alone on an IP did.",
    ),
    "clients alone on an IP that recover later": (
        [
            run("a", "RECOVERED", 60, ips=(ip_group(1, 1), ip_group(10, 60))),
            run("b", "RECOVERED", 5, ips=(ip_group(1, 5), ip_group(10, 5))),
        ],
        "Clients alone on an IP: recovered after 5 s (reference: after 1 s); "
        "clients behind a shared IP (up to 10): recovered after 5 s (reference: after 60 s). "
        "Price: time to recover of clients alone on an IP rose from 1 s to 5 s.",
    ),
    "clients behind a shared IP that recovered before": (
        [
            run("a", "RECOVERED", 9, ips=(ip_group(1, 9), ip_group(10, 9))),
            run("b", "OUTAGE", ips=(ip_group(1, 9), ip_group(10, None))),
        ],
        "Price: clients behind a shared IP did not recover (reference: after 9 s).",
    ),
    "clients behind a shared IP that were as late before": (
        [
            run("a", "OUTAGE", ips=(ip_group(1, 10), ip_group(10, 60))),
            run("b", "RECOVERED", 9, ips=(ip_group(1, 5), ip_group(10, 50))),
        ],
        "Price: none measured.",
    ),
    "fewer ticks in time for clients behind a shared IP": (
        [
            run("a", "RECOVERED", 9, ips=(ip_group(1, 9, in_time=0.8), ip_group(10, 9, in_time=0.8))),
            run("b", "RECOVERED", 9, ips=(ip_group(1, 9, in_time=0.9), ip_group(10, 9, in_time=0.3))),
        ],
        "Price: ticks delivered in time to clients behind a shared IP fell from 80 % to 30 %.",
    ),
    "fewer ticks in time where nobody shares an IP": (
        [
            run("a", "RECOVERED", 9, ips=(ip_group(1, 9, in_time=0.8),)),
            run("b", "RECOVERED", 9, ips=(ip_group(1, 9, in_time=0.3),)),
        ],
        "Price: none measured.",
    ),
    "hardly fewer ticks in time for clients behind a shared IP": (
        [
            run("a", "RECOVERED", 9, ips=(ip_group(1, 9, in_time=0.8), ip_group(10, 9, in_time=0.8))),
            run("b", "RECOVERED", 9, ips=(ip_group(1, 9, in_time=0.8), ip_group(10, 9, in_time=0.79))),
        ],
        "Price: none measured.",
    ),
    "no trigger": (
        [run("a", "STEADY"), run("b", "STEADY")],
        "(fleet.policy: a → b): steady, like the reference.",
    ),
    "a policy with parameters": (
        [
            run("naive", "OUTAGE"),
            run("x", "RECOVERED", 3, scenario=scenario(fleet__policy={"name": "spread", "window_s": 8.0})),
        ],
        "“x” (fleet.policy: naive → spread window_s=8.0): the service recovered after 3 s",
    ),
    "one arm alone": (
        [run("a", "RECOVERED", 9, during=in_storm(11_000, 0.3), ips=(ALONE, OFFICE), limited=300)],
        "Effective p99 during the storm 11 s; effective p99 afterwards 60 ms; availability 50 %; "
        "pod CPU 30 %; reconnect attempts per disconnect 5.0×; refusals 300.",
    ),
}


@pytest.mark.parametrize(("runs", "expected"), SAID.values(), ids=SAID)
def test_what_is_said_of_a_fix(runs: list[Run], expected: str) -> None:
    assert expected in compare(runs).effects[0]


def test_of_one_arm_alone_both_groups_of_clients_are_told() -> None:
    assert compare([run("a", "RECOVERED", 9, ips=(ALONE, OFFICE))]).effects[-1] == (
        "Clients alone on an IP: recovered after 12 s; clients behind a shared IP (up to 10): "
        "recovered after 30 s."
    )


def test_nothing_is_said_of_fixes_where_no_run_is_valid() -> None:
    assert compare([run("a", "INVALID"), run("b", "INVALID")]).effects == ()
    assert compare([run("a", "STEADY")]).effects == ()


def test_of_many_arms_single_changes_and_the_best_are_told() -> None:
    runs = [
        run(f"{policy} + {limit}", "RECOVERED", after_s)
        for after_s, (policy, limit) in enumerate(((p, q) for p in "abcd" for q in "abcd"), start=10)
    ]
    best = run("d + d", "RECOVERED", 1)
    found = compare([*runs[:-1], best])
    assert len(runs) - 1 > MOST_FIXES
    told = [text.partition("” ")[0].removeprefix("“") for text in found.effects]
    assert told == ["a + b", "a + c", "a + d", "b + a", "c + a", "d + a", "d + d"]


def test_the_share_of_ticks_in_time_of_both_kinds_of_clients_is_a_median_over_runs() -> None:
    runs = [
        (ip_group(1, 5, in_time=alone), ip_group(10, 5, in_time=shared), ip_group(20, 5, in_time=0.0))
        for alone, shared in ((0.9, 0.2), (0.8, 0.4), (1.0, 0.8))
    ]
    alone, shared = ip_groups([*runs, (ip_group(1, 5), ip_group(10, 5))])
    assert (alone.ticks_in_time, shared.ticks_in_time) == (0.9, 0.2)
    assert ip_groups([(ip_group(1, 5),)])[0].ticks_in_time is None


def test_a_price_says_which_share_of_the_refusals_was_to_clients_behind_a_shared_ip() -> None:
    some = {**AFTER, "ips": (ip_group(1, 12, limited=100), OFFICE)}
    found = compare([run("naive", "METASTABLE", **BEFORE), run("naive + per-ip", "RECOVERED", 30, **some)])
    assert "refusals rose from 0 to 300 (75 % of them to clients behind a shared IP)" in found.effects[0]


@given(
    alone=st.lists(st.none() | st.integers(0, 90), min_size=1, max_size=5),
    later_s=st.integers(0, 30),
)
def test_the_recovery_of_a_group_is_that_of_its_middle_run(alone: list[int | None], later_s: int) -> None:
    runs = [
        (
            ip_group(1, after_s),
            ip_group(10, after_s),
            ip_group(20, None if after_s is None else after_s + later_s),
        )
        for after_s in alone
    ]
    first, shared = ip_groups(runs)
    assert (first.shared, first.most_per_ip, shared.shared, shared.most_per_ip) == (False, 1, True, 20)
    if first.recovered_s is None:
        assert shared.recovered_s is None
        assert 2 * alone.count(None) >= len(alone)
    else:
        # The largest group is the last one, in every run.
        assert shared.recovered_s == first.recovered_s + later_s
