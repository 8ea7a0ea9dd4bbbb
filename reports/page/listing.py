"""A resolved scenario as TOML, with what differs between the arms of a comparison."""

from collections.abc import Mapping
from typing import Any

from reports.compare.comparison import Comparison
from reports.rundir.toml import key_text, value_text


def scenario_listing(scenario: Mapping[str, Any], comparison: Comparison | None = None) -> str:
    """A resolved scenario as TOML; keys that differ between arms say so. What is left out is not in it."""
    plain = [(key, value) for key, value in scenario.items() if not _is_table(value) and value != ""]
    lines = [f"{key} = {value_text(value)}" for key, value in plain]
    shown = []
    for section, value in scenario.items():
        tables = {section: value} if isinstance(value, Mapping) else {}
        if _is_table(value) and not tables:
            tables = {f"{section}.{number}": entry for number, entry in enumerate(value)}
        for name, table in tables.items():
            if table:
                heading = f"[{section}]" if name == section else f"[[{section}]]{_varied(name, comparison)}"
                lines += ["", heading]
                lines += [
                    f"{key_text(key)} = {value_text(item)}{_varied(f'{name}.{key}', comparison)}"
                    for key, item in table.items()
                    if item is not None
                ]
                shown += [name, *(f"{name}.{key}" for key, item in table.items() if item is not None)]
    others = [key for key in comparison.variables if key not in shown] if comparison else []
    lines += ["", *(f"# {key}{_varied(key, comparison)[3:]}" for key in others)] if others else []
    return "\n".join(lines).strip()


def _varied(key: str, comparison: Comparison | None) -> str:
    if comparison is None or key not in comparison.variables:
        return ""
    values = dict.fromkeys(arm.settings[key] for arm in comparison.arms)
    return f"  # differs by arm: {', '.join(values)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)
    )
