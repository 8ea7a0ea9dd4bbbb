"""The gate: has a candidate got worse than its baseline, by as much as matters?"""
