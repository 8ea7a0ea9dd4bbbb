"""A proxy's own defaults, in the place of those of a clean bench."""

from collections.abc import Iterator
from typing import Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from scenarios.fields import invalid
from scenarios.scenario.edge.envoy import ENVOY_REQUESTS, EnvoySettings
from scenarios.scenario.edge.settings import changed

Defaults = Literal["bench", "stock"]

_Settings = TypeVar("_Settings", bound=Struct)


def in_force(settings: _Settings, stock: _Settings, defaults: Defaults) -> _Settings:
    """The settings with the proxy's own defaults for keys that say nothing else than the bench's.

    stock: those defaults.
    """
    return replace(stock, **changed(settings)) if defaults == "stock" else settings


def stock_complaints(
    defaults: Defaults, *, proxy: str, target_url: str, served_clients: int, envoy: EnvoySettings
) -> Iterator[str]:
    """What is wrong with a proxy's own defaults.

    served_clients: that have to join before the steady state begins. envoy: its settings in force.
    """
    if defaults == "bench":
        return
    if target_url:
        yield invalid("edge.defaults", defaults, "'bench' with target.url, which has its own proxy")
    own = ENVOY_REQUESTS in {envoy.max_connections, envoy.max_requests}
    if proxy == "envoy" and own and served_clients > ENVOY_REQUESTS:
        yield invalid(
            "fleet.clients",
            served_clients,
            f"at most {ENVOY_REQUESTS} with edge.defaults = 'stock' and edge.proxy = 'envoy': its circuit"
            " breakers let no more WebSockets through, so the others would never join",
        )
