"""The report on a rehearsal, in each of its media."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from reports.rehearsal import RehearsalFiles, write_rehearsal, write_rehearsals
from reports.rehearsal.blocks import Chapter, Code, Picture, RehearsalPage, Table, Tile, Words
from reports.rehearsal.facts import facts
from reports.rehearsal.outcome import outcome, tiles
from reports.rehearsal.page import CHAPTERS, moment, rehearsal_page
from reports.rehearsal.pdf import pdf
from reports.rehearsal.timeline import moments
from reports.rundir.proxy_log import ProxyLog
from reports.rundir.reader import Run
from reports.rundir.schema import RecordError, Rehearsal
from reports.text.tables import TextTable
from tests.support.acted_runs import LIMIT, PUSH, SCALE
from tests.support.found_runs import limited_run
from tests.support.histories import history, storm, strike
from tests.support.page_outline import Outline, markdown_tables
from tests.support.rehearsals import CHECKS, HOSTILE, REHEARSALS, judged, rehearsed

DRAWN = {"scripted, recovered", "hostile", "nothing recorded"}
"""Drawing takes longest; the figures of the others consist of parts that these have, too."""

Written = Callable[[str], RehearsalFiles]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    """Writes the report of that name when it is first asked for; the figure is empty unless in `DRAWN`."""

    @cache
    def write(name: str) -> RehearsalFiles:
        with pytest.MonkeyPatch.context() as patch:
            if name not in DRAWN:
                patch.setattr("reports.rehearsal.write.figure", lambda _: Figure())
            return write_rehearsal(REHEARSALS[name](), tmp_path_factory.mktemp("rehearsal"))

    return write


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8").replace("\u00a0", " ")


@pytest.mark.parametrize("name", REHEARSALS)
def test_every_report_is_well_formed_and_asks_nobody_for_anything(name: str, written: Written) -> None:
    files = written(name)
    found = Outline()
    found.feed(text_of(files.html))
    found.close()
    assert found.open == []
    assert found.fetched == []
    assert found.seen["script"] == 0
    assert found.seen["main"] == found.seen["h1"] == 1
    assert len(found.ids) == len(set(found.ids))
    assert all(after <= before + 1 for before, after in zip(found.headings, found.headings[1:], strict=False))
    for widths in markdown_tables(text_of(files.markdown)):
        assert len(widths) == 1
    assert files.pdf.read_bytes().startswith(b"%PDF-")
    assert json.loads(files.json.read_text(encoding="utf-8"))["rehearsal_schema_version"] == 2


@pytest.mark.parametrize("name", REHEARSALS)
def test_every_report_has_every_chapter_in_order(name: str, written: Written) -> None:
    files = written(name)
    html, markdown = text_of(files.html), text_of(files.markdown)
    for text, mark in ((html, ">{}</h2>"), (markdown, "\n## {}\n")):
        places = [text.index(mark.format(heading)) for heading in CHAPTERS]
        assert places == sorted(places)


@pytest.mark.parametrize("name", ["nothing recorded", "no trigger", "scripted, recovered"])
def test_no_paragraph_is_empty_and_no_number_is_nan(name: str, written: Written) -> None:
    text = text_of(written(name).markdown)
    assert "nan" not in re.findall(r"\w+", text)
    assert "None" not in re.findall(r"\w+", text.partition("## Conditions")[0])


def test_whatever_a_file_says_is_text_and_nothing_else(written: Written) -> None:
    files = written("hostile")
    html = text_of(files.html)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    markdown = "\n".join(line for line in text_of(files.markdown).splitlines() if line[:4].strip())
    assert "<script" not in markdown
    assert "![](http" not in markdown
    assert r"\| \`b\`" in markdown
    told = json.loads(files.json.read_text(encoding="utf-8"))
    assert told["prechecks"][0]["name"] == HOSTILE
    assert told["command"] == ["run", HOSTILE]


def test_the_page_forbids_everything_but_its_own_style(written: Written) -> None:
    html = text_of(written("scripted, recovered").html)
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in html
    assert "url(" not in re.sub(r"url\(#", "", html)


def test_the_same_run_gives_the_same_bytes(written: Written, tmp_path: Path) -> None:
    name = "scripted, recovered"
    once, again = written(name), write_rehearsal(REHEARSALS[name](), tmp_path)
    for ours, theirs in zip(_paths(once), _paths(again), strict=True):
        assert ours.read_bytes() == theirs.read_bytes(), ours.name


def _paths(files: RehearsalFiles) -> list[Path]:
    return [files.html, files.markdown, files.json, files.pdf, files.html.with_name("rehearsal.svg")]


def test_the_blanks_are_blank_in_every_medium(written: Written) -> None:
    files = written("scripted, recovered")
    assert text_of(files.html).count('class="blank"') >= 4
    assert re.search(r"^\| 1 \| .+\? \| (?:(?:\\_){8} \| ?){3}$", text_of(files.markdown), re.MULTILINE)
    item = json.loads(files.json.read_text())["action_items"][0]
    assert (item["owner"], item["ticket"], item["retest_on"]) == (None, None, None)


OUTCOMES: dict[str, str] = {
    "scripted, recovered": (
        "A feed burst ×4 for 4 s hit 100 clients on 2 pods. Less than a second after it began, 95 of them "
        "(95 %) were without fresh data. An alert could have fired less than a second after it began: "
        "effective p99: expected ≤ 500 ms, got ≥ 5 s. The service had recovered 22 s after it began (17 s "
        "after it had ended). Scaling to 3 pods did not help. The service recovered after pushing the policy "
        "incident and setting the limit per-ip. It cost 2,090 client-seconds of stale data, 21 s per client. "
        "The hypothesis was confirmed."
    ),
    "nothing was done": "The service did not recover within 49 s of the trigger’s end. It cost",
    "rescued": "not recover within 35 s of the trigger’s end. Scaling to 3 pods did not help.",
    "nobody was hit": "No client was without fresh data. The service had recovered 0 s after it began.",
    "no trigger": "100 clients on 2 pods.",
    "nothing recorded": "0 clients on 2 pods.",
    "a foreign gateway": "100 clients. Less than a second after it began, all (100 %) were without fresh",
    "interrupted in the storm": "all (100 %) were without fresh data.",
    "hostile": "The hypothesis was not tested.",
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_the_outcome_is_a_paragraph_in_plain_words(name: str) -> None:
    assert OUTCOMES[name] in outcome(facts(REHEARSALS[name]()))


def test_a_fix_after_which_most_clients_were_served_is_not_called_a_recovery() -> None:
    run = rehearsed(None, PUSH)
    for row in run.rows:
        if (row["t_s"] or 0) > 30:
            row["useful"] = 95.0
    text = outcome(facts(run))
    assert "The service did not recover within" in text
    assert "≥ 90 % of the clients were served again after pushing the policy incident." in text


def test_a_fix_that_brought_some_relief_is_told() -> None:
    run = rehearsed(None, PUSH)
    for row in run.rows:
        if (row["t_s"] or 0) > 30:
            row["useful"] = 50.0
    assert "Availability rose after pushing the policy incident, but the service did not recover." in outcome(
        facts(run)
    )


def test_a_recovery_of_which_nothing_could_be_seen_is_not_made_up() -> None:
    run = rehearsed(30)
    run.info.summary["recovery"]["time_to_recover_s"] = None
    run.info.summary["recovery"]["at_least_s"] = None
    assert "The run is too short to say whether it recovered." in outcome(facts(run))
    assert ("time to recover", "unknown") in [(tile.name, tile.value) for tile in tiles(facts(run))]


def test_an_aborted_rehearsal_says_so_before_anything_else(written: Written) -> None:
    markdown = text_of(written("aborted").markdown)
    assert markdown.index("The run was aborted: fan-out p99 above 10 s for 10 s") < markdown.index(
        "A feed burst"
    )
    assert "The run started although a pre-check had failed: steady state" in markdown
    assert "aborted: fan-out p99 above" in markdown.partition("## Events and alerts")[2]


def test_the_tiles_have_what_matters() -> None:
    found = {tile.name: (tile.value, tile.good) for tile in tiles(facts(rehearsed(30, SCALE)))}
    assert found["verdict"] == ("RECOVERED", True)
    assert found["hypothesis"] == ("confirmed", True)
    assert found["SLOs met"] == ("2 of 4", False)
    assert found["time to recover"] == ("17 s", None)
    assert found["availability"] == ("48 %", None)
    never = {tile.name: (tile.value, tile.good) for tile in tiles(facts(rehearsed(None)))}
    assert never["time to recover"] == ("≥ 49 s", False)
    assert never["hypothesis"] == ("refuted", False)


def test_the_timeline_is_in_order_and_has_detection_actions_decisions_and_recovery() -> None:
    found = moments(facts(REHEARSALS["decided by an operator"]()))
    told = [(round(moment.t_s), moment.what) for moment in found]
    assert told == sorted(told, key=lambda one: one[0])
    for expected in (
        (0, "trigger: burst ×4 for 4 s"),
        (0, "alert: effective p99: expected ≤ 500 ms, got ≥ 5 s"),
        (8, "scale 3: 1 added, ended after 2.5 s"),
        (11, "saturated: 1 of the pods that joined"),
        (8, "operator: scale to 3 pods"),
        (12, "operator: wait"),
        (22, "recovered, and stayed so for 30 consecutive seconds"),
    ):
        assert expected in told


def test_what_the_orchestrator_did_and_a_rescue_are_on_the_timeline() -> None:
    lines: list[dict[str, Any]] = [
        {"t_s": 20.5, "event": "pod_killed", "pod": 1, "by": "liveness probe"},
        {"t_s": 25.0, "event": "pod_restarted"},
        {"t_s": "x", "event": "pod_killed"},
    ]
    run = history(
        storm(0.0),
        rescued_at_s=48,
        events=[*strike("drop_all", "fault", 8.05, 8.06), *lines],
        rehearsal=Rehearsal(),
    )
    told = [moment.what for moment in moments(facts(run))]
    assert told[-3:] == [
        "pod 1 killed by its liveness probe",
        "pod ? restarted",
        "rescue: a gentle policy is pushed to all clients",
    ]


def test_the_effect_of_each_action_stands_beside_it(written: Written) -> None:
    markdown = text_of(written("scripted, recovered").markdown)
    assert "| 8 s | scale 3: 1 added, ended after 2.5 s | ≥ 5.0 s → ≥ 5.0 s | 5.0 % → 5.0 % |" in markdown


def test_the_diff_of_nginx_and_the_commands_are_shown(tmp_path: Path) -> None:
    run = rehearsed(30, LIMIT, directory=tmp_path / "run")
    (tmp_path / "run" / "nginx").mkdir(parents=True)
    (tmp_path / "run" / "nginx" / "gateway.conf.before").write_text("server {\n}\n")
    (tmp_path / "run" / "nginx" / "gateway.conf").write_text("server {\n    limit_req zone=per_ip;\n}\n")
    (tmp_path / "run" / "rehearsed.toml").touch()
    found = rehearsal_page(facts(run), "")
    blocks = {block.label: block.lines for block in found.chapters[-1].blocks if isinstance(block, Code)}
    assert "+    limit_req zone=per_ip;" in blocks["nginx, before and after"]
    assert blocks["To reproduce"] == (
        "reconnect-storm run mass-drop",
        f"reconnect-storm rehearse {tmp_path / 'run' / 'rehearsed.toml'}",
    )
    assert 'summary = "What if the market opens?"' in blocks["The scenario, with every default"]


def test_the_groups_of_a_mixed_fleet_have_a_row_each(written: Written) -> None:
    markdown = text_of(written("a mixed fleet").markdown)
    assert "Clients by group:" in markdown
    rows = [line for line in markdown.splitlines() if line.startswith(("| group", "| web", "| old-tabs"))]
    headings, web, old = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert headings[:3] == ["group", "clients", "availability"]
    assert (web[:2], old[:3]) == (["web", "100"], ["old-tabs", "40", "–"])
    assert [row[headings.index("gave up")] for row in (web, old)] == ["0", "1"]
    assert "Clients by group:" not in text_of(written("nothing was done").markdown)


def test_a_moment_is_written_for_people() -> None:
    assert moment("2026-11-22T20:00:00Z") == "2026-11-22 20:00 UTC"
    assert moment("yesterday") == "yesterday"


def test_a_document_goes_on_over_as_many_pages_as_it_needs() -> None:
    long = "so many words " * 100
    page = RehearsalPage(
        title="a title",
        subtitle="",
        outcome=long,
        about="",
        alarms=(long,) * 20,
        tiles=tuple(
            Tile(f"tile {number}", "a value that is wider than its tile", long) for number in range(30)
        ),
        chapters=(
            Chapter("chapter", (Table(TextTable(label="", headings=("a", "b"), rows=())),)),
            Chapter("code", (Words(long), Code("lines", ("x" * 300,) * 100))),
            Chapter("picture", (Words(long), Words(long), Words(long), Picture("tall", "", ""))),
        ),
    )
    written = pdf(page, {"tall": Figure(figsize=(4, 9))}, "no time")
    assert written.count(b"/Type /Page\n") >= 6
    assert written == pdf(page, {"tall": Figure(figsize=(4, 9))}, "no time")


def test_what_is_no_rehearsal_gets_no_report(tmp_path: Path) -> None:
    run: Run = history(storm(0.0))
    with pytest.raises(RecordError, match="no rehearsal"):
        write_rehearsal(run, tmp_path)
    with pytest.raises(RecordError, match="there is no rehearsal to report on"):
        write_rehearsals([], tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_findings_on_settings_become_findings_and_action_items_of_a_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reports.rehearsal.write.figure", lambda _: Figure())
    log = ProxyLog(requests=4_213, addresses=1, address="10.0.0.1")
    run = judged(limited_run(log=log, rehearsal=Rehearsal(prechecks=CHECKS)))
    written = write_rehearsal(run, tmp_path)
    told = json.loads(written.json.read_text(encoding="utf-8"))
    assert any(text.startswith("The limit saw a single key: 1 key, 100 clients") for text in told["findings"])
    asked = [item["question"] for item in told["action_items"]]
    assert any(
        text.startswith("The limit saw a single key: is this to be changed? nginx: ") for text in asked
    )
    assert "RFC 8441" in written.markdown.read_text(encoding="utf-8")
