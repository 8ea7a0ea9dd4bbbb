"""How many pods a timeline has at the same time, counting those whose place nobody else may have."""

import pytest

from scenarios.scenario.loader import load
from scenarios.scenario.timeline import places_needed

TIMELINES: dict[str, tuple[str, int]] = {
    "nothing happens": ("", 2),
    "a scale": ('{at_s=5, do="scale", pods=6}', 6),
    "up, down and up again": (
        '{at_s=5, do="scale", pods=6}, {at_s=9, do="scale", pods=1}, {at_s=12, do="scale", pods=5}',
        6,
    ),
    "a pod that comes back": ('{at_s=5, do="kill_pod"}, {at_s=9, do="scale", pods=3}', 3),
    "a pod that is dead for good, and three that run": (
        '{at_s=5, do="kill_pod", restart=false}, {at_s=9, do="scale", pods=3}',
        4,
    ),
    "killed twice is dead once": (
        '{at_s=5, do="kill_pod", restart=false, times=2, every_s=1}, {at_s=9, do="scale", pods=3}',
        4,
    ),
    "killed twice, and brought back between": (
        '{at_s=4, do="kill_pod", restart=false}, {at_s=5, do="kill_pod"}, {at_s=8, do="scale", pods=2},'
        ' {at_s=9, do="kill_pod", restart=false}, {at_s=12, do="scale", pods=2}',
        3,
    ),
    "a pod that is killed while it is about to come back is there for the deploy": (
        '{at_s=4, do="kill_pod", restart_after_s=5}, {at_s=6, do="kill_pod", restart=false},'
        ' {at_s=12, do="deploy"}',
        4,
    ),
    "what is switched off does not count": ('{at_s=5, do="scale", pods=9, enabled=false}', 2),
}


@pytest.mark.parametrize(("events", "needed"), TIMELINES.values(), ids=TIMELINES)
def test_places_are_counted_along_the_timeline(events: str, needed: int) -> None:
    assert places_needed(load("mass-drop", ["gateway.pods=2", f"event=[{events}]"])) == needed
