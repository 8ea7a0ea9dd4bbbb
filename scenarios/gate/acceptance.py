"""What a user has accepted before a gate begins: the file, the label, and today's date."""

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from reports.gate.accepted import Accepted, AcceptedError, everything, in_force, read_acceptances
from reports.gate.history import GateFileError


def accepted_changes(file: Path | None, reason: str, baseline: str, *, today: date | None = None) -> Accepted:
    """What is accepted in a gate; warns of entries that do not count.

    file: the entries; None for none. reason: why every measure may be worse; empty where it may not.
    baseline: the commit of the baseline, where it has one. Raises GateFileError.
    """
    accepted = Accepted()
    if file is not None:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise GateFileError(f"--accepted: {file}: cannot be read: {error}") from None
        try:
            entries = read_acceptances(text, str(file))
        except AcceptedError as error:
            raise GateFileError(str(error)) from None
        day = today or datetime.now(UTC).date()
        accepted = in_force(entries, source=file.name, today=day, baseline=baseline)
        for line in accepted.ignored:
            logging.getLogger(__name__).warning("reconnect-storm: warning: %s", line)
    return everything(accepted, " ".join(reason.split())) if reason.strip() else accepted


def job_address(environment: Mapping[str, str]) -> str:
    """Where the log of the CI job is that this process belongs to; empty outside GitHub and GitLab."""
    if environment.get("GITHUB_ACTIONS") == "true":
        server, repository, run = (
            environment.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID")
        )
        return f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
    return environment.get("CI_JOB_URL", "")
