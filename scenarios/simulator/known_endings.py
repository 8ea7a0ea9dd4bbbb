"""How attempts and sessions end, as places of a table: the loop knows the places, policies the endings."""

import math
from collections import Counter
from collections.abc import Iterator

from gateway_stub.protocol import RETRY_AFTER_S, Admission
from scenarios.clients import endings
from scenarios.clients.endings import Ending
from scenarios.limits.counted import Refusal
from scenarios.policies.orders import POLICY_ENDED
from scenarios.policies.outcome import Outcome
from scenarios.simulator.admission.refusals import BUSY, TOO_MANY, TRY_AGAIN
from scenarios.simulator.loop import at
from scenarios.simulator.loop.world import Tables
from scenarios.simulator.recorder import Said

_UNSUPPORTED = 400
"""What a gateway of today answers to a client that asks for an old protocol."""
_BAD_GATEWAY, _NO_CONNECTION = 502, 500
"""What the proxy answers where no pod is there, and where its worker has no connection left."""
_ALWAYS = {
    at.TIMED_OUT: endings.TIMED_OUT,
    at.REFUSED: endings.REFUSED,
    at.RESET: endings.RESET,
    at.STALE: endings.STALE,
    at.PING_TIMEOUT: endings.PING_TIMEOUT,
    at.ABANDONED: endings.ABANDONED,
}
_CHANGING = {place + polls for place in (at.LIMITED, at.SHED_BY_POD, at.TOO_MANY) for polls in (False, True)}
"""Places that mean something else with another limit."""

NOTHING_SAID = Said(Counter(), Counter(), Counter(), 0, 0)


class KnownEndings:
    """All endings of a run."""

    def __init__(self) -> None:
        self._table: list[Ending | None] = [None] * at.SIZE_E
        self._news: list[int] = []
        self._kept = NOTHING_SAID
        for place, ending in _ALWAYS.items():
            self._learn(place, ending)
        self._learn_answer(at.UNSUPPORTED, _UNSUPPORTED)
        self._learn_answer(at.UNAVAILABLE, _BAD_GATEWAY)
        self._learn_answer(at.NO_CONNECTION, _NO_CONNECTION)
        self.refuse_with(Refusal())
        self.turn_away_with(Admission())

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

    def turn_away_with(self, rules: Admission) -> None:
        """What pods answer from now on whom they turn away."""
        self._learn_answer(at.SHED_BY_POD, BUSY, RETRY_AFTER_S)
        self._learn_answer(at.TOO_MANY, TOO_MANY, math.ceil(rules.window_s))
        if rules.close_1013:
            self._learn(at.SHED_BY_POD, TRY_AGAIN)
            self._learn(at.TOO_MANY, TRY_AGAIN)

    def _learn_answer(self, place: int, status: int, retry_after_s: float | None = None) -> None:
        self._learn(place, endings.answered(status, retry_after_s, "websocket"))
        self._learn(place + 1, endings.answered(status, retry_after_s, "polling"))

    def _learn(self, place: int, ending: Ending) -> None:
        self._table[place] = ending
        self._news.append(place)

    def place_of(self, ending: Ending) -> int:
        """Where an ending stands; it is entered where it does not yet."""
        for place, known in self:
            if known == ending and place not in _CHANGING:
                return place
        place = self._table.index(None)
        self._learn(place, ending)
        return place

    def outcome(self, place: int) -> Outcome:
        """What a policy is told of what stands there."""
        return next(ending.outcome for known, ending in self if known == place)

    def reason(self, reason: str) -> int:
        """The place that stands for why a policy has stopped."""
        if reason == POLICY_ENDED:
            return at.POLICY_ENDED
        return next(place for place, ending in self if ending.outcome.kind == reason)

    def said(self, tables: Tables) -> Said:
        """What has ended since it was taken, by the words for it."""
        kept = self._kept
        outcomes, disconnects, gave_up = map(Counter, (kept.outcomes, kept.disconnects, kept.gave_up))
        ended = tables[at.ENDED]
        of_all = ended.sum(axis=0).tolist()
        of_sessions, stopped = tables[at.DISCONNECTS].tolist(), tables[at.GAVE_UP].tolist()
        limited = []
        for place, ending in self:
            if ending.attempt == "limited":
                limited.append(place)
            if of_all[place]:
                outcomes[ending.attempt] += of_all[place]
            if of_sessions[place]:
                disconnects[ending.session] += of_sessions[place]
            if stopped[place]:
                gave_up[ending.outcome.kind] += stopped[place]
        outcomes["joined"] += of_all[at.SESSIONS_MADE]
        gave_up[POLICY_ENDED] += stopped[at.POLICY_ENDED]
        return Said(
            +outcomes,
            +disconnects,
            +gave_up,
            kept.failed_by_cell + ended[:, : at.SESSIONS_MADE].sum(axis=1),
            kept.limited_by_cell + ended[:, limited].sum(axis=1),
        )

    def keep(self, tables: Tables) -> None:
        """Counts what has ended by the words of now, before places get others."""
        self._kept = self.said(tables)
        self._clear(tables)

    def taken(self, tables: Tables) -> None:
        """What was said has been written down."""
        self._kept = NOTHING_SAID
        self._clear(tables)

    def _clear(self, tables: Tables) -> None:
        for table in (at.ENDED, at.DISCONNECTS, at.GAVE_UP):
            tables[table][:] = 0
