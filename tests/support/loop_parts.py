"""Parts of the simulator's loop, called one by one, as the Python that they are written in."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from scenarios.clients.addresses import source_address
from scenarios.limits.registry import Limits
from scenarios.scenario.validate import build
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.limiter import Limiter
from scenarios.simulator.engine import Engine
from scenarios.simulator.loop import accounts, at, calendar
from scenarios.simulator.loop.accounts import BINS
from scenarios.simulator.loop.edge import balance, greeting, limits, sending, upstream, workers
from scenarios.simulator.loop.pods import windows
from scenarios.simulator.loop.world import lay_out
from scenarios.simulator.recorder import Cell, Recorder
from tests.support.uncompiled import plain


def _choose(world: Any, client: int, now: int) -> int:
    pod = balance.choose(world, client, now)
    if pod >= 0:
        balance.connect(world, pod, 1)
    return pod


def _accept(world: Any, client: int) -> int:
    if not workers.accept(world, client):
        return at.RESET
    return 0 if workers.reach_pod(world, client) else at.NO_CONNECTION


class Parts:
    """The parts, at work on the arrays of an engine in which nothing has happened."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._limiter = Limiter(Limits(), addresses=1)
        self.tokens: dict[str, Any] = {}
        """The number of the token that each client shows, by header or cookie."""
        self.fewest_free = int(engine.world.s[at.FREE_COUNT])
        """How much room the calendar has had left at the least."""

    @classmethod
    def of(cls, clients: int, pods: int = 1, **tables: Any) -> "Parts":
        """With so many clients and pods."""
        fleet = {"clients": clients, "rtt_ms": 0, **tables.pop("fleet", {})}
        gateway = {"pods": pods, "cpu": "occupy", **tables.pop("gateway", {})}
        scenario = build({"fleet": fleet, "gateway": gateway, **tables}, source="test")
        due = np.arange(100) * (at.SECOND // 5)
        return cls(Engine(scenario, Costs(), pods=pods, seconds=20, due=due))

    @classmethod
    def at_workers(cls, clients: int, **settings: Any) -> "Parts":
        """With workers that may be too small for so many clients: only those that are served have to fit."""
        group = [{"name": "old", "share": 0.9, "protocol": 3}, {"name": "new", "share": 0.1}]
        return cls.of(clients, fleet={"group": group}, edge={"nginx": settings})

    @property
    def world(self) -> Any:
        """What the parts work on."""
        return plain(self.engine.world)

    # -- the edge

    def limit(self, asked: Limits, proxy: str = "nginx", *, addresses: int) -> None:
        """This limit is in force from now on; the proxy keeps what it keeps."""
        self._limiter = Limiter(
            asked,
            addresses=addresses,
            proxy=proxy,
            before=self._limiter,
            address_of=np.arange(self.engine.table.count) % addresses,
            source=source_address,
            tokens=self.tokens,
        )
        world = self.engine.world
        self.engine.world = world._replace(lim=self._limiter.enter(world.s))

    def ask(self, addresses: Sequence[int], now_ms: int, *, polls: bool = False) -> list[tuple[int, int]]:
        """(verdict, nanoseconds held back) of one client of each of these addresses after the other."""
        records = self.engine.table.records
        found = []
        for client, address in enumerate(addresses):
            records[client]["address"] = address
            records[client]["marks"] = at.SERVED + at.POLLS * polls
            found.append(limits.let_in(self.world, client, now_ms))
        return found

    def let_in(self, addresses: Sequence[int], now_ms: int) -> list[bool]:
        """Whether one client of each of these addresses is let in, one after the other."""
        return [verdict == limits.LET_IN for verdict, _ in self.ask(addresses, now_ms)]

    def ask_for(self, client: int, now_ms: int) -> bool:
        """Whether that client is let in."""
        return bool(limits.let_in(self.world, client, now_ms)[0] == limits.LET_IN)

    def end_of_request(self, client: int) -> None:
        """Its request is not in flight any more."""
        limits.end_of_request(self.world, client)

    def send(self, clients: Sequence[int]) -> list[int]:
        """The pods that these are sent to, one after the other."""
        return [_choose(self.world, client, 0) for client in clients]

    def request(self, client: int, sheds: Collection[int]) -> str:
        """What becomes of a request: `up`, or the word for how it ends; some pods shed everybody."""
        engine = self.engine
        record = engine.table.records[client]
        record["state"], record["pod"] = at.TRYING, -1
        before = engine.said().outcomes
        sending.send_first(self.world, client, 0)
        while record["pod"] in sheds:
            sending.turn_away(self.world, client, 0, at.SHED_BY_POD)
        if record["pod"] >= 0:
            return "up"
        (word,) = engine.said().outcomes - before
        return word

    def fail(self, pod: int, now_s: int) -> None:
        """A request that was sent to a pod fails there."""
        upstream.sent(self.world, pod, now_s)
        upstream.failed(self.world, pod, now_s)

    def sent(self, pod: int, now_s: int) -> None:
        """A request goes to a pod."""
        upstream.sent(self.world, pod, now_s)

    def ended(self, pod: int) -> None:
        """A request has ended at a pod without a failure."""
        upstream.ended(self.world, pod)

    def out(self, now_s: int) -> set[int]:
        """The pods that get nothing now."""
        return {pod for pod in range(len(self.engine.pods)) if upstream.is_out(self.world, pod, now_s)}

    def accept(self, client: int) -> int:
        """0 where a worker has room for a client, otherwise the place of the ending."""
        found = int(_accept(self.world, client))
        if found == at.NO_CONNECTION:
            self.release(client)
        return found

    def release(self, client: int) -> None:
        """The connections of a client have ended."""
        workers.release(self.world, client)

    def settle_worker(self, client: int) -> None:
        """A client has got in, if need be at the second attempt."""
        workers.settle(self.world, client)

    def greet(self, client: int, now_s: float, deadline_s: float = 1e6) -> float:
        """When the TLS handshake of a client that comes now is over, in seconds."""
        return int(greeting.greet(self.world, client, round(now_s * 1e9), round(deadline_s * 1e9))) / 1e9

    def admits(self, pod: int, address: int, now_ms: int) -> bool:
        """Whether the window of a pod has room for a connection of an address."""
        self.engine._make_room()
        return bool(windows.admits(self.world, pod, address, now_ms * 1_000_000))

    def connect(self, pod: int, more: int) -> None:
        """A pod has a connection more, or one less."""
        balance.connect(self.world, pod, more)

    # -- the calendar

    def put(self, time: int, what: int) -> None:
        """Enters an event."""
        self.engine._make_room()
        calendar.put(self.world, time, what)

    def taken(self, last_bucket: int) -> list[tuple[int, int]]:
        """All events up to that bucket, in the order in which they come."""
        s = self.engine.world.s
        found: list[tuple[int, int]] = []
        while True:
            self.engine._make_room()
            s[at.NEED] = at.NOTHING
            calendar.come_to(self.world, last_bucket)
            self.fewest_free = min(self.fewest_free, int(s[at.FREE_COUNT]))
            if s[at.NEED]:
                continue
            if not s[at.LOADED]:
                return found
            cal, present = self.engine.world.cal, int(s[at.PRESENT])
            loaded = cal[present : present + 2 * int(s[at.LOADED])].reshape(-1, 2)
            found += [(int(time), int(what)) for time, what in loaded]
            s[at.LOADED] = s[at.TAKEN] = 0


class Books:
    """The accounts of some pods with clients of some cells."""

    def __init__(self, cells: Sequence[Cell], clients: Sequence[int], pods: int = 1) -> None:
        groups = 1 + max(cell.part for cell in cells)
        names = [{"name": f"g{number}", "share": 1 / groups} for number in range(groups)]
        self._parts = Parts.of(max(8, sum(clients)), pods, fleet={"group": names} if groups > 1 else {})
        engine = self._parts.engine
        self.tables = engine.tables
        self._reshape(engine, len(cells), groups, pods)
        self.tables[at.GROUPS][:] = [cell.part for cell in cells]
        self.recorder = Recorder(self.tables, cells=cells, cell_clients=np.array(clients), grouped=groups > 1)
        self.pods = engine.pods

    def _reshape(self, engine: Engine, cells: int, groups: int, pods: int) -> None:
        shapes = {table: view.shape for table, view in self.tables.items()}
        for table in (at.HELD, at.IN_TIME, at.NEVER_HELD, at.SKIPPED):
            shapes[table] = (20, cells)
        shapes |= {at.AWAY_BY_HELD: (102, cells), at.PENDING: (102, cells), at.USEFUL: (cells,)}
        shapes |= {at.EFFECTIVE: (20, BINS, groups), at.CENSORED: (20, BINS, groups)}
        shapes |= {at.STALENESS: (BINS, groups), at.GROUPS: (cells,)}
        shapes |= {at.WITH_TICK: (pods, cells), at.JOINED_BY_CELL: (pods, cells)}
        shapes |= {at.GAVE_UP_BY_CELL: (cells,), at.ENDED: (cells, at.SIZE_E + 1)}
        shapes |= {at.ATTEMPTS_BY_SLOT: (210, cells)}
        s = engine.world.s
        m, tables = lay_out(s, shapes)
        for table in (at.DUE, at.SECONDS_OF):
            tables[table][:] = self.tables[table]
        engine.world = engine.world._replace(m=m)
        engine.tables = self.tables = tables
        s[at.CELLS] = cells

    def delivered(self, tick: int, begun_s: float, ended_s: float, by_cell: Sequence[int]) -> None:
        """A pod has sent a tick between these two times to so many clients of each cell."""
        self.tables[at.JOINED_BY_CELL][0] = by_cell
        self.pods["joined"][0] = sum(by_cell)
        accounts.delivered(self._parts.world, 0, tick, round(begun_s * 1e9), round(ended_s * 1e9), 0)

    def left(self, held: int, cell: int, clients: int = 1) -> None:
        """So many clients that hold a tick have no session any more."""
        self.tables[at.AWAY_BY_HELD][held + 1, cell] += clients

    def caught_up(self, held: int, cell: int, tick: int, now_s: float) -> None:
        """One of them has a newer tick."""
        accounts.caught_up(self._parts.world, held, cell, tick, round(now_s * 1e9))

    def settle(self) -> None:
        """Counts what is pending."""
        accounts.settle(self._parts.world)

    def sample(self, now_s: float, last_tick: Sequence[int], with_tick: Sequence[Sequence[int]]) -> None:
        """A point of the grid."""
        self.pods["last_tick"] = last_tick
        self.tables[at.WITH_TICK][:] = with_tick
        accounts.sample(self._parts.world, round(now_s * 1e9), int(now_s * 5))

    def finalise(
        self, now_s: float, latest: int, last_tick: Sequence[int], with_tick: Sequence[Sequence[int]]
    ) -> None:
        """The accounting ends."""
        self.pods["last_tick"] = last_tick
        self.tables[at.WITH_TICK][:] = with_tick
        accounts.finalise(self._parts.world, round(now_s * 1e9), latest)

    def interval(self, second: int) -> Any:
        """What is told of a second."""
        connected = self.tables[at.JOINED_BY_CELL].sum(axis=0)
        return self.recorder.take_interval(second, self._parts.engine.said(), connected_by_cell=connected)
