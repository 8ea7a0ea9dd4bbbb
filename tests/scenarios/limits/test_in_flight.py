"""A cap on requests in flight: how many of an address fit, and which addresses are counted."""

from scenarios.limits.in_flight import InFlightRule


def test_as_many_of_an_address_fit_as_the_rule_says() -> None:
    rule = InFlightRule(name="concurrent-per-ip", connections=2)
    assert [rule.admits(in_flight) for in_flight in range(4)] == [True, True, False, False]


def test_every_request_counts_whether_or_not_it_has_a_session() -> None:
    rule = InFlightRule(name="x", connections=1, exempt=("10.0.0.0/8",))
    assert rule.counts_as("192.0.2.1", new=False) == "192.0.2.1"
    assert rule.counts_as("2001:db8::1:2:3:4", new=True) == "2001:db8::/64"
    assert rule.counts_as("10.1.2.3", new=True) == ""
