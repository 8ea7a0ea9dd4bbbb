"""Finds the topics that a word, or a sentence of a report, is about."""

import difflib
from collections.abc import Sequence

from scenarios.reference.topic import Topic

FEWEST_LETTERS = 8
"""A sentence of a report is recognised by no less."""


SAID = frozenset({"reasons", "warnings"})
"""Groups whose names are words of the sentences of a report."""


def found(words: str, topics: Sequence[Topic]) -> list[Topic]:
    """The topics of that name or, if there are none, of keys that end with it, or of sentences with it."""
    word = words.strip().casefold().strip("[]").replace('"', "")
    for matches in (
        [topic for topic in topics if topic.name.casefold() == word],
        [topic for topic in topics if topic.name.casefold().replace("_", "-") == word.replace("_", "-")],
        [topic for topic in topics if topic.name.casefold().rpartition(".")[2] == word],
        [topic for topic in topics if _reads(topic, word)],
    ):
        if matches:
            return matches
    return []


def similar(words: str, topics: Sequence[Topic]) -> list[str]:
    """The nearest names."""
    names: dict[str, str] = {}
    for topic in topics:
        names.setdefault(topic.name.casefold(), topic.name)
        names.setdefault(topic.name.casefold().rpartition(".")[2], topic.name)
    near = difflib.get_close_matches(words.casefold(), names, n=4)
    return list(dict.fromkeys(names[name] for name in near))


def _reads(topic: Topic, sentence: str) -> bool:
    if len(sentence) < FEWEST_LETTERS:
        return False
    if topic.group in SAID and topic.name.replace("_", " ") in sentence:
        return True
    for text in topic.reads:
        beginning = text.casefold().partition("…")[0].partition(":")[0].strip()
        if sentence in text.casefold() or (len(beginning) >= FEWEST_LETTERS and beginning in sentence):
            return True
    return False
