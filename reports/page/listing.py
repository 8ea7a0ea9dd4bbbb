"""A resolved scenario as TOML, with what differs between the arms of a comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

from reports.compare.comparison import Comparison
from reports.rundir.toml import key_text, value_text

_OF_THE_FILE: Mapping[str, tuple[str, ...]] = {"edge": ("limit", "nginx"), "gateway": ("balance",)}
"""Settings that `edge.nginx_conf` has in their place."""


def scenario_listing(scenario: Mapping[str, Any], comparison: Comparison | None = None) -> str:
    """A resolved scenario as TOML; keys that differ between arms say so. What is left out is not in it."""
    own = bool((scenario.get("edge") or {}).get("nginx_conf"))
    if own:
        scenario = {
            section: _without(value, _OF_THE_FILE.get(section, ())) for section, value in scenario.items()
        }
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
    if own:
        names = ", ".join(f"{section}.{key}" for section, keys in _OF_THE_FILE.items() for key in keys)
        lines += ["", f"# {names}: unknown, what edge.nginx_conf says applied"]
    return "\n".join(lines).strip()


def _without(value: Any, keys: Sequence[str]) -> Any:
    return {key: item for key, item in value.items() if key not in keys} if keys else value


def _varied(key: str, comparison: Comparison | None) -> str:
    if comparison is None or key not in comparison.variables:
        return ""
    values = dict.fromkeys(arm.settings[key] for arm in comparison.arms)
    return f"  # differs by arm: {', '.join(values)}"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Mapping) for item in value)
    )
