"""Parts of the simulator's loop, called one by one: they are compiled, and take no arguments of Python's."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import numba
import numpy as np

from scenarios.clients.addresses import source_address
from scenarios.limits.registry import Limits
from scenarios.scenario.validate import build
from scenarios.simulator.costs import Costs
from scenarios.simulator.edge.limiter import Limiter
from scenarios.simulator.engine import Engine
from scenarios.simulator.loop import accounts, at, calendar
from scenarios.simulator.loop.compiled import FOLDER
from scenarios.simulator.loop.edge import balance, greeting, limits, sending, upstream, workers
from scenarios.simulator.loop.handle import handle
from scenarios.simulator.loop.pods import quiet, windows
from scenarios.simulator.recorder import Cell, Recorder

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """A function that the compiler makes for the tests."""
    made: _Function = numba.njit(function, cache=FOLDER is not None)
    return made


@compiled
def _let_in(places: int, client: int, now_ms: int) -> tuple[int, int]:
    return limits.let_in(handle(places), client, now_ms)


@compiled
def _choose(places: int, client: int, now: int) -> int:
    world = handle(places)
    pod = balance.choose(world, client, now)
    if pod >= 0:
        balance.connect(world, pod, 1)
    return pod


@compiled
def _connect(places: int, pod: int, more: int) -> None:
    balance.connect(handle(places), pod, more)


@compiled
def _end_of_request(places: int, client: int) -> None:
    limits.end_of_request(handle(places), client)


@compiled
def _accept(places: int, client: int) -> int:
    world = handle(places)
    if not workers.accept(world, client):
        return at.RESET
    return 0 if workers.reach_pod(world, client) else at.NO_CONNECTION


@compiled
def _release(places: int, client: int) -> None:
    workers.release(handle(places), client)


@compiled
def _settle_worker(places: int, client: int) -> None:
    workers.settle(handle(places), client)


@compiled
def _sent(places: int, pod: int, now_s: int) -> None:
    upstream.sent(handle(places), pod, now_s)


@compiled
def _failed(places: int, pod: int, now_s: int) -> None:
    upstream.failed(handle(places), pod, now_s)


@compiled
def _ended(places: int, pod: int) -> None:
    upstream.ended(handle(places), pod)


@compiled
def _is_out(places: int, pod: int, now_s: int) -> bool:
    return upstream.is_out(handle(places), pod, now_s)


@compiled
def _send(places: int, client: int) -> None:
    sending.send_first(handle(places), client, 0)


@compiled
def _turn_away(places: int, client: int) -> None:
    sending.turn_away(handle(places), client, 0, at.SHED_BY_POD)


@compiled
def _greet(places: int, client: int, now: int, deadline: int) -> int:
    return greeting.greet(handle(places), client, now, deadline)


@compiled
def _admits(places: int, pod: int, address: int, now: int) -> bool:
    return windows.admits(handle(places), pod, address, now)


@compiled
def last_byte(joined: int, tick: int, until: int, ping_interval: int) -> int:
    """When a session has carried something last."""
    return quiet.last_byte(joined, tick, until, ping_interval)


@compiled
def _delivered(places: int, pod: int, tick: int, begun: int, ended: int) -> None:
    accounts.delivered(handle(places), pod, tick, begun, ended, 0)


@compiled
def _caught_up(places: int, held: int, cell: int, tick: int, now: int) -> None:
    accounts.caught_up(handle(places), held, cell, tick, now)


@compiled
def _settle(places: int) -> None:
    accounts.settle(handle(places))


@compiled
def _sample(places: int, now: int, latest: int) -> None:
    accounts.sample(handle(places), now, latest)


@compiled
def _finalise(places: int, now: int, latest: int) -> None:
    accounts.finalise(handle(places), now, latest)


@compiled
def _put(places: int, time: int, what: int) -> None:
    calendar.put(handle(places), time, what)


@compiled
def _come_to(places: int, last: int) -> None:
    calendar.come_to(handle(places), last)


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
    def places(self) -> int:
        """What the parts are given in place of arrays."""
        return self.engine._places()

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
            found.append(_let_in(self.places, client, now_ms))
        return found

    def let_in(self, addresses: Sequence[int], now_ms: int) -> list[bool]:
        """Whether one client of each of these addresses is let in, one after the other."""
        return [verdict == limits.LET_IN for verdict, _ in self.ask(addresses, now_ms)]

    def ask_for(self, client: int, now_ms: int) -> bool:
        """Whether that client is let in."""
        return bool(_let_in(self.places, client, now_ms)[0] == limits.LET_IN)

    def end_of_request(self, client: int) -> None:
        """Its request is not in flight any more."""
        _end_of_request(self.places, client)

    def send(self, clients: Sequence[int]) -> list[int]:
        """The pods that these are sent to, one after the other."""
        return [_choose(self.places, client, 0) for client in clients]

    def request(self, client: int, sheds: Collection[int]) -> str:
        """What becomes of a request: `up`, or the word for how it ends; some pods shed everybody."""
        engine = self.engine
        record = engine.table.records[client]
        record["state"], record["pod"] = at.TRYING, -1
        before = engine.said().outcomes
        _send(self.places, client)
        while record["pod"] in sheds:
            _turn_away(self.places, client)
        if record["pod"] >= 0:
            return "up"
        (word,) = engine.said().outcomes - before
        return word

    def fail(self, pod: int, now_s: int) -> None:
        """A request that was sent to a pod fails there."""
        _sent(self.places, pod, now_s)
        _failed(self.places, pod, now_s)

    def sent(self, pod: int, now_s: int) -> None:
        """A request goes to a pod."""
        _sent(self.places, pod, now_s)

    def ended(self, pod: int) -> None:
        """A request has ended at a pod without a failure."""
        _ended(self.places, pod)

    def out(self, now_s: int) -> set[int]:
        """The pods that get nothing now."""
        return {pod for pod in range(len(self.engine.pods)) if _is_out(self.places, pod, now_s)}

    def accept(self, client: int) -> int:
        """0 where a worker has room for a client, otherwise the place of the ending."""
        found = int(_accept(self.places, client))
        if found == at.NO_CONNECTION:
            self.release(client)
        return found

    def release(self, client: int) -> None:
        """The connections of a client have ended."""
        _release(self.places, client)

    def settle_worker(self, client: int) -> None:
        """A client has got in, if need be at the second attempt."""
        _settle_worker(self.places, client)

    def greet(self, client: int, now_s: float, deadline_s: float = 1e6) -> float:
        """When the TLS handshake of a client that comes now is over, in seconds."""
        return int(_greet(self.places, client, round(now_s * 1e9), round(deadline_s * 1e9))) / 1e9

    def admits(self, pod: int, address: int, now_ms: int) -> bool:
        """Whether the window of a pod has room for a connection of an address."""
        self.engine._make_room()
        return bool(_admits(self.places, pod, address, now_ms * 1_000_000))

    def connect(self, pod: int, more: int) -> None:
        """A pod has a connection more, or one less."""
        _connect(self.places, pod, more)

    # -- the calendar

    def put(self, time: int, what: int) -> None:
        """Enters an event."""
        self.engine._make_room()
        _put(self.places, time, what)

    def taken(self, last_bucket: int) -> list[tuple[int, int]]:
        """All events up to that bucket, in the order in which they come."""
        s = self.engine.world.s
        found: list[tuple[int, int]] = []
        while True:
            self.engine._make_room()
            s[at.NEED] = at.NOTHING
            _come_to(self.places, last_bucket)
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
        from scenarios.simulator.loop.accounts import BINS
        from scenarios.simulator.loop.world import lay_out

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
        _delivered(self._parts.places, 0, tick, round(begun_s * 1e9), round(ended_s * 1e9))

    def left(self, held: int, cell: int, clients: int = 1) -> None:
        """So many clients that hold a tick have no session any more."""
        self.tables[at.AWAY_BY_HELD][held + 1, cell] += clients

    def caught_up(self, held: int, cell: int, tick: int, now_s: float) -> None:
        """One of them has a newer tick."""
        _caught_up(self._parts.places, held, cell, tick, round(now_s * 1e9))

    def settle(self) -> None:
        """Counts what is pending."""
        _settle(self._parts.places)

    def sample(self, now_s: float, last_tick: Sequence[int], with_tick: Sequence[Sequence[int]]) -> None:
        """A point of the grid."""
        self.pods["last_tick"] = last_tick
        self.tables[at.WITH_TICK][:] = with_tick
        _sample(self._parts.places, round(now_s * 1e9), int(now_s * 5))

    def finalise(
        self, now_s: float, latest: int, last_tick: Sequence[int], with_tick: Sequence[Sequence[int]]
    ) -> None:
        """The accounting ends."""
        self.pods["last_tick"] = last_tick
        self.tables[at.WITH_TICK][:] = with_tick
        _finalise(self._parts.places, round(now_s * 1e9), latest)

    def interval(self, second: int) -> Any:
        """What is told of a second."""
        connected = self.tables[at.JOINED_BY_CELL].sum(axis=0)
        return self.recorder.take_interval(second, self._parts.engine.said(), connected_by_cell=connected)
