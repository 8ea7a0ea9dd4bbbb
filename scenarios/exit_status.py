"""Exit statuses of the command line, and what each means."""

GOOD, BROKEN, USAGE, INVALID, UNDECIDED, FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
"""The larger of two says more about what happened."""
