import base64
import hashlib
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from reports.analysis.judgement import judgement_of
from reports.figures.timeline import alt_text
from reports.figures.traces import traces
from reports.page.listing import scenario_listing
from reports.page.page import page
from reports.page.stability import stability_lines, stability_rows
from reports.page.table import terminal_report
from reports.page.write import write_report
from reports.rundir.reader import Run
from reports.rundir.schema import Phase
from reports.rundir.series import Row
from reports.text.templating import code_block, escape_markdown
from tests.support.acted_runs import LIMIT, PUSH, SCALE, acted, incident
from tests.support.compared_runs import HOSTILE, arm, two_by_two
from tests.support.histories import (
    history,
    latencies_of,
    pod_second,
    scenario,
    seconds,
    shared_ips,
    storm,
    strike,
)
from tests.support.judged_runs import run as judged_run
from tests.support.map_runs import LOADS, control, grid
from tests.support.map_runs import runs as map_runs
from tests.support.page_outline import Outline, markdown_tables

CALM = {"s1": [0.9, 0.7], "calm_from_attempt": 0, "s2": None, "readmission_s": None}


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
        msgspec.structs.replace(arm(name, 3), shared_ips=shared_ips(limited))
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
    "an incident": incident,
    "an incident, three rounds": lambda: [
        acted(name, back_s and back_s + number, *actions, round=number)
        for number in (1, 2, 3)
        for name, back_s, actions in (("nothing", None, ()), ("scale + push", 28, (SCALE, PUSH)))
    ],
    "one run of an incident": lambda: [acted("scale + push", 30, SCALE, PUSH, LIMIT)],
    "a map": lambda: [*map(control, LOADS), *map_runs(grid("RRR", "RRM", "RMM", "XRO"))],
    "a map that is unfinished": lambda: map_runs(grid("RRR", "M..")),
    "a map with a strange trigger": lambda: map_runs(
        grid("RM", "MM", loads=(1, 2), shares=(0.5, 1.0)),
        stability={},
    ),
    "a control that does not hold": lambda: [
        history(
            seconds(0, 30, useful=50.0),
            trigger_s=None,
            arm="control",
            control=True,
            scenario=scenario(event=[]),
        ),
        arm("naive + none", 3),
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
    "an incident",
    "a map",
    "a control that does not hold",
}

Written = Callable[[str], tuple[Path, Path]]


@cache
def runs_of(name: str) -> list[Run]:
    """The runs of that report, judged once, as the runner leaves them; do not change them."""
    judged = []
    for run in REPORTS[name]():
        info = msgspec.structs.replace(run.info, **msgspec.to_builtins(judgement_of(run)))
        judged.append(msgspec.structs.replace(run, info=info))
    return judged


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the report of that name when it is first asked for; the figure is empty unless in `DRAWN`."""

    @cache
    def write(name: str) -> tuple[Path, Path]:
        with pytest.MonkeyPatch.context() as patch:
            if name not in DRAWN:
                patch.setattr("reports.page.timeline.figure", lambda *_: Figure())
            return write_report(runs_of(name), tmp_path_factory.mktemp("report"))

    return write


def text_of(runs: list[Run], width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(terminal_report(runs, width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\u00a0", " ")


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_is_well_formed_and_asks_nobody_for_anything(name: str, written: Written) -> None:
    markdown, html = written(name)
    found = Outline()
    found.feed(html.read_text(encoding="utf-8"))
    found.close()
    assert found.open == []
    assert found.fetched == []
    assert found.seen["script"] == 2, "the page's own, and its numbers"
    assert len(found.ids) == len(set(found.ids))
    assert found.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(found.headings, found.headings[1:], strict=False))
    for widths in markdown_tables(markdown.read_text(encoding="utf-8")):
        assert len(widths) == 1
    for drawing in markdown.parent.glob("*.svg"):
        ElementTree.parse(drawing)


@pytest.mark.parametrize("width", [80, 100, 200])
@pytest.mark.parametrize("name", REPORTS)
def test_every_report_fits_the_terminal(name: str, width: int) -> None:
    assert max(len(line) for line in text_of(runs_of(name), width).splitlines()) <= width


def test_a_narrow_terminal_has_measures_as_rows_and_a_wide_one_arms() -> None:
    narrow, wide = (text_of(runs_of("four arms"), width) for width in (100, 220))
    assert re.search(r"^time to recover +≥ 40 s +≥ 40 s +12 s +10 s$", narrow, re.MULTILINE)
    assert re.search(r"^incident \+ none .* 12 s +0 of 1 +RECOVERED$", wide, re.MULTILINE)
    assert "…" not in narrow + wide


def test_below_the_table_the_terminal_says_what_became_of_ticks_and_clients() -> None:
    narrow, wide = (text_of(runs_of("four arms"), width) for width in (80, 200))
    for line in (
        r"ticks delivered, in time +5\.0 % +5\.0 % +78 %",
        r"ticks delivered, late +0 % +0 % +0 %",
        r"ticks delivered, never +95 % +95 % +22 %",
        r"95 % of clients back after +≥ 40 s +≥ 40 s +12 s",
        r"clients that never returned +95 +95 +0",
    ):
        assert re.search(f"^{line}$", narrow, re.MULTILINE), line
    row = r"^naive \+ none +5\.0 % +0 % +95 % +95 % +≥ 40 s +≥ 40 s +≥ 40 s +≥ 40 s +95$"
    assert re.search(row, wide, re.MULTILINE)
    for name in ("no trigger", "nothing recorded"):
        assert "ticks" not in text_of(runs_of(name), 100)


def test_a_report_has_them_under_client_impact_in_every_medium(tmp_path: Path) -> None:
    write_report(runs_of("four arms"), tmp_path)
    for medium in ("report.html", "report.md"):
        text = (tmp_path / medium).read_text(encoding="utf-8")
        impact = text[text.index("Client impact") :]
        for heading in ("ticks delivered", "ticks lost", "95 % of clients back after", "never returned"):
            assert heading in re.sub("<[^>]+>|&nbsp;|\u00a0", " ", impact), (medium, heading)


def test_arms_that_do_not_fit_side_by_side_get_tables_of_their_own() -> None:
    text = text_of(runs_of("nine arms"), 100)
    assert len(re.findall("^time to recover", text, re.MULTILINE)) == 3
    assert "…" not in text


def test_the_terminal_says_first_what_came_out_and_last_what_is_wrong() -> None:
    runs = two_by_two()
    runs[1].rows[3]["useful"] = 50.0
    lines = [line for line in text_of(runs, 200).splitlines() if line.strip()]
    assert lines[0].startswith("The reference “naive + none” did not recover within 40 s (METASTABLE).")
    assert "“incident + per-ip” recovered soonest: after 10 s." in lines[0]
    assert lines[-1].startswith(
        "INVALID  naive + per-ip, round 1: the baseline is not steady: clients served in its worst second: "
        "expected"
    )
    order = [
        next(i for i, line in enumerate(lines) if part in line)
        for part in ("recovered soonest", "N 100", "arm  ")
    ]
    assert order == sorted(order)


def test_extremes_stand_below_the_median_of_several_rounds() -> None:
    text = text_of(runs_of("four arms, three rounds"), 100)
    assert re.search(r"time to recover .* 12 s +11 s\n +10 to 12 s\n", text)


def test_the_report_has_its_parts_in_order(written: Written) -> None:
    markdown, html = written("four arms")
    parts = ["recovered soonest", "Confidence:", "Did it recover?", "Numbers", "Timeline", "Verdicts"]
    parts += ["Who suffered?", "Client impact", "Which fix did it?", "Each variable alone"]
    parts += ["Do I believe it?", "Validity", "Stability estimate", "Conditions"]
    parts += ["Scenario", "To reproduce"]
    for path, mark in ((markdown, "{}"), (html, ">{}<")):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"<nav.*?</nav>", "", text, flags=re.DOTALL)
        places = [text.index(parts[0]), *(text.index(mark.format(part)) for part in parts[1:])]
        assert places == sorted(places)
    assert "(figure.svg)" in markdown.read_text(encoding="utf-8")


def test_the_page_forbids_everything_but_its_own_style_and_script(written: Written) -> None:
    _, html = written("four arms")
    text = html.read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert f'http-equiv="Content-Security-Policy" content="{policy}"' in text
    assert "url(" not in re.sub(r"url\(#", "", text)


def test_names_from_a_run_directory_are_text_and_nothing_else(written: Written) -> None:
    markdown, html = written("hostile names")
    assert html.read_text(encoding="utf-8").count("<script") == 2
    assert '<script>alert("a")' not in html.read_text(encoding="utf-8")
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
    assert re.search(
        r">better <span class=\"span\">[\d.]+× \([\d.]+ to [\d.]+×, \d+ %\), p 0\.\d+</span>", html
    )
    terminal = text_of(runs_of("two arms, five rounds, a control"), 500)
    assert re.search(
        r"^incident \+ none against naive \+ none: better: .*time to recover", terminal, re.MULTILINE
    )
    for path in written("four arms"):
        assert "Against the reference" not in path.read_text()


def test_a_control_has_one_line_and_is_no_arm(written: Written) -> None:
    line = "Control run valid (30 s without a trigger: availability 100 %, effective p99 60 ms)"
    texts = [path.read_text() for path in written("two arms, five rounds, a control")]
    texts.append(text_of(runs_of("two arms, five rounds, a control"), 500))
    for text in texts:
        assert text.replace("\u00a0", " ").count(line) == 1
    assert "2 arms compared" in texts[0]
    assert "| control | 1 | STEADY |" in texts[0]


def test_every_arm_says_how_many_of_its_runs_were_metastable(written: Written) -> None:
    text = written("four arms, three rounds")[0].read_text()
    assert "| metastable runs | 3 of 3 (29 to 100 %) | 3 of 3 (29 to 100 %) | 0 of 3 (0 to 71 %) |" in text
    assert "| metastable runs |" not in written("no trigger")[0].read_text()
    assert "| metastable runs |" not in written("nothing recorded")[0].read_text()


def test_who_shares_an_address_is_told_apart(written: Written) -> None:
    terminal = text_of(runs_of("clients that share addresses"), 140)
    shares = r"20 % +20 % +70 % +10 %"
    assert re.search(rf"naive \+ per-ip +50 +50 +{shares} +[\d,]+ +[\d,]+ +not recovered", terminal)
    assert re.search(r"naive \+ none +1 +50 +100 % +100 % +0 % +0 % +[\d,]+ +0 +0 s", terminal)
    for path in written("clients that share addresses"):
        assert "Clients by shared IP" in path.read_text(encoding="utf-8")
    for path in written("one run"):
        assert "Clients by shared IP" not in path.read_text(encoding="utf-8")


def test_a_narrow_terminal_has_clients_by_shared_ip_in_several_tables() -> None:
    for width in (40, 80):
        lines = text_of(runs_of("clients that share addresses"), width).splitlines()
        assert max(map(len, lines)) <= width
        found = [line for line in lines if re.match(r"naive \+ per-ip +50 ", line)]
        assert len(found) == 2 or width == 40
        cells = " ".join(line.removeprefix("naive + per-ip").strip().removeprefix("50") for line in found)
        wide = text_of(runs_of("clients that share addresses"), 200)
        (whole,) = (line for line in wide.splitlines() if re.match(r"naive \+ per-ip +50 ", line))
        assert cells.split() == whole.removeprefix("naive + per-ip").split()[1:]


def arms_with(warnings: dict[tuple[str, int], tuple[str, ...]]) -> list[Run]:
    return [
        judged_run(name, "RECOVERED", 13, round=number, validity={"valid": True, "warnings": warned})
        for (name, number), warned in warnings.items()
    ]


def test_a_note_on_several_runs_is_one_line_that_names_them() -> None:
    first, second = "naive + none", "incident + none"
    text = text_of(
        arms_with(
            {
                (first, 1): ("predicted", "cold"),
                (second, 1): ("predicted", "cold"),
                (first, 2): ("predicted", "cold"),
                (second, 2): ("predicted",),
                (first, 3): ("predicted", "cold", "slow"),
                (second, 3): ("predicted",),
            }
        ),
        120,
    )
    assert [line for line in text.splitlines() if line.startswith("note")] == [
        "note  all runs: predicted",
        "note  naive + none, rounds 1, 2 and 3; incident + none, round 1: cold",
        "note  naive + none, round 3: slow",
    ]
    assert "note  naive + none, round 1: predicted" in text_of(arms_with({(first, 1): ("predicted",)}), 120)


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
    for word in ("reference", "did best", "soonest", "per arm", "differ"):
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
    assert "naive + none (METASTABLE): did not recover, forced-recovery probe at 40 s." in text
    assert "incident + none (RECOVERED): recovered after 12 s." in text


def test_the_alternative_text_tells_what_is_marked_and_since_when_a_recovery_counts() -> None:
    text = alt_text(runs_of("an incident"))
    assert "Marked: trigger: burst ×4 for 4 s at 0 s; trigger over at 5 s; scale 3 at 8 s (scale, " in text
    assert "scale + push (RECOVERED): recovered after 17 s from the trigger’s end" in text
    assert "Marked" not in alt_text(runs_of("no trigger"))


def test_a_recovery_is_drawn_where_it_came() -> None:
    found = {traced.name: traced for traced in traces(runs_of("an incident"))}
    assert (found["scale + push"].recovered_s, found["scale + push"].recovered_at_s) == (17, 22)
    assert (found["nothing"].recovered_s, found["nothing"].recovered_at_s) == (None, None)


def test_what_was_done_stands_with_what_was_seen_before_and_after_it(written: Written) -> None:
    markdown, html = (path.read_text() for path in written("an incident"))
    assert (
        "| scale | 8 s | scale 3: 1 added | 2.5 s | ≥ 5.0 s → ≥ 5.0 s | 5.0 % → 5.0 % | "
        "6.0 % → 6.0 % | 50/s → 50/s |" in markdown
    )
    assert '<th scope="rowgroup" colspan="7"><span class="group">scale + push</span></th>' in html
    assert "middle valid run" not in markdown
    assert "What was done, and what followed" not in written("four arms")[0].read_text()


def test_of_several_rounds_the_middle_run_is_shown_and_named(written: Written) -> None:
    markdown = written("an incident, three rounds")[0].read_text()
    assert "| scale + push, round 2 | 12 s | push incident: all clients have it after 2 s |" in markdown
    assert "Shown for each arm: its median valid run" in markdown
    assert "round 1 | 12 s" not in markdown


def test_where_no_run_is_valid_the_first_one_is_shown() -> None:
    runs = [acted("a", None, SCALE, status="interrupted", round=number) for number in (1, 2)]
    found = page(runs).actions
    assert found is not None
    assert {row[0] for row in found.rows} == {"a, round 1"}


def test_the_terminal_tells_what_was_done_in_a_single_run() -> None:
    text = text_of(runs_of("one run of an incident"), 100)
    assert re.search(r"^at +action +effective p99 +availability +pod loop +attempts *$", text, re.MULTILINE)
    assert re.search(r"^12 s +push incident +≥ 5.0 s → (≥ )?[\d.]+ m?s +5.0 % → ", text, re.MULTILINE)
    for other in ("an incident", "one run"):
        assert "what was done" not in text_of(runs_of(other), 100)


def test_a_strike_without_seconds_around_it_says_so() -> None:
    run = acted("a", None, strike("scale", "mitigation", 61.0, pods=3), strike("probes", "condition", 0.0))
    found = page([run]).actions
    assert found is not None
    assert [row[3:5] for row in found.rows] == [
        ("4 s", "60 ms → ≥ 5.0 s"),
        ("to the end", "≥ 5.0 s → –"),
        ("to the end", "–"),
    ]


def test_pods_are_told_apart_where_one_stands_out(written: Written) -> None:
    markdown = written("an incident")[0].read_text()
    assert "- “nothing”: all 2 saturated 1 s after the trigger" in markdown
    assert "1 pod joined later, 1 of 1 saturated at once" in markdown
    assert "| scale | 2 | 11 s | 98 % | 5.0 % | 0 s | 70 |" in markdown
    assert "## Pods" not in written("four arms")[0].read_text()


PODS: dict[str, tuple[list[Row], str]] = {
    "even and idle": ([pod_second(t, pod) for t in range(62) for pod in range(2)], ""),
    "one is gone": (
        [pod_second(t, pod) for t in range(62) for pod in range(2) if pod or t < 30],
        "1 pod gone at the end.",
    ),
    "one came late and had time": (
        [pod_second(t, pod) for t in range(62) for pod in range(2) if pod or t >= 30],
        "1 pod joined later, none of these ever saturated.",
    ),
    "one has them all": (
        [pod_second(t, pod, clients=100.0 * pod) for t in range(62) for pod in range(2)],
        "The fullest pod had 2.0× the mean number of clients at the end.",
    ),
    "one after the other was saturated": (
        [pod_second(t, pod, loop=0.99 if t > 10 + 3 * pod else 0.1) for t in range(62) for pod in range(3)],
        "All 3 saturated 3 to 9 s after the trigger.",
    ),
}


@pytest.mark.parametrize("label", PODS)
def test_what_stands_out_of_the_pods_is_a_sentence(label: str) -> None:
    rows, sentence = PODS[label]
    content = page([history(storm(100.0), pods=rows)])
    assert content.pod_sentences == ((sentence,) if sentence else ())
    assert (content.pods is None) == (not sentence)


def test_pods_of_a_run_without_a_trigger_count_from_its_start() -> None:
    rows = [pod_second(t, 0, loop=0.99 if t > 3 else 0.1) for t in range(20)]
    sentences = page([history(seconds(0, 20), trigger_s=None, pods=rows)]).pod_sentences
    assert sentences == ("1 of 1 saturated 4 s after the start.",)


def test_refusals_are_set_side_by_side_where_there_are_any(written: Written) -> None:
    markdown = written("an incident")[0].read_text()
    assert "| scale + push + limit | 120 | 120 | 0 | 0 |" in markdown
    assert "## Refusals" not in written("four arms")[0].read_text()


LEFT_OVER = {
    "agree": (100.0, 100.0, "0"),
    "a few clients gave up": (99.0, 100.0, "−54"),
    "clients count more": (105.0, 100.0, "+270, exceeds tolerance"),
}


@pytest.mark.parametrize("label", LEFT_OVER)
def test_what_is_left_over_of_refusals_is_judged(label: str) -> None:
    clients, nginx, text = LEFT_OVER[label]
    rows = [row | {"limited": clients, "nginx_limited": nginx} for row in storm(50.0)]
    found = page([history(rows)]).refusals
    assert found is not None
    assert found.rows[0][-1] == text


def test_what_a_storm_cost_is_a_sentence_for_each_arm(written: Written) -> None:
    markdown = written("an incident")[0].read_text()
    assert (
        "- “nothing”: 3,800 client-seconds with data older than 1 s, 38 s per client; "
        "19,000 ticks lost." in markdown
    )
    lost = [row | {"missed": 5.0, "gave_up": 1.0, "stale_client_s": None} for row in storm(5.0)]
    assert page([history(lost)]).impact == ("25,175 ticks lost; 54 clients gave up for good.",)
    stopped = [row | {"gave_up_connect_error": 1.0} for row in lost]
    assert page([history(stopped)]).impact == (
        "25,175 ticks lost; 54 clients gave up for good (54 after a CONNECT_ERROR (packet 44)).",
    )
    assert page([history(seconds(0, 20), trigger_s=None)]).impact == ()


def test_a_map_leads_its_report_and_has_a_figure(written: Written) -> None:
    markdown, html = written("a map")
    text = markdown.read_text().replace("\u00a0", " ")
    assert text.index("**Stable at fleet.clients = 100.") < text.index("## Load against trigger")
    assert "](map.svg)" in text
    assert "| 300 | RECOVERED (S1 0.94, S2 0.41) | METASTABLE (S1 1.9, S2 0.83) |" in text
    assert "changed nothing" not in text
    assert html.read_text().count('<svg role="img" aria-label="A map of load against the size of') == 1
    assert markdown.with_name("map.svg").exists()
    assert not written("four arms")[0].with_name("map.svg").exists()


def test_two_figures_in_one_page_share_no_id(written: Written) -> None:
    text = written("a map")[1].read_text()
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert {*re.findall(r"url\(#([^)]*)\)", text), *re.findall(r'href="#([^"]*)"', text)} <= set(ids)
    assert any(name.startswith("map-") for name in ids)


def test_the_terminal_has_a_map_instead_of_its_arms() -> None:
    text = text_of(runs_of("a map"), 100)
    assert text.startswith(
        "Stable at fleet.clients = 100.\nVulnerable at fleet.clients = 200 (does not recover from 1)"
    )
    assert re.search(r"^300 +RECOVERED +METASTABLE +METASTABLE +vulnerable *$", text, re.MULTILINE)
    assert "time to recover" not in text
    assert "INVALID  400 + 0.25, round 1: another process took the cores" in text
    assert "= 0.25" not in text_of(runs_of("a map"), 60)


def test_a_run_whose_control_does_not_hold_is_drawn_as_invalid(written: Written) -> None:
    drawing = written("a control that does not hold")[0].with_name("figure.svg").read_text()
    assert "naive + none  (INVALID)" in drawing
    assert "naive + none (INVALID): recovered after 3 s" in drawing
    assert ">control" not in drawing


def test_labels_of_the_figure_have_the_colours_of_their_arms(written: Written) -> None:
    drawing = written("an incident")[0].with_name("figure.svg").read_text()
    assert re.search(r'fill: #cc79a7"[^>]*>limit per-ip<', drawing)
    assert re.search(r'fill: #222222"[^>]*>scale 3<', drawing)
    assert "recovered after: from the end of the trigger" in drawing


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


def test_who_comes_back_and_a_limit_for_all_have_rows_where_they_are_known() -> None:
    usual = history([]).info.stability
    texts = {
        number.symbol: cells
        for number, cells in stability_rows(
            {"a": usual, "b": usual | {"returning": 25, "global_rate_per_s": 12.5}}
        )
    }
    assert (texts["N"], texts["s·N"]) == (["100", "100"], ["–", "25"])
    assert texts["limit for all"] == ["–", "12/s"]
    assert "s·N" not in {number.symbol for number, _ in stability_rows({"a": usual})}


def test_stability_numbers_that_json_cannot_hold_are_infinite() -> None:
    stability = history([]).info.stability | CALM
    texts = {number.symbol: cells[0] for number, cells in stability_rows({"a": stability})}
    assert (texts["t*"], texts["S2"], texts["S1"]) == ("\u221e", "\u221e", "0.9; ≤ 1 from the start")


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
    assert lines[1] == "a: t* 6.3 s · S1 6.1; never ≤ 1 · S2 2.0"
    assert len(lines) == 3


def test_markdown_is_escaped_unless_it_is_code() -> None:
    assert escape_markdown("a|b\n<c> & *d*") == r"a\|b &lt;c&gt; &amp; \*d\*"
    assert escape_markdown(3) == 3
    assert escape_markdown(code_block("a|b\n*c*")) == "    a|b\n    *c*"
