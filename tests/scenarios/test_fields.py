"""What errors say about the values of scenario files."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, get_args

import msgspec
import pytest
from msgspec import Meta

from scenarios.events.registry import EVENTS
from scenarios.fields import EXPECTED, invalid, parameters, similar_to, unknown_key
from scenarios.limits.registry import LIMITS
from scenarios.policies.registry import POLICIES
from scenarios.scenario.model import Scenario


def _metas(kind: Any, seen: set[Any]) -> Iterator[Meta]:
    if isinstance(kind, Meta):
        yield kind
    elif getattr(kind, "__struct_fields__", None) is not None and kind not in seen:
        seen.add(kind)
        for field in msgspec.structs.fields(kind):
            yield from _metas(field.type, seen)
    else:
        for part in (*get_args(kind), *getattr(kind, "__metadata__", ())):
            yield from _metas(part, seen)


def test_every_pattern_that_a_value_has_to_match_is_told_in_words() -> None:
    kinds = [Scenario, *LIMITS.values(), *EVENTS.values(), *(kind for kind, _ in POLICIES.values())]
    seen: set[Any] = set()
    metas = chain.from_iterable(_metas(kind, seen) for kind in kinds)
    patterns = {meta.pattern: meta.extra or {} for meta in metas if meta.pattern}
    assert patterns
    assert [pattern for pattern, extra in patterns.items() if EXPECTED not in extra] == []


@pytest.mark.parametrize("name", LIMITS)
def test_an_unknown_parameter_of_a_limit_is_told_in_the_words_of_a_scenario(name: str) -> None:
    with pytest.raises(ValueError, match=r"^oops: unknown parameter: expected ") as error:
        parameters({"oops": 1}, LIMITS[name])
    assert "`" not in str(error.value)


def test_a_thing_without_parameters_expects_none() -> None:
    assert unknown_key("oops", [], "parameter") == "oops: unknown parameter: expected none"
    assert similar_to("oops", []) == ""


def test_an_invalid_value_names_the_key() -> None:
    assert invalid("a.b", 0, "an integer >= 1") == "a.b: invalid value 0: expected an integer >= 1"
