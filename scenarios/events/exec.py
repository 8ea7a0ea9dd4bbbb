"""A command of the user's own is run."""

from collections.abc import Iterator, Sequence
from typing import Literal

from scenarios.events.event import Details, Event, Kind
from scenarios.events.stack import Stack
from scenarios.fields import PositiveSeconds, Words


class _KindOfCommand:
    """What the event says that its command counts as; a fault by itself."""

    def __get__(self, event: "Exec | None", _owner: type) -> Kind:
        return "fault" if event is None else event.counts_as


class Exec(Event, frozen=True, kw_only=True, tag="exec"):
    """A command of your own runs on the machine that plays the scenario: a deploy, a restart, a scale-out.

    It has to begin like an entry of `commands.allow`, and runs only with `--allow-exec`. No shell reads it.
    Its working folder is that of the scenario file, its environment that of this program; what it prints is
    in `commands/` of the run directory. The event lasts as long as the command does. `kubectl rollout
    restart` returns before the new pods are there: to time the recovery from the end of the rollout, run a
    script that waits for it with `kubectl rollout status`.

    The run fails if the command ends with a status other than 0, or takes longer than `timeout_s`. At that
    limit, with Ctrl-C and at the end of the run, it gets SIGTERM, and two seconds later it and everything
    that it has started are killed.
    """

    kind = _KindOfCommand()
    any_target = True

    command: Words
    """The program and its arguments, each a word of the list."""
    timeout_s: PositiveSeconds = 60.0
    """How long it may take."""
    counts_as: Literal["fault", "mitigation", "condition"] = "fault"
    """Whether recovery is timed from it (`fault`), or it is there to help (`mitigation`), or neither."""

    async def strike(self, stack: Stack) -> Details:
        """Runs the command to its end."""
        return await stack.run_command(self.command, self.timeout_s)


def commands_of(events: Sequence[Event]) -> Iterator[tuple[int, Exec]]:
    """(its place in the timeline, the event) of every `exec` that is not switched off."""
    for place, event in enumerate(events):
        if isinstance(event, Exec) and event.enabled:
            yield place, event
