"""Throttles: may an attempt begin now, given how the attempts before it have ended?

A throttle is asked when an attempt's delay is over. It counts the attempts that it lets through, and learns
the outcome of each. All times are seconds on one clock that does not go back; nothing here reads it.
"""

import random
from collections import deque
from typing import Literal, Protocol

# A caller that waited exactly as told may be this early on a clock of whole nanoseconds.
ROUNDING_S = 1e-6


class Throttle(Protocol):
    """Decides locally whether an attempt may begin."""

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:
        """0.0: begin now, and the throttle counts the attempt. Else ask again after these seconds; infinity:
        never.

        first: whether it is attempt 0 of this outage.
        """
        ...

    def ended(self, joined: bool, now_s: float) -> None:
        """An attempt that the throttle let through has ended; `joined` says whether it made a session."""
        ...


class InOrder:
    """A throttle that many share, and that is not always asked in the order of time: its clock waits then.

    The simulator tells of the events of one slot by their kind.
    """

    __slots__ = ("_now_s", "_throttle")

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._now_s = 0.0

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:
        return self._throttle.wait_s(self._not_before(now_s), rng, first)

    def ended(self, joined: bool, now_s: float) -> None:
        self._throttle.ended(joined, self._not_before(now_s))

    def _not_before(self, now_s: float) -> float:
        self._now_s = max(self._now_s, now_s)
        return self._now_s


class RollingSum:
    """What was added in the current bucket of time and in the `buckets` - 1 before it."""

    __slots__ = ("_bucket_s", "_buckets", "_recent", "_total")

    def __init__(self, *, bucket_s: float, buckets: int) -> None:
        self._bucket_s = bucket_s
        self._buckets = buckets
        self._recent: deque[tuple[int, int]] = deque()  # (bucket, sum), oldest first, empty buckets left out
        self._total = 0

    def add(self, amount: int, now_s: float) -> None:
        bucket = int(now_s // self._bucket_s)
        if self._recent and self._recent[-1][0] == bucket:
            amount_before = self._recent.pop()[1]
            self._recent.append((bucket, amount_before + amount))
        else:
            self._recent.append((bucket, amount))
        self._total += amount

    def total(self, now_s: float) -> int:
        gone = int(now_s // self._bucket_s) - self._buckets
        while self._recent and self._recent[0][0] <= gone:
            self._total -= self._recent.popleft()[1]
        return self._total


class BreakerThrottle:
    """opossum's circuit breaker.

    Every ask counts as a fire, also one that is turned away. In every state a failure counts, but only in the
    closed state does the error rate decide; in the half-open state any failure opens and any success closes.
    """

    __slots__ = (
        "_ask_again_s",
        "_error_threshold",
        "_failures",
        "_fires",
        "_half_open_s",
        "_probing",
        "_reset_s",
    )

    def __init__(
        self, *, error_threshold: float, reset_s: float, bucket_s: float, buckets: int, ask_again_s: float
    ) -> None:
        self._error_threshold = error_threshold
        self._reset_s = reset_s
        self._ask_again_s = ask_again_s
        self._fires = RollingSum(bucket_s=bucket_s, buckets=buckets)
        self._failures = RollingSum(bucket_s=bucket_s, buckets=buckets)
        self._half_open_s: float | None = None  # None while closed
        self._probing = False

    def state(self, now_s: float) -> Literal["closed", "open", "half-open"]:
        if self._half_open_s is None:
            return "closed"
        return "open" if self._half_open_s - now_s > ROUNDING_S else "half-open"

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:  # noqa: ARG002
        self._fires.add(1, now_s)
        if self._half_open_s is None:
            return 0.0
        if self.state(now_s) == "open":
            return self._half_open_s - now_s
        if self._probing:
            return self._ask_again_s
        self._probing = True
        return 0.0

    def ended(self, joined: bool, now_s: float) -> None:
        state = self.state(now_s)
        if joined:
            if state == "half-open":
                self._half_open_s, self._probing = None, False
            return
        self._failures.add(1, now_s)
        allowed = self._error_threshold * self._fires.total(now_s)
        if state == "half-open" or (state == "closed" and self._failures.total(now_s) > allowed):
            self._half_open_s, self._probing = now_s + self._reset_s, False


class BudgetThrottle:
    """tower's budget: first attempts deposit, retries withdraw, and a reserve allows a few retries.

    Amounts are whole, as there: a deposit is 1 and a withdrawal ⌊1/ratio⌋, or above a ratio of 1, 1000 and
    ⌊1000/ratio⌋. They count in the current tenth of the window and in the ten before it.
    """

    __slots__ = ("_ask_again_s", "_balance", "_deposit", "_reserve", "_withdrawal")

    def __init__(self, *, ratio: float, min_per_s: int, window_s: int, ask_again_s: float) -> None:
        if ratio == 0:
            self._deposit, self._withdrawal = 0, 1
        elif ratio <= 1:
            self._deposit, self._withdrawal = 1, int(1 / ratio)
        else:
            self._deposit, self._withdrawal = 1000, int(1000 / ratio)
        self._reserve = min_per_s * window_s * self._withdrawal
        self._balance = RollingSum(bucket_s=window_s / 10, buckets=11)
        self._ask_again_s = ask_again_s

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:  # noqa: ARG002
        if first:
            self._balance.add(self._deposit, now_s)
            return 0.0
        if self._reserve + self._balance.total(now_s) < self._withdrawal:
            return self._ask_again_s
        self._balance.add(-self._withdrawal, now_s)
        return 0.0

    def ended(self, joined: bool, now_s: float) -> None:
        """Changes nothing: a budget is about how many attempts there are, not how they end."""


class AdaptiveThrottle:
    """The SRE book's adaptive throttling: the less has been accepted, the more is turned away."""

    __slots__ = ("_accepts", "_ask_again_s", "_k", "_requests")

    def __init__(self, *, k: float, window_s: float, ask_again_s: float) -> None:
        self._k = k
        self._ask_again_s = ask_again_s
        self._requests = RollingSum(bucket_s=window_s / 120, buckets=120)
        self._accepts = RollingSum(bucket_s=window_s / 120, buckets=120)

    def rejection_probability(self, now_s: float) -> float:
        requests = self._requests.total(now_s)
        return max(0.0, (requests - self._k * self._accepts.total(now_s)) / (requests + 1))

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:  # noqa: ARG002
        probability = self.rejection_probability(now_s)
        # Also what is turned away here has been asked for: that is how the probability grows.
        self._requests.add(1, now_s)
        return self._ask_again_s if rng.random() < probability else 0.0

    def ended(self, joined: bool, now_s: float) -> None:
        if joined:
            self._accepts.add(1, now_s)


class BucketThrottle:
    """A bucket of tokens: a retry takes one, a success returns a part of one, first attempts are free."""

    __slots__ = ("_ask_again_s", "_capacity", "_per_success", "_tokens")

    def __init__(self, *, capacity: float, per_success: float, ask_again_s: float) -> None:
        self._capacity = capacity
        self._per_success = per_success
        self._ask_again_s = ask_again_s
        self._tokens = capacity

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:  # noqa: ARG002
        if first:
            return 0.0
        if self._tokens < 1:
            return self._ask_again_s
        self._tokens = round(self._tokens - 1, 9)
        return 0.0

    def ended(self, joined: bool, now_s: float) -> None:  # noqa: ARG002
        if joined:
            # Rounded, because ten times 0.1 has to be one.
            self._tokens = min(self._capacity, round(self._tokens + self._per_success, 9))
