"""What a command printed when a test typed it."""

from click.testing import Result


def words(result: Result) -> str:
    """What was printed, however wide the terminal is."""
    return " ".join(result.output.split())


def assert_refused(result: Result, *said: str) -> None:
    """Exit status 2 and one line, with all of `said` in it and no traceback."""
    assert result.exit_code == 2, result.output
    assert len(result.output.strip().splitlines()) == 1, result.output
    assert "Traceback" not in result.output
    for part in said:
        assert part in result.output
