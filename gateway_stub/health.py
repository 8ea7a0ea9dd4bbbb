"""Two questions that are not the same: is the pod alive, and should it get more traffic?

Liveness answers as long as the loop turns at all. Readiness says no while the pod is starting or leaving,
and while it is too busy to serve newcomers. An orchestrator that takes "busy" for "dead" restarts pods
that only have work to do.

Beside them a pod tells the time, for clients on machines that do not share its clock.
"""

import time
from collections.abc import Callable

from aiohttp import web

from gateway_stub.protocol import CLOCK_PATH, LIVENESS_PATH, READINESS_PATH


class Health:
    """The two probes of one pod.

    lag_ms: returns the worst lag of the event loop in the last second. busy_lag_ms: above this lag the pod
    is not ready. epoch_ns: monotonic time from which all pods count.
    """

    def __init__(self, lag_ms: Callable[[], float], busy_lag_ms: float, epoch_ns: int) -> None:
        self.serving = False
        """False while the pod is starting or leaving."""
        self._lag_ms = lag_ms
        self._busy_lag_ms = busy_lag_ms
        self._epoch_ns = epoch_ns

    def routes(self) -> list[web.RouteDef]:
        """Routes for an aiohttp application."""
        return [
            web.get(LIVENESS_PATH, self._liveness),
            web.get(READINESS_PATH, self._readiness),
            web.get(CLOCK_PATH, self._clock),
        ]

    async def _liveness(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        if not self.serving:
            return web.Response(status=503, text="not ready: starting or leaving\n")
        lag_ms = self._lag_ms()
        if lag_ms > self._busy_lag_ms:
            return web.Response(status=503, text=f"not ready: the event loop lagged by {lag_ms:.0f} ms\n")
        return web.Response(text="ready\n")

    async def _clock(self, _request: web.Request) -> web.Response:
        return web.Response(text=f"{time.monotonic_ns() - self._epoch_ns}\n")
