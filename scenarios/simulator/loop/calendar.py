"""What is to happen, in the order of the times: a wheel of buckets, each sorted when its time has come.

Whatever takes room says when it becomes scarce, so that Python makes more before the next event.

An entry is (time, what). `what` has the number of a client or pod, the kind of the event, and a mark by which
an event that is out of date is known. Entries of the same time come in the order in which they were put in.

Near times have buckets of about four milliseconds, far ones of about 17 seconds; an entry moves from the
latter to the former when its 17 seconds begin. What is put into the bucket of the present goes onto a heap.
"""

from typing import Any

from scenarios.simulator.loop import at
from scenarios.simulator.loop.parts import hot, inner
from scenarios.simulator.loop.tables import u

_RADIX_BITS = 11
_RADIX = 1 << _RADIX_BITS
_FEW = 40


# -- lists of chunks ----------------------------------------------------------------------------------


@inner
def free(w: Any, chunk: int) -> None:
    """Gives a chunk back; what is in it can be read until the next one is taken."""
    s = w.s
    w.cal[u(s[at.AFTER] + chunk)] = s[at.FREE]
    s[at.FREE] = chunk
    s[at.FREE_COUNT] += 1


@hot
def append(w: Any, place: int, time: int, what: int) -> None:
    """Puts an entry at the end of a list."""
    s, cal = w.s, w.cal
    after, found = s[at.AFTER], s[at.LISTS] + 4 * place
    tail, fill = cal[u(found + at.L_TAIL)], cal[u(found + at.L_FILL)]
    if tail < 0 or fill == at.CHUNK:
        new = s[at.FREE]
        s[at.FREE] = cal[u(after + new)]
        s[at.FREE_COUNT] -= 1
        if s[at.FREE_COUNT] < s[at.MARGIN]:
            s[at.NEED] = at.MORE_ROOM
        cal[u(after + new)] = -1
        if tail < 0:
            cal[u(found + at.L_HEAD)] = new
            cal[u(found + at.L_OFF)] = 0
        else:
            cal[u(after + tail)] = new
        cal[u(found + at.L_TAIL)] = new
        tail, fill = new, 0
    where = s[at.ENTRIES] + 2 * (tail * at.CHUNK + fill)
    cal[u(where)] = time
    cal[u(where + 1)] = what
    cal[u(found + at.L_FILL)] = fill + 1


@inner
def is_empty(w: Any, place: int) -> bool:
    """Whether a list has no entry."""
    return bool(w.cal[u(w.s[at.LISTS] + 4 * place + at.L_HEAD)] < 0)


@inner
def first(w: Any, place: int) -> int:
    """Takes the first entry off a list, which is not empty; returns where it stands."""
    s, cal = w.s, w.cal
    found = s[at.LISTS] + 4 * place
    head, off = cal[u(found + at.L_HEAD)], cal[u(found + at.L_OFF)]
    where = s[at.ENTRIES] + 2 * (head * at.CHUNK + off)
    off += 1
    if head == cal[u(found + at.L_TAIL)] and off == cal[u(found + at.L_FILL)]:
        cal[u(found + at.L_HEAD)] = cal[u(found + at.L_TAIL)] = -1
        free(w, head)
    elif off == at.CHUNK:
        cal[u(found + at.L_HEAD)] = cal[u(s[at.AFTER] + head)]
        cal[u(found + at.L_OFF)] = 0
        free(w, head)
    else:
        cal[u(found + at.L_OFF)] = off
    return int(where)


# -- events to come -----------------------------------------------------------------------------------


@inner
def _put_near(w: Any, time: int, what: int) -> None:
    s, cal = w.s, w.cal
    soon, place = s[at.SOON], s[at.NEAR]
    s[at.NEAR] = place + 1
    if place + s[at.NEAR_MARGIN] >= s[at.SOON_ROOM]:
        s[at.NEED] = at.MORE_ROOM
    number = s[at.SEQUENCE]
    s[at.SEQUENCE] = number + 1
    while place > 0:
        up = soon + 3 * ((place - 1) >> 1)
        if cal[u(up)] <= time:  # of equal times the later one stays below
            break
        here = soon + 3 * place
        cal[u(here)], cal[u(here + 1)], cal[u(here + 2)] = cal[u(up)], cal[u(up + 1)], cal[u(up + 2)]
        place = (place - 1) >> 1
    here = soon + 3 * place
    cal[u(here)], cal[u(here + 1)], cal[u(here + 2)] = time, number, what


@hot
def put(w: Any, time: int, what: int) -> None:
    """Enters an event; times do not lie before the present."""
    s = w.s
    bucket = time >> at.BUCKET_SHIFT
    if bucket <= s[at.BUCKET]:
        _put_near(w, time, what)
        return
    epoch = time >> at.EPOCH_SHIFT
    if epoch == s[at.EPOCH]:
        append(w, bucket & (at.BUCKETS - 1), time, what)
    else:
        epoch = min(epoch, s[at.EPOCH] + at.EPOCHS - 1)
        append(w, at.BUCKETS + (epoch & (at.EPOCHS - 1)), time, what)


@hot
def put_client(w: Any, time: int, client: int, kind: int, mark: int) -> None:
    """Enters an event of a client, or of a pod."""
    put(w, time, int(client) | (kind << at.CLIENT_BITS) | (int(mark) << at.MARK_SHIFT))


@inner
def take_near(w: Any) -> None:
    """Takes the first one off the heap."""
    s, cal = w.s, w.cal
    count = s[at.NEAR] - 1
    s[at.NEAR] = count
    soon = s[at.SOON]
    last = soon + 3 * count
    time, number, what = cal[u(last)], cal[u(last + 1)], cal[u(last + 2)]
    place = 0
    while 2 * place + 1 < count:
        down = 2 * place + 1
        one, other = soon + 3 * down, soon + 3 * down + 3
        if down + 1 < count and (
            cal[u(other)] < cal[u(one)]
            or (cal[u(other)] == cal[u(one)] and cal[u(other + 1)] < cal[u(one + 1)])
        ):
            down += 1
            one = other
        if cal[u(one)] > time or (cal[u(one)] == time and cal[u(one + 1)] > number):
            break
        here = soon + 3 * place
        cal[u(here)], cal[u(here + 1)], cal[u(here + 2)] = cal[u(one)], cal[u(one + 1)], cal[u(one + 2)]
        place = down
    here = soon + 3 * place
    cal[u(here)], cal[u(here + 1)], cal[u(here + 2)] = time, number, what


# -- the bucket of the present ------------------------------------------------------------------------


@inner
def _spread(w: Any, place: int) -> None:
    """The entries of an epoch go to their buckets; those of a later one wait on."""
    s, cal = w.s, w.cal
    found = s[at.LISTS] + 4 * place
    chunk, off = cal[u(found + at.L_HEAD)], cal[u(found + at.L_OFF)]
    last, fill = cal[u(found + at.L_TAIL)], cal[u(found + at.L_FILL)]
    cal[u(found + at.L_HEAD)] = cal[u(found + at.L_TAIL)] = -1
    while chunk >= 0:
        end = fill if chunk == last else at.CHUNK
        for number in range(chunk * at.CHUNK + off, chunk * at.CHUNK + end):
            where = s[at.ENTRIES] + 2 * number
            put(w, cal[u(where)], cal[u(where + 1)])
        following = cal[u(s[at.AFTER] + chunk)]
        free(w, chunk)
        chunk, off = following, 0


@inner
def _count(w: Any, place: int) -> int:
    s, cal = w.s, w.cal
    found = s[at.LISTS] + 4 * place
    chunk = cal[u(found + at.L_HEAD)]
    count = cal[u(found + at.L_FILL)] - cal[u(found + at.L_OFF)]
    while chunk != cal[u(found + at.L_TAIL)]:
        count += at.CHUNK
        chunk = cal[u(s[at.AFTER] + chunk)]
    return int(count)


@inner
def _insert_in_order(w: Any, count: int) -> None:
    cal, present = w.cal, w.s[at.PRESENT]
    for place in range(1, count):
        here = present + 2 * place
        time, what = cal[u(here)], cal[u(here + 1)]
        while here > present and cal[u(here - 2)] > time:
            cal[u(here)] = cal[u(here - 2)]
            cal[u(here + 1)] = cal[u(here - 1)]
            here -= 2
        cal[u(here)], cal[u(here + 1)] = time, what


@inner
def _sort_by_digits(w: Any, count: int) -> None:
    """Sorts by the two digits in which the times of a bucket differ; those of equal times stay in order."""
    s, cal = w.s, w.cal
    here, there, starts = s[at.PRESENT], s[at.OTHER], s[at.DIGITS]
    for digit in range(2):
        shift = digit * _RADIX_BITS
        for value in range(_RADIX):
            cal[u(starts + value)] = 0
        for place in range(here, here + 2 * count, 2):
            cal[u(starts + ((cal[u(place)] >> shift) & (_RADIX - 1)))] += 1
        total = 0
        for value in range(_RADIX):
            number = cal[u(starts + value)]
            cal[u(starts + value)] = total
            total += number
        for place in range(here, here + 2 * count, 2):
            value = starts + ((cal[u(place)] >> shift) & (_RADIX - 1))
            to = there + 2 * cal[u(value)]
            cal[u(value)] += 1
            cal[u(to)] = cal[u(place)]
            cal[u(to + 1)] = cal[u(place + 1)]
        here, there = there, here


@inner
def _load(w: Any, place: int) -> None:
    """Takes a whole list as the present bucket, sorted by time."""
    s, cal = w.s, w.cal
    found = s[at.LISTS] + 4 * place
    chunk, off = cal[u(found + at.L_HEAD)], cal[u(found + at.L_OFF)]
    last, fill = cal[u(found + at.L_TAIL)], cal[u(found + at.L_FILL)]
    cal[u(found + at.L_HEAD)] = cal[u(found + at.L_TAIL)] = -1
    to = s[at.PRESENT]
    before, in_order = 0, True
    while chunk >= 0:
        end = fill if chunk == last else at.CHUNK
        for number in range(chunk * at.CHUNK + off, chunk * at.CHUNK + end):
            where = s[at.ENTRIES] + 2 * number
            time = cal[u(where)]
            cal[u(to)] = time
            cal[u(to + 1)] = cal[u(where + 1)]
            to += 2
            in_order &= time >= before
            before = time
        following = cal[u(s[at.AFTER] + chunk)]
        free(w, chunk)
        chunk, off = following, 0
    count = (to - s[at.PRESENT]) >> 1
    s[at.TAKEN], s[at.LOADED] = 0, count
    if not in_order:
        if count <= _FEW:
            _insert_in_order(w, count)
        else:
            _sort_by_digits(w, count)


@inner
def come_to(w: Any, last: int) -> None:
    """Loads the next bucket that has an entry, up to the last one that is asked for.

    Only where the present one is empty. Stops before a bucket for which there is no room.
    """
    s = w.s
    while s[at.BUCKET] < last:
        bucket = s[at.BUCKET] + 1
        place = bucket & (at.BUCKETS - 1)
        epoch = bucket >> (at.EPOCH_SHIFT - at.BUCKET_SHIFT)
        if epoch != s[at.EPOCH]:
            s[at.EPOCH] = epoch
            _spread(w, at.BUCKETS + (epoch & (at.EPOCHS - 1)))
            if s[at.FREE_COUNT] < s[at.MARGIN]:
                s[at.NEED] = at.MORE_ROOM
                return
        if not is_empty(w, place):
            if _count(w, place) > s[at.PRESENT_ROOM]:
                s[at.NEED] = at.MORE_ROOM
                return
            s[at.BUCKET] = bucket
            _load(w, place)
            return
        s[at.BUCKET] = bucket
