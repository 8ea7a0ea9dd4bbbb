"""Each pod for itself, on literal histories."""

import pytest

from reports.analysis.metrics import summarise
from reports.analysis.pods import PodSummary, pod_summaries, spread
from reports.rundir.series import Row
from tests.support.histories import END_S, TRIGGER_S, history, pod_second, seconds, storm


def busy(pod: int, from_s: int, to_s: int, until_s: int = END_S, since_s: int = 0) -> list[Row]:
    """A pod that reports in [since_s, until_s), with a full loop in [from_s, to_s)."""
    return [
        pod_second(t, pod, loop=0.97 if from_s <= t < to_s else 0.2, cpu=0.5) for t in range(since_s, until_s)
    ]


def summaries(*rows: Row, to_s: int = END_S) -> tuple[PodSummary, ...]:
    return pod_summaries(history(storm(0.0), pods=rows), TRIGGER_S, to_s)


SATURATED: dict[str, tuple[list[Row], int | None]] = {
    "at once": (busy(0, 8, 20), 0),
    "later": (busy(0, 15, 20), 7),
    "for three seconds": (busy(0, 15, 18), 7),
    "for two seconds only": (busy(0, 15, 17), None),
    "for two and then for three": ([*busy(0, 15, 17, 20), *busy(0, 25, 28, since_s=20)], 17),
    "before the trigger alone": (busy(0, 2, 8), None),
    "before the trigger and after it": (busy(0, 2, 12), 0),
    "with a second between of which nothing is known": (
        [row for row in busy(0, 15, 19) if row["t_s"] != 17],
        None,
    ),
    "never": (busy(0, 0, 0), None),
}


@pytest.mark.parametrize(("rows", "after_s"), SATURATED.values(), ids=SATURATED)
def test_a_pod_is_saturated_once_its_loop_was_full_for_three_seconds_on_end(
    rows: list[Row], after_s: int | None
) -> None:
    (pod,) = summaries(*rows)
    assert pod.saturated_after_s == after_s


def test_a_pod_that_joined_later_is_counted_from_its_first_report() -> None:
    first, second = summaries(*busy(0, 10, 62), *busy(1, 32, 62, since_s=30))
    assert (first.joined_after_s, first.saturated_after_s) == (None, 2)
    assert (second.joined_after_s, second.saturated_after_s) == (22, 2)


def test_what_a_pod_did_before_the_trigger_and_after_the_stretch_does_not_count() -> None:
    rows = [pod_second(t, 0, cpu=0.25 if 8 <= t < 10 else 1.0, loop=0.5) for t in range(20)]
    (pod,) = summaries(*rows, to_s=10)
    assert (pod.cpu, pod.loop) == (0.25, 0.5)
    assert summaries(*(pod_second(t, 0) for t in range(8))) == ()


def test_clients_are_spread_over_the_pods_that_are_there_at_the_end() -> None:
    rows = [
        *(pod_second(t, 0, clients=60.0) for t in range(END_S)),
        *(pod_second(t, 1, clients=20.0) for t in range(END_S - 2)),
        *(pod_second(t, 2, clients=10.0) for t in range(END_S - 20)),
    ]
    found = summaries(*rows)
    assert [pod.clients_at_end for pod in found] == [60, 20, None]
    assert spread(found) == 60 / 40


def test_nobody_is_spread_over_nothing() -> None:
    assert spread(()) is None
    assert spread(summaries(*(pod_second(t, 0, clients=0.0) for t in range(END_S)))) is None


def test_a_summary_looks_at_pods_up_to_the_rescue_and_without_a_trigger_at_all_of_them() -> None:
    rows = busy(0, 8, 62)
    rescued = summarise(history(storm(0.0), rescued_at_s=48, pods=[*rows, pod_second(50, 1)]))
    assert [pod.pod for pod in rescued.pods] == [0]
    assert rescued.pod_spread == 1
    calm = summarise(history(seconds(0, 62), trigger_s=None, pods=rows))
    assert [(pod.pod, pod.saturated_after_s) for pod in calm.pods] == [(0, 8)]
