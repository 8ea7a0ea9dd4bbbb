"""Connection state recovery after a quiet time, at a real server with a stock client.

Case 19 of docs/reported-storms.md. The adapter of the server keeps an event for as long as a session, counted
from the event itself. It does not know what a client has missed whose newest event is older.
"""

import json
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.needs_node]

AWAY_MS = 100
CASES = {
    "an event a moment before": (5_000, 50, True),
    "quiet, but for less time than sessions are kept": (60_000, 2_000, True),
    "quiet for longer than sessions are kept": (5_000, 6_000, False),
}


@pytest.mark.parametrize(("kept_ms", "quiet_ms", "recovered"), CASES.values(), ids=CASES)
def test_a_client_is_recovered_only_if_its_last_event_is_newer_than_sessions_are_kept(
    node_modules: Path, kept_ms: int, quiet_ms: int, recovered: bool
) -> None:
    program = ["node", str(node_modules / "quiet.js"), *map(str, (kept_ms, quiet_ms, AWAY_MS))]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {"recovered": recovered}
