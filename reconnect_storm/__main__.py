"""The command `reconnect-storm`; also `python -m reconnect_storm`."""

from reconnect_storm import use_own_code


def main() -> None:
    """Runs the command line."""
    use_own_code()
    from scenarios.cli.main import main as command_line  # noqa: PLC0415 - not to be found before

    command_line(prog_name="reconnect-storm")


if __name__ == "__main__":
    main()
