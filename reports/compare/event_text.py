"""Events as text: short for a figure, and with their details for a table.

Details come from events.jsonl, so every one of them may be missing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from reports.rundir.toml import label
from reports.text import units

Details = Mapping[str, Any]


class Words(Struct, frozen=True):
    """How an event is written."""

    short: Callable[[Details], str]
    more: Mapping[str, str] = {}
    """By detail, its text where it has a value other than nothing; `{}` stands for the value."""


def _lasting(what: str) -> Callable[[Details], str]:
    return lambda details: f"{what}{_for(details)}"


def _for(details: Details) -> str:
    return f" for {_seconds(details['for_s'])}" if "for_s" in details else ""


def _seconds(value: Any) -> str:
    return units.seconds(value) if isinstance(value, int | float) else str(value)


def _named(what: str, key: str) -> Callable[[Details], str]:
    return lambda details: f"{what} {_name(details[key])}" if key in details else what


def _name(value: Any) -> str:
    return str(value.get("name")) if isinstance(value, Mapping) else str(value)


def _dropped_share(details: Details) -> str:
    share = details.get("share")
    return f"drop {units.percent(share)}" if isinstance(share, int | float) else "drop some"


def _burst(details: Details) -> str:
    return f"burst {units.TIMES}{label(details.get('factor', '?')).removesuffix('.0')}{_for(details)}"


def _drain(details: Details) -> str:
    pods = details.get("pods", "all")
    some = "" if pods == "all" else f" of pods {label(pods)}"
    over = f" over {_seconds(details['window_s'])}" if details.get("window_s") else " at once"
    return f"drain{some}{over}{', pod by pod' if details.get('one_by_one') else ''}"


def _pod(details: Details) -> str:
    return f"pod {details['pod']}" if "pod" in details else "a pod"


def _command(details: Details) -> str:
    words = " ".join(map(str, details.get("command", ())))
    return f"{words[:_COMMAND_LETTERS]}…" if len(words) > _COMMAND_LETTERS else words


def _to_group(details: Details) -> str:
    return f" to the group {details['group']}" if details.get("group") else ""


def _push(details: Details) -> str:
    return f"{_named('push', 'policy')(details)}{_to_group(details)}"


_COMMAND_LETTERS = 40
"""A longer command is cut: it has to fit into a figure."""
_DROPPED = {"dropped": "{} dropped", "dropped_by": "cut by {}"}

WORDS: dict[str, Words] = {
    "drop_all": Words(lambda _: "drop all", _DROPPED),
    "drop_share": Words(_dropped_share, _DROPPED),
    "drain": Words(_drain, {"dropped": "{} disconnected", "close_code": "close code {}"}),
    "kill_pod": Words(_named("kill pod", "pod"), {"clients": "{} clients on it"}),
    "pause_pod": Words(lambda details: f"{_named('pause pod', 'pod')(details)}{_for(details)}"),
    "rolling_restart": Words(lambda _: "rolling restart", {"pods": "{} pods"}),
    "deploy": Words(
        lambda _: "deploy",
        {"pods": "{} pods", "pre_stop_s": "preStop {} s", "drain_s": "drain {} s for each pod"},
    ),
    "scale": Words(_named("scale", "pods"), {"added": "{} added", "removed": "{} removed"}),
    "feed_burst": Words(_burst),
    "feed_stall": Words(_lasting("feed stall")),
    "nginx_reload": Words(lambda _: "nginx reload"),
    "push_policy": Words(_push, {"reach_s": "all clients have it after {} s"}),
    "set_limit": Words(_named("limit", "limit")),
    "probes": Words(lambda details: "conflated probes" if details.get("conflated") else "probes"),
    "exec": Words(
        lambda details: f"exec {_command(details)}".rstrip(), {"log": "output in {}", "problem": "failed: {}"}
    ),
}
"""By name; an event that is not here is written as its name and all of its details."""

SPOKEN: dict[str, Callable[[Details], str]] = {
    "drop_all": lambda _: "the loss of every connection",
    "drop_share": lambda details: (
        f"the loss of {_dropped_share(details).removeprefix('drop ')} of the connections"
    ),
    "drain": lambda details: f"a {_drain(details)}",
    "kill_pod": lambda details: f"the loss of {_pod(details)}",
    "pause_pod": lambda details: f"a freeze of {_pod(details)}{_for(details)}",
    "rolling_restart": lambda _: "a rolling restart",
    "deploy": lambda _: "a deploy",
    "scale": lambda details: f"scaling to {label(details.get('pods', '?'))} pods",
    "feed_burst": lambda details: f"a feed {_burst(details)}",
    "feed_stall": lambda details: f"a stall of the feed{_for(details)}",
    "push_policy": lambda details: (
        f"pushing the policy {_name(details.get('policy', '?'))}{_to_group(details)}"
    ),
    "set_limit": lambda details: f"setting the limit {_name(details.get('limit', '?'))}",
    "nginx_reload": lambda _: "a reload of nginx",
    "nginx_restart": lambda _: "a restart of nginx",
    "exec": lambda details: f"the command {_command(details)}".rstrip(),
}
"""The same for a sentence that begins with it."""

_TABLES = ("policy", "limit")
"""Details that may be tables, of which the short words have the name alone."""


def short_words(name: str, details: Details) -> str:
    """`scale 9`, `push incident`, `burst ×4 for 20 s`."""
    words = WORDS.get(name)
    return words.short(details) if words else name.replace("_", " ")


def spoken_words(name: str, details: Details) -> str:
    """As the subject of a sentence: `scaling to 9 pods`, `a burst of ×4 ticks for 14 s`."""
    words = SPOKEN.get(name)
    return words(details) if words else short_words(name, details)


def full_words(name: str, details: Details) -> str:
    """`scale 9: 5 added`; with the parameters of policies and limits."""
    words = WORDS.get(name)
    if words is None:
        said = [f"{key.replace('_', ' ')} {label(value)}" for key, value in details.items()]
    else:
        tables = [details[key] for key in _TABLES if isinstance(details.get(key), Mapping)]
        said = [label({key: value for key, value in table.items() if key != "name"}) for table in tables]
        said += [
            text.format(label(details[key]).removesuffix(".0"))
            for key, text in words.more.items()
            if details.get(key)
        ]
    return f"{short_words(name, details)}{': ' if any(said) else ''}{', '.join(filter(None, said))}"
