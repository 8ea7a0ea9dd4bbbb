"""What things cost, read off recorded runs: a least-squares fit of CPU on what was done, second by second.

    pod CPU   = idle + a·handshakes + b·joins + f·ticks          for each second of each pod
    nginx CPU = idle + d·attempts + e·ticks                      for each second

What the scenario itself charges is taken off a, b and f. A gateway of the user's own does not count its
handshakes: there b is a whole one, fitted to all pods together in seconds in which every attempt joined. No
cost is negative. Ranges are the middle 95 % of fits to seconds that were drawn again, with replacement. They
are no 95 % intervals: seconds of one run are not independent of each other, and runs differ by more than
their seconds do.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct
from msgspec.structs import asdict

from gateway_stub.protocol import UPGRADE_SHARE
from reports.rundir.reader import Run
from scenarios.simulator.costs import Costs

Floats = npt.NDArray[np.float64]

_DEFAULT = Costs()
_DRAWS = 200
_FEWEST_SECONDS = 20
_POD = ("handshakes", "joined", "ticks_sent")
_EDGE = ("attempts", "ticks")
_OWN = ("pods", "joined", "ticks")
_UNANSWERED = ("timeout", "reset", "rejected", "broken", "abandoned")
"""Attempts that may have cost a pod something, nobody knows what."""


class CalibrationError(ValueError):
    """Runs from which nothing can be learned; the message says why."""


class Fitted(Struct, frozen=True):
    """One cost: CPU-seconds, and the range of it."""

    name: str
    value: float
    low: float
    high: float


class Calibration(Struct, frozen=True, kw_only=True):
    """What runs say about the costs of their gateway."""

    costs: Costs
    fitted: tuple[Fitted, ...]
    seconds: int
    """Of pods, that the fit rests on."""


def calibrate(runs: Sequence[Run], costs: Costs = _DEFAULT, seed: int = 1) -> Calibration:
    """The costs of the gateway that these runs had; what they do not tell stays as in `costs`.

    Raises CalibrationError where the runs are too short, predicted, or of gateways that differ.
    """
    gateways = {_gateway(run) for run in runs}
    if len(gateways) != 1:
        raise CalibrationError(f"the runs have {len(gateways)} different gateways: expected 1")
    if any(run.info.predicted for run in runs):
        raise CalibrationError("costs cannot be fitted to predicted runs: expected measured ones")
    own = bool(runs[0].info.scenario["gateway"].get("command"))
    pods = _own_seconds(runs) if own else [row for run in runs for row in run.pods if _steady(row)]
    seconds = [row for run in runs for row in run.rows if _steady(row) and row.get("nginx_cpu") is not None]
    if len(pods) < _FEWEST_SECONDS:
        what = "seconds in which every attempt joined" if own else "pod-seconds"
        raise CalibrationError(f"the runs have {len(pods)} {what}: expected at least {_FEWEST_SECONDS}")
    rng = np.random.default_rng(seed)
    fitted = _own_costs(pods, rng) if own else _stub_costs(pods, runs[0].info.scenario["gateway"], rng)
    if len(seconds) >= _FEWEST_SECONDS:
        nginx_idle, request, passed_on = _fit(seconds, _EDGE, "nginx_cpu", rng)
        fitted += [
            _less("nginx_request_cpu_s", request, 0.0),
            _less("nginx_tick_cpu_s", passed_on, 0.0),
            _less("nginx_idle_cpu", nginx_idle, 0.0),
        ]
    starts = [spent for run in runs for spent in _starts_s(run.events)]
    if starts:
        fitted.append(Fitted("pod_start_s", median(starts), min(starts), max(starts)))
    found = {one.name: one.value for one in fitted}
    return Calibration(costs=Costs(**{**asdict(costs), **found}), fitted=tuple(fitted), seconds=len(pods))


def _stub_costs(
    pods: Sequence[Mapping[str, float | None]], gateway: Mapping[str, Any], rng: np.random.Generator
) -> list[Fitted]:
    charged_s = gateway["handshake_cpu_ms"] / 1000 if gateway["cpu"] == "burn" else 0.0
    tick_s = gateway["tick_cpu_us"] / 1e6 if gateway["cpu"] == "burn" else 0.0
    idle, upgrade, join, tick = _fit(pods, _POD, "cpu", rng)
    return [
        _less("upgrade_cpu_s", upgrade, UPGRADE_SHARE * charged_s),
        _less("join_cpu_s", join, (1 - UPGRADE_SHARE) * charged_s),
        _less("tick_cpu_s", tick, tick_s),
        _less("idle_cpu", idle, 0.0),
    ]


def _own_costs(seconds: Sequence[Mapping[str, float | None]], rng: np.random.Generator) -> list[Fitted]:
    """Of a gateway of the user's own, which does not count handshakes: the clients' joins and ticks do it."""
    idle, join, tick = _fit(seconds, _OWN, "pod_cpu_total", rng, constant=False)
    if not join[0]:
        raise CalibrationError(
            "the runs do not tell the CPU of a handshake: run `reconnect-storm measure` instead"
        )
    return [
        Fitted("upgrade_cpu_s", *(UPGRADE_SHARE * number for number in join)),
        Fitted("join_cpu_s", *((1 - UPGRADE_SHARE) * number for number in join)),
        Fitted("tick_cpu_s", *tick),
        Fitted("idle_cpu", *idle),
    ]


def _own_seconds(runs: Sequence[Run]) -> list[Mapping[str, float | None]]:
    """Seconds of all pods together in which every attempt that reached a pod joined."""
    found: list[Mapping[str, float | None]] = []
    for run in runs:
        pods = Counter(row["t_s"] for row in run.pods)
        found += [
            {**row, "pods": float(pods[row["t_s"]])}
            for row in run.rows
            if _steady(row) and pods[row["t_s"]] and not any(row.get(name) for name in _UNANSWERED)
        ]
    return found


def _gateway(run: Run) -> tuple[Any, ...]:
    gateway = run.info.scenario["gateway"]
    if gateway.get("command"):
        return (str(gateway["command"]), str(gateway.get("environment")))
    return tuple(gateway[key] for key in ("cpu", "handshake_cpu_ms", "tick_cpu_us", "snapshot_bytes"))


def _steady(row: Mapping[str, float | None]) -> bool:
    t_s = row.get("t_s")
    return t_s is not None and t_s >= 0


def _fit(
    rows: Sequence[Mapping[str, float | None]],
    names: Sequence[str],
    target: str,
    rng: np.random.Generator,
    *,
    constant: bool = True,
) -> list[tuple[float, float, float]]:
    """(value, low, high) of the constant, if there is one, and of each named column."""
    first = [1.0] if constant else []
    features = np.array([[*first, *(row.get(name) or 0.0 for name in names)] for row in rows])
    cpu = np.array([row.get(target) or 0.0 for row in rows])
    value = nnls(features, cpu)
    draws = []
    for _ in range(_DRAWS):
        chosen = rng.integers(0, len(cpu), len(cpu))
        draws.append(nnls(features[chosen], cpu[chosen]))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return [(float(v), float(a), float(b)) for v, a, b in zip(value, low, high, strict=True)]


def nnls(features: Floats, target: Floats) -> Floats:
    """The x ≥ 0 with the smallest |features·x - target|: Lawson and Hanson (1974), chapter 23.

    features: (rows, columns); target: (rows,). Returns (columns,).
    """
    columns = features.shape[1]
    solved, free = np.zeros(columns), np.zeros(columns, bool)
    small = 10 * np.finfo(float).eps * max(features.shape) * float(np.abs(features).sum(axis=0).max())
    # Each turn frees one; few are ever bound again.
    for _ in range(3 * columns):
        slope = np.where(free, -np.inf, features.T @ (target - features @ solved))
        if slope.max() <= small:
            break
        free[slope.argmax()] = True
        while free.any():
            wanted = np.zeros(columns)
            wanted[free] = np.linalg.lstsq(features[:, free], target, rcond=None)[0]
            below = wanted < 0
            if not below.any():
                solved = wanted
                break
            # As far towards it as none falls below 0; the first to be there is bound again.
            shares = np.full(columns, np.inf)
            shares[below] = solved[below] / (solved[below] - wanted[below])
            solved = solved + shares.min() * (wanted - solved)
            free &= shares > shares.min()
            solved[~free] = 0
    return solved


def _less(name: str, fitted: tuple[float, float, float], charged: float) -> Fitted:
    value, low, high = (max(0.0, number - charged) for number in fitted)
    return Fitted(name, value, low, high)


def _starts_s(events: Iterable[Mapping[str, Any]]) -> list[float]:
    """How long it took until pods that were added were ready."""
    found, began_s = [], None
    for event in events:
        if event.get("event") != "scale":
            continue
        if event.get("phase") == "begin":
            began_s = event["t_s"]
        elif began_s is not None and event.get("added"):
            found.append(event["t_s"] - began_s)
    return found
