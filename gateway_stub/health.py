"""Two questions that are not the same: is the pod alive, and should it get more traffic?

Liveness answers as long as the loop turns at all. Readiness says no while the pod is starting or leaving.
An orchestrator that takes "busy" for "dead" restarts pods that only have work to do.
"""

from aiohttp import web

from gateway_stub.protocol import LIVENESS_PATH, READINESS_PATH


class Health:
    """The two probes of one pod."""

    def __init__(self) -> None:
        self.ready = False

    def routes(self) -> list[web.RouteDef]:
        """Routes for an aiohttp application."""
        return [web.get(LIVENESS_PATH, self._liveness), web.get(READINESS_PATH, self._readiness)]

    async def _liveness(self, _request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def _readiness(self, _request: web.Request) -> web.Response:
        if self.ready:
            return web.Response(text="ready\n")
        return web.Response(status=503, text="not ready\n")
