"""What a pod's refusal looks like to the clients, and what it costs the pod."""

from gateway_stub.protocol import TRY_AGAIN_CODE, TRY_AGAIN_REASON, Admission
from scenarios.clients import endings
from scenarios.clients.protocol.packets import Said
from scenarios.simulator.costs import Costs

TOO_MANY, BUSY = 429, 503
"""The status where a window is full, and where a pod is late or has no slot."""

TRY_AGAIN = endings.dropped(Said(close_code=TRY_AGAIN_CODE, reason=TRY_AGAIN_REASON))


def refusal_cpu_s(rules: Admission, costs: Costs) -> float:
    """CPU of one refusal."""
    return costs.close_1013_cpu_s if rules.close_1013 else costs.shed_cpu_s
