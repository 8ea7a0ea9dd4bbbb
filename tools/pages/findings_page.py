"""The page of findings on settings."""

from reports.analysis.findings.registry import FINDINGS, PROXIES
from tools.pages.rendering import rendered


def page() -> str:
    """The page in Markdown."""
    return rendered("report-findings.md.j2", findings=FINDINGS, proxies=PROXIES)
