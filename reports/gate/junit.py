"""A decision as JUnit XML: a test case for the runs, for each measure and for each SLO.

What is worse or violated is a failure; what is inconclusive, and runs that cannot be trusted, are errors: the
format has no word for them, and they must not pass. What is worse and was accepted is a skipped case: it is
shown, and fails nothing.
"""

import re
import xml.etree.ElementTree as ET

from reports.gate.decision import Decision
from reports.gate.text import lines, title

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(decision: Decision, scenario: str) -> str:
    """The whole document."""
    cases = [_case(scenario, "valid runs")]
    if decision.outcome in {"invalid", "failed"}:
        _add(cases[0], "error", decision.outcome, decision.reason)
    elif decision.doubts:
        _add(cases[0], "error", "inconclusive", "; ".join(decision.doubts))
    for finding in decision.findings:
        case = _case(scenario, finding.name)
        cases.append(case)
        if finding.accepted:
            _add(case, "skipped", "accepted", f"accepted: {finding.why}: {finding.accepted}")
        elif finding.answer == "worse":
            _add(case, "failure", "regression", finding.why)
        elif finding.answer == "inconclusive":
            _add(case, "error", "inconclusive", finding.why)
    for slo in decision.slos:
        case = _case(scenario, slo.rule)
        cases.append(case)
        if slo.answer == "violated":
            _add(case, "failure", "SLO violated", slo.why)
        elif slo.answer == "inconclusive":
            _add(case, "error", "inconclusive", slo.why)
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }
    suites = ET.Element("testsuites", {"name": "reconnect-storm gate", **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": _text(scenario), **counts})
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = _text("\n".join((title(decision), *lines(decision))))
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _case(scenario: str, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": _text(f"gate.{scenario}"), "name": _text(name)})


def _add(case: ET.Element, tag: str, kind: str, message: str) -> None:
    ET.SubElement(case, tag, {"type": kind, "message": _text(message)}).text = _text(message)


def _text(value: str) -> str:
    """Without the characters that XML has no way to write."""
    return _NOT_IN_XML.sub("\ufffd", value)
