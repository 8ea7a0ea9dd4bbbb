"""What a handshake costs the proxy is the difference to a connection without one."""

import ssl
from collections import Counter
from typing import Any

import pytest

from reports.rundir.proxy_log import TlsCosts
from scenarios.proxies.handshakes import Visitor, handshake_costs

PLAIN_S, FULL_S, RESUMED_S = 0.001, 0.005, 0.002


class Pretended(Visitor, frozen=True, kw_only=True):
    """A proxy that takes a known time for each kind of connection."""

    made: Counter[str]
    resumes: bool = True

    def plain(self) -> None:
        """A connection."""
        self.made["plain"] += 1

    def handshake(self, session: Any = None) -> bool:
        """A connection with a handshake."""
        self.made["full" if session is None else "resumed"] += 1
        return session is not None

    def session(self) -> Any:
        """What can be resumed."""
        return "session" if self.resumes else None

    def spent_s(self) -> float:
        """CPU-seconds of all of them."""
        made = self.made
        return PLAIN_S * made["plain"] + FULL_S * made["full"] + RESUMED_S * made["resumed"]


def pretended(*, resumes: bool) -> Pretended:
    return Pretended(port=1, context=ssl.create_default_context(), host="", made=Counter(), resumes=resumes)


def test_costs_are_those_beyond_the_connection() -> None:
    visitor = pretended(resumes=True)
    costs = handshake_costs(visitor, visitor.spent_s, visits=10)
    assert costs is not None
    assert costs.full_cpu_s == pytest.approx(FULL_S - PLAIN_S)
    assert costs.resumed_cpu_s == pytest.approx(RESUMED_S - PLAIN_S)


def test_what_nobody_can_resume_has_no_cost() -> None:
    visitor = pretended(resumes=False)
    costs = handshake_costs(visitor, visitor.spent_s, visits=10)
    assert costs is not None
    assert costs == TlsCosts(full_cpu_s=costs.full_cpu_s)
    assert visitor.made["resumed"] == 0


def test_a_proxy_that_cannot_be_reached_has_no_costs() -> None:
    nobody = Visitor(port=1, context=ssl.create_default_context(), host="127.0.0.1")
    assert handshake_costs(nobody, lambda: 0.0, visits=1) is None
