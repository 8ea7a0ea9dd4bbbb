"""deploy/monitoring/alerts.yml, from the alert rules that the report applies as well."""

import json
from pathlib import Path

from reports.alerts.rules import ALERT_RULES, AlertRule

FILE = Path(__file__).parents[1] / "deploy" / "monitoring" / "alerts.yml"
_HEAD = """# Alerts for the onset of a reconnect storm; docs/monitoring.md explains them.
# Written by `make docs` from reports/alerts/rules.py; alerts.test.yml has their tests.
groups:
  - name: reconnect-storm
    rules:
"""


def text() -> str:
    """The file of rules for Prometheus."""
    return _HEAD + "".join(map(_rule, ALERT_RULES.values()))


def _rule(rule: AlertRule) -> str:
    expression = "".join(f"          {line}\n" for line in rule.filled_in(rule.expression).splitlines())
    condition = rule.filled_in(rule.condition)
    return (
        f"      - alert: {rule.name}\n"
        f"        expr: |\n{expression}"
        f"        for: {rule.for_s}s\n"
        "        annotations:\n"
        f"          summary: {json.dumps(rule.meaning)}\n"
        f"          description: {json.dumps(f'For {rule.for_s} s: {condition}.')}\n"
    )
