"""The arrays of a run in which nothing has happened yet."""

from typing import Any

import numpy as np
import numpy.typing as npt

from scenarios.clients.addresses import first_octets
from scenarios.scenario.model import Scenario
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.costs import LONGEST_QUEUE, Costs
from scenarios.simulator.edge.balancer import KINDS
from scenarios.simulator.edge.edge import judges, nginx_settings
from scenarios.simulator.loop import at
from scenarios.simulator.loop.accounts import BINS
from scenarios.simulator.loop.edge.upstream import PODS_PER_WORD
from scenarios.simulator.loop.world import POD, Tables, World, empty_calendar, lay_out
from scenarios.simulator.reconnects import MOST_POLICIES
from scenarios.simulator.recorder import SLOTS_PER_S


def nanoseconds(seconds: float) -> int:
    """A time of the model as the loop has it."""
    return round(seconds * at.SECOND)


def new_world(
    scenario: Scenario,
    costs: Costs,
    table: ClientTable,
    *,
    pods: int,
    seconds: int,
    due: npt.NDArray[np.int64],
) -> tuple[World, Tables]:
    """The arrays, without limits and policies, and views of the tables in `m`.

    pods: the most that there ever are. due: when each tick is due, in nanoseconds.
    """
    count = table.count
    backlog = min(scenario.gateway.backlog, LONGEST_QUEUE)
    s, x = _numbers(scenario, costs, table, pods)
    s[at.TICKS], s[at.SLOTS_OF_RUN] = len(due), (seconds + 1) * SLOTS_PER_S
    cells, dogs, ticks = len(table.cells), len(table.watchdogs) + 1, len(due)
    groups = len(table.parts)
    s[at.CELLS], s[at.DOGS] = cells, dogs
    shapes: dict[int, tuple[int, ...]] = {
        at.SECONDS_OF: (ticks,),
        at.DUE: (ticks,),
        at.GROUPS: (cells,),
        at.EFFECTIVE: (seconds, BINS, groups),
        at.CENSORED: (seconds, BINS, groups),
        at.HELD: (seconds, cells),
        at.IN_TIME: (seconds, cells),
        at.NEVER_HELD: (seconds, cells),
        at.SKIPPED: (seconds, cells),
        at.AWAY_BY_HELD: (ticks + 2, cells),
        at.FANOUT: (BINS,),
        at.STALENESS: (BINS, groups),
        at.PENDING: (ticks + 2, cells),
        at.NUMBERS: (at.SIZE_N,),
        at.USEFUL: (cells,),
        at.HEAP: (pods,),
        at.QUEUE: (pods, backlog, 3),
        at.SESSIONS: (pods, dogs, 3),
        at.WATCHDOGS: (dogs, 2),
        at.WITH_TICK: (pods, cells),
        at.JOINED_BY_CELL: (pods, cells),
        at.UPSTREAM_PODS: (pods,),
        at.LEVELS: (count + 2, 2),
        at.HOME: (table.addresses,),
        at.POLICIES: (MOST_POLICIES, at.SIZE_P),
        at.STOPS: (MOST_POLICIES, at.SIZE_E),
        # Memory that is never touched is never there.
        at.TOLD_ROWS: (3 * count + 64, at.SIZE_T),
        at.PLACES: (count + 1,),
        at.PUSHED: (count, 2),
        at.HELD_ROWS: (int(s[at.MOST_HELD]), 2),
        at.TIMEOUTS: (cells,),
        at.WATCHDOG_OF: (cells,),
        at.ENDED: (cells, at.SIZE_E + 1),
        at.DISCONNECTS: (at.SIZE_E,),
        at.GAVE_UP: (at.SIZE_E + 1,),
        at.GAVE_UP_BY_CELL: (cells,),
        at.ATTEMPTS_BY_SLOT: ((seconds + 1) * SLOTS_PER_S, cells),
        **_of_the_proxy(scenario, table, pods),
    }
    m, tables = lay_out(s, shapes)
    tables[at.DUE][:] = due
    tables[at.SECONDS_OF][:] = np.clip(due // at.SECOND, 0, seconds - 1)
    tables[at.GROUPS][:] = [cell.part for cell in table.cells]
    tables[at.SESSIONS][:, :, :2] = tables[at.LEVELS][:] = -1
    octets = tables[at.OCTETS]
    octets[:] = np.column_stack(np.broadcast_arrays(*first_octets(np.arange(len(octets)))))
    for number, (after_s, by_age) in enumerate(table.watchdogs):
        tables[at.WATCHDOGS][number] = nanoseconds(after_s), by_age
    tables[at.TIMEOUTS][:] = table.of_cells(lambda part: nanoseconds(part.fleet.connect_timeout_s))
    tables[at.WATCHDOG_OF][:] = table.of_cells(table.watchdog_of)
    records = np.zeros(pods, POD)
    records["heap"] = records["last_tick"] = -1
    world = World(
        s=s,
        x=x,
        clients=table.records,
        pods=records,
        m=m,
        cal=empty_calendar(s, pods),
        lim=np.zeros(1, np.int64),
        delays=np.zeros(1, np.int64),
        win=np.zeros(1, np.int64),
    )
    return world, tables


def _of_the_proxy(scenario: Scenario, table: ClientTable, pods: int) -> dict[int, tuple[int, ...]]:
    """Tables of what the proxy remembers of each client, as far as it does."""
    settings = nginx_settings(scenario)
    octets = table.addresses if scenario.gateway.balance == "ip_hash" else 0
    return {
        at.WORKER_FREE: (settings.workers,),
        at.WORKER_OF: (table.count if settings.worker_connections else 0,),
        at.TRIED: (table.count if judges(settings) else 0, 2 + pods // PODS_PER_WORD),
        at.OCTETS: (octets, 3),
        at.TLS_MARKS: (table.count if scenario.edge.tls else 0,),
    }


def _numbers(scenario: Scenario, costs: Costs, table: ClientTable, pods: int) -> tuple[Any, Any]:
    """The single numbers of such a run."""
    gateway = scenario.gateway
    burns = gateway.cpu == "burn"
    s, x = np.zeros(at.SIZE_S, np.int64), np.zeros(at.SIZE_X)
    s[at.BUCKET], s[at.POD_TIME], s[at.EDGE_UP] = -1, at.NEVER, 1
    s[at.CLIENTS], s[at.PODS] = table.count, pods
    s[at.MOST_HELD] = 4 * table.count + 64
    s[at.BACKLOG] = min(gateway.backlog, LONGEST_QUEUE)
    s[at.CAP] = scenario.fleet.max_attempts_per_s
    s[at.SEED], s[at.SHARED] = scenario.fleet.seed, burns
    s[at.BALANCE] = KINDS[gateway.balance]
    s[at.TURNS_PER_TICK], s[at.EDGE_DELAY] = costs.turns_per_tick, nanoseconds(costs.edge_delay_s)
    s[at.CLOSE] = nanoseconds(costs.close_cpu_s)
    s[at.CANCELS] = gateway.cancel_gone
    s[at.PING] = nanoseconds(gateway.ping_interval_s + gateway.ping_timeout_s)
    x[at.SLOW], x[at.STRETCH] = 1.0, 1.0 if burns else 1 / (1 - costs.idle_cpu)
    x[at.TICK] = (costs.tick_cpu_s + gateway.tick_cpu_us * 1e-6) * at.SECOND
    x[at.TICK_CPU] = x[at.TICK] if burns else costs.tick_cpu_s * at.SECOND
    x[at.CORES], x[at.IDLE] = gateway.cores, costs.idle_cpu
    return s, x
