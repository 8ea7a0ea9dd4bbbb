"""Results of searches, made by hand."""

from typing import Any

from reports.tuning.result import (
    Constraints,
    Outcome,
    Score,
    Tuned,
    Tuning,
    chosen_and_front,
    ranked,
    score,
)

NO_CONSTRAINTS = Constraints()


def outcome(
    recover_s: float | None = 20.0, load: float | None = 0.5, victim_s: float | None = 30.0, **more: Any
) -> Outcome:
    return Outcome(
        **{
            "trigger": "share 1",
            "seed": 1,
            "verdict": "OUTAGE" if recover_s is None else "RECOVERED",
            "time_to_recover_s": recover_s,
            "peak_load": load,
            "base_load": 0.1,
            "nat_victim_s": victim_s,
            "availability": 0.8,
            "effective_p99_ms": 9_000.0,
            **more,
        }
    )


def scored(*values: float | None, **more: Any) -> Score:
    return score([outcome(*values, **more)])


def tuning(
    points: dict[str, tuple[float | None, float | None, float | None]],
    *,
    origins: dict[str, str] | None = None,
    constraints: Constraints = NO_CONSTRAINTS,
    **more: Any,
) -> Tuning:
    """A search with these finalists, each with one storm."""
    outcomes = {name: (outcome(*values),) for name, values in points.items()}
    scores = {name: score(found) for name, found in outcomes.items()}
    chosen, front = chosen_and_front(scores, constraints)
    return Tuning(
        **{
            "scenario": "mass-drop",
            "summary": "Everybody is dropped.",
            "clients": 300,
            "pods": 2,
            "constraints": constraints,
            "tried": len(points),
            "storms": len(points),
            "complete": True,
            "triggers": ("share 1", "share 0.5"),
            "seeds": 1,
            "chosen": chosen,
            "front": front,
            "finalists": tuple(
                Tuned(
                    name=name,
                    policy=name,
                    limit="none",
                    reset_backoff="open",
                    origin=(origins or {}).get(name, "drawn"),
                    score=scores[name],
                    outcomes=outcomes[name],
                    broken=constraints.broken(scores[name]),
                )
                for name in ranked(scores, constraints)
            ),
            "settings": "const socket = io(url);" if chosen else "",
            "command": "reconnect-storm tune",
            **more,
        }
    )
