"""Everything that the loop works on, as arrays: made here, and changed by the loop alone."""

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

import numpy as np

from scenarios.simulator.loop import at

CLIENT = np.dtype(
    [
        ("started", np.int64),
        ("joined", np.int64),
        ("travel", np.int64),
        ("path", np.int32),
        ("tries", np.int32),
        ("attempt", np.int32),
        ("timer", np.int32),
        ("address", np.int32),
        ("held", np.int32),
        ("after", np.int32),
        ("before", np.int32),
        ("pod", np.int16),
        ("policy", np.int16),
        ("cell", np.int16),
        ("state", np.int8),
        ("marks", np.uint8),
    ]
)
"""A client, in one line of the cache. started: its latest attempt, or the next one if it is away. tries: how
many delays of its path it has taken. timer: the mark of what it waits for. after, before: its neighbours
among the sessions of its pod."""

POD = np.dtype(
    [
        ("connections", np.int64),
        ("queued", np.int64),
        ("head", np.int64),
        ("after", np.int64),
        ("before", np.int64),
        ("doing", np.int64),
        ("alive", np.int8),
        ("paused", np.int8),
        ("routed", np.int8),
        ("joined", np.int64),
        ("under_way", np.int64),
        ("stage", np.int64),
        ("who", np.int64),
        ("attempt", np.int64),
        ("begun", np.int64),
        ("turn_begun", np.int64),
        ("turn", np.int64),
        ("did", np.int64),
        ("joins", np.int64),
        ("ready", np.int64),
        ("part", np.int64),
        ("part_work", np.int64),
        ("last_tick", np.int64),
        ("heard", np.int64),
        ("lump", np.int64),
        ("lump_cpu", np.int64),
        ("busy", np.int64),
        ("busy_from", np.int64),
        ("lag", np.int64),
        ("late", np.int64),
        ("paused_at", np.int64),
        ("pauses", np.int64),
        ("lives", np.int64),
        ("quiet", np.int64),
        ("turned", np.int64),
        ("fails", np.int64),
        ("accessed", np.int64),
        ("checked", np.int64),
        ("heap", np.int64),
        ("handshakes", np.int64),
        ("joins_done", np.int64),
        ("gone_early", np.int64),
        ("shed", np.int64),
        ("short", np.int64),
        ("ticks_sent", np.int64),
        ("done_at", np.float64),
        ("left", np.float64),
        ("cpu", np.float64),
    ],
    align=True,
)
"""A pod. What each arrival looks at stands in front, in one line of the cache. after, before: its neighbours
among those with equally many connections. doing: what it works on, for the client `who` in its attempt
`attempt`; stage: how far the turn of its loop is. lump: work for connections that have ended. done_at: by the
clock of work. late: of the worst tick. turned: what it answers to the client that it turns away. quiet: it
has sent no tick for as long as the proxy waits. fails, accessed, checked: what nginx knows of it, in whole
seconds; see `edge/upstream.py`."""


class World(NamedTuple):
    """All that the loop works on: single numbers, clients, pods, and tables in arrays of whole numbers."""

    s: Any
    """Single whole numbers, and where each table begins; see `at.py`."""
    x: Any
    """Other single numbers."""
    clients: Any
    pods: Any
    m: Any
    """Tables that are as large from the beginning to the end."""
    cal: Any
    """The calendar, which may grow."""
    lim: Any
    """The limits, which may be replaced."""
    delays: Any
    """The delays of all policies, which may grow."""
    win: Any
    """What pods count in windows of time, which may grow."""

    def places(self) -> Any:
        """Where the arrays are in memory, int64 of shape (arrays,)."""
        return np.array([array.ctypes.data for array in self], np.int64)


Tables = dict[int, Any]
"""Views of the tables of an array, by their numbers in `at.py`."""


def lay_out(s: Any, shapes: Mapping[int, tuple[int, ...]], *, blank: bool = True) -> tuple[Any, Tables]:
    """(an array with room for these tables, a view of each); says in `s` where they are.

    blank: full of 0.
    """
    array = (np.zeros if blank else np.empty)(sum(prod(shape) for shape in shapes.values()) + 1, np.int64)
    views: Tables = {}
    offset = 0
    for table, shape in shapes.items():
        views[table] = array[offset : offset + prod(shape)].reshape(shape)
        s[table] = offset
        s[table + 1] = prod(shape[1:])
        s[table + 2] = prod(shape[2:])
        offset += prod(shape)
    return array, views


def margin_of(clients: int) -> int:
    """So many chunks the calendar may need for all that one event makes happen.

    Every list may need a new one, however few clients there are: entries that are out of date stay in it, and
    those of an epoch spread over all buckets.
    """
    return 2 * clients // at.CHUNK + at.BUCKETS + at.EPOCHS + 64


def near_margin(clients: int, pods: int) -> int:
    """So much room the heap of the present may need for all that one event makes happen."""
    return 2 * (clients + pods) + 64


def empty_calendar(s: Any, pods: int) -> Any:
    """An empty calendar, with room for what the clients and so many pods need to begin with."""
    clients = int(s[at.CLIENTS])
    s[at.MARGIN] = margin_of(clients)
    s[at.NEAR_MARGIN] = near_margin(clients, pods)
    chunks = 2 * margin_of(clients) + 4 * clients // at.CHUNK + pods
    soon = 4096 + 2 * near_margin(clients, pods)
    cal, views = _calendar(s, chunks, pods, soon=soon, present=clients + 4096)
    views[at.LISTS][:, : at.L_FILL] = -1
    views[at.LISTS][:, at.L_FILL :] = 0
    views[at.AFTER][:] = np.arange(1, chunks + 1)
    s[at.FREE_COUNT] = chunks
    return cal


def larger_calendar(s: Any, cal: Any, pods: int) -> Any:
    """The same calendar with twice the room."""
    chunks = int(s[at.LISTS] - s[at.AFTER])
    before = {
        table: int(s[table]) for table in (at.ENTRIES, at.AFTER, at.LISTS, at.SOON, at.PRESENT, at.OTHER)
    }
    made, views = _calendar(
        s, 2 * chunks, pods, soon=2 * int(s[at.SOON_ROOM]), present=2 * int(s[at.PRESENT_ROOM])
    )
    sizes = {
        at.ENTRIES: chunks * at.CHUNK * 2,
        at.AFTER: chunks,
        at.LISTS: views[at.LISTS].size,
        at.SOON: int(s[at.NEAR]) * 3,
        at.PRESENT: int(s[at.LOADED]) * 2,
    }
    for table, size in sizes.items():
        views[table].reshape(-1)[:size] = cal[before[table] : before[table] + size]
    views[at.AFTER][chunks:] = np.arange(chunks + 1, 2 * chunks + 1)
    views[at.AFTER][-1] = s[at.FREE]
    s[at.FREE], s[at.FREE_COUNT] = chunks, s[at.FREE_COUNT] + chunks
    return made


def next_bucket(s: Any, cal: Any) -> int:
    """How many entries the next bucket of a calendar has, at the most."""
    found = s[at.LISTS] + 4 * ((s[at.BUCKET] + 1) & (at.BUCKETS - 1))
    chunk, count = cal[found + at.L_HEAD], 0
    while chunk >= 0:
        count += at.CHUNK
        chunk = -1 if chunk == cal[found + at.L_TAIL] else cal[s[at.AFTER] + chunk]
    return count


def _calendar(s: Any, chunks: int, pods: int, *, soon: int, present: int) -> tuple[Any, Tables]:
    s[at.SOON_ROOM], s[at.PRESENT_ROOM] = soon, present
    shapes = {
        at.ENTRIES: (chunks * at.CHUNK, 2),
        at.AFTER: (chunks,),
        at.LISTS: (at.BUCKETS + at.EPOCHS + pods, 4),
        at.SOON: (soon, 3),
        at.PRESENT: (present, 2),
        at.OTHER: (present, 2),
        at.DIGITS: (2048,),
    }
    return lay_out(s, shapes, blank=False)
