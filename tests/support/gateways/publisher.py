"""A publisher: sends ticks to the pods at PORTS (with commas), RATE per second, and counts them in FILE.

A pod has TIMEOUT seconds to take one, half a second if that is left out.
"""

import http.client
import itertools
import json
import math
import time
from pathlib import Path

TIMEOUT_S = 0.5
"""By itself: a pod that is paused or gone must not delay the others for long."""


class Pod:
    """A connection that stays open: on a busy host a new one takes longer than a tick lasts."""

    def __init__(self, port: str, timeout_s: float) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=timeout_s)

    def publish(self, tick: str) -> None:
        try:
            self._connection.request("POST", "/ticks", tick, {"Content-Type": "application/json"})
            self._connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            # The next tick opens it again.
            self._connection.close()


def main(arguments: list[str]) -> None:
    ports, rate_hz, file = arguments[0].split(","), float(arguments[1]), Path(arguments[2])
    timeout_s = float(arguments[3]) if len(arguments) > 3 else TIMEOUT_S
    pods = [Pod(port, timeout_s) for port in ports]
    # The count goes on where the publisher is started again, at this rate or another.
    counted = int(file.read_text(encoding="ascii")) if file.exists() else 0
    print(f"publishes {rate_hz:g} ticks per second to ports {', '.join(ports)}", flush=True)
    draft = file.with_suffix(".part")
    begin = math.ceil(time.time() * rate_hz)
    for seq, due in zip(itertools.count(counted + 1), itertools.count(begin)):
        time.sleep(max(0.0, due / rate_hz - time.time()))
        # At once and whole: it may be killed at any moment.
        draft.write_text(str(seq), encoding="ascii")
        draft.replace(file)
        for pod in pods:
            pod.publish(json.dumps({"seq": seq, "ts": round(due / rate_hz * 1000)}))
