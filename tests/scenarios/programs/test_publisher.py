"""A publisher under bursts and stalls that overlap: its rate, its signals, and what is left of it."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from signal import Signals
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.host.process import StackError, Watch, last_lines
from scenarios.programs.placeholders import Invocation
from scenarios.programs.publisher import Publisher
from scenarios.scenario.model import Feed
from scenarios.simulator.virtual_time import run_in_virtual_time

START_S, READY_S, STOP_S = 1.0, 0.5, 0.5
RATE_HZ = 5.0
OWN_SIGNALS = ("SIGUSR1", "SIGUSR2")
FROZEN_SIGNALS = ("SIGSTOP", "SIGCONT")
BURST_SIGNALS = ("SIGHUP", "SIGQUIT")


class FakeProgram:
    """Takes its time to end, and handles signals only some time after its start; before, they end it."""

    name, log = "publisher", Path("log")

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._ready_s = asyncio.get_running_loop().time() + READY_S
        self._end = asyncio.Event()

    @property
    def runs(self) -> bool:
        return not self._end.is_set()

    def handles(self, _number: int) -> bool:
        return asyncio.get_running_loop().time() >= self._ready_s

    def send(self, number: int) -> None:
        name = Signals(number).name
        self._note(name)
        if name not in FROZEN_SIGNALS and not self.handles(number):
            self._end.set()

    async def stop(self) -> None:
        await asyncio.sleep(STOP_S)
        self._end.set()

    async def wait(self) -> None:
        await self._end.wait()

    def ended(self) -> StackError | None:
        return None if self.runs else self.ended_by_itself()

    def ended_by_itself(self) -> StackError:
        return StackError("the publisher was killed by a signal")


class Rig:
    """A publisher whose programs are fakes, and what it did: starts, by their rates, and signals."""

    def __init__(self, feed: Feed) -> None:
        self.did: list[str] = []
        self.programs: list[FakeProgram] = []
        self.watch = Watch()
        values: dict[str, str] = {}
        self.publisher = Publisher(feed, folder=Path(), log=Path("log"), values=values, watch=self.watch)

    async def start_program(self, _name: str, _program: Feed, called: Invocation, **_: object) -> FakeProgram:
        await asyncio.sleep(START_S)
        self.did.append(called.words[1])
        self.programs.append(FakeProgram(self.did.append))
        return self.programs[-1]

    async def burst(self, at_s: float, for_s: float, factor: float) -> None:
        await asyncio.sleep(at_s)
        async with self.publisher.faster(factor):
            await asyncio.sleep(for_s)

    async def stall(self, at_s: float, for_s: float) -> None:
        await asyncio.sleep(at_s)
        async with self.publisher.stalled():
            await asyncio.sleep(for_s)

    async def stop(self, at_s: float) -> None:
        await asyncio.sleep(at_s)
        await self.publisher.stop()


Act = Callable[[Rig], Coroutine[Any, Any, None]]


def burst(at_s: float, for_s: float, factor: float) -> Act:
    return lambda rig: rig.burst(at_s, for_s, factor)


def stall(at_s: float, for_s: float) -> Act:
    return lambda rig: rig.stall(at_s, for_s)


def stop(at_s: float) -> Act:
    return lambda rig: rig.stop(at_s)


def feed_of(
    stall_signals: tuple[str, str] = OWN_SIGNALS, burst_signals: tuple[str, str] | None = None
) -> Feed:
    return Feed(
        command=("publish", "{rate_hz}"),
        rate_hz=RATE_HZ,
        stall_signals=stall_signals,  # type: ignore[arg-type]
        burst_signals=burst_signals,  # type: ignore[arg-type]
    )


def played(feed: Feed, acts: Iterable[Act]) -> list[str]:
    """What a publisher did, from its start until everything is over; raises what would end the run."""

    async def play() -> Rig:
        rig = Rig(feed)
        patch.setattr("scenarios.programs.publisher.start_kept", rig.start_program)
        failed = asyncio.create_task(rig.watch.failed())
        await rig.publisher.start()
        await asyncio.sleep(READY_S)
        await asyncio.gather(*(act(rig) for act in acts))
        await rig.publisher.stop()
        await asyncio.wait({failed}, timeout=1)
        if failed.done():
            failed.result()
        failed.cancel()
        await rig.watch.stop()
        assert not any(program.runs for program in rig.programs), "a program is left"
        return rig

    with pytest.MonkeyPatch.context() as patch:
        return run_in_virtual_time(play()).did


# -- bursts --------------------------------------------------------------------------------------------------

# A program that is started again takes 1.5 s until it runs.
BURSTS: dict[str, tuple[list[Act], list[str]]] = {
    "a burst": ([burst(0, 5, 4)], ["5", "20", "5"]),
    "a shorter one inside a longer one": ([burst(0, 20, 4), burst(4, 3, 2)], ["5", "20", "10", "5"]),
    "one that outlasts the older one": ([burst(0, 5, 4), burst(4, 10, 2)], ["5", "20", "10", "5"]),
    "one that ends while the end of the older one would start the program again": (
        [burst(0, 8.5, 4), burst(4, 5.5, 2)],
        ["5", "20", "10", "5"],
    ),
    "one that begins while the program is started again": (
        [burst(0, 5, 4), burst(1, 9, 2)],
        ["5", "20", "10", "5"],
    ),
    "one that begins while the program returns to its rate": (
        [burst(0, 5, 4), burst(7.2, 5, 2)],
        ["5", "20", "5", "10", "5"],
    ),
    "one of the same factor": ([burst(0, 5, 4), burst(4, 10, 4)], ["5", "20", "5"]),
    "one of the usual rate": ([burst(0, 5, 1)], ["5"]),
}


@pytest.mark.parametrize(("acts", "rates"), BURSTS.values(), ids=BURSTS)
def test_the_newest_burst_sets_the_rate_and_its_end_is_the_end_of_all(
    acts: list[Act], rates: list[str]
) -> None:
    assert played(feed_of(), acts) == rates


TOLD: dict[str, list[Act]] = {
    "a burst": [burst(0, 5, 4)],
    "a longer one inside of which a shorter one ends": [burst(0, 20, 4), burst(4, 3, 2)],
    "one that outlasts the older one": [burst(0, 5, 4), burst(4, 10, 2)],
}


@pytest.mark.parametrize("acts", TOLD.values(), ids=TOLD)
def test_bursts_that_overlap_are_told_by_one_pair_of_signals(acts: list[Act]) -> None:
    assert played(feed_of(burst_signals=BURST_SIGNALS), acts) == ["5", *BURST_SIGNALS]


def test_a_burst_told_by_signals_is_over_when_the_newest_is() -> None:
    acts = [burst(0, 20, 4), burst(4, 3, 2), stall(10, 1)]
    assert played(feed_of(burst_signals=BURST_SIGNALS), acts) == ["5", *BURST_SIGNALS, *OWN_SIGNALS]


# -- stalls --------------------------------------------------------------------------------------------------

STALLS: dict[str, tuple[list[Act], list[str]]] = {
    "a burst that ends inside": ([stall(0, 10), burst(2, 3, 4)], ["5", "stall", "end"]),
    "a burst that ends after it": ([stall(0, 5), burst(2, 9, 4)], ["5", "stall", "end", "20", "5"]),
    "a burst that began before it": ([burst(0, 5, 4), stall(4, 9)], ["5", "20", "stall", "end", "5"]),
    "a burst between two stalls that overlap": (
        [stall(0, 6), stall(4, 9), burst(5, 20, 4)],
        ["5", "stall", "end", "20", "5"],
    ),
    "a stall that begins while the program is started again": (
        [burst(0, 20, 4), stall(0.7, 5)],
        ["5", "20", "stall", "end", "5"],
    ),
    "a stall that begins before the program handles signals": (
        [burst(0, 20, 4), stall(1.6, 5)],
        ["5", "20", "stall", "end", "5"],
    ),
}


@pytest.mark.parametrize("signals", [OWN_SIGNALS, FROZEN_SIGNALS], ids="-".join)
@pytest.mark.parametrize(("acts", "did"), STALLS.values(), ids=STALLS)
def test_a_publisher_that_is_stalled_is_started_again_only_afterwards(
    acts: list[Act], did: list[str], signals: tuple[str, str]
) -> None:
    begin, end = signals
    assert played(feed_of(signals), acts) == [{"stall": begin, "end": end}.get(what, what) for what in did]


FROZEN: dict[str, tuple[tuple[str, str], list[Act], list[str]]] = {
    "one that stands still is told of no burst that has ended": (
        FROZEN_SIGNALS,
        [stall(0, 10), burst(2, 3, 4)],
        ["SIGSTOP", "SIGCONT"],
    ),
    "one that stands still is told of a burst afterwards": (
        FROZEN_SIGNALS,
        [stall(0, 5), burst(2, 9, 4)],
        ["SIGSTOP", "SIGCONT", "SIGHUP", "SIGQUIT"],
    ),
    "one that stalls by itself is told at once": (
        OWN_SIGNALS,
        [stall(0, 10), burst(2, 3, 4)],
        ["SIGUSR1", "SIGHUP", "SIGQUIT", "SIGUSR2"],
    ),
}


@pytest.mark.parametrize(("signals", "acts", "sent"), FROZEN.values(), ids=FROZEN)
def test_signals_of_a_burst_wait_for_a_publisher_that_stands_still(
    signals: tuple[str, str], acts: list[Act], sent: list[str]
) -> None:
    assert played(feed_of(signals, BURST_SIGNALS), acts) == ["5", *sent]


# -- whatever happens ----------------------------------------------------------------------------------------

TIMES_S = st.integers(0, 40).map(lambda tenths: tenths / 10)
ACTS = st.one_of(
    st.builds(burst, TIMES_S, TIMES_S, st.sampled_from([2.0, 4.0])), st.builds(stall, TIMES_S, TIMES_S)
)


@given(acts=st.lists(ACTS, max_size=6), signals=st.sampled_from([OWN_SIGNALS, FROZEN_SIGNALS]))
def test_after_all_bursts_and_stalls_a_publisher_is_as_it_was(
    acts: list[Act], signals: tuple[str, str]
) -> None:
    did = played(feed_of(signals), acts)
    assert next(what for what in reversed(did) if what not in signals) == "5"
    sent = [what for what in did if what in signals]
    assert sent == [*signals] * (len(sent) // 2)
    stalled = did.index(signals[0]) if sent else 0
    assert not sent or did[stalled + 1] == signals[1], "it is not started again while it is stalled"


@pytest.mark.parametrize("at_s", [0.2, 1.0, 1.6])
def test_no_publisher_is_left_of_a_run_that_ends_while_it_is_started_again(at_s: float) -> None:
    did = played(feed_of(), [burst(0, 5, 4), stop(at_s), burst(9, 1, 2)])
    assert did == (["5"] if at_s < STOP_S else ["5", "20"])


def test_a_stalled_publisher_goes_on_before_it_is_ended() -> None:
    assert played(feed_of(), [stall(0, 5), stop(2)]) == ["5", *OWN_SIGNALS]


# -- a real program ------------------------------------------------------------------------------------------

# On SIGTERM, Python first carries out what other signals with a lower number have asked for.
STALLS_ITSELF = """
import os, signal, sys, time
say = lambda text: os.write(1, (text + chr(10)).encode())
say("starts at " + sys.argv[1])
time.sleep(0.2)
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
signal.signal(signal.SIGUSR1, lambda *_: say("stalls"))
signal.signal(signal.SIGUSR2, lambda *_: say("goes on"))
say("up")
while True:
    signal.pause()
"""


async def up(log: Path) -> None:
    for _ in range(3_000):
        if "up" in last_lines(log):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come up")


def test_a_program_with_signals_of_its_own_survives_bursts_and_stalls(tmp_path: Path) -> None:
    log = tmp_path / "publisher.log"
    feed = Feed(
        command=(sys.executable, "-c", STALLS_ITSELF, "{rate_hz}"),
        rate_hz=RATE_HZ,
        stall_signals=("SIGUSR1", "SIGUSR2"),
    )

    async def play() -> None:
        watch = Watch()
        failed = asyncio.create_task(watch.failed())
        publisher = Publisher(feed, folder=tmp_path, log=log, values={}, watch=watch)
        await publisher.start()
        try:
            await up(log)
            async with AsyncExitStack() as longer:
                async with publisher.stalled():
                    async with publisher.faster(4):
                        pass
                    await longer.enter_async_context(publisher.faster(2))
                # Of the program that was just started.
                async with publisher.stalled():
                    pass
            async with publisher.stalled():
                pass
        finally:
            await publisher.stop()
            await asyncio.sleep(0)
            if failed.done():
                failed.result()
            failed.cancel()
            await watch.stop()

    asyncio.run(play())
    stalls = ("stalls", "goes on")
    said = [text for text in last_lines(log, 99) if text != "up"]
    assert said == ["starts at 5", *stalls, "starts at 10", *stalls, "starts at 5", *stalls]
