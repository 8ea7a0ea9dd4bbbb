"""The live view of runs, with a terminal and without."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from scenarios.cli.progress import LiveView, sparkline
from scenarios.runner.progress import Progress


def shown(*shares: float | None, terminal: bool) -> str:
    out = StringIO()
    console = Console(file=out, force_terminal=terminal, width=200)
    with LiveView(console, 2) as view:
        view.begin("naive + none")
        for left, share in enumerate(reversed(shares)):
            view.show(Progress(phase="during", seconds_left=left, clients=300, served=share))
    return out.getvalue()


def test_without_a_terminal_there_is_a_line_every_five_seconds_and_no_sparkline() -> None:
    lines = shown(*[0.5] * 12, terminal=False).splitlines()
    assert lines[0] == "[1/2] naive + none"
    assert [line.split("left")[0].split() for line in lines[1:]] == [
        ["during", "0", "s"],
        ["during", "5", "s"],
        ["during", "10", "s"],
    ]
    assert all("served 50 %" in line for line in lines[1:])


def test_a_terminal_shows_clients_served_over_time() -> None:
    assert "clients served, second by second: █▁▄" in shown(0.5, 0.0, 1.0, terminal=True)


def test_a_sparkline_waits_for_the_first_tick_and_starts_again_with_the_next_run() -> None:
    assert "second by second" not in shown(None, terminal=True)
    out = StringIO()
    with LiveView(Console(file=out, force_terminal=True, width=200), 2) as view:
        view.begin("a")
        view.show(Progress(phase="during", seconds_left=1, clients=1, served=1.0))
        view.repeat("noisy host")
        view.show(Progress(phase="during", seconds_left=1, clients=1, served=0.0))
    assert "second: ▁" in out.getvalue()
    assert "█▁" not in out.getvalue()


@pytest.mark.parametrize(
    ("shares", "width", "line"),
    [
        ([], 60, ""),
        ([0.0, 1.0], 60, "▁█"),
        ([0.999, 0.5, 0.01], 60, "▇▄▁"),
        ([1.0, 1.0, 0.0, 1.0], 2, "█▁"),
        ([1.0, 1.0, 0.0], 2, "█▁"),
    ],
)
def test_a_sparkline_is_full_only_where_all_are_served_and_hides_no_outage(
    shares: list[float], width: int, line: str
) -> None:
    assert sparkline(shares, width) == line


@given(shares=st.lists(st.floats(0, 1), max_size=300), width=st.integers(1, 80))
def test_a_sparkline_is_never_wider_than_it_may_be(shares: list[float], width: int) -> None:
    line = sparkline(shares, width)
    assert len(line) <= width
    assert bool(line) == bool(shares)
