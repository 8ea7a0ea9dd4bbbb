"""What is said of an own gateway that cannot be meant, before anything is started."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from scenarios.cli.main import main
from tests.e2e.own_gateway import OWN_STORM, toml
from tests.support.command_results import assert_refused
from tests.support.gateways import words


def typed(runs: Path, *sets: str, options: tuple[str, ...] = ()) -> Result:
    overrides = [part for override in sets for part in ("--set", override)]
    return CliRunner().invoke(main, ["run", *options, *overrides, "--runs", str(runs)])


STUB = ("gateway.handshake_cpu_ms=5", "gateway.tick_cpu_us=10", "gateway.busy_lag_ms=5", "gateway.backlog=64")
REFUSED = {
    **{f"the stub's key {key}": ((key,), key.partition("=")[0]) for key in STUB},
    "a burst without a publisher": (
        ('event=[{at_s=2, do="feed_burst", factor=2, for_s=1}]',),
        "event[0].do: not supported: feed_burst",
    ),
    "a stall without a publisher": (
        ('event=[{at_s=2, do="feed_stall", for_s=1}]',),
        "event[0].do: not supported: feed_stall",
    ),
    "a liveness probe without a path": (
        ('event=[{at_s=2, do="probes", conflated=false}]',),
        "event[0].conflated: not supported as false without gateway.liveness_path",
    ),
    "load shedding": (("edge.limit=lag-shed",), "edge.limit: invalid value 'lag-shed'"),
    "load shedding in mid-run": (
        ('event=[{at_s=2, do="set_limit", limit="lag-shed"}]',),
        "event[0].limit: invalid value 'lag-shed'",
    ),
    "an unknown placeholder": (
        ('gateway.environment={A="{prot}"}',),
        "gateway.environment.A: invalid value '{prot}': expected one of {port}",
    ),
    "a target of somebody else's": (("target.url=http://127.0.0.1:1",), "target.url"),
}


@pytest.mark.parametrize(("sets", "told"), REFUSED.values(), ids=REFUSED)
def test_what_only_the_stub_can_do_is_refused(tmp_path: Path, sets: tuple[str, ...], told: str) -> None:
    own = (*OWN_STORM, f"gateway.command={toml(words('healthy'))}", *sets)
    assert_refused(typed(tmp_path, *own), told)
    assert list(tmp_path.iterdir()) == []


COMMANDS = {
    "a shell's line": ("npm ci && node server.js", "no shell reads the command"),
    "an assignment": ("PORT=1 node server.js", "begins with an assignment of PORT"),
    "an open quotation mark": ("node 'server.js", "cannot be split into words"),
    "an unknown placeholder": ("node server.js {prot}", "invalid value '{prot}': expected one of {port}"),
}


@pytest.mark.parametrize(("gateway", "told"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_that_cannot_be_meant_is_refused(tmp_path: Path, gateway: str, told: str) -> None:
    result = typed(tmp_path, *OWN_STORM, f"gateway.command={toml(gateway)}")
    assert_refused(result, "gateway.command", told)
    assert list(tmp_path.iterdir()) == []


def test_a_command_in_the_option_is_checked_like_that_in_a_file(tmp_path: Path) -> None:
    result = typed(tmp_path, *OWN_STORM, options=("--gateway", "npm ci && node server.js"))
    assert_refused(result, "no shell reads the command")


def test_keys_of_an_own_gateway_are_refused_without_one(tmp_path: Path) -> None:
    result = typed(tmp_path, "gateway.on_crash=leave")
    assert_refused(result, "gateway.on_crash", "expected gateway.command beside it")
