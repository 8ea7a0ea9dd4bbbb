"""One generator process lives for many tests, and nothing of one reaches the next."""

import gc
import weakref
from collections.abc import Iterator
from time import monotonic_ns

import pytest

from scenarios.clients.messages import GeneratorSettings, Interval
from scenarios.clients.process import Generator
from scenarios.clients.target import resolve
from scenarios.model import Fleet, Scenario, Target

SETTINGS = GeneratorSettings(
    scenario=Scenario(fleet=Fleet(clients=3), target=Target(url="http://127.0.0.1:9")),
    epoch_ns=monotonic_ns(),
)


@pytest.fixture(autouse=True)
def _garbage_collection_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


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
            weakref.ref(part) for part in (generator, generator.recorder, generator.population)
        ], generator.recorder.started

    for _ in range(2):
        parts, started = one()
        gc.collect()
        assert started == 3
        assert [part() for part in parts] == [None] * 3
