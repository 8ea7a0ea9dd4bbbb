"""Metrics in Prometheus' text format."""

from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METRICS_PATH = "/metrics"

Labels = Mapping[str, str]


def metric(name: str, kind: str, text: str, values: Iterable[tuple[Labels, float]]) -> list[str]:
    """The lines of one metric: its help, its type, and a line for each value.

    kind: `counter` or `gauge`. values: label values need no escaping.
    """
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in values:
        inside = ",".join(f'{label}="{content}"' for label, content in labels.items())
        lines.append(f"{name}{{{inside}}} {value:.10g}" if inside else f"{name} {value:.10g}")
    return lines
