"""One generator process lives for many tests, and nothing of one reaches the next."""

import errno
import gc
import weakref
from collections import Counter
from collections.abc import Iterator
from time import monotonic_ns
from typing import Any

import pytest
from msgspec.structs import replace

from scenarios.clients.polling_client import PollingClient
from scenarios.clients.protocol.schedule import ObservedSchedule, SharedSchedule
from scenarios.clients.protocol.streams import Streams
from scenarios.clients.protocol.target import resolve
from scenarios.generator.process import Generator
from scenarios.scenario.fleet.groups import Group
from scenarios.scenario.model import Feed, Fleet, Gateway, Scenario, Target
from scenarios.scenario.validate import ScenarioError
from scenarios.wire.interval import ClockStep, Interval
from scenarios.wire.orders import EndCalm, Finalise, GeneratorSettings, PushPolicy

SETTINGS = GeneratorSettings(
    scenario=Scenario(fleet=Fleet(clients=3), target=Target(url="http://127.0.0.1:9")),
    epoch_ns=monotonic_ns(),
)


@pytest.fixture(autouse=True)
def _garbage_is_collected_as_often_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.fixture(autouse=True, scope="module")
def _no_garbage_of_these_generators_stays_frozen() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def test_nothing_of_a_test_outlives_it() -> None:
    def one() -> tuple[list[weakref.ref[object]], int]:
        took: list[Interval] = []
        generator = Generator(SETTINGS, resolve(SETTINGS.scenario.target), took.append)
        clients = [generator.add_client() for _ in range(3)]
        for client in clients:
            client.start()
        for client in clients:
            client.stop()
        generator.stop()
        return [
            weakref.ref(part) for part in (generator, generator.recorder, generator.populations[0])
        ], generator.recorder.started

    for _ in range(2):
        parts, started = one()
        gc.collect()
        assert started == 3
        assert [part() for part in parts] == [None] * 3


@pytest.mark.parametrize(("tick", "early"), [(b'["tick",{"seq":1}]', 0), (b'["tick",{"due_ns":1}]', 3)])
def test_no_tick_is_early_where_latencies_count_from_the_first_receipt(
    tick: bytes, early: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    took: list[Interval] = []
    generator = Generator(SETTINGS, resolve(SETTINGS.scenario.target), took.append)
    generator._reader.read(tick, monotonic_ns())
    recorded = replace(generator.recorder.take_interval(0), early=3, earliest_ns=5)
    monkeypatch.setattr(generator.recorder, "take_interval", lambda _second: recorded)
    generator._report(0)
    generator.stop()
    assert [(one.early, one.earliest_ns > 0) for one in took] == [(early, early > 0)]


def parts(processes: int, **fleet: Any) -> Iterator[Generator]:
    scenario = Scenario(fleet=Fleet(**fleet), target=SETTINGS.scenario.target)
    settings = GeneratorSettings(scenario=scenario, epoch_ns=SETTINGS.epoch_ns)
    for index in range(processes):
        generator = Generator(
            settings, resolve(scenario.target), lambda _: None, index=index, processes=processes
        )
        yield generator
        generator.stop()


SCHEDULES: dict[str, tuple[Scenario, bool, type]] = {
    "the stub": (Scenario(), True, SharedSchedule),
    "an external target": (Scenario(), False, ObservedSchedule),
    "with fitted due times": (Scenario(feed=Feed(due="schedule")), False, Streams),
    "pods that number their own ticks": (Scenario(gateway=Gateway(command="node s.js")), True, Streams),
    "pods with a publisher": (
        Scenario(gateway=Gateway(command="node s.js"), feed=Feed(command="node p.js")),
        True,
        ObservedSchedule,
    ),
}


@pytest.mark.parametrize(("scenario", "own_stack", "kind"), SCHEDULES.values(), ids=SCHEDULES)
def test_when_ticks_are_due_is_promised_fitted_or_seen(
    scenario: Scenario, own_stack: bool, kind: type
) -> None:
    settings = replace(
        SETTINGS, scenario=replace(scenario, target=SETTINGS.scenario.target), own_stack=own_stack
    )
    generator = Generator(settings, resolve(settings.scenario.target), lambda _: None)
    assert type(generator.recorder.schedule) is kind
    generator.obey(EndCalm())
    generator.stop()


@pytest.mark.parametrize(("cap", "processes"), [(5, 3), (10, 3), (8, 8), (1_000, 7), (1, 1)])
def test_processes_begin_no_more_tries_between_them_than_the_cap_says(cap: int, processes: int) -> None:
    begun = 0
    for generator in parts(processes, max_attempts_per_s=cap):
        waits = [generator.populations[0].attempts_cap.wait_ns(0) for _ in range(cap + 1)]
        begun += waits.count(0)
    assert begun == cap


def test_a_process_that_comes_late_may_not_begin_tries_on_top_of_the_cap() -> None:
    scenario = Scenario(fleet=Fleet(max_attempts_per_s=9), target=SETTINGS.scenario.target)
    settings = GeneratorSettings(scenario=scenario, epoch_ns=SETTINGS.epoch_ns)
    with pytest.raises(ScenarioError, match=r"max_attempts_per_s: invalid value 9: expected 0, or at least"):
        Generator(settings, resolve(scenario.target), lambda _: None, index=3, processes=3)


@pytest.mark.parametrize("processes", [1, 3, 10])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 1.0])
def test_processes_cut_the_nearest_whole_number_of_all_clients_between_them(
    share: float, processes: int
) -> None:
    of_each = [generator._part_of(share * 3) for generator in parts(processes)]
    assert sum(of_each) == round(share * 3 * processes)
    assert all(0 <= number <= 3 for number in of_each)


def test_clients_of_a_process_that_comes_late_have_addresses_of_their_own() -> None:
    generators = [
        Generator(SETTINGS, resolve(SETTINGS.scenario.target), lambda _: None, index=index, processes=2)
        for index in range(4)
    ]
    addresses = [generator._seating.next().address for generator in generators for _ in range(5)]
    assert len(set(addresses)) == 20
    for generator in generators:
        generator.stop()


@pytest.mark.parametrize(
    ("before", "after", "useful"),
    [((), (0, 1), 0.5), ((1, 1, 1), (0,), 0.75), ((1, 0), (), 0.5), ((), (), None)],
    ids=["cut at its beginning", "cut near its end", "cut at its end", "without any point of the grid"],
)
def test_means_of_a_second_that_was_cut_are_over_the_whole_of_it(
    before: tuple[int, ...], after: tuple[int, ...], useful: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    took: list[Interval] = []
    now_ns = monotonic_ns()
    monkeypatch.setattr("scenarios.generator.process.monotonic_ns", lambda: now_ns)
    settings = replace(SETTINGS, epoch_ns=now_ns - 10_300_000_000)
    generator = Generator(settings, resolve(settings.scenario.target), took.append)
    generator._next_slot_ns += 10**12  # the grid has no points of its own here
    generator.add_client()
    for part in (before, after):
        for joined in part:
            generator.recorder.joined[0] = joined
            generator.recorder.held_due_ns[0] = now_ns
            generator.recorder.sample_slot(now_ns)
        generator.obey(Finalise())
    generator.stop()
    first, second = took
    assert first.second == second.second == 10
    assert second.useful == (None if useful is None else pytest.approx(useful))
    assert second.shared_ips[1].useful == second.useful


def test_each_client_belongs_to_the_population_of_its_group() -> None:
    groups = (
        Group(name="web"),
        Group(name="old", share=0.25, protocol=3, policy="incident"),
        Group(name="polling", share=0.25, transport="polling-upgrade", connect_timeout_s=9.0),
    )
    scenario = Scenario(fleet=Fleet(clients=8, group=groups), target=SETTINGS.scenario.target)
    settings = GeneratorSettings(scenario=scenario, epoch_ns=SETTINGS.epoch_ns, gentle_ramp=True)
    took: list[Interval] = []
    generator = Generator(settings, resolve(scenario.target), took.append)
    clients = [generator.add_client() for _ in range(8)]
    names = [client.population.part.name for client in clients]
    assert Counter(names) == {"web": 4, "old": 2, "polling": 2}
    by_name = {population.part.name: population for population in generator.populations}
    assert {name for name, each in by_name.items() if each.ramp is None} == {"old"}, "they never join"
    assert b"EIO=3" in by_name["old"].endpoint.upgrade.request
    assert {type(client) for client, name in zip(clients, names, strict=True) if name == "polling"} == {
        PollingClient
    }
    before = {name: each.policy_for(clients[0]) for name, each in by_name.items()}
    generator.obey(PushPolicy(policy="spread", group="web"))
    assert {name for name, each in by_name.items() if each.policy_for(clients[0]) is not before[name]} == {
        "web"
    }
    generator.obey(PushPolicy(policy="spread"))
    generator.obey(Finalise())
    generator.stop()
    assert (took[-1].clients, took[-1].unserved) == (6, 2)
    assert {place: each.clients for place, each in took[-1].fleet_groups.items()} == {0: 4, 1: 2, 2: 2}


@pytest.mark.parametrize(
    ("other_clocks", "due_s"), [(False, 5_000.4), (True, 0.4)], ids=["one clock", "pods with another"]
)
def test_a_stamp_by_a_clock_that_is_not_ours_says_nothing(other_clocks: bool, due_s: float) -> None:
    """The pod's clock is 5,000 s ahead. Its tick number 2, at five a second, is due 0.4 s after the epoch."""
    settings = replace(SETTINGS, own_stack=True, other_clocks=other_clocks)
    generator = Generator(settings, resolve(settings.scenario.target), lambda _: None)
    stamp_ns = settings.epoch_ns + 5_000_400_000_000
    tick = generator._reader.read(f'["tick",{{"seq":2,"due_ns":{stamp_ns}}}]'.encode(), monotonic_ns())
    assert (tick.due_ns - settings.epoch_ns) / 1e9 == pytest.approx(due_s)
    generator.stop()


def test_a_second_in_which_the_wall_clock_was_set_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    took: list[Interval] = []
    generator = Generator(SETTINGS, resolve(SETTINGS.scenario.target), took.append, name="worker_1")
    steps = iter([-1_000_000_000, 0])
    monkeypatch.setattr(generator._clock, "take_step", lambda: next(steps))
    generator._report(0)
    generator._report(1)
    generator.stop()
    assert [one.clock_steps for one in took] == [(ClockStep("worker_1", -1_000_000_000),), ()]


def test_a_process_without_a_descriptor_to_spare_still_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    took: list[Interval] = []
    generator = Generator(SETTINGS, resolve(SETTINGS.scenario.target), took.append)
    generator._report(0)
    monkeypatch.setattr(generator._process, "memory_info", none_left)
    generator._report(1)
    generator.stop()
    assert took[1].rss_bytes == took[0].rss_bytes > 0
