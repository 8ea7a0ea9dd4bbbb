"""The header Retry-After: seconds, or a date, which counts from the date of the same answer.

Source: RFC 9110, 10.2.3.
"""

from email.utils import mktime_tz, parsedate_tz

_LONGEST_S = 86_400.0


def retry_after_s(value: bytes, date: bytes = b"") -> float | None:
    """The seconds that an answer asks a client to wait, up to a day; None where it does not, or unreadably.

    date: the header Date of the same answer. By its own clock a client would add the difference of two.
    """
    if not value:
        return None
    if value.isdigit():
        # Longer numbers than that are no time, and cost a conversion.
        return min(float(value), _LONGEST_S) if len(value) < 20 else _LONGEST_S
    until, since = _seconds(value), _seconds(date)
    if until is None or since is None:
        return None
    return min(max(0.0, until - since), _LONGEST_S)


def _seconds(date: bytes) -> float | None:
    try:
        parsed = parsedate_tz(date.decode("latin-1"))
        return None if parsed is None else float(mktime_tz(parsed))
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
