"""One modelled run, as the rest of the program sees it: orders to the loop in, counts out.

    waiting ── delay and travel over ──► at the edge ──► accept queue ──► upgraded ──► joined
       ▲                                    │ limited       │ timed out               │ stale, dropped
       └────────────────────────────────────┴───────────────┴─────────────────────────┘

The loop is compiled (`loop/`). It comes back to Python where it needs something: room, longer tables of
delays, or the orders of policies that are told outcomes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from gateway_stub.protocol import UPGRADE_SHARE, Admission
from scenarios.clients import endings
from scenarios.clients.endings import Ending
from scenarios.limits.registry import Limits
from scenarios.policies.following import Policy
from scenarios.policies.registry import policy as policy_of
from scenarios.scenario.model import Scenario
from scenarios.simulator.admission.refusals import refusal_cpu_s
from scenarios.simulator.admission.windows import PodWindows
from scenarios.simulator.arrays import nanoseconds, new_world
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.costs import Costs
from scenarios.simulator.delays import no_rows, rows_of
from scenarios.simulator.edge.edge import Edge
from scenarios.simulator.known_endings import KnownEndings
from scenarios.simulator.loop import at
from scenarios.simulator.loop.world import World, larger_calendar, next_bucket
from scenarios.simulator.machine.machine import machine_play
from scenarios.simulator.reconnects import Reconnects
from scenarios.simulator.recorder import Recorder, Said
from scenarios.wire.interval import Interval

Ints = npt.NDArray[np.int64]

LONGEST_RAMP_S = 3.0
"""In which clients that are not served make their first attempts: then the steady state begins."""


class Engine:
    """One modelled run. Everybody is joined at second 0; ticks count from 0, too.

    due: when each tick that there may be is due, in nanoseconds. pods: the most that there ever are.
    """

    def __init__(self, scenario: Scenario, costs: Costs, *, pods: int, seconds: int, due: Ints) -> None:
        self._loop = machine_play()
        fleet = scenario.fleet
        self.costs = costs
        self.rng = np.random.default_rng(fleet.seed)
        """What is drawn for the model as a whole; what a client draws is its own."""
        self._scenario = scenario
        self.table = table = ClientTable(fleet, self.rng)
        self.world, self.tables = new_world(scenario, costs, table, pods=pods, seconds=seconds, due=due)
        clients = np.bincount(table.cell, minlength=len(table.cells))
        self._listed: tuple[World, Ints, int] | None = None
        self._taken = 0
        self.recorder = Recorder(
            self.tables, cells=table.cells, cell_clients=clients, grouped=bool(fleet.group)
        )
        served = np.array([cell.is_served for cell in table.cells])
        self.tables[at.AWAY_BY_HELD][0] = np.where(served, clients, 0)
        self._endings = KnownEndings()
        self._reconnects = Reconnects(fleet, self._endings, self.tables[at.POLICIES], self.tables[at.STOPS])
        self.edge = Edge(scenario, table, costs, self.world, self.tables, seconds=seconds)
        self._enter(self.edge.start_over())
        self._windows = PodWindows(self.world.s)
        self.admission = Admission()
        self._begin_policies()
        self._pushes = 0
        self.pushed: Any = None
        """Of the policy that was pushed last: (its clients, when it reaches each, in seconds)."""

    # -- the loop -----------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Seconds of the model."""
        return int(self.world.s[at.NOW]) / at.SECOND

    def run_until(self, t_s: float) -> None:
        """Lets everything happen up to that moment, and in it."""
        while not self._play(at.RUN, nanoseconds(t_s)):
            pass

    def _place_of(self, ending: Ending) -> int:
        place = self._endings.place_of(ending)
        self._learn()
        return place

    def _learn(self) -> None:
        """Policies know all endings that there are now."""
        self._reconnects.learn(self._endings.take_news())

    def _play(self, order: int, number: int = 0, rows: Any = None) -> bool:
        """Gives an order, and sees to what the loop needs then; returns whether that was nothing."""
        self._make_room()
        self._loop(self._places(), order, number, no_rows() if rows is None else rows)
        needs = bool(self.world.s[at.NEED])
        if needs:
            self._see_to()
        return not needs

    def _places(self) -> int:
        """Where the loop finds the list of the arrays; list and arrays are kept for as long as that holds."""
        if self._listed is None or self._listed[0] is not self.world:
            places = self.world.places()
            self._listed = self.world, places, int(places.ctypes.data)
        return self._listed[2]

    def _see_to(self) -> None:
        s = self.world.s
        while s[at.NEED] or s[at.TOLD]:
            s[at.NEED] = at.NOTHING
            if self.tables[at.POLICIES][:, at.P_WANTS].any():
                self._renew_delays()
            self._make_room()
            if told := int(s[at.TOLD]):
                s[at.TOLD] = 0
                self._loop(self._places(), at.ACT, 0, self._reconnects.ask(self.tables[at.TOLD_ROWS][:told]))

    def _make_room(self) -> None:
        """A larger calendar where it is nearly full, and more counters of windows."""
        s = self.world.s
        while (
            s[at.FREE_COUNT] < s[at.MARGIN]
            or s[at.NEAR] + s[at.NEAR_MARGIN] > s[at.SOON_ROOM]
            or s[at.PRESENT_ROOM] < next_bucket(s, self.world.cal)
        ):
            larger = larger_calendar(s, self.world.cal, len(self.pods))
            self.world = self.world._replace(cal=larger)
        if s[at.WINDOW_ROOM] <= s[at.PODS]:
            self.world = self.world._replace(win=self._windows.larger())

    # -- policies -----------------------------------------------------------------------------------

    def _renew_delays(self) -> None:
        self.world = self.world._replace(delays=self._reconnects.delays())

    def _begin_policies(self) -> None:
        """Everybody follows the policy of its group from the beginning; who is not served waits already."""
        table, fleet = self.table, self._scenario.fleet
        numbers = [self._reconnects.add(policy_of(part.fleet.policy), part.fleet) for part in table.parts]
        self._renew_delays()
        rows = no_rows(table.count)
        rows[:, 0], rows[:, 2] = np.arange(table.count), np.array(numbers)[table.part]
        self._play(at.FOLLOW, 0, rows)
        ramp_s = min(fleet.clients / fleet.ramp_per_s, LONGEST_RAMP_S)
        for polls in (False, True):
            refused = np.flatnonzero(~table.is_served & (table.polls == polls))
            if len(refused):
                rows = no_rows(len(refused))
                rows[:, 0] = refused
                rows[:, 1] = self.rng.uniform(0, ramp_s, len(refused)) * at.SECOND
                self._play(at.COME_BACK, at.UNSUPPORTED + polls, rows)

    def push_policy(self, policy: Policy, reach_s: float, group: str = "") -> None:
        """All clients, or those of a group, follow another policy, each from a moment of its own within the
        reach time on."""
        table = self.table
        mine = np.array([not group or part.name == group for part in table.parts])
        numbers = np.full(len(mine), -1)
        for place in np.flatnonzero(mine).tolist():
            numbers[place] = self._reconnects.add(policy, table.parts[place].fleet)
        self._renew_delays()
        clients = np.flatnonzero(mine[table.part])
        rows = no_rows(len(clients))
        rows[:, 0] = clients
        rows[:, 1] = self.world.s[at.NOW] + np.rint(self.rng.random(len(clients)) * reach_s * at.SECOND)
        rows[:, 2] = numbers[table.part[clients]]
        self._pushes += 1
        self.pushed = clients, rows[:, 1] / at.SECOND
        self._play(at.REACH, self._pushes, rows)

    # -- the edge -----------------------------------------------------------------------------------

    @property
    def edge_is_up(self) -> bool:
        """Whether the proxy runs."""
        return bool(self.world.s[at.EDGE_UP])

    @edge_is_up.setter
    def edge_is_up(self, is_up: bool) -> None:
        self.world.s[at.EDGE_UP] = is_up

    def route(self, pods: list[int]) -> None:
        """From now on newcomers go to these pods."""
        self.edge.route(pods)
        self._play(at.ROUTE, 0, rows_of(pods))

    def set_limits(self, limits: Limits) -> None:
        """The edge is reloaded with these limits, and keeps of its buckets what its kind of proxy keeps."""
        self._enter(self.edge.reload(limits))

    def _enter(self, limits: Any) -> None:
        """These are the limits that the loop reads from now on."""
        self.world = self.world._replace(lim=limits)
        self._endings.keep(self.tables)
        self._endings.refuse_with(self.edge.limits.refusal)
        self._learn()

    def end_edge(self) -> None:
        """The proxy ends: nobody has a connection any more, and its buckets are gone."""
        self.edge_is_up = False
        self._enter(self.edge.start_over())
        table = self.table
        self.lose(np.flatnonzero(table.state == at.JOINED), endings.RESET)
        waiting = (table.state == at.TRYING) | table.is_greeted
        self._play(at.HANG_UP, 0, rows_of(np.flatnonzero(waiting)))

    # -- pods ---------------------------------------------------------------------------------------

    @property
    def pods(self) -> Any:
        """All pods that there ever are, records of shape (pods,)."""
        return self.world.pods

    @property
    def admission(self) -> Admission:
        """Whom pods turn away."""
        return self._admission

    @admission.setter
    def admission(self, admission: Admission) -> None:
        self._admission = admission
        s = self.world.s
        s[at.SHED_ABOVE] = nanoseconds(admission.shed_above_lag_ms / 1000)
        s[at.SLOTS], s[at.CLOSES_1013] = admission.handshake_slots, admission.close_1013
        s[at.SHED] = nanoseconds(refusal_cpu_s(admission, self.costs))
        self.world = self.world._replace(win=self._windows.enter(admission))
        self._endings.keep(self.tables)
        self._endings.turn_away_with(admission)
        self._learn()

    def charge_handshakes(self, cpu_s: float) -> None:
        """From now on a handshake costs so much."""
        s, costs = self.world.s, self.costs
        burns = self._scenario.gateway.cpu == "burn"
        upgrade_s, join_s = UPGRADE_SHARE * cpu_s, (1 - UPGRADE_SHARE) * cpu_s
        s[at.UPGRADE] = nanoseconds(upgrade_s + costs.upgrade_cpu_s)
        s[at.UPGRADE_CPU] = nanoseconds(burns * upgrade_s + costs.upgrade_cpu_s)
        s[at.JOIN] = nanoseconds(join_s + costs.join_cpu_s)
        s[at.JOIN_CPU] = nanoseconds(burns * join_s + costs.join_cpu_s)

    def settle(self, pods: list[int]) -> None:
        """Begins with everybody on these pods, which send the very first tick."""
        for pod in pods:
            self.start_pod(pod)
        self.route(pods)
        self.charge_handshakes(0.0)
        self._play(at.SETTLE, 0, rows_of(np.flatnonzero(self.table.is_served)))
        self._play(at.FEED_FROM)

    def start_pod(self, pod: int) -> None:
        """A pod is there; it sends the ticks that come due from now on."""
        self._play(at.START_POD, pod)

    def end_pod(self, pod: int) -> int:
        """A pod ends, and with it all its connections; returns how many clients it had."""
        joined, trying = self.on([pod])
        self._play(at.END_POD, pod)
        self._windows.forget(pod)
        self.lose(joined, endings.RESET)
        self._play(at.LOSE_POD, 0, rows_of(trying))
        return len(joined)

    def pause_pod(self, pod: int) -> None:
        """A pod stands still."""
        self._play(at.PAUSE_POD, pod)

    def resume_pod(self, pod: int) -> None:
        """It goes on."""
        self._play(at.RESUME_POD, pod)

    def wait_s(self, pod: int) -> float:
        """How long a newcomer would wait in an accept queue now; a second, for a SYN, where it is full."""
        p = self.pods[pod]
        if p["queued"] >= self.world.s[at.BACKLOG]:
            return 1.0
        return float(p["queued"] * p["turn"]) / at.SECOND

    def turn_s(self, pod: int) -> float:
        """How long a turn of its loop took lately."""
        return float(self.pods["turn"][pod]) / at.SECOND

    # -- sessions -----------------------------------------------------------------------------------

    @property
    def joined(self) -> Any:
        """Clients with a session, of shape (cells,)."""
        return self.tables[at.JOINED_BY_CELL].sum(axis=0)

    def on(self, pods: Any) -> tuple[Any, Any]:
        """(clients with a session, clients that are trying) on these pods."""
        table = self.table
        mine = np.isin(table.pod, pods)
        joined, trying = (mine & (table.state == state) for state in (at.JOINED, at.TRYING))
        return np.flatnonzero(joined), np.flatnonzero(trying)

    def drop(self, share: float) -> int:
        """Every pod cuts that share of its clients; returns how many those were."""
        pods = np.flatnonzero(self.pods["alive"] & ~self.pods["paused"])
        joined, _ = self.on(pods)
        if share < 1:
            pod_of = self.table.pod[joined]
            each = [joined[pod_of == pod] for pod in pods.tolist()]
            chosen = [self.rng.choice(one, round(share * len(one)), replace=False) for one in each]
            joined = np.sort(np.concatenate([no_rows()[:, 0], *chosen]))
        self.lose(joined, endings.RESET)
        return len(joined)

    def lose(self, clients: Any, ending: Ending) -> None:
        """Sessions end now; their clients come back."""
        if len(clients):
            self._play(at.LOSE, self._place_of(ending), rows_of(clients))

    def close_later(self, clients: Any, due_s: Any, ending: Ending) -> None:
        """Pods close these sessions at these times; a pod that stands still does so when it goes on."""
        rows = rows_of(clients)
        rows[:, 1] = np.maximum(np.rint(np.asarray(due_s) * at.SECOND), self.world.s[at.NOW])
        rows[:, 2] = (self.table.attempt[clients] & at.ATTEMPT_MASK) << 8 | self._place_of(ending)
        self._play(at.CLOSE_LATER, 0, rows)

    # -- the feed -----------------------------------------------------------------------------------

    @property
    def ticks(self) -> int:
        """How many ticks there may be."""
        return len(self.tables[at.DUE])

    def set_feed(self, due: Ints) -> None:
        """From now on ticks are due at these times; those that were due by now stay as they were."""
        self.tables[at.DUE][:] = due
        self.tables[at.SECONDS_OF][:] = np.clip(due // at.SECOND, 0, len(self.tables[at.HELD]) - 1)
        self._play(at.FEED_FROM)

    def stall_feed(self, for_s: float) -> None:
        """No tick goes out for so long; a shorter stall does not end a longer one."""
        self._play(at.STALL, int(self.world.s[at.NOW]) + nanoseconds(for_s))

    # -- counts -------------------------------------------------------------------------------------

    def take_interval(self, second: int) -> Interval:
        """What clients saw in a second that is over."""
        self._play(at.RECKON)
        self.edge.count_refused(second)
        interval = self.recorder.take_interval(second, self.said(), connected_by_cell=self.joined)
        self._endings.taken(self.tables)
        return interval

    def take_pods(self) -> Any:
        """All pods, with what they did since the last call: CPU, occupied time, lag and late ticks."""
        pods = self.pods
        taken = pods.copy()
        now = int(self.world.s[at.NOW])
        span = now - self._taken
        works = pods["alive"] & ~pods["paused"]
        busy = works & (pods["doing"] != at.IDLE_POD)
        taken["busy"] += np.where(busy, now - pods["busy_from"], 0)
        taken["busy"] += (works * self.costs.idle_cpu * np.maximum(0, span - taken["busy"])).astype(np.int64)
        taken["cpu"] += works * self.costs.idle_cpu * span
        taken["lag"] = np.maximum(pods["lag"], np.where(busy, now - pods["turn_begun"], 0))
        pods["busy_from"] = now
        for name in ("busy", "cpu", "lag", "late"):
            pods[name] = 0
        self._taken = now
        return taken

    def take_nginx_cpu_s(self) -> float:
        """CPU of the edge since the last call, which is to be made once a second."""
        s, costs = self.world.s, self.costs
        taken = (
            int(s[at.REQUESTS]) * costs.nginx_request_cpu_s
            + self.edge.take_tls_cpu_s()
            + int(s[at.DELIVERED]) * costs.nginx_tick_cpu_s
            + costs.nginx_idle_cpu
        )
        s[at.REQUESTS] = s[at.DELIVERED] = 0
        self._play(at.RECKON)
        self.world.x[at.NGINX_SHARE] = taken
        self._play(at.RECKON)
        return taken

    def finalise(self) -> None:
        """Counts what nobody holds by now as censored."""
        self._play(at.FINALISE)

    def said(self) -> Said:
        """What has ended since the last interval, by the words for it."""
        return self._endings.said(self.tables)
