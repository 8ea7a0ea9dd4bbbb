"""Events in words."""

from typing import Any

import pytest

from reports.compare.event_text import SPOKEN, WORDS, full_words, short_words, spoken_words

CASES: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "a scale-out": ("scale", {"pods": 9, "added": 5, "removed": 0}, "scale 9", "scale 9: 5 added"),
    "a burst": ("feed_burst", {"factor": 4.0, "for_s": 20.0}, "burst ×4 for 20 s", "burst ×4 for 20 s"),
    "a burst by a fraction": (
        "feed_burst",
        {"factor": 1.5, "for_s": 2.5},
        "burst ×1.5 for 2.5 s",
        "burst ×1.5 for 2.5 s",
    ),
    "a policy": (
        "push_policy",
        {"policy": "incident", "reach_s": 5.0},
        "push incident",
        "push incident: all clients have it after 5 s",
    ),
    "a policy of a group": (
        "push_policy",
        {"policy": "incident", "reach_s": 0.0, "group": "old-tabs"},
        "push incident to the group old-tabs",
        "push incident to the group old-tabs",
    ),
    "a policy at once": (
        "push_policy",
        {"policy": "incident", "reach_s": 0.0},
        "push incident",
        "push incident",
    ),
    "a policy with parameters": (
        "push_policy",
        {"policy": {"name": "spread", "window_s": 6.0}},
        "push spread",
        "push spread: window_s=6.0",
    ),
    "a limit with parameters": (
        "set_limit",
        {"limit": {"name": "per-ip", "burst": 3}},
        "limit per-ip",
        "limit per-ip: burst=3",
    ),
    "a limit by name": ("set_limit", {"limit": "none"}, "limit none", "limit none"),
    "a share": ("drop_share", {"share": 0.25, "dropped": 60}, "drop 25 %", "drop 25 %: 60 dropped"),
    "all": (
        "drop_all",
        {"dropped_by": "clients"},
        "drop all",
        "drop all: cut by clients",
    ),
    "a killed pod": ("kill_pod", {"pod": 0, "clients": 7}, "kill pod 0", "kill pod 0: 7 clients on it"),
    "a paused pod": ("pause_pod", {"pod": 1, "for_s": 5.0}, "pause pod 1 for 5 s", "pause pod 1 for 5 s"),
    "a drain": (
        "drain",
        {"window_s": 20.0, "pods": "all", "one_by_one": False, "close_code": None, "dropped": 300},
        "drain over 20 s",
        "drain over 20 s: 300 disconnected",
    ),
    "a drain at once": ("drain", {"window_s": 0.0}, "drain at once", "drain at once"),
    "a drain of some pods": (
        "drain",
        {"window_s": 5.0, "pods": [0, 2], "one_by_one": True, "close_code": 1012},
        "drain of pods 0, 2 over 5 s, pod by pod",
        "drain of pods 0, 2 over 5 s, pod by pod: close code 1012",
    ),
    "a deploy": (
        "deploy",
        {"max_surge": "25%", "pre_stop_s": 5.0, "drain_s": 30.0, "pods": 4},
        "deploy",
        "deploy: 4 pods, preStop 5 s, drain 30 s for each pod",
    ),
    "reloads for a time": (
        "nginx_reload",
        {"for_s": 600.0, "is_fault": True},
        "nginx reload",
        "nginx reload",
    ),
    "a command": (
        "exec",
        {"command": ["kubectl", "scale", "deploy/api"], "exit_status": 0, "log": "commands/1.log"},
        "exec kubectl scale deploy/api",
        "exec kubectl scale deploy/api: output in commands/1.log",
    ),
    "a long command that failed": (
        "exec",
        {"command": ["kubectl", "rollout", "restart", "deployment/gateway"], "problem": "exit status 1"},
        "exec kubectl rollout restart deployment/gatew…",
        "exec kubectl rollout restart deployment/gatew…: failed: exit status 1",
    ),
    "probes": ("probes", {"conflated": False}, "probes", "probes"),
    "conflated probes": ("probes", {"conflated": True}, "conflated probes", "conflated probes"),
    "an event with nothing to add": ("nginx_reload", {}, "nginx reload", "nginx reload"),
    "an event of a later version": ("eclipse", {"of_what": "sun"}, "eclipse", "eclipse: of what sun"),
    "numbers that are none": ("feed_stall", {"for_s": "long"}, "feed stall for long", "feed stall for long"),
}


@pytest.mark.parametrize("label", CASES)
def test_an_event_is_told_in_few_words_and_in_full(label: str) -> None:
    name, details, short, full = CASES[label]
    assert short_words(name, details) == short
    assert full_words(name, details) == full


@pytest.mark.parametrize("name", WORDS)
def test_an_event_without_details_still_has_a_name(name: str) -> None:
    assert short_words(name, {}) == full_words(name, {}) != ""


SENTENCES: dict[str, tuple[str, dict[str, Any], str]] = {
    "all": ("drop_all", {}, "the loss of every connection"),
    "a share": ("drop_share", {"share": 0.25}, "the loss of 25 % of the connections"),
    "a killed pod": ("kill_pod", {"pod": 0}, "the loss of pod 0"),
    "a paused pod": ("pause_pod", {"pod": 1, "for_s": 5.0}, "a freeze of pod 1 for 5 s"),
    "more pods": ("scale", {"pods": 9}, "scaling to 9 pods"),
    "a burst": ("feed_burst", {"factor": 4.0, "for_s": 14.0}, "a feed burst ×4 for 14 s"),
    "a stall": ("feed_stall", {"for_s": 5.0}, "a stall of the feed for 5 s"),
    "a policy": ("push_policy", {"policy": {"name": "spread", "hold_s": 1}}, "pushing the policy spread"),
    "a limit": ("set_limit", {"limit": "per-ip"}, "setting the limit per-ip"),
    "a command": ("exec", {"command": ["./deploy.sh", "blue"]}, "the command ./deploy.sh blue"),
    "an event of a later version": ("lunar_eclipse", {}, "lunar eclipse"),
}


@pytest.mark.parametrize("label", SENTENCES)
def test_an_event_can_begin_a_sentence(label: str) -> None:
    name, details, text = SENTENCES[label]
    assert spoken_words(name, details) == text


@pytest.mark.parametrize("name", SPOKEN)
def test_a_sentence_needs_no_details(name: str) -> None:
    assert spoken_words(name, {})
