"""Tokens that expire in mid-run: clients that ask once stay out, clients that ask again come back."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from reports.rundir.reader import Run
from tests.e2e.command_line import carried_out, last_known

pytestmark = pytest.mark.e2e

CLIENTS = 40
SHORT = (
    "arms={}",
    f"fleet.clients={CLIENTS}",
    # Far more than from an attempt to its join. All have joined 2 s before the storm's clock begins.
    "gateway.token_lifetime_s=8",
    "fleet.connect_timeout_s=5",
    "fleet.stale_after_s=0",
    'event=[{at_s=7, do="drop_all"}]',
    "phases.duration_s=14",
    "phases.during_s=4",
    "phases.recovery_window_s=3",
)
IN_AUTH = ("target.headers={}", 'target.auth={token="{token}"}')
TOKEN = re.compile(r"1[789]\d{17}")
"""A token of the stub: the time in nanoseconds, of the years 2023 to 2033."""

CASES: dict[str, tuple[tuple[str, ...], bool]] = {
    "a new one for each attempt, in a header": ((), True),
    "a new one for each attempt, in auth": (IN_AUTH, True),
    "the one of the start, in auth": ((*IN_AUTH, "target.credentials.when=start"), False),
    "of a command": (
        (f"target.credentials={{command={json.dumps(['python3', '-c', 'PROGRAM'])}}}",),
        True,
    ),
}
PROGRAM = "import sys, time\nfor line in sys.stdin: print(time.time_ns(), flush=True)"


def total(run: Run, column: str) -> float:
    return sum(value for value in run.column(column) if value is not None)


@pytest.mark.parametrize(("sets", "comes_back"), CASES.values(), ids=CASES)
def test_clients_come_back_if_they_ask_for_a_new_token(
    tmp_path: Path, sets: tuple[str, ...], comes_back: bool
) -> None:
    sets = tuple(text.replace("PROGRAM", json.dumps(PROGRAM)[1:-1]) for text in sets)
    run = stormed(tmp_path, *sets)
    assert last_known(run, "connected") == (CLIENTS if comes_back else 0)
    assert (total(run, "rejected") == 0) == comes_back


def test_with_the_token_of_the_start_in_a_header_a_policy_that_sees_the_status_ends_it(
    tmp_path: Path,
) -> None:
    run = stormed(tmp_path, "target.credentials.when=start", "fleet.policy=websockets-python")
    assert last_known(run, "connected") == 0
    assert total(run, "rejected") == total(run, "gave_up_http_status") == CLIENTS


def stormed(tmp_path: Path, *sets: str) -> Run:
    """A run whose clients were all there before the drop; it has written no token down."""
    arguments = ("run", "--retries", "0", "expired-tokens")
    output, (run,) = carried_out(tmp_path, *arguments, sets=(*SHORT, *sets))
    assert CLIENTS in [row["connected"] for row in run.between(0, 7)]
    assert total(run, "no_credentials") == 0
    written = [output, *(path.read_text(errors="replace") for path in _files(run.directory))]
    assert not any(TOKEN.search(text) for text in written), "a token was written down"
    return run


def _files(folder: Path) -> list[Any]:
    return [path for path in folder.rglob("*") if path.is_file()]
