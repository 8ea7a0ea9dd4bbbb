"""Literal runs in which more than the trigger struck, for tests of what reports say about them."""

from typing import Any

from reports.rundir.reader import Run
from reports.rundir.series import Row
from tests.support.histories import (
    END_S,
    TRIGGER_S,
    Event,
    history,
    pod_second,
    scenario,
    storm,
    strike,
)

BURST = strike("feed_burst", "fault", 8.05, 12.06, factor=4.0, for_s=4.0)
SCALE = [
    *strike("scale", "mitigation", 16.05, pods=3),
    {**strike("scale", "mitigation", 0, 18.5, pods=3)[1], "added": 1, "removed": 0},
]
PUSH = strike("push_policy", "mitigation", 20.05, 22.06, policy="incident", reach_s=2.0)
LIMIT = strike("set_limit", "mitigation", 20.05, 20.2, limit="per-ip")


def pods(*, late: bool, back_s: int | None) -> list[Row]:
    """Two pods, saturated from one second after the trigger on, and a third one where `late`."""
    return [
        pod_second(t, pod, loop=0.98 if TRIGGER_S < t < (back_s or END_S) else 0.06, clients=10.0 + 30 * pod)
        for t in range(END_S)
        for pod in range(3 if late else 2)
        if pod < 2 or t >= 19
    ]


def acted(name: str, back_s: int | None, *actions: list[Event], limited: float = 0.0, **info: Any) -> Run:
    """A burst for four seconds, then `actions`; the clients are back in second `back_s`, or never."""
    rows = storm(lambda t: 100.0 if back_s and t >= back_s else 5.0)
    refused = [row | {"limited": limited, "nginx_limited": limited} for row in rows]
    events = [*BURST, *(line for action in actions for line in action)]
    made: dict[str, Any] = {"scenario": scenario(fleet__policy=name), "trigger_end_s": 13} | info
    return history(
        refused,
        arm=name,
        events=events,
        pods=pods(late=SCALE in actions, back_s=back_s),
        tail_from_s=48,
        **made,
    )


def incident() -> list[Run]:
    """Four arms, as in the incident."""
    return [
        acted("nothing", None),
        acted("scale", None, SCALE),
        acted("scale + push", 30, SCALE, PUSH),
        acted("scale + push + limit", 26, SCALE, PUSH, LIMIT, limited=3.0),
    ]
