"""A workspace for the action: a pull request in a file, and programs that stand for gate, `gh` and Python."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.action_steps import Job, program

PULL = {
    "github.repository": "me/mine",
    "github.server_url": "https://github.com",
    "github.run_id": "5",
    "github.action_path": "/action",
    "github.event.pull_request.number": 7,
    "github.event.pull_request.labels.*.name": [],
}
MARKER = "<!-- reconnect-storm: storm-gate -->"
COMMENT = "### storm: REGRESSION\n"

GATE = """#!/bin/sh
# Writes down how it was called, and ends as the test wants it.
printf '%s\\n' "$@" >>"$CALLS"
previous=
for word in "$@"; do
    case "$previous" in
        --comment) [ "$FAKE_OUTCOME" = error ] || printf '### storm: REGRESSION\\n' >"$word" ;;
        --out) [ "$1" = report ] && touch "$word/report.html" ;;
        --runs) [ "$FAKE_OUTCOME" = error ] || mkdir -p "$word/gate/1"; runs="$word/gate/1" ;;
    esac
    previous=$word
done
[ "$1" = report ] && exit 3
[ "$FAKE_OUTCOME" = error ] || printf 'outcome=%s\\nruns=%s\\n' "$FAKE_OUTCOME" "$runs" >>"$GITHUB_OUTPUT"
exit "$FAKE_STATUS"
"""

GH = f"""#!{sys.executable}
# The issue of a pull request in a file; a token that may not write is refused.
import json, os, sys
path = os.environ["ISSUE"]
issue = json.load(open(path))
arguments = sys.argv[2:]
place = next(word for word in arguments if word.startswith("repos/me/mine/issues/"))
body = next((open(word[6:]).read() for word in arguments if word.startswith("body=@")), None)
if body is not None:
    if issue["read_only"]:
        sys.exit("HTTP 403: Resource not accessible by integration")
    if "PATCH" in arguments:
        (comment,) = [one for one in issue["comments"] if str(one["id"]) == place.rpartition("/")[2]]
        comment["body"] = body
    else:
        made = dict(id=100 + len(issue["comments"]), user=dict(type="Bot"), body=body)
        issue["comments"].append(made)
    json.dump(issue, open(path, "w"))
    sys.exit()
if issue["unreachable"]:
    sys.exit("HTTP 502")
wanted = arguments[arguments.index("--jq") + 1]
if "/labels" in place:
    assert wanted == ".[].name"
    print(*issue["labels"], sep="\\n")
elif "/events" in place:
    assert wanted == '.[] | select(.event == "labeled" and .label.name == env.LABEL) | .actor.login'
    print(*issue["who"], sep="\\n")
else:
    assert wanted == '.[] | select(.user.type == "Bot" and (.body | startswith(env.MARKER))) | .id'
    for one in issue["comments"]:
        if one["user"]["type"] == "Bot" and one["body"].startswith(os.environ["MARKER"]):
            print(one["id"])
"""

PYTHON = """#!/bin/sh
# Makes an environment whose pip and whose reconnect-storm are the test's own.
printf 'python %s\\n' "$*" >>"$CALLS"
if [ "$2" = venv ]; then
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    cp "$FAKES/reconnect-storm" "$3/bin/reconnect-storm"
fi
"""


class Workspace:
    """A checkout on a runner, with a pull request."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "workspace"
        self.home = folder / "runner temp"
        self.fakes = folder / "fakes"
        self.issue = folder / "issue.json"
        self.calls = folder / "calls"
        self.folder.mkdir()
        self.home.mkdir()
        self.calls.write_text("")
        for name, text in (("reconnect-storm", GATE), ("gh", GH), ("python3", PYTHON)):
            program(self.fakes / name, text)
        self.set()

    def set(self, **values: Any) -> None:
        """What `gh` finds at GitHub."""
        usual = {"labels": [], "who": [], "comments": [], "read_only": False, "unreachable": False}
        self.issue.write_text(json.dumps({**usual, **values}))

    @property
    def comments(self) -> list[str]:
        return [one["body"] for one in json.loads(self.issue.read_text())["comments"]]

    @property
    def gate(self) -> list[str]:
        """The arguments of the gate, as it was called last."""
        words = f"\n{self.calls.read_text()}".split("\ngate\n")[-1].splitlines()
        return words[: words.index("report")] if "report" in words else words

    def job(
        self, outcome: str = "pass", status: int = 0, *, github: dict[str, Any] | None = None, **given: Any
    ) -> Job:
        inputs = {name.replace("_", "-"): value for name, value in given.items()}
        return Job(
            folder=self.folder,
            home=self.home,
            path=self.fakes,
            given={"baseline": "git:main", **inputs},
            github=PULL if github is None else github,
            environment={
                "CALLS": str(self.calls),
                "FAKES": str(self.fakes),
                "ISSUE": str(self.issue),
                "FAKE_OUTCOME": outcome,
                "FAKE_STATUS": str(status),
            },
        ).carry_out()
