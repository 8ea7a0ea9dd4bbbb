import io
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from matplotlib.figure import Figure
from rich.console import Console
from run_histories import history, latencies_of, scenario, seconds, storm

from reports.judgement import assess
from reports.page import page, scenario_listing
from reports.plots import alt_text
from reports.record import Phase, Run
from reports.render import code_block, escape_markdown, write_report
from reports.series import Row
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


def neighbours(limited: float) -> tuple[Row, ...]:
    """Half of the clients are alone, half behind one address."""
    return tuple(
        {
            "t_s": float(t),
            "clients_per_ip": size,
            "clients": 50.0,
            "connected": 50.0,
            "useful": 50.0 if size == 1 else 10.0,
            "attempts": 40.0,
            "limited": 0.0 if size == 1 else limited,
        }
        for t in range(8, 60)
        for size in (1.0, 50.0)
    )


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
        history(storm(50.0), arm="b"),
    ],
    "no stability numbers": lambda: [arm("naive + none", 3, stability={})],
    "hostile names": lambda: [
        arm(name, 3, command=["run", HOSTILE], machine={"cpu_model": HOSTILE})
        for name in (HOSTILE, "_a name that a legend would hide")
    ],
    "clients that share addresses": lambda: [
        msgspec.structs.replace(arm(name, 3), neighbours=neighbours(limited))
        for name, limited in (("naive + none", 0.0), ("naive + per-ip", 30.0))
    ],
    "ticks without a time": lambda: [arm("naive + none", 3, reference="first receipt")],
    "two arms, five rounds, a control": lambda: [
        history(seconds(0, 30), trigger_s=None, arm="control", control=True, scenario=scenario(event=[])),
        *(
            arm(name, recovered_s and recovered_s + number, round=number)
            for number in range(1, 6)
            for name, recovered_s in (("naive + none", None), ("incident + none", 7))
        ),
    ],
    "nine arms": lambda: [arm(f"policy-{i} + none", i) for i in range(9)],
}


# Drawing takes longest. The pictures of the others consist of parts that these have, too.
DRAWN = {
    "four arms",
    "no trigger",
    "nothing recorded",
    "interrupted in the storm",
    "rows of different lengths",
    "hostile names",
    "nine arms",
}

Written = Callable[[str], tuple[Path, Path]]


@cache
def runs_of(name: str) -> list[Run]:
    """The runs of that report, judged once, as the runner leaves them; do not change them."""
    judged = []
    for run in REPORTS[name]():
        info = msgspec.structs.replace(run.info, **msgspec.to_builtins(assess(run)))
        judged.append(msgspec.structs.replace(run, info=info))
    return judged


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the report of that name when it is first asked for; the figure is empty unless in `DRAWN`."""

    @cache
    def write(name: str) -> tuple[Path, Path]:
        with pytest.MonkeyPatch.context() as patch:
            if name not in DRAWN:
                patch.setattr("reports.render.figure", lambda _: Figure())
            return write_report(runs_of(name), tmp_path_factory.mktemp("report"))

    return write


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


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_well_formed_and_asks_nobody_for_anything(name: str, written: Written) -> None:
    markdown, html = written(name)
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
    ElementTree.parse(markdown.with_name("figure.svg"))


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_fits_the_terminal(name: str, width: int) -> None:
    assert max(len(line) for line in text_of(runs_of(name), width).splitlines()) <= width


def test_a_narrow_terminal_has_measures_as_rows_and_a_wide_one_arms() -> None:
    narrow, wide = (text_of(runs_of("four arms"), width) for width in (100, 200))
    assert re.search(r"^time to recover +≥ 40 s +≥ 40 s +12 s +10 s$", narrow, re.MULTILINE)
    assert re.search(r"^incident \+ none .* 12 s +0 of 1 +RECOVERED$", wide, re.MULTILINE)
    assert "…" not in narrow + wide


def test_arms_that_do_not_fit_side_by_side_get_tables_of_their_own() -> None:
    text = text_of(runs_of("nine arms"), 100)
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
    text = text_of(runs_of("four arms, three rounds"), 100)
    assert re.search(r"time to recover .* 12 s +11 s\n +10 to 12 s\n", text)


def test_the_report_has_its_parts_in_order(written: Written) -> None:
    markdown, html = written("four arms")
    parts = ["did best", "Believe it?", "Numbers", "On one clock", "Was a storm to be expected?", "Verdicts"]
    parts += ["Validity", "What the clients went through", "Conditions", "Scenario", "To repeat it"]
    for path, mark in ((markdown, "{}"), (html, ">{}<")):
        text = path.read_text(encoding="utf-8")
        places = [text.index(parts[0]), *(text.index(mark.format(part)) for part in parts[1:])]
        assert places == sorted(places)
    assert "(figure.svg)" in markdown.read_text(encoding="utf-8")


def test_the_page_forbids_everything_but_its_own_style(written: Written) -> None:
    _, html = written("four arms")
    text = html.read_text(encoding="utf-8")
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in text
    assert "url(" not in re.sub(r"url\(#", "", text)


def test_names_from_a_run_directory_are_text_and_nothing_else(written: Written) -> None:
    markdown, html = written("hostile names")
    assert "<script" not in html.read_text(encoding="utf-8")
    text = "\n".join(line for line in markdown.read_text(encoding="utf-8").splitlines() if line[:4].strip())
    assert "<script" not in text
    assert r"\| \`b\`" in text
    assert "![](http" not in text


def test_the_same_runs_give_the_same_bytes(written: Written, tmp_path: Path) -> None:
    name = "rows of different lengths"
    once, again = written(name), write_report(runs_of(name), tmp_path)
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]


def test_the_arms_are_set_against_the_reference_where_there_are_runs_enough(written: Written) -> None:
    markdown, html = (path.read_text() for path in written("two arms, five rounds, a control"))
    assert "## Against the reference" in markdown
    assert re.search(
        r"^\| time to recover\\\* \| 2 s and 10 % \| better: p 0\.\d+ \|$", markdown, re.MULTILINE
    )
    assert '<caption class="away" id="label-against">Every other arm against naive + none</caption>' in html
    assert re.search(r">better <span class=\"span\">[\d.]+× \([\d.]+ to [\d.]+×\), p 0\.\d+</span>", html)
    terminal = text_of(runs_of("two arms, five rounds, a control"), 500)
    assert re.search(
        r"^incident \+ none against naive \+ none: better: .*time to recover", terminal, re.MULTILINE
    )
    for path in written("four arms"):
        assert "Against the reference" not in path.read_text()


def test_a_control_has_one_line_and_is_no_arm(written: Written) -> None:
    line = "Control: held (30 s without a trigger: availability 100 %, effective p99 60 ms)"
    texts = [path.read_text() for path in written("two arms, five rounds, a control")]
    texts.append(text_of(runs_of("two arms, five rounds, a control"), 500))
    for text in texts:
        assert text.replace("\u00a0", " ").count(line) == 1
    assert "2 arms compared" in texts[0]
    assert "| control | 1 | STEADY |" in texts[0]


def test_every_arm_says_how_many_of_its_runs_were_metastable(written: Written) -> None:
    text = written("four arms, three rounds")[0].read_text()
    assert "| metastable runs | 3 of 3 (44 to 100 %) | 3 of 3 (44 to 100 %) | 0 of 3 (0 to 56 %) |" in text
    assert "| metastable runs | – |" in written("no trigger")[0].read_text()
    assert "| metastable runs | – |" in written("nothing recorded")[0].read_text()


def test_who_shares_an_address_is_told_apart(written: Written) -> None:
    terminal = text_of(runs_of("clients that share addresses"), 100)
    assert re.search(r"naive \+ per-ip +50 +50 +20 % +[\d,]+ +[\d,]+ +not back", terminal)
    assert re.search(r"naive \+ none +1 +50 +100 % +[\d,]+ +0 +0 s", terminal)
    for path in written("clients that share addresses"):
        assert "Who shares an address" in path.read_text(encoding="utf-8")
    for path in written("one run"):
        assert "Who shares an address" not in path.read_text(encoding="utf-8")


def test_a_spread_is_called_one(written: Written) -> None:
    for text in (
        text_of(runs_of("ticks without a time"), 100),
        written("ticks without a time")[0].read_text(),
    ):
        assert "fan-out spread p99" in text
        assert "fan-out p99" not in text


def test_a_single_run_has_no_words_of_comparison(written: Written) -> None:
    markdown, _ = written("one run")
    text = markdown.read_text(encoding="utf-8")
    assert "**METASTABLE: only 5.0 % of the clients were served" in text
    for word in ("reference", "did best", "per arm", "differ"):
        assert word not in text


def test_the_figure_scales_has_a_name_and_no_date(written: Written) -> None:
    drawing = written("four arms")[0].with_name("figure.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(drawing)
    assert root.get("role") == "img"
    assert str(root.get("aria-label")).startswith("Five charts over seconds from the trigger")
    assert (root.get("width"), root.get("height")) == (None, None)
    assert root.get("viewBox") is not None
    assert "dc:date" not in drawing


def test_the_alternative_text_tells_every_arm_and_its_end() -> None:
    text = alt_text(runs_of("four arms"))
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
    listing = page(runs_of("four arms")).scenario
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


def test_events_that_differ_by_arm_are_marked_in_the_listing() -> None:
    push = {"do": "push_policy", "at_s": 20.0, "every_s": None, "policy": "naive"}
    drop = {"do": "drop_all", "at_s": 8.0}
    policies = [arm(name, 3, scenario=scenario(event=[drop, {**push, "policy": name}])) for name in "ab"]
    listing = page(policies).scenario
    assert 'at_s = 20.0\npolicy = "a"  # differs by arm: a, b' in listing
    assert "every_s" not in listing
    with_or_without = [
        arm(name, 3, scenario=scenario(event=events)) for name, events in (("a", [drop, push]), ("b", [drop]))
    ]
    label = "push_policy at 20 s policy=naive"
    assert f"[[event]]  # differs by arm: {label}, none\ndo = " in page(with_or_without).scenario
    turned = [*with_or_without[1:], *with_or_without[:1]]
    turned = [
        msgspec.structs.replace(run, info=msgspec.structs.replace(run.info, started_utc=str(i)))
        for i, run in enumerate(turned)
    ]
    assert page(turned).scenario.endswith(f"# event.1 differs by arm: none, {label}")


def test_stability_numbers_that_json_cannot_hold_are_infinite() -> None:
    stability = history([]).info.stability | CALM
    texts = {number.symbol: cells[0] for number, cells in stability_rows({"a": stability})}
    assert (texts["t*"], texts["S2"], texts["S1"]) == ("\u221e", "\u221e", "0.9, calm from the start")


def test_without_any_try_there_is_no_s1() -> None:
    stability = history([]).info.stability | {"s1": []}
    texts = {number.symbol: cells[0] for number, cells in stability_rows({"a": stability})}
    assert texts["S1"] == "\u2013"


def test_the_machine_is_told_in_plain_words() -> None:
    machine = {"cpu_model": "test", "gateway_cores": [0, 1], "spare": [], "pinned": True, "memory": None}
    assert page([history(storm(100.0), machine=machine)]).machine == {
        "cpu model": "test",
        "gateway cores": "0, 1",
        "spare": "\u2013",
        "pinned": "yes",
        "memory": "\u2013",
    }


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
