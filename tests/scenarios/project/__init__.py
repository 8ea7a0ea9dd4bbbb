"""Tests of what `init` finds and writes."""
