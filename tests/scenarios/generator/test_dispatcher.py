"""Users stay with the worker that started them."""

from collections.abc import Iterator

import pytest
from locust.runners import WorkerNode
from locust.user import User

from scenarios.generator.dispatcher import SteadyDispatcher

Dealt = dict[str, int]


class Client(User):
    pass


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locust.dispatch.gevent.sleep", lambda _: None)


def dispatcher(*names: str) -> tuple[SteadyDispatcher, dict[str, WorkerNode]]:
    nodes = {name: WorkerNode(name) for name in names}
    return SteadyDispatcher(list(nodes.values()), [Client]), nodes


def dealt(dispatch: SteadyDispatcher, users: int, rate: float = 100.0) -> Iterator[Dealt]:
    """How many users each worker shall have, step by step."""
    dispatch.new_dispatch(users, rate)
    for step in dispatch:
        yield {name: classes["Client"] for name, classes in step.items()}


def test_users_are_dealt_out_evenly() -> None:
    dispatch, _ = dispatcher("a", "b")
    assert list(dealt(dispatch, 10, rate=4))[-1] == {"a": 5, "b": 5}


def test_a_newcomer_gets_nobody_until_the_next_test() -> None:
    dispatch, _ = dispatcher("a", "b")
    list(dealt(dispatch, 10))
    dispatch.add_worker(WorkerNode("c"))
    # What Locust does next: it starts the same test again.
    assert list(dealt(dispatch, 10)) == [{"a": 5, "b": 5}]


def test_users_of_a_lost_worker_are_lost() -> None:
    dispatch, nodes = dispatcher("a", "b", "c")
    list(dealt(dispatch, 9))
    dispatch.remove_worker(nodes["b"])
    assert list(dealt(dispatch, 9)) == [{"a": 3, "c": 3}]
    dispatch.remove_worker(nodes["a"])
    assert list(dealt(dispatch, 9)) == [{"c": 3}]


def test_a_worker_lost_in_the_ramp_takes_only_its_own_users_with_it() -> None:
    dispatch, nodes = dispatcher("a", "b")
    steps = dealt(dispatch, 12, rate=4)
    assert next(steps) == {"a": 2, "b": 2}
    dispatch.remove_worker(nodes["b"])
    assert list(steps)[-1] == {"a": 10}


def test_users_are_still_taken_away_on_demand() -> None:
    dispatch, nodes = dispatcher("a", "b", "c")
    list(dealt(dispatch, 9))
    dispatch.remove_worker(nodes["b"])
    assert list(dealt(dispatch, 5))[-1] == {"a": 1, "c": 1}


@pytest.mark.parametrize("gone", ["a", "x"], ids=["the last one", "one that had no users"])
def test_nothing_changes_when_nobody_would_stay_or_nobody_went(gone: str) -> None:
    dispatch, _ = dispatcher("a")
    list(dealt(dispatch, 3))
    dispatch.remove_worker(WorkerNode(gone))
    assert list(dealt(dispatch, 3)) == [{"a": 3}]
