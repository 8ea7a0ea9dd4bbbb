"""Carries out the steps of `action.yml` as a runner of GitHub does, but for the actions that they use.

The scripts run in bash with the variables that GitHub would set, and with programs of the test's own on the
PATH.
"""

import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct, field

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action.yml"
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_NAME = re.compile(r"'[^']*'|[A-Za-z_][\w.*-]*(?:\(\))?")
_OPERATORS = {"&&": " and ", "||": " or "}


class Job(Struct, kw_only=True):
    """A job whose only step is the action."""

    folder: Path
    """The workspace."""
    home: Path
    """Where the runner keeps its own files."""
    path: Path
    """Folder of programs that come first on the PATH."""
    given: Mapping[str, str]
    """The inputs of the step."""
    github: Mapping[str, Any]
    """Values of the context `github`, by their dotted names."""
    environment: Mapping[str, str] = {}
    outputs: dict[str, str] = field(default_factory=dict)
    """Outputs of the steps, as `steps.ID.outputs.NAME`."""
    printed: str = ""
    status: int = 0

    def carry_out(self) -> "Job":
        """Every step in its order; those after a failed one only if they are `always()`."""
        action = yaml.safe_load(ACTION.read_text(encoding="utf-8"))
        inputs = {**{name: spec["default"] for name, spec in action["inputs"].items()}, **self.given}
        values = {**{f"inputs.{name}": value for name, value in inputs.items()}, **self.github}
        for step in action["runs"]["steps"]:
            condition = str(step.get("if", "true"))
            if self.status and "always()" not in condition:
                continue
            if evaluated(condition, {**values, **self.outputs}) and "run" in step:
                self._run(step, {**values, **self.outputs})
            elif "uses" in step and evaluated(condition, {**values, **self.outputs}):
                self.outputs[f"steps.{step['id']}.outputs.artifact-url"] = "https://github.com/artifact"
        return self

    def _run(self, step: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        def filled_in(text: str) -> str:
            return EXPRESSION.sub(lambda found: text_of(evaluated(found[1], values)), str(text))

        files = {name: self.home / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        files["GITHUB_OUTPUT"].write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.folder / filled_in(step.get("working-directory", ".")),
            env={
                "PATH": f"{self.path}:{os.environ['PATH']}",
                "HOME": str(self.home),
                "RUNNER_TEMP": str(self.home),
                "GITHUB_ACTIONS": "true",
                **{name: str(path) for name, path in files.items()},
                **self.environment,
                **{name: filled_in(value) for name, value in step.get("env", {}).items()},
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.printed += done.stdout + done.stderr
        self.status = self.status or done.returncode
        for line in files["GITHUB_OUTPUT"].read_text().splitlines():
            name, _, value = line.partition("=")
            self.outputs[f"steps.{step.get('id')}.outputs.{name}"] = value


def evaluated(expression: str, values: Mapping[str, Any]) -> Any:
    """An expression of a workflow, as far as the action uses them. A name without a value is empty."""
    for operator, python in _OPERATORS.items():
        expression = expression.replace(operator, python)
    functions: dict[str, Callable[..., Any]] = {
        "contains": lambda found, item: item in (found or ()),
        "value": lambda name: values.get(name, ""),
    }

    def name(match: "re.Match[str]") -> str:
        word = match[0]
        if word[0] == "'" or word in {"and", "or", "contains"}:
            return word
        if word in {"always()", "true"}:
            return "True"
        return f"value({word!r})"

    return eval(_NAME.sub(name, expression), {"__builtins__": {}}, functions)


def text_of(value: Any) -> str:
    """A value as GitHub puts it into a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def program(path: Path, text: str) -> Path:
    """Writes a program into a folder of the PATH."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path
