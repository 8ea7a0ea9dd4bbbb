"""The questions that a report answers, in the order in which people ask them, each with its chapters."""

from collections.abc import Container

from msgspec import Struct
from msgspec.structs import replace


class Question(Struct, frozen=True):
    """One question; `id` is what links to it lead to."""

    id: str
    text: str
    chapters: tuple[str, ...]
    """Names of the templates' macros that write them."""


QUESTIONS = (
    Question("did-it-recover", "Did it recover?", ("map", "numbers", "timeline", "verdicts", "findings")),
    Question("who-suffered", "Who suffered?", ("experience", "groups", "shared_ips", "refusals")),
    Question("what-did-the-pods-do", "What did the pods do?", ("pods", "sidecars")),
    Question("which-fix-did-it", "Which fix did it?", ("effects", "actions", "against")),
    Question("do-i-believe-it", "Do I believe it?", ("validity", "stability", "conditions")),
)

ALWAYS = frozenset({"numbers", "timeline", "verdicts", "validity", "conditions"})
"""Chapters of every report."""


def asked(chapters: Container[str]) -> tuple[Question, ...]:
    """The questions with these of their chapters, and those of every report; without questions that have
    none."""
    found = (
        replace(
            question,
            chapters=tuple(name for name in question.chapters if name in ALWAYS or name in chapters),
        )
        for question in QUESTIONS
    )
    return tuple(question for question in found if question.chapters)
