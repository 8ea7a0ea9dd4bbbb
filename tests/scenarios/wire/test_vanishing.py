"""A peer that is gone without a goodbye."""

import socket

from scenarios.wire.vanishing import VANISHED_S, notice_when_it_vanishes


def test_a_silent_peer_is_asked_and_one_that_acknowledges_nothing_is_given_up() -> None:
    with socket.socket() as connection:
        notice_when_it_vanishes(connection)
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        options = {
            name: connection.getsockopt(socket.IPPROTO_TCP, getattr(socket, name))
            for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
            if hasattr(socket, name)
        }
    asked_s = options["TCP_KEEPIDLE"] + options["TCP_KEEPINTVL"] * options["TCP_KEEPCNT"]
    assert asked_s <= VANISHED_S
    assert options.get("TCP_USER_TIMEOUT", VANISHED_S * 1000) == VANISHED_S * 1000
