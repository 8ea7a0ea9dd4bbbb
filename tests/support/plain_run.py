"""The model once more, as plainly as can be: one heap of events, one object for each client and pod.

The simulator's loop has to agree with it event for event. Policies and limits are asked as real clients and
proxies ask them. Times are whole nanoseconds. Of what happens in the same nanosecond, the work of pods comes
first, by their numbers, then everything else in the order in which it was entered.
"""

import heapq
import math
import random
from collections import Counter, deque
from collections.abc import Callable
from itertools import count
from typing import Any

from gateway_stub.admission import Admitter
from gateway_stub.protocol import Admission
from scenarios.clients import endings
from scenarios.clients.endings import Ending
from scenarios.limits.leaky_bucket import BucketRule, LeakyBucket, decide
from scenarios.policies.following import FollowedPolicy, Policy
from scenarios.policies.orders import Attempt, Order, Stop, Wait
from scenarios.scenario.edge.nginx import NginxSettings
from scenarios.simulator.admission.refusals import TRY_AGAIN

NS = 1_000_000_000
SYN_AGAIN = (1 * NS, 3 * NS, 7 * NS)
TURNS = 4


class PlainRun:
    """All clients have a session at 0.

    costs: `upgrade`, `join`, `close`, `shed`, and `tick` of one to one client; `tls` and `resumed` of a TLS
    handshake, where the proxy has TLS.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        travel: list[int],
        timeout: int,
        stale: int,
        pods: int,
        backlog: int,
        costs: dict[str, int],
        edge_delay: int,
        ticks: list[int],
        limit: BucketRule | None,
        addresses: list[int],
        rules: Admission,
        nginx: NginxSettings,
    ) -> None:
        self.now = 0
        self.timeout, self.stale, self.backlog, self.costs = timeout, stale, backlog, costs
        self.edge_delay, self.ticks, self.limit, self.rules = edge_delay, ticks, limit, rules
        self.greeted_until = 0
        self.buckets: dict[int, LeakyBucket] = {}
        self.edge_is_up = True
        self.outcomes: Counter[str] = Counter()
        self.disconnects: Counter[str] = Counter()
        self.gave_up: Counter[str] = Counter()
        self.attempts = 0
        self._numbers = count()
        self._heap: list[tuple[int, int, int, int, Callable[[], None]]] = []
        self.pods = [PlainPod(self, number) for number in range(pods)]
        self.upstream = PlainUpstream(self, nginx)
        for pod in self.pods:
            pod.since = next(self._numbers)
        followed = FollowedPolicy(policy)
        self.clients = [
            PlainClient(self, followed, far, address) for far, address in zip(travel, addresses, strict=True)
        ]
        for client in self.clients:
            client.pod = self.upstream.choose(client)
            assert client.pod is not None
            client.pod.connect(1)
            client.has_tls_session = True
            client.join()
        for due in ticks:
            self.at(due, self._feed)

    def _feed(self) -> None:
        for pod in self.pods:
            pod.wake()

    def at(self, time: int, act: Callable[[], Any], pod: int | None = None) -> None:
        """Something is to happen."""
        first = (0, pod) if pod is not None else (1, 0)
        heapq.heappush(self._heap, (time, *first, next(self._numbers), act))

    def run_until(self, time: int) -> None:
        """Lets everything happen up to that moment, and in it."""
        while self._heap and self._heap[0][0] <= time:
            self.now, *_, act = heapq.heappop(self._heap)
            act()
        self.now = time

    def lets_in(self, address: int) -> bool:
        """Whether the proxy's limit lets a request pass."""
        if self.limit is None:
            return True
        bucket = self.buckets.get(address, LeakyBucket())
        decision, (after,) = decide([self.limit], [bucket], self.now // 1_000_000)
        assert after is not None
        self.buckets[address] = after
        return decision.refused_by is None

    def drop(self, clients: list[int]) -> None:
        """These lose their sessions."""
        for number in clients:
            self.clients[number].lose(endings.RESET)
        for pod in self.pods:
            pod.wake()

    def push(self, policy: Policy) -> None:
        """Everybody follows another policy from now on."""
        followed = FollowedPolicy(policy)
        for client in self.clients:
            client.follow(followed)

    def pause(self, pod: int) -> None:
        """A pod stands still."""
        self.pods[pod].pause()

    def kill(self, number: int) -> None:
        """A pod ends, and all its connections with it."""
        pod = self.pods[number]
        there = [client for client in self.clients if client.pod is pod]
        joined = [client for client in there if client.state == "joined"]
        pod.end()
        for client in joined:
            client.lose(endings.RESET)
        for other in self.pods if joined else ():
            other.wake()
        for client in there:
            if client not in joined:
                client.lose_pod()

    def end_edge(self) -> None:
        """The proxy ends, and all connections with it."""
        self.edge_is_up = False
        self.buckets.clear()
        self.upstream.forget()
        self.greeted_until = 0
        for client in self.clients:
            client.has_tls_session = False
        greeted = [client for client in self.clients if client.is_greeted]
        joined = [n for n, client in enumerate(self.clients) if client.state == "joined"]
        if joined:
            self.drop(joined)
        for client in self.clients:
            if client.state == "trying" or client in greeted:
                client.hang_up()


class PlainUpstream:
    """What nginx knows of its pods."""

    def __init__(self, run: PlainRun, settings: NginxSettings) -> None:
        self.run, self.settings = run, settings
        self.forget()

    def forget(self) -> None:
        self.fails, self.accessed, self.checked = Counter[int](), Counter[int](), Counter[int]()
        for pod in self.run.pods:
            self.accessed[pod.number] = self.checked[pod.number] = -(10**9)

    def now(self) -> int:
        return self.run.now // NS

    def choose(self, client: "PlainClient") -> "PlainPod | None":
        """The pod with the fewest connections; of several, the one that has had as many for longest."""
        left = [
            pod for pod in self.run.pods if not self._is_out(pod.number) and pod.number not in client.tried
        ]
        return min(left, key=lambda pod: (pod.connections, pod.since), default=None)

    def _is_out(self, pod: int) -> bool:
        settings = self.settings
        return (
            0 < settings.max_fails <= self.fails[pod]
            and len(self.run.pods) > 1
            and self.now() - self.checked[pod] <= settings.fail_timeout_s
        )

    def sent(self, pod: "PlainPod") -> None:
        if self.now() - self.checked[pod.number] > self.settings.fail_timeout_s:
            self.checked[pod.number] = self.now()

    def failed(self, pod: "PlainPod") -> None:
        self.fails[pod.number] += 1
        self.accessed[pod.number] = self.checked[pod.number] = self.now()

    def ended(self, pod: "PlainPod") -> None:
        if self.accessed[pod.number] < self.checked[pod.number]:
            self.fails[pod.number] = 0

    def goes_on(self, client: "PlainClient", pod: "PlainPod") -> bool:
        """Whether a request that has found no process at a pod, or lost it, goes to the next one."""
        self.failed(pod)
        if "error" not in self.settings.proxy_next_upstream:
            return False
        client.tried.add(pod.number)
        return len(client.tried) < len(self.run.pods)

    def goes_on_after(self, status: int, client: "PlainClient", pod: "PlainPod") -> bool:
        """The same for an answer of the pod; that of the last one is no failure."""
        named = f"http_{status}" in self.settings.proxy_next_upstream
        if not named or len(client.tried) + 1 >= len(self.run.pods):
            return False
        self.failed(pod)
        client.tried.add(pod.number)
        return True


class PlainPod:
    """One event loop."""

    def __init__(self, run: PlainRun, number: int) -> None:
        self.run, self.number = run, number
        self.connections = self.since = 0
        self.queue: deque[tuple[PlainClient, int]] = deque()
        self.ready: deque[tuple[PlainClient, int]] = deque()
        self.sessions: list[PlainClient] = []
        self.closes = self.under_way = 0
        self.sheds = self.died = 0
        self.alive, self.admitter = True, Admitter(run.rules)
        self.tick, self.part, self.heard = -1, 0, 0
        self.paused, self._left = False, 0
        self.is_watched = False
        self._job = 0
        self._ends = 0
        self._act: Callable[[], None] | None = None
        self._jobs: Any = None

    @property
    def runs(self) -> bool:
        return self.alive and not self.paused

    def connect(self, more: int) -> None:
        self.connections += more
        self.since = next(self.run._numbers)

    def wake(self) -> None:
        if self.alive and not self.paused and self._act is None:
            self._jobs = self._turns()
            self._next()

    def _next(self) -> None:
        """Begins with what the loop has to do now."""
        job = next(self._jobs, None)
        if job is None:
            self._act = None
            return
        cost, self._act = job
        self._ends = self.run.now + cost
        self._await()

    def _await(self) -> None:
        self._job += 1
        job = self._job
        self.run.at(self._ends, lambda: self._done() if job == self._job else None, self.number)

    def _done(self) -> None:
        assert self._act is not None
        self._act()
        self._next()

    def end(self) -> None:
        self.alive, self.paused, self._act = False, False, None
        self._job += 1
        self.queue.clear()
        self.ready.clear()
        self.closes = self.sheds = self.under_way = self.part = 0
        self.admitter = Admitter(self.run.rules)

    def start(self) -> None:
        self.alive, self.heard = True, self.run.now
        self.tick = sum(due <= self.run.now for due in self.run.ticks) - 1

    def pause(self) -> None:
        self.paused, self._left = True, self._ends - self.run.now
        self._job += 1

    def resume(self) -> None:
        if not self.paused:
            return
        self.paused = False
        if self._act is None:
            self.wake()
        else:
            self._ends = self.run.now + self._left
            self._await()

    def _turns(self) -> Any:
        """What the loop does, one thing after the other, as (cost, what is done then)."""
        costs, run = self.run.costs, self.run
        while True:
            did = False
            joins = len(self.ready)
            if self.closes or self.sheds:
                cost = self.closes * costs["close"] + self.sheds * costs["shed"]
                self.closes = self.sheds = 0
                did = True
                yield cost, lambda: None
            for _ in range(joins):
                client, attempt = self.ready.popleft()
                did = True
                yield costs["join"], lambda c=client, a=attempt: self._joined(c, a)
            if self.queue:
                client, attempt = self.queue.popleft()
                did = True
                if self.admitter.fits_window(f"10.0.0.{client.address}", "", run.now):
                    yield costs["upgrade"], lambda c=client, a=attempt: self._upgraded(c, a)
                else:
                    yield costs["shed"], lambda c=client, a=attempt: self._refused(c, a)
            if self.part or (self.tick + 1 < len(run.ticks) and run.ticks[self.tick + 1] <= run.now):
                if not self.part:
                    part_cost = int(len(self.sessions) * costs["tick"] / TURNS + 0.5)
                did = True
                yield part_cost, self._sent_a_part
            if not did:
                return

    def watch(self) -> None:
        """The clients look at the feed again when the first of them has heard nothing for too long."""
        self.is_watched = bool(self.sessions) and bool(self.run.stale)
        if self.is_watched:
            self.run.at(max(self._silent_for(self.sessions[0]), self.run.now), self._look)

    def _silent_for(self, client: "PlainClient") -> int:
        """When a client has had enough of waiting."""
        return max(self.heard, client.since) + self.run.stale

    def _look(self) -> None:
        for client in list(self.sessions):
            if self._silent_for(client) > self.run.now:
                break
            client.lose(endings.STALE)
        self.watch()
        self.wake()

    def _refused(self, client: "PlainClient", attempt: int) -> None:
        if client.state == "trying" and client.attempt == attempt:
            client.turn_away(429, math.ceil(self.run.rules.window_s))

    def _upgraded(self, client: "PlainClient", attempt: int) -> None:
        if not client.is_trying(attempt):
            return
        slots = self.run.rules.handshake_slots
        if slots and self.under_way >= slots:
            self.sheds += 1
            client.turn_away(503, 1.0)
            return
        self.under_way += 1
        client.is_open = True
        client.reset()
        if self.run.edge_delay:
            self.run.at(self.run.now + self.run.edge_delay, lambda: self._asks(client, attempt))
        else:
            self.ready.append((client, attempt))

    def _asks(self, client: "PlainClient", attempt: int) -> None:
        if client.is_trying(attempt):
            self.ready.append((client, attempt))
            self.wake()
        else:
            self.under_way -= 1

    def _joined(self, client: "PlainClient", attempt: int) -> None:
        self.under_way -= 1
        if client.is_trying(attempt):
            self.run.outcomes["joined"] += 1
            client.course.joined(self.run.now / NS)
            client.join()

    def _sent_a_part(self) -> None:
        self.part = (self.part + 1) % TURNS
        if not self.part:
            self.tick += 1
            self.heard = self.run.now


class PlainClient:
    """One client."""

    def __init__(self, run: PlainRun, followed: FollowedPolicy, travel: int, address: int) -> None:
        self.run, self.travel, self.address = run, travel, address
        self.state = "away"
        self.pod: PlainPod | None = None
        self.attempt = self.started = self.since = 0
        self.first = True
        self.tried: set[int] = set()
        self.is_open = self.is_greeted = self.has_tls_session = False
        self._timer = 0
        self._rng = random.Random(1)
        self._follow_from_now(followed)

    def _follow_from_now(self, followed: FollowedPolicy) -> None:
        self._followed, self.course = followed, followed.course(self._rng)

    def is_trying(self, attempt: int) -> bool:
        return (
            self.state == "trying"
            and self.attempt == attempt
            and self.run.now <= self.started + self.run.timeout
        )

    def reset(self) -> None:
        if self._followed.reset == "open":
            self.course.start_over()

    def join(self) -> None:
        assert self.pod is not None
        self.state, self.since = "joined", self.run.now
        self._timer += 1
        self.pod.sessions.append(self)
        if not self.pod.is_watched:
            self.pod.watch()

    def lose(self, ending: Ending) -> None:
        assert self.pod is not None
        self.run.disconnects[ending.session] += 1
        self.pod.sessions.remove(self)
        self.pod.closes += self.pod.alive
        self.pod.connect(-1)
        self.run.upstream.ended(self.pod)
        self.pod, self.first = None, True
        self.tried.clear()
        lasted_s = max((self.run.now - self.since) / NS, 1e-6)
        reset = self._followed.reset
        if not isinstance(reset, str) and lasted_s >= reset:
            self.course.start_over()
        self._obey(self.course.after(ending.outcome, lasted_s, self.run.now / NS))

    def end(self, ending: Ending) -> None:
        if self.pod is not None:
            self.pod.connect(-1)
            self.run.upstream.ended(self.pod)
            self.pod = None
        self.tried.clear()
        self.run.outcomes[ending.attempt] += 1
        self._obey(self.course.after(ending.outcome, 0.0, self.run.now / NS))

    def hang_up(self) -> None:
        """The proxy has ended."""
        if self.state != "trying":
            self.first = False
            self.attempt += 1
        self.end(endings.RESET)

    def lose_pod(self) -> None:
        """The pod has ended that has the request."""
        assert self.pod is not None
        if self.is_open:
            self.end(endings.RESET)
        elif self.run.upstream.goes_on(self, self.pod):
            self._go_to_next()
        else:
            self.end(endings.answered(502, None, "websocket"))

    def turn_away(self, status: int, retry_after_s: float) -> None:
        """The pod refuses the request."""
        assert self.pod is not None
        if self.run.rules.close_1013:
            self.end(TRY_AGAIN)
        elif self.run.upstream.goes_on_after(status, self, self.pod):
            self._go_to_next()
        else:
            self.end(endings.answered(status, retry_after_s, "websocket"))

    def _go_to_next(self) -> None:
        assert self.pod is not None
        self.pod.connect(-1)
        self.pod = None
        self.attempt += 1
        self._send()

    def _send(self) -> None:
        """The proxy sends the request to a pod that is there, as far as it finds one."""
        run = self.run
        while pod := run.upstream.choose(self):
            run.upstream.sent(pod)
            if pod.alive:
                self.pod = pod
                pod.connect(1)
                self._knock(pod, self.attempt, run.now, SYN_AGAIN)
                return
            if not run.upstream.goes_on(self, pod):
                break
        self.end(endings.answered(502, None, "websocket"))

    def follow(self, followed: FollowedPolicy) -> None:
        self.course.abandoned(self.run.now / NS)
        self._follow_from_now(followed)
        if self.state == "joined":
            return
        if self.state == "trying":
            self.end(endings.ABANDONED)
            return
        if self.state == "going":
            self.first = False
            self.run.outcomes["abandoned"] += 1
        self._obey(self.course.pushed(first=self.first, at_s=self.run.now / NS))

    def _obey(self, order: Order) -> None:
        self.state, self.is_greeted = "away", False
        self._timer += 1
        match order:
            case Stop(reason):
                self.state = "gone"
                self.run.gave_up[reason] += 1
            case Wait(seconds):
                self._at(self.run.now + round(seconds * NS), self._wake)
            case Attempt():
                self._begin()
            case delay_s:
                self._at(self.run.now + max(0, round(delay_s * NS)), self._begin)

    def _wake(self) -> None:
        self._obey(self.course.woken(self.run.now / NS))

    def _begin(self) -> None:
        self.state, self.started = "going", self.run.now
        self.run.attempts += 1
        way = min(self.travel + self.run.edge_delay, self.run.timeout)
        self._at(self.started + way, self._come_in)

    def _come_in(self) -> None:
        """The connection reaches the proxy, which has to make a TLS handshake first."""
        run, patience = self.run, self.started + self.run.timeout
        if "tls" not in run.costs or not run.edge_is_up or run.now >= patience:
            self._arrive()
            return
        self.is_greeted = True
        cost = run.costs["resumed" if self.has_tls_session else "tls"]
        run.greeted_until = max(run.now, run.greeted_until) + cost
        if run.greeted_until < patience:
            self.has_tls_session = True
        if (over := min(run.greeted_until, patience)) > run.now:
            self._at(over, self._arrive)
        else:
            self._arrive()

    def _arrive(self) -> None:
        run = self.run
        self.first, self.state = False, "trying"
        self.is_open = self.is_greeted = False
        self.attempt += 1
        if run.now >= self.started + run.timeout:
            self.end(endings.TIMED_OUT)
        elif not run.edge_is_up:
            self.end(endings.REFUSED)
        elif not run.lets_in(self.address):
            self.end(endings.answered(429, None, "websocket"))
        else:
            self._at(self.started + run.timeout, lambda: self.end(endings.TIMED_OUT))
            self._send()

    def _knock(self, pod: PlainPod, attempt: int, began: int, again: tuple[int, ...]) -> None:
        """A SYN reaches the pod; where its queue is full, it comes again."""
        if not (self.state == "trying" and self.attempt == attempt):
            return
        if len(pod.queue) < self.run.backlog:
            pod.queue.append((self, attempt))
            pod.wake()
        elif again and began + again[0] < self.started + self.run.timeout:
            self.run.at(began + again[0], lambda: self._knock(pod, attempt, began, again[1:]))

    def _at(self, time: int, act: Callable[[], None]) -> None:
        self._timer += 1
        timer = self._timer
        self.run.at(time, lambda: act() if self._timer == timer else None)
