"""The pages of docs/ match the code, and the examples in them work."""

import asyncio
import importlib.util
import math
import random
import re
import sys
import textwrap
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct
from msgspec.structs import replace

from reports.rehearsal import previous
from reports.rehearsal.page import CHAPTERS, TIMELINE
from scenarios.events import registry
from scenarios.events.drop import DropAll
from scenarios.events.event import Event
from scenarios.events.registry import EVENTS
from scenarios.limits.leaky_bucket import EdgeRule
from scenarios.limits.registry import LIMITS
from scenarios.policies.collapse import outages
from scenarios.policies.following import FollowedPolicy
from scenarios.policies.orders import Stop
from scenarios.policies.outcome import Outcome, OutcomeKind
from scenarios.policies.registry import POLICIES, policy
from scenarios.policies.stock.catalogue import STOCK
from scenarios.proxies.added_lines import added_lines
from scenarios.reference.docstrings import Described, described, field_docstrings
from scenarios.reference.examples import example
from scenarios.reference.parameters import allowed, parameters, written
from scenarios.scenario.loader import catalog
from scenarios.scenario.model import Fleet, Phases, Scenario
from scenarios.scenario.overrides import parse_override
from scenarios.scenario.validate import build
from tools.pages import client_facts, clients_page, limits_page, pages, policies_page, scenarios_page
from tools.pages.__main__ import main
from tools.pages.delays import Delays, delays
from tools.pages.failing_clients import attempts_s, per_second
from tools.pages.shared_ip import SharedIp, shared_ip

# Tracing makes these three times as long, and covers what other tests cover.
pytestmark = pytest.mark.no_cover

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def policies() -> list[policies_page.Entry]:
    """The policies with their figures, drawn once."""
    return policies_page.entries()


@pytest.fixture(scope="module")
def clients() -> list[clients_page.Entry]:
    """The stock clients with their figures, drawn once."""
    return clients_page.entries()


@pytest.fixture(scope="module")
def generated(policies: list[policies_page.Entry], clients: list[clients_page.Entry]) -> dict[Path, str]:
    """Every file that belongs below docs/, by its path there; what the pages draw is drawn once."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(policies_page, "entries", lambda: policies)
        patched.setattr(clients_page, "entries", lambda: clients)
        return pages.pages(DOCS)


# -- what is on disk ------------------------------------------------------------------------------


def test_the_pages_on_disk_are_what_would_be_generated(
    generated: dict[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "pages", lambda _: generated)
    assert pages.differences(DOCS) == [], "run `make docs`"


REGISTRIES: dict[str, Mapping[str, object]] = {
    "policies.md": {name: entry for name, entry in POLICIES.items() if name not in STOCK},
    "clients.md": STOCK,
    "limits.md": LIMITS,
    "events.md": EVENTS,
    "scenarios.md": catalog(),
}


@pytest.mark.parametrize("page", REGISTRIES)
def test_every_entry_of_a_registry_has_a_heading(page: str, generated: dict[Path, str]) -> None:
    headings = re.findall(r"^## (.+)$", generated[Path(page)], re.MULTILINE)
    assert [heading for heading in headings if heading in REGISTRIES[page]] == [*REGISTRIES[page]]


def test_every_page_is_linked_from_an_index() -> None:
    indices = [DOCS / "README.md", ROOT / "README.md"]
    linked = {
        (index.parent / target).resolve()
        for index in indices
        for target in re.findall(r"\]\(([^)#]+\.md)[^)]*\)", index.read_text(encoding="utf-8"))
    }
    assert {page.resolve() for page in DOCS.glob("*.md")} - linked <= {indices[0].resolve()}


def test_every_link_of_a_generated_page_leads_to_a_file(generated: dict[Path, str]) -> None:
    for page, text in generated.items():
        if page.suffix == ".md":
            targets = re.findall(r"\]\(([^)#:]+)[^)]*\)", text)
            missing = [target for target in targets if not (DOCS / target).exists()]
            assert missing == [], page


# -- the registries follow the convention ---------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind, _ in POLICIES.values()], ids=POLICIES)
def test_a_policy_has_a_sentence_a_formula_and_a_source(kind: type) -> None:
    of_kind = described(kind)
    assert of_kind.sentence.endswith(".")
    assert of_kind.formula
    assert of_kind.source


@pytest.mark.parametrize("kind", LIMITS.values(), ids=LIMITS)
def test_a_limit_has_a_sentence_a_formula_and_a_source(kind: type) -> None:
    of_kind = described(kind)
    assert of_kind.sentence.endswith(".")
    assert of_kind.formula
    assert of_kind.source


@pytest.mark.parametrize("name", EVENTS)
def test_the_example_of_an_event_can_be_loaded(name: str) -> None:
    around = {"edge": {"tls": {}}, "commands": {"allow": [["kubectl"]]}}
    (event,) = build({**parse_toml(example(EVENTS[name])), **around}, source="example").event
    assert event.name == name


def parse_toml(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def test_an_event_that_requires_something_needs_a_value_for_its_example() -> None:
    class Odd(Event, frozen=True, kw_only=True, tag="odd"):
        """Odd."""

        colour: str

    with pytest.raises(ValueError, match="odd requires 'colour', which has no value in EXAMPLES"):
        example(Odd)


# -- the figures ----------------------------------------------------------------------------------


def test_a_figure_is_small_well_formed_and_says_what_it_shows(generated: dict[Path, str]) -> None:
    figures = {path: text for path, text in generated.items() if path.suffix == ".svg"}
    silent = {name for name in POLICIES if not outages(policy(name), seed=1, attempts=1, draws=1)[0]}
    assert silent == {"sockjs"}
    assert {path.stem for path in figures} == set(POLICIES) - silent
    for path, text in figures.items():
        assert len(text.encode()) < 40_000, path
        root = ET.fromstring(text)
        assert root.get("role") == "img"
        alt = root.get("aria-label") or ""
        assert f" under {path.stem}" in alt
        assert f"![{alt}]({path.as_posix()})" in generated[Path(f"{path.parent}.md")]


def test_figures_have_the_same_bytes_every_time(
    policies: list[policies_page.Entry],
) -> None:
    assert policies_page.drawings(policies_page.entries()) == policies_page.drawings(policies)


def test_delays_are_given_by_attempt() -> None:
    always = delays(policy({"name": "grpc", "jitter": 0, "cap_s": 2}), seed=1, attempts=3, draws=5)
    assert always.median_s == pytest.approx((1.0, 1.6, 2.0))
    assert always.least_s == always.p10_s == always.p90_s == always.most_s == always.median_s
    assert not always.ends


def test_delays_end_where_clients_give_up() -> None:
    found = delays(policy("axios-retry"), seed=1)
    assert found.ends
    assert found.median_s == (0.0, 0.4, 0.8)
    assert policies_page.alt_of_delays("it", found).endswith("After attempt 2, clients give up.")


def test_the_band_and_the_extremes_enclose_the_median() -> None:
    found = delays(policy("full-jitter"), seed=1, draws=500)
    for row in zip(found.least_s, found.p10_s, found.median_s, found.p90_s, found.most_s, strict=True):
        assert list(row) == sorted(row)
    assert found.median_s[12] == pytest.approx(15, abs=2)


def test_alternative_texts_say_what_a_figure_shows() -> None:
    spread = Delays(2, (1.0, 2.0), (0.5, 2.0), (1.5, 2.0), (0.1, 2.0), (3.0, 2.0))
    assert policies_page.alt_of_delays("x", spread) == (
        "Delays under x: before attempt 0 median 1 s (500 ms to 1.5 s); before attempt 1 always 2 s."
    )
    assert policies_page.alt_of_attempts("x", [5, 0, 0, 0]).endswith("none in the second half.")
    assert "3 in the second half, at most 2 per second" in policies_page.alt_of_attempts("x", [5, 0, 2, 1])


def test_defaults_in_the_registry_have_to_be_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    kind, _ = POLICIES["naive"]
    monkeypatch.setitem(POLICIES, "naive", (kind, {}))
    assert policies_page.defaults_of("naive") == {}
    monkeypatch.setitem(POLICIES, "naive", (kind, {"base_s": 1.0}))
    with pytest.raises(ValueError, match=r"naive: invalid defaults \['base_s'\]"):
        policies_page.defaults_of("naive")


def test_the_policy_that_the_page_shows_honours_retry_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / "policies.md").read_text()
    example = text[text.index("    # my_policy.py: full jitter") : text.index("The three attributes")]
    (tmp_path / "shown_policy.py").write_text(textwrap.dedent(example))
    monkeypatch.syspath_prepend(tmp_path)
    chosen = policy("shown_policy:polite")
    course = FollowedPolicy(chosen).course(random.Random(1))
    closed = Outcome(kind=OutcomeKind.CLOSED)
    busy = Outcome(kind=OutcomeKind.HTTP_STATUS, status=503, retry_after_s=20.0)
    first, second = course.after(closed, 9.0, 0.0), course.after(busy, 0.0, 1.0)
    assert isinstance(first, float)
    assert isinstance(second, float)
    assert 0 <= first <= 0.5
    assert 20 <= second <= 21
    assert course.after(replace(busy, status=403), 0.0, 2.0) == Stop("http_status")
    assert (chosen.reset, chosen.stops_on) == (30, frozenset({OutcomeKind.NAMESPACE_DISCONNECT}))


def test_the_page_says_what_a_policy_does_beside_its_delays() -> None:
    assert policies_page.rules_of(policy("naive")) == ""
    assert policies_page.rules_of(policy("socketio-js")) == (
        "It makes no further attempt after `connect_error` or `namespace_disconnect`. It sees what a browser "
        "shows."
    )


# -- clients whose attempts all fail --------------------------------------------------------------


def attempts_of(spec: Any, *, clients: int = 1, until_s: float = 30.0) -> list[float]:
    return attempts_s(policy(spec), clients=clients, until_s=until_s, fails_after_s=1.0, seed=1)


def test_naive_clients_start_an_attempt_as_soon_as_the_last_one_has_failed() -> None:
    assert attempts_of("naive", until_s=3) == [0, 1, 2]


def test_a_client_that_gives_up_makes_no_more_attempts() -> None:
    assert attempts_of("axios-retry") == pytest.approx([0, 1.4, 3.2])


def test_a_breaker_allows_one_attempt_per_reset_time() -> None:
    assert attempts_of("circuit-breaker", until_s=30) == pytest.approx([0, 11, 22])


def test_an_empty_bucket_of_ones_own_is_the_end() -> None:
    assert len(attempts_of({"name": "token-bucket", "capacity": 3})) == 4


def test_clients_with_a_shared_throttle_share_what_it_allows() -> None:
    shared = {"name": "retry-budget", "ratio": 0.0, "min_per_s": 1, "window_s": 10}
    assert per_second(attempts_of(shared, clients=50, until_s=3), 3) == [50, 10, 0]


@given(st.lists(st.floats(0, 9.9), max_size=30))
def test_every_time_falls_into_one_second(times_s: list[float]) -> None:
    assert sum(per_second(times_s, 10)) == len(times_s)


def test_a_rounding_error_early_is_on_time() -> None:
    assert per_second([0.9999999, 2.9999999], 3) == [0, 1, 1]


# -- stock clients --------------------------------------------------------------------------------


def test_a_fleet_of_stock_clients_is_counted_in_its_first_minute() -> None:
    chains = outages(policy("mqtt-js"), seed=1, until_s=client_facts.MINUTE_S)
    found = client_facts.facts(chains)
    assert found.attempts_a_minute == 59
    assert found.busiest_second == 1


def test_what_stops_a_client_is_in_the_words_of_its_protocol() -> None:
    assert clients_page.stops_on(STOCK["signalr"]()) == "a disconnect by the server (DISCONNECT)"
    assert clients_page.stops_on(STOCK["phoenix"]()) == ""


# -- clients behind a shared IP -------------------------------------------------------------------


def rule(*, rate_per_s: float, burst: int, nodelay: bool = True) -> EdgeRule:
    return EdgeRule(name="x", key="new-per-address", rate_per_s=rate_per_s, burst=burst, nodelay=nodelay)


SHARED_IP = {
    "all fit": ([rule(rate_per_s=3, burst=2)], 3, (3, 0.0)),
    "three a second": ([rule(rate_per_s=3, burst=2)], 10, (3, 3.0)),
    "one at a time": ([rule(rate_per_s=3, burst=0)], 3, (1, 2.0)),
    "in line at nginx": ([rule(rate_per_s=2, burst=2, nodelay=False)], 3, (1, 1.0)),
    "the narrower of two": ([rule(rate_per_s=9, burst=9), rule(rate_per_s=1, burst=0)], 2, (1, 1.0)),
}


@pytest.mark.parametrize(("rules", "clients", "outcome"), SHARED_IP.values(), ids=SHARED_IP)
def test_clients_behind_a_shared_ip_are_admitted_at_the_rate_of_the_rules(
    rules: list[EdgeRule], clients: int, outcome: tuple[int, float]
) -> None:
    assert shared_ip(rules, clients) == SharedIp(clients, *outcome)


def test_the_lines_of_a_limit_are_those_that_it_adds(generated: dict[Path, str]) -> None:
    text = generated[Path("limits.md")]
    assert "rate=3r/s;" in text
    assert "limit_req zone=per_ip burst=2 nodelay;" in text
    assert "limit_req_status 429;" in text, "nginx's own would be 503, as of a pod that sheds load"
    assert "proxy_pass" not in text
    assert added_lines(Scenario()) == ""


def test_shared_lines_end_at_an_empty_one() -> None:
    assert limits_page.shared_lines(["a\nb\n\nc\nd", "a\nb\n\nc\ne"]) == "a\nb"
    assert limits_page.shared_lines(["a", "b"]) == ""


# -- docstrings and parameters --------------------------------------------------------------------


class Sample(Struct, frozen=True, kw_only=True):
    """A sample that has
    everything.

        x = 1
        y = 2

    What to know,
    on two lines.

    And a second paragraph.

    Source: here,
    and there.
    """

    count: Annotated[int, Meta(ge=1)]
    """How many
    there are."""
    most: Annotated[int, Meta(le=9)] = 3
    share: Annotated[float, Meta(gt=0, le=1)] = 0.5
    anything: float = 1.0
    only: Annotated[int, Meta(ge=0, le=0)] = 0
    mode: Literal["a", "b"] = "a"
    texts: tuple[str, ...] = ()
    pair: Annotated[tuple[float, ...], Meta(min_length=2, max_length=2)] | None = None
    table: dict[str, Any] = msgspec.field(default_factory=dict)
    on: bool = True


class Derived(Sample, frozen=True, kw_only=True):
    """Derived."""

    mode: Literal["a", "b"] = "b"
    """Which of them."""


def test_a_docstring_comes_apart() -> None:
    assert described(Sample) == Described(
        sentence="A sample that has everything.",
        formula="x = 1\ny = 2",
        notes="What to know, on two lines.\n\nAnd a second paragraph.",
        source="here, and there.",
    )
    assert described(Derived) == Described(sentence="Derived.")


def test_a_class_without_a_docstring_is_refused() -> None:
    class Silent:
        pass

    with pytest.raises(ValueError, match=r"Silent: no docstring: expected "):
        described(Silent)


def test_fields_are_described_below_them_also_in_bases() -> None:
    assert field_docstrings(Derived) == {"count": "How many there are.", "mode": "Which of them."}


PARAMETERS = {
    "count": ("required", "whole number, 1 or more"),
    "most": ("`3`", "whole number, up to 9"),
    "share": ("`0.5`", "number, above 0, up to 1"),
    "anything": ("`1`", "number"),
    "only": ("`0`", "0 only"),
    "mode": ('`"a"`', '`"a"` or `"b"`'),
    "texts": ("none", "list, each: text"),
    "pair": ("none", "list of 2, each: number"),
    "table": ("none", "table"),
    "on": ("`true`", "true or false"),
}


def test_a_parameter_says_its_default_and_what_is_allowed() -> None:
    found = {each.name: (each.written_default, each.allowed) for each in parameters(Sample)}
    assert found == PARAMETERS


def test_the_registrys_defaults_come_first_and_fields_may_be_left_out() -> None:
    found = parameters(Sample, defaults={"count": 4, "most": 5}, without=["share", "on"])
    assert [each.written_default for each in found[:2]] == ["`4`", "`5`"]
    assert {each.name for each in found}.isdisjoint({"share", "on"})


def test_a_type_that_no_scenario_file_holds_is_refused() -> None:
    with pytest.raises(TypeError, match="a type of a scenario file"):
        allowed(msgspec.inspect.type_info(complex))


VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.text(st.characters(codec="ascii", exclude_categories=["C"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex("[a-z]{1,3}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(VALUES)
def test_what_is_written_reads_back_as_the_same_value(value: Any) -> None:
    assert parse_override(f"key={written(value)}") == ("key", value)


# -- scenarios ------------------------------------------------------------------------------------


def moments(**arms: Scenario) -> list[tuple[str, str]]:
    return [(moment.at, moment.what) for moment in scenarios_page.timeline(arms)]


def test_a_timeline_has_each_event_with_its_arms_and_the_end() -> None:
    kill = EVENTS["kill_pod"]
    with_event = Scenario(event=(kill(at_s=9, pod=1, every_s=5, times=3), DropAll(at_s=2)))  # type: ignore[call-arg, arg-type]
    without = Scenario(event=(kill(at_s=9, enabled=False), DropAll(at_s=2)))  # type: ignore[arg-type]
    first, second, during, rescue, end = moments(hit=with_event, spared=without)
    assert first[0] == "2 s"
    assert first[1].startswith("`drop_all`: every pod")
    assert second[0] == "9 s"
    assert second[1].startswith("`kill_pod` with `pod = 1`: ")
    assert second[1].endswith("; 3 times, 5 s apart (only in: hit)")
    assert during == ("17 s", "“during” ends, 15 s after the trigger")
    assert rescue[0] == "44 s"
    assert end == ("66 s", "the end, or earlier after 30 consecutive seconds of recovered service")


def test_a_timeline_without_a_trigger_is_its_end() -> None:
    assert moments(calm=Scenario()) == [("66 s", "the end")]


def test_a_policy_by_name_is_named_in_the_rescue() -> None:
    scenario = Scenario(event=(DropAll(at_s=2),), phases=Phases(rescue_policy="grpc"))
    assert "the rescue policy (`grpc`)" in moments(it=scenario)[2][1]


def test_an_event_that_no_arm_has_is_still_told() -> None:
    nobody = Scenario(event=(DropAll(at_s=2), DropAll(at_s=4, enabled=False)))
    assert moments(it=nobody)[1][1].endswith("(only in: no arm)")


def test_a_drawn_distance_is_told_with_both_ends() -> None:
    drawn = Scenario(event=(DropAll(at_s=2, every_s=(3, 4), times=2),))
    assert moments(it=drawn)[0][1].endswith("2 times, 3 to 4 s apart")


# -- writing and checking -------------------------------------------------------------------------


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)
    return result.exit_code, result.output


def test_pages_are_written_once_then_found_to_be_fresh_and_missed_when_changed(
    tmp_path: Path,
    policies: list[policies_page.Entry],
    clients: list[clients_page.Entry],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(policies_page, "entries", lambda: policies)
    monkeypatch.setattr(clients_page, "entries", lambda: clients)
    (tmp_path / "hand.md").write_text("# Written by hand\n", encoding="utf-8")
    (tmp_path / "bare.md").write_text("no heading\n", encoding="utf-8")
    status, output = run("--docs", tmp_path)
    assert status == 0
    assert "README.md: written" in output
    index = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "- [Written by hand](hand.md)" in index
    assert run("--docs", tmp_path) == (0, "")
    assert run("--check", "--docs", tmp_path) == (0, "")

    (tmp_path / "limits.md").write_text("something else", encoding="utf-8")
    (tmp_path / "policies" / "gone.svg").write_text("<svg/>", encoding="utf-8")
    status, output = run("--check", "--docs", tmp_path)
    assert status == 1
    assert "limits.md: out of date" in output
    assert "gone.svg: no longer generated" in output
    status, output = run("--docs", tmp_path)
    assert "gone.svg: removed" in output
    assert run("--check", "--docs", tmp_path) == (0, "")


# -- the event that does nothing ------------------------------------------------------------------


def block(page: str, before: str, language: str) -> str:
    """The first code block of that language after a text."""
    found = re.search(rf"```{language}\n(.*?)```", page[page.index(before) :], re.DOTALL)
    assert found is not None
    return found[1]


def imported(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def with_no_op(generated: dict[Path, str], tmp_path: Path) -> Iterator[ModuleType]:
    """The registry, changed as the page says, with the file of the page beside it."""
    page = generated[Path("events.md")]
    event_file = tmp_path / "no_op.py"
    event_file.write_text(block(page, "`scenarios/events/no_op.py`:", "python"), encoding="utf-8")
    text = Path(registry.__file__).read_text(encoding="utf-8")
    changes = block(page, "`scenarios/events/registry.py`:", "diff").splitlines()
    for number, line in enumerate(changes):
        if line.startswith("+"):
            # A member of the union follows its neighbour on the page; the others go before theirs.
            follows = line.startswith("+    |")
            neighbour = changes[number + (-1 if follows else 1)][1:] + "\n"
            assert text.count(neighbour) == 1, neighbour
            added = line[1:] + "\n"
            text = text.replace(neighbour, neighbour + added if follows else added + neighbour)
    registry_file = tmp_path / "registry.py"
    registry_file.write_text(text, encoding="utf-8")
    try:
        imported("scenarios.events.no_op", event_file)
        yield imported("registry_with_no_op", registry_file)
    finally:
        sys.modules.pop("scenarios.events.no_op", None)
        sys.modules.pop("registry_with_no_op", None)


def test_the_event_that_the_page_begins_with_loads_and_strikes(
    with_no_op: ModuleType, generated: dict[Path, str]
) -> None:
    page = generated[Path("events.md")]
    table = parse_toml(block(page, "A scenario can now use it", "toml"))
    (event,) = msgspec.convert(table["event"], tuple[with_no_op.AnyEvent])  # type: ignore[name-defined]
    assert type(event) is with_no_op.EVENTS["no_op"]
    assert list(event.strikes_s(random.Random(1))) == [3]
    assert event.complaint(Scenario(fleet=Fleet(clients=1))) == ""
    assert asyncio.run(event.strike(None)) == {"note": "lunch"}


def test_the_test_that_the_page_gives_for_it_holds(
    with_no_op: ModuleType, generated: dict[Path, str]
) -> None:
    line = block(generated[Path("events.md")], "`tests/scenarios/events/test_events.py`", "diff").replace(
        "+", " "
    )
    deeds = eval(f"{{{line}}}", {"NoOp": with_no_op.EVENTS["no_op"]})
    ((event, calls),) = deeds.values()
    assert event.name == "no_op"
    assert calls == []
    assert event.lasts_s == 0
    assert example(type(event)).endswith('note = ""')


def test_infinite_stability_numbers_have_a_sign() -> None:
    assert scenarios_page.figure(math.inf) == "∞"
    assert scenarios_page.figure(1.024) == "1.02"
    assert scenarios_page.figure(34.2) == "34"


def test_a_comparison_names_what_it_crosses_or_its_arms() -> None:
    crossed = Scenario(matrix={"fleet.policy": ("naive", "grpc"), "event.0.pods": (4, 9)})
    named = Scenario(arms={"left alone": {}, "scaled": {"event.0.enabled": True}})
    assert scenarios_page.compares(crossed) == (
        'Varies `fleet.policy` (`"naive"`, `"grpc"`) and `event.0.pods` (`4`, `9`).'
    )
    assert scenarios_page.compares(named) == "Arms: “left alone”, “scaled”."
    assert scenarios_page.compares(Scenario()) == ""


def test_a_scenario_states_its_objectives() -> None:
    table = {
        "hypothesis": {"metric": "time_to_recover_s", "operator": "<=", "bound": 60, "statement": "It ends."},
        "slo": [{"metric": "availability", "phase": "before", "operator": ">=", "bound": 0.99}],
    }
    assert scenarios_page.objectives(build(table, source="test")) == [
        "the hypothesis “It ends”: time to recover ≤ 60 s, from the trigger’s end",
        "availability ≥ 99 %, before",
    ]
    assert scenarios_page.objectives(Scenario()) == []


def test_the_page_on_rehearsals_names_the_chapters_of_a_report_in_their_order() -> None:
    text = (DOCS / "rehearsals.md").read_text(encoding="utf-8")
    table = text.split("### Chapters")[1].split("###")[0]
    cells = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    expected = [*CHAPTERS]
    expected.insert(expected.index(TIMELINE), previous.HEADING)
    assert cells[:3] == ["chapter", "---", "the top"]
    assert [heading for cell in cells[3:] for heading in cell.split(", ")] == expected
