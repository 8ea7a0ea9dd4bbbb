"""Clients between two attempts: they wait as their policy says, ask the cap, and set out."""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.calendar import put_client
from scenarios.simulator.loop.parts import hot, inner
from scenarios.simulator.loop.tables import item, one, spot, u


@inner
def mixed(seed: int, client: int, number: int) -> int:
    """A number below 2³¹ that is as good as drawn: the same for the same three.

    Source: splitmix64, Steele, Lea and Flood, OOPSLA 2014.
    """
    z = (seed ^ (client * 0x1E3779B97F4A7C15)) + number * 0x3C6EF372FE94F82B
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * 0x3F58476D1CE4E5B9
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * 0x14D049BB133111EB
    return (z ^ ((z >> 31) & 0x1FFFFFFFF)) & 0x7FFFFFFF


@inner
def tell(w: Any, what: int, client: int, time: int, ending: int, session: int) -> None:
    """Leaves word for the policy of a client, which Python asks."""
    s = w.s
    told = item(w, at.TOLD_ROWS, s[at.TOLD])
    w.m[u(told + at.T_WHAT)] = what
    w.m[u(told + at.T_CLIENT)] = client
    w.m[u(told + at.T_POLICY)] = w.clients[u(client)].policy
    w.m[u(told + at.T_TIME)] = time
    w.m[u(told + at.T_ENDING)] = ending
    w.m[u(told + at.T_SESSION)] = session
    s[at.TOLD] += 1
    s[at.NEED] = at.OUTCOMES_TO_TELL


@inner
def start_over(w: Any, client: int) -> None:
    """The back-off of a client resets."""
    c = w.clients[u(client)]
    policy = w.s[at.POLICIES] + at.SIZE_P * c.policy
    c.tries = 0
    if w.m[u(policy + at.P_TOLD)]:
        tell(w, at.T_STARTS_OVER, client, w.s[at.NOW], 0, 0)
    else:
        drawn = mixed(w.s[at.SEED] + c.policy, client, c.attempt)
        c.path = (drawn * w.m[u(policy + at.P_PATHS)]) >> 31


@inner
def reset(w: Any, client: int, when: int) -> None:
    """The policy of a client starts over if it does so at that moment."""
    if w.m[u(spot(w, at.POLICIES, w.clients[u(client)].policy, at.P_RESET))] == when:
        start_over(w, client)


@inner
def give_up(w: Any, client: int, reason: int) -> None:
    """A client stops for good."""
    c = w.clients[u(client)]
    c.state = at.GONE
    w.m[u(one(w, at.GAVE_UP, reason))] += 1
    w.m[u(one(w, at.GAVE_UP_BY_CELL, c.cell))] += 1


@hot
def count_attempt(w: Any, time: int, cell: int, times: int) -> None:
    """An attempt begins then; -1 takes it back."""
    slot = min(time // (at.SECOND // 10), w.s[at.SLOTS_OF_RUN] - 1)
    w.m[u(spot(w, at.ATTEMPTS_BY_SLOT, slot, cell))] += times


@hot
def begin(w: Any, client: int, time: int) -> None:
    """A client begins an attempt then, unless a pushed policy comes first."""
    c = w.clients[u(client)]
    c.state = at.AWAY
    c.marks = (c.marks & (at.ALL_MARKS ^ at.WAKING)) | at.BOOKED
    c.started = time
    count_attempt(w, time, c.cell, 1)
    c.timer += 1
    patience = w.m[u(one(w, at.TIMEOUTS, c.cell))]
    travel = c.travel + w.s[at.EDGE_DELAY]
    put_client(w, time + min(travel, patience), client, at.TIMER, c.timer)


@hot
def wait_until(w: Any, client: int, time: int) -> None:
    """A client wants to begin an attempt then."""
    if w.s[at.CAP] == 0:
        begin(w, client, time)
        return
    c = w.clients[u(client)]
    c.state = at.AWAY
    c.marks &= at.ALL_MARKS ^ (at.BOOKED | at.WAKING)
    c.started = time
    c.timer += 1
    put_client(w, time, client, at.TIMER, c.timer)


@inner
def come_back(w: Any, client: int, time: int, ending: int, session: int) -> None:
    """A client waits for its next delay, counted from that time; session: its length, 0 without one."""
    c = w.clients[u(client)]
    policy = w.s[at.POLICIES] + at.SIZE_P * c.policy
    c.timer += 1
    c.state = at.AWAY
    c.marks &= at.ALL_MARKS ^ (at.BOOKED | at.WAKING | at.GREETED)
    if w.m[u(policy + at.P_TOLD)]:
        tell(w, at.T_ENDED, client, time, ending, session)
        return
    if w.m[u(w.s[at.STOPS] + at.SIZE_E * c.policy + ending)]:
        give_up(w, client, ending)
        return
    width = w.m[u(policy + at.P_WIDTH)]
    delay = w.delays[u(w.m[u(policy + at.P_OFFSET)] + c.path * w.m[u(policy + at.P_STRIDE)] + c.tries)]
    if delay < 0:
        give_up(w, client, at.POLICY_ENDED)
        return
    c.tries += 1
    if c.tries == at.MOST_TRIES:
        c.tries = at.MOST_TRIES // 2
    elif c.tries == width:
        w.s[at.NEED] = at.MORE_DELAYS
        w.m[u(policy + at.P_WANTS)] = 1
    wait_until(w, client, time + delay)


@inner
def wake_at(w: Any, client: int, time: int) -> None:
    """The policy of a client wants to be asked again then."""
    c = w.clients[u(client)]
    c.state = at.AWAY
    c.marks = (c.marks & (at.ALL_MARKS ^ at.BOOKED)) | at.WAKING
    c.started = time
    c.timer += 1
    put_client(w, time, client, at.TIMER, c.timer)


@inner
def _lowest_place(w: Any) -> int:
    """Takes the lowest place off the heap of those that are free."""
    s, places = w.s, one(w, at.PLACES, 0)
    lowest = w.m[u(places + 0)]
    count = s[at.FREE_PLACES] - 1
    s[at.FREE_PLACES] = count
    number, place = w.m[u(places + count)], 0
    while True:
        down = 2 * place + 1
        if down >= count:
            break
        if down + 1 < count and w.m[u(places + down + 1)] < w.m[u(places + down)]:
            down += 1
        if w.m[u(places + down)] >= number:
            break
        w.m[u(places + place)] = w.m[u(places + down)]
        place = down
    w.m[u(places + place)] = number
    return int(lowest)


@inner
def ask_cap(w: Any, client: int, time: int) -> None:
    """The delay of a client is over; it begins as soon as the cap lets it."""
    s = w.s
    cap = s[at.CAP]
    if cap == 0:
        begin(w, client, time)
        return
    second = time // at.SECOND
    place = -1
    while s[at.FREE_PLACES] > 0 and place < second * cap:
        place = _lowest_place(w)
    if place < second * cap:
        place = max(s[at.NEXT_PLACE], second * cap)
        s[at.NEXT_PLACE] = place + 1
    if place // cap > second:
        w.m[u(one(w, at.NUMBERS, at.N_HELD_BACK))] += 1
        time = place // cap * at.SECOND + (place % cap) * at.SECOND // cap
    begin(w, client, time)


@inner
def give_place_back(w: Any, began: int) -> None:
    """An attempt that the cap had begin then will not."""
    s = w.s
    cap = s[at.CAP]
    if cap == 0:
        return
    number = began // at.SECOND * cap + ((began % at.SECOND) * cap + at.SECOND - 1) // at.SECOND
    places, place = one(w, at.PLACES, 0), s[at.FREE_PLACES]
    s[at.FREE_PLACES] = place + 1
    while place > 0:
        up = (place - 1) >> 1
        if w.m[u(places + up)] <= number:
            break
        w.m[u(places + place)] = w.m[u(places + up)]
        place = up
    w.m[u(places + place)] = number
