"""`explain` says what the registries, the docstrings and the reports say, and finds what was meant."""

import re
from collections.abc import Callable
from email.message import Message
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from reports.analysis import validity
from reports.analysis.verdict import MEANINGS, RANKED
from reports.compare.measures import BY_KEY
from reports.rundir.slo_metrics import SLO_METRICS
from reports.text.meanings import MEANINGS as MEASURES
from reports.text.meanings import meaning_of
from scenarios.cli.main import main
from scenarios.events.registry import EVENTS
from scenarios.limits.registry import LIMITS
from scenarios.policies.registry import POLICIES
from scenarios.reference.keys import keys
from scenarios.reference.lookup import found, similar
from scenarios.reference.result_topics import reads
from scenarios.reference.topic import Topic, explanation, listing
from scenarios.reference.topics import topics
from tests.repo.test_links import anchors

DOCS = Path(__file__).parents[3] / "docs"
TOPICS = topics()


def explain(*words: str) -> Result:
    return CliRunner().invoke(main, ["explain", *words])


def said(*words: str) -> str:
    result = explain(*words)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


# -- what is explained ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        {name for name, key in keys().items() if key.holds is None},
        EVENTS,
        POLICIES,
        LIMITS,
        MEANINGS,
        BY_KEY,
        SLO_METRICS,
        {rule.__name__.strip("_") for rule in validity.PROBLEMS},
    ],
    ids=["keys", "events", "policies", "limits", "verdicts", "measures", "metrics", "reasons"],
)
def test_everything_with_a_name_has_a_topic(names: dict[str, object]) -> None:
    assert set(names) <= {topic.name for topic in TOPICS}


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.group}-{topic.name}")
def test_a_topic_says_something_and_its_page_is_there(topic: Topic) -> None:
    assert len(topic.says) > 8
    page, _, anchor = topic.more.partition("#")
    assert (DOCS / page).is_file()
    assert not anchor or anchor in anchors((DOCS / page).resolve())


@pytest.mark.parametrize("rule", validity.PROBLEMS)
def test_a_reason_says_in_a_sentence_what_it_means(rule: object) -> None:
    assert re.fullmatch(r"[A-Z].*\.", rule.__doc__ or "")


KEY = (
    "fleet.connect_timeout_s: key of [fleet] Timeout of an attempt, from its start until the namespace is "
    "joined; then the client reconnects. type number, above 0, up to 86,400 unit seconds default 1 example: "
    "[fleet] connect_timeout_s = 1 more: docs/writing-scenarios.md"
)
SAID: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "a key": (("fleet.connect_timeout_s",), [KEY]),
    "a key without its table": (("connect_timeout_s",), [KEY, "mesh.connect_timeout_s: key of [mesh]"]),
    "a key that is quoted": (('"fleet.policy"',), ["fleet.policy: key of [fleet]"]),
    "a table": (("[edge]",), ["edge: table [edge]", "proxy", "more: nginx/README.md"]),
    "a list of tables": (("slo",), ["slo: table [[slo]]"]),
    "an event": (
        ("drop_share",),
        ["drop_share: event, a fault", "share Share of the clients of each pod.", "share = 0.25"],
    ),
    "an event with a hyphen": (("drop-share",), ["drop_share: event, a fault"]),
    "a key of an event": (("push_policy.reach_s",), ["parameter of the event push_policy", "default 5"]),
    "a policy": (("incident",), ["delay(n) = ⌊min(ms, max)⌋ ms", "Default: `30000`.", "Source: socketio"]),
    "a limit": (("per-ip",), ["per-ip: limit", "refused where excess' > burst", "docs/limits.md#per-ip"]),
    "a verdict": (("metastable",), ["METASTABLE: verdict", MEANINGS["METASTABLE"]]),
    "all reasons": (("INVALID",), ["generator_lag The load generator was late", "clients_missing"]),
    "a measure": (("amplification",), ["retry amplification", "better less", "metric of an SLO"]),
    "a reason": (("noisy_host",), ["noisy_host: reason why a run is INVALID"]),
    "a reason as a report has it": (
        ("load generator late before the trigger: median of the p99 loop lag: expected ≤ 5 ms, got 8 ms",),
        ["generator_lag: reason why a run is INVALID", "expected ≤ … ms, got …"],
    ),
    "a reason by its name in words": (
        ("noisy host: other processes used 23 % of the machine's cores, expected ≤ 5 %",),
        ["noisy_host: reason why a run is INVALID"],
    ),
    "the beginning of a reason in words": (("the", "baseline", "is", "not", "steady"), ["baseline_unsteady"]),
}


@pytest.mark.parametrize(("words", "texts"), SAID.values(), ids=SAID)
def test_explains(words: tuple[str, ...], texts: list[str]) -> None:
    output = said(*words)
    for text in texts:
        assert text in output


def test_a_word_in_many_places_lists_them() -> None:
    output = said("command")
    assert "gateway.command" in output
    many = said("path") + said("base_s")
    assert "base_s is in several places; explain one of them:" in many
    assert "full-jitter.base_s: parameter of the policy full-jitter" in many


@pytest.mark.parametrize(
    ("word", "suggested"),
    [
        ("fleet.polcy", "fleet.policy"),
        ("clinets", "fleet.clients"),
        ("metastabel", "METASTABLE"),
        ("per-iq", "per-ip"),
    ],
)
def test_an_unknown_word_is_answered_by_the_nearest_ones(word: str, suggested: str) -> None:
    result = explain(word)
    assert result.exit_code == 2
    assert f"{word}: nothing to explain: did you mean" in result.output
    assert suggested in result.output
    assert len(result.output.splitlines()) == 1


def test_a_word_like_no_other_is_answered_by_where_all_are() -> None:
    result = explain("zzzzzzzz")
    assert result.exit_code == 2
    assert "nothing to explain: `reconnect-storm explain` lists all words" in result.output


def test_without_a_word_everything_is_listed() -> None:
    output = said()
    for text in ("policies: naive, incident", "verdicts: STEADY, RECOVERED", "reasons: incomplete"):
        assert text in output
    listed = " ".join(output.split())
    assert [topic.name for topic in TOPICS if topic.group and topic.name not in listed] == []


def no_package(_name: str) -> Message:
    raise PackageNotFoundError


def installed(_name: str) -> Message:
    found = Message()
    found["Project-URL"] = "Source, https://example.org/source"
    found["Project-URL"] = "Documentation, https://example.org/docs"
    return found


@pytest.mark.parametrize(
    ("metadata", "last"), [(no_package, "feed"), (installed, "https://example.org/docs")], ids=["no", "yes"]
)
def test_an_installation_says_where_the_pages_are(
    metadata: Callable[[str], Message], last: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scenarios.cli.commands.authoring.explain.metadata", metadata)
    assert last in explain().output.splitlines()[-1]


# -- how it reads ---------------------------------------------------------------------------------


@given(st.sampled_from(TOPICS), st.integers(60, 120))
def test_no_line_of_words_is_wider_than_the_terminal(topic: Topic, width: int) -> None:
    verbatim = f"{topic.formula}\n{topic.example}".splitlines()
    for line in explanation(topic, width).splitlines()[1:]:
        assert len(line) <= width or line.strip() in verbatim or " " not in line.strip(), line


def test_a_list_is_as_wide_as_the_terminal() -> None:
    assert max(map(len, listing(TOPICS, 60).splitlines())) <= 60


# -- what reports and pages say -------------------------------------------------------------------


def test_the_sentences_of_a_rule_are_found_in_its_code() -> None:
    assert reads(validity.PROBLEMS[1])[0].startswith("load generator late before the trigger: median of")
    sentences = [text for rule in validity.PROBLEMS for text in reads(rule)]
    assert "the pods" in " ".join(sentences)
    assert all(text == text.strip() for text in sentences)


def rows_of(heading: str) -> dict[str, str]:
    """The rows of the first table below a heading, without emphasis."""
    page = (DOCS / "reading-a-report.md").read_text(encoding="utf-8")
    part = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return {row[0].strip("*`"): row[1].replace("*", "") for row in rows if row[0] != "---"}


def test_the_page_says_of_a_verdict_what_the_program_says() -> None:
    rows = rows_of("Verdicts")
    assert {name: rows[name] for name in RANKED} == MEANINGS


def test_the_page_says_of_a_reason_what_the_program_says() -> None:
    expected = {rule.__name__.strip("_"): rule.__doc__ for rule in validity.PROBLEMS}
    assert {name: text for name, text in rows_of("Invalid runs").items() if name != "reason"} == expected


NAMES = {
    "effective p99": "effective_p99",
    "fan-out p99": "fanout",
    "availability": "availability",
    "peak attempts": "attempts_peak",
    "reconnect attempts per disconnect": "amplification",
    "refusals": "limited",
    "pod loop": "pod_loop",
    "time to recover": "time_to_recover_s",
    "ticks delivered in time": "ticks_in_time",
    "ticks delivered late": "ticks_late",
    "ticks delivered never": "ticks_never",
    "ticks lost": "ticks_lost",
    "p % of clients back after": "back",
    "clients that never returned": "never_returned",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_page_says_of_a_measure_what_the_program_says(name: str) -> None:
    rows = rows_of("Measures") | rows_of("Ticks and returns")
    assert rows[name] == MEASURES[NAMES[name]]


@pytest.mark.parametrize("key", [*SLO_METRICS, *(key for key in BY_KEY if not key.startswith("sidecar_"))])
def test_a_measure_has_a_meaning_of_its_own(key: str) -> None:
    assert meaning_of(key)
    assert not meaning_of(key).startswith(("the same", "of these"))


def test_names_are_found_whatever_their_case_and_suggested_by_likeness() -> None:
    assert [topic.name for topic in found("outage", TOPICS)] == ["OUTAGE"]
    assert "OUTAGE" in similar("outtage", TOPICS)
    assert found("zz", TOPICS) == []
