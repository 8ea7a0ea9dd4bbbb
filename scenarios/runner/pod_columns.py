"""What all pods did in the same second, column by column: a model with hundreds of pods has it that way."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.int64]


class PodColumns(Struct, frozen=True, kw_only=True):
    """The lines of pods that each cover one second, as arrays of shape (pods,); see `PodSecond`."""

    pods: _Ints
    """Their numbers, in order."""
    clients: _Ints
    cpu: _Floats
    """CPU-seconds per second."""
    loop: _Floats
    """Share of the second in which the event loop was not waiting for work."""
    lag_ms: _Floats
    tick_late_ms: _Floats
    handshakes: _Ints
    joined: _Ints
    gone_early: _Ints
    short_sessions: _Ints
    shed: _Ints
    ticks_sent: _Ints

    def row(self) -> dict[str, Any]:
        """The pods' columns of series.csv; empty without pods."""
        if not len(self.pods):
            return {}
        return {
            "pod_cpu": float(self.cpu.mean()),
            "pod_cpu_total": float(self.cpu.sum()),
            "pod_loop": float(self.loop.mean()),
            "pod_loop_max": float(self.loop.max()),
            "pod_lag_ms": float(self.lag_ms.max()),
            "tick_late_ms": float(self.tick_late_ms.max()),
            "handshakes": int(self.handshakes.sum()),
            "gone_early": int(self.gone_early.sum()),
            "short_sessions": int(self.short_sessions.sum()),
            "pod_shed": int(self.shed.sum()),
            "ticks_sent": int(self.ticks_sent.sum()),
        }

    def rows(self) -> list[Mapping[str, Any]]:
        """Rows of pods.csv without their time."""
        columns = {
            "pod": self.pods,
            "clients": self.clients,
            "cpu": self.cpu.round(4),
            "loop": self.loop.round(4),
            "throttled": np.zeros(len(self.pods)),
            "lag_ms": self.lag_ms.round(4),
            "tick_late_ms": self.tick_late_ms.round(4),
            "handshakes": self.handshakes,
            "joined": self.joined,
            "gone_early": self.gone_early,
            "short_sessions": self.short_sessions,
            "shed": self.shed,
            "ticks_sent": self.ticks_sent,
        }
        values = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [dict(zip(columns, line, strict=True)) for line in values]
