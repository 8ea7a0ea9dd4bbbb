"""Source addresses in 127/8: one for every so many clients, spread over distinct networks.

Neighbouring addresses would share their first three octets, which is all that `ip_hash` looks at, so the
last octet changes slowest. Binding to 127/8 without further set-up is a feature of Linux.
"""

import sys

_FIRST = 10
_NETWORKS = 200


def source_address(address_index: int) -> str:
    """The address with that index; all are distinct up to 8,000,000 and avoid 127.0.0.x."""
    last, rest = divmod(address_index, _NETWORKS * _NETWORKS)
    second, third = divmod(rest, _NETWORKS)
    if last >= 200:
        raise ValueError(f"address index {address_index}: found more than 8,000,000 addresses")
    return f"127.{_FIRST + second}.{_FIRST + third}.{1 + last}"


def address_of_client(client_index: int, clients_per_ip: int) -> str | None:
    """Where a client connects from; None where the system cannot bind to all of 127/8."""
    if not sys.platform.startswith("linux"):
        return None
    return source_address(client_index // clients_per_ip)
