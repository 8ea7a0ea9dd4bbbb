"""What `tune` prints for the JavaScript client, pasted around a real socket.io-client."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scenarios.fields import NameOrTable
from scenarios.scenario.loader import load
from scenarios.tuning.candidate import Candidate
from scenarios.tuning.export import settings

pytestmark = [pytest.mark.e2e, pytest.mark.needs_node]

WAITS = 7
SPREAD = {"name": "spread", "window_s": 0.2, "base_s": 0.01, "cap_s": 0.04}
STOCK = {"name": "socketio-js", "min_ms": 20, "max_ms": 60, "jitter": 0.5}

# Notes every delay that the client's own back-off gives, until there are enough of them.
HARNESS = """
const {{ createServer }} = require("http");
const {{ Server }} = require("socket.io");
const {{ io }} = require("socket.io-client");
const server = createServer();
const drops = {drops};
if (drops) new Server(server).on("connection", (s) => setTimeout(() => s.conn.close(), 5));
server.listen(0, "127.0.0.1", () => {{
  const url = "http://127.0.0.1:" + server.address().port;
  if (!drops) server.close();
  {pasted}
  const backoff = socket.io.backoff, duration = backoff.duration, waits = [];
  backoff.duration = function () {{
    const wait = duration.call(this);
    if (waits.push(wait) === {count}) {{ console.log(JSON.stringify(waits)); process.exit(0); }}
    return wait;
  }};
}});
"""


def waits_ms(folder: Path, spec: NameOrTable, reset: Any, *, drops: bool) -> list[int]:
    """The delays of a client that nobody answers, or that a server drops as soon as it has joined."""
    chosen = Candidate(name="c", policy=spec, limit="none", reset_backoff=reset)
    pasted = settings(chosen, load("mass-drop", ["matrix={}"]), "").javascript
    script = HARNESS.format(drops=json.dumps(drops), pasted=pasted, count=WAITS)
    (folder / "storm.js").write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["node", "storm.js"], cwd=folder, check=True, timeout=120, capture_output=True, text=True
    )
    found: list[int] = json.loads(done.stdout)
    return found


def test_the_first_window_is_wide_and_later_ceilings_double_up_to_the_cap(node_modules: Path) -> None:
    rounds = [waits_ms(node_modules, SPREAD, "stable", drops=False) for _ in range(5)]
    assert max(first for first, *_ in rounds) > 40
    for place, ceiling_ms in enumerate([200, 10, 20, 40, 40, 40, 40]):
        assert all(0 <= waits[place] <= ceiling_ms for waits in rounds)
    assert len({waits[-1] for waits in rounds}) > 1, "the jitter stays once the cap is reached"


def test_a_session_that_does_not_last_does_not_start_the_back_off_over(node_modules: Path) -> None:
    first, *later = waits_ms(node_modules, SPREAD, "stable", drops=True)
    assert first <= 200
    assert max(later) <= 40


def test_where_it_starts_over_at_every_opening_each_wait_is_in_the_first_window(node_modules: Path) -> None:
    waits = waits_ms(node_modules, SPREAD, "open", drops=True)
    assert max(waits) > 40


def test_stock_options_are_kept_by_the_stock_client(node_modules: Path) -> None:
    waits = waits_ms(node_modules, STOCK, "open", drops=False)
    assert 10 <= waits[0] <= 30
    assert waits[-1] == 60, "the jitter is gone once the cap is reached"
