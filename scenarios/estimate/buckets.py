"""A limit at the proxy, on expected numbers of clients.

The rule is that of `scenarios/limits/leaky_bucket.py`: a level that a rate empties, which each connection
that passes raises by one, and above which none passes. All IPs with as many clients behind them are alike.
"""

import numpy as np
import numpy.typing as npt

from scenarios.estimate.pod import Bucket, Pod

Floats = npt.NDArray[np.float64]

_NOBODY = 1e-9


class Buckets:
    """Of one rate: a bucket for each kind of shared IP, or one for everybody.

    Lanes are those of the chain, kind by kind.
    """

    def __init__(self, bucket: Bucket, pod: Pod, step_s: float) -> None:
        self._room = bucket.room
        self._leak = bucket.rate_per_s * step_s
        self._level = np.zeros(len(pod.shared_ips) if bucket.per_address else 1)
        each = [kind.clients / (kind.share * pod.clients) for kind in pod.shared_ips]
        self._scale = np.array(each if bucket.per_address else [float(pod.pods)])
        """Clients of one bucket for each client of its kind at the pod."""

    def leak(self) -> None:
        """A step of time passes."""
        np.maximum(0.0, self._level - self._leak, out=self._level)

    def passes(self, clients: Floats) -> Floats:
        """Which share of these passes, by lane."""
        asked = self._asked(clients)
        shares = np.minimum(1.0, (self._room - self._level) / np.maximum(asked, _NOBODY))
        shares = np.maximum(0.0, shares)
        return np.repeat(shares, len(clients) // len(shares))

    def charge(self, clients: Floats) -> None:
        """These pass."""
        self._level += self._asked(clients)

    def _asked(self, clients: Floats) -> Floats:
        """Connections that each bucket is asked for."""
        asked: Floats = clients.reshape(len(self._level), -1).sum(axis=1) * self._scale
        return asked
