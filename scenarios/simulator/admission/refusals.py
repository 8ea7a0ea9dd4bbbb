"""What a pod's refusal looks like to the clients, and what it costs the pod."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateway_stub.protocol import TRY_AGAIN_CODE, TRY_AGAIN_REASON, Admission
from scenarios.clients import endings
from scenarios.clients.endings import Ending
from scenarios.clients.protocol.packets import Said
from scenarios.simulator.clients import ClientTable
from scenarios.simulator.costs import Costs

TRY_AGAIN = endings.dropped(Said(close_code=TRY_AGAIN_CODE, reason=TRY_AGAIN_REASON))


def pod_refused(
    table: ClientTable, clients: Any, rules: Admission, status: int, retry_after_s: float
) -> Iterator[tuple[Any, Ending]]:
    """(places among these clients, how their attempts end) where a pod refuses."""
    if not rules.close_1013:
        yield from table.answered(clients, status, retry_after_s)
        return
    sockets, polling = np.flatnonzero(~table.polls[clients]), np.flatnonzero(table.polls[clients])
    if len(sockets):
        yield sockets, TRY_AGAIN
    for places, ending in table.answered(clients[polling], status, retry_after_s):
        yield polling[places], ending


def refusal_cpu_s(rules: Admission, costs: Costs) -> float:
    """CPU of one refusal."""
    return costs.close_1013_cpu_s if rules.close_1013 else costs.shed_cpu_s
