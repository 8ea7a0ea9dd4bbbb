"""A gateway whose event loop is blocked stamps its ticks late: by stamp that is hidden, by schedule it shows.

The gateway is a python-socketio server in a process of its own, and says itself how late it was. The clients
run in another process, patched as under Locust: `drive` below.
"""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from time import monotonic_ns
from typing import Any

import msgspec
import numpy as np
import pytest

from scenarios.wire.interval import Interval
from scenarios.wire.merge import add
from tests.support.late_gateway import BLOCK_S, RATE_HZ

CLIENTS = 3
CALM_S = 4.5
STORM_S = 2.0
ROOT = Path(__file__).parents[3]
MS = 1_000_000


def drive(url: str) -> None:
    """Plays the calm phase and the storm; writes the storm's seconds, and what the gateway says."""
    import gevent

    from scenarios.clients.protocol.streams import Streams
    from scenarios.clients.protocol.target import resolve
    from scenarios.generator.process import Generator
    from scenarios.scenario.model import Feed, Fleet, Scenario, Target
    from scenarios.wire.orders import EndCalm, Finalise, GeneratorSettings

    def asked(path: str) -> Any:
        with urllib.request.urlopen(f"{url}{path}") as answer:
            return msgspec.json.decode(answer.read())

    feed = Feed(rate_hz=RATE_HZ, due_field="at", seq_field="n", due="schedule")
    fleet = Fleet(clients=CLIENTS, policy="naive", rtt_ms=0, stale_after_s=0, connect_timeout_s=9)
    scenario = Scenario(fleet=fleet, feed=feed, target=Target(url=url))
    intervals: list[Interval] = []
    settings = GeneratorSettings(scenario=scenario, epoch_ns=monotonic_ns())
    generator = Generator(settings, resolve(scenario.target), intervals.append)
    clients = [generator.add_client() for _ in range(CLIENTS)]
    for client in clients:
        client.start()

    def stream() -> Any:
        schedule = generator.recorder.schedule
        assert isinstance(schedule, Streams)
        (only,) = schedule._now.values()
        return only

    def newest() -> list[int]:
        """The number of the newest tick of each client."""
        return [held - stream().base for held in generator.recorder.held_seq]

    gevent.sleep(CALM_S)
    with gevent.Timeout(60):
        # A gateway that stood still most of this time has no schedule yet.
        while stream().fitter.fit is None:
            gevent.sleep(0.05)
    before = newest()
    generator.obey(Finalise())
    generator.obey(EndCalm())
    intervals.clear()
    blocked = int(asked("/block"))
    gevent.sleep(STORM_S)
    with gevent.Timeout(60):
        while min(newest()) <= blocked:
            gevent.sleep(0.02)
    after = newest()
    generator.obey(Finalise())
    told = {int(seq): late for seq, late in asked("/told").items()}
    for client in clients:
        client.stop()
    generator.stop()
    # The very ticks that the clients got in this time: this process may have stood still before any of it.
    got = [range(first + 1, last + 1) for first, last in zip(before, after, strict=True)]
    late_ns = [told[seq] for seqs in got for seq in seqs]
    said = {"intervals": intervals, "late_ns": late_ns}
    sys.stdout.buffer.write(msgspec.msgpack.encode(said))


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    gateway = subprocess.Popen(
        [sys.executable, "-m", "tests.support.late_gateway"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert gateway.stdout is not None
    with gateway:
        yield f"http://127.0.0.1:{int(gateway.stdout.readline())}"
        gateway.kill()


class Storm(msgspec.Struct):
    """The storm's seconds, and how late the gateway says that it stamped the ticks that each client got."""

    intervals: list[Interval]
    late_ns: list[int]

    def mean_ms(self, name: str) -> float:
        values, counts = add(getattr(each, name) for each in self.intervals).arrays()
        return float(values @ counts / counts.sum() / 1000)

    def max_ms(self, name: str) -> float:
        return max(getattr(each, name).percentile_ms(100) or 0.0 for each in self.intervals)


def played(url: str) -> Storm:
    done = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", __file__, url],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.msgpack.decode(done.stdout, type=Storm)


def test_lateness_of_the_gateway_shows_by_schedule_and_not_by_stamp(url: str) -> None:
    storm = played(url)
    last = storm.intervals[-1]
    assert last.reference == "schedule"
    assert [fit.problem for fit in last.fits] == [""]
    assert sum(each.stamped for each in storm.intervals) == 0
    # What the gateway says of itself: the first tick after the block is late by all of it.
    worst_ms = max(storm.late_ns) / MS
    assert worst_ms >= 1000 * BLOCK_S
    assert storm.max_ms("fanout") >= worst_ms - 10
    # Both figures are of the same ticks: what is between them is the gateway's lateness, tick by tick.
    between_ms = storm.mean_ms("fanout") - storm.mean_ms("fanout_by_stamp")
    assert between_ms == pytest.approx(np.mean(storm.late_ns) / MS, abs=10)
    assert between_ms > 10
    assert sum(each.missed for each in storm.intervals) == 0


if __name__ == "__main__":
    drive(*sys.argv[1:])
