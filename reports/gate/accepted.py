"""Regressions that somebody has accepted: in which measure, why, and until when.

An accepted regression does not fail a gate, and every output shows it. Only the measures of a comparison can
be accepted: an SLO is changed in its scenario, and runs that fail are no result.
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, cast

import msgspec
from msgspec import Struct

from reports.gate.finding import Finding
from reports.gate.measures import ALLOWED_KEYS, FAILED, VERDICT

ALL = "*"
"""Stands for every measure in a table of reasons."""

_KEYS = {
    "measure": f"one of {', '.join((VERDICT, *ALLOWED_KEYS))}",
    "reason": "a sentence",
    "until": "a date such as 2026-12-31, without quotation marks",
    "baseline": "the commit of the baseline, 7 to 40 hexadecimal digits",
}
_OPTIONAL = {"baseline"}
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


class AcceptedError(Exception):
    """A file of accepted regressions that cannot be used; the message names the file and the key."""


class Acceptance(Struct, frozen=True, kw_only=True):
    """One entry: a measure that may be worse."""

    measure: str
    reason: str
    until: date
    """The last day."""
    baseline: str = ""
    """Only against this commit; empty: against any."""


class Accepted(Struct, frozen=True, kw_only=True):
    """What is accepted in one gate."""

    reasons: Mapping[str, str] = {}
    """By measure, or `ALL`; each with its last day and where it is written."""
    ignored: tuple[str, ...] = ()
    """Entries that do not count, each with the reason."""


def read_acceptances(text: str, source: str) -> tuple[Acceptance, ...]:
    """The entries of a file in their order. Raises AcceptedError; `source` is the file's name."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise AcceptedError(f"{source}: not valid TOML: {error}") from None
    for key in table:
        if key != "accept":
            raise AcceptedError(f"{source}: {key}: unknown key: expected [[accept]]")
    entries = table.get("accept", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise AcceptedError(f"{source}: accept: expected tables: [[accept]]")
    return tuple(_acceptance(entry, f"{source}: accept[{place}]") for place, entry in enumerate(entries))


def in_force(entries: Sequence[Acceptance], *, source: str, today: date, baseline: str = "") -> Accepted:
    """Which entries count today, against a baseline of this commit; an empty text: not known."""
    reasons: dict[str, str] = {}
    ignored = []
    for entry in entries:
        what = f"{source}: {entry.measure}"
        if entry.until < today:
            ignored.append(f"{what}: expired on {entry.until}, and is ignored ({entry.reason})")
        elif entry.baseline and not baseline.startswith(entry.baseline):
            found = baseline[: len(entry.baseline)] or "no commit that is known"
            ignored.append(
                f"{what}: accepted against {entry.baseline}, and is ignored: the baseline is {found} "
                f"({entry.reason})"
            )
        else:
            reasons.setdefault(entry.measure, f"{entry.reason} (until {entry.until}, {source})")
    return Accepted(reasons=reasons, ignored=tuple(ignored))


def everything(accepted: Accepted, reason: str) -> Accepted:
    """The same, with all other measures accepted for this gate alone."""
    return msgspec.structs.replace(accepted, reasons={**accepted.reasons, ALL: reason})


def marked(findings: Sequence[Finding], reasons: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings; what is accepted and may be worse carries the reason."""

    def reason(finding: Finding) -> str:
        if finding.answer not in {"worse", "inconclusive"} or finding.key == FAILED:
            return ""
        return reasons.get(finding.key) or reasons.get(ALL, "")

    return tuple(
        msgspec.structs.replace(finding, accepted=reason(finding)) if reasons else finding
        for finding in findings
    )


def unused(findings: Sequence[Finding], reasons: Mapping[str, str]) -> list[str]:
    """A sentence for each reason that accepts nothing."""
    used = {finding.accepted for finding in findings if finding.accepted}
    return [
        f"Accepted, but {_why_unused(key, {one.key for one in findings})}: {reason}"
        for key, reason in reasons.items()
        if reason not in used
    ]


def _why_unused(key: str, compared: Collection[str]) -> str:
    if not compared:
        return "nothing was compared"
    if key == ALL:
        return "no measure is worse"
    return f"{key} is not worse" if key in compared else f"{key} is not among the measures of this gate"


def _acceptance(entry: Mapping[str, Any], where: str) -> Acceptance:
    for key in entry:
        if key not in _KEYS:
            raise AcceptedError(f"{where}.{key}: unknown key: expected {', '.join(_KEYS)}")
    for key, expected in _KEYS.items():
        if key not in entry:
            if key not in _OPTIONAL:
                raise AcceptedError(f"{where}.{key}: missing: expected {expected}")
        elif not _is_good(key, entry[key]):
            shown = entry[key] if isinstance(entry[key], str | int | float) else str(entry[key])
            raise AcceptedError(f"{where}.{key}: invalid value {shown!r}: expected {expected}")
    reason = " ".join(cast(str, entry["reason"]).split())
    return Acceptance(**{**entry, "reason": reason})


def _is_good(key: str, value: object) -> bool:
    if key == "until":
        return isinstance(value, date) and not isinstance(value, datetime)
    if not isinstance(value, str):
        return False
    if key == "measure":
        return value in {VERDICT, *ALLOWED_KEYS}
    return bool(value.strip()) if key == "reason" else bool(_COMMIT.fullmatch(value))
