"""Retry-After, as a client reads it."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.clients.protocol.retry_after import retry_after_s

VALUES: dict[str, tuple[bytes, bytes, float | None]] = {
    "no header": (b"", b"", None),
    "seconds": (b"120", b"", 120.0),
    "no wait": (b"0", b"", 0.0),
    "more than a day": (b"100000", b"", 86_400.0),
    "more than a number holds": (b"9" * 5000, b"", 86_400.0),
    "negative seconds": (b"-1", b"", None),
    "a fraction": (b"1.5", b"", None),
    "a date": (b"Wed, 21 Oct 2026 07:28:00 GMT", b"Wed, 21 Oct 2026 07:27:30 GMT", 30.0),
    "a date in another zone": (b"Wed, 21 Oct 2026 09:28:00 +0200", b"Wed, 21 Oct 2026 07:27:30 GMT", 30.0),
    "a date that is over": (b"Wed, 21 Oct 2026 07:27:00 GMT", b"Wed, 21 Oct 2026 07:27:30 GMT", 0.0),
    "a date of an answer without one": (b"Wed, 21 Oct 2026 07:28:00 GMT", b"", None),
    "no date": (b"tomorrow", b"Wed, 21 Oct 2026 07:27:30 GMT", None),
    "a date that there is not": (b"Wed, 99 Oct 99999 99:28:00 GMT", b"Wed, 21 Oct 2026 07:27:30 GMT", None),
}


@pytest.mark.parametrize(("value", "date", "expected"), VALUES.values(), ids=VALUES)
def test_a_header_asks_for(value: bytes, date: bytes, expected: float | None) -> None:
    assert retry_after_s(value, date) == expected


@given(st.integers(0, 2**32), st.integers(0, 86_400))
def test_a_date_counts_from_the_date_of_the_answer(now_s: int, wait_s: int) -> None:
    value, date = (formatdate(t, usegmt=True).encode() for t in (now_s + wait_s, now_s))
    assert retry_after_s(value, date) == wait_s


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_header_is_an_error(value: bytes, date: bytes) -> None:
    found = retry_after_s(value, date)
    assert found is None or 0 <= found <= 86_400
