"""What a command says before it starts: how long its runs take, and what they can tell."""

from collections.abc import Sequence
from math import ceil

from reports.compare.measures import KEY_MEASURES
from reports.compare.statistics import runs_needed
from scenarios.runner.plan import Plan
from scenarios.scenario.model import Scenario
from scenarios.scenario.phases import expected_s, may_end_early

_END_S = 2
"""What ending the parts of a run and judging it usually take."""


def compare_lines(todo: Sequence[Plan], rounds: int, most_rounds: int) -> list[str]:
    """Before a comparison: how many runs it makes and how long that takes, and what can be decided."""
    controls = sum(plan.control for plan in todo)
    arms = len({plan.arm for plan in todo if not plan.control})
    last = [plan for plan in todo if plan.round == most_rounds and not plan.control]
    number = f"{rounds} to {most_rounds}" if most_rounds > rounds else str(rounds)
    parts = [f"{number} {'rounds' if most_rounds > 1 else 'round'} of {_counted(len(last), 'arm')}"]
    parts += [_counted(controls, "control run")] if controls else []
    return [
        f"{' and '.join(parts)}: {_duration([plan.scenario for plan in todo])}, without retries.",
        _tells(rounds, most_rounds, arms),
    ]


def gate_line(scenarios: Sequence[Scenario], rounds: int, most_rounds: int) -> str:
    """Before a gate: how many rounds it plays, and how long that takes. scenarios: those of one round."""
    number = f"{rounds} to {most_rounds}" if most_rounds > rounds else str(rounds)
    runs = _counted(len(scenarios), "run")
    return (
        f"{number} {'rounds' if most_rounds > 1 else 'round'} of {runs}: "
        f"{_duration(list(scenarios) * most_rounds)}, without retries."
    )


def duration_text(seconds: float) -> str:
    """`70 s`, `16 min`, `2 h 5 min`; rounded up."""
    if seconds <= 90:
        return f"{ceil(seconds)} s"
    hours, minutes = divmod(ceil(seconds / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _duration(scenarios: Sequence[Scenario]) -> str:
    text = f"at most {duration_text(sum(expected_s(one) + _END_S for one in scenarios))}"
    early = any(map(may_end_early, scenarios))
    return f"{text} (a run that has recovered ends early)" if early else text


def _tells(rounds: int, most_rounds: int, arms: int) -> str:
    whole, single = runs_needed(), runs_needed(len(KEY_MEASURES))
    if arms < 2:
        return "One arm: its numbers, and no comparison."
    if most_rounds > rounds:
        return (
            f"From round {rounds} on, each round is followed by a test. The comparison ends once every arm "
            "is decided against the reference."
        )
    if rounds < whole:
        have = f"{_counted(rounds, 'round')}: no test of the arms"
        return f"{have}. With {whole} rounds: a test of whole arms; with {single}: of single measures."
    if rounds < single:
        return f"{rounds} rounds: a test of whole arms. With {single} rounds: of single measures, too."
    return f"{rounds} rounds: a test of whole arms, and of single measures."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
