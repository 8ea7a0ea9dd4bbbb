"""`reconnect-storm estimate`: what it prints, what it loads, and its exit status."""

import json

from click.testing import CliRunner, Result

from scenarios.cli.main import main
from scenarios.simulator.costs import Costs
from tests.support.command_results import words


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["estimate", *arguments])


def test_every_arm_has_a_row_with_its_numbers() -> None:
    done = run("mass-drop")
    assert done.exit_code == 0, done.output
    for arm in ("naive + none", "naive + per-ip", "incident + none", "incident + per-ip"):
        assert arm in done.output
    assert "100 %" in done.output
    assert "not within 38 s" in done.output
    assert "unknown" not in done.output


def test_json_has_the_closed_forms_and_the_forecast_of_every_arm() -> None:
    done = run("mass-drop", "--set", "matrix={}", "--json")
    assert done.exit_code == 0, done.output
    [arm] = json.loads(done.output)
    assert arm["estimate"]["stability"]["s1"][0] > 1
    assert arm["estimate"]["forecast"]["chance_metastable"] == 1
    assert arm["estimate"]["not_covered"] == arm["estimate"]["outside"] == []


def test_an_arm_that_is_not_covered_is_unknown_and_says_why() -> None:
    done = run("incident")
    assert done.exit_code == 0, done.output
    assert "unknown: event.0: feed_burst" in done.output
    found = json.loads(run("incident", "--json").output)
    assert all(arm["estimate"]["forecast"] is None for arm in found)


def test_what_was_not_checked_is_said_once_for_all_arms() -> None:
    done = run("mass-drop", "--set", "gateway.backlog=4096")
    assert done.output.count("outside of where this was checked: gateway.backlog = 4.1e+03") == 1


def test_a_mistake_in_the_scenario_ends_with_status_two() -> None:
    done = run("mass-drop", "--set", "fleet.policy=nobody")
    assert done.exit_code == 2
    assert "fleet.policy" in done.output


def test_numbers_have_a_legend_and_what_is_unknown_a_next_step() -> None:
    assert "S1 or S2 above 1: the storm may sustain itself" in words(run("mass-drop"))
    assert "simulate` covers more" not in run("mass-drop").output
    assert run("incident").output.count("simulate` covers more") == 1


def test_of_a_gateway_that_nobody_knows_nothing_is_estimated() -> None:
    done = run("mass-drop", "--set", "target.url=http://127.0.0.1:9")
    assert done.output.count("unknown") == 4 * 5 + 1
    assert "simulate` covers more" not in done.output
    found = json.loads(run("mass-drop", "--set", "target.url=http://127.0.0.1:9", "--json").output)
    assert {arm["estimate"]["stability"] for arm in found} == {None}


def test_a_feed_that_fills_the_capacity_leaves_an_infinite_s1() -> None:
    # What is left of a core by 300 clients with 5 ticks a second: nothing but a binary fraction.
    tick_us = 1e6 / (300 * 5) - 1e6 * Costs().tick_cpu_s
    full = run("mass-drop", "--set", f"gateway.tick_cpu_us={tick_us}")
    (row,) = [line for line in full.output.splitlines() if "naive + none" in line]
    assert row.split()[3] == "∞"
