"""Exit statuses of the command line, and what each means."""

GOOD, BROKEN, USAGE, INVALID, FAILED, INTERRUPTED = 0, 1, 2, 3, 5, 130
"""The larger of two says more about what happened. 4 is an inconclusive gate: see `reports.gate.decision`."""
