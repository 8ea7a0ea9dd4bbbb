"""Values of a scenario as text that people read."""

from typing import Any

import pytest

from reports.rundir.toml import label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("per-ip", "per-ip"),
        (25, "25"),
        ([], "[]"),
        (None, "None"),
        ({"name": "per-ip", "burst": 9}, "per-ip burst=9"),
        ([{"share": 0.8, "size": 1}, {"share": 0.2, "size": 25}], "share=0.8 size=1, share=0.2 size=25"),
        (["naive", {"name": "incident", "jitter": 0}], "naive, incident jitter=0"),
    ],
)
def test_a_setting_is_named_by_its_value_a_table_by_its_name_a_list_by_its_entries(
    value: Any, text: str
) -> None:
    assert label(value) == text
