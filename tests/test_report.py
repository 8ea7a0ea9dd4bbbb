import io
import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console
from run_histories import history, latencies_of, scenario, seconds, storm

from reports.page import page, scenario_listing
from reports.plots import alt_text, figure, svg
from reports.record import Phase, Run
from reports.render import code_block, escape_markdown, write_report
from reports.stability import stability_lines, stability_rows
from reports.table import terminal_report
from reports.traces import traces

HOSTILE = '<script>alert("a")</script> | `b` $x^$ _c_ \u0007 ![](http://example.com/d)'
CALM = {"s1": [0.9, 0.7], "calm_from_try": 0, "s2": None, "readmission_s": None}


def arm(name: str, recovered_s: int | None, **info: Any) -> Run:
    policy, _, limit = name.partition(" + ")
    back = None if recovered_s is None else 8 + recovered_s
    rows = storm(lambda t: (100.0 if t >= back else 5.0) if back else 98.0 if t >= 48 else 5.0)
    made = {"scenario": scenario(fleet__policy=policy, edge__limit=limit or "none")} | info
    return history(rows, arm=name, rescued_at_s=None if back else 48, **made)


def two_by_two(rounds: int = 1) -> list[Run]:
    return [
        arm(name, recovered_s, round=number, seed=number)
        for number in range(1, rounds + 1)
        for name, recovered_s in (
            ("naive + none", None),
            ("naive + per-ip", None),
            ("incident + none", 12),
            ("incident + per-ip", 9 + number),
        )
    ]


REPORTS: dict[str, Callable[[], list[Run]]] = {
    "four arms": two_by_two,
    "four arms, three rounds": lambda: two_by_two(3),
    "one run": lambda: [arm("naive + none", None)],
    "one arm, two rounds": lambda: [arm("naive + none", 3), arm("naive + none", 5, round=2)],
    "no trigger": lambda: [history(seconds(0, 20), trigger_s=None)],
    "nothing recorded": lambda: [history([], status="interrupted", phases=(), latencies={})],
    "the ramp alone": lambda: [history(seconds(-3, 0), status="failed", phases=(), latencies={})],
    "interrupted in the storm": lambda: [
        history(storm(0.0)[:12], status="interrupted", phases=(Phase("before", 0, 8),))
    ],
    "rows of different lengths": lambda: [
        history(storm(100.0), arm="a"),
        history(storm(100.0, to_s=40), arm="a", round=2),
    ],
    "no stability numbers": lambda: [arm("naive + none", 3, stability={})],
    "hostile names": lambda: [arm(HOSTILE, 3, command=["run", HOSTILE], machine={"cpu_model": HOSTILE})],
    "arms that a legend would hide": lambda: [arm("_a", 3), arm("_b", 4)],
    "nine arms": lambda: [arm(f"policy-{i} + none", i) for i in range(9)],
}


def text_of(runs: list[Run], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal_report(runs, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\u00a0", " ")


class Outline(HTMLParser):
    """Which tags are opened and closed, which headings there are, and what a browser would fetch."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.fetched: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        if tag not in self.VOID:
            self.open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        for name, value in attrs:
            if name in {"src", "href", "xlink:href"} and not str(value).startswith("#"):
                self.fetched.append(str(value))
            if name == "id":
                self.ids.append(str(value))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("build", REPORTS.values(), ids=REPORTS)
def test_every_report_is_well_formed_and_asks_nobody_for_anything(
    build: Callable[[], list[Run]], tmp_path: Path
) -> None:
    markdown, html = write_report(build(), tmp_path / "report")
    found = Outline()
    found.feed(html.read_text(encoding="utf-8"))
    found.close()
    assert found.open == []
    assert found.fetched == []
    assert found.seen["script"] == 0
    assert len(found.ids) == len(set(found.ids))
    assert found.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(found.headings, found.headings[1:], strict=False))
    tables = re.findall(r"(?:^\|.*\|\n)+", markdown.read_text(encoding="utf-8"), re.MULTILINE)
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table
    ElementTree.parse(tmp_path / "report" / "figure.svg")


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("build", REPORTS.values(), ids=REPORTS)
def test_every_report_fits_the_terminal(build: Callable[[], list[Run]], width: int) -> None:
    assert max(len(line) for line in text_of(build(), width).splitlines()) <= width


def test_a_narrow_terminal_has_measures_as_rows_and_a_wide_one_arms() -> None:
    narrow, wide = text_of(two_by_two(), 100), text_of(two_by_two(), 200)
    assert re.search(r"^time to recover +≥ 40 s +≥ 40 s +12 s +10 s$", narrow, re.MULTILINE)
    assert re.search(r"^incident \+ none .* 12 s +RECOVERED$", wide, re.MULTILINE)
    assert "…" not in narrow + wide


def test_arms_that_do_not_fit_side_by_side_get_tables_of_their_own() -> None:
    text = text_of(REPORTS["nine arms"](), 100)
    assert len(re.findall("^time to recover", text, re.MULTILINE)) == 3
    assert "…" not in text


def test_the_terminal_says_first_what_came_out_and_last_what_is_wrong() -> None:
    runs = two_by_two()
    runs[1].rows[3]["useful"] = 50.0
    lines = [line for line in text_of(runs, 200).splitlines() if line.strip()]
    assert lines[0].startswith("“incident + per-ip” did best: recovered after 10 s.")
    assert lines[-1].startswith("INVALID  naive + per-ip, round 1: the baseline is not steady: 50 % usefully")
    order = [
        next(i for i, line in enumerate(lines) if part in line) for part in ("did best", "N 100", "arm ")
    ]
    assert order == sorted(order)


def test_extremes_stand_below_the_median_of_several_rounds() -> None:
    assert re.search(r"time to recover .* 12 s +11 s\n +10 to 12 s\n", text_of(two_by_two(3), 100))


def test_the_report_has_its_parts_in_order(tmp_path: Path) -> None:
    markdown, html = write_report(two_by_two(), tmp_path)
    parts = ["did best", "Believe it?", "Numbers", "On one clock", "Was a storm to be expected?", "Verdicts"]
    parts += ["Validity", "What the clients went through", "Conditions", "Scenario", "To repeat it"]
    for path, mark in ((markdown, "{}"), (html, ">{}<")):
        text = path.read_text(encoding="utf-8")
        places = [text.index(parts[0]), *(text.index(mark.format(part)) for part in parts[1:])]
        assert places == sorted(places)
    assert "(figure.svg)" in markdown.read_text(encoding="utf-8")


def test_the_page_forbids_everything_but_its_own_style(tmp_path: Path) -> None:
    _, html = write_report(two_by_two(), tmp_path)
    text = html.read_text(encoding="utf-8")
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in text
    assert "url(" not in re.sub(r"url\(#", "", text)


def test_names_from_a_run_directory_are_text_and_nothing_else(tmp_path: Path) -> None:
    markdown, html = write_report(REPORTS["hostile names"](), tmp_path)
    assert "<script" not in html.read_text(encoding="utf-8")
    text = "\n".join(line for line in markdown.read_text(encoding="utf-8").splitlines() if line[:4].strip())
    assert "<script" not in text
    assert r"\| \`b\`" in text
    assert "![](http" not in text


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    once, again = (write_report(two_by_two(), tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_a_single_run_has_no_words_of_comparison(tmp_path: Path) -> None:
    markdown, _ = write_report([arm("naive + none", None)], tmp_path)
    text = markdown.read_text(encoding="utf-8")
    assert "**METASTABLE: only 5.0 % of the clients were served" in text
    for word in ("reference", "did best", "per arm", "differ"):
        assert word not in text


def test_the_figure_scales_has_a_name_and_no_date() -> None:
    runs = two_by_two()
    drawing = svg(figure(runs), alt_text(runs))
    root = ElementTree.fromstring(drawing)
    assert root.get("role") == "img"
    assert str(root.get("aria-label")).startswith("Five charts over seconds from the trigger")
    assert (root.get("width"), root.get("height")) == (None, None)
    assert root.get("viewBox") is not None
    assert "dc:date" not in drawing


def test_the_alternative_text_tells_every_arm_and_its_end() -> None:
    text = alt_text(two_by_two())
    assert "naive + none (METASTABLE): did not recover by itself, rescued at 40 s." in text
    assert "incident + none (RECOVERED): recovered after 12 s." in text


def test_a_trace_is_the_median_over_rounds_with_its_extremes() -> None:
    rows = [storm(share) for share in (20.0, 50.0, 60.0)]
    runs = [history(part, arm="a", round=i, latencies=latencies_of(part)) for i, part in enumerate(rows)]
    found = traces(runs)[0].trace("useful", per="clients")
    assert (found.at_s[0], found.at_s[8]) == (-7.5, 0.5)
    assert (found.median[8], found.low[8], found.high[8]) == (0.5, 0.2, 0.6)


def test_invalid_runs_are_not_drawn_beside_valid_ones() -> None:
    runs = [arm("a", 3), arm("a", 3, round=2, status="interrupted")]
    assert [len(found.runs) for found in traces(runs)] == [1]
    assert [len(found.runs) for found in traces(runs[1:])] == [1]


def test_the_scenario_is_listed_as_toml_with_what_differs() -> None:
    listing = page(two_by_two()).scenario
    assert 'policy = "naive"  # differs by arm: naive, incident' in listing
    assert '[[event]]\nat_s = 8.0\ndo = "drop_all"' in listing
    table = {
        "edge": {"limit": {"name": "per-ip", "rate_per_s": 3.0}},
        "tags": ["a", "b"],
        "odd": {"a.b": True},
    }
    assert scenario_listing(table) == (
        'tags = ["a", "b"]\n\n[edge]\nlimit = { name = "per-ip", rate_per_s = 3.0 }\n\n[odd]\n"a.b" = true'
    )


def test_stability_numbers_that_json_cannot_hold_are_infinite() -> None:
    stability = history([]).info.stability | CALM
    texts = {number.symbol: cells[0] for number, cells in stability_rows({"a": stability})}
    assert (texts["t*"], texts["S2"], texts["S1"]) == ("\u221e", "\u221e", "0.9, calm from the start")


def test_what_all_arms_share_is_said_once() -> None:
    usual = history([]).info.stability
    lines = stability_lines({"a": usual, "b": usual | CALM})
    assert lines[0].startswith("N 100 · P 2 · capacity 1 · c 20 ms")
    assert lines[1] == "a: t* 6.3 s · S1 6.1, never calm · S2 2.0"
    assert len(lines) == 3


def test_markdown_is_escaped_unless_it_is_code() -> None:
    assert escape_markdown("a|b\n<c> & *d*") == r"a\|b &lt;c&gt; &amp; \*d\*"
    assert escape_markdown(3) == 3
    assert escape_markdown(code_block("a|b\n*c*")) == "    a|b\n    *c*"
