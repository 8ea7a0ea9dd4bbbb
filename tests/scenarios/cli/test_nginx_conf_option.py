"""`--nginx-conf FILE`: whose limit counts then."""

from pathlib import Path

import pytest

from scenarios.cli.options import Options
from scenarios.scenario.validate import ScenarioError

EXAMPLE = Path(__file__).parents[3] / "examples" / "nginx" / "nginx.conf"


def options(*overrides: str) -> Options:
    return Options(
        scenario_name="mass-drop",
        overrides=("edge.tls={}", *overrides),
        runs_folder=Path("runs"),
        nginx_binary=None,
        retries=0,
        target="",
        gateway="",
        nginx_conf=EXAMPLE,
        allow_remote=False,
        allow_exec=False,
        as_json=False,
    )


def test_the_limit_of_a_scenario_gives_way_to_that_of_the_users_nginx() -> None:
    scenario = options().load()
    assert scenario.edge.limit == "none"
    assert scenario.edge.nginx_conf == str(EXAMPLE)


def test_a_limit_that_the_user_asks_for_as_well_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"'none' with edge\.nginx_conf, which has limits of its own"):
        options("edge.limit=per-ip").load()
