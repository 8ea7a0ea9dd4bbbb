"""New connections of each address in a sliding window, counted exactly; and what counts as one address."""

import ipaddress
from collections import defaultdict, deque

_IPV6_NETWORK_BITS = 64


def plain_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address; one of IPv4 that is written as IPv6 is what it is. Raises ValueError."""
    source = ipaddress.ip_address(address)
    return getattr(source, "ipv4_mapped", None) or source


def address_key(address: str) -> str:
    """What counts as one address: an IPv6 client has a whole /64 to choose from. Raises ValueError."""
    source = plain_address(address)
    if source.version == 4:
        return str(source)
    return str(ipaddress.ip_network((source, _IPV6_NETWORK_BITS), strict=False))


def peer_key(forwarded_for: str, peer: str) -> str:
    """The key of a request: by the address that the proxy has added last, or by that of the peer."""
    address = forwarded_for.rpartition(",")[2].strip() or peer
    try:
        return address_key(address)
    except ValueError:
        return address


def is_over(counted_ns: int, now_ns: int, window_ns: int) -> bool:
    """Whether a connection lies before the window that ends now."""
    return counted_ns <= now_ns - window_ns


class SlidingWindow:
    """When each key made its latest connections."""

    def __init__(self) -> None:
        self._counted_ns: defaultdict[str, deque[int]] = defaultdict(deque)

    def admits(
        self, key: str, now_ns: int, *, connections: int, window_ns: int, charge_refusals: bool
    ) -> bool:
        """Whether one more connection fits into the window that ends now; if it does, it is counted.

        charge_refusals: count it also if it does not.
        """
        counted_ns = self._counted_ns[key]
        while counted_ns and is_over(counted_ns[0], now_ns, window_ns):
            counted_ns.popleft()
        fits = len(counted_ns) < connections
        if fits or charge_refusals:
            counted_ns.append(now_ns)
        if len(counted_ns) > connections:
            # The latest ones decide for longest.
            counted_ns.popleft()
        return fits
