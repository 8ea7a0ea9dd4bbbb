"""Objectives name a metric that exists in their phase, or say which ones do."""

from pathlib import Path

import msgspec
import pytest

from scenarios.scenario.model import Abort
from scenarios.scenario.slo import Hypothesis, Objective, PhaseMetric, StormMetric


def test_an_objective_is_read_from_plain_values() -> None:
    found = msgspec.convert({"metric": "availability", "operator": ">=", "bound": 0.99}, Objective)
    assert found == Objective(metric="availability", phase="storm", operator=">=", bound=0.99)


@pytest.mark.parametrize(
    ("phase", "metric", "expected"),
    [
        ("storm", "pod_cpu", "time_to_recover_s"),
        ("after", "time_to_recover_s", "pod_cpu"),
        ("before", "p99", "fanout_p99_ms"),
    ],
)
def test_a_metric_that_a_phase_does_not_have_is_refused_with_those_it_has(
    phase: str, metric: str, expected: str
) -> None:
    raw = {"metric": metric, "phase": phase, "operator": "<", "bound": 1}
    with pytest.raises(
        msgspec.ValidationError, match=f"invalid value '{metric}': expected .*{expected}.*{phase}"
    ):
        msgspec.convert(raw, Objective)


def test_a_hypothesis_has_words_beside_its_bound() -> None:
    raw = {
        "statement": "Everybody is back within 90 s.",
        "metric": "time_to_recover_s",
        "operator": "<=",
        "bound": 90,
    }
    assert msgspec.convert(raw, Hypothesis).statement == "Everybody is back within 90 s."


def test_the_page_on_rehearsals_names_every_metric_and_every_abort_condition() -> None:
    text = (Path(__file__).parents[3] / "docs" / "rehearsals.md").read_text(encoding="utf-8")
    for metric in (*PhaseMetric.__args__, *StormMetric.__args__):  # type: ignore[attr-defined]
        assert f"`{metric}`" in text
    for key in Abort.__struct_fields__:
        assert f"`{key}`" in text
