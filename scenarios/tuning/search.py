"""One search: its candidates, the storms that they play, who goes on, and what came of it."""

from collections.abc import Mapping, Sequence
from os import cpu_count
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from reports.tuning.result import (
    Constraints,
    Outcome,
    Score,
    Tuned,
    Tuning,
    chosen_and_front,
    ranked,
    score,
)
from scenarios.policies.collapse import atoms, collapses, outages, sentence
from scenarios.policies.registry import policy
from scenarios.proxies.added_lines import added_lines
from scenarios.scenario.model import Scenario
from scenarios.scenario.redact import command_without_secrets, without_secrets
from scenarios.simulator.costs import Costs
from scenarios.tuning.candidate import Candidate, with_candidate
from scenarios.tuning.evaluate import Task, evaluate
from scenarios.tuning.export import settings, text
from scenarios.tuning.halving import Rung, Storm, halve, rungs
from scenarios.tuning.results import Results, play, pool
from scenarios.tuning.sampling import candidates
from scenarios.tuning.space import (
    DEFAULTS,
    FORMULA,
    INCIDENT,
    NAIVE,
    NOW,
    units,
)
from scenarios.tuning.stock_settings import stock_settings

_ANCHORS = (NOW, NAIVE, INCIDENT, FORMULA, DEFAULTS)
_DRAWS = 500
"""Clients whose delays are looked at for a value that many of them share."""


class _Question(Struct, frozen=True, kw_only=True):
    """What results of an earlier search must have been about."""

    scenario: dict[str, Any]
    costs: Costs
    version: str


class SearchView(Protocol):
    """Shows how far a search is."""

    def begin(self, storms: int) -> None:
        """This many storms are planned."""
        ...

    def at_least(self, storms: int) -> None:
        """This many have been played, now or earlier."""
        ...

    def advance(self) -> None:
        """One more has been played."""
        ...

    def note(self, text: str) -> None:
        """A line that stays."""
        ...


class Search:
    """A search that can be stopped and gone on with. Raises ResultsError, OSError."""

    def __init__(
        self,
        *,
        scenario: Scenario,
        triggers: Mapping[str, Scenario],
        storms: Sequence[Storm],
        costs: Costs,
        constraints: Constraints,
        trials: int,
        finalists: int,
        seed: int,
        path: Path,
        version: str,
        client: str | None = None,
    ) -> None:
        """triggers: the scenario by size of its trigger, the largest first. path: of the file of results.

        client: a stock client, of which only options are tried.
        """
        self.scenario, self.constraints = scenario, constraints
        self.storms = tuple(storms)
        self.triggers = triggers
        self.scale = units(scenario, costs.tick_cpu_s)
        drawn = candidates(scenario, self.scale, trials=trials, seed=seed, client=client)
        self.candidates = {one.name: one for one in drawn}
        self.always = [
            one.name for one in self.candidates.values() if set(one.origin.split(" = ")) & {*_ANCHORS}
        ]
        self._costs = costs
        self._plan = rungs(len(self.candidates), len(self.storms), finalists)
        question = _Question(scenario=without_secrets(scenario), costs=costs, version=version)
        self.results: Results[Outcome] = Results(path, Outcome, question)

    def run(self, view: SearchView, processes: int | None = None) -> bool:
        """Plays it all; returns whether it came to its end, or was stopped by KeyboardInterrupt."""
        planned = _planned(self._plan, len(self.candidates), len(self.always), len(self.storms))
        processes = min(processes or cpu_count() or 1, planned)
        view.begin(planned)
        try:
            with pool(processes) as executor:

                def play_them(names: Sequence[str], count: int) -> None:
                    tasks = [self._task(name, storm) for name in names for storm in self.storms[:count]]
                    known = [(task.candidate, task.trigger, task.seed) for task in tasks]
                    view.at_least(sum(key in self.results.known for key in known))
                    play(tasks, evaluate, self.results, executor, view.advance)

                for rung, names in halve(
                    [*self.candidates], self.always, self._plan, play_them, self._ranked
                ):
                    view.note(
                        f"{len(names)} candidates have played {rung.storms} of {len(self.storms)} storms"
                    )
        except KeyboardInterrupt:
            return False
        return True

    def outcomes(self, name: str) -> tuple[Outcome, ...]:
        """What is known of a candidate, in the order of the storms."""
        keys = [(name, storm.trigger, storm.seed) for storm in self.storms]
        return tuple(self.results.known[key] for key in keys if key in self.results.known)

    def scores(self, names: Sequence[str]) -> dict[str, Score]:
        """Of each that has played."""
        return {name: score(played) for name in names if (played := self.outcomes(name))}

    def to_confirm(self, found: Tuning) -> dict[str, Candidate | None]:
        """What a bench is to carry out, by what it is called there; each settings once."""
        by_origin = {
            origin: next((c for c in self.candidates.values() if origin in c.origin.split(" = ")), None)
            for origin in (NOW, INCIDENT)
        }
        arms: dict[str, Candidate | None] = {"chosen": self.candidates[found.chosen or ""]}
        for origin, one in by_origin.items():
            if one not in arms.values():
                arms[origin] = one
        return arms

    def _ranked(self, names: Sequence[str]) -> Sequence[str]:
        return ranked(self.scores(names), self.constraints)

    def _task(self, name: str, storm: Storm) -> Task:
        return Task(
            candidate=name,
            scenario=with_candidate(self.triggers[storm.trigger], self.candidates[name]),
            trigger=storm.trigger,
            seed=storm.seed,
            costs=self._costs,
        )


def finished(search: Search, *, complete: bool, notes: tuple[str, ...], command: Sequence[str]) -> Tuning:
    """The result of a search, or of as much of it as there is: those who have played most storms."""
    played = {name: search.outcomes(name) for name in search.candidates}
    most = max(map(len, played.values()))
    scores = search.scores([name for name, found in played.items() if len(found) == most])
    chosen, on_front = chosen_and_front(scores, search.constraints)
    order = ranked(scores, search.constraints)
    if chosen:
        order = (chosen, *(name for name in order if name != chosen))
    scenario = search.scenario
    return Tuning(
        scenario=scenario.name,
        summary=scenario.summary,
        clients=scenario.fleet.clients,
        pods=scenario.gateway.pods,
        constraints=search.constraints,
        tried=sum(bool(found) for found in played.values()),
        storms=len(search.results.known),
        complete=complete,
        triggers=tuple(search.triggers),
        seeds=len({storm.seed for storm in search.storms}),
        chosen=chosen,
        front=on_front,
        finalists=tuple(_tuned(search, name, scores[name]) for name in order),
        settings=_settings(search.candidates[chosen], scenario) if chosen else "",
        stock_clients=stock_settings(search.candidates[chosen], scenario.fleet, search.scale)
        if chosen
        else (),
        notes=notes,
        command=" ".join(command_without_secrets(command)),
    )


def _tuned(search: Search, name: str, found: Score) -> Tuned:
    one = search.candidates[name]
    chains = outages(policy(one.policy), seed=1, draws=_DRAWS)
    return Tuned(
        name=name,
        policy=one.policy,
        limit=one.limit,
        reset_backoff=one.reset_backoff,
        origin=one.origin,
        score=found,
        outcomes=search.outcomes(name),
        broken=search.constraints.broken(found),
        stable_after_s=one.stable_after_s,
        on_one_value=tuple(round(one.share, 3) for one in atoms(chains)),
        collapse=sentence(chains) if collapses(chains) else "",
    )


def _settings(chosen: Candidate, scenario: Scenario) -> str:
    whole = with_candidate(scenario, chosen)
    return text(settings(chosen, whole, added_lines(whole)))


def _planned(plan: Sequence[Rung], candidates: int, always: int, all_storms: int) -> int:
    """How many storms the rungs take together."""
    total = before = 0
    left = candidates
    for rung in plan:
        total += left * (rung.storms - before)
        before, left = rung.storms, min(left, rung.keep + always)
    return max(1, min(total, candidates * all_storms))
