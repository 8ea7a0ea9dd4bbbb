"""A site: hosts other than this one that have the parts of a run, as the environment names them.

RECONNECT_STORM_GATEWAYS    host agents for pods: HOST:PORT, several with commas; a name may stand for many
RECONNECT_STORM_NGINX       the host agent for nginx
RECONNECT_STORM_GENERATOR   the channel of a standing Locust master; without it, Locust is a child of ours
RECONNECT_STORM_TARGET      where clients reach nginx, if not at its agent's name and the port that it says
RECONNECT_STORM_TOKEN       the secret that all of them share; or RECONNECT_STORM_TOKEN_FILE
"""

import os
from collections.abc import Mapping

from msgspec import Struct

from scenarios.fields import invalid
from scenarios.host.dns import Address, parse, parse_all
from scenarios.host.machine import MachineError
from scenarios.host.token import TokenError, token_from_environment
from scenarios.scenario.redact_text import shown_url

GATEWAYS = "RECONNECT_STORM_GATEWAYS"
NGINX = "RECONNECT_STORM_NGINX"
GENERATOR = "RECONNECT_STORM_GENERATOR"
TARGET = "RECONNECT_STORM_TARGET"


class Site(Struct, frozen=True, kw_only=True):
    """Where the parts are, and the secret that lets us in."""

    gateways: tuple[Address, ...]
    nginx: Address
    generator: Address | None = None
    target_url: str = ""
    """Empty: nginx's own address."""
    token: str


def site_from_environment(environment: Mapping[str, str] = os.environ) -> Site | None:
    """The site that the environment names; None where it names none, and everything is a child of ours.

    Raises MachineError with the variable, its invalid value, and what is expected.
    """
    if not environment.get(GATEWAYS):
        for variable in (NGINX, GENERATOR, TARGET):
            if environment.get(variable):
                raise MachineError(
                    f"environment variable {variable}: expected {GATEWAYS} with it, found none"
                )
        return None
    try:
        token = token_from_environment(create=False)
    except TokenError as error:
        raise MachineError(str(error)) from None
    target_url = environment.get(TARGET, "")
    if shown_url(target_url) != target_url:
        # What else is in it would stand in logs of our own nginx.
        raise MachineError(
            invalid(f"environment variable {TARGET}", shown_url(target_url), "http://host:port")
        )
    generator = environment.get(GENERATOR)
    return Site(
        gateways=_read(environment, GATEWAYS),
        nginx=_read(environment, NGINX)[0],
        generator=_read(environment, GENERATOR)[0] if generator else None,
        target_url=target_url,
        token=token,
    )


def _read(environment: Mapping[str, str], variable: str) -> tuple[Address, ...]:
    text = environment.get(variable, "")
    try:
        return parse_all(text) if variable == GATEWAYS else (parse(text),)
    except ValueError as error:
        raise MachineError(f"environment variable {variable}: {error}") from None
