"""The report on a search: words, figure, page, and tune.json."""

from pathlib import Path
from xml.etree import ElementTree

import msgspec
from msgspec.structs import replace

from reports.figures.timeline import svg
from reports.figures.tuning import (
    CHOSEN,
    FIX,
    MEETING,
    NOW,
    ON_FRONT,
    VIOLATING,
    marking,
    tuned_alt_text,
    tuned_figure,
)
from reports.page.tuning import write_tuning
from reports.tuning.result import Constraints, StockSettings, Tuning
from reports.tuning.text import headline, sentences, stock_lines, tuned_page
from tests.support.tuning_results import tuning

POINTS: dict[str, tuple[float | None, float | None, float | None]] = {
    "spread": (19.0, 0.5, 19.0),
    "js <b>": (39.0, 1.0, 39.0),
    "full": (9.0, 0.9, 60.0),
    "slow": (80.0, 0.9, 80.0),
    "naive": (None, 1.0, None),
}
ORIGINS = {"js <b>": "incident's fix", "naive": "now = naive"}


def found(**more: object) -> Tuning:
    return tuning(POINTS, origins=ORIGINS, **more)  # type: ignore[arg-type]


def test_the_headline_says_what_to_ship() -> None:
    assert headline(found()) == (
        "Recommended: spread: worst storm: recovered after 19 s, peak load 50 %, slowest shared-IP group "
        "recovered after 19 s, availability 80 %."
    )


def test_without_a_choice_it_says_who_is_nearest() -> None:
    none = found(constraints=Constraints(max_cpu=0.4))
    assert headline(none) == (
        "No candidate meets all constraints. Closest: spread: peak load: expected ≤ 40 %, got 50 %."
    )
    assert tuned_page(none).storms is None
    assert headline(tuning({})) == "No candidate was evaluated on every storm."


def test_it_says_how_far_the_others_are_from_the_choice() -> None:
    text = " ".join(sentences(found(notes=("push_policy is left out",))))
    fix = "Fix of the incident (js <b>): 2.0× the time to recover, 2.0× the peak load, 2.0× the recovery time"
    assert fix in text
    assert "Current settings (naive): 1 of 1 storms not recovered." in text
    assert text.endswith("push_policy is left out")


def test_settings_that_are_chosen_already_are_said_to_be() -> None:
    now = tuning({"a": (9, 0.5, 9)}, origins={"a": "now"})
    assert "Current settings (a): the same as recommended." in sentences(now)


def test_a_search_that_was_stopped_says_so() -> None:
    assert "The search was stopped before it was complete." in sentences(found(complete=False))
    assert "0 storms" in sentences(tuning({}, complete=False))[0]


def test_every_finalist_is_drawn_by_what_it_is() -> None:
    kinds = {one.name: marking(found(), one) for one in found().finalists}
    assert kinds == {"spread": CHOSEN, "js <b>": FIX, "full": ON_FRONT, "slow": MEETING, "naive": NOW}
    broken = found(constraints=Constraints(max_nat_victim_s=50))
    assert marking(broken, broken.named("slow")) == VIOLATING


def test_the_figure_is_one_svg_that_says_what_it_shows() -> None:
    alt = tuned_alt_text(found())
    root = ElementTree.fromstring(svg(tuned_figure(found()), alt))
    assert root.get("role") == "img"
    assert root.get("aria-label") == alt
    assert "recommended: spread, recovers in 19 s, peak load 50 %, slowest shared-IP group after 19 s" in alt
    assert "current settings: naive, 0 of 1 storms recovered" in alt
    text = " ".join(root.itertext())
    assert "current settings (1 never recovered, not shown)" in text


def test_the_files_hold_the_result_and_escape_what_is_in_it(tmp_path: Path) -> None:
    result, page = write_tuning(found(), tmp_path / "folder")
    assert msgspec.json.decode(result.read_bytes(), type=Tuning) == found()
    html = page.read_text(encoding="utf-8")
    assert "js &lt;b&gt;" in html
    assert "js <b>" not in html
    assert html.count("<svg") == 1
    assert {path.name for path in result.parent.iterdir()} == {"tune.json", "tune.svg", "tune.html"}


def test_the_same_result_makes_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_tuning(found(), tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


COLLAPSE = "From attempt 1 on, 92 % of the clients or more wait exactly 5.000 s."


def collapsing(name: str) -> Tuning:
    """The result, where the policy of these settings loses its jitter."""
    whole = found()
    finalists = (
        replace(one, collapse=COLLAPSE, on_one_value=(0.004, 0.92)) if one.name == name else one
        for one in whole.finalists
    )
    return replace(whole, finalists=tuple(finalists))


def test_it_warns_once_of_settings_whose_clients_wait_the_same_time() -> None:
    shares = "Share of clients on one value before attempt 0, 1, 2, …: 0.4 %, 92 %."
    for name, words in (("spread", "recommended settings"), ("naive", "current settings")):
        warnings = [line for line in sentences(collapsing(name)) if line.startswith("Warning: ")]
        assert warnings == [f"Warning: {words}: {COLLAPSE} {shares}"]
    assert not [line for line in sentences(collapsing("full")) if "Warning" in line]


STOCK = (
    StockSettings(client="socketio-js", options={"reconnectionDelay": 900}, lost=("a", "b")),
    StockSettings(client="phoenix", function="new Socket(url, …)"),
    StockSettings(client="pusher", lost=("c",)),
)


def test_stock_clients_that_can_express_the_settings_come_first_and_the_others_say_what_is_lost() -> None:
    lines = stock_lines(found(stock_clients=STOCK))
    assert lines[:3] == ["", "Stock clients that can express the recommended policy:", ""]
    assert lines[3] == "    phoenix: new Socket(url, …)"
    assert "no storm was simulated" in lines[5]
    assert lines[7:] == [
        "    socketio-js: reconnectionDelay = 900 (lost: a; b)",
        "    pusher: defaults (lost: c)",
    ]
    assert stock_lines(found()) == []


def test_a_result_of_an_older_version_is_read() -> None:
    table = msgspec.to_builtins(found())
    for key in ("stock_clients", "notes"):
        del table[key]
    for one in table["finalists"]:
        for key in ("stable_after_s", "on_one_value", "collapse"):
            del one[key]
    assert msgspec.convert(table, Tuning) == found()
