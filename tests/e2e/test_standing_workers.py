"""A Locust master with its web UI and workers that stand all the time, taken by one run after the other."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from gateway_stub.protocol import CLOCK_PATH, SETTINGS_VARIABLE, Settings
from scenarios.host.machine import free_ports
from scenarios.host.process import StackError
from scenarios.host.token import TOKEN_VARIABLE
from scenarios.scenario.model import Feed, Fleet, Scenario, Target
from scenarios.stack.remote.generator import RemoteGenerator
from scenarios.wire.framing import frame
from scenarios.wire.interval import Interval
from scenarios.wire.orders import Begin, GeneratorSettings, Hello
from tests.e2e.command_line import PATIENCE_S, running, wait_for

pytestmark = pytest.mark.e2e

CLIENTS = 40
RATE_HZ = 10.0
TOKEN = "the token of these tests"
SCENARIO = Scenario(
    # Nobody leaves, or gives up, because a process stands still for a while.
    fleet=Fleet(
        clients=CLIENTS, ramp_per_s=CLIENTS, policy="full-jitter", stale_after_s=0, connect_timeout_s=20
    ),
    feed=Feed(rate_hz=RATE_HZ),
)


class Site:
    """A pod, a master, and workers that may be added and killed."""

    def __init__(self, ends: contextlib.ExitStack) -> None:
        self.pod_port, control, self.web, self.master, self.channel = free_ports(5)
        self.epoch_ns = time.monotonic_ns()
        self.url = f"http://127.0.0.1:{self.pod_port}"
        settings = Settings(
            port=self.pod_port, control_port=control, token=TOKEN, rate_hz=RATE_HZ, epoch_ns=self.epoch_ns
        )
        self._processes = ends
        self._start("gateway_stub", **{SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()})
        self._locust(
            *("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(self.master)),
            *("--web-host", "127.0.0.1", "--web-port", str(self.web), "--expect-workers", "2"),
            *("--own-target", self.url),
            *("--channel-port", str(self.channel)),
        )
        self.workers = [self.worker(), self.worker()]
        wait_for("the web UI", lambda: self.get("/metrics"))

    def worker(self) -> "subprocess.Popen[str]":
        return self._locust("--worker", "--master-host", "127.0.0.1", "--master-port", str(self.master))

    def _locust(self, *options: str) -> "subprocess.Popen[str]":
        return self._start("locust", "-f", "scenarios/clients/locustfile.py", *options)

    def _start(self, *module: str, **environment: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, TOKEN_VARIABLE: TOKEN, **environment}
        program = [sys.executable, "-m", *module]
        return self._processes.enter_context(running(program, stdout=subprocess.DEVNULL, env=environment))

    def get(self, path: str, form: dict[str, str] | None = None) -> str:
        body = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web}{path}", body, timeout=PATIENCE_S) as answer:
            return str(answer.read().decode())

    def metric(self, name: str) -> float:
        lines = (line.rsplit(" ", 1) for line in self.get("/metrics").splitlines())
        return next((float(value) for label, value in lines if label == f"generator_{name}"), -1.0)

    async def storm(self, took: list[Interval], token: str = TOKEN) -> RemoteGenerator:
        return await RemoteGenerator.start(
            SCENARIO,
            address=("127.0.0.1", self.channel),
            token=token,
            target_url=self.url,
            epoch_ns=self.epoch_ns,
            on_interval=took.append,
            clock_url=self.url + CLOCK_PATH,
        )


@pytest.fixture
def site() -> Iterator[Site]:
    with contextlib.ExitStack() as ends:
        yield Site(ends)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0.05)


async def steady_storm(site: Site, took: list[Interval]) -> RemoteGenerator:
    """A storm in which everybody was cut off once, and is back for two seconds."""
    generator = await site.storm(took)
    assert generator.workers == 2
    await until(lambda: bool(took) and took[-1].connected == CLIENTS)
    await generator.cut()
    await until(lambda: sum(each.outcomes.get("joined", 0) for each in took) == 2 * CLIENTS)
    came_back = took[-1].second
    await until(lambda: took[-1].second >= came_back + 3)
    return generator


def totals(took: list[Interval]) -> dict[str, Any]:
    return {
        "joined": sum(each.outcomes.get("joined", 0) for each in took),
        "cut": sum(each.disconnects.get("cut", 0) for each in took),
        "clients": max(each.clients for each in took),
        "processes": max(each.processes for each in took),
        "missing": took[-1].missing,
    }


def assert_every_tick_counts_once(took: list[Interval]) -> None:
    """Every tick that was due to all clients, whenever it came, and also while they were away."""
    due: Counter[int] = Counter()
    for each in took:
        for by_second in (each.effective, each.censored):
            due.update({second: int(samples.arrays()[1].sum()) for second, samples in by_second.items()})
    # All are there when they have joined. Who is lost has told of no tick of its last second.
    first = next(each.second for each in took if each.connected == CLIENTS)
    last = max(each.second for each in took if not each.missing) - 1
    whole = [due[second] for second in range(first + 1, last)]
    assert len(whole) > 1
    assert sum(whole) == pytest.approx(len(whole) * CLIENTS * RATE_HZ, rel=0.1)


def test_storms_in_a_row_with_a_worker_lost_and_one_that_joins(site: Site) -> None:
    first: list[Interval] = []
    second: list[Interval] = []
    third: list[Interval] = []

    async def play() -> None:
        generator = await steady_storm(site, first)
        await generator.finalise()
        assert site.metric("storm") == 1
        assert site.metric("connected_clients") == CLIENTS
        assert site.metric("workers") == 2
        await generator.stop()
        assert site.metric("storm") == 0
        assert json.loads(site.get("/stats/requests"))["user_count"] == 0

        generator = await steady_storm(site, second)
        until_here = len(second)
        site.workers[0].kill()
        site.workers.append(site.worker())
        await until(lambda: bool(second[-1].missing))
        await until(lambda: any(c.change == "joined" for each in second for c in each.worker_changes))
        seen = second[-1].second
        await until(lambda: second[-1].second >= seen + 2)
        await generator.finalise()
        await generator.stop()

        afterwards = second[until_here:]
        half = CLIENTS // 2
        assert [(c.change, c.clients) for each in afterwards for c in each.worker_changes] in (
            [("lost", half), ("joined", 0)],
            [("joined", 0), ("lost", half)],
        )
        # Nobody moved: the others have their clients, which notice nothing.
        assert sum(each.attempts for each in afterwards) == 0
        assert sum(sum(each.disconnects.values()) for each in afterwards) == 0
        assert (afterwards[-1].clients, afterwards[-1].connected, afterwards[-1].missing) == (
            half,
            half,
            half,
        )

        generator = await site.storm(third)
        assert generator.workers == 2
        await until(lambda: bool(third) and third[-1].connected == CLIENTS)
        await generator.stop()

    asyncio.run(play())
    before_the_loss = [each for each in second if not each.missing]
    assert totals(before_the_loss) == totals(first)
    assert totals(first)["joined"] == 2 * CLIENTS
    assert totals(first)["cut"] == CLIENTS
    for took in (first, second):
        assert_every_tick_counts_once(took)
    assert sum(each.missing for each in third) == 0
    for took in (first, second, third):
        for clock in took[-1].clocks:
            # One machine, one clock: what was measured is off by less than it says.
            assert abs(clock.offset_ns) <= clock.error_ns < 200_000_000
    assert len({clock.process for clock in first[-1].clocks}) == 2
    # The clients of a test are gone when the next one begins.
    assert before_the_loss[-1].empty_rss_bytes < 1.1 * first[-1].rss_bytes


def test_who_may_take_the_master_and_who_may_not(site: Site) -> None:
    async def refused(problem: str, token: str = TOKEN) -> None:
        with pytest.raises(StackError, match=problem):
            await site.storm([], token)

    async def play() -> None:
        wait_for("two workers", lambda: site.metric("workers") == 2)
        await refused("refused: wrong or missing token", "another token")

        site.get("/swarm", {"user_count": "4", "spawn_rate": "4", "host": site.url})
        await until(lambda: site.metric("connected_clients") == 4)
        await refused("a test started in the web UI is running: stop it first")
        site.get("/stop", {"now": "1"})

        took: list[Interval] = []
        generator = await site.storm(took)
        await refused("another storm is running: expected one at a time")
        with pytest.raises(urllib.error.HTTPError, match="409"):
            site.get("/swarm", {"user_count": "4", "spawn_rate": "4", "host": site.url})
        await until(lambda: bool(took) and took[-1].connected == CLIENTS)
        site.get("/stop", {"now": "1"})
        with pytest.raises(StackError, match="the test was stopped at the Locust master"):
            await generator.failed()
        await generator.stop()

        with pytest.raises(urllib.error.HTTPError, match="403"):
            site.get("/swarm", {"user_count": "4", "spawn_rate": "4", "allow_remote": "true"})

        # A run that vanishes: its clients leave, and the next one finds everything ready.
        vanishing = socket.create_connection(("127.0.0.1", site.channel))
        settings = GeneratorSettings(
            scenario=msgspec.structs.replace(SCENARIO, target=Target(url=site.url)), epoch_ns=site.epoch_ns
        )
        vanishing.sendall(frame(Hello(TOKEN)) + frame(Begin(settings)))
        await until(lambda: site.metric("connected_clients") == CLIENTS)
        vanishing.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        vanishing.close()
        await until(lambda: site.metric("storm") == site.metric("running") == 0)
        generator = await site.storm(took)
        await generator.stop()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("options", "environment", "problem"),
    [
        (
            ["--channel-port", "1"],
            {TOKEN_VARIABLE: "short"},
            "invalid token of 5 characters: expected at least 16",
        ),
        (
            ["--channel-port", "1", "--headless", "-u", "1"],
            {TOKEN_VARIABLE: TOKEN},
            "--channel-port: not supported with --headless",
        ),
    ],
)
def test_a_channel_that_could_not_be_used_is_refused(
    options: list[str], environment: dict[str, str], problem: str
) -> None:
    master, web = free_ports(2)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", "scenarios/clients/locustfile.py", "--master", *options),
            *("--master-bind-host", "127.0.0.1", "--master-bind-port", str(master)),
            *("--web-host", "127.0.0.1", "--web-port", str(web)),
        ],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
