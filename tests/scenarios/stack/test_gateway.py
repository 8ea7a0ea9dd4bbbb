"""Whatever is done to pods and to nginx at the same time: each order has a result, and none breaks the stack.

Real gateway, pods, proxy, events and timeline on hosts of which every process takes its time to start, to
answer and to end. Time is virtual.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_stub.protocol import CONTROLS_PATH, Controls, Settings
from reports.rundir.memory import MemoryWriter
from scenarios.host.process import StackError, Watch, first_of
from scenarios.proxies.proxy import Proxy
from scenarios.runner.timeline import Timeline
from scenarios.scenario.model import Scenario
from scenarios.simulator.run import ZERO_S, Prediction, _Conductor, _info, ignored
from scenarios.simulator.virtual_time import run_in_virtual_time
from scenarios.stack.expected import in_upstream
from scenarios.stack.gateway import Gateway, said_last
from scenarios.stack.stack import Stack

FORK_S, START_S, ANSWER_S, KILL_S, STOP_S = 0.05, 1.2, 0.04, 0.02, 0.3


class Process:
    """A pod or nginx: listens some time after its start, unless somebody else listens on its port."""

    log = Path("log")

    def __init__(self, name: str, *, can_bind: bool) -> None:
        self.name = name
        self.going = asyncio.Event()
        self.going.set()
        self.listens = False
        self.controls = Controls()
        self.dropped: list[str] = []
        self._end = asyncio.Event()
        self._boot = asyncio.create_task(self._start(can_bind=can_bind))

    @property
    def alive(self) -> bool:
        return not self._end.is_set()

    @property
    def paused(self) -> bool:
        return not self.going.is_set()

    async def _start(self, *, can_bind: bool) -> None:
        left_s = START_S
        while left_s > 0:
            await asyncio.sleep(0.1)
            left_s -= 0.0 if self.paused else 0.1
        self.listens = can_bind
        if not can_bind:
            self._end.set()

    async def _die(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self._boot.cancel()
        self.listens = False
        self.going.set()
        self._end.set()

    async def kill(self) -> None:
        await self._die(KILL_S)

    async def stop(self, grace_s: float | None = None) -> None:
        self.going.set()
        await self._die(STOP_S)

    async def pause(self) -> None:
        if self.alive:
            self.going.clear()

    async def resume(self) -> None:
        self.going.set()

    async def wait(self) -> None:
        await self._end.wait()

    async def lines(self) -> AsyncIterator[bytes]:
        await self._end.wait()
        yield b"a pod that ends in the middle of a li"

    def ended(self) -> StackError | None:
        return None if self.alive else StackError(f"{self.name} ended")

    def ended_by_itself(self) -> StackError:
        return StackError(f"{self.name} ended by itself")


class Place:
    """A host for one process at a time."""

    address = listen = "127.0.0.1"
    clock_ahead_ns = 0
    reading = None

    def __init__(self, port: int) -> None:
        self.port = self.control_port = port
        self.processes: list[Process] = []

    @property
    def process(self) -> Process | None:
        return next((process for process in self.processes if process.alive), None)

    async def start(self, settings: Settings, *, log: Path, descriptors: int) -> Process:
        await asyncio.sleep(FORK_S)
        made = Process(settings.name, can_bind=self.process is None)
        made.controls = settings.controls
        self.processes.append(made)
        return made


class Places:
    """So many places as a site has, or as many as anybody wants."""

    def __init__(self, count: int) -> None:
        self.places = [Place(9_000 + number) for number in range(count)]
        self.unused = list(self.places)
        self.given_back: list[Place] = []

    def free(self, count: int) -> list[Any]:
        if count > len(self.unused):
            raise StackError("there are not enough hosts")
        taken, self.unused = self.unused[:count], self.unused[count:]
        return taken

    def give_back(self, host: Any) -> None:
        assert host.process is None, "a place is given back when its pod has ended"
        self.given_back.append(host)
        self.unused.append(host)


class ProxyPlace:
    """A host for nginx, which reads its configuration when it starts and when it is told to."""

    url, listen = "http://127.0.0.1:8080", "127.0.0.1:8080"
    trusted: tuple[str, ...] = ()

    def __init__(self, directory: Path) -> None:
        self.directory = self.logs = directory
        self.private: Path | None = None
        self.processes: list[Process] = []
        self.written = self.read = ""

    async def configure(self, files: Mapping[str, str]) -> None:
        await asyncio.sleep(0.1)
        (self.written,) = files.values()
        (self.directory / "gateway.conf").write_text(self.written)

    async def start(self, *, descriptors: int) -> Process:
        made = Process("nginx", can_bind=not any(process.alive for process in self.processes))
        self.processes.append(made)
        self.read = self.written
        try:
            await asyncio.sleep(0.4)
            if error := made.ended():
                raise error
        except BaseException:
            await made.kill()
            raise
        return made

    async def cut(self) -> bool:
        return False

    async def reload(self) -> None:
        assert [process.alive for process in self.processes][-1:] == [True], "there is nobody to reload"
        self.read = self.written
        await asyncio.sleep(0.2)


class Http:
    """What pods answer, or do not."""

    def __init__(self, places: Places) -> None:
        self._by_port = {place.port: place for place in places.places}

    def get(self, url: str, *, timeout: aiohttp.ClientTimeout, headers: Any, allow_redirects: bool) -> Any:
        return self._asked(url, timeout.total or 60.0, b"")

    def post(self, url: str, *, data: bytes, headers: Any) -> Any:
        return self._asked(url, 60.0, data)

    async def close(self) -> None: ...

    @asynccontextmanager
    async def _asked(self, url: str, timeout_s: float, data: bytes) -> AsyncIterator["Http.Answer"]:
        asked = urlsplit(url)
        process = self._by_port[asked.port or 0].process
        if process is None or not process.listens:
            raise aiohttp.ClientConnectionError("refused")
        async with asyncio.timeout(timeout_s):
            await asyncio.sleep(ANSWER_S)
            await process.going.wait()
        if not process.alive:
            raise aiohttp.ServerDisconnectedError
        if asked.path == CONTROLS_PATH:
            process.controls = msgspec.json.decode(data, type=Controls)
        elif data == b"" and "share" in asked.query:
            process.dropped.append(asked.query)
        yield Http.Answer()

    class Answer:
        status = 200

        def raise_for_status(self) -> None: ...

        async def json(self) -> dict[str, int]:
            return {"dropped": 10, "draining": 10}


class Generator:
    """Clients that hear of everything."""

    def __init__(self) -> None:
        self.feeds: list[Any] = []

    async def set_feed(self, schedule: Any) -> None:
        self.feeds.append(schedule)

    async def push_policy(self, spec: Any, reach_s: float = 0.0, group: str = "") -> None: ...


class Rig:
    """A stack with three pods, and what became of it."""

    def __init__(self, scenario: Scenario, folder: Path, places: int = 40) -> None:
        folder.mkdir(exist_ok=True)
        self.scenario = scenario
        self.watch = Watch()
        self.places = Places(places)
        self.proxy_place = ProxyPlace(folder / "nginx")
        self.gateway = Gateway(
            scenario,
            epoch_ns=0,
            directory=folder / "pods",
            hosts=self.places,
            watch=self.watch,
            on_second=lambda _pod, _line: None,
            note=lambda *_, **__: None,
        )
        self.lines: list[tuple[float, str, dict[str, Any]]] = []
        self.stack: Stack
        self.begun = asyncio.Event()

    async def play(self, seconds: float, look: Callable[["Rig"], None] = lambda _rig: None) -> None:
        """Plays all events, looks, and ends everything; raises what a run would raise."""
        loop = asyncio.get_running_loop()
        await self.gateway._http.close()
        self.gateway._http = Http(self.places)  # type: ignore[assignment]
        failed = asyncio.create_task(self.watch.failed())
        proxy = None
        try:
            await self.gateway.start()
            proxy = Proxy(
                self.scenario,
                host=self.proxy_place,
                pods=self.gateway.addresses,
                watch=self.watch,
            )
            await proxy.start()
            began_s = loop.time()
            self.stack = Stack(self.scenario, self.gateway, proxy, Generator(), self._note)  # type: ignore[arg-type]
            self.begun.set()
            timeline = Timeline(
                self.scenario,
                self.stack,
                until=lambda t_s: asyncio.sleep(max(0.0, began_s + t_s - loop.time())),
                now_s=lambda: loop.time() - began_s,
                note=self._note,
            )
            playing = asyncio.create_task(timeline.play())
            await asyncio.wait({playing, failed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            left_s = began_s + seconds - loop.time()
            if not failed.done() and left_s > 0:
                await asyncio.wait({failed}, timeout=left_s)
            try:
                for task in (failed, playing):
                    if task.done():
                        task.result()
                look(self)
            finally:
                playing.cancel()
                await asyncio.gather(playing, return_exceptions=True)
        finally:
            if proxy is not None:
                await proxy.stop()
            await self.gateway.stop()
            await self.watch.stop()
            failed.cancel()
            await asyncio.gather(failed, return_exceptions=True)
        assert not any(place.process for place in self.places.places), "a pod is left"
        assert not any(process.alive for process in self.proxy_place.processes), "nginx is left"

    def _note(self, name: str, **details: Any) -> None:
        self.lines.append((asyncio.get_running_loop().time(), name, details))

    def said(self, name: str) -> list[dict[str, Any]]:
        return [what for _, found, what in self.lines if found == name and what.get("phase") == "end"]


def scenario_of(*events: str, pods: int = 3, duration_s: int = 60) -> Scenario:
    # Without the check that every pod is there at its time: events may mean pods that are not, yet.
    return msgspec.convert(
        msgspec.toml.decode(
            f"""
            fleet = {{clients = 60}}
            gateway = {{pods = {pods}, handshake_cpu_ms = 5}}
            phases = {{duration_s = {duration_s}, rescue_at_s = 0, during_s = 4, recovery_window_s = 4}}
            event = [{", ".join(f"{{{event}}}" for event in events)}]
            """
        ),
        Scenario,
    )


def settled(rig: Rig) -> None:
    """What has to hold once everything is over, whatever it was."""
    gateway = rig.gateway
    for pod, process in ((pod, pod.child) for pod in gateway.pods):
        assert pod.expected == 0
        assert process is None or pod.takes_orders, f"{pod.name} goes on, and is ready"
        if isinstance(process, Process):
            assert not process.paused
            assert process.controls == gateway.controls, f"{pod.name} knows what is in force"
    assert len(rig.places.given_back) == sum(pod.withdrawn for pod in gateway.pods)
    assert rig.proxy_place.read == rig.proxy_place.written, "nginx has its latest configuration"


def played(
    folder: Path, *events: str, look: Callable[[Rig], None] = settled, seconds: float = 50, **options: Any
) -> Rig:
    async def play() -> Rig:
        rig = Rig(scenario_of(*events, duration_s=int(seconds) + 10), folder, **options)
        await rig.play(seconds, look)
        return rig

    return run_in_virtual_time(play())


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """A folder that is not there yet, each time another one."""
    numbers = itertools.count()

    def folder() -> Path:
        made = tmp_path / str(next(numbers))
        made.mkdir()
        return made

    return folder


ORDERS = {
    "kill, back soon": 'do="kill_pod", pod=0, restart_after_s=0.2',
    "kill, back late": 'do="kill_pod", pod=0, restart_after_s=5',
    "kill for good": 'do="kill_pod", pod=0, restart=false',
    "kill what is scaled": 'do="kill_pod", pod=4, restart_after_s=0.2',
    "pause": 'do="pause_pod", pod=0, for_s=3',
    "pause what is scaled": 'do="pause_pod", pod=3, for_s=1',
    "rolling restart": 'do="rolling_restart", gap_s=0.3',
    "announced rolling restart": 'do="rolling_restart", gap_s=0.3, leave_upstream=true',
    "drain": 'do="drain", window_s=2, leave_upstream=true, one_by_one=true',
    "drain what is scaled": 'do="drain", window_s=1, pods=[1, 4], close_code=1012',
    "deploy": 'do="deploy", pre_stop_s=0.3, drain_s=0.5',
    "deploy without surge": 'do="deploy", max_surge=0, max_unavailable="40%", min_ready_s=0.5',
    "scale out": 'do="scale", pods=5',
    "scale in": 'do="scale", pods=2',
    "scale to one": 'do="scale", pods=1',
    "probes": 'do="probes", conflated=true, period_s=0.3, timeout_s=0.2, failures=2, grace_s=1',
    "limit at the pods": 'do="set_limit", limit="lag-shed"',
    "limit at nginx": 'do="set_limit", limit="per-ip+handshake-slots"',
    "burst": 'do="feed_burst", factor=3, for_s=2',
    "stall": 'do="feed_stall", for_s=2',
    "drop all": 'do="drop_all"',
    "drop some": 'do="drop_share", share=0.5',
    "reload": 'do="nginx_reload"',
    "restart of nginx": 'do="nginx_restart", down_s=0.5',
    "late restart of nginx": 'do="nginx_restart", down_s=3',
}
AFTER_S = (0.0, 0.6)


# Tracing doubles this, and covers what the two tests below cover.
@pytest.mark.no_cover
@pytest.mark.parametrize("after_s", AFTER_S)
@pytest.mark.parametrize("first", ORDERS)
def test_any_two_orders_may_overlap(first: str, after_s: float, fresh: Callable[[], Path]) -> None:
    # With pods beyond the first three, which some of the orders mean.
    more = 'at_s=0, do="scale", pods=5'
    for second, order in ORDERS.items():
        pair = (f"at_s=4, {ORDERS[first]}", f"at_s={4 + after_s}, {order}")
        endless = seconds_of(pair)
        try:
            played(fresh(), more, *pair, seconds=endless)
        except BaseException as error:
            error.add_note(f"{first}, and {after_s} s later {second}")
            raise


def seconds_of(events: tuple[str, ...]) -> float:
    """Long enough for everything to be over."""
    return 25.0 + 3 * len(events)


TIMES = st.integers(10, 60).map(lambda tenths: tenths / 10)


@settings(max_examples=60, deadline=None)
@given(orders=st.lists(st.tuples(TIMES, st.sampled_from(list(ORDERS.values()))), min_size=3, max_size=8))
def test_any_number_of_orders_may_overlap(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[float, str]]
) -> None:
    events = tuple(f"at_s={at_s}, {order}" for at_s, order in orders)
    played(tmp_path_factory.mktemp("run"), *events, seconds=seconds_of(events))


@settings(max_examples=60, deadline=None)
@given(
    orders=st.lists(st.tuples(TIMES, st.sampled_from(list(ORDERS.values()))), min_size=2, max_size=6),
    end_tenths=st.integers(10, 80),
)
def test_the_end_of_a_run_leaves_nothing_whatever_is_under_way(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[float, str]], end_tenths: int
) -> None:
    events = tuple(f"at_s={at_s}, {order}" for at_s, order in orders)
    played(tmp_path_factory.mktemp("run"), *events, look=lambda _: None, seconds=end_tenths / 10)


# -- what comes of it ----------------------------------------------------------------------------------------

RESULTS: dict[str, tuple[tuple[str, ...], dict[float, dict[int, str]]]] = {
    "of two kills the earlier restart counts": (
        (
            'at_s=6, do="kill_pod", pod=0, restart_after_s=5',
            'at_s=8, do="kill_pod", pod=0, restart_after_s=1',
        ),
        {7: {0: "dead"}, 12: {0: "up"}, 20: {0: "up"}},
    ),
    "a kill that repeats faster than the restart": (
        ('at_s=6, do="kill_pod", pod=0, restart_after_s=5, every_s=2, times=2',),
        {7: {0: "dead"}, 10: {0: "dead"}, 20: {0: "up"}},
    ),
    "a pod that is killed while it starts comes back": (
        (
            'at_s=6, do="kill_pod", pod=0, restart_after_s=0',
            'at_s=6.6, do="kill_pod", pod=0, restart_after_s=4',
        ),
        {9: {0: "dead"}, 15: {0: "up"}},
    ),
    "a pod that is killed while it is paused comes back without a pause": (
        (
            'at_s=6, do="pause_pod", pod=0, for_s=20',
            'at_s=8, do="kill_pod", pod=0, restart_after_s=1',
        ),
        {7: {0: "paused"}, 8.5: {0: "dead"}, 15: {0: "up"}, 30: {0: "up"}},
    ),
    "the end of a pause does not end that of the next process": (
        (
            'at_s=6, do="pause_pod", pod=0, for_s=10',
            'at_s=7, do="kill_pod", pod=0, restart_after_s=1',
            'at_s=14, do="pause_pod", pod=0, for_s=5',
        ),
        {13: {0: "up"}, 17: {0: "paused"}, 22: {0: "up"}},
    ),
    "a dead pod cannot be paused": (
        (
            'at_s=6, do="kill_pod", pod=0, restart_after_s=3',
            'at_s=7, do="pause_pod", pod=0, for_s=20',
        ),
        {8: {0: "dead"}, 15: {0: "up"}},
    ),
    "of two pauses the later end counts": (
        ('at_s=6, do="pause_pod", pod=0, for_s=10', 'at_s=8, do="pause_pod", pod=0, for_s=1'),
        {12: {0: "paused"}, 18: {0: "up"}},
    ),
    "a pod that is paused while it starts is ready later": (
        (
            'at_s=6, do="kill_pod", pod=0, restart_after_s=0',
            'at_s=6.5, do="pause_pod", pod=0, for_s=8',
        ),
        {12: {0: "starting"}, 18: {0: "up"}},
    ),
    "a pod that comes back is not replaced": (
        ('at_s=6, do="kill_pod", pod=0, restart_after_s=6', 'at_s=8, do="scale", pods=3'),
        {10: {0: "dead", 3: "nowhere"}, 20: {0: "up", 3: "nowhere"}},
    ),
    "a pod that does not come back is replaced": (
        ('at_s=6, do="kill_pod", pod=0, restart=false', 'at_s=8, do="scale", pods=3'),
        {20: {0: "dead", 3: "up"}},
    ),
    "scaling in takes a pod that is about to come back": (
        ('at_s=6, do="kill_pod", pod=2, restart_after_s=6', 'at_s=8, do="scale", pods=2'),
        {20: {0: "up", 1: "up", 2: "gone"}},
    ),
    "scaling in takes a pod in the middle of its restart": (
        ('at_s=6, do="kill_pod", pod=2, restart_after_s=0', 'at_s=6.5, do="scale", pods=2'),
        {20: {0: "up", 1: "up", 2: "gone"}},
    ),
    "a rolling restart passes over who has left": (
        ('at_s=6, do="rolling_restart", gap_s=3', 'at_s=7, do="scale", pods=1'),
        {30: {0: "up", 1: "gone", 2: "gone"}},
    ),
    "a rolling restart does not revive who was killed for good": (
        ('at_s=6, do="rolling_restart", gap_s=3', 'at_s=7, do="kill_pod", pod=2, restart=false'),
        {30: {0: "up", 1: "up", 2: "dead"}},
    ),
    "of two orders to scale the last one holds: out, then in": (
        ('at_s=6, do="scale", pods=5', 'at_s=6.2, do="scale", pods=2'),
        {20: {1: "up", 2: "gone", 3: "gone", 4: "gone"}},
    ),
    "of two orders to scale the last one holds: in, then out": (
        ('at_s=6, do="scale", pods=2', 'at_s=6.2, do="scale", pods=4'),
        {20: {1: "up", 2: "gone", 3: "up", 4: "up", 5: "nowhere"}},
    ),
    "of two orders to scale the last one holds: out, and further out": (
        ('at_s=6, do="scale", pods=4', 'at_s=6.2, do="scale", pods=6'),
        {20: {3: "up", 4: "up", 5: "up", 6: "nowhere"}},
    ),
    "nothing happens to a pod that is not there yet": (
        (
            'at_s=6, do="kill_pod", pod=3',
            'at_s=7, do="pause_pod", pod=4, for_s=1',
            'at_s=20, do="scale", pods=5',
        ),
        {10: {3: "nowhere"}, 30: {3: "up", 4: "up"}},
    ),
    "probes leave alone a pod that somebody else restarts": (
        (
            'at_s=0, do="probes", conflated=true, period_s=0.2, timeout_s=0.1, failures=2, grace_s=1',
            'at_s=6, do="kill_pod", pod=0, restart_after_s=1',
        ),
        {20: {0: "up"}},
    ),
    "probes do not bring back who has left": (
        (
            'at_s=0, do="probes", conflated=true, period_s=0.3, timeout_s=0.2, failures=2, restart_after_s=4',
            'at_s=6, do="pause_pod", pod=2, for_s=30',
            'at_s=8, do="scale", pods=2',
        ),
        {20: {0: "up", 1: "up", 2: "gone"}},
    ),
}


SEPARATE = 'do="probes", period_s=0.3, timeout_s=0.2, failures=2, liveness_timeout_s=30, grace_s=1'
CONFLATED = 'do="probes", conflated=true, period_s=0.3, timeout_s=0.2, failures=2, grace_s=1'

RESULTS |= {
    "later probes take the place of those before": (
        (f"at_s=0, {CONFLATED}", f"at_s=5, {SEPARATE}", 'at_s=8, do="pause_pod", pod=0, for_s=6'),
        {12: {0: "paused"}, 20: {0: "up"}},
    ),
    "probes that are replaced while they restart a pod bring it back": (
        (
            f"at_s=0, {CONFLATED}, restart_after_s=4",
            'at_s=3, do="pause_pod", pod=0, for_s=30',
            f"at_s=5, {SEPARATE}",
        ),
        {6: {0: "dead"}, 20: {0: "up"}},
    ),
}


def states(gateway: Any) -> dict[int, str]:
    """How each pod is, in a word."""

    def state(pod: Any) -> str:
        if pod.withdrawn:
            return "gone" if not pod.running else "leaving"
        if not pod.running:
            return "dead"
        return "starting" if not pod.ready else "paused" if pod.paused else "up"

    return {pod.index: state(pod) for pod in gateway.pods}


@pytest.mark.parametrize(("events", "expected"), RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("kind", ["real", "predicted"])
def test_orders_that_overlap_have_a_result(
    kind: str, events: tuple[str, ...], expected: dict[float, dict[int, str]], tmp_path: Path
) -> None:
    found = SEEN[kind](tmp_path, events, tuple(expected), states)
    named = {t_s: {pod: found[t_s].get(pod, "nowhere") for pod in pods} for t_s, pods in expected.items()}
    assert named == expected


IN_THE_UPSTREAM: dict[str, tuple[tuple[str, ...], dict[float, list[int]]]] = {
    "a pod that is drained twice is back when the last drain is over": (
        (
            'at_s=4, do="drain", pods=[0], window_s=12, leave_upstream=true',
            'at_s=6, do="drain", pods=[0], window_s=2, leave_upstream=true',
        ),
        {7: [1, 2], 10: [1, 2], 18: [0, 1, 2]},
    ),
    "a pod that is restarted while it is drained is back when the drain is over": (
        (
            'at_s=4, do="drain", pods=[0], window_s=18, leave_upstream=true',
            'at_s=6, do="rolling_restart", gap_s=1, leave_upstream=true',
        ),
        {20: [1, 2], 24: [0, 1, 2]},
    ),
    "a pod that left by probes is back by those that take their place": (
        (f"at_s=0, {SEPARATE}", 'at_s=3, do="pause_pod", pod=0, for_s=9', f"at_s=6, {CONFLATED}"),
        {5: [1, 2], 20: [0, 1, 2]},
    ),
}


@pytest.mark.parametrize(("events", "expected"), IN_THE_UPSTREAM.values(), ids=IN_THE_UPSTREAM)
@pytest.mark.parametrize("kind", ["real", "predicted"])
def test_a_pod_is_back_in_the_upstream_once_nothing_keeps_it_out(
    kind: str, events: tuple[str, ...], expected: dict[float, list[int]], tmp_path: Path
) -> None:
    def upstream(gateway: Any) -> list[int]:
        return [pod.index for pod in in_upstream(gateway.pods)]

    assert SEEN[kind](tmp_path, events, tuple(expected), upstream) == expected


def test_probes_that_take_the_place_of_others_let_nobody_in_before_it_answers(tmp_path: Path) -> None:
    events = (f"at_s=0, {SEPARATE}", 'at_s=3, do="pause_pod", pod=0, for_s=9', f"at_s=6, {SEPARATE}")
    rig = played(tmp_path, *events, seconds=20)
    done = [name for _, name, _ in rig.lines if name in {"pod_ejected", "pod_readmitted"}]
    assert done == ["pod_ejected", "pod_readmitted"]
    assert len(rig.said("probes")) == 1, "those before are over"


def seen_on_the_stack(
    folder: Path, events: tuple[str, ...], at_s: tuple[float, ...], look: Callable[[Any], Any]
) -> dict[float, Any]:
    found: dict[float, Any] = {}

    async def play() -> None:
        rig = Rig(scenario_of(*events), folder)
        playing = asyncio.create_task(rig.play(max(at_s) + 5, lambda _: None))
        await rig.begun.wait()
        began_s = asyncio.get_running_loop().time()
        for t_s in at_s:
            await asyncio.sleep(began_s + t_s - asyncio.get_running_loop().time())
            found[t_s] = look(rig.gateway)
        await playing

    run_in_virtual_time(play())
    return found


def seen_in_the_model(
    folder: Path, events: tuple[str, ...], at_s: tuple[float, ...], look: Callable[[Any], Any]
) -> dict[float, Any]:
    found: dict[float, Any] = {}
    scenario = scenario_of(*events, duration_s=int(max(at_s)) + 1)

    plan = Prediction(scenario=scenario, directory=folder / "run", arm="a")
    conductor = _Conductor(plan, ignored, MemoryWriter(_info(plan)))

    async def play() -> None:
        playing = asyncio.create_task(conductor.conduct())
        for t_s in at_s:
            await asyncio.sleep(ZERO_S + t_s + 0.1 - asyncio.get_running_loop().time())
            found[t_s] = look(conductor.stack.gateway)
        await playing

    run_in_virtual_time(play(), conductor.engine.run_until)
    return found


SEEN = {"real": seen_on_the_stack, "predicted": seen_in_the_model}


def test_two_fixes_in_one_second_reach_pods_that_are_about_to_start(tmp_path: Path) -> None:
    fixes = (
        'at_s=6, do="drop_all"',
        'at_s=20, do="scale", pods=4',
        'at_s=20, do="set_limit", limit="lag-shed"',
        'at_s=20.7, do="feed_stall", for_s=1',
        'at_s=20.8, do="feed_burst", factor=2, for_s=1',
        'at_s=20.9, do="drop_share", share=0.5',
    )
    rig = played(tmp_path, *fixes)
    assert rig.said("drop_share")[0]["dropped"] == 30, "a pod that starts has nobody to drop"
    assert rig.said("scale")[0]["added"] == 1


def test_a_pod_is_known_to_nginx_once_it_is_ready(tmp_path: Path) -> None:
    def look(rig: Rig) -> None:
        assert len(rig.gateway.pods) == 5
        assert len(rig.gateway.addresses) == 3

    # nginx hears of something else while the new ones start.
    events = ('at_s=6, do="scale", pods=5', 'at_s=6.2, do="set_limit", limit="per-ip"')
    played(tmp_path, *events, look=look, seconds=6.9)


def test_the_last_pods_stay_with_nginx_when_all_are_ejected(tmp_path: Path) -> None:
    events = (
        'at_s=0, do="probes", period_s=0.3, timeout_s=0.2, failures=2, liveness_timeout_s=30',
        *(f'at_s=3, do="pause_pod", pod={pod}, for_s=8' for pod in range(3)),
        'at_s=7, do="scale", pods=2',
    )
    played(tmp_path, *events)


@pytest.mark.parametrize(("told", "known"), [("true", 2), ("false", 3)])
def test_a_pod_that_is_restarted_leaves_the_upstream_first_where_the_scenario_says_so(
    tmp_path: Path, told: str, known: int
) -> None:
    def while_it_is_away(rig: Rig) -> None:
        assert states(rig.gateway)[0] in {"dead", "starting"}
        assert len(rig.gateway.addresses) == known

    def afterwards(rig: Rig) -> None:
        assert len(rig.gateway.addresses) == 3

    event = f'at_s=6, do="rolling_restart", gap_s=1, leave_upstream={told}'
    played(tmp_path, event, look=while_it_is_away, seconds=6 + STOP_S + 0.05)
    played(tmp_path / "all", event, look=afterwards)


def test_a_pod_may_take_a_place_that_is_just_being_left(tmp_path: Path) -> None:
    events = ('at_s=6, do="scale", pods=1', 'at_s=6, do="scale", pods=3')

    def look(rig: Rig) -> None:
        settled(rig)
        assert states(rig.gateway) == {0: "up", 1: "gone", 2: "gone", 3: "up", 4: "up"}

    played(tmp_path, *events, look=look, places=3)
    with pytest.raises(ExceptionGroup) as found:
        played(tmp_path / "again", 'at_s=6, do="scale", pods=4', places=3)
    assert str(first_of(found.value)) == "there are not enough hosts"


def test_a_shorter_stall_of_the_feed_does_not_end_a_longer_one(tmp_path: Path) -> None:
    async def stalled() -> tuple[int, int]:
        rig = Rig(scenario_of(), tmp_path)

        async def twice() -> None:
            await rig.gateway.stall_feed(10)
            first = rig.gateway.controls.feed_stalled_until_ns
            await rig.gateway.stall_feed(2)
            untils.append((first, rig.gateway.controls.feed_stalled_until_ns))

        untils: list[tuple[int, int]] = []
        await rig.play(0.1)
        await twice()
        return untils[0]

    first, second = run_in_virtual_time(stalled())
    assert first == second


def test_a_secret_is_hidden_before_a_line_of_a_crashed_pod_is_cut() -> None:
    lines = [f"{'x' * 290} open-sesame", "to https://user:open@h/ \x1b[2J" + "x" * 300]
    first, second = said_last(lines, ["open-sesame"])
    assert first == f"{'x' * 290} (hidden)"
    assert second.startswith("to https://(hidden)@h/ ?[2Jxxx")
    assert len(second) == 300
