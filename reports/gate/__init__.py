"""The gate: has a candidate regressed from its baseline, by at least the minimum effect?"""
