"""The command `reconnect-storm`; also `python -m reconnect_storm`."""

import gc
import os

from reconnect_storm import use_own_code

COMPLETE = "_RECONNECT_STORM_COMPLETE"
"""Environment variable by which a shell asks for completions; click's name for it."""


def main() -> None:
    """Runs the command line."""
    use_own_code()
    try:
        if COMPLETE in os.environ:
            # A shell waits for the answer at every key press, so no command is loaded.
            from scenarios.reference.completion import complete  # noqa: PLC0415

            complete(os.environ[COMPLETE])
        from scenarios.cli.main import main as command_line  # noqa: PLC0415 - not to be found before

        command_line(prog_name="reconnect-storm")
    finally:
        # The interpreter's last collection may crash in msgspec's types (0.22); it has nothing to free.
        gc.freeze()


if __name__ == "__main__":
    main()
