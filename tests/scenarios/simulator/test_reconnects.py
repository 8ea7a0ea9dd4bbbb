"""Modelled clients attempt, wait, follow other policies and give up as real ones do; the counts add up."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from msgspec.structs import replace

from gateway_stub.protocol import Admission
from scenarios.clients.endings import RESET
from scenarios.policies.following import Policy
from scenarios.policies.orders import Told
from scenarios.policies.outcome import Outcome, OutcomeKind, Reset, Sees
from scenarios.policies.registry import policy
from scenarios.policies.throttled import Throttled
from scenarios.policies.throttles import Throttle
from scenarios.simulator.costs import Costs
from scenarios.simulator.engine import Engine
from scenarios.simulator.loop.at import AWAY, JOINED, TRYING
from scenarios.simulator.recorder import SLOTS_PER_S
from tests.scenarios.simulator.test_oracles import FREE, engine, joined_by, outcomes, run_until
from tests.support.plain_clients import PlainWorld

HORIZON_S = 20
TIMEOUT_S = 1.37


def steady(delay_s: float) -> dict[str, Any]:
    return {"name": "grpc", "base_s": delay_s, "factor": 1, "cap_s": delay_s, "jitter": 0}


def listed(*waits_s: float) -> dict[str, Any]:
    return {"name": "tests.support.plain_clients:listed", "waits_s": list(waits_s)}


def clients(
    count: int, *, pods: int = 1, handshake_cpu_ms: float = 0.001, costs: Costs = FREE, **fleet: Any
) -> Engine:
    """A gateway that costs next to nothing, unless it is told to."""
    return engine(
        costs=costs,
        fleet={"clients": count, "rtt_ms": 40, "connect_timeout_s": TIMEOUT_S, **fleet},
        gateway={
            "pods": pods,
            "handshake_cpu_ms": handshake_cpu_ms,
            "backlog": 4096,
            "ping_interval_s": 1000,
        },
    )


def attempts_by_second(made: Engine) -> list[int]:
    return [int(n) for n in made.recorder.attempts_by_slot.reshape(-1, SLOTS_PER_S).sum(axis=1)]


def attempts_by(made: Engine) -> int:
    """Attempts that have begun."""
    return sum(attempts_by_second(made)[: round(made.now_s)])


def given_up(made: Engine) -> int:
    """Clients that stopped for good."""
    return made.said().gave_up.total()


def under_way(made: Engine) -> int:
    table = made.table
    travelling = (table.state == AWAY) & table.booked & (table.started_s < made.now_s - 1e-9)
    return int(((table.state == TRYING) | travelling).sum())


def seen_at_its_end(made: Engine, until_s: int) -> list[int]:
    """Lets whole seconds pass; the attempts of each, as a run reports them when it is over."""
    seen = []
    while made.now_s < until_s - 1e-9:
        second = int(made.now_s + 1e-9)
        run_until(made, second + 1)
        seen.append(attempts_by_second(made)[second])
    return seen


# -- against plain clients --------------------------------------------------------------------------


class Act(NamedTuple):
    """What happens at a moment: the gateway changes, or a policy is pushed."""

    at_s: float
    mode: str = ""
    policy: Any = None
    reach_s: float = 0.0


class Script:
    """A random small storm: a gateway that comes and goes, and policies that are pushed at any moment."""

    def __init__(self, seed: int) -> None:
        self._rng = rng = random.Random(seed)
        self.clients = rng.randint(1, 12)
        self.cap = rng.choice([0, 0, 1, 3, 7])
        self.rtt_ms = rng.choice([20, 200])
        self.policy = self._policy()
        moments_s = [round(rng.uniform(1, 16), 2) for _ in range(8)]
        modes = [Act(at_s, rng.choice(["up", "down", "silent"])) for at_s in moments_s[: rng.randint(1, 4)]]
        pushes = [
            Act(at_s, "", self._policy(), rng.choice([0, 0, rng.uniform(0, 30)]))
            for at_s in moments_s[4 : 4 + rng.randint(0, 4)]
        ]
        self.acts = sorted([*modes, *pushes], key=lambda act: act.at_s)

    def _policy(self) -> str | dict[str, Any]:
        rng = self._rng
        waits_s = [round(rng.uniform(0, 1.5), 3) for _ in range(rng.choice([0, 1, 5, 60]))]
        choices: list[str | dict[str, Any]] = [
            "naive",
            steady(0.731),
            listed(*waits_s),
            {"name": "circuit-breaker", "reset_s": 3.1},
            {"name": "circuit-breaker", "reset_s": 0.5},
            {"name": "token-bucket", "capacity": 3},
            "retry-budget",
            "tests.support.plain_clients:discouraged",
            "tests.support.plain_clients:listening",
            {"name": "tests.support.plain_clients:listening", "patience": 2},
        ]
        return rng.choice(choices)


def become(made: Engine, mode: str) -> None:
    made.edge_is_up = True
    made.resume_pod(0)
    if mode == "down":
        made.end_edge()
    if mode == "silent":
        made.pause_pod(0)


def moments_of_the_push(made: Engine) -> list[float]:
    """When the policy that was just pushed reaches each client."""
    clients, moments_s = made.pushed
    assert len(clients) == made.table.count
    return moments_s.tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("seed", range(60))
def test_clients_try_wait_and_follow_policies_as_in_a_plain_event_loop(seed: int) -> None:
    script = Script(seed)
    made = clients(
        script.clients,
        rtt_ms=script.rtt_ms,
        max_attempts_per_s=script.cap,
        policy=script.policy,
        seed=seed,
    )
    world = PlainWorld(
        policy(script.policy),
        travel_s=made.table.travel_s.tolist(),
        timeout_s=TIMEOUT_S,
        cap=script.cap,
        horizon_s=HORIZON_S,
    )
    run_until(made, 1.0)
    made.drop(1.0)
    world.at(1.0, world.drop)
    mode = "up"
    for act in script.acts:
        run_until(made, act.at_s)
        if not act.mode:
            made.push_policy(policy(act.policy), act.reach_s)
            world.at(act.at_s, partial(world.push, policy(act.policy), moments_of_the_push(made)))
        elif act.mode != mode:
            become(made, act.mode)
            world.at(act.at_s, partial(world.become, act.mode))
            mode = act.mode
    run_until(made, HORIZON_S)
    world.run()

    starts = np.histogram(world.starts, bins=np.arange(HORIZON_S + 1))[0].tolist()
    assert attempts_by_second(made)[:HORIZON_S] == starts
    assert outcomes(made) == world.outcomes
    assert made.said().gave_up == world.gave_up
    assert (given_up(made), made.recorder.held_back) == (world.gave_up.total(), world.held_back)
    assert (joined_by(made, HORIZON_S), under_way(made)) == (world.connected, world.under_way)
    assert attempts_by(made) == sum(outcomes(made).values()) + under_way(made)


# -- the cap ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy_name", ["naive", "incident", "circuit-breaker", "token-bucket"])
@pytest.mark.parametrize(
    ("count", "cap"), [(1, 1), (1, 20), (7, 1), (19, 20), (20, 20), (21, 20), (60, 20), (205, 50)]
)
def test_everybody_whom_the_cap_holds_back_comes_through_in_the_next_seconds(
    policy_name: str, count: int, cap: int
) -> None:
    made = run_until(clients(count, max_attempts_per_s=cap, policy=policy_name), 3)
    made.drop(1.0)
    full, rest = divmod(count, cap)
    assert joined_by(made, 3 + full + 4) == count
    by_second = attempts_by_second(made)
    if policy_name == "incident":  # its first delays end in the same second
        assert max(by_second) <= cap
    else:
        assert by_second[3 : 3 + full + 1] == [cap] * full + [rest]
        assert made.recorder.held_back == max(0, count - cap)
    assert outcomes(made) == {"joined": count} == {"joined": attempts_by(made)}


def test_no_second_has_more_attempts_than_the_cap_also_while_all_of_them_fail() -> None:
    made = clients(40, max_attempts_per_s=15, policy="naive")
    made.end_edge()
    assert set(attempts_by_second(run_until(made, 12))[1:12]) == {15}
    made.edge_is_up = True
    assert joined_by(made, 20) == 40


def test_who_wanted_to_try_first_is_let_through_first() -> None:
    made = run_until(clients(90, max_attempts_per_s=20, policy="naive"), 3.4)
    table = made.table
    waves = []
    for share in (0.5, 0.5, 1.0):
        before = table.state == JOINED
        made.drop(share)
        waves.append(np.flatnonzero(before & (table.state == AWAY)))
        run_until(made, made.now_s + 0.03)
    run_until(made, 12)
    assert [len(wave) for wave in waves] == [45, 22, 23]
    began = [table.started_s[wave] for wave in waves]
    assert began[0].max() <= began[1].min() < began[1].max() <= began[2].min()
    assert joined_by(made, 12) == 90


def test_those_held_back_are_spread_over_their_second_as_real_ones_are() -> None:
    made = run_until(clients(10, max_attempts_per_s=4, rtt_ms=0, policy="naive"), 7.9)
    made.drop(1.0)
    run_until(made, 8)
    assert sorted(made.table.started_s.round(6).tolist()) == [
        *([7.9] * 4),
        *(8.0, 8.25, 8.5, 8.75, 9.0, 9.25),
    ]


def test_places_that_are_given_up_in_any_order_are_taken_from_the_first_on() -> None:
    made = run_until(clients(40, max_attempts_per_s=4, policy="naive", rtt_ms=1), 1)
    made.lose(np.arange(20, 40), RESET)
    made.lose(np.arange(20), RESET)
    run_until(made, 1.5)
    # Those with the later places give theirs up first, and ask first.
    made.push_policy(policy("naive"), 0)
    run_until(made, 13)
    began = made.table.started_s[[*range(20), *range(24, 40)]]
    assert (np.diff(began) > 0).all()
    assert attempts_by_second(made)[1:11] == [4] * 10


@pytest.mark.parametrize("reach_s", [0, 2])
def test_places_that_a_pushed_policy_gives_up_go_to_others(reach_s: float) -> None:
    made = run_until(clients(300, max_attempts_per_s=20, policy="naive", rtt_ms=1), 1)
    made.drop(1.0)
    run_until(made, 3.5)
    assert joined_by(made, 3.5) == pytest.approx(50, abs=2)
    made.push_policy(policy("naive"), reach_s)
    assert joined_by(made, 16.1) == 300, "as if nobody had begun anew"
    assert attempts_by_second(made)[1:16] == [20] * 15


# -- throttles ------------------------------------------------------------------------------------------


class Noted:
    """A policy whose throttles write down what they are asked and told, and let everybody through.

    closed_s: how long each has the first ask wait.
    """

    reset: Reset = "open"
    stops_on: frozenset[OutcomeKind] = frozenset()
    sees: Sees = "all"

    def __init__(self, delay_s: float = 0.0, closed_s: float = 0.0) -> None:
        self.delay_s, self.closed_s = delay_s, closed_s
        self.logs: list[list[str]] = []
        self.times_s: list[list[float]] = []

    def delays(self, rng: random.Random) -> Iterator[float]:
        while True:
            yield self.delay_s

    def for_clients(self) -> Callable[[], Policy]:
        return lambda: Throttled(self, self._throttle())

    def _throttle(self) -> Throttle:
        self.logs.append([])
        self.times_s.append([])
        return NotedThrottle(self.logs[-1], self.times_s[-1], self.closed_s)


class NotedThrottle:
    def __init__(self, log: list[str], times_s: list[float], closed_s: float) -> None:
        self._log, self._times_s, self._closed_s = log, times_s, closed_s

    def _note(self, word: str, now_s: float) -> None:
        self._log.append(word)
        self._times_s.append(now_s)

    def wait_s(self, now_s: float, rng: random.Random, first: bool) -> float:
        self._note("first" if first else "again", now_s)
        wait_s, self._closed_s = self._closed_s, 0.0
        return wait_s

    def ended(self, joined: bool, now_s: float) -> None:
        self._note("joined" if joined else "failed", now_s)


def test_a_gate_is_asked_once_for_an_attempt_that_the_cap_holds_back() -> None:
    noted = Noted()
    made = run_until(clients(30, max_attempts_per_s=4), 1)
    made.push_policy(noted, 0)
    made.drop(1.0)
    assert joined_by(made, 12) == 30
    assert noted.logs == [["first", "joined"]] * 30


@pytest.mark.parametrize("closed_s", [0.0, 0.004, 0.7])
def test_a_gated_attempt_is_booked_when_it_begins_and_not_when_it_arrives(closed_s: float) -> None:
    noted = Noted(0.25, closed_s)
    made = clients(1, rtt_ms=400)
    made.push_policy(noted, 0)
    run_until(made, 2)
    made.drop(1.0)
    run_until(made, 5)
    (asked_s, *again_s, ended_s), travel_s = noted.times_s[0], made.table.travel_s[0]
    assert asked_s == pytest.approx(2.25)
    begun_s = again_s[0] if closed_s else asked_s
    assert begun_s == pytest.approx(2.25 + closed_s, abs=1e-6)
    assert np.flatnonzero(made.recorder.attempts_by_slot).tolist() == [int(begun_s * SLOTS_PER_S)]
    assert ended_s == pytest.approx(begun_s + travel_s, abs=1e-3)


@pytest.mark.parametrize(
    ("after_s", "abandoned"),
    [
        pytest.param(0.1, 0, id="waiting"),
        pytest.param(0.4, 1, id="on the way"),
        pytest.param(1.6, 1, id="at a silent pod"),
    ],
)
def test_the_gate_that_let_an_attempt_through_hears_of_its_end_and_not_the_pushed_one(
    after_s: float, abandoned: int
) -> None:
    old, new = Noted(0.25), Noted()
    made = clients(1, rtt_ms=200, connect_timeout_s=5)
    made.push_policy(old, 0)
    run_until(made, 2)
    made.drop(1.0)
    made.pause_pod(0)
    run_until(made, 2 + after_s)
    made.push_policy(new, 0)
    run_until(made, 4)
    made.resume_pod(0)
    assert joined_by(made, 5) == 1
    assert old.logs == [["first", "failed"] if abandoned else []]
    assert new.logs == [["again" if abandoned else "first", "joined"]]
    assert outcomes(made)["abandoned"] == abandoned
    assert attempts_by(made) == 1 + abandoned


def test_an_attempt_that_the_cap_holds_back_is_over_for_its_gate_when_a_policy_is_pushed() -> None:
    old = Noted()
    made = clients(3, max_attempts_per_s=1)
    made.push_policy(old, 0)
    made.pause_pod(0)
    run_until(made, 1.0)
    made.drop(1.0)
    made.lose(np.arange(3), RESET)  # a paused pod cuts nobody
    run_until(made, 1.9)
    made.push_policy(policy(steady(3600)), 0)
    run_until(made, 6)
    assert old.logs == [["first", "failed"]] * 3
    assert outcomes(made) == {"abandoned": 1}
    assert attempts_by(made) == 1


def test_a_breaker_that_is_pushed_starts_closed_for_those_who_were_trying() -> None:
    made = run_until(clients(20, policy=steady(0.5), connect_timeout_s=5), 1)
    made.end_edge()
    made.edge_is_up = True
    made.pause_pod(0)
    run_until(made, 2)
    assert (made.table.state == TRYING).all()
    made.push_policy(policy("circuit-breaker"), 0)
    run_until(made, 2.5)
    assert attempts_by_second(made)[2] == 20


@pytest.mark.parametrize(
    ("tried", "gave_up"), [pytest.param(True, 1, id="a retry"), pytest.param(False, 0, id="a first attempt")]
)
def test_whether_an_attempt_is_a_retry_is_known_also_to_a_gate_that_is_pushed_later(
    tried: bool, gave_up: int
) -> None:
    made = run_until(clients(1, policy=steady(0.5 if tried else 5)), 1)
    made.end_edge()
    run_until(made, 3)
    made.push_policy(policy({"name": "token-bucket", "capacity": 0}), 0)
    made.edge_is_up = True
    assert joined_by(made, 6) == 1 - gave_up
    assert given_up(made) == gave_up


# -- pushes -----------------------------------------------------------------------------------------

UNGATED = [
    "naive",
    "incident",
    listed(0.1, 0.2),
    listed(),
    "tests.support.plain_clients:discouraged",
    "tests.support.plain_clients:listening",
]
GATED: list[Any] = [
    "circuit-breaker",
    {"name": "circuit-breaker", "shared": True, "reset_s": 2},
    "retry-budget",
    "token-bucket",
    {"name": "token-bucket", "shared": True},
    "sre-throttle",
]


def every_push() -> list[tuple[Any, Any, float, Any]]:
    """(before, pushed, its reach, pushed a second later), each kind over each kind."""
    rng = random.Random(7)
    return [
        (rng.choice(before), rng.choice(pushed), reach_s, rng.choice([None, *UNGATED, *GATED]))
        for before, pushed in ((UNGATED, GATED), (GATED, UNGATED), (GATED, GATED), (UNGATED, UNGATED))
        for reach_s in (0, 0.3, 4, 30)
    ]


@pytest.mark.parametrize("cap", [0, 25])
@pytest.mark.parametrize(("before", "pushed", "reach_s", "second"), every_push())
def test_every_attempt_is_booked_once_whatever_is_pushed_over_whatever(
    before: Any, pushed: Any, reach_s: float, second: Any, cap: int
) -> None:
    made = run_until(clients(40, handshake_cpu_ms=100, policy=before, max_attempts_per_s=cap), 1)
    made.drop(1.0)
    seen = seen_at_its_end(made, 4)
    run_until(made, 4.27)
    made.push_policy(policy(pushed), reach_s)
    seen += seen_at_its_end(made, 5)
    if second is not None:
        made.push_policy(policy(second), reach_s)
    seen += seen_at_its_end(made, 12)
    assert attempts_by_second(made)[1:12] == seen, "what was reported has not changed"
    assert attempts_by(made) == sum(outcomes(made).values()) + under_way(made)
    assert not cap or max(attempts_by_second(made)[:12]) <= cap
    # Whoever has given up is back, too.
    made.push_policy(policy(steady(0.5)), 0)
    made.charge_handshakes(0.001)
    assert joined_by(made, 30) == 40
    assert attempts_by(made) == sum(outcomes(made).values())


def two_groups_away() -> Engine:
    """Twenty clients of each group have lost their connection, and wait for an hour."""
    made = clients(40, policy=steady(3600), group=[{"name": "a", "share": 0.5}, {"name": "b"}])
    run_until(made, 1)
    made.drop(1.0)
    return made


def test_a_policy_pushed_to_one_group_leaves_the_others_alone() -> None:
    made = two_groups_away()
    made.push_policy(policy(steady(0.2)), 0, "a")
    assert joined_by(made, 5) == 20
    assert made.joined.tolist() == [20, 0]
    made.push_policy(policy(steady(0.2)), 2, "b")
    assert joined_by(made, 10) == 40


def test_a_push_to_one_group_does_not_stop_one_that_is_on_its_way_to_another() -> None:
    made = two_groups_away()
    made.push_policy(policy(steady(0.2)), 4, "a")
    made.push_policy(policy(steady(3600)), 4, "b")
    made.push_policy(policy(steady(0.2)), 2, "b")
    assert joined_by(made, 8) == 40


def test_who_has_the_pushed_policy_and_who_has_not_yet_are_told_apart() -> None:
    made = run_until(clients(200, policy=steady(0.5)), 1)
    made.end_edge()
    made.push_policy(policy({"name": "token-bucket", "capacity": 0}), 8)
    run_until(made, 5)
    # Half of them have been reached, and have given up: their retries are not free.
    assert given_up(made) == pytest.approx(100, abs=25)
    still = 200 - given_up(made)
    before = attempts_by(made)
    run_until(made, 6)
    assert attempts_by(made) - before == pytest.approx(still / 0.62, rel=0.25)
    assert attempts_by(made) == sum(outcomes(made).values()) + under_way(made)


# -- policies that end ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 5, 47, 48, 49, 64, 100, 333])
def test_a_policy_ends_after_exactly_its_number_of_delays(number: int) -> None:
    made = run_until(clients(3, rtt_ms=1, policy=listed(*([0.02] * number))), 1)
    made.end_edge()
    run_until(made, 2 + 0.04 * number)
    assert attempts_by(made) == 3 * number == sum(outcomes(made).values())
    assert given_up(made) == 3


def test_whoever_has_made_very_many_attempts_goes_on_with_the_delays_that_it_had() -> None:
    waits_s = [0.001 if number < 1_024 else 0.002 for number in range(2_048)]
    made = run_until(clients(1, rtt_ms=0, policy=listed(*waits_s)), 1)
    made.end_edge()
    run_until(made, 11)
    # The first ones take a millisecond each, all others two.
    assert attempts_by(made) == pytest.approx(1_024 + (10 - 1.024) / 0.002, rel=0.01)
    assert given_up(made) == 0


# -- policies that are told outcomes --------------------------------------------------------------------


class Listening(Noted):
    """A policy that writes down what it is told, and waits for Retry-After."""

    def __init__(self, sees: Sees = "all", reset: Reset = "open") -> None:
        super().__init__()
        self.sees, self.reset = sees, reset
        self.heard: list[Outcome] = []
        self.starts = 0

    def delays(self, rng: random.Random) -> Told:
        self.starts += 1
        outcome = yield
        while True:
            self.heard.append(outcome)
            outcome = yield 0.2 if outcome.retry_after_s is None else outcome.retry_after_s

    def for_clients(self) -> Callable[[], Policy]:
        return lambda: self


def heard_by(listening: Listening) -> set[tuple[str, int | None, float | None, int | None]]:
    return {(each.kind, each.status, each.retry_after_s, each.close_code) for each in listening.heard}


@pytest.mark.parametrize(
    ("sees", "transport", "heard"),
    [
        ("all", "websocket", ("http_status", 503, 1.0, None)),
        ("browser", "websocket", ("closed", None, None, 1006)),
        ("browser", "polling-upgrade", ("http_status", 503, 1.0, None)),
    ],
)
def test_modelled_clients_see_of_a_pod_that_sheds_what_real_ones_do(
    sees: Sees, transport: str, heard: tuple[str, int | None, float | None, int | None]
) -> None:
    listening = Listening(sees)
    # An answer is on its way for a millisecond: until then, its handshake is.
    costs = replace(FREE, edge_delay_s=0.001)
    made = run_until(clients(20, transport=transport, costs=costs), 1)
    made.push_policy(listening, 0)
    made.admission = Admission(handshake_slots=1)
    made.drop(1.0)
    run_until(made, 3)
    assert heard in heard_by(listening)


def test_modelled_clients_wait_as_long_as_retry_after_says() -> None:
    made = run_until(clients(1, rtt_ms=1), 1)
    made.push_policy(Listening(), 0)
    made.admission = Admission(shed_above_lag_ms=1)
    made.drop(1.0)
    made.pause_pod(0)
    run_until(made, 1.9)
    made.resume_pod(0)
    run_until(made, 1.95)
    made.admission = Admission()
    assert outcomes(made)["limited"] == 1
    assert joined_by(made, 2.85) == 0
    assert joined_by(made, 3.0) == 1


@pytest.mark.parametrize(
    ("reset", "starts"), [("open", 3), ("joined", 3), ("never", 1), (0.5, 3), (60.0, 1)], ids=repr
)
def test_a_policy_says_when_it_starts_over_also_in_the_model(reset: Reset, starts: int) -> None:
    listening = Listening(reset=reset)
    made = run_until(clients(1, rtt_ms=1), 1)
    made.push_policy(listening, 0)
    for second in (1, 3, 5):
        run_until(made, second)
        made.drop(1.0)
    run_until(made, 7)
    assert len(listening.heard) >= 3
    assert listening.starts == starts


def test_session_lengths_are_told_and_those_without_a_session_are_0() -> None:
    listening = Listening(reset="never")
    made = run_until(clients(1, rtt_ms=1), 1)
    made.push_policy(listening, 0)
    run_until(made, 3)
    made.end_edge()
    run_until(made, 3.3)
    first, second = listening.heard[:2]
    assert [first.session_s, first.at_s] == pytest.approx([3.0, 3.0], abs=0.02)
    assert (second.kind, second.session_s) == ("refused", 0.0)


# -- a full accept queue ----------------------------------------------------------------------------


def test_an_attempt_that_was_given_up_does_not_knock_for_the_next_one() -> None:
    made = engine(
        fleet={"clients": 2, "rtt_ms": 0, "connect_timeout_s": 10, "policy": steady(0.01)},
        gateway={"pods": 1, "handshake_cpu_ms": 1, "backlog": 1},
    )
    run_until(made, 1)
    made.end_edge()
    made.edge_is_up = True
    made.pause_pod(0)
    run_until(made, 1.6)
    # One is in the queue, the other one connects at 2 s. Both start over, and connect at 2.6 s: by then the
    # queue is empty, and the pod takes the first one before the second one comes.
    made.push_policy(policy("naive"), 0)
    run_until(made, 1.8)
    made.resume_pod(0)
    assert joined_by(made, 2.55) == 0
    assert joined_by(made, 2.7) == 2
