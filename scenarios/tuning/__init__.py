"""The search for settings to ship: what may be tried, on which storms, and how the result is written."""
