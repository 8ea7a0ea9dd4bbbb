"""Names and ports of other hosts: read from text, and resolved; a name may stand for many containers."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from scenarios.fields import invalid
from scenarios.scenario.redact_text import shown_url

Address = tuple[str, int]
"""A name or an IP address, and a port."""


def parse(text: str) -> Address:
    """`host:port`. Raises ValueError with the invalid value and what is expected."""
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.netloc != text.strip() or "@" in text:
        raise ValueError(invalid("", shown_url(text), "host:port, such as gateway:8100"))
    return host, port


def is_loopback(host: str) -> bool:
    """Whether this is `localhost` or an IP address of it; any other name may stand for whatever it likes."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_all(text: str) -> tuple[Address, ...]:
    """Several, with commas in between; at least one. Raises ValueError."""
    return tuple(parse(part) for part in text.split(","))


async def addresses(named: Iterable[Address]) -> list[Address]:
    """Every IPv4 address that the names stand for now, once each and in order; a name may stand for none."""
    found: set[Address] = set()
    for host, port in named:
        try:
            answers = await asyncio.get_running_loop().getaddrinfo(
                host, port, family=socket.AF_INET, type=socket.SOCK_STREAM
            )
        except socket.gaierror:
            continue  # no container of that service is there, or not yet
        found |= {(str(answer[4][0]), port) for answer in answers}
    return sorted(found, key=lambda address: (ipaddress.ip_address(address[0]), address[1]))
