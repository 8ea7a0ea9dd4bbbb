"""The storm at one pod, as a Markov chain whose distribution is moved on instead of drawn from.

A client waits for its delay, is on its way, stands in the pod's accept queue, and joins, or gives up at its
connect time-out and waits again:

    waiting(n) ── delay n, travel ──► queue (first in, first out, `backlog` long) ──► joined
        ▲                                │ full: once more after 1, 3, 7 s
        └──── waiting(n + 1) ◄── time-out┘

Its state is the number n of its attempt and the travel time x of its requests, which is its own and stays the
same: clients without jitter come back in the same order each time, so those that were too late are too late
again. What all clients do together decides how long the queue is, and so each client's chances: a mean-field
chain. Numbers of clients are expected values, and need not be whole; nothing is drawn.

Work of a connection whose client has gone is done all the same. A busy pod takes `turns_per_tick` connections
per tick, so it lags behind its feed where these take longer than the time between two ticks.

Source: derived here, as the limit of the simulator's own rules (`scenarios/simulator/loop/pods/turns.py`) for
many clients; mean-field limits in general: M. Benaïm and J.-Y. Le Boudec, A class of mean field interaction
models for computer and communication systems, Performance Evaluation 65 (2008).
"""

import math
from collections import deque
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from scenarios.estimate.buckets import Buckets
from scenarios.estimate.delays import Delay
from scenarios.estimate.pod import Pod
from scenarios.simulator.loop.at import SECOND, SYN_AGAIN_AFTER

Floats = npt.NDArray[np.float64]

_AGAIN_AFTER_S = (0.0, *(after / SECOND for after in SYN_AGAIN_AFTER))
"""From the first SYN to each one."""
_TRAVELS = 8
"""Classes of travel times, each with as many clients."""
_BINS = 3_000
"""Of time, at the most."""
_SHORTEST_BIN_S = 0.01
_BINS_PER_TIMEOUT = 40
_NOBODY = 1e-9
_ALL = 1e-4
"""Of the clients: so few may be missing from all of them."""
_LAGS = 0.5
"""Ticks."""
_WAITS = 0.5
"""Connections."""
_LEAST_SPEED = 0.05


class Course(Struct, frozen=True):
    """What a pod goes through from the trigger on, in steps of `step_s`; arrays of shape (steps,)."""

    step_s: float
    connected: Floats
    """Clients with a session at the end of each step."""
    lag_s: Floats
    """How far the pod is behind its feed."""
    busy: Floats
    """Share of the pod's time that handshakes take."""
    handshake_s: Floats
    """How long one of them takes; 0 where there is none."""
    queues: npt.NDArray[np.bool_]
    """Whether connections wait, so that every turn of the loop takes one."""
    attempts: Floats
    """Attempts that arrive in each step."""
    cpu: Floats
    """CPU-seconds per second that the pod takes for handshakes."""


def step_s_of(pod: Pod, horizon_s: float) -> float:
    """Fine enough for the connect time-out, and no more than `_BINS` steps."""
    return max(
        _SHORTEST_BIN_S,
        min(pod.timeout_s / _BINS_PER_TIMEOUT, (pod.travel_s[1] - pod.travel_s[0]) / 4),
        horizon_s / _BINS,
    )


def course(pod: Pod, delays: Sequence[Delay], horizon_s: float) -> Course:
    """Moves the chain on from the trigger to the horizon, both in seconds."""
    return _Chain(pod, delays, horizon_s).run()


class _Waiting:
    """Clients who came into the accept queue in one step."""

    __slots__ = ("clients", "left", "since", "size", "times")

    def __init__(self, since: int, times: int, clients: Floats, size: float) -> None:
        self.since = since
        self.times = times
        """How often they have retransmitted."""
        self.clients = clients
        """By number of the attempt and lane."""
        self.size = self.left = size
        """All of them, and those that the pod has not taken yet."""


class _Chain:
    def __init__(self, pod: Pod, delays: Sequence[Delay], horizon_s: float) -> None:
        self.pod = pod
        self.step_s = step_s = step_s_of(pod, horizon_s)
        self.steps = steps = math.ceil(horizon_s / step_s)
        first_s, last_s = pod.travel_s
        self.width_s = (last_s - first_s) / _TRAVELS
        travel_s = first_s + self.width_s * (np.arange(_TRAVELS) + 0.5)
        self.travel_s = np.tile(travel_s, len(pod.shared_ips))
        """Of each lane: one for each travel time of each kind of shared IP."""
        self.shares = np.repeat([kind.share / _TRAVELS for kind in pod.shared_ips], _TRAVELS)
        """Of the clients in each lane."""
        lanes = len(self.shares)
        self.limits = [Buckets(bucket, pod, step_s) for bucket in pod.buckets]
        self.travel_steps = np.round(self.travel_s / step_s).astype(np.int64)
        self.patience = np.round((pod.timeout_s - self.travel_s) / step_s).astype(np.int64)
        """From the arrival of an attempt until its client gives up, in steps, by lane."""
        self.levels = len(delays)
        room = steps + int(pod.timeout_s / step_s) + 20
        shape = room, self.levels, lanes
        self.changes = np.zeros(shape)
        """Of the rate of arrivals, by number of the attempt and lane."""
        self.failing = np.zeros(shape)
        """Attempts by the step in which they end without a session."""
        self.again = {times: np.zeros(shape) for times in (1, 2, 3) if self._retransmits(times)}
        """Those who found the queue full, by the step in which they retransmit for the n-th time."""
        self.rate = np.zeros((self.levels, lanes))
        self.places: list[tuple[npt.NDArray[np.int64], Floats]] = []
        for delay in delays:
            bins, change = delay.changes(step_s)
            self.places.append((bins[:, None] + self.travel_steps, change[:, None]))
        self.room = room
        self.columns = np.arange(lanes)
        self.delays = delays
        self.reached = 1
        """Levels that anybody is at."""
        self.queue: deque[_Waiting] = deque()
        self.queued = 0.0
        self.joined = pod.staying

    def _retransmits(self, times: int) -> bool:
        return _AGAIN_AFTER_S[times] + self.pod.travel_s[0] < self.pod.timeout_s

    def _come_back(self, level: int, clients: Floats, step: int) -> None:
        """These, by lane, begin to wait for attempt `level`."""
        at, change = self.places[level]
        at = at + step
        np.minimum(at, self.room - 1, out=at)
        # Of one lane all places differ, but for those behind the end, which nobody reads.
        self.changes[at, level, self.columns] += change * clients

    def run(self) -> Course:
        """Step by step, until nothing changes any more."""
        pod, step_s, steps = self.pod, self.step_s, self.steps
        connected, lag_s, busy, handshake_s, attempts, cpu = (np.zeros(steps) for _ in range(6))
        queues = np.zeros(steps, bool)
        cpu_share = pod.join_cpu_s / (pod.upgrade_s + pod.join_s) if pod.join_s else 0.0
        self._come_back(0, pod.returning * self.shares, 0)
        second = max(1, round(1 / step_s))
        calm = self._calm_after()
        closing_s, lag, asked, step = pod.returning * pod.close_s, 0.0, 0.0, 0
        due = pod.rate_hz * step_s
        for step in range(steps):
            self._fail(step)
            speed = pod.speed - pod.proxy_cores * asked / step_s - pod.tick_cores * self.joined
            speed = max(_LEAST_SPEED, speed)
            tick_s = self.joined * pod.tick_s
            budget_s = max(0.0, speed - pod.idle) * step_s
            closed_s = min(budget_s, closing_s)
            closing_s -= closed_s
            budget_s -= closed_s
            lags = lag > _LAGS
            work_s, taken = self._serve(step, budget_s, speed, tick_s, lags=lags)
            most = (budget_s - work_s) / tick_s if tick_s > 0 else math.inf
            if self.queued > _WAITS and lags:
                most = min(most, taken / pod.turns_per_tick)
            lag = max(0.0, lag + due - min(most, due + lag))
            asked = self._arrive(step)
            connected[step], attempts[step], lag_s[step] = self.joined, asked, lag / pod.rate_hz
            busy[step] = work_s / (speed * step_s)
            handshake_s[step] = work_s / taken / speed if taken > _NOBODY else 0.0
            queues[step] = self.queued > _WAITS
            cpu[step] = work_s * cpu_share / step_s
            if step % second == 0 and self._is_over(connected, step, lag, calm):
                break
        # Where nobody is left to come, nothing more happens; where nobody gets in, the same happens again.
        connected[step + 1 :] = self.joined
        lag_s[step + 1 :] = lag / pod.rate_hz
        if not self._everybody:
            for column in (busy, handshake_s, attempts, cpu, queues):
                column[step + 1 :] = column[max(0, step + 1 - calm[1]) : step + 1].mean() if step else 0
        return Course(step_s, connected, lag_s, busy, handshake_s, queues, attempts, cpu)

    def _calm_after(self) -> tuple[int, int]:
        """(steps after which every client is at the last level, steps of three rounds there)."""
        rounds = [delay.edges_s[-1] + self.pod.timeout_s + self.pod.travel_s[1] for delay in self.delays]
        last = math.ceil(3 * rounds[-1] / self.step_s)
        return math.ceil(sum(rounds[:-1]) / self.step_s) + last, last

    @property
    def _everybody(self) -> bool:
        return self.pod.clients - self.joined < _ALL * self.pod.clients

    def _is_over(self, connected: Floats, step: int, lag: float, calm: tuple[int, int]) -> bool:
        """Whether nothing changes any more."""
        if self._everybody:
            return self.queued < _WAITS and lag < _LAGS
        settled, rounds = calm
        return step > settled + rounds and self.joined - connected[step - rounds] < _ALL * self.pod.clients

    def _fail(self, step: int) -> None:
        """Clients give up their attempts, and wait for the next one."""
        for level in range(self.reached):
            gone = self.failing[step, level]
            if gone.any():
                self._next(level, gone, step)

    def _next(self, level: int, clients: Floats, step: int) -> None:
        """Attempt `level` of these has failed."""
        after = min(level + 1, self.levels - 1)
        self._come_back(after, clients, step)
        self.reached = max(self.reached, after + 1)

    def _arrive(self, step: int) -> float:
        """Attempts reach the pod; returns how many."""
        for limit in self.limits:
            limit.leak()
        self.rate += self.changes[step]
        arriving = np.maximum(self.rate, 0.0)
        asked = begun = float(arriving.sum())
        if self.limits and begun > _NOBODY:
            arriving = self._limited(step, arriving)
            begun = float(arriving.sum())
        if begun > _NOBODY:
            self.failing[step + self.patience, :, self.columns] += arriving.T
            self._enqueue(step, 0, arriving, begun)
        for times, ring in self.again.items():
            total = float(ring[step].sum())
            if total > _NOBODY:
                self._enqueue(step, times, ring[step], total)
        return asked

    def _limited(self, step: int, arriving: Floats) -> Floats:
        """Which of these the proxy lets pass; the others wait for their next attempt."""
        passing = arriving
        for limit in self.limits:
            passing = passing * limit.passes(passing.sum(axis=0))
        for limit in self.limits:
            limit.charge(passing.sum(axis=0))
        refused = arriving - passing
        for level in range(self.reached):
            if refused[level].sum() > _NOBODY:
                self._next(level, refused[level], step)
        return passing

    def _enqueue(self, step: int, times: int, clients: Floats, total: float) -> None:
        share = min(1.0, max(0.0, self.pod.backlog - self.queued) / total)
        if share > 0:
            self.queue.append(_Waiting(step, times, clients * share, total * share))
            self.queued += total * share
        if share < 1 and times + 1 in self.again:
            wait_s = _AGAIN_AFTER_S[times + 1]
            at = step + round((wait_s - _AGAIN_AFTER_S[times]) / self.step_s)
            patient = self.travel_s + wait_s < self.pod.timeout_s
            if at < self.room:
                self.again[times + 1][at] += clients * (1 - share) * patient

    def _serve(
        self, step: int, budget_s: float, speed: float, tick_s: float, *, lags: bool
    ) -> tuple[float, float]:
        """Takes connections from the queue; returns (seconds of work for them, their number).

        A pod that lags behind its feed sends a part of a tick in every turn; another sends its ticks first.
        """
        pod, step_s = self.pod, self.step_s
        part_s = tick_s / pod.turns_per_tick
        feed_s = tick_s * pod.rate_hz * step_s
        work_s = taken = 0.0
        while self.queue:
            first = self.queue[0]
            stays = self._stays(first, step, speed)
            there = 0.0 if stays is None else float((first.clients * stays).sum()) / first.size
            one_s = pod.upgrade_s + there * pod.join_s
            turns = (budget_s - work_s - taken * part_s) / (one_s + part_s)
            can = turns if lags else max(turns, (budget_s - feed_s - work_s) / one_s)
            if can <= 0:
                break
            some = min(first.left, can)
            work_s += some * one_s
            taken += some
            if stays is not None and there > 0:
                self._join(first, stays * (some / first.size), step)
            self.queued -= some
            first.left -= some
            if first.left > _NOBODY:
                break
            self.queue.popleft()
        return work_s, taken

    def _stays(self, waiting: "_Waiting", step: int, speed: float) -> Floats | None:
        """Which share of these is there until its handshake is done, by lane; None where nobody is."""
        pod = self.pod
        elapsed_s = (step - waiting.since) * self.step_s + _AGAIN_AFTER_S[waiting.times]
        slack_s = pod.timeout_s - elapsed_s - (pod.upgrade_s + pod.join_s) / speed - self.travel_s
        spread_s = max(self.width_s, self.step_s)
        if slack_s.max() <= -spread_s / 2:
            return None
        shares: Floats = np.clip(0.5 + slack_s / spread_s, 0.0, 1.0)
        return shares

    def _join(self, waiting: "_Waiting", shares: Floats, step: int) -> None:
        """These have a session, and do not give up."""
        joining = waiting.clients * shares
        self.joined += float(joining.sum())
        begun = waiting.since - round(_AGAIN_AFTER_S[waiting.times] / self.step_s)
        self.failing[np.maximum(begun + self.patience, step + 1), :, self.columns] -= joining.T
