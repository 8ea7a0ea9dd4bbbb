"""What stood in front of the pods, by name."""

from collections.abc import Iterable

from reports.rundir.reader import Run

DEFAULT = "nginx"


def front_of(runs: Iterable[Run]) -> str:
    """The front of all these runs; `front` where they do not have the same one."""
    names = {run.info.scenario.get("edge", {}).get("proxy", DEFAULT) for run in runs}
    return str(names.pop()) if len(names) == 1 else "front"


def at_front(text: str, front: str) -> str:
    """A text about nginx, said of another front."""
    return text.replace(DEFAULT, front)
