"""Connection state recovery at a real Node gateway: what is lost with it, without it, and when too late."""

import json
import shutil
from pathlib import Path

import pytest
from msgspec import Struct

from reports.analysis.judgement import judgement_of
from tests.e2e.command_line import carried_out

pytestmark = [pytest.mark.e2e, pytest.mark.needs_node]

EXAMPLE = Path(__file__).parents[2] / "examples" / "node"
CLIENTS = 20
SHORT = (
    "gateway.setup=",
    f"fleet.clients={CLIENTS}",
    # Who gives an attempt up has asked for its session all the same, and has it no more.
    "fleet.connect_timeout_s=20",
    'event=[{at_s=2, do="drop_all"}]',
    "phases.duration_s=10",
    "phases.during_s=4",
    "phases.recovery_window_s=4",
    "arms={}",
)
FEWEST_MISSED, MOST_MISSED = 4, 30
"""Ticks for each client: some 5 to 10 come in the 1 to 2 s for which it is away, more on a busy machine."""


class Case(Struct, frozen=True):
    """How long the gateway keeps sessions, and what becomes of them."""

    recovery_s: str
    asked: int
    recovered: int
    is_lost: bool


CASES = {
    "on": Case("120", CLIENTS, CLIENTS, is_lost=False),
    "off": Case("0", 0, 0, is_lost=True),
    # Too late even for a gateway that hears of the disconnect when its client is about to return.
    "clients return too late": Case("0.01", CLIENTS, 0, is_lost=True),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_recovered_sessions_lose_no_tick_and_get_none_twice(
    tmp_path: Path, node_modules: Path, case: Case
) -> None:
    folder = tmp_path / "node"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "runs"))
    (folder / "node_modules").symlink_to(node_modules / "node_modules")
    sets = (*SHORT, f"gateway.environment.RECOVERY_S={json.dumps(case.recovery_s)}")
    scenario = str(folder / "recovery.toml")
    _, (run,) = carried_out(tmp_path / "runs", "run", "--retries", "0", scenario, sets=sets)
    storm = judgement_of(run).summary.storm
    assert storm is not None
    assert storm.ticks is not None
    assert storm.disconnects == CLIENTS
    lost = storm.ticks.lost / CLIENTS
    assert FEWEST_MISSED <= lost <= MOST_MISSED if case.is_lost else lost == 0
    found = storm.recovery
    if not case.asked:
        assert found is None
        return
    assert found is not None
    assert (found.asked, found.recovered, found.duplicated) == (case.asked, case.recovered, 0)
    assert bool(found.replayed) == bool(case.recovered)
    report = (tmp_path / "runs" / "latest" / "report.md").read_text(encoding="utf-8")
    assert "| session recovery, ticks duplicated | 0 |" in report
