"""How a prediction's cost grows with the clients: python tests/bench/simulator_scale.py [CLIENTS …]

Each size is a process of its own: everybody is dropped once, and N·c/P = 20 s of work wait for the pods,
however many clients there are. Who stays away tries again once a second with `naive`, once in five seconds
with the stock JavaScript client, and more and more seldom, down to once in thirty, with `incident`.
"""

import argparse
import os
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

from msgspec.structs import replace

from reports.analysis.judgement import judge_run
from scenarios.scenario.loader import load
from scenarios.scenario.model import Scenario
from scenarios.simulator.run import Prediction, simulate

CLIENTS = (1_000, 10_000, 100_000, 1_000_000)
CLIENTS_PER_POD = 5_000
DRAIN_S = 20.0


def storm(clients: int, policy: str, seconds: int) -> Scenario:
    """Everybody dropped at once, at so many clients, for so long."""
    pods = max(2, clients // CLIENTS_PER_POD)
    overrides = {
        "fleet.clients": clients,
        "fleet.policy": policy,
        "gateway.pods": pods,
        "gateway.cpu": "occupy",
        "gateway.backlog": 4_096,
        "gateway.handshake_cpu_ms": 1000 * DRAIN_S * pods / clients,
        "phases.duration_s": seconds,
        "phases.rescue_at_s": 0,
    }
    scenario = load("mass-drop", tuple(f"{key}={value}" for key, value in overrides.items()))
    return replace(scenario, matrix={})


def main() -> None:
    """Prints one row for each size and policy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", type=int, nargs="*", default=CLIENTS)
    parser.add_argument("--seconds", type=int, default=600)
    arguments = parser.parse_args()
    _say("policy", "clients", "pods", "tries", "verdict", "wall", "CPU", "memory")
    _say("---", "---:", "---:", "---:", "---", "---:", "---:", "---:")
    for policy in ("incident", "socketio-js", "naive"):
        for clients in arguments.clients:
            with tempfile.TemporaryDirectory() as folder:
                scenario, run = storm(clients, policy, arguments.seconds), Path(folder) / "run"
                began_s = time.monotonic()
                process = get_context("spawn").Process(target=_carry_out, args=(scenario, run))
                process.start()
                _, status, used = os.wait4(process.pid or 0, 0)
                took_s = time.monotonic() - began_s
                if status:
                    sys.exit(f"the prediction for {clients} clients ended with status {status}")
                judged = judge_run(run)
            _say(
                policy,
                f"{clients:,}",
                str(scenario.gateway.pods),
                f"{sum(row['attempts'] or 0 for row in judged.rows):,.0f}",
                judged.info.verdict["name"],
                f"{took_s:.1f} s",
                f"{used.ru_utime + used.ru_stime:.1f} s",
                f"{used.ru_maxrss / 1024:.0f} MB",
            )


def _say(*cells: str) -> None:
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def _carry_out(scenario: Scenario, directory: Path) -> None:
    simulate(Prediction(scenario=scenario, directory=directory, arm="storm"))


if __name__ == "__main__":
    main()
