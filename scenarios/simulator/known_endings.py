"""How attempts and sessions end, as places of a table: the loop knows the places, policies the endings."""

from collections import Counter
from collections.abc import Iterator

from gateway_stub.protocol import RETRY_AFTER_S
from scenarios.clients import endings
from scenarios.clients.endings import Ending
from scenarios.limits.counted import Refusal
from scenarios.policies.orders import POLICY_ENDED
from scenarios.policies.outcome import Outcome
from scenarios.simulator.loop import at
from scenarios.simulator.loop.world import Tables
from scenarios.simulator.recorder import Said

_UNSUPPORTED = 400
"""What a gateway of today answers to a client that asks for an old protocol."""
_ALWAYS = {
    at.TIMED_OUT: endings.TIMED_OUT,
    at.REFUSED: endings.REFUSED,
    at.RESET: endings.RESET,
    at.STALE: endings.STALE,
    at.PING_TIMEOUT: endings.PING_TIMEOUT,
    at.ABANDONED: endings.ABANDONED,
}


class KnownEndings:
    """All endings of a run."""

    def __init__(self) -> None:
        self._table: list[Ending | None] = [None] * at.SIZE_E
        self._news: list[int] = []
        for place, ending in _ALWAYS.items():
            self._learn(place, ending)
        self._learn_answer(at.UNSUPPORTED, _UNSUPPORTED)
        self._learn_answer(at.UNAVAILABLE, 502)
        self._learn_answer(at.SHED_BY_POD, 503, RETRY_AFTER_S)
        self.refuse_with(Refusal())

    def __iter__(self) -> Iterator[tuple[int, Ending]]:
        """(place, ending) of all of them."""
        return ((place, ending) for place, ending in enumerate(self._table) if ending is not None)

    def take_news(self) -> list[tuple[int, Ending]]:
        """(place, ending) of those that have come to the table since the last call."""
        news, self._news = self._news, []
        return [(place, ending) for place, ending in self if place in news]

    def refuse_with(self, refusal: Refusal) -> None:
        """What the edge answers from now on where a limit refuses."""
        self._learn_answer(at.LIMITED, refusal.status, refusal.retry_after_s or None)

    def _learn_answer(self, place: int, status: int, retry_after_s: float | None = None) -> None:
        self._learn(place, endings.answered(status, retry_after_s, "websocket"))
        self._learn(place + 1, endings.answered(status, retry_after_s, "polling"))

    def _learn(self, place: int, ending: Ending) -> None:
        self._table[place] = ending
        self._news.append(place)

    def place_of(self, ending: Ending) -> int:
        """Where an ending stands; it is entered where it does not yet."""
        if ending not in self._table:
            self._learn(self._table.index(None), ending)
        return self._table.index(ending)

    def outcome(self, place: int) -> Outcome:
        """What a policy is told of what stands there."""
        return next(ending.outcome for known, ending in self if known == place)

    def reason(self, reason: str) -> int:
        """The place that stands for why a policy has stopped."""
        if reason == POLICY_ENDED:
            return at.POLICY_ENDED
        return next(place for place, ending in self if ending.outcome.kind == reason)

    def said(self, tables: Tables) -> Said:
        """What is counted in the tables of the loop, by the words for it."""
        outcomes: Counter[str] = Counter()
        disconnects: Counter[str] = Counter()
        gave_up: Counter[str] = Counter()
        for place, ending in self:
            outcomes[ending.attempt] += int(tables[at.OUTCOMES][place])
            disconnects[ending.session] += int(tables[at.DISCONNECTS][place])
            gave_up[ending.outcome.kind] += int(tables[at.GAVE_UP][place])
        outcomes["joined"] += int(tables[at.OUTCOMES][at.SIZE_E])
        gave_up[POLICY_ENDED] += int(tables[at.GAVE_UP][at.POLICY_ENDED])
        return Said(+outcomes, +disconnects, +gave_up)
