"""The report of a run or a comparison, as page and as tables."""
