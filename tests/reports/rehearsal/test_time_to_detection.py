"""The chapter on the time to detection, and the same for programs."""

import json
from pathlib import Path

import pytest

from reports.alerts.detections import Detection
from reports.alerts.rules import ALERT_RULES
from reports.rehearsal.facts import facts
from reports.rehearsal.story import detection, fires_after
from reports.rehearsal.write import write_rehearsal
from reports.rundir.reader import Run
from tests.support.histories import TRIGGER_S, second, seconds, storm
from tests.support.rehearsals import plain


def saturated() -> Run:
    """A storm in which the loop of a pod is saturated from the trigger on."""
    return plain(
        [
            {**row, "pod_loop_max": 0.99 if row["disconnects"] or t > TRIGGER_S else 0.1}
            for t, row in enumerate(storm(0.0))
        ]
    )


def gentle() -> Run:
    """Everybody is dropped, and back a second later."""
    calm = seconds(0, TRIGGER_S)
    return plain([*calm, second(TRIGGER_S, disconnects=100.0, attempts=100.0), *seconds(TRIGGER_S + 1, 40)])


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (Detection(rule="a", earliest_s=5, latest_s=9), "5 to 9 s"),
        (Detection(rule="a", earliest_s=5, latest_s=5), "5 s"),
        (Detection(rule="a", earliest_s=5), "5 s, or never"),
        (Detection(rule="a"), "never"),
        (Detection(rule="a", before=True), "fired before the trigger"),
        (Detection(rule="a", known=False), "not recorded"),
    ],
)
def test_a_rule_fires_after_some_time_or_it_is_said_why_not(found: Detection, text: str) -> None:
    assert fires_after(found) == text


def test_every_rule_is_in_the_report_with_its_condition(tmp_path: Path) -> None:
    files = write_rehearsal(saturated(), tmp_path)
    text = files.markdown.read_text(encoding="utf-8").partition("## Time to detection")[2]
    for rule in ALERT_RULES.values():
        assert rule.filled_in(rule.condition) in text
    row = next(line for line in text.splitlines() if line.startswith("| GatewayLoopSaturated"))
    assert row.rstrip("| ").endswith("5 to 9 s")
    told = json.loads(files.json.read_text(encoding="utf-8"))["detections"]
    assert {
        "rule": "GatewayLoopSaturated",
        "earliest_s": 5,
        "latest_s": 9,
        "before": False,
        "known": True,
    } in told


def test_it_is_said_where_nobody_would_have_been_paged() -> None:
    first = detection(facts(gentle()))[0]
    assert getattr(first, "text", "") == "No alert rule would have fired."
    assert detection(facts(saturated()))[0] != first


def test_without_a_trigger_there_is_no_table() -> None:
    (only,) = detection(facts(plain(seconds(0, 20), trigger_s=None)))
    assert getattr(only, "text", "") == "There was no trigger, or nothing was recorded after it."
