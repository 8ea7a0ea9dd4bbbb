import re
from pathlib import Path

import pytest

from reports.page.page import page
from reports.page.questions import ALWAYS, QUESTIONS, asked
from reports.page.write import write_report
from reports.text.templating import TEMPLATES
from tests.support.acted_runs import incident
from tests.support.compared_runs import two_by_two
from tests.support.histories import history

DOCS = Path(__file__).parents[3] / "docs"
CHAPTERS = [chapter for question in QUESTIONS for chapter in question.chapters]


def test_every_chapter_belongs_to_one_question() -> None:
    assert len(CHAPTERS) == len(set(CHAPTERS))
    assert set(CHAPTERS) >= ALWAYS


@pytest.mark.parametrize("medium", ["html", "md"])
def test_every_chapter_is_written_in_the_order_of_the_questions(medium: str) -> None:
    template = (TEMPLATES / f"report_chapters.{medium}.j2").read_text(encoding="utf-8")
    macros = re.findall(r"{% macro (\w+)\(\) %}", template)
    assert macros == CHAPTERS


def test_a_question_without_a_chapter_is_not_asked() -> None:
    assert [question.id for question in asked(())] == ["did-it-recover", "do-i-believe-it"]
    assert asked(CHAPTERS) == QUESTIONS
    assert [question.chapters for question in asked({"pods"})][1] == ("pods",)


def test_a_comparison_asks_which_fix_did_it_and_a_single_run_does_not() -> None:
    assert "which-fix-did-it" in {question.id for question in page(two_by_two()).questions}
    assert "which-fix-did-it" not in {question.id for question in page([history([])]).questions}


def test_both_media_have_the_questions_in_order_with_the_same_chapters(tmp_path: Path) -> None:
    markdown, html = (path.read_text(encoding="utf-8") for path in write_report(incident(), tmp_path))
    found = re.findall(r"^##{1,2} (.+)$", markdown, re.MULTILINE)
    assert re.findall(r"<h[23] id=[^>]*>(.*?)</h", html) == found
    assert [text for text in found if text.endswith("?")] == [question.text for question in QUESTIONS]


def test_the_page_leads_to_every_question_and_chapters_can_be_linked_to(tmp_path: Path) -> None:
    html = write_report(incident(), tmp_path)[1].read_text(encoding="utf-8")
    for question in QUESTIONS:
        assert f'<a href="#{question.id}">{question.text}</a>' in html
        assert f'<h2 id="{question.id}">{question.text}</h2>' in html
    assert not re.search(r"<h[23]>", html)


def test_the_manual_names_the_questions_in_their_order() -> None:
    text = (DOCS / "reading-a-report.md").read_text(encoding="utf-8")
    places = [text.index(f"| {question.text} |") for question in QUESTIONS]
    assert places == sorted(places)
