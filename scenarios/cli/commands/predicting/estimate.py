"""`estimate`: says what a storm will come to, without a simulation."""

import math
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec
from rich.table import Table

from reports.text import units
from scenarios.cli.model_costs import model_costs
from scenarios.cli.options import COSTS_OPTION, JSON_OPTION, SET_OPTION, scenario_argument
from scenarios.cli.terminal import console, usage_errors
from scenarios.estimate.estimate import ArmEstimate, Estimate, Forecast, estimate
from scenarios.policies.following import PolicyError
from scenarios.scenario.arms import arms
from scenarios.scenario.loader import load, refuse_set_by_arms
from scenarios.scenario.model import Scenario
from scenarios.scenario.validate import ScenarioError
from scenarios.simulator.costs import CostFileError, Costs

_UNKNOWN = "unknown"
_LEGEND = (
    "t*: the shortest time to readmit all; S1 or S2 above 1: the storm may sustain itself."
    " More: `reconnect-storm explain S1`."
)


@click.command("estimate")
@scenario_argument("mass-drop")
@SET_OPTION
@COSTS_OPTION
@JSON_OPTION
def estimate_command(
    *, scenario_name: str, overrides: tuple[str, ...], costs_file: Path | None, as_json: bool
) -> None:
    """Estimate every arm of a scenario in milliseconds, without a simulation.

    S1, S2 and t* are closed forms; time to recover and the chance of a metastable outcome come from a Markov
    chain. An arm that the chain does not cover is `unknown`, with the reason; an arm outside of the ranges in
    which the chain was checked says so. `simulate` covers more, and takes longer.

    Exit status: 0 good, 2 usage or configuration.
    """
    with usage_errors(ScenarioError, PolicyError, CostFileError):
        scenario, costs = _loaded(scenario_name, overrides, costs_file)
        refuse_set_by_arms(scenario, overrides)
        found = {name: estimate(arm, costs) for name, arm in arms(scenario).items()}
    if as_json:
        listed = [ArmEstimate(arm=name, estimate=one) for name, one in found.items()]
        click.echo(msgspec.json.format(msgspec.json.encode(listed)).decode())
        return
    console.print(estimate_table(found))
    for line in notes(found):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _loaded(name: str, overrides: tuple[str, ...], costs_file: Path | None) -> tuple[Scenario, Costs]:
    if costs_file is None:
        return load(name, overrides), Costs()
    return model_costs(costs_file, (), quiet=True).load(name, overrides)


def estimate_table(found: Mapping[str, Estimate]) -> Table:
    """A row for each arm."""
    table = Table(
        *("arm", "S1", "S2", "t*", "time to recover", "chance of a metastable outcome"),
        box=None,
        caption=_LEGEND,
        caption_justify="left",
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for name, one in found.items():
        table.add_row(
            name,
            *_closed_forms(one),
            _UNKNOWN if one.forecast is None else recovery_text(one.forecast),
            _UNKNOWN if one.forecast is None else units.percent(one.forecast.chance_metastable),
        )
    return table


def _closed_forms(one: Estimate) -> tuple[str, str, str]:
    """S1, S2 and t*."""
    numbers = one.stability
    if numbers is None:
        return _UNKNOWN, _UNKNOWN, _UNKNOWN
    s1, s2, readmission_s = numbers.s1[0], numbers.s2, numbers.readmission_s
    return (
        units.INFINITE if s1 == math.inf else f"{s1:.1f}",
        units.INFINITE if s2 == math.inf else f"{s2:.1f}",
        units.INFINITE if readmission_s == math.inf else units.seconds(readmission_s),
    )


def recovery_text(forecast: Forecast) -> str:
    """`13 s (12 to 15)`, with `if at all` where not every load recovers, or within which time none does."""
    if forecast.time_to_recover_s is None:
        return f"not within {forecast.horizon_s} s"
    low, high = forecast.time_to_recover_from_s, forecast.time_to_recover_to_s
    text = units.seconds(forecast.time_to_recover_s)
    if low != high:
        text += f" ({low} to {high})"
    return text if forecast.chance_recovered == 1 else f"{text}, if at all"


def notes(found: Mapping[str, Estimate]) -> list[str]:
    """Why arms are unknown, and which are outside of what was checked; what all arms share, once."""
    told: dict[str, list[str]] = {}
    for name, one in found.items():
        for reason in one.not_covered:
            told.setdefault(f"unknown: {reason}", []).append(name)
        for reason in one.outside:
            told.setdefault(f"outside of where this was checked: {reason}", []).append(name)
    every = len(found)
    texts = [text if len(names) == every else f"{', '.join(names)}: {text}" for text, names in told.items()]
    if any(one.forecast is None and one.stability is not None for one in found.values()):
        texts.append("`reconnect-storm simulate` covers more, and takes longer")
    return texts
